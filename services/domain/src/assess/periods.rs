//! Which of many periods meet another one: without comparing each with each, because a number that everybody uses has thousands.

use crate::date::Month;

/// First and last month; without an end it goes on.
pub(super) type Months = (Month, Option<Month>);

/// The first month two periods share.
pub(super) fn common(one: Months, other: Months) -> Option<Month> {
    let first = one.0.max(other.0);
    let before_end = |end: Option<Month>| end.is_none_or(|end| first <= end);
    (before_end(one.1) && before_end(other.1)).then_some(first)
}

/// The last month as a number; what goes on comes after every month.
fn last(months: Months) -> i32 {
    months.1.map_or(i32::MAX, |month| month.0)
}

/// A last month as a number, and the key of the period it is of.
type End<K> = (i32, K);

/// Periods of several keys, such as scheme and city.
pub(super) struct Periods<K> {
    sorted: Vec<Reach<K>>,
}

/// How far the periods go that have begun by a month.
struct Reach<K> {
    /// The month in which one of them begins.
    first: Month,
    /// The one that lasts longest.
    longest: End<K>,
    /// Of those of other keys, the one that lasts longest.
    beside: Option<End<K>>,
}

impl<K: Copy + PartialEq> Periods<K> {
    pub(super) fn new(periods: impl IntoIterator<Item = (Months, K)>) -> Self {
        let mut periods: Vec<(Months, K)> = periods.into_iter().collect();
        periods.sort_by_key(|(months, _)| months.0);
        let mut sorted: Vec<Reach<K>> = Vec::with_capacity(periods.len());
        for (months, key) in periods {
            let own = (last(months), key);
            let (longest, beside) = match sorted.last() {
                None => (own, None),
                Some(Reach { longest, beside, .. }) if longest.1 == key => ((longest.0.max(own.0), key), *beside),
                Some(Reach { longest, .. }) if own.0 > longest.0 => (own, Some(*longest)),
                Some(Reach { longest, beside, .. }) => (*longest, beside.filter(|beside| beside.0 >= own.0).or(Some(own))),
            };
            let first = months.0;
            sorted.push(Reach { first, longest, beside });
        }
        Self { sorted }
    }

    /// Whether a period shares a month with one of another key.
    pub(super) fn meets(&self, months: Months, key: K) -> bool {
        let begun = self
            .sorted
            .partition_point(|reach| months.1.is_none_or(|end| reach.first <= end));
        let Some(Reach { longest, beside, .. }) = begun.checked_sub(1).map(|at| &self.sorted[at]) else {
            return false;
        };
        let other = if longest.1 == key { beside.as_ref() } else { Some(longest) };
        other.is_some_and(|(end, _)| *end >= months.0.0)
    }

    /// Whether another key's period holds the first month of this one.
    pub(super) fn meets_at_first(&self, months: Months, key: K) -> bool {
        self.meets((months.0, Some(months.0)), key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What comparing each with each gives.
        #[test]
        fn meets_whom_a_comparison_of_all_pairs_finds(
            periods in prop::collection::vec((0..20_i32, prop::option::of(0..8_i32), 0..3_u8), 0..12)
        ) {
            let periods: Vec<(Months, u8)> = periods
                .into_iter()
                .map(|(first, length, key)| ((Month(first), length.map(|length| Month(first + length))), key))
                .collect();
            let found = Periods::new(periods.iter().copied());
            for (months, key) in &periods {
                let others = || periods.iter().filter(|(_, other)| other != key);
                let shared = others().filter_map(|(other, _)| common(*months, *other));
                prop_assert_eq!(found.meets(*months, *key), shared.clone().next().is_some());
                let holds_first = shared.clone().any(|month| month == months.0);
                prop_assert_eq!(found.meets_at_first(*months, *key), holds_first);
            }
        }
    }
}
