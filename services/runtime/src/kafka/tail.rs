//! What a reader of committed messages would still see of some partitions.
//!
//! Offsets cannot tell: markers of transactions and aborted batches, of any length, are counted by every end offset and delivered to
//! nobody, so that a group may stand far below an end which it has reached.

use super::offsets::{TopicPartition, is_transient, offsets_at};
use anyhow::Context;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long nothing may arrive, neither a message nor the end of a partition, before looking gives up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a group stands in a partition, and how far it has to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The offset it reads next; `None` before the partition's first message.
    pub from: Option<i64>,
    /// The end.
    pub to: i64,
}

/// A partition of which a reader of committed messages would see something within its stretch, or where a transaction is still open
/// there; `None` when all stretches hold nothing but markers, aborted messages and expired ones. The first that is found ends the
/// search, so that looking at somebody who really lags costs one fetch.
///
/// `consumer` is one of [`super::range_consumer`], and is assigned anew.
///
/// # Errors
/// When the brokers do not answer.
pub fn first_visible<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    stretches: &BTreeMap<TopicPartition, Stretch>,
) -> anyhow::Result<Option<TopicPartition>> {
    let partitions = || stretches.keys().cloned();
    // Under read_committed the end lies before the first transaction that is still open: what stands behind it may yet be committed.
    let stable = offsets_at(consumer, partitions(), Offset::End).context("reading the ends of partitions")?;
    let lowest = offsets_at(consumer, partitions(), Offset::Beginning).context("reading the beginnings of partitions")?;
    // The end of a partition is told with its number only, so topics are looked at one after another.
    let mut by_topic: BTreeMap<&str, BTreeMap<i32, (i64, i64)>> = BTreeMap::new();
    for (partition, stretch) in stretches {
        if stable.get(partition).copied().unwrap_or(0) < stretch.to {
            return Ok(Some(partition.clone()));
        }
        let low = lowest.get(partition).copied().unwrap_or(0);
        let from = stretch.from.unwrap_or(low).max(low);
        if from < stretch.to {
            by_topic
                .entry(&partition.0)
                .or_default()
                .insert(partition.1, (from, stretch.to));
        }
    }
    for (topic, unread) in by_topic {
        let mut assignment = TopicPartitionList::new();
        for (partition, (from, _)) in &unread {
            assignment.add_partition_offset(topic, *partition, Offset::Offset(*from))?;
        }
        consumer.assign(&assignment).context("assigning partitions")?;
        let found = first_of_topic(consumer, unread);
        consumer.unassign().context("giving partitions back")?;
        if let Some(partition) = found.with_context(|| format!("reading {topic}"))? {
            return Ok(Some((topic.to_owned(), partition)));
        }
    }
    Ok(None)
}

/// Reads partitions of one topic until a message within its stretch arrives, or each has been read past its stretch or to its end.
fn first_of_topic<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    mut unread: BTreeMap<i32, (i64, i64)>,
) -> anyhow::Result<Option<i32>> {
    let mut deadline = Instant::now() + PATIENCE;
    while !unread.is_empty() {
        let done = match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let partition = message.partition();
                if unread.get(&partition).is_some_and(|(_, to)| message.offset() < *to) {
                    return Ok(Some(partition));
                }
                Some(partition)
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => Some(partition),
            Some(Err(error)) if is_transient(&error) => None,
            Some(Err(error)) => return Err(error.into()),
            None => None,
        };
        if done.is_some_and(|partition| unread.remove(&partition).is_some()) {
            deadline = Instant::now() + PATIENCE;
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "neither a message nor an end for {} seconds of partitions {:?}",
            PATIENCE.as_secs(),
            unread.keys()
        );
    }
    Ok(None)
}

/// Hands some messages of many partitions to `take`: those within each partition's offsets `from..to`, as far as they arrive before
/// [`PATIENCE`] is over. For looking, not for proof: what does not arrive in time is not handed over.
///
/// `consumer` is one of [`super::range_consumer`], and is assigned anew.
///
/// # Errors
/// When the brokers refuse.
pub fn peek<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    stretches: &BTreeMap<TopicPartition, (i64, i64)>,
    mut take: impl FnMut(&BorrowedMessage<'_>),
) -> anyhow::Result<()> {
    let mut assignment = TopicPartitionList::new();
    let mut left: BTreeSet<TopicPartition> = BTreeSet::new();
    for (partition, (from, _)) in stretches.iter().filter(|(_, (from, to))| from < to) {
        assignment.add_partition_offset(&partition.0, partition.1, Offset::Offset(*from))?;
        left.insert(partition.clone());
    }
    consumer.assign(&assignment).context("assigning partitions")?;
    let (mut ends, deadline) = (0, Instant::now() + PATIENCE);
    while ends < left.len() && Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let partition = (message.topic().to_owned(), message.partition());
                let Some((_, to)) = stretches.get(&partition) else { continue };
                if message.offset() < *to {
                    take(&message);
                }
                if message.offset() + 1 >= *to {
                    left.remove(&partition);
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => ends += 1,
            Some(Err(error)) if is_transient(&error) => (),
            Some(Err(error)) => return Err(error).context("looking at messages"),
            None => (),
        }
    }
    consumer.unassign().context("giving partitions back")
}
