//! Reads the source log: every input of every shard, in whole (ARCHITECTURE.md, Inputs).

mod sequences;

use super::compare::{Problems, TableReport};
use crate::cursor::Cursor;
use anyhow::Context;
use domain::date::Day;
use domain::decision::Decision;
use domain::division::City;
use domain::finding::About;
use domain::ids::{AnchorId, RecordId};
use domain::input::{Control, Input, Message, MessageBody, SnapshotFloor};
use domain::lives::{Lives, Origin};
use domain::policy::{Edition, PolicyId};
use domain::record::{Change, EntityChange, Unread};
use domain::shard::{SHARDS, Shard};
use domain::source::Source;
use indicatif::ProgressBar;
use runtime::store::log::{BookKey, LogRow, SKIPPED};
use runtime::store::read::StoredShard;
pub(crate) use sequences::Sequences;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What a shard's log says besides records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ShardLog {
    /// The last business date.
    pub today: Option<Day>,
    /// Regions that went live.
    pub live: BTreeSet<City>,
    /// Complete snapshots.
    pub floors: Vec<SnapshotFloor>,
    /// Truncations.
    pub truncations: Vec<SnapshotFloor>,
    /// What reviewers decided; `None` once withdrawn.
    pub decisions: BTreeMap<u64, Option<Decision>>,
    /// The highest policy.
    pub policy: Option<Arc<Edition>>,
    /// The lives of the base, as the shard knows them.
    pub lives: Lives,
    /// By sending shard, the sequence behind the last message heard of it.
    pub heard: BTreeMap<Shard, u64>,
}

/// A version of a record at its place in the source topic, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Logged {
    pub offset: u64,
    pub record: RecordId,
    pub epoch: i16,
    /// As stored: 1 applied, 2 superseded, 3 repeated, 5 stepped over.
    pub outcome: i16,
}

/// A partition of a source topic: source, table, partition.
pub(crate) type SourcePartition = (Source, String, u16);

/// The source log, read once.
#[derive(Debug, Default)]
pub(crate) struct SourceLog {
    /// Rows read.
    pub rows: u64,
    /// Rows of what was stepped over: shard and position.
    pub skipped: BTreeSet<(Shard, i64)>,
    /// Rows whose columns do not go with their contents.
    pub uneven: Option<Problems>,
    /// By sending shard, the messages that stand in the logs of others.
    pub messages: BTreeMap<Shard, Sequences>,
    /// What arrived with persons who were told of elsewhere.
    pub carried: HashSet<(Shard, AnchorId, About)>,
    /// The newest version of every record about a person that could be read. Boxed, so that the table's spare room is narrow.
    pub latest: HashMap<RecordId, Box<Change>>,
    /// Of every record about a person, the newest version of which only the key could be read, if there is one.
    pub unread: HashMap<RecordId, Box<Unread>>,
    /// The newest version of every entity.
    pub entities: HashMap<RecordId, Box<EntityChange>>,
    /// Every policy that a log has.
    pub policies: BTreeSet<PolicyId>,
    /// By shard.
    pub shards: Vec<ShardLog>,
    /// What the books should say.
    pub books: BTreeMap<BookKey, i64>,
    /// Versions by where they came from.
    pub origins: HashMap<SourcePartition, Vec<Logged>>,
}

/// Adds places of a table, once.
pub(super) fn add(to: &mut Vec<SnapshotFloor>, places: SnapshotFloor) {
    if !to.contains(&places) {
        to.push(places);
    }
}

/// The policy that is in force of two.
pub(super) fn higher(one: Option<Arc<Edition>>, other: Option<Arc<Edition>>) -> Option<Arc<Edition>> {
    one.into_iter().chain(other).max_by_key(|edition| edition.id())
}

/// A sender's sequence beyond this is damage, not a message: it would take the memory of the process.
const FURTHEST: u64 = 1 << 36;

/// About how many rows the log has: those of records, as the books count them.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn estimate(connection: &mut PgConnection) -> anyhow::Result<u64> {
    let rows: i64 = sqlx::query_scalar("select coalesce(sum(value), 0)::bigint from store.books")
        .fetch_one(connection)
        .await
        .context("reading the books")?;
    Ok(rows as u64)
}

impl SourceLog {
    fn new(stored: &[StoredShard], show: u32) -> Self {
        let mut shards = vec![ShardLog::default(); usize::from(SHARDS)];
        for shard in stored {
            shards[usize::from(shard.shard.number())].lives.clone_from(&shard.state.lives);
        }
        Self {
            shards,
            uneven: Some(Problems::new("source_log", show)),
            ..Self::default()
        }
    }

    /// Reads the log inside the transaction of `connection`.
    ///
    /// # Errors
    /// When the store does not answer or holds codes this program does not know.
    pub(crate) async fn read(
        connection: &mut PgConnection,
        stored: &[StoredShard],
        show: u32,
        progress: &ProgressBar,
    ) -> anyhow::Result<Self> {
        let mut log = Self::new(stored, show);
        let query = "select shard, position, kind, outcome, record, agency, city, \"table\", epoch, partition, \"offset\", body
                     from store.source_log";
        let cursor = Cursor::open(connection, "verify_log", "the source log", query).await?;
        loop {
            let rows = cursor.page(connection).await?;
            if rows.is_empty() {
                break;
            }
            tokio::task::block_in_place(|| rows.iter().try_for_each(|row| log.add(row)))?;
            progress.inc(rows.len() as u64);
        }
        cursor.close(connection).await?;
        log.origins.values_mut().for_each(|versions| versions.sort_unstable());
        Ok(log)
    }

    fn add(&mut self, row: &PgRow) -> anyhow::Result<()> {
        let number: i16 = row.try_get("shard")?;
        let shard = u8::try_from(number)
            .ok()
            .and_then(Shard::new)
            .with_context(|| format!("the source log has a shard {number}"))?;
        let position: i64 = row.try_get("position")?;
        self.rows += 1;
        let body: &[u8] = row.try_get("body")?;
        let input = schemas::codec::decode_entry(shard, body).ok();
        if let Some(problem) = uneven(row, shard, position, body, input.as_ref())? {
            self.note_uneven(shard, position, problem);
        }
        let outcome: i16 = row.try_get("outcome")?;
        if outcome == SKIPPED {
            self.skipped.insert((shard, position));
        }
        let Some(input) = input else { return Ok(()) };
        self.note_origin(shard, outcome, &input);
        match input {
            // It stands in a log, so that it is not missing, and nobody heard it.
            Input::Message(message) if outcome == SKIPPED => self.note_message(&message),
            _ if outcome == SKIPPED => {}
            input => self.take(shard, input),
        }
        Ok(())
    }

    fn note_uneven(&mut self, shard: Shard, position: i64, problem: &'static str) {
        if let Some(problems) = &mut self.uneven {
            problems.note(format!("{shard}/{position}"), problem);
        }
    }

    /// The rows whose columns do not go with their contents.
    pub(crate) fn uneven(&mut self) -> Option<TableReport> {
        let mut problems = self.uneven.take()?;
        problems.rows = self.rows;
        Some(problems.report())
    }

    fn note_origin(&mut self, shard: Shard, outcome: i16, input: &Input) {
        let (record, (source, table), version) = match input {
            Input::Change(change) => (change.id(), change.origin(), change.version()),
            Input::Entity(entity) => (entity.id, (entity.source, &entity.table), entity.version),
            Input::Message(_) | Input::Control(_) => return,
        };
        let logged = Logged {
            offset: version.offset,
            record,
            epoch: version.epoch as i16,
            outcome,
        };
        let (table, partition) = (table.as_str().to_owned(), version.partition);
        *self
            .books
            .entry((shard, source, table.clone(), partition, outcome))
            .or_default() += 1;
        self.origins.entry((source, table, partition)).or_default().push(logged);
    }

    fn hear(&mut self, shard: Shard, message: &Message) {
        let of_shard = &mut self.shards[usize::from(shard.number())];
        // What was sent in a history that a restore undid stands in the log, and nobody hears it.
        if of_shard.lives.origin(message) == Origin::Undone {
            return;
        }
        let heard = of_shard.heard.entry(message.from).or_default();
        *heard = (*heard).max(message.sequence + 1);
        self.note_message(message);
        if let MessageBody::Carry { to, about } = &message.body {
            self.carried.extend(about.iter().map(|about| (shard, *to, *about)));
        }
    }

    fn note_message(&mut self, message: &Message) {
        if message.sequence < FURTHEST {
            self.messages.entry(message.from).or_default().note(message.sequence);
        }
    }

    /// Takes an input as the function of the base sees it: order does not matter, versions do.
    fn take(&mut self, shard: Shard, input: Input) {
        match input {
            Input::Change(Change::Unread(unread)) => match self.unread.get_mut(&unread.id) {
                Some(known) if unread.version > known.version => **known = unread,
                Some(_) => (),
                None => drop(self.unread.insert(unread.id, Box::new(unread))),
            },
            Input::Change(change) => {
                let known = self.latest.get_mut(&change.id());
                match known {
                    Some(known) if change.version() > known.version() => **known = change,
                    Some(_) => (),
                    None => {
                        self.latest.insert(change.id(), Box::new(change));
                    }
                }
            }
            Input::Entity(entity) => {
                let known = self.entities.get_mut(&entity.id);
                match known {
                    Some(known) if entity.version > known.version => **known = entity,
                    Some(_) => (),
                    None => {
                        self.entities.insert(entity.id, Box::new(entity));
                    }
                }
            }
            // What they changed follows from the records alone: that is what is being checked.
            Input::Message(message) => self.hear(shard, &message),
            Input::Control(control) => {
                let of_shard = &mut self.shards[usize::from(shard.number())];
                match control {
                    Control::BusinessDate(day) => of_shard.today = of_shard.today.max(Some(day)),
                    Control::GoLive(city) => {
                        of_shard.live.insert(city);
                    }
                    Control::Snapshot(floor) => add(&mut of_shard.floors, floor),
                    Control::Truncated(truncation) => add(&mut of_shard.truncations, truncation),
                    Control::Completeness(_) => (),
                    Control::Decide(decision) => drop(of_shard.decisions.entry(decision.id).or_insert(Some(decision))),
                    Control::Undecide(id) => drop(of_shard.decisions.insert(id, None)),
                    Control::Policy(edition) => {
                        self.policies.insert(edition.id());
                        of_shard.policy = higher(of_shard.policy.take(), Some(edition));
                    }
                }
            }
        }
    }
}

/// What of a row's columns does not go with its contents, which they only repeat.
fn uneven(row: &PgRow, shard: Shard, position: i64, body: &[u8], input: Option<&Input>) -> anyhow::Result<Option<&'static str>> {
    let kept = LogRow {
        shard,
        position,
        logged_at: 0,
        input,
        outcome: None,
        body,
    };
    let kind: i16 = row.try_get("kind")?;
    if kind != kept.kind() {
        return Ok(Some(match input {
            None => "cannot be decoded, and was when it was logged",
            Some(_) => "is logged as another kind of entry",
        }));
    }
    let outcome: i16 = row.try_get("outcome")?;
    let possible = match kind {
        _ if outcome == SKIPPED => true,
        0 => false,
        1 | 2 => (1..=3).contains(&outcome),
        _ => outcome == 4,
    };
    if !possible {
        return Ok(Some("has an outcome that such an entry cannot have"));
    }
    let origin = kept.origin();
    let version = origin.map(|(.., version)| version);
    let same = row.try_get::<Option<&[u8]>, _>("record")? == kept.record()
        && row.try_get::<Option<i16>, _>("agency")? == origin.map(|(source, ..)| i16::from(source.agency.code()))
        && row.try_get::<Option<i16>, _>("city")? == origin.map(|(source, ..)| source.city.code() as i16)
        && row.try_get::<Option<&str>, _>("table")? == origin.map(|(_, table, _)| table)
        && row.try_get::<Option<i16>, _>("epoch")? == version.map(|version| version.epoch as i16)
        && row.try_get::<Option<i16>, _>("partition")? == version.map(|version| version.partition as i16)
        && row.try_get::<Option<i64>, _>("offset")? == version.map(|version| version.offset as i64);
    Ok((!same).then_some("has columns that do not repeat its contents"))
}

#[cfg(test)]
mod tests;
