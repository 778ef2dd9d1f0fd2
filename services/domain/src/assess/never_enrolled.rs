//! Must be enrolled and never was (漏保).

use super::absence::duty;
use super::{Case, evidence, finding, places};
use crate::finding::{EvidenceRole, Finding, FormReason, Rule};
use crate::policy::Duty;
use crate::scheme::Scheme;

/// A scheme that must be, no relation anywhere in the scope ever, and the days of grace since the duty began are over: hired on day 0,
/// open from day 31 on (社会保险法 art. 58: "within 30 days").
pub(super) fn assess(case: &Case<'_>, open: &mut Vec<Finding>) {
    for scheme in Scheme::ALL {
        let (Duty::Must, by) = duty(case, *scheme) else {
            continue;
        };
        let enrolled = |held| case.policy.satisfies(held, *scheme);
        if case.relations.iter().any(|relation| enrolled(relation.scheme)) {
            continue;
        }
        let Some(since) = by.iter().filter_map(|membership| membership.since).min() else {
            continue;
        };
        if case.horizon.passed(since.plus(case.policy.grace_days)) {
            open.push(Finding {
                reason: Some(FormReason::Employer),
                places: places(by.iter().filter_map(|membership| membership.place)),
                evidence: evidence(
                    by.iter()
                        .filter_map(|membership| membership.record)
                        .map(|record| (EvidenceRole::Duty, record)),
                ),
                ..finding(Rule::NeverEnrolled, Some(*scheme), since)
            });
        }
    }
}
