//! Enrolled twice where once is allowed (重复参保): indicator 11 of attachment 3, part five of the form (RULES.md, Duplicates).

use std::collections::{BTreeMap, BTreeSet};

use super::periods::{Months, Periods, common};
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
        .any(|relation| transfer_ends(relation, &case.newest, case.policy).is_none_or(|ends| !case.horizon.passed(ends)))
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
    same_months(&candidates).or_else(|| same_year(case, &candidates))
}

/// Months in which a resident relation that stands meets one of another scheme.
fn same_months(candidates: &[Candidate<'_, '_>]) -> Option<Double> {
    let is_resident = |candidate: &Candidate<'_, '_>| candidate.relation.scheme == Scheme::ResidentPension;
    let refundable: Vec<&Candidate<'_, '_>> = candidates
        .iter()
        .filter(|candidate| !is_resident(candidate) || candidate.relation.enrolment.status != ContributionStatus::Ended)
        .collect();
    let periods = Periods::new(refundable.iter().map(|candidate| (candidate.months, is_resident(candidate))));
    let meeting = refundable
        .iter()
        .filter(|candidate| periods.meets_at_first(candidate.months, is_resident(candidate)));
    let first = meeting.map(|candidate| candidate.months.0).min()?;
    let concerned = refundable
        .iter()
        .filter(|candidate| periods.meets(candidate.months, is_resident(candidate)));
    Some(Double {
        overlap: Overlap::SameMonths,
        since: first.first_day(),
        facts: facts_of(concerned.copied()),
    })
}

/// Several schemes within the current calendar year: since the second of them began in it.
fn same_year(case: &Case<'_>, candidates: &[Candidate<'_, '_>]) -> Option<Double> {
    let first = candidates.first()?.relation.scheme;
    // The horizon is asked for the year only where the answer depends on it.
    candidates.iter().find(|candidate| candidate.relation.scheme != first)?;
    let year = case.horizon.year();
    let year = (Month::from_ym(year, 1)?, Month::from_ym(year, 12));
    let mut starts: BTreeMap<Scheme, Month> = BTreeMap::new();
    let mut concerned: Vec<&Candidate<'_, '_>> = Vec::new();
    for candidate in candidates {
        let Some(first) = common(candidate.months, year) else {
            continue;
        };
        let known = starts.entry(candidate.relation.scheme).or_insert(first);
        *known = (*known).min(first);
        concerned.push(candidate);
    }
    let mut starts: Vec<Month> = starts.into_values().collect();
    starts.sort_unstable();
    Some(Double {
        overlap: Overlap::SameYear,
        since: starts.get(1)?.first_day(),
        facts: facts_of(concerned.into_iter()),
    })
}

/// A relation with its months: worked out once.
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

fn facts_of<'a, 'b: 'a>(candidates: impl Iterator<Item = &'a Candidate<'b, 'a>>) -> Vec<(Scheme, City, RecordId)> {
    let relations: Vec<&Relation<'_>> = candidates.map(|candidate| candidate.relation).collect();
    facts(&relations)
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
    let of = |candidate: &Candidate<'_, '_>| (candidate.relation.scheme, candidate.relation.city);
    let periods = Periods::new(candidates.iter().map(|candidate| (candidate.months, of(candidate))));
    let meeting = candidates
        .iter()
        .filter(|candidate| periods.meets_at_first(candidate.months, of(candidate)));
    let first = meeting.map(|candidate| candidate.months.0).min()?;
    let concerned = candidates
        .iter()
        .filter(|candidate| periods.meets(candidate.months, of(candidate)));
    Some(Double {
        overlap: Overlap::Medical,
        since: medical_since(&candidates, first),
        facts: facts_of(concerned),
    })
}

/// The earliest day of `first`, the first month in which two relations of different schemes or cities meet, on which both have begun.
fn medical_since(candidates: &[Candidate<'_, '_>], first: Month) -> Day {
    let of = |candidate: &Candidate<'_, '_>| (candidate.relation.scheme, candidate.relation.city);
    let here = |candidate: &&Candidate<'_, '_>| common(candidate.months, (first, Some(first))).is_some();
    let (new, old): (Vec<_>, Vec<_>) = candidates
        .iter()
        .filter(here)
        .partition(|candidate| candidate.months.0 == first);
    let old: BTreeSet<(Scheme, City)> = old.into_iter().map(of).collect();
    let mut new: Vec<(Day, (Scheme, City))> = new
        .into_iter()
        .map(|candidate| {
            let start = candidate.relation.start().filter(|day| day.month() == first);
            (start.unwrap_or(first.first_day()), of(candidate))
        })
        .collect();
    new.sort_unstable();
    let beside_old = new
        .iter()
        .find(|(_, key)| old.len() > 1 || old.iter().any(|known| known != key));
    let beside_new = new.iter().find(|(_, key)| *key != new[0].1);
    let days = beside_old.into_iter().chain(beside_new).map(|(day, _)| *day);
    days.min().unwrap_or(first.first_day())
}
