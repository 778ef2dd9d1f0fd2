//! The positions topic: compacted, written by the publisher inside the transactions it is about, and by a restore.

use super::position::Position;
use crate::config::Settings;
use crate::kafka::offsets::is_transient;
use crate::kafka::plain_consumer;
use crate::kafka::quiet::QuietEnd;
use crate::kafka::topics::TopicSpec;
use anyhow::Context;
use domain::shard::Shard;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::TopicPartitionList;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Key: the shard in decimal digits; value: [`Position`] as JSON.
pub const TOPIC: &str = "publisher.positions";

/// How often reading says that it waits.
const SAY_WAITING: Duration = Duration::from_secs(30);

/// The topic's shape: one partition, because every process reads it whole when it starts.
pub fn topic() -> TopicSpec {
    TopicSpec {
        name: TOPIC.to_owned(),
        partitions: 1,
        partitions_required: true,
        config: vec![
            ("cleanup.policy", "compact".to_owned()),
            // A few keys written over and over: clean early, so that starting stays quick.
            ("segment.bytes", (8 * 1024 * 1024).to_string()),
            ("min.cleanable.dirty.ratio", "0.1".to_owned()),
        ],
    }
}

/// A position's key and value.
pub fn encode(shard: Shard, position: Position) -> (String, String) {
    (
        shard.to_string(),
        format!(r#"{{"epoch":{},"next":{}}}"#, position.epoch, position.next),
    )
}

/// The shard and position of a message; `None` when it is not one of ours.
pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<(Shard, Position)> {
    let shard = std::str::from_utf8(key?).ok()?.parse().ok().and_then(Shard::new)?;
    Some((shard, serde_json::from_slice(value?).ok()?))
}

/// Reads the committed positions to the end of the topic, however long the brokers take; `None` when `stop` became true first. Blocks.
/// The topic must exist, see [`topic`].
///
/// # Errors
/// When the brokers refuse for good, or a message is no position.
pub fn read(settings: &Settings, stop: impl Fn() -> bool) -> anyhow::Result<Option<BTreeMap<Shard, Position>>> {
    let consumer: BaseConsumer<QuietEnd> = plain_consumer(settings, "canbao-publisher-positions")
        // Other processes' open transactions do not concern our shards, so the last stable offset is far enough.
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create_with_context(QuietEnd)
        .context("making the consumer of the positions")?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(TOPIC, 0, Offset::Beginning)?;
    consumer.assign(&assignment)?;
    let mut positions = BTreeMap::new();
    let started = Instant::now();
    let mut said = started;
    while !stop() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let (shard, position) = decode(message.key(), message.payload())
                    .with_context(|| format!("{TOPIC} offset {} is no position", message.offset()))?;
                positions.insert(shard, position);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Some(positions)),
            Some(Err(error)) if !is_transient(&error) => return Err(error).context("reading the positions"),
            // The client gives a partition up that a broker does not serve yet, and says so once.
            Some(Err(_)) if positions.is_empty() => consumer.assign(&assignment)?,
            Some(Err(_)) | None => {}
        }
        if said.elapsed() > SAY_WAITING {
            said = Instant::now();
            let seconds = started.elapsed().as_secs();
            tracing::warn!(seconds, "the brokers do not give {TOPIC} to its end yet: waiting");
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_back() {
        let shard = Shard::new(63).expect("a shard");
        let position = Position {
            epoch: 2,
            next: u64::MAX,
        };
        let (key, value) = encode(shard, position);
        assert_eq!(decode(Some(key.as_bytes()), Some(value.as_bytes())), Some((shard, position)));
        for (key, value) in [
            ("64", r#"{"epoch":0,"next":1}"#),
            ("x", "{}"),
            ("1", r#"{"epoch":0}"#),
            ("1", ""),
        ] {
            assert_eq!(decode(Some(key.as_bytes()), Some(value.as_bytes())), None, "{key} {value}");
        }
    }
}
