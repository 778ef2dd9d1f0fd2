//! Enrolled, or drawing a benefit, after death (死亡后参保、死亡后领取待遇).

use std::collections::BTreeMap;

use super::relation::city_of;
use super::{Case, evidence, finding, places};
use crate::division::City;
use crate::facts::Facts;
use crate::finding::{EvidenceRole, Finding, Rule};
use crate::ids::RecordId;
use crate::population::is_drawn;
use crate::scheme::Scheme;

/// A relation still stands as paying, or a benefit is still drawn, when the month of death is over.
///
/// A death without a date stops claims of absence but opens nothing here: nobody can say what came after it.
pub(super) fn assess(case: &Case<'_>, open: &mut Vec<Finding>) {
    let Some(death) = &case.golden.death else {
        return;
    };
    let Some(day) = death.value.date else {
        return;
    };
    let last = day.month().add_months(case.policy.after_death.grace_months);
    if !case.horizon.passed(last.last_day()) {
        return;
    }
    let mut alive: BTreeMap<Scheme, Vec<(RecordId, City)>> = BTreeMap::new();
    for relation in &case.relations {
        if relation.has_begun(case.horizon) && relation.is_paying(case.horizon) {
            let found = alive.entry(relation.scheme).or_default();
            found.push((relation.record, relation.city));
        }
    }
    for record in &case.members {
        let Facts::Benefit(benefit) = &record.facts else {
            continue;
        };
        let ends_with_life = case.policy.after_death.benefits.contains(&benefit.kind);
        if ends_with_life && is_drawn(benefit, case.horizon) {
            let scheme = case.policy.current_scheme(benefit.scheme);
            let found = alive.entry(scheme).or_default();
            found.push((record.id, city_of(benefit.place, record)));
        }
    }
    open.extend(alive.into_iter().map(|(scheme, found)| {
        Finding {
            places: places(found.iter().map(|(_, city)| *city)),
            evidence: evidence(
                found
                    .iter()
                    .map(|(record, _)| (EvidenceRole::Relation, *record))
                    .chain([(EvidenceRole::Death, death.record)]),
            ),
            ..finding(Rule::AfterDeath, Some(scheme), day)
        }
    }));
}
