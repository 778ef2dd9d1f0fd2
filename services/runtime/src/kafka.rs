//! Kafka clients: how each kind is configured, which topics exist, and how positions are read.

pub mod admin;
pub mod joining;
pub mod lag;
pub mod members;
pub mod offsets;
pub mod produce;
pub mod quiet;
mod range;
pub mod tail;
mod topic_names;
pub mod topics;
pub mod trouble;

pub use range::{ReadRangeError, read_range};
pub use topic_names::{NotificationNames, TemplateError, TopicNames};

use crate::config::Settings;
use crate::health::Check;
use crate::limits;
use crate::shutdown::Shutdown;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use secrecy::ExposeSecret;
use std::time::Duration;

/// How long a request may take before it counts as failed.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a transaction may last before the brokers roll it back and let its producer send nothing more.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// The property by which an operator lets messages be given up after all, in milliseconds.
const DELIVERY_TIMEOUT: &str = "delivery.timeout.ms";
/// Requests to one broker that may be under way.
const IN_FLIGHT: &str = "max.in.flight.requests.per.connection";

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
        // What is known of a topic serves for questions that name its partitions: one that was added is unknown for so long.
        .set("metadata.max.age.ms", "2000")
        .set("fetch.wait.max.ms", "100")
        // A full queue is looked at again soon: a second's wait would let a fast reader run dry.
        .set("fetch.queue.backoff.ms", "50");
    limits::of_consumer(&mut config);
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
        // With more under way a refused first message to a partition can be lost, see `produce::lanes`.
        .set(IN_FLIGHT, "1")
        // Three times less work for the broker than uncompressed (ARCHITECTURE.md, Layout of the store).
        .set("compression.type", "lz4")
        // A request costs the broker as much as tens of messages.
        .set("linger.ms", "5")
        .set("batch.num.messages", "20000")
        .set("queue.buffering.max.messages", "500000")
        .set("queue.buffering.max.kbytes", "262144");
    limits::of_producer(&mut config);
    if !settings.kafka_properties.contains_key(DELIVERY_TIMEOUT) {
        // Never given up: a full queue makes its senders wait, and readiness says that nothing moves. A message that expired alone would let
        // later ones pass it.
        config.set(DELIVERY_TIMEOUT, "0");
    }
    config
}

/// A producer whose messages and offsets appear together or not at all; `transactional_id` fences an older owner.
pub fn transactional_producer(settings: &Settings, client_id: &str, transactional_id: &str) -> ClientConfig {
    let mut config = idempotent_producer(settings, client_id);
    config
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", TRANSACTION_TIMEOUT.as_millis().to_string())
        // librdkafka wants a message to end before its transaction does.
        .set(DELIVERY_TIMEOUT, "50000");
    config
}

/// Keeps `check` up to date with whether the brokers answer and every shard's log has a leader, until shutdown.
///
/// # Errors
/// When the client cannot be created, as when a property is unknown to librdkafka.
pub fn watch_brokers(settings: &Settings, check: Check, mut shutdown: Shutdown) -> anyhow::Result<()> {
    let config = plain_consumer(settings, "canbao-health");
    let make = move || config.create_with_context::<_, BaseConsumer<quiet::QuietEnd>>(quiet::QuietEnd);
    let mut consumer = std::sync::Arc::new(make()?);
    tokio::spawn(async move {
        loop {
            let probe = consumer.clone();
            let answer = tokio::task::spawn_blocking(move || leaderless(&probe));
            match answer.await {
                Ok(Ok(0)) => check.pass(),
                Ok(Ok(count)) => check.fail(format!(
                    "{count} partitions of {} have no leader: are all brokers running?",
                    topics::PERSON_RECORDS
                )),
                Ok(Err(error)) => {
                    check.fail(format!(
                        "the brokers do not answer: {error}; are they running, and does CANBAO_KAFKA name them?"
                    ));
                    // A client that was starved for minutes may never find the brokers again, and would say so for ever.
                    if let Ok(anew) = make() {
                        consumer = std::sync::Arc::new(anew);
                    }
                }
                Err(error) => check.fail(format!("the probe ended: {error}")),
            }
            if shutdown.sleep(Duration::from_secs(5)).await {
                return;
            }
        }
    });
    Ok(())
}

/// How many partitions of the shards' logs nobody serves; none before the topic exists, which the services make.
fn leaderless(consumer: &BaseConsumer<quiet::QuietEnd>) -> KafkaResult<usize> {
    let metadata = consumer.fetch_metadata(Some(topics::PERSON_RECORDS), REQUEST_TIMEOUT)?;
    let partitions = metadata
        .topics()
        .iter()
        .flat_map(rdkafka::metadata::MetadataTopic::partitions);
    let without = partitions.filter(|partition| {
        let error = partition.error().map(RDKafkaErrorCode::from);
        error == Some(RDKafkaErrorCode::LeaderNotAvailable) || partition.leader() < 0
    });
    Ok(without.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_given_up_only_where_an_operator_says_when() {
        let mut settings = Settings::default();
        let timeout = |settings: &Settings| idempotent_producer(settings, "test").get(DELIVERY_TIMEOUT).map(str::to_owned);
        assert_eq!(timeout(&settings).as_deref(), Some("0"));
        settings
            .kafka_properties
            .insert(DELIVERY_TIMEOUT.to_owned(), "90000".to_owned().into());
        assert_eq!(timeout(&settings).as_deref(), Some("90000"));
        // A transaction's messages must end before it does.
        let transactional = transactional_producer(&settings, "test", "test");
        assert_eq!(transactional.get(DELIVERY_TIMEOUT), Some("50000"));
    }
}
