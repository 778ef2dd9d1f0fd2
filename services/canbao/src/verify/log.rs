//! Reads the source log: every input of every shard, in whole (ARCHITECTURE.md, Inputs).

use anyhow::Context;
use domain::date::Day;
use domain::decision::{Decision, Rulings};
use domain::division::City;
use domain::ids::RecordId;
use domain::input::{Control, Input, SnapshotFloor};
use domain::record::{Change, EntityChange};
use domain::shard::{SHARDS, Shard};
use domain::source::{Agency, Source};
use indicatif::ProgressBar;
use runtime::store::log::BookKey;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Rows fetched at a time.
const FETCH: &str = "fetch 10000 from verify_log";

/// What a shard's log says besides records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ShardLog {
    /// The last business date.
    pub today: Option<Day>,
    /// Regions that went live.
    pub live: BTreeSet<City>,
    /// Complete snapshots.
    pub floors: Vec<SnapshotFloor>,
    /// What reviewers decided; `None` once withdrawn.
    pub decisions: BTreeMap<u64, Option<Decision>>,
}

/// What every shard stands under.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// The business date.
    pub today: Option<Day>,
    /// Complete snapshots, in order.
    pub floors: Vec<SnapshotFloor>,
    /// What decisions come to.
    pub rulings: Rulings,
}

/// A version of a record at its place in the source topic, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Logged {
    pub offset: u64,
    pub record: RecordId,
    pub epoch: i16,
    /// As stored: 1 applied, 2 superseded, 3 repeated.
    pub outcome: i16,
}

/// A partition of a source topic: source, table, partition.
pub(crate) type SourcePartition = (Source, String, u16);

/// The source log, read once.
#[derive(Debug, Default)]
pub(crate) struct SourceLog {
    /// Rows read.
    pub rows: u64,
    /// Rows that cannot be decoded.
    pub undecodable: u64,
    /// Positions that stand twice in a shard's log.
    pub twice: u64,
    /// The newest version of every record about a person. Boxed, so that the table's spare room is narrow.
    pub latest: HashMap<RecordId, Box<Change>>,
    /// The newest version of every entity.
    pub entities: HashMap<RecordId, Box<EntityChange>>,
    /// By shard.
    pub shards: Vec<ShardLog>,
    /// What the books should say.
    pub books: BTreeMap<BookKey, i64>,
    /// Versions by where they came from.
    pub origins: HashMap<SourcePartition, Vec<Logged>>,
    positions: Vec<Vec<u64>>,
}

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
    fn new() -> Self {
        let shards = usize::from(SHARDS);
        Self {
            shards: vec![ShardLog::default(); shards],
            positions: vec![Vec::new(); shards],
            ..Self::default()
        }
    }

    /// Reads the log inside the transaction of `connection`.
    ///
    /// # Errors
    /// When the store does not answer or holds codes this program does not know.
    pub(crate) async fn read(connection: &mut PgConnection, progress: &ProgressBar) -> anyhow::Result<Self> {
        let mut log = Self::new();
        sqlx::query(
            "declare verify_log no scroll cursor for
             select shard, position, outcome, agency, city, \"table\", epoch, partition, \"offset\", body from store.source_log",
        )
        .execute(&mut *connection)
        .await
        .context("opening the source log: was `canbao migrate` run?")?;
        loop {
            let rows = sqlx::query(FETCH)
                .fetch_all(&mut *connection)
                .await
                .context("reading the source log")?;
            if rows.is_empty() {
                break;
            }
            tokio::task::block_in_place(|| rows.iter().try_for_each(|row| log.add(row)))?;
            progress.inc(rows.len() as u64);
        }
        sqlx::query("close verify_log")
            .execute(connection)
            .await
            .context("closing the source log")?;
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
        self.twice += u64::from(!self.first_sight(shard, position));
        let Ok(input) = schemas::codec::decode_input(row.try_get("body")?) else {
            self.undecodable += 1;
            return Ok(());
        };
        if let Some(agency) = row.try_get::<Option<i16>, _>("agency")? {
            self.note_origin(shard, agency, row, &input)?;
        }
        self.take(shard, input);
        Ok(())
    }

    fn note_origin(&mut self, shard: Shard, agency: i16, row: &PgRow, input: &Input) -> anyhow::Result<()> {
        let record = match input {
            Input::Change(change) => change.id(),
            Input::Entity(entity) => entity.id,
            Input::Message(_) | Input::Control(_) => return Ok(()),
        };
        let city: i16 = row.try_get("city")?;
        let agency = u8::try_from(agency).ok().and_then(Agency::from_code);
        let (agency, city) = agency
            .zip(City::from_code(city as u16))
            .context("the source log has an unknown agency or city")?;
        let source = Source { agency, city };
        let table: String = row.try_get("table")?;
        let partition = row.try_get::<i16, _>("partition")? as u16;
        let outcome = row.try_get("outcome")?;
        let logged = Logged {
            offset: row.try_get::<i64, _>("offset")? as u64,
            record,
            epoch: row.try_get("epoch")?,
            outcome,
        };
        *self
            .books
            .entry((shard, source, table.clone(), partition, outcome))
            .or_default() += 1;
        self.origins.entry((source, table, partition)).or_default().push(logged);
        Ok(())
    }

    /// Takes an input as the function of the base sees it: order does not matter, versions do.
    fn take(&mut self, shard: Shard, input: Input) {
        match input {
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
            Input::Message(_) => (),
            Input::Control(control) => {
                let of_shard = &mut self.shards[usize::from(shard.number())];
                match control {
                    Control::BusinessDate(day) => of_shard.today = of_shard.today.max(Some(day)),
                    Control::GoLive(city) => {
                        of_shard.live.insert(city);
                    }
                    Control::Snapshot(floor) if !of_shard.floors.contains(&floor) => of_shard.floors.push(floor),
                    Control::Snapshot(_) | Control::Completeness(_) => (),
                    Control::Decide(decision) => drop(of_shard.decisions.entry(decision.id).or_insert(Some(decision))),
                    Control::Undecide(id) => drop(of_shard.decisions.insert(id, None)),
                }
            }
        }
    }

    fn first_sight(&mut self, shard: Shard, position: i64) -> bool {
        let (word, bit) = (position.max(0) as usize / 64, position.max(0) as usize % 64);
        let seen = &mut self.positions[usize::from(shard.number())];
        if seen.len() <= word {
            seen.resize(word + 1, 0);
        }
        let new = seen[word] & (1 << bit) == 0;
        seen[word] |= 1 << bit;
        new
    }

    /// What every shard has heard; `None` while something is on its way to some.
    pub(crate) fn agreed(&self) -> Option<Agreed> {
        let first = self.shards.first()?;
        let mut floors = first.floors.clone();
        let agree = self.shards.iter().all(|shard| {
            shard.today == first.today
                && shard.decisions == first.decisions
                && shard.floors.len() == floors.len()
                && shard.floors.iter().all(|floor| floors.contains(floor))
        });
        floors.sort_unstable_by(|one, two| {
            (one.source, &one.table, one.epoch, &one.offsets).cmp(&(two.source, &two.table, two.epoch, &two.offsets))
        });
        agree.then(|| Agreed {
            today: first.today,
            floors,
            rulings: Rulings::new(first.decisions.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::sample::{change, deletion};

    #[test]
    fn the_newest_version_counts_whatever_the_order() {
        let shard = Shard::new(0).expect("a shard");
        let mut log = SourceLog::new();
        for change in [
            change(1, 5, "张三"),
            deletion(1, 9),
            change(1, 7, "张三"),
            change(2, 3, "李四"),
        ] {
            log.take(shard, Input::Change(change));
        }
        assert_eq!(log.latest.len(), 2);
        assert!(matches!(&*log.latest[&RecordId([1; 16])], Change::Delete(deletion) if deletion.version.offset == 9));
    }

    #[test]
    fn a_position_stands_once() {
        let shard = Shard::new(3).expect("a shard");
        let mut log = SourceLog::new();
        assert!(log.first_sight(shard, 200) && log.first_sight(shard, 201));
        assert!(!log.first_sight(shard, 200));
    }

    #[test]
    fn shards_agree_once_all_have_heard() {
        let mut log = SourceLog::new();
        assert_eq!(log.agreed(), Some(Agreed::default()));
        let day = Control::BusinessDate("2026-05-01".parse().expect("a day"));
        log.take(Shard::new(0).expect("a shard"), Input::Control(day.clone()));
        assert_eq!(log.agreed(), None);
        Shard::all().for_each(|shard| log.take(shard, Input::Control(day.clone())));
        assert_eq!(log.agreed().and_then(|agreed| agreed.today), "2026-05-01".parse().ok());
    }
}
