//! Shards: where a record's neighbourhood lives (ARCHITECTURE.md, Shards).

use crate::date::Day;
use crate::ids::RecordId;
use crate::name::Name;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Number of shards, and of partitions of `person.records`: fixed for ever, since ids of rows and positions depend on it.
pub const SHARDS: u8 = 64;

/// A shard (分片) of the base, 0 to 63, which is also the partition of `person.records`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shard(u8);

impl Shard {
    /// The shard of a number; `None` from 64 on.
    pub fn new(number: u8) -> Option<Self> {
        (number < SHARDS).then_some(Self(number))
    }

    /// Every shard, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }

    /// The shard's number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The shard of a birth date: of a valid citizen id, else the stated one.
    pub fn of_birth_date(day: Day) -> Self {
        Self::of_bits(mix(u64::from(day.0 as u32)))
    }

    /// The shard of a name key, for records that state no birth date.
    pub fn of_name(name: &Name) -> Self {
        Self::of_bits(mix(fnv(name.key().as_bytes())))
    }

    /// The shard of a record that is known by its key alone.
    pub fn of_record(record: RecordId) -> Self {
        Self::of_bits(mix(fnv(record.bytes())))
    }

    fn of_bits(bits: u64) -> Self {
        Self((bits >> 58) as u8)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Placeholder birth dates (占位日期) count as missing: they would crowd one shard with people who share nothing.
pub fn is_placeholder(birth: Day) -> bool {
    matches!(
        birth.ymd(),
        (1900 | 1901 | 1970, 1, 1) | (1899, 12, 30 | 31) | (1111, 11, 11) | (9999, 12, 31)
    )
}

/// The finaliser of SplitMix64: spreads consecutive days over the shards, the same on every machine and for ever.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn birth_dates_spread_over_all_shards() {
        let mut counts = [0u32; SHARDS as usize];
        for day in -20_000..20_000 {
            counts[usize::from(Shard::of_birth_date(Day(day)).number())] += 1;
        }
        assert!(counts.iter().all(|count| (500..750).contains(count)), "{counts:?}");
    }

    #[test]
    fn assignment_never_changes() {
        // Stored in every base: another answer here would be another base.
        let shards = [0, 1, 7_000, -10_000].map(|day| Shard::of_birth_date(Day(day)).number());
        assert_eq!(shards, [56, 36, 39, 20]);
    }
}
