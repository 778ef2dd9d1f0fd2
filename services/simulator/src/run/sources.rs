//! The agencies' connectors: which row goes through which.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::date::Day;
use domain::source::Agency;

use super::{Args, now_us, progress};
use crate::database::Database;
use crate::dossier::Change;
use crate::envelope::{Connector, Sink};
use crate::history;
use crate::json::Zoned;
use crate::live::Step;
use crate::tables::{AGENCIES, BatchControl, Heartbeat, Row};
use crate::truth::Truth;
use crate::view::Rates;
use crate::world::World;

/// The databases of sources that have one.
pub(super) type Databases = BTreeMap<(Agency, u16), Database>;

/// Blocks between two movements of the progress bar.
const BLOCKS_PER_TICK: u64 = 256;

/// Where the rows of a source go.
enum Outlet {
    /// To its topics, as a connector would publish them.
    Topics(Box<Connector>),
    /// To its database, which a connector reads.
    Tables(Database),
}

/// A source: where its rows go, and what its database counts.
struct Source {
    agency: Agency,
    city: u16,
    outlet: Outlet,
    /// Rows loaded since the last batch.
    rows: i32,
    /// Batches so far.
    batches: i64,
    /// The heartbeat's last time.
    beat: Option<Zoned>,
}

/// All sources that are published.
pub(super) struct Sources(BTreeMap<(Agency, u16), Source>);

impl Sources {
    /// The sources of the chosen cities. Some have databases.
    pub(super) fn new(args: &Args, mut databases: Databases, now_us: i64) -> Self {
        let mut sources = BTreeMap::new();
        for city in args.cities.codes() {
            for agency in AGENCIES {
                if agency.cities().iter().any(|of| of.code() == *city) {
                    let outlet = match databases.remove(&(agency, *city)) {
                        Some(database) => Outlet::Tables(database),
                        None => Outlet::Topics(Box::new(Connector::new(agency, *city, args.with_schema, now_us))),
                    };
                    sources.insert(
                        (agency, *city),
                        Source {
                            agency,
                            city: *city,
                            outlet,
                            rows: 0,
                            batches: 0,
                            beat: None,
                        },
                    );
                }
            }
        }
        Self(sources)
    }

    /// Whether a source is among them.
    pub(super) fn contains(&self, source: domain::source::Source) -> bool {
        self.0.contains_key(&(source.agency, source.city.code()))
    }

    /// All topics with their partitions; control tables have one key and need one partition.
    pub(super) fn topics(&self, partitions: i32) -> Vec<(String, i32)> {
        let connectors = self.0.values().filter_map(|source| match &source.outlet {
            Outlet::Topics(connector) => Some(connector),
            Outlet::Tables(_) => None,
        });
        connectors
            .flat_map(|connector| connector.topics())
            .map(|(name, table)| (name.to_owned(), if table.is_control() { 1 } else { partitions }))
            .collect()
    }

    /// Publishes all tables; returns whether it came to the end.
    pub(super) fn snapshot(
        &mut self,
        world: &World,
        rates: &Rates,
        sink: &mut dyn Sink,
        mut truth: Option<&mut Truth>,
        stop: &AtomicBool,
    ) -> anyhow::Result<bool> {
        for (city, count) in world.employer_counts() {
            for number in 0..count {
                self.read(city, world.employer(city, number).row().into(), now_us(), sink)?;
            }
        }
        let blocks = world.blocks();
        let bar = progress(Some(world.residents), "residents");
        let leap = stride(blocks);
        let (mut block, mut now) = (0, now_us());
        for done in 0..blocks {
            for dossier in history::block(world, rates, block) {
                if let Some(truth) = truth.as_deref_mut() {
                    truth.write(&dossier)?;
                }
                for record in dossier.records {
                    self.read(record.city, record.row, now, sink)?;
                }
            }
            block = (block + leap) % blocks;
            if done % BLOCKS_PER_TICK == 0 {
                now = now_us();
                bar.set_position(done * crate::world::BLOCK);
                if stop.load(Ordering::Relaxed) {
                    return Ok(false);
                }
            }
        }
        let now = now_us();
        for source in self.0.values_mut() {
            let control = source.control(world.today, now);
            match &mut source.outlet {
                Outlet::Topics(connector) => connector.finish_snapshot(&control, now, sink)?,
                Outlet::Tables(database) => database.finish_load(&control)?,
            }
        }
        bar.finish_and_clear();
        Ok(true)
    }

    fn read(&mut self, city: u16, row: Row, now_us: i64, sink: &mut dyn Sink) -> anyhow::Result<()> {
        match self.0.get_mut(&(row.agency(), city)) {
            Some(source) => {
                source.rows = source.rows.saturating_add(1);
                match &mut source.outlet {
                    Outlet::Topics(connector) => connector.snapshot(row, now_us, sink),
                    Outlet::Tables(database) => database.load(row),
                }
            }
            None => Ok(()),
        }
    }

    /// Publishes one step: a transaction in every source that it touches, in the order in which they are touched.
    pub(super) fn change(&mut self, step: &Step, now_us: i64, sink: &mut dyn Sink) -> anyhow::Result<()> {
        let mut transactions: Vec<((Agency, u16), Vec<&Change>)> = Vec::new();
        for change in &step.changes {
            let Some(row) = change.after.as_ref().or(change.before.as_ref()) else {
                continue;
            };
            let source = (row.agency(), change.city);
            match transactions.iter_mut().find(|(of, _)| *of == source) {
                Some((_, changes)) => changes.push(change),
                None => transactions.push((source, vec![change])),
            }
        }
        for (source, changes) in transactions {
            if let Some(source) = self.0.get_mut(&source) {
                source.rows = source.rows.saturating_add(changes.len() as i32);
                match &mut source.outlet {
                    Outlet::Topics(connector) => connector.transaction(&changes, step.repeated, now_us, sink)?,
                    Outlet::Tables(database) => database.transaction(&changes)?,
                }
            }
        }
        Ok(())
    }

    /// Writes the heartbeat of every system of record.
    pub(super) fn beat(&mut self, now_us: i64, sink: &mut dyn Sink) -> anyhow::Result<()> {
        for source in self.0.values_mut().filter(|source| source.agency != Agency::CIVIL_AFFAIRS) {
            let before = Heartbeat { id: 1, ts: source.beat }.into();
            let after = source.control(Day(0), now_us);
            let change = Change {
                city: source.city,
                before: Some(before),
                after: Some(after),
            };
            source.state(&change, now_us, sink)?;
        }
        Ok(())
    }

    /// Writes a batch into every exchange database of civil affairs.
    pub(super) fn load(&mut self, day: Day, now_us: i64, sink: &mut dyn Sink) -> anyhow::Result<()> {
        for source in self.0.values_mut().filter(|source| source.agency == Agency::CIVIL_AFFAIRS) {
            let after = source.control(day, now_us);
            let change = Change {
                city: source.city,
                before: None,
                after: Some(after),
            };
            source.state(&change, now_us, sink)?;
        }
        Ok(())
    }
}

impl Source {
    /// States that the source is complete.
    fn state(&mut self, change: &Change, now_us: i64, sink: &mut dyn Sink) -> anyhow::Result<()> {
        match &mut self.outlet {
            Outlet::Topics(connector) => connector.transaction(&[change], false, now_us, sink),
            Outlet::Tables(database) => database.state(&[change]),
        }
    }

    /// The next row that states the completeness of the source.
    fn control(&mut self, day: Day, now_us: i64) -> Row {
        let now = Some(Zoned(now_us));
        if self.agency == Agency::CIVIL_AFFAIRS {
            self.batches += 1;
            let rows = std::mem::take(&mut self.rows);
            // Batches of a later run go on above those of an earlier one.
            let id = now_us / 1_000_000 * 1_000 + self.batches % 1_000;
            BatchControl {
                id,
                data_date: Some(day),
                row_count: Some(rows),
                loaded_at: now,
            }
            .into()
        } else {
            self.beat = now;
            Heartbeat { id: 1, ts: now }.into()
        }
    }
}

/// A step through the blocks that visits each once and the cities in turn, as connectors that read at the same time do.
fn stride(blocks: u64) -> u64 {
    let wanted = (blocks as f64 * 0.618) as u64;
    let divides = |mut a: u64, mut b: u64| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (wanted.max(1)..=blocks).find(|step| divides(*step, blocks) == 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_block_is_visited_once() {
        for blocks in [1, 2, 12, 97, 12_500] {
            let leap = stride(blocks);
            let visited: BTreeSet<u64> = (0..blocks).map(|nth| nth * leap % blocks).collect();
            assert_eq!(visited.len() as u64, blocks);
        }
    }
}
