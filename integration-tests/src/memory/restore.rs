//! The store put back from a backup, as `canbao restore` leaves it.

use super::{Left, Memory, Row};
use domain::batch::{PersonKey, StoredPerson};
use domain::date::Timestamp;
use domain::restore::{self, Known};
use domain::shard::Shard;
use std::collections::{BTreeMap, BTreeSet};

impl Memory {
    /// A backup that is put back: `published` is all that has left for subscribers since the beginning, `ends` and `newest` say where the
    /// logs end.
    #[must_use]
    pub fn restored(mut self, life: u32, published: Vec<Left>, ends: &BTreeMap<Shard, i64>, newest: Timestamp) -> Self {
        restore::begin_life(&mut self.shards, life, ends);
        let told = published.iter().filter_map(|left| match left {
            Left::Event(key, event) => Some(((*key, event.told.finding.about()), event.told.clone())),
            Left::State(..) => None,
        });
        let told: Known = told.collect();
        for (key, told) in restore::fold(&self.told, &told) {
            match told {
                Some(told) => drop(self.told.insert(key, told)),
                None => drop(self.told.remove(&key)),
            }
            self.pending.insert(key, restore::waiting(newest));
        }
        self.left = published;
        for (shard, anchor, person) in self.states().into_keys().collect::<Vec<_>>() {
            let row = || Row::new(StoredPerson::unknown(shard, anchor, person), None);
            self.persons
                .entry((shard, anchor))
                .or_default()
                .entry(person)
                .or_insert_with(row);
        }
        self
    }

    /// Begins an empty base in the place of one that is made anew from its logs.
    pub fn make_anew(&mut self, lost: &Self) {
        for (shard, row) in &mut self.shards {
            row.state = lost.state(*shard).anew();
        }
    }

    /// What `person.registry` says: the digest of each state.
    pub(super) fn states(&self) -> BTreeMap<PersonKey, i64> {
        let mut states = BTreeMap::new();
        for left in &self.left {
            match left {
                Left::State(key, Some(digest)) => drop(states.insert(*key, *digest)),
                Left::State(key, None) => drop(states.remove(key)),
                Left::Event(..) => {}
            }
        }
        states
    }

    /// Checks that `person.registry` says what the base says.
    pub(super) fn check_states(&self) -> anyhow::Result<()> {
        let states = self.states();
        let base: BTreeMap<PersonKey, i64> = self
            .persons
            .iter()
            .flat_map(|((shard, anchor), rows)| rows.values().map(|row| ((*shard, *anchor, row.stored.person), row)))
            .filter(|(_, row)| row.person.is_some())
            .map(|(key, row)| (key, row.stored.published))
            .collect();
        let keys: BTreeSet<&PersonKey> = states.keys().chain(base.keys()).collect();
        for key in keys {
            let (said, is) = (states.get(key), base.get(key));
            anyhow::ensure!(said == is, "person.registry says {said:?} of {key:?}, and the base {is:?}");
        }
        Ok(())
    }
}
