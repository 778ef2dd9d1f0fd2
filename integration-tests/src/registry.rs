//! The registry on a store in memory: the batch that `services/registry` runs, and no step besides.
//!
//! The store may be unreliable: a batch fails before its commit, or its commit takes place and the answer is lost; it is repeated then, as
//! the registry repeats it. It may refuse an entry for good: the batch is halved then, and the entry's shard waits.

use crate::memory::Memory;
use crate::traffic::Draw;
use anyhow::ensure;
use domain::batch::{Asked, Batch, Effects, Entry, Halving, Order, Refused, Said};
use domain::division::City;
use domain::finding::Finding;
use domain::ids::{FindingId, IdKey};
use domain::release::{Event, EventKind};
use domain::shard::Shard;
use std::collections::{BTreeMap, BTreeSet};

/// A registry.
#[derive(Debug)]
pub struct Registry {
    /// Its store.
    pub store: Memory,
    key: IdKey,
    /// Neighbourhoods that one batch works off.
    slice: usize,
    /// Draws what fails; `None`: nothing does.
    faults: Option<Draw>,
    /// Entries that the store refuses for good.
    pub refused: BTreeSet<(Shard, i64)>,
    /// Shards that wait at an entry which cannot be applied.
    pub waiting: BTreeMap<Shard, Entry>,
}

impl Registry {
    /// An empty one, which nothing happens to.
    pub fn new(key: IdKey) -> Self {
        Self {
            store: Memory::default(),
            key,
            slice: 1_000,
            faults: None,
            refused: BTreeSet::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// An empty one on an unreliable store, which works off dates and passes in small slices.
    pub fn unreliable(key: IdKey, seed: u64) -> Self {
        Self {
            slice: 1 + (seed % 3) as usize,
            faults: Some(Draw::new(seed ^ 0x5eed)),
            ..Self::new(key)
        }
    }

    /// Shards in which there is something to do beside entries.
    pub fn at_work(&self) -> Vec<Shard> {
        let works = |shard: &Shard| self.store.row(*shard).has_passes() || self.store.is_due(*shard);
        Shard::all().filter(works).collect()
    }

    /// Applies entries of any shards as one batch, and does some of the work beside them in a shard. What is refused for good is halved;
    /// entries of a shard that [waits](Self::waiting) are left alone.
    pub fn apply(&mut self, entries: &[Entry], beside: Option<Shard>) {
        let here = entries.iter().filter(|entry| !self.waiting.contains_key(&entry.shard));
        let entries: Vec<Entry> = here.cloned().collect();
        if entries.is_empty() {
            assert!(self.is_applied(&entries, beside), "nothing is refused");
            return;
        }
        let mut halving = Halving::new(entries.iter().map(|entry| entry.shard));
        while let Some(piece) = halving.to_try() {
            let piece: Vec<Entry> = piece.iter().map(|at| entries[*at].clone()).collect();
            let beside = beside.filter(|_| piece.len() == entries.len());
            if self.is_applied(&piece, beside) {
                halving.done();
            } else if let Some(at) = halving.failed() {
                self.waiting.insert(entries[at].shard, entries[at].clone());
            }
        }
    }

    /// A shard steps over the entry that it waits at, as an operator states; where it goes on.
    ///
    /// # Panics
    /// When it waits at none.
    pub fn skip(&mut self, shard: Shard) -> i64 {
        let entry = self.waiting.remove(&shard).expect("a shard that waits");
        self.store.skipped.insert((shard, entry.position));
        assert!(
            self.is_applied(std::slice::from_ref(&entry), None),
            "what is stepped over is not refused"
        );
        entry.position + 1
    }

    /// One batch; whether it was applied, and not refused for good because of an entry.
    ///
    /// # Panics
    /// When it is refused because of anything else.
    fn is_applied(&mut self, entries: &[Entry], beside: Option<Shard>) -> bool {
        loop {
            let Some(effects) = self.effects(entries, beside) else {
                return false;
            };
            match self.faults.as_mut().map_or(9, |draw| draw.below(10)) {
                0 => {}                         // The transaction is rolled back.
                1 => self.store.write(effects), // It took place, and nobody was told.
                _ => {
                    self.store.write(effects);
                    return true;
                }
            }
        }
    }

    /// What such a batch would write; `None` when it is refused for good because of an entry.
    ///
    /// # Panics
    /// When it is refused because of anything else.
    pub fn effects(&self, entries: &[Entry], beside: Option<Shard>) -> Option<Effects> {
        let mut shards: BTreeSet<Shard> = entries.iter().map(|entry| entry.shard).collect();
        shards.extend(beside);
        let mut entries = entries.to_vec();
        for entry in &mut entries {
            if self.store.skipped.contains(&(entry.shard, entry.position)) {
                entry.said = Said::Skipped(entry.content().cloned());
            }
        }
        let is_new = |entry: &&Entry| entry.position >= self.store.row(entry.shard).position && entry.input().is_some();
        let mut new = entries.iter().filter(is_new);
        let is_refused = new.any(|entry| self.refused.contains(&(entry.shard, entry.position)));
        let order = Order {
            shards,
            entries,
            due: beside.into_iter().collect(),
            pass: beside,
            slice: self.slice,
        };
        let mut batch = Batch::new(order, self.key.clone());
        loop {
            match batch.proceed() {
                Ok(Asked::Need(need)) => batch.give(self.store.give(need)),
                Ok(Asked::Done(effects)) => return (!is_refused).then_some(*effects),
                Err(Refused::Unreadable { .. }) => return None,
                Err(refused) => panic!("the batch is in order: {refused}"),
            }
        }
    }

    /// Checks what is promised of events once everything is complete and nothing is in flight: per finding, dense revisions that alternate
    /// open, amend*, clear; what they fold to is what is open in live regions.
    ///
    /// # Errors
    /// Says what does not hold.
    pub fn check_promises(&self) -> anyhow::Result<()> {
        let waiting = self.store.waiting();
        ensure!(waiting == 0, "everything is complete, and {waiting} findings wait");
        let mut last: BTreeMap<FindingId, &Event> = BTreeMap::new();
        for event in self.store.events() {
            let before = last.insert(event.finding_id, event);
            let name = (event.told.finding.rule, event.told.person);
            let revision = before.map_or(1, |before| before.told.revision + 1);
            ensure!(
                event.told.revision == revision,
                "{name:?}: revision {} comes where {revision} is due",
                event.told.revision
            );
            let was_open = before.is_some_and(|before| before.told.open);
            ensure!(
                was_open != (event.kind == EventKind::Open),
                "{name:?}: events do not alternate at revision {revision}"
            );
            ensure!(
                event.told.open == (event.kind != EventKind::Clear),
                "{name:?}: a cleared finding is told as open"
            );
        }
        let told = last.into_values().filter(|event| event.told.open);
        let told: BTreeMap<FindingId, (City, &Finding)> = told
            .map(|event| (event.finding_id, (event.told.region, &event.told.finding)))
            .collect();
        let base = self.store.base();
        let mut open: BTreeMap<FindingId, (City, &Finding)> = BTreeMap::new();
        for ((shard, _), described) in &base {
            for person in &described.persons {
                let live = &self.store.state(*shard).live;
                let Some(region) = person.region.filter(|region| live.contains(region)) else {
                    continue;
                };
                for finding in &person.findings {
                    let other = open.insert(finding.id(person.id, person.anchor, &self.key), (region, finding));
                    ensure!(other.is_none(), "{:?} of {} is open twice", finding.rule, person.id);
                }
            }
        }
        ensure!(
            told == open,
            "what was told is not what is open: {} against {} findings",
            told.len(),
            open.len()
        );
        Ok(())
    }
}
