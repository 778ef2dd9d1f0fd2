//! Decisions (复核决定): stratum 0 of identity, what a reviewer said of two source records (ARCHITECTURE.md, Identity).
//!
//! Decisions are pinned to records, never to person ids, and stand in every shard's log. [`Rulings`] is a function of the set of
//! decisions: which records are one person, which are not, and where records of one person meet. A group of records that was called
//! both one person and two contradicts itself: it becomes a case and binds nobody.

use crate::citizen_id::CitizenId;
use crate::facts::coded;
use crate::ids::{AnchorId, IdKey, RecordId};
use crate::shard::{Shard, mix};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

coded! {
    /// What a reviewer decided.
    Verdict {
        /// One person (同一人).
        Same = 1 "same",
        /// Two persons (非同一人).
        Different = 2 "different",
    }
}

/// A decision on two records (复核决定).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Number of the statement that made it; rises, so a later decision is known as such.
    pub id: u64,
    /// One person or two.
    pub verdict: Verdict,
    /// A record.
    pub record: RecordId,
    /// The other record; of two numbers, the one this record's person holds stays.
    pub other: RecordId,
    /// For one person: the number they keep. `None` when neither record's person holds one.
    pub number: Option<CitizenId>,
}

/// Where the records of one person meet when they are not under one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meeting {
    /// Under the number that was decided on.
    Number(CitizenId),
    /// Nowhere by themselves: a place of their own, named after the lowest record.
    OfRecord(RecordId),
}

/// Records that are one person by decision.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Class {
    /// The lowest record: the name of the class.
    lowest: RecordId,
    /// Every record, in order; one for a record that was only set apart from others.
    records: Vec<RecordId>,
    meeting: Option<Meeting>,
    /// Names of the classes it was set apart from, in order.
    apart: Vec<RecordId>,
}

/// What the decisions come to (裁定): a function of their set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rulings {
    /// By number of the statement; `None` once withdrawn, also when the withdrawal comes first.
    decisions: BTreeMap<u64, Option<Decision>>,
    classes: Vec<Class>,
    of_record: HashMap<RecordId, usize>,
    /// Groups that contradict themselves.
    cases: Vec<Vec<RecordId>>,
}

impl Rulings {
    /// The rulings of decisions as stored: number of the statement, and `None` once withdrawn.
    pub fn new(decisions: BTreeMap<u64, Option<Decision>>) -> Self {
        let mut rulings = Self {
            decisions,
            ..Self::default()
        };
        rulings.settle();
        rulings
    }

    /// These rulings with decisions made and withdrawn (`None`) since; a withdrawal is for good.
    #[must_use]
    pub fn with(&self, news: impl IntoIterator<Item = (u64, Option<Decision>)>) -> Self {
        let mut decisions = self.decisions.clone();
        for (id, decision) in news {
            match decision {
                None => drop(decisions.insert(id, None)),
                Some(decision) => drop(decisions.entry(id).or_insert(Some(decision))),
            }
        }
        Self::new(decisions)
    }

    /// The decisions behind them.
    pub fn decisions(&self) -> &BTreeMap<u64, Option<Decision>> {
        &self.decisions
    }

    /// A digest of the set of decisions: equal sets have equal digests, in whatever order they came.
    pub fn digest(&self) -> u64 {
        self.decisions.iter().fold(0, |digest, (id, decision)| {
            digest.wrapping_add(mix(id * 2 + u64::from(decision.is_some())))
        })
    }

    /// Groups of records that were called both one person and two (矛盾复核): they bind nobody until a decision is withdrawn.
    pub fn cases(&self) -> &[Vec<RecordId>] {
        &self.cases
    }

    /// Whether nothing was ever decided.
    pub fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }

    /// The name of the class of a record that is one person with others by decision.
    pub fn class(&self, record: RecordId) -> Option<RecordId> {
        self.get(record)
            .filter(|class| class.records.len() > 1)
            .map(|class| class.lowest)
    }

    /// What a record is called among those it was set apart from: its class, or itself.
    pub(crate) fn called(&self, record: RecordId) -> RecordId {
        self.class(record).unwrap_or(record)
    }

    /// Names of the classes that a record's person is not.
    pub(crate) fn apart(&self, record: RecordId) -> &[RecordId] {
        self.get(record).map_or(&[], |class| &class.apart)
    }

    /// Where a record goes to meet the others of its class, from wherever it stands. One with a number of its own goes to a number only.
    pub(crate) fn meeting(&self, record: RecordId, has_number: bool, key: &IdKey) -> Option<(Shard, AnchorId)> {
        match self.get(record)?.meeting? {
            Meeting::Number(number) => Some((Shard::of_birth_date(number.birth_date()), key.number(number))),
            Meeting::OfRecord(lowest) if !has_number => Some((Shard::of_record(lowest), key.meeting(lowest))),
            Meeting::OfRecord(_) => None,
        }
    }

    /// Records whose place may differ between these rulings and others.
    pub fn changed(&self, other: &Self) -> BTreeSet<RecordId> {
        let mut records = BTreeSet::new();
        let named = |rulings: &Self, id: &u64| match rulings.decisions.get(id) {
            Some(Some(decision)) => vec![decision.record, decision.other],
            _ => Vec::new(),
        };
        for id in self.decisions.keys().chain(other.decisions.keys()) {
            if self.decisions.get(id) == other.decisions.get(id) {
                continue;
            }
            for record in named(self, id).into_iter().chain(named(other, id)) {
                records.insert(record);
                for rulings in [self, other] {
                    records.extend(rulings.linked(record));
                }
            }
        }
        // Whom they were set apart from is set apart from somebody else now.
        for record in records.clone() {
            for rulings in [self, other] {
                let apart = rulings.apart(record).iter().filter_map(|name| rulings.get(*name));
                records.extend(apart.flat_map(|class| class.records.iter().copied()));
            }
        }
        records
    }

    /// Every record that decisions call one person with this one, contradictions included.
    fn linked(&self, record: RecordId) -> Vec<RecordId> {
        let class = self.get(record).map(|class| class.records.clone());
        let case = || self.cases.iter().find(|case| case.contains(&record)).cloned();
        class.filter(|records| records.len() > 1).or_else(case).unwrap_or_default()
    }

    fn get(&self, record: RecordId) -> Option<&Class> {
        self.of_record.get(&record).map(|at| &self.classes[*at])
    }

    fn settle(&mut self) {
        let standing = || self.decisions.values().flatten();
        let mut merged: Merged<RecordId> = Merged::default();
        for decision in standing() {
            // Each named record has a class, also one that was only set apart.
            merged.find(decision.record);
            merged.find(decision.other);
            if decision.verdict == Verdict::Same {
                merged.unite(decision.record, decision.other);
            }
        }
        let mut void: BTreeSet<RecordId> = BTreeSet::new();
        for decision in standing().filter(|decision| decision.verdict == Verdict::Different) {
            let lowest = merged.find(decision.record);
            if lowest == merged.find(decision.other) {
                void.insert(lowest);
            }
        }
        let mut groups: BTreeMap<RecordId, Vec<RecordId>> = BTreeMap::new();
        let mut cases: BTreeMap<RecordId, Vec<RecordId>> = BTreeMap::new();
        for record in merged.keys() {
            let lowest = merged.find(record);
            if void.contains(&lowest) {
                groups.insert(record, vec![record]);
                cases.entry(lowest).or_default().push(record);
            } else {
                groups.entry(lowest).or_default().push(record);
            }
        }
        let mut classes: Vec<Class> = groups
            .into_iter()
            .map(|(lowest, records)| Class {
                meeting: (records.len() > 1).then_some(Meeting::OfRecord(lowest)),
                lowest,
                records,
                apart: Vec::new(),
            })
            .collect();
        let of_record: HashMap<RecordId, usize> = classes
            .iter()
            .enumerate()
            .flat_map(|(at, class)| class.records.iter().map(move |record| (*record, at)))
            .collect();
        // In the order of the statements: the last number that was decided on counts.
        for decision in standing() {
            let (record, other) = (of_record[&decision.record], of_record[&decision.other]);
            if decision.verdict == Verdict::Different && merged.find(decision.record) != merged.find(decision.other) {
                let (name, other_name) = (classes[record].lowest, classes[other].lowest);
                classes[record].apart.push(other_name);
                classes[other].apart.push(name);
            }
            if let (Verdict::Same, true, Some(number)) = (decision.verdict, record == other, decision.number) {
                classes[record].meeting = Some(Meeting::Number(number));
            }
        }
        for class in &mut classes {
            class.apart.sort_unstable();
            class.apart.dedup();
        }
        self.classes = classes;
        self.of_record = of_record;
        self.cases = cases.into_values().collect();
    }
}

/// Keys that were called one, pair by pair; each is named by the lowest of its set.
#[derive(Debug, Clone)]
pub(crate) struct Merged<K>(BTreeMap<K, K>);

impl<K> Default for Merged<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Merged<K> {
    /// The name of a key's set; a key that was never seen is a set of its own.
    pub(crate) fn find(&mut self, key: K) -> K {
        let above = self.0.entry(key.clone()).or_insert_with(|| key.clone()).clone();
        if above == key {
            return key;
        }
        let top = self.find(above);
        self.0.insert(key, top.clone());
        top
    }

    /// Calls two keys one.
    pub(crate) fn unite(&mut self, one: K, other: K) {
        let (one, other) = (self.find(one), self.find(other));
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        self.0.insert(high, low);
    }

    fn keys(&self) -> Vec<K> {
        self.0.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(name: u8) -> RecordId {
        RecordId([name; 16])
    }

    fn decision(id: u64, verdict: Verdict, one: u8, other: u8) -> (u64, Option<Decision>) {
        let decision = Decision {
            id,
            verdict,
            record: record(one),
            other: record(other),
            number: None,
        };
        (id, Some(decision))
    }

    #[test]
    fn same_is_transitive_and_different_holds_between_classes() {
        let rulings = Rulings::default().with([
            decision(1, Verdict::Same, 1, 2),
            decision(2, Verdict::Same, 2, 3),
            decision(3, Verdict::Different, 3, 9),
        ]);
        assert_eq!(rulings.class(record(3)), Some(record(1)));
        assert_eq!(rulings.class(record(9)), None, "set apart, one with nobody");
        assert_eq!(rulings.apart(record(1)), [record(9)]);
        assert_eq!(rulings.apart(record(9)), [record(1)]);
        assert!(rulings.cases().is_empty());
    }

    #[test]
    fn a_contradiction_binds_nobody_until_it_is_withdrawn() {
        let rulings = Rulings::default().with([
            decision(1, Verdict::Same, 1, 2),
            decision(2, Verdict::Same, 2, 3),
            decision(3, Verdict::Different, 1, 3),
        ]);
        assert_eq!(rulings.cases(), [[1, 2, 3].map(record)]);
        assert!((1..=3).all(|name| rulings.class(record(name)).is_none() && rulings.apart(record(name)).is_empty()));
        let mended = rulings.with([(2, None)]);
        assert_eq!(mended.class(record(2)), Some(record(1)));
        assert_eq!(mended.apart(record(3)), [record(1)]);
        assert_eq!(mended.changed(&rulings), [1, 2, 3].map(record).into());
    }

    #[test]
    fn the_last_number_decided_on_is_where_they_meet() {
        let number = |sequence| CitizenId::from_parts(320_102, crate::date::Day(7_000), sequence).expect("a number");
        let on = |(id, decision): (u64, Option<Decision>), number| (id, decision.map(|decision| Decision { number, ..decision }));
        let key = IdKey::new(1, &[7; 32]);
        let rulings = Rulings::default().with([
            on(decision(5, Verdict::Same, 1, 2), Some(number(12))),
            on(decision(4, Verdict::Same, 2, 3), Some(number(11))),
        ]);
        for name in 1..=3 {
            let met = rulings.meeting(record(name), true, &key).map(|(_, anchor)| anchor);
            assert_eq!(met, Some(key.number(number(12))));
        }
        let nameless = Rulings::default().with([decision(1, Verdict::Same, 1, 2)]);
        assert_eq!(
            nameless.meeting(record(2), true, &key),
            None,
            "a number is not left for nothing"
        );
        let met = nameless.meeting(record(2), false, &key);
        assert!(met.is_some() && met == nameless.meeting(record(1), false, &key));
    }

    proptest! {
        #[test]
        fn rulings_are_a_function_of_the_set(
            made in prop::collection::vec((any::<bool>(), 0..6u8, 0..6u8), 0..8),
            withdrawn in prop::collection::vec(0..8u64, 0..3),
            seed in any::<u64>(),
        ) {
            let mut news: Vec<(u64, Option<Decision>)> = (0u64..)
                .zip(made)
                .map(|(id, (same, one, other))| decision(id, if same { Verdict::Same } else { Verdict::Different }, one, other))
                .chain(withdrawn.into_iter().map(|id| (id, None)))
                .collect();
            let at_once = Rulings::default().with(news.clone());
            news.sort_by_key(|(id, decision)| mix(seed ^ (id * 2 + u64::from(decision.is_some()))));
            let one_by_one = news.into_iter().fold(Rulings::default(), |rulings, news| rulings.with([news]));
            prop_assert_eq!(at_once.digest(), one_by_one.digest());
            prop_assert_eq!(&at_once, &one_by_one);
            let reread = Rulings::new(at_once.decisions().clone());
            prop_assert_eq!(at_once, reread);
        }
    }
}
