//! Reading a stretch of one partition again, without a group: for `verify` and the tests.

use super::offsets::is_transient;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::time::{Duration, Instant};

/// How long nothing may arrive before reading gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a stretch could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadRangeError {
    /// The client failed.
    #[error("reading {topic}/{partition}")]
    Read {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What the client says.
        #[source]
        source: KafkaError,
    },
    /// Nothing arrived for a long time although messages must follow.
    #[error("reading {topic}/{partition}: nothing arrived after offset {position} for 30 seconds")]
    Stalled {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Offset of the next message expected.
        position: i64,
    },
}

/// Hands every message of `topic`/`partition` with an offset in `from..to` to `take`, in order, and returns how many there were.
///
/// Markers of transactions and compacted offsets are gaps: reading ends when the position reaches `to` or the partition's end.
/// The consumer, made of [`super::range_consumer`], is assigned anew, whatever it read before.
///
/// # Errors
/// [`ReadRangeError`]; also when `from` is no longer held.
pub fn read_range<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
    from: i64,
    to: i64,
    mut take: impl FnMut(&BorrowedMessage<'_>),
) -> Result<u64, ReadRangeError> {
    let failed = |source| ReadRangeError::Read {
        topic: topic.to_owned(),
        partition,
        source,
    };
    if from >= to {
        return Ok(0);
    }
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(topic, partition, Offset::Offset(from))
        .map_err(failed)?;
    consumer.assign(&assignment).map_err(failed)?;
    let mut count = 0;
    let mut position = from;
    let mut deadline = Instant::now() + PATIENCE;
    while position < to {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if message.offset() >= to => break,
            Some(Ok(message)) => {
                take(&message);
                count += 1;
                position = message.offset() + 1;
                deadline = Instant::now() + PATIENCE;
            }
            // Behind the last message only markers can stand.
            Some(Err(KafkaError::PartitionEOF(_))) => break,
            Some(Err(error)) if is_transient(&error) => (),
            Some(Err(error)) => return Err(failed(error)),
            None => (),
        }
        if Instant::now() > deadline {
            return Err(ReadRangeError::Stalled {
                topic: topic.to_owned(),
                partition,
                position,
            });
        }
    }
    consumer.unassign().map_err(failed)?;
    Ok(count)
}
