//! Which partitions the members of consumer groups have: what nobody reads has no member.

use super::REQUEST_TIMEOUT;
use super::offsets::TopicPartition;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use std::collections::{BTreeMap, BTreeSet};

/// What the members of each group that `is_wanted` have been assigned, by group; one request per broker, and one for its groups.
/// A group that is being rearranged has nothing assigned until that is over.
///
/// # Errors
/// When the brokers do not answer.
pub fn assigned<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    is_wanted: impl Fn(&str) -> bool,
) -> KafkaResult<BTreeMap<String, BTreeSet<TopicPartition>>> {
    let list = consumer.fetch_group_list(None, REQUEST_TIMEOUT)?;
    let mut assigned: BTreeMap<String, BTreeSet<TopicPartition>> = BTreeMap::new();
    for group in list.groups().iter().filter(|group| is_wanted(group.name())) {
        let of_group = assigned.entry(group.name().to_owned()).or_default();
        for assignment in group.members().iter().filter_map(|member| member.assignment()) {
            of_group.extend(parse(assignment).unwrap_or_default());
        }
    }
    Ok(assigned)
}

/// Reads an assignment as members of consumer groups are given it (Kafka's `ConsumerProtocolAssignment`): version, then topics, each
/// with its partitions, then data of the assignor's own. `None` for what is none.
fn parse(mut bytes: &[u8]) -> Option<Vec<TopicPartition>> {
    let mut take = |count: usize| {
        let (taken, left) = bytes.split_at_checked(count)?;
        bytes = left;
        Some(taken)
    };
    let mut partitions = Vec::new();
    take(2)?;
    let topics = i32::from_be_bytes(take(4)?.try_into().ok()?);
    for _ in 0..topics {
        let length = i16::from_be_bytes(take(2)?.try_into().ok()?);
        let topic = std::str::from_utf8(take(usize::try_from(length).ok()?)?).ok()?;
        let topic = topic.to_owned();
        let count = i32::from_be_bytes(take(4)?.try_into().ok()?);
        for _ in 0..count {
            let partition = i32::from_be_bytes(take(4)?.try_into().ok()?);
            partitions.push((topic.clone(), partition));
        }
    }
    Some(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_and_nonsense_is_none() {
        let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 4];
        bytes.extend(b"ac02");
        bytes.extend([0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0]);
        let both = [0, 7].map(|partition| ("ac02".to_owned(), partition));
        assert_eq!(parse(&bytes), Some(both.to_vec()));
        assert_eq!(parse(&[0, 1, 0, 0, 0, 0]), Some(Vec::new()));
        for length in 0..bytes.len() - 4 {
            assert_eq!(parse(&bytes[..length]), None, "cut at {length}");
        }
        assert_eq!(parse(&[0, 0, 127, 255, 255, 255, 255, 255]), None);
    }
}
