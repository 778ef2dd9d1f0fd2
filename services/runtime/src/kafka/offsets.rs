//! Where topics end and where groups stand.

use super::REQUEST_TIMEOUT;
pub use super::trouble::is_transient;
use domain::date::Timestamp;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Topic and partition.
pub type TopicPartition = (String, i32);

/// The offsets a partition holds: `low` is the first still held, `high` the one the next message gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// First offset still held.
    pub low: i64,
    /// End offset.
    pub high: i64,
}

impl Watermarks {
    /// Whether a reader can go on at `offset` without having missed anything.
    pub fn holds(self, offset: i64) -> bool {
        (self.low..=self.high).contains(&offset)
    }

    /// Offsets between a reader's start and the end: at least as many as messages.
    pub fn behind(self, start: Offset) -> u64 {
        let begin = match start {
            Offset::Beginning => self.low,
            Offset::Offset(offset) => offset,
            _ => self.high,
        };
        self.high.saturating_sub(begin).max(0).unsigned_abs()
    }
}

/// The watermarks of one partition, asked from its leader.
///
/// # Errors
/// When the leader does not answer.
pub fn watermarks<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str, partition: i32) -> KafkaResult<Watermarks> {
    let (low, high) = patiently(|| consumer.fetch_watermarks(topic, partition, REQUEST_TIMEOUT))?;
    Ok(Watermarks { low, high })
}

/// The watermarks of many partitions, in two requests per broker: one by one they cost a request each, and each of these waits behind
/// what the consumer is fetching.
///
/// # Errors
/// When a leader does not answer.
pub fn watermarks_of<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) -> KafkaResult<BTreeMap<TopicPartition, Watermarks>> {
    let at = |offset| patiently(|| offsets_at(consumer, partitions.iter().cloned(), offset));
    let (lows, highs) = (at(Offset::Beginning)?, at(Offset::End)?);
    let both = lows.into_iter().filter_map(|(partition, low)| {
        let high = *highs.get(&partition)?;
        Some((partition, Watermarks { low, high }))
    });
    Ok(both.collect())
}

/// How long a partition may have no leader after its topic was created: a single node needs a while for hundreds of them.
const LEADER_PATIENCE: Duration = Duration::from_secs(60);

/// Asks again while the brokers are not ready to answer, as they are for a moment after a topic was created or a broker came back.
pub fn patiently<T>(mut ask: impl FnMut() -> KafkaResult<T>) -> KafkaResult<T> {
    let deadline = Instant::now() + LEADER_PATIENCE;
    loop {
        match ask() {
            Err(error) if is_transient(&error) && Instant::now() < deadline => std::thread::sleep(Duration::from_millis(100)),
            done => return done,
        }
    }
}

/// Partitions of a topic, in order; empty when it does not exist.
///
/// # Errors
/// When the brokers do not answer.
pub fn partitions<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str) -> KafkaResult<Vec<i32>> {
    let metadata = patiently(|| consumer.fetch_metadata(Some(topic), REQUEST_TIMEOUT))?;
    let mut partitions: Vec<i32> = metadata
        .topics()
        .iter()
        .filter(|found| found.name() == topic && found.error().is_none())
        .flat_map(|found| found.partitions().iter().map(MetadataPartition::id))
        .collect();
    partitions.sort_unstable();
    Ok(partitions)
}

/// Every topic the brokers have, with its partitions, by name.
///
/// # Errors
/// When the brokers do not answer.
pub fn all_topics<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> KafkaResult<BTreeMap<String, Vec<i32>>> {
    let metadata = consumer.fetch_metadata(None, REQUEST_TIMEOUT)?;
    let known = metadata.topics().iter().filter(|topic| topic.error().is_none());
    let partitions = |topic: &MetadataTopic| topic.partitions().iter().map(MetadataPartition::id).collect();
    Ok(known.map(|topic| (topic.name().to_owned(), partitions(topic))).collect())
}

/// Offsets of many partitions at once, in one request per broker (watermarks cost one per partition): at [`Offset::End`], at
/// [`Offset::Beginning`], or the first ones appended at `Offset::Offset(milliseconds)` or later; partitions that hold nothing from
/// that time on are left out.
///
/// The end is what a reader of the consumer's `isolation.level` comes to: under `read_committed` it lies before the first transaction
/// that is still open, under `read_uncommitted` behind everything appended.
///
/// # Errors
/// When a leader does not answer.
pub fn offsets_at<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: impl IntoIterator<Item = TopicPartition>,
    at: Offset,
) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in partitions {
        list.add_partition_offset(&topic, partition, at)?;
    }
    let mut offsets = BTreeMap::new();
    if list.count() == 0 {
        return Ok(offsets);
    }
    for element in consumer.offsets_for_times(list, REQUEST_TIMEOUT)?.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            offsets.insert((element.topic().to_owned(), element.partition()), offset);
        }
    }
    Ok(offsets)
}

/// What a partition holds since a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// First offset still held.
    pub low: u64,
    /// The first one appended at the time or later; the end where there is none.
    pub begin: u64,
    /// End offset.
    pub end: u64,
}

/// What each partition of a topic holds since a time, in order; empty when the topic does not exist.
///
/// # Errors
/// When the brokers do not answer.
pub fn since<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str, time: Timestamp) -> KafkaResult<Vec<Since>> {
    let partitions: Vec<TopicPartition> = partitions(consumer, topic)?
        .into_iter()
        .map(|partition| (topic.to_owned(), partition))
        .collect();
    let at = |offset| patiently(|| offsets_at(consumer, partitions.iter().cloned(), offset));
    // The ends come first: a message that arrives between two requests must not count as lying before the time.
    let (ends, begins) = (at(Offset::End)?, at(Offset::Offset(time.0.max(0)))?);
    let lows = at(Offset::Beginning)?;
    let of = |partition: &TopicPartition| {
        let end = ends.get(partition).copied().unwrap_or(0);
        Since {
            low: lows.get(partition).copied().unwrap_or(0).unsigned_abs(),
            begin: begins.get(partition).copied().unwrap_or(end).unsigned_abs(),
            end: end.unsigned_abs(),
        }
    };
    Ok(partitions.iter().map(of).collect())
}

/// The end offset of every partition of the given topics.
///
/// # Errors
/// When a leader does not answer.
pub fn end_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &[String],
) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
    let mut wanted = Vec::new();
    for topic in topics {
        let of_topic = partitions(consumer, topic)?;
        wanted.extend(of_topic.into_iter().map(|partition| (topic.clone(), partition)));
    }
    patiently(|| offsets_at(consumer, wanted.iter().cloned(), Offset::End))
}

/// Topics whose name begins with a prefix, in order.
///
/// # Errors
/// When the brokers do not answer.
pub fn topics_with_prefix<C: ConsumerContext>(consumer: &BaseConsumer<C>, prefix: &str) -> KafkaResult<Vec<String>> {
    let metadata = patiently(|| consumer.fetch_metadata(None, REQUEST_TIMEOUT))?;
    let mut topics: Vec<String> = metadata
        .topics()
        .iter()
        .filter(|topic| topic.error().is_none() && topic.name().starts_with(prefix))
        .map(|topic| topic.name().to_owned())
        .collect();
    topics.sort_unstable();
    Ok(topics)
}

/// A committed offset: that of the first message not yet taken, and what who committed it noted beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The offset.
    pub offset: i64,
    /// The note.
    pub metadata: String,
}

/// What the group that `consumer` was made with (`group.id`; it need not have joined) has committed; partitions without a committed
/// offset are left out.
///
/// # Errors
/// When the group's coordinator does not answer.
pub fn commits<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: impl IntoIterator<Item = TopicPartition>,
) -> KafkaResult<BTreeMap<TopicPartition, Commit>> {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in partitions {
        list.add_partition(&topic, partition);
    }
    if list.count() == 0 {
        return Ok(BTreeMap::new());
    }
    let mut commits = BTreeMap::new();
    for element in consumer.committed_offsets(list, REQUEST_TIMEOUT)?.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            let metadata = element.metadata().to_owned();
            commits.insert((element.topic().to_owned(), element.partition()), Commit { offset, metadata });
        }
    }
    Ok(commits)
}

/// The offsets of [`commits`].
///
/// # Errors
/// When the group's coordinator does not answer.
pub fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: impl IntoIterator<Item = TopicPartition>,
) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
    let commits = commits(consumer, partitions)?;
    Ok(commits
        .into_iter()
        .map(|(partition, commit)| (partition, commit.offset))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_from_where_reading_begins() {
        let held = Watermarks { low: 3, high: 10 };
        let behind = [Offset::Beginning, Offset::Offset(8), Offset::Offset(12), Offset::End].map(|start| held.behind(start));
        assert_eq!(behind, [7, 2, 0, 0]);
    }
}
