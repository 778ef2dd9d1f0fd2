//! Which entry of a batch is at fault: the batch is halved until what fails is one entry. Pure.
//!
//! Order inside a shard is kept: an earlier half goes first, and behind an entry that fails alone nothing of its shard is tried any more.
//! Everything else is applied, so that one entry costs its own shard, and nobody else, more than a few batches.

use crate::shard::Shard;
use std::collections::{BTreeMap, VecDeque};

/// A batch on its way through its halves.
#[derive(Debug, Clone)]
pub struct Halving {
    /// The shard of each entry, in the order of the batch.
    shards: Vec<Shard>,
    /// What is still to be tried, in order: entries by their place.
    pieces: VecDeque<Vec<usize>>,
    /// By shard, the entry that failed alone.
    at_fault: BTreeMap<Shard, usize>,
}

impl Halving {
    /// A batch of entries of these shards, whole.
    pub fn new(shards: impl IntoIterator<Item = Shard>) -> Self {
        let shards: Vec<Shard> = shards.into_iter().collect();
        Self {
            pieces: VecDeque::from([(0..shards.len()).collect()]),
            shards,
            at_fault: BTreeMap::new(),
        }
    }

    /// What to try next, as one batch: entries by their place in the whole, in order. It is asked again until the outcome is
    /// [told](Self::done). `None` when all was tried.
    pub fn to_try(&mut self) -> Option<&[usize]> {
        while let Some(piece) = self.pieces.front_mut() {
            let (shards, at_fault) = (&self.shards, &self.at_fault);
            piece.retain(|entry| !at_fault.contains_key(&shards[*entry]));
            if piece.is_empty() {
                self.pieces.pop_front();
            } else {
                break;
            }
        }
        self.pieces.front().map(Vec::as_slice)
    }

    /// What was tried was applied.
    pub fn done(&mut self) {
        self.pieces.pop_front();
    }

    /// What was tried failed, and would fail again; the entry, when it was tried alone.
    pub fn failed(&mut self) -> Option<usize> {
        let mut piece = self.pieces.pop_front()?;
        if let [entry] = piece[..] {
            self.at_fault.insert(self.shards[entry], entry);
            return Some(entry);
        }
        let second = piece.split_off(piece.len() / 2);
        self.pieces.push_front(second);
        self.pieces.push_front(piece);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn shard(number: u8) -> Shard {
        Shard::new(number).expect("a shard")
    }

    /// Runs a batch in which some entries cannot be applied: what was applied, in order; who failed alone; how often was tried.
    fn run(shards: &[u8], bad: &BTreeSet<usize>) -> (Vec<usize>, Vec<usize>, usize) {
        let mut halving = Halving::new(shards.iter().map(|number| shard(*number)));
        let (mut applied, mut alone, mut tried) = (Vec::new(), Vec::new(), 0);
        while let Some(piece) = halving.to_try().map(<[usize]>::to_vec) {
            tried += 1;
            if piece.iter().any(|entry| bad.contains(entry)) {
                alone.extend(halving.failed());
            } else {
                applied.extend(piece);
                halving.done();
            }
        }
        (applied, alone, tried)
    }

    #[test]
    fn a_good_batch_is_tried_once_and_whole() {
        assert_eq!(run(&[1, 2, 1], &BTreeSet::new()), (vec![0, 1, 2], vec![], 1));
        assert_eq!(run(&[], &BTreeSet::new()), (vec![], vec![], 0));
    }

    #[test]
    fn what_fails_stops_its_shard_only() {
        let (applied, alone, _) = run(&[1, 2, 1, 2, 1, 2], &BTreeSet::from([2]));
        assert_eq!((applied, alone), (vec![0, 1, 3, 5], vec![2]));
    }

    #[test]
    fn one_of_many_is_found_in_few_attempts() {
        let shards: Vec<u8> = (0..20_000_u32).map(|entry| (entry % 64) as u8).collect();
        let (applied, alone, tried) = run(&shards, &BTreeSet::from([12_345]));
        assert_eq!(alone, [12_345]);
        let behind = (12_345..20_000).filter(|entry| shards[*entry] == shards[12_345]).count();
        assert_eq!(applied.len(), shards.len() - behind);
        assert!(tried <= 32, "{tried}");
    }

    proptest! {
        /// Of each shard everything before its first bad entry is applied, in order, and nothing from there on.
        #[test]
        fn each_shard_is_applied_up_to_its_first_bad_entry(
            shards in prop::collection::vec(0..5_u8, 0..60),
            bad in prop::collection::btree_set(0..60_usize, 0..6),
        ) {
            let (applied, alone, _) = run(&shards, &bad);
            for number in 0..5 {
                let own: Vec<usize> = (0..shards.len()).filter(|entry| shards[*entry] == number).collect();
                let first = own.iter().position(|entry| bad.contains(entry));
                let expected = &own[..first.unwrap_or(own.len())];
                let found: Vec<usize> = applied.iter().copied().filter(|entry| shards[*entry] == number).collect();
                prop_assert_eq!(&found[..], expected);
                let fault: Vec<usize> = alone.iter().copied().filter(|entry| shards[*entry] == number).collect();
                prop_assert_eq!(fault, first.map(|at| own[at]).into_iter().collect::<Vec<_>>());
            }
        }
    }
}
