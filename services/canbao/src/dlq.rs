//! `dlq`: the dead letters (死信) of the sources, for people: which there are and why, one of them in full, reading them again, removing them.
//!
//! A message that was read several times has as many letters; the last one counts. Nothing here prints a value of a message: a letter's cause
//! never quotes one, and what a letter holds is shown by its structure ([`mask`]).

mod act;
pub mod expire;
pub mod list;
pub mod mask;
pub mod replay;
pub mod show;
mod standing;

use crate::topics;
use anyhow::Context;
use clap::Args;
use domain::date::{Day, Timestamp};
use domain::source::Source;
use rdkafka::message::{BorrowedMessage, Message};
use runtime::config::Settings;
use runtime::debezium::{ErrorClass, Told};
use runtime::kafka::topics::dead_letters;
use runtime::kafka::{TopicNames, admin, offsets, read_range};
use schemas::event::{self, DeadLetter};
use serde::{Serialize, Serializer};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Which letters are meant; without any of these all.
#[derive(Debug, Clone, Default, Args, Serialize)]
pub struct Filter {
    /// Of these sources, such as human-resources.3201
    #[serde(serialize_with = "as_text")]
    pub sources: Vec<Source>,
    /// Of this class, as `canbao dlq list` shows it
    #[arg(long, value_name = "CLASS", value_parser = class)]
    pub class: Option<String>,
    /// Of this table
    #[arg(long, value_name = "TABLE")]
    pub table: Option<String>,
    /// About this column
    #[arg(long, value_name = "COLUMN")]
    pub column: Option<String>,
    /// Written at this time or later: a day (yyyy-mm-dd, from its start in China) or 2026-12-01T08:00:00+08:00
    #[arg(long, value_name = "TIME", value_parser = time)]
    #[serde(serialize_with = "as_time")]
    pub since: Option<Timestamp>,
}

fn as_text<S: Serializer>(sources: &[Source], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(sources.iter().map(Source::to_string))
}

#[expect(clippy::ref_option, reason = "the form serde asks for")]
fn as_time<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.0).serialize(to)
}

fn class(text: &str) -> Result<String, String> {
    let names = || {
        ErrorClass::ALL
            .iter()
            .map(|class| class.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    ErrorClass::from_name(text)
        .map(|class| class.as_str().to_owned())
        .ok_or_else(|| format!("expected one of {}", names()))
}

/// Reads a day, which begins in China, or an instant with its offset.
pub(crate) fn time(text: &str) -> Result<Timestamp, &'static str> {
    let instant = || chrono::DateTime::parse_from_rfc3339(text).map(|time| Timestamp(time.timestamp_millis()));
    text.parse::<Day>()
        .map(Day::start_in_shanghai)
        .or_else(|_| instant())
        .map_err(|_| "expected a day such as 2026-12-01, or an instant such as 2026-12-01T08:00:00+08:00")
}

impl Filter {
    fn wants(&self, letter: &Letter) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted
                .as_deref()
                .is_none_or(|wanted| found.is_some_and(|found| found.eq_ignore_ascii_case(wanted)))
        };
        is(&self.class, Some(&letter.of.error_class))
            && is(&self.table, letter.table.as_deref())
            && is(&self.column, letter.told.column.as_deref())
            && self.since.is_none_or(|since| letter.written >= since)
    }

    /// The sources meant that have dead letters: all, unless some are named.
    fn sources(&self, settings: &Settings) -> anyhow::Result<Vec<Source>> {
        let known = admin::topic_partitions(settings).with_context(|| topics::unreachable_brokers(settings))?;
        let of_topic = |name: &str| name.strip_suffix(".dlq")?.parse::<Source>().ok();
        let there: BTreeSet<Source> = known.keys().filter_map(|name| of_topic(name)).collect();
        let missing = self.sources.iter().find(|source| !there.contains(source));
        if let Some(source) = missing {
            anyhow::bail!(
                "the brokers have no topic {}: its normaliser makes it when it starts",
                dead_letters(*source)
            );
        }
        let wanted = |source: &Source| self.sources.is_empty() || self.sources.contains(source);
        Ok(there.into_iter().filter(wanted).collect())
    }
}

/// A letter as it was found.
pub(crate) struct Letter {
    /// The source in whose dead letters it stands.
    pub source: Source,
    /// The table of its message; `None` when the settings do not take its topic for a source's.
    pub table: Option<String>,
    /// When it was written, by the clock of the normaliser.
    pub written: Timestamp,
    /// What its cause says.
    pub told: Told,
    /// How often its message became a letter.
    pub times: u32,
    /// Itself.
    pub of: DeadLetter,
}

impl Letter {
    fn read(source: Source, names: &TopicNames, message: &BorrowedMessage<'_>) -> Option<Self> {
        let letter: DeadLetter = event::decode(message.payload()?).ok()?;
        Some(Self {
            source,
            table: names.table_of(&letter.topic).map(|(_, table)| table.to_owned()),
            written: Timestamp(message.timestamp().to_millis().unwrap_or(0)),
            told: Told::parse(&letter.message),
            times: 1,
            of: letter,
        })
    }

    /// What `canbao dlq show` takes.
    pub fn name(&self) -> String {
        let DeadLetter {
            topic,
            partition,
            offset,
            ..
        } = &self.of;
        format!("{topic}/{partition}/{offset}")
    }
}

/// Where a letter stands in its topic.
type Place = (i32, i64);

/// The last letter about each message: by topic, partition and offset of that.
type Newest = HashMap<(Arc<str>, i32, u64), (Place, u32)>;

/// Hands the last letter about each message to `take`, as far as they are meant; in the order in which they were written. Returns how many
/// entries of the topics are no letters. Blocks.
///
/// # Errors
/// When a source has no dead letters' topic, or the brokers do not answer.
pub(crate) fn each(settings: &Settings, filter: &Filter, mut take: impl FnMut(Letter)) -> anyhow::Result<u64> {
    let consumer = topics::range_reader(settings)?;
    let names = &settings.topics.sources;
    let mut foreign = 0;
    for source in filter.sources(settings)? {
        let topic = dead_letters(source);
        let mut held = Vec::new();
        for partition in offsets::partitions(&consumer, &topic).with_context(|| topics::unreachable_brokers(settings))? {
            let found = offsets::watermarks(&consumer, &topic, partition);
            held.push((
                partition,
                found.with_context(|| format!("reading the range of {topic}/{partition}"))?,
            ));
        }
        let read = |take: &mut dyn FnMut(Place, &BorrowedMessage<'_>)| -> anyhow::Result<()> {
            for (partition, held) in &held {
                read_range(&consumer, &topic, *partition, held.low, held.high, |message| {
                    take((*partition, message.offset()), message);
                })?;
            }
            Ok(())
        };
        // Twice, since what is kept of each letter in between is its place, and not what it holds.
        let mut newest = Newest::new();
        let mut spelled: BTreeSet<Arc<str>> = BTreeSet::new();
        read(&mut |place, message| match Letter::read(source, names, message) {
            None => foreign += 1,
            Some(found) => {
                let DeadLetter {
                    topic,
                    partition,
                    offset,
                    ..
                } = found.of;
                let topic = spelled.get(topic.as_str()).cloned().unwrap_or_else(|| {
                    let topic: Arc<str> = topic.into();
                    spelled.insert(topic.clone());
                    topic
                });
                let kept = newest.entry((topic, partition, offset)).or_insert((place, 0));
                *kept = (place, kept.1 + 1);
            }
        })?;
        read(&mut |place, message| {
            let Some(mut found) = Letter::read(source, names, message) else {
                return;
            };
            let key = (found.of.topic.as_str().into(), found.of.partition, found.of.offset);
            let Some((last, times)) = newest.get(&key) else { return };
            found.times = *times;
            if *last == place && filter.wants(&found) {
                take(found);
            }
        })?;
    }
    Ok(foreign)
}

/// What is said of entries that are no letters.
fn said_of_foreign(foreign: u64) -> String {
    if foreign == 0 {
        return String::new();
    }
    format!("{foreign} entries of the topics of dead letters are none, and are left out: somebody else writes there\n")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A letter of the payments of one city.
    pub(crate) fn letter(offset: u64, message: &str, value: &str) -> Letter {
        let source: Source = "human-resources.3201".parse().expect("a source");
        let letter = DeadLetter {
            topic: "human-resources.3201.public.ac02".to_owned(),
            partition: 0,
            offset,
            timestamp: Timestamp(1),
            error_class: message.split([' ', ':']).next().unwrap_or_default().to_owned(),
            message: message.to_owned(),
            attempt: 1,
            service: "human-resources".to_owned(),
            service_version: "0.1.0".to_owned(),
            key: Some(br#"{"baz001":1}"#.to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: Vec::new(),
        };
        Letter {
            source,
            table: Some("ac02".to_owned()),
            written: Timestamp(100),
            told: Told::parse(message),
            times: 1,
            of: letter,
        }
    }

    #[test]
    fn letters_are_chosen_by_what_they_tell() {
        let found = letter(
            7,
            "unknown-code in column aae140: expected a code of table scheme, found 777",
            "{}",
        );
        let of = |class: Option<&str>, table: Option<&str>, column: Option<&str>, since: Option<i64>| Filter {
            sources: Vec::new(),
            class: class.map(str::to_owned),
            table: table.map(str::to_owned),
            column: column.map(str::to_owned),
            since: since.map(Timestamp),
        };
        for wanted in [
            Filter::default(),
            of(Some("unknown-code"), Some("AC02"), Some("aae140"), Some(100)),
        ] {
            assert!(wanted.wants(&found), "{wanted:?}");
        }
        for other in [
            of(Some("not-json"), None, None, None),
            of(None, Some("ac60"), None, None),
            of(None, None, Some("aac004"), None),
            of(None, None, None, Some(101)),
        ] {
            assert!(!other.wants(&found), "{other:?}");
        }
        assert_eq!(found.name(), "human-resources.3201.public.ac02/0/7");
    }

    #[test]
    fn times_are_days_of_china_or_instants() {
        assert_eq!(time("1970-01-02"), Ok(Timestamp(16 * 3_600_000)));
        assert_eq!(time("1970-01-01T08:00:01+08:00"), Ok(Timestamp(1_000)));
        assert!(time("yesterday").is_err());
    }
}
