//! Enrolled twice where once is allowed (重复参保): indicator 11 of attachment 3, part five of the form (RULES.md, Duplicates).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::relation::{Relation, city_of, transfer_ends};
use super::{Case, evidence, finding, places};
use crate::date::{Day, Month};
use crate::division::City;
use crate::facts::{BenefitKind, ContributionStatus, Facts};
use crate::finding::{EvidenceRole, Finding, Overlap, Rule};
use crate::ids::RecordId;
use crate::population::is_drawn;
use crate::scheme::Scheme;
use crate::sex::Sex;

/// One way in which a person is enrolled twice.
struct Double {
    overlap: Overlap,
    since: Day,
    /// What it rests on: scheme, city and record.
    facts: Vec<(Scheme, City, RecordId)>,
}

/// At most one finding for pension and one for medical: of several ways the most serious names it, and all of them are evidence.
///
/// Nothing is claimed of the dead: what stands on after death is a finding of its own.
pub(super) fn assess(case: &Case<'_>, open: &mut Vec<Finding>) {
    if case.is_dead() {
        return;
    }
    let counted: Vec<&Relation<'_>> = case
        .relations
        .iter()
        .filter(|relation| case.policy.double.pension.contains(&relation.scheme))
        .collect();
    let mut pension: Vec<Double> = Vec::new();
    pension.extend(two_benefits(case));
    pension.extend(several_schemes(case, &counted));
    for scheme in &case.policy.double.pension {
        pension.extend(two_places(case, *scheme, &counted));
    }
    open.extend(merge(&pension));
    open.extend(merge(medical(case).as_slice()));
}

/// The most serious first.
fn severity(overlap: Overlap) -> u8 {
    match overlap {
        Overlap::TwoBenefits => 0,
        Overlap::SameMonths => 1,
        Overlap::TwoPlaces => 2,
        Overlap::Medical => 3,
        Overlap::SameYear => 4,
        Overlap::NotConsolidated => 5,
    }
}

fn merge(found: &[Double]) -> Option<Finding> {
    let worst = found.iter().min_by_key(|double| (severity(double.overlap), double.since))?;
    let facts = || found.iter().flat_map(|double| double.facts.iter());
    let scheme = facts().map(|(scheme, ..)| *scheme).min();
    Some(Finding {
        overlap: Some(worst.overlap),
        places: places(facts().map(|(_, city, _)| *city)),
        evidence: evidence(facts().map(|(.., record)| (EvidenceRole::Relation, *record))),
        ..finding(Rule::DoubleEnrolled, scheme, worst.since)
    })
}

fn facts(relations: &[&Relation<'_>]) -> Vec<(Scheme, City, RecordId)> {
    relations
        .iter()
        .map(|relation| (relation.scheme, relation.city, relation.record))
        .collect()
}

/// Drawing a pension from two schemes or places: forbidden (人社部发〔2014〕17号 art. 8: end the resident pension, recover it).
fn two_benefits(case: &Case<'_>) -> Option<Double> {
    type Drawn = Vec<(Option<Day>, RecordId)>;
    let mut drawn: BTreeMap<(Scheme, City), Drawn> = BTreeMap::new();
    for record in &case.members {
        if let Facts::Benefit(benefit) = &record.facts
            && benefit.kind == BenefitKind::Pension
            && is_drawn(benefit, case.horizon)
        {
            let scheme = case.policy.current_scheme(benefit.scheme);
            let city = city_of(benefit.place, record);
            let found = drawn.entry((scheme, city)).or_default();
            found.push((benefit.from, record.id));
        }
    }
    let starts = drawn.values().map(|found| found.iter().filter_map(|(from, _)| *from).min());
    (drawn.len() > 1).then(|| Double {
        overlap: Overlap::TwoBenefits,
        since: second(starts).unwrap_or_else(|| case.known_since()),
        facts: drawn
            .iter()
            .flat_map(|((scheme, city), found)| found.iter().map(|(_, record)| (*scheme, *city, *record)))
            .collect(),
    })
}

/// When the second of several things began; unknown starts count as first.
fn second(starts: impl Iterator<Item = Option<Day>>) -> Option<Day> {
    let mut starts: Vec<Option<Day>> = starts.collect();
    starts.sort_unstable();
    starts.into_iter().nth(1).flatten()
}

/// Indicator 11 (a): one scheme surviving in two or more places at once; suspended relations survive too.
///
/// Legal and left out: a transfer under way, within its window; a temporary account beside the old relation.
fn two_places(case: &Case<'_>, scheme: Scheme, counted: &[&Relation<'_>]) -> Option<Double> {
    let surviving: Vec<&Relation<'_>> = counted
        .iter()
        .copied()
        .filter(|relation| relation.scheme == scheme && relation.survives(case.horizon))
        .filter(|relation| !is_temporary_account(case, relation))
        .collect();
    let cities = places(surviving.iter().map(|relation| relation.city));
    if cities.len() < 2 || is_moving(case, &surviving) {
        return None;
    }
    let paying = |relation: &&&Relation<'_>| relation.is_paying(case.horizon);
    let paying = places(surviving.iter().filter(paying).map(|relation| relation.city));
    let overlap = if paying.len() > 1 {
        Overlap::TwoPlaces
    } else {
        Overlap::NotConsolidated
    };
    let first = |city: &City| {
        let of_city = surviving.iter().filter(|relation| relation.city == *city);
        of_city.filter_map(|relation| relation.start()).min()
    };
    let concerned = if paying.len() > 1 { &paying } else { &cities };
    Some(Double {
        overlap,
        since: second(concerned.iter().map(first)).unwrap_or_else(|| case.known_since()),
        facts: facts(&surviving),
    })
}

/// Whether one of the relations is being transferred and its window is not over.
fn is_moving(case: &Case<'_>, relations: &[&Relation<'_>]) -> bool {
    relations
        .iter()
        .filter(|relation| relation.enrolment.transferring)
        .any(|relation| transfer_ends(relation, &case.relations, case.policy).is_none_or(|ends| !case.horizon.passed(ends)))
}

/// A temporary account (临时缴费账户): who first enrols outside their hukou from 50 (men) or 40 (women) on keeps the old relation
/// (国办发〔2009〕66号). No source flags it, so that it is known by age and place.
fn is_temporary_account(case: &Case<'_>, relation: &Relation<'_>) -> bool {
    let rules = &case.policy.double;
    let golden = case.golden;
    let (Some(birth), Some(sex), Some(hukou), Some(start)) = (&golden.birth, &golden.sex, &golden.hukou, relation.start()) else {
        return false;
    };
    let age = if sex.value == Sex::Male {
        rules.temporary_men
    } else {
        rules.temporary_women
    };
    relation.scheme == Scheme::EmployeePension && hukou.value.city() != Some(relation.city) && birth.value.add_years(age) <= start
}

/// Indicator 11 (b): several pension schemes in one year.
///
/// The employees' or institutions' pension and the residents' in the same months are an illegal overlap while the resident relation
/// stands (人社部发〔2014〕17号 art. 7: keep the employee months, refund the resident part). Everything else within the current
/// calendar year meets (b) without a refund.
fn several_schemes(case: &Case<'_>, counted: &[&Relation<'_>]) -> Option<Double> {
    let candidates = Candidate::all(case, counted);
    let mut worst: Option<(Overlap, Day)> = None;
    let mut concerned: BTreeSet<usize> = BTreeSet::new();
    for (at, one) in candidates.iter().enumerate() {
        for (beside, other) in candidates.iter().enumerate().skip(at + 1) {
            if one.relation.scheme == other.relation.scheme {
                continue;
            }
            let Some((overlap, since)) = pair(case, one, other) else {
                continue;
            };
            match worst.map(|(known, _)| severity(overlap).cmp(&severity(known))) {
                Some(Ordering::Greater) => continue,
                Some(Ordering::Equal) => worst = worst.map(|(known, first)| (known, first.min(since))),
                Some(Ordering::Less) | None => {
                    worst = Some((overlap, since));
                    concerned.clear();
                }
            }
            concerned.extend([at, beside]);
        }
    }
    worst.map(|(overlap, since)| Double {
        overlap,
        since,
        facts: facts_of(&candidates, &concerned),
    })
}

/// A relation with what every pair of it asks: worked out once, because a number that everybody uses has thousands of relations.
struct Candidate<'a, 'b> {
    relation: &'b Relation<'a>,
    months: Months,
}

impl<'a, 'b> Candidate<'a, 'b> {
    /// Those that can overlap with another one: the ones whose months are known and that are not being transferred.
    fn all(case: &Case<'_>, relations: &[&'b Relation<'a>]) -> Vec<Self> {
        let still = relations.iter().copied().filter(|relation| !is_moving(case, &[*relation]));
        let with_months = still.filter_map(|relation| {
            let months = relation.months(case.policy, case.horizon)?;
            Some(Self { relation, months })
        });
        with_months.collect()
    }
}

fn facts_of(candidates: &[Candidate<'_, '_>], concerned: &BTreeSet<usize>) -> Vec<(Scheme, City, RecordId)> {
    let relations: Vec<&Relation<'_>> = concerned.iter().map(|at| candidates[*at].relation).collect();
    facts(&relations)
}

fn pair(case: &Case<'_>, one: &Candidate<'_, '_>, other: &Candidate<'_, '_>) -> Option<(Overlap, Day)> {
    let resident = [one, other]
        .into_iter()
        .find(|candidate| candidate.relation.scheme == Scheme::ResidentPension);
    let refundable = resident.is_some_and(|candidate| candidate.relation.enrolment.status != ContributionStatus::Ended);
    match common(one.months, other.months) {
        Some(first) if refundable => Some((Overlap::SameMonths, first.first_day())),
        _ => {
            let year = case.horizon.year();
            let year = (Month::from_ym(year, 1)?, Month::from_ym(year, 12));
            let (first, second) = (common(one.months, year)?, common(other.months, year)?);
            Some((Overlap::SameYear, first.max(second).first_day()))
        }
    }
}

/// First and last month; without an end it goes on.
type Months = (Month, Option<Month>);

/// The first month two periods share.
fn common(one: Months, other: Months) -> Option<Month> {
    let first = one.0.max(other.0);
    let before_end = |end: Option<Month>| end.is_none_or(|end| first <= end);
    (before_end(one.1) && before_end(other.1)).then_some(first)
}

/// Medical: two or more relations in normal paying status in one period, in one scheme or several, in different places or schemes.
///
/// The health-insurance guidance of 2020 says which to keep (employee: workplace; resident: residence; student: school).
fn medical(case: &Case<'_>) -> Option<Double> {
    let paying: Vec<&Relation<'_>> = case
        .relations
        .iter()
        .filter(|relation| case.policy.double.medical.contains(&relation.scheme))
        .filter(|relation| relation.has_begun(case.horizon))
        .filter(|relation| relation.is_up_to_date(case.policy, case.horizon))
        .collect();
    let candidates = Candidate::all(case, &paying);
    let mut earliest: Option<Day> = None;
    let mut concerned: BTreeSet<usize> = BTreeSet::new();
    for (at, one) in candidates.iter().enumerate() {
        for (beside, other) in candidates.iter().enumerate().skip(at + 1) {
            let of = |candidate: &Candidate<'_, '_>| (candidate.relation.scheme, candidate.relation.city);
            let Some(first) = common(one.months, other.months).filter(|_| of(one) != of(other)) else {
                continue;
            };
            let started = one.relation.start().max(other.relation.start());
            let since = started.filter(|day| day.month() == first).unwrap_or(first.first_day());
            earliest = Some(earliest.map_or(since, |day| day.min(since)));
            concerned.extend([at, beside]);
        }
    }
    earliest.map(|since| Double {
        overlap: Overlap::Medical,
        since,
        facts: facts_of(&candidates, &concerned),
    })
}
