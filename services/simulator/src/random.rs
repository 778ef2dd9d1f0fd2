//! Random streams that depend on nothing but the seed and what they are for.
//!
//! One generator for the whole run would make person 7 depend on how many draws person 6 took; a stream of its own for each
//! purpose and index lets any person be made alone, in any order.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// What a stream is for; part of its seed.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// A block of eight people.
    Block = 1,
    /// An employer.
    Employer = 2,
    /// An agency's view of a person.
    Lens = 3,
    /// The records of a person before the first change.
    Records = 4,
    /// The choice of the n-th change.
    Choice = 5,
    /// What an event does to its person.
    Event = 6,
}

/// The stream of a seed, a purpose and an index.
pub(crate) fn stream(seed: u64, purpose: Purpose, index: u64) -> SmallRng {
    let mixed = mix(mix(seed ^ ((purpose as u64) << 56)).wrapping_add(index));
    SmallRng::seed_from_u64(mixed)
}

/// The finaliser of SplitMix64: neighbouring inputs give unrelated outputs.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// True once in `1 / rate`; rates above 1 are always true.
pub(crate) fn chance(rng: &mut impl Rng, rate: f64) -> bool {
    rng.random::<f64>() < rate
}

/// One of a list, the first far more often than the last (Zipf-like, as names and employers are).
pub(crate) fn skewed(rng: &mut impl Rng, length: usize) -> usize {
    let at = rng.random::<f64>();
    ((at * at * length as f64) as usize).min(length.saturating_sub(1))
}

/// The position of a choice by weight.
pub(crate) fn weighted(rng: &mut impl Rng, weights: impl Iterator<Item = u32> + Clone) -> usize {
    let total: u32 = weights.clone().sum();
    let mut rest = rng.random_range(0..total.max(1));
    for (at, weight) in weights.enumerate() {
        if rest < weight {
            return at;
        }
        rest -= weight;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_depend_on_all_their_parts_only() {
        let first = |seed, purpose, index| stream(seed, purpose, index).random::<u64>();
        assert_eq!(first(1, Purpose::Block, 2), first(1, Purpose::Block, 2));
        assert_ne!(first(1, Purpose::Block, 2), first(2, Purpose::Block, 2));
        assert_ne!(first(1, Purpose::Block, 2), first(1, Purpose::Lens, 2));
        assert_ne!(first(1, Purpose::Block, 2), first(1, Purpose::Block, 3));
    }

    #[test]
    fn weights_are_kept() {
        let mut rng = stream(1, Purpose::Choice, 0);
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            counts[weighted(&mut rng, [1, 0, 3].into_iter())] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((2_200..2_800).contains(&counts[0]));
    }
}
