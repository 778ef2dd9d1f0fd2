use super::*;
use domain::date::Day;
use domain::finding::Rule;
use domain::shard_state::ShardState;
use std::collections::HashSet;

fn finding(since: i32) -> Finding {
    Finding {
        rule: Rule::Lapsed,
        scheme: Some(Scheme::EmployeePension),
        since: Day(since),
        overlap: None,
        reason: None,
        places: Vec::new(),
        evidence: Vec::new(),
    }
}

fn city(code: &str) -> City {
    code.parse().expect("a city")
}

fn told(since: i32, region: &str) -> Told {
    Told {
        person: PersonId([3; 16]),
        revision: 1,
        open: true,
        region: city(region),
        finding: finding(since),
    }
}

fn shard() -> Shard {
    Shard::new(1).expect("a shard")
}

fn who() -> PersonKey {
    (shard(), AnchorId([2; 16]), PersonId([3; 16]))
}

fn source() -> Source {
    crate::verify::sample::source()
}

/// Of a shard whose source is complete up to `until`.
fn desk(open: Option<i32>, announced: Option<Told>, waits: Option<Waiting>, until: i64) -> Desk {
    desk_of((open, announced), waits, until, &BTreeSet::new())
}

/// Of a shard where rows of some persons cannot be read.
fn desk_of(
    (open, announced): (Option<i32>, Option<Told>),
    waits: Option<Waiting>,
    until: i64,
    unreadable: &BTreeSet<PersonKey>,
) -> Desk {
    let mut desk = Desk {
        report: Announced::default(),
        announced: Problems::new("announced", 9),
        pending: Problems::new("pending", 9),
        carried: Problems::new("carried", 9),
        show: 9,
    };
    let mut state = ShardState::default();
    state.complete(&[(source(), Timestamp(until))]);
    let stored = StoredShard {
        shard: shard(),
        position: 0,
        outbox_next: 0,
        state,
        owner: None,
    };
    let findings: Vec<Finding> = open.map(finding).into_iter().collect();
    let open = (!findings.is_empty()).then(|| (who(), (city("3201"), findings.as_slice())));
    let told = announced.map(|told| (who(), vec![told])).into_iter().collect();
    let mut waiting = waits.map(|waits| ((who(), finding(0).about()), waits)).into_iter().collect();
    let patience = Patience {
        newest: Timestamp(30 * 86_400_000),
        days: 7,
        carried: &HashSet::new(),
        unreadable,
    };
    desk.judge(&open.into_iter().collect(), &told, &mut waiting, &stored, &patience);
    desk
}

/// What is said of something that waits since a day for a source, which is complete up to another.
fn waits(differs: bool, since: i64, for_source: bool, until: i64) -> Option<String> {
    let waits = Waiting {
        facts_at: Timestamp(since * 86_400_000),
        waits_for: for_source.then(source),
    };
    let told = (!differs).then(|| told(1, "3201"));
    let desk = desk(Some(1), told, Some(waits), until * 86_400_000);
    assert_eq!(desk.report.waiting, u64::from(differs));
    assert_eq!(desk.report.differences, 0);
    desk.pending.report().samples.pop().map(|sample| sample.problem)
}

#[test]
fn what_is_open_must_be_told_as_it_is() {
    assert_eq!(desk(Some(1), Some(told(1, "3201")), None, 0).report.differences, 0);
    for (open, announced, problem) in [
        (Some(1), None, "open, not announced"),
        (None, Some(told(1, "3201")), "announced, not open"),
        (Some(1), Some(told(2, "3201")), "announced otherwise"),
        (Some(1), Some(told(1, "3202")), "announced to another region"),
    ] {
        let report = desk(open, announced, None, 0).report;
        assert_eq!((report.differences, report.samples[0].problem.as_str()), (1, problem));
    }
}

#[test]
fn what_was_told_of_somebody_unreadable_may_wait_however_complete_everything_is() {
    let waits = || Waiting {
        facts_at: Timestamp(86_400_000),
        waits_for: None,
    };
    let late = |unreadable: &BTreeSet<PersonKey>| {
        let desk = desk_of((None, Some(told(1, "3201"))), Some(waits()), 86_400_000 * 20, unreadable);
        assert_eq!((desk.report.waiting, desk.report.differences), (1, 0));
        desk.pending.report().differences
    };
    assert_eq!((late(&BTreeSet::new()), late(&BTreeSet::from([who()]))), (1, 0));
}

#[test]
fn what_waits_is_no_difference_while_its_source_is_behind() {
    assert_eq!(waits(true, 29, true, 28), None);
    assert_eq!(waits(true, 29, false, 28), None);
    assert_eq!(waits(false, 29, false, 28), None, "it came back, and somebody looks again");
}

#[test]
fn nothing_waits_for_ever_or_for_nothing() {
    for (found, words) in [
        (
            waits(true, 29, true, 29),
            "waits for human-resources.3201, which is complete past its facts",
        ),
        (
            waits(true, 29, false, 29),
            "waits for human-resources.3201, which is complete past its facts",
        ),
        (
            waits(true, 20, true, 19),
            "waits for 10 days, longer than 7 (--longest-wait), for human-resources.3201",
        ),
        (
            waits(true, 99, false, 28),
            "rests on facts later than anything that was logged",
        ),
        (
            waits(false, 29, true, 28),
            "waits for human-resources.3201, and nothing differs",
        ),
    ] {
        let found = found.expect("a problem");
        assert!(found.contains(words), "{found}");
    }
}
