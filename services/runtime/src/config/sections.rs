//! The settings of single services.

use super::lists::{ShardSet, SourceScope};
use crate::kafka::{NotificationNames, TopicNames};
use domain::source::Agency;
use serde::{Deserialize, Serialize};

/// Collects problems: whether something holds, and what to say when it does not.
type Require<'a> = dyn FnMut(bool, &str) + 'a;

/// Topics: which are the sources', and how this system creates its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicSettings {
    /// Templates of the names of source topics, of which the first that fits a topic counts. Parts are text, `*`, `{agency}`, `{city}` and
    /// `{table}`; what a name does not say stands beside it: `{ topic = "dc1.hr.*.{table}", agency = "human-resources", city = "3206" }`.
    /// In the environment templates separated by commas, or the array as in TOML. All services need the same.
    pub sources: TopicNames,
    /// Templates of the topics that hold connectors' notifications (`notification.sink.topic.name`), written as those of `sources` and without
    /// `{table}`; best names that no template of `sources` fits, else the dialect lists them under `ignored`.
    pub notifications: NotificationNames,
    /// Replicas of every topic; with three or more, two must be in sync for a write.
    pub replication: u16,
    /// Partitions of each alert topic.
    pub alert_partitions: u16,
    /// Partitions of `findings` and `person.registry`.
    pub state_partitions: u16,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self {
            sources: TopicNames::default(),
            notifications: NotificationNames::default(),
            replication: 1,
            alert_partitions: 1,
            state_partitions: 16,
        }
    }
}

impl TopicSettings {
    pub(super) fn check(&self, require: &mut Require<'_>) {
        require(self.replication > 0, "topics.replication: must be at least 1");
        require(self.alert_partitions > 0, "topics.alert_partitions: must be at least 1");
        require(self.state_partitions > 0, "topics.state_partitions: must be at least 1");
    }
}

/// Settings of the normalisers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NormaliserSettings {
    /// The agencies that the service `agencies` serves, by name; the three with a service of their own are served there.
    #[serde(with = "super::lists::agencies")]
    pub agencies: Vec<Agency>,
    /// Source messages a second this process takes from its agency, all regions together; none by default.
    pub rate_per_second: Option<u32>,
    /// Messages in flight for one region at most; also the largest batch between two commits.
    pub batch_rows: u32,
    /// Longest time a batch is filled before its offsets are committed, in milliseconds. Rows are sent on at once, whatever it is;
    /// completeness waits for the commit, and each one costs the broker as much as some rows.
    pub batch_millis: u32,
    /// Prefetched kilobytes of each region's consumer (`queued.max.messages.kbytes`).
    pub queue_kbytes: u32,
    /// Share of dead letters among a source's last messages above which the source is held, 0 to 1; 1 never holds.
    pub dead_letter_share: f64,
    /// How many of the last messages count.
    pub dead_letter_window: u32,
    /// Dead letters among them below which nothing is held, so that a quiet source is not stopped by one bad row.
    pub dead_letter_minimum: u32,
    /// How often new topics are looked for, in milliseconds. Each region's consumer then asks for all topics of the cluster: at 2 s,
    /// 39 regions took a thirtieth of two cores.
    pub topic_refresh_millis: u32,
    /// How often `source_topic` is read for statements of the operator, in milliseconds.
    pub accept_refresh_millis: u32,
}

impl Default for NormaliserSettings {
    fn default() -> Self {
        Self {
            agencies: Vec::new(),
            rate_per_second: None,
            batch_rows: 10_000,
            batch_millis: 100,
            queue_kbytes: 2048,
            dead_letter_share: 0.05,
            dead_letter_window: 2000,
            dead_letter_minimum: 50,
            topic_refresh_millis: 10_000,
            accept_refresh_millis: 2000,
        }
    }
}

impl NormaliserSettings {
    pub(super) fn check(&self, require: &mut Require<'_>) {
        require(
            self.rate_per_second != Some(0),
            "normaliser.rate_per_second: must be at least 1, or left out for no limit",
        );
        require(
            (1..=100_000).contains(&self.batch_rows),
            "normaliser.batch_rows: must be 1 to 100000",
        );
        require(
            (1..=10_000).contains(&self.batch_millis),
            "normaliser.batch_millis: must be 1 to 10000",
        );
        require(
            (64..=1_048_576).contains(&self.queue_kbytes),
            "normaliser.queue_kbytes: must be 64 to 1048576",
        );
        require(
            (0.0..=1.0).contains(&self.dead_letter_share),
            "normaliser.dead_letter_share: must be 0 to 1",
        );
        require(
            self.dead_letter_window > 0 && self.dead_letter_minimum <= self.dead_letter_window,
            "normaliser.dead_letter_minimum: must not exceed normaliser.dead_letter_window, which must be at least 1",
        );
        require(
            self.topic_refresh_millis >= 100,
            "normaliser.topic_refresh_millis: must be at least 100",
        );
        require(
            self.accept_refresh_millis >= 100,
            "normaliser.accept_refresh_millis: must be at least 100",
        );
    }
}

/// Settings of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrySettings {
    /// Inputs of one transaction at most. More do not make PostgreSQL faster, and all that they touch has to be in memory.
    pub batch_rows: u32,
    /// Longest time a batch is filled, in milliseconds.
    pub batch_millis: u32,
    /// Writers with disjoint shards, each with its own connection.
    pub writers: u16,
    /// Shards this process serves.
    pub shards: ShardSet,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            batch_rows: 5_000,
            batch_millis: 20,
            writers: 2,
            shards: ShardSet::default(),
        }
    }
}

impl RegistrySettings {
    pub(super) fn check(&self, require: &mut Require<'_>) {
        require(
            (1..=1_000_000).contains(&self.batch_rows),
            "registry.batch_rows: must be 1 to 1000000",
        );
        require(
            (1..=10_000).contains(&self.batch_millis),
            "registry.batch_millis: must be 1 to 10000",
        );
        require((1..=64).contains(&self.writers), "registry.writers: must be 1 to 64");
    }
}

/// Settings of the publisher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublisherSettings {
    /// Outbox rows of one Kafka transaction at most.
    pub batch_rows: u32,
    /// Time from one look at the outbox to the next while no backlog waits, in milliseconds: at most one Kafka transaction in it.
    pub idle_millis: u32,
    /// Shards this process publishes.
    pub shards: ShardSet,
    /// Transactional id: fences an older process of the same share of shards. Processes with different shares need different ones.
    pub transactional_id: String,
}

impl Default for PublisherSettings {
    fn default() -> Self {
        Self {
            batch_rows: 5_000,
            idle_millis: 30,
            shards: ShardSet::default(),
            transactional_id: "canbao-publisher".into(),
        }
    }
}

impl PublisherSettings {
    pub(super) fn check(&self, require: &mut Require<'_>) {
        require(
            (2..=100_000).contains(&self.batch_rows),
            "publisher.batch_rows: must be 2 to 100000",
        );
        require(
            (1..=60_000).contains(&self.idle_millis),
            "publisher.idle_millis: must be 1 to 60000",
        );
        require(
            !self.transactional_id.is_empty(),
            "publisher.transactional_id: must not be empty",
        );
    }
}

/// Where the business date (业务日期) comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BusinessDateSource {
    /// The calendar day in China, by the clock service's own clock.
    #[default]
    Wall,
    /// Only the operator's statements, as simulations and tests need.
    Manual,
}

/// How the clock knows that a source's first full snapshot (首次全量快照) has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstSnapshot {
    /// A completeness row that was streamed shows it, since connectors stream after their initial snapshot. Where the first load is an
    /// incremental snapshot no row does: the operator states it (`canbao source snapshot-passed`), or the connector's notification.
    #[default]
    Prove,
    /// It has, for sources whose connector reads no snapshot.
    Assume,
}

/// What must have arrived before a completeness row (完整性行) shows that everything committed before its time has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowsHold {
    /// The next row of the source: an at-least-once connector may see a row appended before what it sent ahead of it to another
    /// partition. What it sends must be appended within an interval of its heartbeats.
    #[default]
    WithTheNext,
    /// Nothing else: every connector sees what it sends appended in the order of the source's commits, as with
    /// `exactly.once.source.support`, so that a row is visible only after everything before it.
    AtOnce,
}

/// Settings of the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockSettings {
    /// Interval between two statements of completeness, in milliseconds.
    pub interval_millis: u32,
    /// What must have arrived before a completeness row holds.
    pub rows_hold: RowsHold,
    /// How often the records of a pass may cause messages between shards that cause further ones: so often a pass waits for
    /// positions and message outboxes.
    pub hops: u8,
    /// How the clock knows that a source's first full snapshot has passed.
    pub first_snapshot: FirstSnapshot,
    /// Where the business date comes from.
    pub business_date: BusinessDateSource,
    /// Sources in scope.
    pub sources: SourceScope,
}

impl Default for ClockSettings {
    fn default() -> Self {
        Self {
            interval_millis: 300,
            rows_hold: RowsHold::default(),
            hops: 9,
            first_snapshot: FirstSnapshot::default(),
            business_date: BusinessDateSource::default(),
            sources: SourceScope::default(),
        }
    }
}

impl ClockSettings {
    pub(super) fn check(&self, require: &mut Require<'_>) {
        require(
            (10..=3_600_000).contains(&self.interval_millis),
            "clock.interval_millis: must be 10 to 3600000",
        );
        require((1..=16).contains(&self.hops), "clock.hops: must be 1 to 16");
    }
}
