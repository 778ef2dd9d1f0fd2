//! One number, several names (重号): for a human, never merged by itself (RULES.md, Dirty data).

use super::{Case, evidence, finding, places};
use crate::finding::{EvidenceRole, Finding, Rule};
use crate::person::{PersonView, Standing};

/// Records stand apart under the holder's number, or the person is one that stands apart.
///
/// Since when is not in the facts: since the sources know of the person.
pub(super) fn assess(person: &PersonView<'_>, case: &Case<'_>, open: &mut Vec<Finding>) {
    let own = case.members.iter().map(|record| record.id);
    let conflicting: Vec<_> = match person.standing {
        Standing::Holder => person.conflicting.to_vec(),
        Standing::Apart => own.collect(),
        Standing::Provisional => Vec::new(),
    };
    if !conflicting.is_empty() {
        open.push(Finding {
            places: places(case.relations.iter().map(|relation| relation.city)),
            evidence: evidence(conflicting.into_iter().map(|record| (EvidenceRole::Conflict, record))),
            ..finding(Rule::IdentityConflict, None, case.known_since())
        });
    }
}
