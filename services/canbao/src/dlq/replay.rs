//! `dlq replay`: the messages of dead letters are read again with the dialects as they are, and what comes of them is sent on.
//!
//! What is sent is what the normaliser would send of that message, by its own function: the same position, the epoch that is recorded for it,
//! the append time that it had, the mapping's revision of now. So versions compare: a newer row of the same key wins, wherever the two meet,
//! and what was sent before is a repeat. The letter stays, as the original does in its topic: the books count the message by the log first.
//!
//! A row of which the base holds what could be read (or that it is unreadable) holds it under the revision that read it: only another one is
//! another version, so a change of the dialect takes effect by the revision that it must raise anyway.

use super::act::Act;
use super::standing::{self, Topics};
use super::{Filter, Letter, each, said_of_foreign};
use crate::configuration;
use crate::output::Table;
use anyhow::Context;
use domain::ids::IdKey;
use domain::input::Input;
use domain::record::Change;
use domain::source::Agency;
use runtime::config::Settings;
use runtime::debezium::NormaliseError;
use runtime::dialect::{Classified, Dialects, SourceMessage, normalise};
use runtime::framed::{Closed, Frames};
use runtime::kafka;
use runtime::kafka::produce::{Flight, Producer};
use runtime::normaliser::apply;
use runtime::store::mapping;
use schemas::Codec;
use serde::Serialize;
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What came of letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "now")]
pub enum Fate {
    /// It is read whole.
    Read,
    /// It holds no record: a tombstone, a table that is ignored by now.
    NoRecord,
    /// Some of it cannot be read still; the rest is sent on.
    InPart {
        /// Why.
        why: String,
    },
    /// It cannot be read still.
    Unread {
        /// Why.
        why: String,
    },
    /// It cannot be read from the letter.
    NotPlaced {
        /// Why, with what to do.
        why: String,
    },
}

impl Fate {
    fn name(&self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::NoRecord => "no record",
            Self::InPart { .. } => "read in part",
            Self::Unread { .. } => "not read",
            Self::NotPlaced { .. } => "left out",
        }
    }

    fn why(&self) -> &str {
        match self {
            Self::Read | Self::NoRecord => "",
            Self::InPart { why } | Self::Unread { why } | Self::NotPlaced { why } => why,
        }
    }
}

/// Letters of one fate.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The source.
    pub source: String,
    /// The table.
    pub table: Option<String>,
    /// What came of them.
    #[serde(flatten)]
    pub fate: Fate,
    /// How many.
    pub letters: u64,
}

/// What a replay came to.
#[derive(Debug, Serialize)]
pub struct Replayed {
    /// Nothing was sent.
    pub dry_run: bool,
    /// By source, table and fate.
    pub lines: Vec<Line>,
    /// Letters of which something was, or would be, sent on.
    pub sent: u64,
    /// Entries of the topics that are no letters.
    pub foreign: u64,
}

/// What the normaliser's function needs.
struct Reading<'a> {
    dialects: &'a Dialects,
    frames: &'a Frames,
    key: &'a IdKey,
    topics: &'a Topics,
}

impl Reading<'_> {
    /// What becomes of a letter now, and the inputs that it comes to.
    ///
    /// # Errors
    /// Says why the schema registry does not answer.
    fn read(&self, letter: &Letter) -> Result<(Fate, Vec<Input>), String> {
        let topic = match standing::placed(letter, self.topics) {
            Ok(topic) => topic,
            Err(why) => return Ok((Fate::NotPlaced { why }, Vec::new())),
        };
        let original = &letter.of;
        let partition = original.partition as u16;
        let (key, value) = (original.key.as_deref(), original.value.as_deref());
        let message = SourceMessage {
            source: topic.source,
            table: &topic.table,
            partition,
            offset: original.offset,
            epoch: topic.epochs.at(partition, original.offset),
            timestamp: original.timestamp,
            key,
            value,
        };
        let classified = match self.frames.open_in_time(key, value) {
            Ok(opened) => normalise(self.dialects, self.key, &opened.of(&message)),
            Err(Closed::Away(cause)) => return Err(cause),
            Err(closed) => closed.letter(self.frames, &message, |message| normalise(self.dialects, self.key, message)),
        };
        let said = |error: &NormaliseError| error.to_string();
        Ok(match classified {
            Classified::Inputs(inputs) => (Fate::Read, inputs),
            Classified::Control(_) => (Fate::NoRecord, Vec::new()),
            // That its record is unreadable is sent all the same: it may have been diverted when that was not said yet.
            Classified::DeadLetter { error, inputs } if inputs.iter().all(is_unread) => {
                (Fate::Unread { why: said(&error) }, inputs)
            }
            Classified::DeadLetter { error, inputs } => (Fate::InPart { why: said(&error) }, inputs),
        })
    }
}

/// Whether all that an input says is that its row cannot be read.
fn is_unread(input: &Input) -> bool {
    matches!(input, Input::Change(Change::Unread(_)))
}

#[derive(Default)]
struct Tally {
    lines: BTreeMap<(String, Option<String>, Fate), u64>,
    sent: u64,
}

impl Tally {
    fn note(&mut self, letter: &Letter, fate: Fate) {
        self.sent += u64::from(matches!(fate, Fate::Read | Fate::InPart { .. }));
        *self
            .lines
            .entry((letter.source.to_string(), letter.table.clone(), fate))
            .or_default() += 1;
    }
}

/// Reads letters again; sends what comes of them unless `why` is `None`, which is a dry run.
///
/// # Errors
/// When the dialects are not those of the normalisers, or brokers, store or a schema registry do not answer.
pub async fn replay(settings: &Settings, pool: &PgPool, filter: &Filter, why: Option<&str>) -> anyhow::Result<Replayed> {
    let dialects = configuration::dialects(settings)?;
    let key = settings.id_key()?;
    let topics = standing::recorded(pool).await?;
    let frames = Frames::configured(settings, Handle::current())?;
    let reading = Reading {
        dialects: &dialects,
        frames: &frames,
        key: &key,
        topics: &topics,
    };
    let Some(why) = why else {
        let (tally, foreign) = tokio::task::block_in_place(|| pass(settings, filter, &reading, |_| Ok(())))?;
        return Ok(report(tally, foreign, true));
    };
    let agencies =
        Agency::all().filter(|agency| filter.sources.is_empty() || filter.sources.iter().any(|source| source.agency == *agency));
    for agency in agencies {
        mapping::in_use(pool, &dialects.stated(agency)).await?;
    }
    let act = Act::begin(pool, "replay", filter, None, why).await?;
    let producer = Producer::new(&kafka::idempotent_producer(settings, "canbao-replay")).context("making the producer")?;
    let (tally, foreign) = tokio::task::block_in_place(|| {
        let flight = Arc::<Flight>::default();
        let sent = pass(settings, filter, &reading, |inputs| {
            Ok(apply(&producer, &flight, Codec::current(), inputs)?)
        })?;
        producer.wait(&flight)?;
        anyhow::Ok(sent)
    })?;
    act.end(pool, tally.sent).await?;
    Ok(report(tally, foreign, false))
}

/// Reads every letter meant, and hands on what comes of it. Blocks.
fn pass(
    settings: &Settings,
    filter: &Filter,
    reading: &Reading<'_>,
    mut send: impl FnMut(&[Input]) -> anyhow::Result<()>,
) -> anyhow::Result<(Tally, u64)> {
    let mut tally = Tally::default();
    let mut failed = None;
    let foreign = each(settings, filter, |letter| {
        if failed.is_some() {
            return;
        }
        let read = reading.read(&letter).map_err(anyhow::Error::msg);
        let sent = read.and_then(|(fate, inputs)| send(&inputs).map(|()| fate));
        match sent {
            Ok(fate) => tally.note(&letter, fate),
            Err(error) => failed = Some(error),
        }
    })?;
    failed.map_or(Ok((tally, foreign)), Err)
}

fn report(tally: Tally, foreign: u64, dry_run: bool) -> Replayed {
    let lines = tally.lines.into_iter().map(|((source, table, fate), letters)| Line {
        source,
        table,
        fate,
        letters,
    });
    Replayed {
        dry_run,
        lines: lines.collect(),
        sent: tally.sent,
        foreign,
    }
}

/// The replay as text.
pub fn render(replayed: &Replayed) -> String {
    let mut table = Table::new(["source", "table", "letters", "now", "why"]);
    for line in &replayed.lines {
        table.row([
            line.source.clone(),
            line.table.clone().unwrap_or_else(|| "-".to_owned()),
            line.letters.to_string(),
            line.fate.name().to_owned(),
            line.fate.why().to_owned(),
        ]);
    }
    let lines = if replayed.lines.is_empty() {
        "no dead letters are meant\n".to_owned()
    } else {
        table.render()
    };
    let end = if replayed.dry_run {
        format!(
            "nothing was sent; of {} letters something would be, with --why TEXT instead of --dry-run\n",
            replayed.sent
        )
    } else {
        format!(
            "of {} letters what they say was sent to the base, where newer rows win; `canbao verify --wait 60` accounts for them\n",
            replayed.sent
        )
    };
    format!("{lines}\n{end}{}", said_of_foreign(replayed.foreign))
}

#[cfg(test)]
mod tests {
    use super::super::tests::letter;
    use super::*;
    use runtime::normaliser::source_topic::SourceTopic;
    use std::path::Path;

    /// Under the shipped dialects.
    fn read(letter: &Letter) -> (Fate, Vec<Input>) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../human-resources/dialects");
        let dialects = Dialects::load(&[folder]).expect("dialects");
        let topic = SourceTopic::first(&letter.of.topic, (letter.source, "ac02"), 1);
        let topics = Topics::from([(letter.of.topic.clone(), standing::Known { topic, restarted: None })]);
        let reading = Reading {
            dialects: &dialects,
            frames: &Frames::none(),
            key: &IdKey::new(1, &[0; 32]),
            topics: &topics,
        };
        reading.read(letter).expect("no registry is asked")
    }

    #[test]
    fn a_letter_comes_to_what_its_message_would() {
        let unread = read(&letter(7, "not-json: expected JSON", "{"));
        assert!(matches!(unread, (Fate::Unread { ref why }, ref inputs) if why.contains("not-json") && inputs.len() == 1));
        let (fate, inputs) = read(&letter(8, "not-json: expected JSON", r#"{"op":"d","before":{"baz001":1}}"#));
        assert_eq!(fate, Fate::Read);
        let [Input::Change(Change::Delete(deletion))] = inputs.as_slice() else {
            panic!("{inputs:?}")
        };
        let version = deletion.version;
        assert_eq!((version.epoch, version.partition, version.offset), (0, 0, 8));
        assert_eq!(deletion.appended_at.0, 1, "the message's own time");
        let value = r#"{"op":"c","after":{"baz001":1,"aac002":"11010519491231002X","aac003":"A","aae140":"no such scheme"}}"#;
        let (fate, inputs) = read(&letter(9, "unknown-code: expected a code", value));
        assert!(matches!(fate, Fate::InPart { .. }) && inputs.len() == 1, "{fate:?}");
    }

    #[test]
    fn what_is_left_out_is_said() {
        let mut tally = Tally::default();
        let one = letter(1, "not-json: expected JSON", "");
        tally.note(&one, Fate::Read);
        tally.note(
            &one,
            Fate::NotPlaced {
                why: "it is held".to_owned(),
            },
        );
        let replayed = report(tally, 0, true);
        let text = render(&replayed);
        assert_eq!(replayed.sent, 1);
        assert!(
            text.contains("left out") && text.contains("it is held") && text.contains("nothing was sent"),
            "{text}"
        );
    }
}
