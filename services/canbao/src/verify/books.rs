//! The books against the brokers: every source position up to the committed offset is read again, classified with the normaliser's
//! own function, and found in the source log or the dead letters.

use super::ledger::{Expected, Ledger, Page};
use super::log::{Logged, SourceLog, SourcePartition};
use super::rest::Tail;
use super::stretch::Stretch;
use crate::reread::{Wanted, reread};
use crate::topics;
use anyhow::Context;
use domain::date::Timestamp;
use domain::epoch::Epochs;
use domain::ids::{IdKey, RecordId};
use domain::input::Input;
use domain::source::Source;
use indicatif::ProgressBar;
use rdkafka::message::{BorrowedMessage, Message};
use runtime::config::Settings;
use runtime::dialect::{Classified, Dialects, SourceMessage, normalise};
use runtime::framed::{Closed, Frames};
use runtime::kafka::offsets;
use runtime::kafka::read_range;
use runtime::kafka::topics::dead_letters;
use runtime::normaliser::source_topic::{self, SourceTopic};
use schemas::event::{self, DeadLetter};
use serde::Serialize;
use sqlx::PgConnection;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZero;

/// The page of one partition.
#[derive(Debug, Clone, Serialize)]
pub struct PartitionBook {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u16,
    /// First offset the broker still holds.
    pub from: i64,
    /// Committed offset of the normaliser; `None` before its first commit.
    pub committed: Option<i64>,
    /// End offset.
    pub end: i64,
    /// The accounts.
    #[serde(flatten)]
    pub page: Page,
    /// Offsets of some missing messages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_offsets: Vec<u64>,
    #[serde(skip)]
    pub(crate) source: Option<Source>,
}

/// What the normaliser's function needs.
pub(crate) struct Reading<'a> {
    pub settings: &'a Settings,
    pub dialects: &'a Dialects,
    pub frames: &'a Frames,
    pub key: &'a IdKey,
    pub topics: &'a Topics,
    pub progress: &'a ProgressBar,
}

/// Topics as recorded, by name.
pub(crate) type Topics = HashMap<String, SourceTopic>;

/// What is recorded of topics.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn recorded(connection: &mut PgConnection) -> anyhow::Result<Topics> {
    let topics = source_topic::all(connection).await?;
    Ok(topics.into_iter().map(|topic| (topic.topic.clone(), topic)).collect())
}

type DeadLetters = HashMap<(String, u16), HashSet<u64>>;
type InFlight = HashMap<SourcePartition, HashSet<(u64, RecordId)>>;

/// Reads everything again and accounts for it.
///
/// # Errors
/// When the brokers do not answer.
pub(crate) fn check(
    reading: &Reading<'_>,
    stretches: &[Stretch],
    log: &SourceLog,
    tail: &Tail,
) -> anyhow::Result<Vec<PartitionBook>> {
    let is_counted = |stretch: &&Stretch| {
        reading
            .topics
            .get(&stretch.topic)
            .is_none_or(|topic| topic.replaced_by.is_none())
    };
    let stretches: Vec<Stretch> = stretches
        .iter()
        .filter(is_counted)
        .map(|stretch| stretch.under(reading.topics).spelled(reading.dialects))
        .collect();
    reading.progress.set_length(stretches.iter().map(Stretch::messages).sum());
    let dead = dead_letter_coordinates(reading.settings, &stretches)?;
    let mut in_flight = InFlight::new();
    for (source, table, partition, offset, record) in &tail.records {
        in_flight
            .entry((*source, table.clone(), *partition))
            .or_default()
            .insert((*offset, *record));
    }
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let work = |share: Vec<&Stretch>| account(reading, &share, log, &dead, &in_flight);
    let mut books = std::thread::scope(|scope| -> anyhow::Result<Vec<PartitionBook>> {
        let started: Vec<_> = shares(&stretches, workers)
            .into_iter()
            .map(|share| scope.spawn(move || work(share)))
            .collect();
        let mut books = Vec::new();
        for worker in started {
            books.extend(worker.join().expect("accounting does not panic")?);
        }
        Ok(books)
    })?;
    books.sort_unstable_by(|one, two| (one.source, &one.topic, one.partition).cmp(&(two.source, &two.topic, two.partition)));
    Ok(books)
}

/// Stretches in shares of about as many messages: the largest first, each to who has least.
pub(super) fn shares(stretches: &[Stretch], count: usize) -> Vec<Vec<&Stretch>> {
    let mut shares: Vec<(u64, Vec<&Stretch>)> = vec![(0, Vec::new()); count.max(1)];
    let mut sorted: Vec<&Stretch> = stretches.iter().collect();
    sorted.sort_by_key(|stretch| Reverse(stretch.messages()));
    for stretch in sorted {
        if let Some((messages, share)) = shares.iter_mut().min_by_key(|(messages, _)| *messages) {
            *messages += stretch.messages();
            share.push(stretch);
        }
    }
    shares.into_iter().map(|(_, share)| share).collect()
}

/// Reads a share of the stretches again and accounts for each.
fn account(
    reading: &Reading<'_>,
    share: &[&Stretch],
    log: &SourceLog,
    dead: &DeadLetters,
    in_flight: &InFlight,
) -> anyhow::Result<Vec<PartitionBook>> {
    let (no_logged, no_flight, no_dead): (Vec<Logged>, _, _) = (Vec::new(), HashSet::new(), HashSet::new());
    let unseen = Epochs::default();
    let epochs_of = |stretch: &Stretch| reading.topics.get(&stretch.topic).map_or(&unseen, |topic| &topic.epochs);
    let mut ledgers: Vec<Ledger<'_>> = share
        .iter()
        .map(|stretch| {
            let key = (stretch.source, stretch.table.clone(), stretch.partition);
            Ledger::new(
                log.origins.get(&key).unwrap_or(&no_logged),
                in_flight.get(&key).unwrap_or(&no_flight),
                dead.get(&(stretch.topic.clone(), stretch.partition)).unwrap_or(&no_dead),
                epochs_of(stretch),
                stretch.partition,
            )
        })
        .collect();
    let wanted: Vec<Wanted<'_>> = share
        .iter()
        .map(|stretch| Wanted {
            topic: &stretch.topic,
            partition: i32::from(stretch.partition),
            offsets: stretch.taken(),
        })
        .collect();
    let mut away = None;
    reread(&topics::reader(reading.settings)?, &wanted, |at, message| {
        // Without the schema registry nothing is accounted for, however many messages follow.
        match away
            .is_none()
            .then(|| expected(reading, share[at], message, epochs_of(share[at])))
        {
            Some(Ok(expected)) => ledgers[at].enter(message.offset().max(0) as u64, &expected),
            Some(Err(cause)) => away = Some(cause),
            None => (),
        }
        reading.progress.inc(1);
    })?;
    anyhow::ensure!(away.is_none(), "the books cannot be checked: {}", away.unwrap_or_default());
    let books = share.iter().zip(ledgers).map(|(stretch, ledger)| {
        let taken = stretch.taken();
        let (mut page, missing_offsets) = ledger.close(taken.start.max(0) as u64, taken.end.max(0) as u64);
        page.behind = (stretch.held.high - taken.end).max(0) as u64;
        PartitionBook {
            topic: stretch.topic.clone(),
            partition: stretch.partition,
            from: stretch.held.low,
            committed: stretch.committed(),
            end: stretch.held.high,
            page,
            missing_offsets,
            source: Some(stretch.source),
        }
    });
    Ok(books.collect())
}

/// What the normaliser makes of a message; an error says why the schema registry does not answer.
fn expected(
    reading: &Reading<'_>,
    stretch: &Stretch,
    message: &BorrowedMessage<'_>,
    epochs: &Epochs,
) -> Result<Expected, String> {
    let offset = message.offset().max(0) as u64;
    let framed = SourceMessage {
        source: stretch.source,
        table: &stretch.table,
        partition: stretch.partition,
        offset,
        epoch: epochs.at(stretch.partition, offset),
        timestamp: Timestamp(message.timestamp().to_millis().unwrap_or(0)),
        key: message.key(),
        value: message.payload(),
    };
    let read = |message: &SourceMessage<'_>| normalise(reading.dialects, reading.key, message);
    match reading.frames.open_in_time(framed.key, framed.value) {
        Ok(opened) => Ok(classified(read(&opened.of(&framed)))),
        Err(Closed::Away(cause)) => Err(cause),
        // It was accepted as what cannot be read.
        Err(closed) => Ok(classified(closed.letter(reading.frames, &framed, read))),
    }
}

fn classified(classified: Classified) -> Expected {
    let record = |input: &Input| match input {
        Input::Change(change) => Some(change.id()),
        Input::Entity(entity) => Some(entity.id),
        Input::Message(_) | Input::Control(_) => None,
    };
    let records = |inputs: Vec<Input>| inputs.iter().filter_map(record).collect();
    match classified {
        Classified::Control(_) => Expected::Control,
        Classified::DeadLetter { inputs, .. } => Expected::DeadLetter(records(inputs)),
        Classified::Inputs(inputs) => Expected::Records(records(inputs)),
    }
}

/// The coordinates of everything in the dead letters.
fn dead_letter_coordinates(settings: &Settings, stretches: &[Stretch]) -> anyhow::Result<DeadLetters> {
    let consumer = topics::reader(settings)?;
    let mut found = DeadLetters::new();
    let sources: BTreeSet<Source> = stretches.iter().map(|stretch| stretch.source).collect();
    for topic in sources.into_iter().map(dead_letters) {
        let partitions = offsets::partitions(&consumer, &topic).with_context(|| topics::unreachable_brokers(settings))?;
        for partition in partitions {
            let held = offsets::watermarks(&consumer, &topic, partition)
                .with_context(|| format!("reading the range of {topic}/{partition}"))?;
            let mut undecodable = 0;
            read_range(&consumer, &topic, partition, held.low, held.high, |message| {
                match message.payload().map(event::decode::<DeadLetter>) {
                    Some(Ok(letter)) => {
                        found
                            .entry((letter.topic, letter.partition as u16))
                            .or_default()
                            .insert(letter.offset);
                    }
                    Some(Err(_)) | None => undecodable += 1,
                }
            })?;
            if undecodable > 0 {
                tracing::warn!(
                    topic,
                    partition,
                    undecodable,
                    "dead letters that cannot be decoded are left out"
                );
            }
        }
    }
    Ok(found)
}

/// The pages of each source, summed.
pub(crate) fn by_source(books: &[PartitionBook]) -> BTreeMap<Source, Page> {
    let mut sums: BTreeMap<Source, Page> = BTreeMap::new();
    for book in books {
        if let Some(source) = book.source {
            *sums.entry(source).or_default() += book.page;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::sample::change;
    use runtime::dialect::ControlKind;

    #[test]
    fn a_message_becomes_what_the_normaliser_says() {
        let id = RecordId([1; 16]);
        let inputs = Classified::Inputs(vec![Input::Change(change(1, 5, "张三"))]);
        assert_eq!(classified(inputs), Expected::Records(vec![id]));
        assert_eq!(classified(Classified::Control(ControlKind::Tombstone)), Expected::Control);
    }
}
