//! Epochs (纪元) of a source topic's positions: which positions compare by offset, and which lie before which. Pure.
//!
//! Within a partition the later offset is the later word, so a key that stays in its partition needs no epochs. Two things break this:
//! the partitions are raised and keys move to others, where offsets are lower; or the topic is created anew and its offsets begin at 0.
//! Either is settled by a recorded statement of the operator, which begins a new epoch at an offset of each partition.
//!
//! **The epoch of a message is a function of (topic, partition, offset) and of what is recorded**: reading, reading again, restarting and
//! snapshot floors all look it up. Stamped while reading, an old row that is read again would carry the epoch of today and win over the
//! row that had followed it from another partition.

mod moves;

pub use moves::Moves;

use crate::source::Version;
use thiserror::Error;

/// The highest number an epoch can have: it is stored as a signed 16-bit integer.
const LAST: u16 = i16::MAX as u16;

/// One epoch of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Its number; a higher one lies later.
    pub number: u16,
    /// By partition, the first offset that may belong to it; 0 for partitions that are not listed.
    pub begins: Vec<u64>,
}

impl Epoch {
    fn begin(&self, partition: u16) -> u64 {
        self.begins.get(usize::from(partition)).copied().unwrap_or(0)
    }
}

/// Why epochs cannot be these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EpochsError {
    /// There is none.
    #[error("a topic has at least one epoch")]
    None,
    /// Their numbers do not rise.
    #[error("the numbers of a topic's epochs do not rise at {0}")]
    NotRising(u16),
    /// The numbers are used up.
    #[error("a topic has at most {LAST} epochs")]
    Exhausted,
}

/// All epochs of a topic, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epochs(Vec<Epoch>);

impl Default for Epochs {
    /// One epoch, number 0: positions are comparable since the topic exists.
    fn default() -> Self {
        Self(vec![Epoch {
            number: 0,
            begins: Vec::new(),
        }])
    }
}

impl Epochs {
    /// Epochs as recorded.
    ///
    /// # Errors
    /// [`EpochsError`].
    pub fn new(epochs: Vec<Epoch>) -> Result<Self, EpochsError> {
        let last = epochs.last().ok_or(EpochsError::None)?;
        if last.number > LAST {
            return Err(EpochsError::Exhausted);
        }
        match epochs.windows(2).find(|pair| pair[0].number >= pair[1].number) {
            Some(pair) => Err(EpochsError::NotRising(pair[1].number)),
            None => Ok(Self(epochs)),
        }
    }

    /// The epochs, in order.
    pub fn all(&self) -> &[Epoch] {
        &self.0
    }

    /// The epochs behind another's last one, in order: what a statement added.
    pub fn since<'a>(&'a self, before: &Self) -> impl Iterator<Item = &'a Epoch> {
        let known = before.latest();
        self.0.iter().filter(move |epoch| epoch.number > known)
    }

    /// The number of the last epoch.
    pub fn latest(&self) -> u16 {
        self.0.last().map_or(0, |epoch| epoch.number)
    }

    /// The epoch of a position: the last one that begins at or before it. Never falls with the offset.
    pub fn at(&self, partition: u16, offset: u64) -> u16 {
        let begun = self.0.iter().rev().find(|epoch| epoch.begin(partition) <= offset);
        begun.or(self.0.first()).map_or(0, |epoch| epoch.number)
    }

    /// Whether a version is still read under the epoch that it carries. Not so when something was stated of its topic since: it is read again
    /// then, and what it was compared with under its old epoch proves nothing any more.
    pub fn still_say(&self, version: &Version) -> bool {
        self.at(version.partition, version.offset) == version.epoch
    }

    /// Where a partition is to be read again by who has read it under the epochs up to `known`: the first offset whose epoch may have
    /// changed since. `None` when none has begun since.
    pub fn changed_from(&self, known: u16, partition: u16) -> Option<u64> {
        let since = self.0.iter().filter(|epoch| epoch.number > known);
        since.map(|epoch| epoch.begin(partition)).min()
    }

    /// The epoch of a snapshot's begin offsets: the lowest of the partitions'. A floor of it never lies above the snapshot's own rows;
    /// where a partition stands in a later epoch, what had gone from it before is kept until the next snapshot, which is the safe side.
    pub fn floor(&self, begins: &[u64]) -> u16 {
        let of_partitions = (0..).zip(begins).map(|(partition, begin)| self.at(partition, *begin));
        of_partitions.min().unwrap_or_else(|| self.latest())
    }

    /// After keys moved to other partitions, of which `before` were recorded and `ends` has the end offset of each that is there now.
    ///
    /// New partitions belong to the new epoch whole. In the others it begins where the first key that had moved there arrived, else at
    /// the end: nothing below changes. Who moved follows from what the topic holds under these epochs, see
    /// [`Moves`].
    ///
    /// # Errors
    /// [`EpochsError::Exhausted`].
    pub fn repartitioned(&self, before: u16, ends: &[u64], moves: &Moves) -> Result<Self, EpochsError> {
        let arrived = moves.arrivals();
        let begin = |(partition, end): (u16, &u64)| {
            if partition >= before {
                0
            } else {
                arrived.get(&partition).map_or(*end, |first| *first.min(end))
            }
        };
        self.and(self.latest(), vec![(0..).zip(ends).map(begin).collect()])
    }

    /// After the topic was created anew or lost messages: every position belongs to a later epoch than all that was read before.
    ///
    /// Boundaries between partitions are kept, one epoch each: where the topic is the same after all, what lay later still does; where it
    /// is another, a key stays in one partition and boundaries mean nothing to it.
    ///
    /// # Errors
    /// [`EpochsError::Exhausted`].
    pub fn restarted(&self) -> Result<Self, EpochsError> {
        self.restarted_beyond(self.latest())
    }

    /// [`Epochs::restarted`], beyond epochs up to `seen` as well: what was read under those stands in the log, and a restored base does
    /// not know what they were.
    ///
    /// # Errors
    /// [`EpochsError::Exhausted`].
    pub fn restarted_beyond(&self, seen: u16) -> Result<Self, EpochsError> {
        let mut kept: Vec<Vec<u64>> = self.visible().map(|epoch| epoch.begins.clone()).collect();
        if let Some(first) = kept.first_mut() {
            first.clear();
        }
        self.and(self.latest().max(seen), kept)
    }

    /// Epochs that some position has.
    fn visible(&self) -> impl Iterator<Item = &Epoch> {
        self.0
            .iter()
            .enumerate()
            .filter(|(index, epoch)| {
                let later = &self.0[index + 1..];
                let partitions = self.0.iter().map(|epoch| epoch.begins.len()).max().unwrap_or(0) as u16;
                // One more stands for all partitions that no epoch lists.
                (0..=partitions).any(|partition| later.iter().all(|other| other.begin(partition) > epoch.begin(partition)))
            })
            .map(|(_, epoch)| epoch)
    }

    /// With further epochs, numbered on from `after`.
    fn and(&self, after: u16, further: Vec<Vec<u64>>) -> Result<Self, EpochsError> {
        let mut epochs = self.0.clone();
        for (number, begins) in (u32::from(after) + 1..).zip(further) {
            let number = u16::try_from(number).ok().filter(|number| *number <= LAST);
            let number = number.ok_or(EpochsError::Exhausted)?;
            epochs.push(Epoch { number, begins });
        }
        Self::new(epochs)
    }
}

#[cfg(test)]
mod tests;
