//! Kafka clients: how each kind is configured, which topics exist, and how positions are read.

pub mod admin;
pub mod members;
pub mod offsets;
pub mod produce;
pub mod quiet;
mod range;
pub mod tail;
pub mod topics;

pub use range::{ReadRangeError, read_range};

use crate::config::Settings;
use crate::health::Check;
use crate::shutdown::Shutdown;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use secrecy::ExposeSecret;
use std::time::Duration;

/// Largest message any client of this system sends or takes, in bytes: a dead letter with an oversized value.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// How long a request may take before it counts as failed.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What all clients share: servers, the operator's own properties, names.
pub fn client(settings: &Settings, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.kafka)
        .set("client.id", client_id)
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "2000")
        // A wrong topic name must fail, not appear.
        .set("allow.auto.create.topics", "false");
    for (key, value) in &settings.kafka_properties {
        config.set(key, value.expose_secret());
    }
    config
}

/// A member of a consumer group that commits by itself, after its work is durable elsewhere.
///
/// A position that the broker no longer holds is an error (`auto.offset.reset=error`) and never skipped; who starts without a
/// committed offset assigns [`rdkafka::Offset::Beginning`] on purpose.
pub fn group_consumer(settings: &Settings, client_id: &str, group: &str) -> ClientConfig {
    let mut config = plain_consumer(settings, client_id);
    config
        .set("group.id", group)
        // Incremental: a replica that joins or a topic that appears does not stop the partitions that stay.
        .set("partition.assignment.strategy", "cooperative-sticky")
        // Only how often nothing is answered: what arrives is answered at once. Three agencies' regions that ask ten times a second
        // cost the broker and themselves a third of a core.
        .set("fetch.wait.max.ms", "500")
        .set("session.timeout.ms", "10000")
        .set("max.poll.interval.ms", "300000");
    config
}

/// A consumer that assigns its partitions by itself and belongs to no group.
pub fn plain_consumer(settings: &Settings, client_id: &str) -> ClientConfig {
    let mut config = client(settings, client_id);
    config
        // librdkafka asks for a group even where none is joined.
        .set("group.id", client_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "false")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", "100")
        // A full queue is looked at again soon: a second's wait would let a fast reader run dry.
        .set("fetch.queue.backoff.ms", "50")
        .set("fetch.message.max.bytes", "1048576")
        .set("fetch.max.bytes", MAX_MESSAGE_BYTES.to_string())
        // Must exceed the fetch size, or large fetches fail.
        .set("receive.message.max.bytes", (2 * MAX_MESSAGE_BYTES).to_string());
    config
}

/// A consumer for [`read_range`]: also says where a partition ends, since only markers may stand there.
pub fn range_consumer(settings: &Settings, client_id: &str) -> ClientConfig {
    let mut config = plain_consumer(settings, client_id);
    // A fetch that waits at one partition's end would hold up the next partition.
    config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "10");
    config
}

/// A producer that neither loses, repeats nor reorders within its session.
pub fn idempotent_producer(settings: &Settings, client_id: &str) -> ClientConfig {
    let mut config = client(settings, client_id);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // Three times less work for the broker than uncompressed (design 7).
        .set("compression.type", "lz4")
        // A request costs the broker as much as tens of messages.
        .set("linger.ms", "5")
        .set("batch.num.messages", "20000")
        .set("message.max.bytes", MAX_MESSAGE_BYTES.to_string())
        .set("queue.buffering.max.messages", "500000")
        .set("queue.buffering.max.kbytes", "262144")
        .set("delivery.timeout.ms", "60000");
    config
}

/// A producer whose messages and offsets appear together or not at all; `transactional_id` fences an older owner.
pub fn transactional_producer(settings: &Settings, client_id: &str, transactional_id: &str) -> ClientConfig {
    let mut config = idempotent_producer(settings, client_id);
    config
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", "60000")
        // librdkafka wants a message to end before its transaction does.
        .set("delivery.timeout.ms", "50000");
    config
}

/// Keeps `check` up to date with whether the brokers answer, until shutdown.
///
/// # Errors
/// When the client cannot be created, as when a property is unknown to librdkafka.
pub fn watch_brokers(settings: &Settings, check: Check, mut shutdown: Shutdown) -> anyhow::Result<()> {
    let consumer: BaseConsumer = plain_consumer(settings, "canbao-health").create()?;
    let consumer = std::sync::Arc::new(consumer);
    tokio::spawn(async move {
        loop {
            let probe = consumer.clone();
            let answer = tokio::task::spawn_blocking(move || {
                probe
                    .fetch_metadata(Some(topics::PERSON_RECORDS), REQUEST_TIMEOUT)
                    .map(|_| ())
            });
            match answer.await {
                Ok(Ok(())) => check.pass(),
                Ok(Err(error)) => check.fail(format!("brokers do not answer: {error}")),
                Err(error) => check.fail(format!("the probe ended: {error}")),
            }
            if shutdown.sleep(Duration::from_secs(5)).await {
                return;
            }
        }
    });
    Ok(())
}
