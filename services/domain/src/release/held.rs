//! Whose completeness a claim waits for (ARCHITECTURE.md, Completeness).

use super::Waiting;
use crate::date::Timestamp;
use crate::division::City;
use crate::finding::Rule;
use crate::policy::ReleaseRules;
use crate::shard_state::ShardState;
use crate::source::{Authority, Source};

/// What is claimed, of whom, and what it rests on.
pub(super) struct Claim<'a> {
    pub(super) rule: Rule,
    /// Where the person counts, or was told to count.
    pub(super) region: Option<City>,
    /// The sources whose rows it rests on; without any, nobody knows which one may bring a fact back.
    pub(super) sources: &'a [Source],
    pub(super) facts_at: Timestamp,
}

/// What a claim waits for, if anything: it may be told when every source concerned is complete past the facts.
pub(super) fn held_back(claim: &Claim<'_>, state: &ShardState, rules: Option<&ReleaseRules>) -> Option<Waiting> {
    let Claim {
        rule,
        region,
        sources,
        facts_at,
    } = *claim;
    if rules.is_some_and(|rules| rules.at_once.contains(&rule)) {
        return None;
    }
    if state.complete.is_empty() {
        return Some(Waiting::ForCompleteness);
    }
    let settles = |source: &Source| rule.waits_for_register() && source.agency.decides(Authority::Number);
    let bears = |source: &Source| rules.is_none_or(|rules| rules.waits.on(rule, *source, region));
    let may_bring = |source: &Source| (rule.claims_absence() || sources.is_empty() || settles(source)) && bears(source);
    let concerned = |source: &Source| sources.contains(source) || may_bring(source);
    state
        .complete
        .iter()
        .find(|(source, until)| concerned(source) && **until < facts_at)
        .map(|(source, _)| Waiting::ForSource(*source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;
    use std::collections::BTreeSet;

    #[test]
    fn a_conflict_between_other_agencies_waits_for_public_security() {
        let [resources, register] = ["human-resources.3204", "public-security.3201"].map(|name| name.parse().expect("a source"));
        let mut state = ShardState::default();
        state.complete(&[(resources, Timestamp(10)), (register, Timestamp(5))]);
        let waits = |state: &ShardState, rule| {
            let claim = Claim {
                rule,
                region: None,
                sources: &[resources],
                facts_at: Timestamp(8),
            };
            held_back(&claim, state, None)
        };
        // A correction that ends it may be on its way; two enrolments are two whatever the register says.
        assert_eq!(waits(&state, Rule::IdentityConflict), Some(Waiting::ForSource(register)));
        assert_eq!(waits(&state, Rule::DoubleEnrolled), None);
        state.complete(&[(resources, Timestamp(10)), (register, Timestamp(8))]);
        assert_eq!(waits(&state, Rule::IdentityConflict), None);
    }

    /// The nightly batch of one city's civil affairs holds its own people's absences, and nobody else's; human resources hold everybody's.
    #[test]
    fn what_a_rule_waits_for_is_policy() {
        let names = [
            "civil-affairs.3201",
            "civil-affairs.3204",
            "human-resources.3201",
            "human-resources.3204",
        ];
        let sources = names.map(|name| name.parse().expect("a source"));
        let policy = Policy::embedded();
        let waits = |late: usize, region: Option<&str>, rests_on: &[Source], rule| {
            let mut state = ShardState::default();
            let until = |at| if at == late { Timestamp(5) } else { Timestamp(10) };
            state.complete(
                &sources
                    .iter()
                    .enumerate()
                    .map(|(at, source)| (*source, until(at)))
                    .collect::<Vec<_>>(),
            );
            let claim = Claim {
                rule,
                region: region.map(|region| region.parse().expect("a city")),
                sources: rests_on,
                facts_at: Timestamp(8),
            };
            [Some(&policy.release), None].map(|rules| held_back(&claim, &state, rules).is_some())
        };
        // By policy, and while there is none.
        for (late, region, expected) in [
            (0, Some("3201"), [true, true]),
            (1, Some("3201"), [false, true]),
            (1, None, [true, true]),
            (2, Some("3201"), [true, true]),
            (3, Some("3201"), [true, true]),
        ] {
            for rule in [Rule::NeverEnrolled, Rule::Lapsed] {
                assert_eq!(waits(late, region, &[], rule), expected, "{} {region:?}", names[late]);
            }
        }
        // Whatever policy narrows: what a claim rests on it waits for.
        assert_eq!(waits(1, Some("3201"), &[sources[1]], Rule::NeverEnrolled), [true, true]);
        // What is cleared may be so by a fact of any source.
        assert_eq!(waits(1, Some("3201"), &[], Rule::DoubleEnrolled), [true, true]);
        assert_eq!(waits(1, Some("3201"), &[sources[0]], Rule::DoubleEnrolled), [false, false]);
        let all: BTreeSet<Source> = policy.scope().into_iter().collect();
        assert!(sources.iter().all(|source| all.contains(source)));
    }
}
