//! What stands in the topics that the publisher writes, read committed from their beginning, a partition at a time, and brought into
//! temporary tables; [`super::told`] and [`super::registry`] compare them there.
//!
//! The store goes on while it is verified, and so do the topics: what was published after the snapshot of the store was taken may be newer
//! than it. Three stages keep that apart, see [`Stage`].

use super::compare::{Problems, TableReport};
use super::expected::Sheet;
use super::{outbox, registry, told};
use crate::cursor::Cursor;
use crate::topics::{self, Reader};
use anyhow::Context;
use domain::division::City;
use domain::finding::AlertKind;
use domain::ids::IdKey;
use domain::shard::Shard;
use indicatif::ProgressBar;
use rdkafka::consumer::Consumer;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use runtime::config::Settings;
use runtime::kafka::offsets::{self, Watermarks};
use runtime::kafka::topics::{FINDINGS, PERSON_REGISTRY};
use runtime::kafka::{REQUEST_TIMEOUT, read_range};
use runtime::outbox::Header;
use runtime::outbox::positions::TOPIC as POSITIONS;
use runtime::store::read::StoredShard;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, Row};
use std::collections::BTreeMap;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

/// Rows gathered before they are sent to the database.
const GATHERED: usize = 20_000;

/// When something was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Before the snapshot of the store: the store knows of it.
    Before = 0,
    /// Since: the store may be older.
    Since = 1,
    /// Not yet, as far as the snapshot says: it stands in the outbox.
    Queued = 2,
}

impl Stage {
    pub(super) fn of(code: i16) -> Option<Self> {
        [Self::Before, Self::Since, Self::Queued]
            .into_iter()
            .find(|stage| *stage as i16 == code)
    }
}

/// A message of such a topic, wherever it stands.
pub(super) struct Record<'a> {
    pub topic: &'a str,
    /// Partition, or shard of the outbox.
    pub part: i32,
    /// Offset, or sequence in the outbox.
    pub at: i64,
    pub stage: Stage,
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
    pub headers: Vec<Header>,
}

impl Record<'_> {
    pub(super) fn place(&self) -> String {
        match self.stage {
            Stage::Queued => format!("store.outbox {}/{}", self.part, self.at),
            Stage::Before | Stage::Since => format!("{}/{}@{}", self.topic, self.part, self.at),
        }
    }
}

/// A digest that tells equal from different.
pub(super) fn digest(bytes: &[u8]) -> [u8; 16] {
    let mut digest = [0; 16];
    digest.copy_from_slice(&Sha256::digest(bytes)[..16]);
    digest
}

/// What the partitions of the publisher's topics hold at a moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends(BTreeMap<(String, i32), Watermarks>);

impl Ends {
    /// Asks the brokers.
    ///
    /// # Errors
    /// When they do not answer.
    pub(super) fn read(settings: &Settings, consumer: &Reader) -> anyhow::Result<Self> {
        let failed = || topics::unreachable_brokers(settings);
        let metadata = consumer.fetch_metadata(None, REQUEST_TIMEOUT).with_context(failed)?;
        let mut ends = BTreeMap::new();
        for topic in metadata.topics().iter().filter(|topic| is_published(topic.name())) {
            for partition in topic.partitions() {
                let held = offsets::watermarks(consumer, topic.name(), partition.id()).with_context(failed)?;
                ends.insert((topic.name().to_owned(), partition.id()), held);
            }
        }
        Ok(Self(ends))
    }

    /// Whether an offset was there then.
    fn had(&self, place: &(String, i32), offset: i64) -> bool {
        self.0.get(place).is_some_and(|held| offset < held.high)
    }
}

fn is_published(topic: &str) -> bool {
    [FINDINGS, PERSON_REGISTRY, POSITIONS].contains(&topic) || alerts_of(topic).is_some()
}

/// What `alerts.<kind>.<city>` is about; `None` for any other topic.
pub(super) fn alerts_of(topic: &str) -> Option<(AlertKind, City)> {
    let (kind, city) = topic.strip_prefix("alerts.")?.split_once('.')?;
    Some((AlertKind::from_name(kind)?, city.parse().ok()?))
}

/// Where what is read goes.
struct Sinks<'a> {
    told: told::Sink<'a>,
    registry: registry::Sink,
    positions: outbox::Positions,
}

impl Sinks<'_> {
    fn take(&mut self, record: &Record<'_>) {
        match record.topic {
            FINDINGS => self.told.state(record),
            PERSON_REGISTRY => self.registry.take(record),
            POSITIONS => self.positions.take(record),
            _ => self.told.alert(record),
        }
    }

    fn sheets(&mut self) -> [&mut Sheet; 3] {
        let [states, alerts] = self.told.sheets();
        [states, alerts, self.registry.sheet()]
    }

    async fn send(&mut self, connection: &mut PgConnection) -> anyhow::Result<()> {
        for sheet in self.sheets() {
            sheet.send(connection).await?;
        }
        Ok(())
    }

    fn is_full(&mut self) -> bool {
        self.sheets().iter().any(|sheet| sheet.rows.len() >= GATHERED)
    }
}

/// What a comparison of the topics rests on.
pub(super) struct Fold<'a> {
    pub settings: &'a Settings,
    pub key: &'a IdKey,
    /// The ends before the snapshot was taken.
    pub before: &'a Ends,
    pub shards: &'a [StoredShard],
    pub show: u32,
    pub progress: &'a ProgressBar,
}

impl Fold<'_> {
    /// Reads all of it and compares: one report a topic.
    ///
    /// # Errors
    /// When brokers or store do not answer.
    pub(super) async fn compare(&self, connection: &mut PgConnection) -> anyhow::Result<Vec<TableReport>> {
        let mut sinks = Sinks {
            told: told::Sink::new(self.key, self.show),
            registry: registry::Sink::new(self.show),
            positions: outbox::Positions::new(self.show),
        };
        for statement in told::TABLES.iter().chain(registry::TABLES) {
            sqlx::query(*statement)
                .execute(&mut *connection)
                .await
                .context("making temporary tables for the topics")?;
        }
        self.topics(connection, &mut sinks).await?;
        self.queued(connection, &mut sinks).await?;
        let mut reports = sinks.told.compare(connection).await?;
        reports.push(sinks.registry.compare(connection, self.show).await?);
        reports.push(sinks.positions.compare(connection, self.shards).await?);
        Ok(reports)
    }

    async fn topics(&self, connection: &mut PgConnection, sinks: &mut Sinks<'_>) -> anyhow::Result<()> {
        let consumer = topics::range_reader(self.settings)?;
        let now = block_in_place(|| Ends::read(self.settings, &consumer))?;
        self.progress.set_length(now.0.len() as u64);
        for (place, held) in &now.0 {
            let (topic, partition) = place;
            if alerts_of(topic).is_some() && held.low > 0 {
                sinks.told.begins_late(topic, *partition, held.low);
            }
            let mut sent = Ok(());
            block_in_place(|| {
                read_range(&consumer, topic, *partition, held.low, held.high, |message| {
                    sinks.take(&record(topic, self.before.had(place, message.offset()), message));
                    if sent.is_ok() && sinks.is_full() {
                        sent = Handle::current().block_on(sinks.send(connection));
                    }
                })
            })?;
            sent?;
            sinks.told.partition_ends();
            sinks.registry.partition_ends();
            sinks.send(connection).await?;
            self.progress.inc(1);
        }
        Ok(())
    }

    /// What stands in the outbox of the snapshot.
    async fn queued(&self, connection: &mut PgConnection, sinks: &mut Sinks<'_>) -> anyhow::Result<()> {
        let query = "select shard, sequence, topic, key, headers, value from store.outbox order by shard, sequence";
        let cursor = Cursor::open(connection, "verify_outbox", "the outbox", query).await?;
        loop {
            let rows = cursor.page(connection).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let topic: &str = row.try_get("topic")?;
                let headers = row.try_get::<Option<&[u8]>, _>("headers")?.map(runtime::outbox::decode);
                let (part, at) = (i32::from(row.try_get::<i16, _>("shard")?), row.try_get("sequence")?);
                sinks.positions.queued(part, at);
                if !is_published(topic) || topic == POSITIONS {
                    sinks.positions.stray(part, at);
                    continue;
                }
                sinks.take(&Record {
                    topic,
                    part,
                    at,
                    stage: Stage::Queued,
                    key: row.try_get("key")?,
                    value: row.try_get("value")?,
                    headers: headers.and_then(Result::ok).unwrap_or_default(),
                });
            }
            sinks.told.partition_ends();
            sinks.registry.partition_ends();
            sinks.send(connection).await?;
        }
        cursor.close(connection).await
    }
}

fn record<'a>(topic: &'a str, before: bool, message: &'a BorrowedMessage<'_>) -> Record<'a> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), text(header.value.unwrap_or_default())))
            .collect()
    });
    Record {
        topic,
        part: message.partition(),
        at: message.offset(),
        stage: if before { Stage::Before } else { Stage::Since },
        key: message.key().unwrap_or_default(),
        value: message.payload(),
        headers,
    }
}

/// A shard's number as stored.
pub(super) fn shard_of(number: i32) -> Option<Shard> {
    u8::try_from(number).ok().and_then(Shard::new)
}

/// A note of a message that cannot be read.
pub(super) fn unreadable(problems: &mut Problems, record: &Record<'_>) {
    problems.note(record.place(), "cannot be read");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_told_apart() {
        assert!(is_published("findings") && is_published("person.registry") && is_published("publisher.positions"));
        assert!(alerts_of("alerts.unenrolled.3201").is_some());
        for other in [
            "alerts.unenrolled",
            "alerts.nothing.3201",
            "alerts.unenrolled.1101",
            "person.records",
        ] {
            assert!(!is_published(other), "{other}");
        }
    }

    #[test]
    fn what_was_there_at_the_mark_is_before_it() {
        let place = ("findings".to_owned(), 0);
        let ends = Ends(BTreeMap::from([(place.clone(), Watermarks { low: 0, high: 5 })]));
        assert!(ends.had(&place, 4) && !ends.had(&place, 5));
        assert!(!Ends::default().had(&place, 0), "a topic that appeared since");
    }
}
