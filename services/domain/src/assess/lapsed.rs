//! Was enrolled, no longer pays, and the duty or the eligibility continues (断保).

use super::absence::duty;
use super::relation::{Coverage, Relation, lapses_on, transfer_ends};
use super::{Case, evidence, finding, places};
use crate::date::Day;
use crate::facts::ContributionStatus;
use crate::finding::{EvidenceRole, Finding, FormReason, Rule};
use crate::ids::RecordId;
use crate::policy::Duty;
use crate::population::{Membership, Population};
use crate::scheme::Scheme;

pub(super) fn assess(case: &Case<'_>, open: &mut Vec<Finding>) {
    for scheme in Scheme::ALL {
        let (Duty::Must, by) = duty(case, *scheme) else {
            continue;
        };
        let held = held(case, |held| case.policy.satisfies(held, *scheme));
        open.extend(lapse(case, *scheme, &held, &by, FormReason::Employer));
    }
    voluntary(case, Scheme::is_pension, open);
    voluntary(case, Scheme::is_medical, open);
}

fn held<'a>(case: &'a Case<'_>, counts: impl Fn(Scheme) -> bool) -> Vec<&'a Relation<'a>> {
    case.relations.iter().filter(|relation| counts(relation.scheme)).collect()
}

/// Voluntary schemes: any relation of the branch (pension, medical) covers a person, and only the scheme they were last in can lapse.
/// In a branch with a duty, or where they are covered otherwise, nothing voluntary is claimed.
fn voluntary(case: &Case<'_>, branch: fn(Scheme) -> bool, open: &mut Vec<Finding>) {
    let held = held(case, branch);
    if held.is_empty() {
        return;
    }
    let owed = |scheme: Scheme| duty(case, scheme).0;
    let schemes = || Scheme::ALL.iter().copied().filter(|scheme| branch(*scheme));
    if schemes().any(|scheme| owed(scheme) == Duty::Must) {
        return;
    }
    // The newest coverage, then the lowest code. A scheme that may not be joined any more is nothing to go back to.
    let last = held
        .iter()
        .filter(|relation| owed(relation.scheme) == Duty::May)
        .max_by_key(|relation| {
            let until = coverage(case, relation).until;
            (until.is_none(), until, std::cmp::Reverse(relation.scheme))
        });
    if let Some(last) = last {
        let (_, by) = duty(case, last.scheme);
        open.extend(lapse(case, last.scheme, &held, &by, FormReason::Individual));
    }
}

/// The finding, if none of the relations covers the person any more.
///
/// With a duty from several employments each counts by itself, and the first that is unmet opens the finding.
fn lapse(case: &Case<'_>, scheme: Scheme, held: &[&Relation<'_>], by: &[&Membership], reason: FormReason) -> Option<Finding> {
    let covered = held.iter().map(|relation| coverage(case, relation));
    let until = covered.clone().map(|coverage| coverage.until).max_by_key(
        // What never ends comes last.
        |until| (until.is_none(), *until),
    )??;
    let cover = Cover::of(case, held)?;
    let lapses = by
        .iter()
        .filter_map(|membership| cover.lapses(scheme, membership.since, case))
        .min()?;
    if !case.horizon.reached(lapses) {
        return None;
    }
    let duty = by.iter().filter_map(|membership| membership.since).min();
    // A relation that says nothing of when it stopped covered nothing.
    let uncovered = (until > Day(i32::MIN)).then(|| until.plus(1));
    let since = uncovered.max(duty).unwrap_or_else(|| case.known_since());
    let duties = by.iter().filter_map(|membership| membership.record);
    let relations = held.iter().map(|relation| relation.record);
    let role = |role: EvidenceRole| move |record: RecordId| (role, record);
    Some(Finding {
        reason: Some(reason),
        places: places(held.iter().map(|relation| relation.city)),
        evidence: evidence(
            duties
                .map(role(EvidenceRole::Duty))
                .chain(relations.map(role(EvidenceRole::Relation))),
        ),
        ..finding(Rule::Lapsed, Some(scheme), since)
    })
}

/// How far a relation is paid; who draws a pension pays no contribution to employees' medical, and is covered while it stands.
fn coverage(case: &Case<'_>, relation: &Relation<'_>) -> Coverage {
    let found = relation.coverage(case.horizon);
    let draws = case
        .populations
        .iter()
        .any(|membership| membership.population == Population::DrawingPension);
    let stands = relation.enrolment.status == ContributionStatus::Paying && !found.stopped;
    if draws && stands && !relation.scheme.is_paid_by_year() {
        Coverage {
            until: None,
            stopped: false,
        }
    } else {
        found
    }
}

/// How far all relations together cover a person: worked out once, whatever the number of relations and of duties. What lapses on a later
/// day the later a relation was paid needs only the one paid furthest.
struct Cover {
    /// The furthest of those that stopped, and of those that did not.
    furthest: [Option<Coverage>; 2],
    /// The last day of all transfers that are under way: until then nothing has lapsed.
    transfers: Option<Day>,
}

impl Cover {
    /// `None` when one of the relations covers the person for good.
    fn of(case: &Case<'_>, held: &[&Relation<'_>]) -> Option<Self> {
        let mut cover = Self {
            furthest: [None, None],
            transfers: None,
        };
        for relation in held {
            let found = coverage(case, relation);
            found.until?;
            let furthest = &mut cover.furthest[usize::from(found.stopped)];
            if furthest.is_none_or(|known| known.until < found.until) {
                *furthest = Some(found);
            }
            if relation.enrolment.transferring {
                cover.transfers = cover.transfers.max(Some(transfer_ends(relation, &case.newest, case.policy)?));
            }
        }
        Some(cover)
    }

    /// The first day on which a duty to be in `scheme` that began on `duty` is no longer met.
    fn lapses(&self, scheme: Scheme, duty: Option<Day>, case: &Case<'_>) -> Option<Day> {
        let furthest = self.furthest.iter().flatten();
        let lapses = furthest
            .filter_map(|coverage| lapses_on(*coverage, scheme, duty, case.policy))
            .max()?;
        Some(self.transfers.map_or(lapses, |ends| lapses.max(ends.plus(1))))
    }
}
