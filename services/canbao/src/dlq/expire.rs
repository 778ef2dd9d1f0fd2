//! `dlq expire`: old dead letters are removed from their topic.
//!
//! A topic can only lose its beginning, so that no filter applies: letters go from the first on, up to the first that has to stay. One stays
//! that was written at the time named or later, and one whose message its source topic still holds: `canbao verify` would find that message
//! nowhere, and what the letter says of somebody stands in the source topic all the same. Nor is a snapshot misled that counts letters of
//! rows which nobody could read: it looks at positions that the topic holds.

use super::act::Act;
use super::standing::{self, Known, Topics};
use super::{Filter, Letter};
use crate::output::local_time;
use crate::topics;
use anyhow::Context;
use domain::date::Timestamp;
use domain::source::Source;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use runtime::config::Settings;
use runtime::kafka::topics::dead_letters;
use runtime::kafka::{client, offsets, read_range};
use serde::Serialize;
use sqlx::PgPool;
use std::collections::BTreeMap;

/// What was removed.
#[derive(Debug, Serialize)]
pub struct Expired {
    /// The topic.
    pub topic: String,
    /// Letters that were removed, and entries that were none.
    pub removed: u64,
    /// Entries that stay.
    pub left: u64,
    /// Why the first of them stays; `None` when none does.
    pub stays: Option<String>,
}

/// First offset that each source topic's partition still holds.
type Lows = BTreeMap<(String, i32), i64>;

/// Why a letter has to stay; `None` when it may go.
fn stays(letter: &Letter, before: Timestamp, topics: &Topics, lows: &Lows) -> Option<String> {
    if letter.written >= before {
        return Some(format!("{} was written {}", letter.name(), local_time(letter.written)));
    }
    let is_of_other = |known: &Known| known.topic.replaced_by.is_some() || standing::is_of_former_topic(letter, known);
    let of = &letter.of;
    let low = lows.get(&(of.topic.clone(), of.partition))?;
    let is_held = of.offset as i64 >= *low && !topics.get(&of.topic).is_some_and(is_of_other);
    is_held.then(|| {
        format!(
            "the source topic still holds the message of {}: its letter goes once that has gone",
            letter.name()
        )
    })
}

/// Removes the oldest letters of a source.
///
/// # Errors
/// When it has no dead letters' topic, no reason is given, or brokers or store do not answer.
pub async fn expire(settings: &Settings, pool: &PgPool, source: Source, before: Timestamp, why: &str) -> anyhow::Result<Expired> {
    let filter = Filter {
        sources: vec![source],
        ..Filter::default()
    };
    let known = standing::recorded(pool).await?;
    let topic = dead_letters(source);
    let found = tokio::task::block_in_place(|| look(settings, &filter, source, before, &known))?;
    let removed = found.removed;
    if removed > 0 {
        let act = Act::begin(pool, "expire", &filter, Some(before), why).await?;
        let admin: AdminClient<DefaultClientContext> = client(settings, "canbao")
            .create()
            .context("making a client of the brokers")?;
        let deleted = admin.delete_records(&found.ends, &AdminOptions::new()).await;
        let deleted = deleted.with_context(|| format!("removing the oldest of {topic}"))?;
        for partition in deleted.elements() {
            partition.error().with_context(|| format!("removing the oldest of {topic}"))?;
        }
        act.end(pool, removed).await?;
    }
    Ok(Expired {
        topic,
        removed,
        left: found.left,
        stays: found.stays,
    })
}

/// What may go.
struct Found {
    ends: TopicPartitionList,
    removed: u64,
    left: u64,
    stays: Option<String>,
}

fn look(settings: &Settings, filter: &Filter, source: Source, before: Timestamp, known: &Topics) -> anyhow::Result<Found> {
    filter.sources(settings)?;
    let topic = dead_letters(source);
    let consumer = topics::range_reader(settings)?;
    let failed = || topics::unreachable_brokers(settings);
    let present = offsets::all_topics(&consumer).with_context(failed)?;
    let names = &settings.topics.sources;
    let of_source = present
        .iter()
        .filter(|(name, _)| names.table_of(name).is_some_and(|(of, _)| of == source))
        .flat_map(|(name, partitions)| partitions.iter().map(|partition| (name.clone(), *partition)));
    let of_source: Vec<(String, i32)> = of_source.collect();
    let held = offsets::watermarks_of(&consumer, &of_source).with_context(failed)?;
    let lows: Lows = held.into_iter().map(|(partition, held)| (partition, held.low)).collect();
    let mut found = Found {
        ends: TopicPartitionList::new(),
        removed: 0,
        left: 0,
        stays: None,
    };
    for partition in present.get(&topic).into_iter().flatten() {
        let held = offsets::watermarks(&consumer, &topic, *partition).with_context(failed)?;
        let (mut end, mut why) = (held.low, None);
        read_range(&consumer, &topic, *partition, held.low, held.high, |message| {
            if why.is_some() {
                found.left += 1;
                return;
            }
            why = match Letter::read(source, names, message) {
                Some(letter) => stays(&letter, before, known, &lows),
                // Somebody else's entry is removed by its age alone.
                None => (message.timestamp().to_millis().unwrap_or(0) >= before.0)
                    .then(|| format!("an entry that is no letter, at {}, is newer", message.offset())),
            };
            if why.is_some() {
                found.left += 1;
            } else {
                found.removed += 1;
                end = message.offset() + 1;
            }
        })?;
        found.stays = found.stays.take().or(why);
        if end > held.low {
            found.ends.add_partition_offset(&topic, *partition, Offset::Offset(end))?;
        }
    }
    Ok(found)
}

/// The removal as text.
pub fn render(expired: &Expired) -> String {
    let Expired {
        topic,
        removed,
        left,
        stays,
    } = expired;
    let why = stays
        .as_ref()
        .map_or_else(String::new, |why| format!(", from the first that has to: {why}"));
    format!("{topic}: {removed} dead letters removed, {left} stay{why}\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::letter;
    use super::*;
    use runtime::normaliser::source_topic::SourceTopic;

    #[test]
    fn what_the_books_need_stays() {
        let letter = letter(7, "not-json: expected JSON", "");
        let name = letter.of.topic.clone();
        let topics = |restarted: Option<i64>| {
            let topic = SourceTopic::first(&name, (letter.source, "ac02"), 1);
            let restarted = restarted.map(Timestamp);
            Topics::from([(name.clone(), Known { topic, restarted })])
        };
        let lows = |low: i64| Lows::from([((name.clone(), 0), low)]);
        let goes = |before: i64, restarted: Option<i64>, low: i64| {
            stays(&letter, Timestamp(before), &topics(restarted), &lows(low)).is_none()
        };
        // The letter was written at 100.
        assert!(!goes(100, None, 8), "too new");
        assert!(goes(101, None, 8));
        assert!(!goes(101, None, 7), "its message is still there");
        assert!(goes(101, Some(100), 0), "its message was of a former topic");
        assert!(
            stays(&letter, Timestamp(101), &topics(None), &Lows::new()).is_none(),
            "its topic is gone"
        );
    }
}
