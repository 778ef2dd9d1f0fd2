//! Decisions (复核决定): stratum 0 of identity, what a reviewer said of two source records (ARCHITECTURE.md, Identity).
//!
//! Decisions are pinned to records, never to person ids, and stand in every shard's log. [`Rulings`] is a function of the set of
//! decisions: which records are one person, which are not, and where records of one person meet. A group of records contradicts itself
//! when it was called both one person and two, or when it joins the holders of two numbers whom nobody called one: it becomes a case
//! and binds nobody. What the records state of numbers is in the decisions, since no shard sees all records: each names the number it
//! keeps, which is its other record's own.

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
    /// For one person: the number they keep, that of the other record. `None` when neither record's person holds one.
    pub number: Option<CitizenId>,
}

/// Why decisions contradict each other (矛盾复核).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contradiction {
    /// The same records were called one person and two.
    OneAndTwo,
    /// A record was called one person with holders of two numbers, and no decision says that these are one.
    TwoNumbers,
}

/// Records whose decisions contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The records, in order.
    pub records: Vec<RecordId>,
    /// Why.
    pub why: Contradiction,
}

/// The records of a decision that two are one person, in its order, and the number they keep: that of the second, if its person holds
/// one of their own, else of the first, which then is the second.
pub fn kept(
    record: (RecordId, Option<CitizenId>),
    other: (RecordId, Option<CitizenId>),
) -> (RecordId, RecordId, Option<CitizenId>) {
    if other.1.is_none() && record.1.is_some() {
        (other.0, record.0, record.1)
    } else {
        (record.0, other.0, other.1)
    }
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
    cases: Vec<Case>,
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

    /// Groups of records whose decisions contradict each other: they bind nobody until one is withdrawn, or made that was missing.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The case that a record is in.
    pub fn case(&self, record: RecordId) -> Option<&Case> {
        self.cases.iter().find(|case| case.records.contains(&record))
    }

    /// A number that decisions name as a record's own.
    pub fn own_number(&self, record: RecordId) -> Option<CitizenId> {
        let kept = self.decisions.values().flatten().filter(|decision| decision.other == record);
        kept.filter_map(|decision| decision.number).next_back()
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

    /// Records whose place may differ between these rulings and others. A decision may also rule on records that it does not name: it may
    /// say that two numbers are one person's, which others hold as well.
    pub fn changed(&self, other: &Self) -> BTreeSet<RecordId> {
        let named = self.of_record.keys().chain(other.of_record.keys());
        let mut records: BTreeSet<RecordId> = named
            .filter(|record| self.get(**record) != other.get(**record))
            .copied()
            .collect();
        // Whom they were set apart from is set apart from somebody else now, under the same name.
        for record in records.clone() {
            for rulings in [self, other] {
                let apart = rulings.apart(record).iter().filter_map(|name| rulings.get(*name));
                records.extend(apart.flat_map(|class| class.records.iter().copied()));
            }
        }
        records
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
        let mut void: BTreeMap<RecordId, Contradiction> = BTreeMap::new();
        for decision in standing().filter(|decision| decision.verdict == Verdict::Different) {
            let lowest = merged.find(decision.record);
            if lowest == merged.find(decision.other) {
                void.insert(lowest, Contradiction::OneAndTwo);
            }
        }
        // What a group that contradicts itself says of numbers binds nobody either, and others may have rested on it.
        loop {
            let more = joins_of_numbers(&self.decisions, &mut merged, &void);
            if more.is_empty() {
                break;
            }
            void.extend(more.into_iter().map(|lowest| (lowest, Contradiction::TwoNumbers)));
        }
        let mut groups: BTreeMap<RecordId, Vec<RecordId>> = BTreeMap::new();
        let mut cases: BTreeMap<RecordId, Case> = BTreeMap::new();
        for record in merged.keys() {
            let lowest = merged.find(record);
            if let Some(why) = void.get(&lowest) {
                groups.insert(record, vec![record]);
                let case = || Case {
                    records: Vec::new(),
                    why: *why,
                };
                cases.entry(lowest).or_insert_with(case).records.push(record);
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

/// The names of groups, of those that are not `void`, that decisions make of holders of several numbers, without saying of the holders
/// that they are one.
///
/// A record's own numbers are those that decisions name as such; a decision on two records that both have one says that these numbers
/// are one person's, whoever else holds them. A record that decisions give two numbers is one that two reviewers gave away.
fn joins_of_numbers(
    decisions: &BTreeMap<u64, Option<Decision>>,
    merged: &mut Merged<RecordId>,
    void: &BTreeMap<RecordId, Contradiction>,
) -> BTreeSet<RecordId> {
    let same = decisions
        .values()
        .flatten()
        .filter(|decision| decision.verdict == Verdict::Same);
    let standing: Vec<&Decision> = same
        .filter(|decision| !void.contains_key(&merged.find(decision.record)))
        .collect();
    let mut own: BTreeMap<RecordId, BTreeSet<CitizenId>> = BTreeMap::new();
    for decision in &standing {
        if let Some(number) = decision.number {
            own.entry(decision.other).or_default().insert(number);
        }
    }
    let mut joined: Merged<CitizenId> = Merged::default();
    for decision in &standing {
        if let (Some(one), Some(other)) = (own.get(&decision.record), own.get(&decision.other))
            && let (Some(one), Some(other)) = (one.first(), other.first())
        {
            joined.unite(*one, *other);
        }
    }
    let mut numbers: BTreeMap<RecordId, BTreeSet<CitizenId>> = BTreeMap::new();
    for (record, own) in own {
        let of_group = numbers.entry(merged.find(record)).or_default();
        of_group.extend(own.into_iter().map(|number| joined.find(number)));
    }
    numbers.retain(|_, numbers| numbers.len() > 1);
    numbers.into_keys().collect()
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
mod tests;
