//! Which keys moved from one partition of a topic to another, found in what the topic holds. Pure.

use super::Epochs;
use crate::date::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A message's place in a partition.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    appended: Timestamp,
}

/// A key in one partition: its first and its last message there, of the last epoch in which it was there. A key may come back to a
/// partition; what lay there in an earlier epoch is no part of the stay.
#[derive(Debug, Clone, Copy)]
struct Stay {
    partition: u16,
    epoch: u16,
    first: Place,
    last: Place,
}

/// The keys of a topic by partition. Holds a hash of each key, about a hundred bytes a key with all, and no key itself.
///
/// Append times only say which of two stays of one key is the later one: one producer writes a table's topic, so they do not depend on
/// how far two machines' clocks agree.
#[derive(Debug, Default)]
pub struct Moves {
    epochs: Epochs,
    stays: HashMap<u64, Stay>,
    /// Further stays of keys that have been in several partitions.
    further: HashMap<u64, Vec<Stay>>,
}

impl Moves {
    /// No message seen yet, of a topic with these epochs.
    pub fn under(epochs: Epochs) -> Self {
        Self {
            epochs,
            ..Self::default()
        }
    }

    /// Takes a message; those of one partition come in order, partitions in any.
    pub fn see(&mut self, partition: u16, offset: u64, appended: Timestamp, key: &[u8]) {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let hash = hasher.finish();
        let here = Place { offset, appended };
        let stay = Stay {
            partition,
            epoch: self.epochs.at(partition, offset),
            first: here,
            last: here,
        };
        let known = self.stays.entry(hash).or_insert(stay);
        if known.partition == partition {
            known.go_on(stay);
            return;
        }
        let further = self.further.entry(hash).or_default();
        match further.iter_mut().find(|known| known.partition == partition) {
            Some(known) => known.go_on(stay),
            None => further.push(stay),
        }
    }

    /// Whether some key has moved and its epochs do not tell.
    pub fn is_unsettled(&self) -> bool {
        self.further
            .keys()
            .any(|key| self.steps(*key).any(|[from, to]| to.epoch <= from.epoch))
    }

    /// How many keys have moved and even other epochs do not tell which of their messages is the last.
    pub fn unsettled_by(&self, epochs: &Epochs) -> usize {
        let is_told =
            |[from, to]: [Stay; 2]| epochs.at(to.partition, to.first.offset) > epochs.at(from.partition, from.last.offset);
        let moved = self.further.keys().filter(|key| !self.steps(**key).all(is_told));
        moved.count()
    }

    /// By partition, the first offset at which a key arrived that the epochs do not tell of.
    pub(super) fn arrivals(&self) -> BTreeMap<u16, u64> {
        let mut arrived: BTreeMap<u16, u64> = BTreeMap::new();
        let steps = self.further.keys().flat_map(|key| self.steps(*key));
        for [_, to] in steps.filter(|[from, to]| to.epoch <= from.epoch) {
            let first = arrived.entry(to.partition).or_insert(to.first.offset);
            *first = to.first.offset.min(*first);
        }
        arrived
    }

    /// From one stay of a key to the next.
    fn steps(&self, key: u64) -> impl Iterator<Item = [Stay; 2]> {
        let further = self.further.get(&key).into_iter().flatten();
        let mut stays: Vec<Stay> = self.stays.get(&key).into_iter().chain(further).copied().collect();
        // Partitions are added at the end, so of two at the same millisecond the higher one is the later.
        stays.sort_unstable_by_key(|stay| (stay.last.appended, stay.partition));
        (1..stays.len()).map(move |next| [stays[next - 1], stays[next]])
    }
}

impl Stay {
    fn go_on(&mut self, message: Self) {
        if message.epoch > self.epoch {
            *self = message;
        } else {
            self.last = message.last;
        }
    }
}
