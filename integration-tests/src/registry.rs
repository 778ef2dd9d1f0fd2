//! The registry on a store in memory: the batch that `services/registry` runs, and no step besides.
//!
//! The store may be unreliable: a batch fails before its commit, or its commit takes place and the answer is lost; it is repeated then, as
//! the registry repeats it.

use crate::memory::Memory;
use crate::traffic::Draw;
use anyhow::ensure;
use domain::batch::{Asked, Batch, Effects, Entry, Order, Rules};
use domain::division::City;
use domain::finding::Finding;
use domain::ids::FindingId;
use domain::release::{Event, EventKind};
use domain::shard::Shard;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A registry.
#[derive(Debug)]
pub struct Registry {
    /// Its store.
    pub store: Memory,
    rules: Arc<Rules>,
    /// Neighbourhoods that one batch works off.
    slice: usize,
    /// Draws what fails; `None`: nothing does.
    faults: Option<Draw>,
}

impl Registry {
    /// An empty one, which nothing happens to.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self {
            store: Memory::default(),
            rules,
            slice: 1_000,
            faults: None,
        }
    }

    /// An empty one on an unreliable store, which works off dates and passes in small slices.
    pub fn unreliable(rules: Arc<Rules>, seed: u64) -> Self {
        Self {
            slice: 1 + (seed % 3) as usize,
            faults: Some(Draw::new(seed ^ 0x5eed)),
            ..Self::new(rules)
        }
    }

    /// From now on under other rules.
    pub fn adopt(&mut self, rules: Arc<Rules>) {
        self.rules = rules;
    }

    /// Shards in which there is something to do beside entries.
    pub fn at_work(&self) -> Vec<Shard> {
        let version = self.rules.policy.version;
        let works = |shard: &Shard| {
            let state = self.store.state(*shard);
            self.store.row(*shard).has_passes() || self.store.is_due(*shard) || (state.policy != 0 && state.policy != version)
        };
        Shard::all().filter(works).collect()
    }

    /// Applies entries of any shards as one batch, and does some of the work beside them in a shard.
    ///
    /// # Panics
    /// When the batch is refused.
    pub fn apply(&mut self, entries: &[Entry], beside: Option<Shard>) {
        loop {
            let effects = self.effects(entries, beside);
            match self.faults.as_mut().map_or(9, |draw| draw.below(10)) {
                0 => {}                         // The transaction is rolled back.
                1 => self.store.write(effects), // It took place, and nobody was told.
                _ => return self.store.write(effects),
            }
        }
    }

    /// What such a batch would write.
    ///
    /// # Panics
    /// When the batch is refused.
    pub fn effects(&self, entries: &[Entry], beside: Option<Shard>) -> Effects {
        let mut shards: BTreeSet<Shard> = entries.iter().map(|entry| entry.shard).collect();
        shards.extend(beside);
        let order = Order {
            shards,
            entries: entries.to_vec(),
            due: beside.into_iter().collect(),
            pass: beside,
            slice: self.slice,
        };
        let mut batch = Batch::new(order, Arc::clone(&self.rules));
        loop {
            match batch.proceed().expect("the batch is in order") {
                Asked::Need(need) => batch.give(self.store.give(need)),
                Asked::Done(effects) => return *effects,
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
                    let other = open.insert(finding.id(person.id, person.anchor, &self.rules.key), (region, finding));
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
