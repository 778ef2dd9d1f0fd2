//! Whether anything can be claimed to be absent, and what is owed.

use super::Case;
use crate::facts::{Facts, FactsKind};
use crate::person::Standing;
use crate::policy::Duty;
use crate::population::{Membership, Population, circumstances};
use crate::scheme::Scheme;

/// Whether absence can be claimed of a person at all.
///
/// Only of who holds a number, since others' records may lie elsewhere; never while a row that could hold a relation, a duty or an
/// exemption cannot be read (ARCHITECTURE.md, Findings and release); never of the dead, nor of who is exempt (army, abroad, sentenced:
/// form, part three; moved out of the province), as the household registration says or a circumstance in force.
pub(super) fn is_knowable(standing: Standing, case: &Case<'_>) -> bool {
    let unknown = case
        .members
        .iter()
        .any(|record| matches!(record.facts, Facts::Unreadable(kind) if matters(kind)));
    let registered = case.golden.hukou_status.as_ref();
    let exempt = registered.is_some_and(|status| case.policy.exempt.contains(&status.value))
        || circumstances(&case.members, case.horizon).any(|(kind, _)| case.policy.exempts(kind));
    standing == Standing::Holder && !unknown && !exempt && !case.is_dead()
}

/// Whether a row of a kind can change a claim of absence: relations and benefits, employments, and what exempts.
fn matters(kind: FactsKind) -> bool {
    match kind {
        FactsKind::Resident
        | FactsKind::Correction
        | FactsKind::Funeral
        | FactsKind::Person
        | FactsKind::Employment
        | FactsKind::Enrolment
        | FactsKind::Benefit
        | FactsKind::Circumstance => true,
        FactsKind::TemporaryResident | FactsKind::Marriage | FactsKind::Hardship | FactsKind::Card => false,
    }
}

/// What a person owes to a scheme, and by which of their populations.
///
/// What covers a person otherwise goes before a duty, and a duty before what is voluntary.
pub(super) fn duty<'a>(case: &'a Case<'_>, scheme: Scheme) -> (Duty, Vec<&'a Membership>) {
    let owed = |membership: &Membership| {
        let population = membership.population;
        let nationality = case.golden.nationality.as_ref();
        let waived = population == Population::ForeignEmployee
            && nationality.is_some_and(|stated| case.policy.is_waived(&stated.value, scheme));
        if waived {
            Duty::None
        } else {
            case.policy.duty(population, scheme)
        }
    };
    let duty = case.populations.iter().map(owed).max().unwrap_or(Duty::None);
    let by = case
        .populations
        .iter()
        .filter(|membership| owed(membership) == duty)
        .collect();
    (duty, by)
}
