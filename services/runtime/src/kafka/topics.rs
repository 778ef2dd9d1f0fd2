//! Names and shapes of the topics this system owns. Source topics belong to the agencies ([`TopicNames`](super::TopicNames)).

use crate::config::TopicSettings;
use crate::limits::{LARGEST_MESSAGE, TOPIC_TAKES};
use domain::division::City;
use domain::finding::AlertKind;
use domain::shard::SHARDS;
use domain::source::Source;
use schemas::registry::alert_topic;

/// The input of the base: one partition per shard, for ever.
pub const PERSON_RECORDS: &str = "person.records";
/// State of every announced finding, compacted.
pub const FINDINGS: &str = "findings";
/// State of every person, compacted.
pub const PERSON_REGISTRY: &str = "person.registry";

/// The dead letters of a source: `human-resources.3201.dlq`.
pub fn dead_letters(source: Source) -> String {
    format!("{source}.dlq")
}

/// The consumer group of a normaliser in one region: `canbao.human-resources.3201`.
pub fn normaliser_group(source: Source) -> String {
    format!("canbao.{source}")
}

/// The shape of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Partitions when created.
    pub partitions: u16,
    /// An existing topic with fewer partitions is unusable.
    pub partitions_required: bool,
    /// Broker-side settings when created.
    pub config: Vec<(&'static str, String)>,
}

impl TopicSpec {
    fn new(name: impl Into<String>, partitions: u16) -> Self {
        Self {
            name: name.into(),
            partitions,
            partitions_required: false,
            config: Vec::new(),
        }
    }

    /// Nothing is ever removed.
    fn kept(mut self) -> Self {
        self.config.extend([
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", "-1".to_owned()),
            ("retention.bytes", "-1".to_owned()),
        ]);
        self
    }

    /// The last value of each key is kept.
    fn compacted(mut self) -> Self {
        self.config.push(("cleanup.policy", "compact".to_owned()));
        self
    }
}

/// `person.records`: the shards' inputs.
pub fn person_records() -> TopicSpec {
    let mut spec = TopicSpec::new(PERSON_RECORDS, u16::from(SHARDS)).kept();
    spec.partitions_required = true;
    // The shards' order and time are the broker's: producers' clocks are not comparable.
    spec.config.push((super::admin::TIMESTAMP_TYPE, "LogAppendTime".to_owned()));
    // No entry is larger, and who writes a larger one is not us: it is refused at the door.
    spec.config.push(("max.message.bytes", LARGEST_MESSAGE.to_string()));
    spec
}

/// The dead letters of a source; a message of a source is kept whole as long as it is not absurdly large.
pub fn dead_letter_topic(source: Source) -> TopicSpec {
    let mut spec = TopicSpec::new(dead_letters(source), 1).kept();
    spec.config.push(("max.message.bytes", TOPIC_TAKES.to_string()));
    spec
}

/// What the publisher writes: alerts by kind and city, findings, persons.
pub fn published(settings: &TopicSettings) -> Vec<TopicSpec> {
    let alert = |(kind, city): (&AlertKind, City)| TopicSpec::new(alert_topic(*kind, city), settings.alert_partitions).kept();
    AlertKind::ALL
        .iter()
        .flat_map(|kind| City::all().map(move |city| (kind, city)))
        .map(alert)
        .chain([FINDINGS, PERSON_REGISTRY].map(|name| TopicSpec::new(name, settings.state_partitions).compacted()))
        .map(|mut spec| {
            // A person with thousands of enrolments must not stop everybody's alerts.
            spec.config.push(("max.message.bytes", TOPIC_TAKES.to_string()));
            spec
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_agency_and_city() {
        let source: Source = "human-resources.3201".parse().expect("a source");
        assert_eq!(dead_letters(source), "human-resources.3201.dlq");
        assert!("human-resources.3301".parse::<Source>().is_err());
        assert_eq!(
            alert_topic(AlertKind::DoubleEnrolled, City::PROVINCE),
            "alerts.double-enrolled.3200"
        );
        assert_eq!(published(&TopicSettings::default()).len(), 4 * 14 + 2);
    }
}
