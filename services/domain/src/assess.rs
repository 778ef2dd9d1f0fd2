//! Findings: the rules applied to one person on a business date (RULES.md, Definitions; RULES.md, Duplicates).
//!
//! One file a rule. All of them read a `Case`: the person's records in canonical order, their relations, the populations they
//! belong to, and the business date through a [`Horizon`], which knows when to ask again.

mod absence;
mod after_death;
mod double_enrolled;
mod identity;
mod lapsed;
mod never_enrolled;
mod periods;
mod relation;

use std::collections::{BTreeMap, BTreeSet};

use crate::date::Day;
use crate::division::City;
use crate::facts::Facts;
use crate::finding::{Assessment, Evidence, EvidenceRole, Finding, Rule};
use crate::golden::Golden;
use crate::golden::business_date;
use crate::horizon::Horizon;
use crate::ids::RecordId;
use crate::person::PersonView;
use crate::policy::Policy;
use crate::population::{Membership, populations};
use crate::record::SourceRecord;
use crate::scheme::Scheme;

use relation::Relation;

/// What the rules say of a person on a business date (判定): a pure function, whatever the order of the members.
///
/// The open findings stay the same on every later date before [`Assessment::next_due`] as long as no fact changes. The golden record
/// must be of the same business date.
pub fn assess(person: &PersonView<'_>, policy: &Policy, today: Day) -> Assessment {
    let horizon = Horizon::new(today);
    if let Some(day) = person.golden.changes_on {
        horizon.note(day);
    }
    let mut members = person.members.to_vec();
    members.sort_unstable_by_key(|record| record.id);
    let relations = relation::relations(&members, policy);
    let case = Case {
        golden: person.golden,
        policy,
        horizon: &horizon,
        newest: relation::newest_starts(&relations),
        relations,
        populations: populations(person.golden, &members, policy, &horizon),
        members,
    };
    let mut open = Vec::new();
    if absence::is_knowable(person.standing, &case) {
        never_enrolled::assess(&case, &mut open);
        lapsed::assess(&case, &mut open);
    }
    double_enrolled::assess(&case, &mut open);
    after_death::assess(&case, &mut open);
    identity::assess(person, &case, &mut open);
    open.sort_unstable_by_key(Finding::about);
    Assessment {
        open,
        next_due: horizon.next(),
    }
}

/// What is said of a person before there is a policy: nothing, until the golden record changes by itself.
pub fn unjudged(golden: &Golden, today: Day) -> Assessment {
    Assessment {
        open: Vec::new(),
        next_due: golden.changes_on.filter(|day| *day > today),
    }
}

/// A short code of what would clear a finding of a rule (消除条件), for work lists and alerts.
pub fn clears_when(rule: Rule) -> &'static str {
    match rule {
        Rule::NeverEnrolled => "relation-appears-or-duty-ends",
        Rule::Lapsed => "payment-resumes-or-duty-ends",
        Rule::DoubleEnrolled => "one-relation-remains",
        Rule::AfterDeath => "relation-ends-or-death-is-withdrawn",
        Rule::IdentityConflict => "one-name-remains",
    }
}

/// What the rules read.
struct Case<'a> {
    golden: &'a Golden,
    /// By record id.
    members: Vec<&'a SourceRecord>,
    /// The person's relations, without supplements, by record id.
    relations: Vec<Relation<'a>>,
    /// When the newest relation of each scheme began.
    newest: BTreeMap<Scheme, Day>,
    populations: Vec<Membership>,
    policy: &'a Policy,
    horizon: &'a Horizon,
}

impl Case<'_> {
    /// Whether the person is known to be dead on the business date.
    fn is_dead(&self) -> bool {
        let death = self.golden.death.as_ref();
        death.is_some_and(|death| match death.value.date {
            Some(day) => self.horizon.reached(day),
            None => true,
        })
    }

    /// Since when the sources know of the person: the earliest business date of their records that has come, else their birth date.
    fn known_since(&self) -> Day {
        self.members
            .iter()
            .filter(|record| !matches!(record.facts, Facts::Resident(_) | Facts::Funeral(_) | Facts::Circumstance(_)))
            .filter_map(|record| business_date(&record.facts))
            .filter(|date| self.horizon.reached(*date))
            .min()
            .or(self.golden.birth.as_ref().map(|birth| birth.value))
            .unwrap_or(self.policy.valid_from)
    }
}

/// Facts a finding names at most.
const MOST_EVIDENCE: usize = 50;

/// Sorts and deduplicates evidence.
///
/// At most [`MOST_EVIDENCE`], the lowest: a number that thousands of records share must not make a finding that no topic takes.
fn evidence(found: impl IntoIterator<Item = (EvidenceRole, RecordId)>) -> Vec<Evidence> {
    let sorted: BTreeSet<Evidence> = found.into_iter().map(|(role, record)| Evidence { role, record }).collect();
    sorted.into_iter().take(MOST_EVIDENCE).collect()
}

/// Sorts and deduplicates cities.
fn places(found: impl IntoIterator<Item = City>) -> Vec<City> {
    let sorted: BTreeSet<City> = found.into_iter().collect();
    sorted.into_iter().collect()
}

/// A finding with nothing but its rule, scheme and start.
fn finding(rule: Rule, scheme: Option<Scheme>, since: Day) -> Finding {
    Finding {
        rule,
        scheme,
        since,
        overlap: None,
        reason: None,
        places: Vec::new(),
        evidence: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
