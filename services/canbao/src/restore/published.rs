//! What subscribers have, and where the logs end: read from the topics.

use crate::reread::{Wanted, reread};
use crate::topics::{self, Reader};
use anyhow::Context;
use domain::batch::PersonKey;
use domain::date::Timestamp;
use domain::input::{Control, Input};
use domain::shard::Shard;
use domain::source::{Source, TableName};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use registry::restore::Published;
use runtime::config::Settings;
use runtime::kafka::offsets::{partitions, watermarks};
use runtime::kafka::topics::{FINDINGS, PERSON_RECORDS, PERSON_REGISTRY};
use runtime::outbox::{PLACE, place_of};
use schemas::event::{self, FindingState};
use std::collections::BTreeMap;

/// Reads `findings` and `person.registry` to their ends.
///
/// # Errors
/// When the brokers do not answer, or a message is not one of ours.
pub(super) fn read(settings: &Settings) -> anyhow::Result<Published> {
    let reader = topics::reader(settings)?;
    let mut published = Published::default();
    whole(&reader, settings, FINDINGS, |message| {
        let place = message.headers().and_then(place_named);
        let (shard, anchor) = place.with_context(|| format!("its header `{PLACE}` names no place in the base"))?;
        let Some(value) = message.payload() else { return Ok(()) };
        let state: FindingState = event::decode(value)?;
        let told = state.told();
        let key = ((shard, anchor, told.person), told.finding.about());
        published.told.insert(key, told);
        Ok(())
    })?;
    whole(&reader, settings, PERSON_REGISTRY, |message| {
        let key = message.key().and_then(person_key).context("its key names no person")?;
        if message.payload().is_some() {
            published.states.insert(key);
        } else {
            published.states.remove(&key);
        }
        Ok(())
    })?;
    Ok(published)
}

fn place_named(headers: &rdkafka::message::BorrowedHeaders) -> Option<(Shard, domain::ids::AnchorId)> {
    let header = headers.iter().find(|header| header.key == PLACE)?;
    place_of(std::str::from_utf8(header.value?).ok()?)
}

/// `<person>.<shard>.<neighbourhood>`.
fn person_key(key: &[u8]) -> Option<PersonKey> {
    let (person, place) = std::str::from_utf8(key).ok()?.split_once('.')?;
    let (shard, anchor) = place_of(place)?;
    Some((shard, anchor, person.parse().ok()?))
}

/// Hands every message of a topic to `take`, in order per partition.
fn whole(
    reader: &Reader,
    settings: &Settings,
    topic: &str,
    mut take: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let failed = || topics::unreachable_brokers(settings);
    let mut wanted = Vec::new();
    for partition in partitions(reader, topic).with_context(failed)? {
        let held = watermarks(reader, topic, partition).with_context(failed)?;
        wanted.push(Wanted {
            topic,
            partition,
            offsets: held.low..held.high,
        });
    }
    let mut taken = Ok(());
    reread(reader, &wanted, |_, message| {
        if taken.is_ok() {
            taken = take(message).with_context(|| format!("{topic}/{}@{}", message.partition(), message.offset()));
        }
    })?;
    taken
}

/// What the logs say that the base has not applied.
pub(super) struct Tail {
    /// When the newest entry was appended.
    pub(super) newest: Timestamp,
    /// The highest number of a decision's statement.
    pub(super) statement: i64,
    /// The highest epoch of each table's positions.
    pub(super) epochs: BTreeMap<(Source, TableName), u16>,
}

impl Tail {
    fn take(&mut self, input: Input) {
        match input {
            Input::Change(change) => {
                let (source, table) = change.origin();
                self.see((source, table.clone()), change.version().epoch);
            }
            Input::Entity(entity) => self.see((entity.source, entity.table), entity.version.epoch),
            Input::Control(Control::Decide(domain::decision::Decision { id, .. }) | Control::Undecide(id)) => {
                self.statement = self.statement.max(id as i64);
            }
            Input::Control(_) | Input::Message(_) => {}
        }
    }

    fn see(&mut self, table: (Source, TableName), epoch: u16) {
        let known = self.epochs.entry(table).or_default();
        *known = epoch.max(*known);
    }
}

/// Reads of every log what the base has not applied, and at least the last entry.
///
/// # Errors
/// When the brokers do not answer.
pub(super) fn tail(settings: &Settings, from: &BTreeMap<Shard, i64>, ends: &BTreeMap<Shard, i64>) -> anyhow::Result<Tail> {
    let reader = topics::reader(settings)?;
    let wanted = ends.iter().map(|(shard, end)| Wanted {
        topic: PERSON_RECORDS,
        partition: i32::from(shard.number()),
        offsets: from[shard].min((end - 1).max(0))..*end,
    });
    let mut tail = Tail {
        newest: Timestamp(0),
        statement: 0,
        epochs: BTreeMap::new(),
    };
    reread(&reader, &wanted.collect::<Vec<_>>(), |_, message| {
        let appended = message.timestamp().to_millis().unwrap_or(0);
        tail.newest = tail.newest.max(Timestamp(appended));
        // What cannot be read here says nothing of epochs or decisions; the registry says that it cannot.
        if let Ok(input) = schemas::codec::decode_input(message.payload().unwrap_or_default()) {
            tail.take(input);
        }
    })?;
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_persons_and_places() {
        let (person, anchor) = ("11".repeat(16), "22".repeat(16));
        let key = person_key(format!("{person}.63.{anchor}").as_bytes()).expect("a key");
        assert_eq!((key.0.number(), key.1.to_string(), key.2.to_string()), (63, anchor, person));
        for wrong in ["", "1", "1.2.3", "11.64.22"] {
            assert_eq!(person_key(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
