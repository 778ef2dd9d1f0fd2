//! Source topics on the brokers, and consumers to ask with.

use anyhow::Context;
use domain::source::Source;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use runtime::config::Settings;
use runtime::kafka::{self, admin, topics};

/// A table's topic: `human-resources.3201.public.ac02`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceTopic {
    pub source: Source,
    pub table: String,
    pub name: String,
    /// Partitions it has now.
    pub partitions: usize,
}

/// Every table's topic, by source and table.
///
/// # Errors
/// When the brokers do not answer.
pub(crate) fn source_topics(settings: &Settings) -> anyhow::Result<Vec<SourceTopic>> {
    let known = admin::topic_partitions(settings).with_context(|| unreachable_brokers(settings))?;
    let mut found: Vec<SourceTopic> = known
        .into_iter()
        .filter_map(|(name, partitions)| {
            let (source, table) = settings.topics.sources.table_of(&name)?;
            let table = table.to_owned();
            Some(SourceTopic {
                source,
                table,
                name,
                partitions,
            })
        })
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// What to say when the brokers do not answer.
pub(crate) fn unreachable_brokers(settings: &Settings) -> String {
    format!(
        "Kafka cannot be reached at {}: is it running, and does CANBAO_KAFKA name it?",
        settings.kafka
    )
}

/// A consumer's context for which the end of a partition is no error to log.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::warn!(%error, reason, "the Kafka client has trouble");
        }
    }
}

impl ConsumerContext for Quiet {}

/// A consumer that belongs to no group and notices the ends of partitions.
pub(crate) type Reader = BaseConsumer<Quiet>;

/// Makes a [`Reader`].
///
/// # Errors
/// When a Kafka property is unknown to the client.
pub(crate) fn reader(settings: &Settings) -> anyhow::Result<Reader> {
    let mut config = kafka::plain_consumer(settings, "canbao");
    config.set("enable.partition.eof", "true");
    config.create_with_context(Quiet).context("making a Kafka consumer")
}

/// Makes a [`Reader`] that reads one partition after the other: it does not wait at the end of one.
///
/// # Errors
/// When a Kafka property is unknown to the client.
pub(crate) fn range_reader(settings: &Settings) -> anyhow::Result<Reader> {
    let config = kafka::range_consumer(settings, "canbao");
    config.create_with_context(Quiet).context("making a Kafka consumer")
}

/// A consumer that can ask for the committed offsets of a normaliser's group, without joining it.
///
/// # Errors
/// When a Kafka property is unknown to the client.
pub(crate) fn group_reader(settings: &Settings, source: Source) -> anyhow::Result<Reader> {
    let mut config = kafka::plain_consumer(settings, "canbao");
    config.set("group.id", topics::normaliser_group(source));
    config.create_with_context(Quiet).context("making a Kafka consumer")
}
