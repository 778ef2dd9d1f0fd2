//! Topics are made as the services want them, or the service says what stands in the way.

use super::topics::TopicSpec;
use super::trouble::Trouble;
use super::{REQUEST_TIMEOUT, client};
use crate::config::Settings;
use crate::patience::wait_out;
use crate::shutdown::Shutdown;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::BTreeMap;

/// Why topics are not as they must be.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The brokers did not answer a request.
    #[error("asking the brokers for topics: {0}")]
    Request(KafkaError),
    /// The broker refused to create a topic.
    #[error("creating topic {topic}: {code}")]
    Create {
        /// The topic.
        topic: String,
        /// The broker's reason.
        code: RDKafkaErrorCode,
    },
    /// The broker does not tell the settings of a topic.
    #[error("asking for the settings of topic {topic}: {code}")]
    Describe {
        /// The topic.
        topic: String,
        /// The broker's reason.
        code: RDKafkaErrorCode,
    },
    /// A topic exists with too few partitions.
    #[error(
        "topic {topic} has {found} partitions and must have at least {wanted}: its partitions are the shards of the base; \
         create it anew with {wanted} partitions, or add partitions before anything was written"
    )]
    TooFewPartitions {
        /// The topic.
        topic: String,
        /// Partitions it has.
        found: usize,
        /// Partitions it must have.
        wanted: u16,
    },
    /// A topic exists with another setting than the system rests on.
    #[error(
        "topic {topic} has {key}={found} and must have {wanted}: {TIMED_BY_THE_BROKER}; run \
         `kafka-configs.sh --bootstrap-server {servers} --alter --topic {topic} --add-config {key}={wanted}`"
    )]
    WrongSetting {
        /// The topic.
        topic: String,
        /// The setting.
        key: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: String,
        /// Where the brokers are.
        servers: String,
    },
}

/// [`ensure_topics`] for a starting service: waits for brokers that cannot do it yet; `false` when asked to end meanwhile.
///
/// # Errors
/// [`TopicError`], when no waiting helps.
pub async fn ensure_topics_patiently(
    settings: &Settings,
    wanted: &[TopicSpec],
    shutdown: &mut Shutdown,
) -> Result<bool, TopicError> {
    let done = wait_out("preparing topics", shutdown, passes, async || {
        ensure_topics(settings, wanted).await
    });
    Ok(done.await?.is_some())
}

/// [`settings_in_force`] for a starting service, likewise; `None` when asked to end meanwhile.
///
/// # Errors
/// [`TopicError`], when no waiting helps.
pub async fn settings_in_force_patiently(
    settings: &Settings,
    topics: &[&str],
    name: &str,
    shutdown: &mut Shutdown,
) -> Result<Option<BTreeMap<String, String>>, TopicError> {
    let config = client(settings, "canbao-admin");
    wait_out("asking for the settings of topics", shutdown, passes, async || {
        settings_in_force(&config, topics, name).await
    })
    .await
}

fn passes(error: &TopicError) -> bool {
    Trouble::of_topic(error) == Trouble::Transient
}

/// The setting that decides whose clock times the messages of a topic.
pub const TIMESTAMP_TYPE: &str = "message.timestamp.type";
/// Why it must be the broker's.
const TIMED_BY_THE_BROKER: &str = "what is told waits for sources to be complete past the time at which facts were appended there, and \
                                   producers' clocks are not comparable";

/// Creates the topics that are missing and refuses those that cannot be used. Others may do the same at the same time.
///
/// # Errors
/// [`TopicError`].
pub async fn ensure_topics(settings: &Settings, wanted: &[TopicSpec]) -> Result<(), TopicError> {
    let admin: AdminClient<DefaultClientContext> = client(settings, "canbao-admin").create().map_err(TopicError::Request)?;
    let existing = partition_counts(&admin).map_err(TopicError::Request)?;
    for spec in wanted.iter().filter(|spec| spec.partitions_required) {
        match existing.get(&spec.name) {
            Some(found) if *found < usize::from(spec.partitions) => {
                return Err(TopicError::TooFewPartitions {
                    topic: spec.name.clone(),
                    found: *found,
                    wanted: spec.partitions,
                });
            }
            _ => (),
        }
    }
    check_timestamps(settings, wanted.iter().filter(|spec| existing.contains_key(&spec.name))).await?;
    let missing: Vec<&TopicSpec> = wanted.iter().filter(|spec| !existing.contains_key(&spec.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let in_sync = if settings.topics.replication >= 3 { "2" } else { "1" };
    let topics: Vec<NewTopic<'_>> = missing
        .iter()
        .map(|spec| {
            let replication = TopicReplication::Fixed(settings.topics.replication.into());
            let topic = NewTopic::new(&spec.name, spec.partitions.into(), replication).set("min.insync.replicas", in_sync);
            spec.config.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
        })
        .collect();
    let options = AdminOptions::new()
        .operation_timeout(Some(REQUEST_TIMEOUT))
        .request_timeout(Some(3 * REQUEST_TIMEOUT));
    for result in admin.create_topics(&topics, &options).await.map_err(TopicError::Request)? {
        match result {
            Ok(topic) => tracing::info!(topic, "topic created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => (),
            Err((topic, code)) => return Err(TopicError::Create { topic, code }),
        }
    }
    Ok(())
}

/// Refuses existing topics that must be timed by the broker and are not.
async fn check_timestamps(settings: &Settings, existing: impl Iterator<Item = &TopicSpec>) -> Result<(), TopicError> {
    let setting = |spec: &TopicSpec| spec.config.iter().find(|(key, _)| *key == TIMESTAMP_TYPE).cloned();
    for (spec, (key, wanted)) in existing.filter_map(|spec| Some((spec, setting(spec)?))) {
        let found = match topic_setting(settings, &spec.name, key).await {
            Ok(found) => found,
            Err(TopicError::Describe { topic, code }) => {
                tracing::warn!(topic, %code, "{key} cannot be read (the brokers' access rules?); it must be {wanted}");
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Some(found) = found.filter(|found| *found != wanted) {
            return Err(TopicError::WrongSetting {
                topic: spec.name.clone(),
                key,
                found,
                wanted,
                servers: settings.kafka.clone(),
            });
        }
    }
    Ok(())
}

/// Partitions of every topic, by name.
///
/// # Errors
/// When the brokers do not answer.
pub fn topic_partitions(settings: &Settings) -> Result<BTreeMap<String, usize>, TopicError> {
    let admin: AdminClient<DefaultClientContext> = client(settings, "canbao-admin").create().map_err(TopicError::Request)?;
    partition_counts(&admin).map_err(TopicError::Request)
}

/// A setting of a topic in force; `None` where brokers of that version have none of this name.
///
/// # Errors
/// When the brokers do not answer, or do not tell us.
pub async fn topic_setting(settings: &Settings, topic: &str, name: &str) -> Result<Option<String>, TopicError> {
    setting_in_force(&client(settings, "canbao-admin"), topic, name).await
}

/// [`topic_setting`] of the servers that a client's configuration names.
///
/// # Errors
/// When the brokers do not answer, or do not tell us.
pub async fn setting_in_force(config: &ClientConfig, topic: &str, name: &str) -> Result<Option<String>, TopicError> {
    Ok(settings_in_force(config, &[topic], name).await?.remove(topic))
}

/// A setting of topics, asked once for all of them; without those whose brokers have none of this name.
///
/// # Errors
/// When the brokers do not answer, or do not tell us.
async fn settings_in_force(config: &ClientConfig, topics: &[&str], name: &str) -> Result<BTreeMap<String, String>, TopicError> {
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(TopicError::Request)?;
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let wanted: Vec<ResourceSpecifier<'_>> = topics.iter().copied().map(ResourceSpecifier::Topic).collect();
    let described = admin.describe_configs(&wanted, &options).await.map_err(TopicError::Request)?;
    let mut values = BTreeMap::new();
    // The answers stand in the order of the questions; a refusal does not say whose it is.
    for (topic, resource) in topics.iter().copied().map(str::to_owned).zip(described) {
        match resource {
            Err(code) => return Err(TopicError::Describe { topic, code }),
            Ok(resource) => values.extend(resource.get(name).and_then(|entry| Some((topic, entry.value.clone()?)))),
        }
    }
    Ok(values)
}

fn partition_counts(admin: &AdminClient<DefaultClientContext>) -> Result<BTreeMap<String, usize>, KafkaError> {
    let metadata = admin.inner().fetch_metadata(None, REQUEST_TIMEOUT)?;
    let known = metadata.topics().iter().filter(|topic| topic.error().is_none());
    Ok(known
        .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
        .collect())
}
