use super::*;
use crate::finding::{Evidence, EvidenceRole, Rule};

fn finding(rule: Rule, evidence: &[RecordId]) -> Finding {
    let fact = |record: &RecordId| Evidence {
        role: EvidenceRole::Relation,
        record: *record,
    };
    Finding {
        rule,
        scheme: None,
        since: Day(0),
        overlap: None,
        reason: None,
        places: Vec::new(),
        evidence: evidence.iter().map(fact).collect(),
    }
}

/// Two live cities, complete past everything.
fn live() -> ([City; 2], ShardState) {
    let cities = ["3201", "3204"].map(|code| code.parse::<City>().expect("a city"));
    let mut state = ShardState::default();
    state.complete(&[("human-resources.3204".parse().expect("a source"), Timestamp(9))]);
    for city in cities {
        state.go_live(city);
        state.advance_passes(1, None, 0);
    }
    (cities, state)
}

fn told(region: City, finding: &Finding) -> Told {
    Told {
        person: PersonId([1; 16]),
        revision: 1,
        open: true,
        region,
        finding: finding.clone(),
    }
}

/// What is released of somebody in `region` with these findings, of whom rows are unreadable or unsure.
fn released(
    (state, region): (&ShardState, Option<City>),
    findings: &[Finding],
    told: &[Told],
    [unreadable, unsure]: [&BTreeSet<RecordId>; 2],
) -> Released {
    let open = OpenSide {
        person: PersonId([1; 16]),
        anchor: AnchorId([2; 16]),
        region,
        findings,
        sources: &[],
        unreadable,
        unsure,
        arrived: &[],
        left: false,
    };
    let of = findings.iter().chain(told.iter().map(|told| &told.finding));
    let pending = of.map(|finding| (finding.about(), Timestamp(1))).collect();
    release(&open, told, state, &pending, None, &IdKey::new(1, &[7; 32]))
}

#[test]
fn nobody_is_told_to_have_moved_by_a_row_that_cannot_be_read_or_may_be_gone() {
    let ([here, there], state) = live();
    let finding = finding(Rule::AfterDeath, &[]);
    let told = told(here, &finding);
    let record = RecordId([7; 16]);
    let (none, some) = (BTreeSet::new(), BTreeSet::from([record]));
    for (region, events) in [(Some(here), 0), (Some(there), 2), (None, 1)] {
        let (findings, told) = (std::slice::from_ref(&finding), std::slice::from_ref(&told));
        let of = |doubtful| released((&state, region), findings, told, doubtful);
        assert_eq!(of([&none, &none]).events.len(), events, "{region:?}");
        for doubtful in [[&some, &none], [&none, &some]] {
            let unsure = of(doubtful);
            assert_eq!(unsure.events, []);
            let waits = (region != Some(here)).then_some(Waiting::ForRow(record));
            assert_eq!(unsure.waiting.get(&finding.about()).copied(), waits);
        }
    }
}

#[test]
fn nothing_is_opened_amended_or_cleared_on_a_row_that_may_be_gone() {
    let ([here, _], state) = live();
    let (row, other) = (RecordId([7; 16]), RecordId([8; 16]));
    let (none, gone) = (BTreeSet::new(), BTreeSet::from([row]));
    let events = |findings: &[Finding], told: &[Told], unsure: &BTreeSet<RecordId>| {
        let released = released((&state, Some(here)), findings, told, [&none, unsure]);
        assert_eq!(released.events.is_empty(), !released.waiting.is_empty(), "told, or waits");
        released.events.len()
    };
    for (rule, evidence, waits) in [
        // Twice enrolled by a row that was perhaps not loaded again.
        (Rule::DoubleEnrolled, [row, other], true),
        // By others: as sure as before.
        (Rule::DoubleEnrolled, [other, other], false),
        // What the row now says where it was loaded again may end the absence.
        (Rule::Lapsed, [other, other], true),
    ] {
        let finding = finding(rule, &evidence);
        let amended = Finding {
            since: Day(1),
            ..finding.clone()
        };
        let told = [told(here, &finding)];
        let open = std::slice::from_ref(&finding);
        for (findings, told) in [(open, &[][..]), (&[amended], &told), (&[], &told)] {
            assert_eq!(events(findings, told, &none), 1, "{rule:?} {evidence:?}");
            assert_eq!(events(findings, told, &gone), usize::from(!waits), "{rule:?} {evidence:?}");
        }
    }
}
