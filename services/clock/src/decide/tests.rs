use super::*;
use domain::division::City;
use domain::policy::Edition;
use domain::source::Agency;
use runtime::statements::GoLiveRegion;
use std::sync::Arc;

#[test]
fn every_day_ticks_in_turn_and_the_last_one_again() {
    assert_eq!(ticks(None, Day(10)), [Day(10)]);
    assert_eq!(ticks(Some(Day(8)), Day(10)), [8, 9, 10].map(Day));
    assert_eq!(ticks(Some(Day(10)), Day(10)), [Day(10)]);
    assert_eq!(ticks(Some(Day(10)), Day(9)), [Day(10)], "a clock set back");
}

#[test]
fn a_clock_that_jumps_is_not_followed() {
    let (sent, furthest) = (Day(20_000), Day(20_000 + FURTHEST_AHEAD));
    assert_eq!(ticks(Some(sent), furthest).last(), Some(&furthest));
    assert_eq!(too_far(sent, furthest), None);
    for jumped in [Day(furthest.0 + 1), Day(sent.0 + 11 * 365), Day(i32::MAX)] {
        assert_eq!(ticks(Some(sent), jumped), [sent], "{jumped:?}");
    }
    let said = too_far(Day(20_000), Day(20_014)).expect("too far");
    assert!(
        said.contains("14 days") && said.contains("`canbao business-date 2024-10-18 --confirm`"),
        "{said}"
    );
    assert_eq!(too_far(Day(10), Day(9)), None, "a clock set back is another matter");
}

fn situation(is_manual: bool, sent: i32, today: i32) -> Situation {
    Situation {
        is_manual,
        business_date: Some(Day(sent)),
        today: Day(today),
        policy: None,
        incomplete: Vec::new(),
        scope: Vec::new(),
        waived: BTreeSet::new(),
        held: BTreeSet::new(),
        kept: None,
    }
}

/// Where a statement leads, or why not.
fn stated(situation: &Situation, day: i32, confirmed: bool) -> Result<i32, String> {
    let day = Day(day);
    match decide(1, Statement::BusinessDate { day, confirmed }, situation) {
        Decision::Send(ticks, moved) => {
            assert_eq!(moved, Some(day));
            let wanted = (situation.business_date.unwrap_or(day).0..=day.0).map(|day| Control::BusinessDate(Day(day)));
            assert_eq!(ticks, wanted.collect::<Vec<_>>());
            Ok(day.0)
        }
        Decision::Refuse(why) => Err(why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn dates_that_are_manual_move_by_statement_and_far_only_when_confirmed() {
    let at = situation(true, 100, 0);
    assert_eq!(stated(&at, 101, false), Ok(101));
    assert_eq!(stated(&at, 100 + FURTHEST_AHEAD, false), Ok(100 + FURTHEST_AHEAD));
    let refused = stated(&at, 101 + FURTHEST_AHEAD, false).expect_err("too far");
    assert!(refused.contains("--confirm"), "{refused}");
    assert_eq!(stated(&at, 101 + FURTHEST_AHEAD, true), Ok(101 + FURTHEST_AHEAD));
    for confirmed in [false, true] {
        assert!(stated(&at, 99, confirmed).is_err(), "it never falls");
        assert!(stated(&at, i32::MAX, confirmed).is_err());
    }
    assert!(stated(&at, 101 + FURTHEST_CONFIRMED, true).is_err());
}

#[test]
fn where_the_wall_clock_is_followed_a_confirmed_date_catches_up_with_it() {
    let at = situation(false, 100, 114);
    assert!(stated(&at, 101, false).is_err());
    assert_eq!(stated(&at, 114, true), Ok(114), "the machine was off for two weeks");
    assert!(stated(&at, 115, true).is_err(), "never beyond it");
}

#[test]
fn a_policy_follows_an_older_one_or_itself() {
    let embedded = Arc::new(Edition::embedded());
    let changed = |from: &str, to: &str| Arc::new(Edition::parse(embedded.text().replacen(from, to, 1)).expect("a policy"));
    let newer = changed("version = 2 ", "version = 3 ");
    let at = |policy: &Arc<Edition>| Situation {
        policy: Some(policy.id()),
        ..situation(false, 1, 1)
    };
    let decided = |policy: &Arc<Edition>, situation: &Situation| decide(9, Statement::Policy(Arc::clone(policy)), situation);
    let sent = |policy: &Arc<Edition>| Decision::Send(vec![Control::Policy(Arc::clone(policy))], None);
    assert_eq!(decided(&embedded, &situation(false, 1, 1)), sent(&embedded), "the first");
    assert_eq!(decided(&embedded, &at(&embedded)), sent(&embedded), "after a restart");
    assert_eq!(decided(&newer, &at(&embedded)), sent(&newer));
    for (offered, known) in [
        (&embedded, &newer),
        (&changed("grace_days = 30", "grace_days = 60"), &embedded),
    ] {
        let Decision::Refuse(why) = decided(offered, &at(known)) else {
            panic!("must be refused");
        };
        assert!(why.contains("`canbao policy adopt`"), "{why}");
    }
}

#[test]
fn a_waiver_is_for_a_source_that_fell_silent_and_ends() {
    let [silent, other, new, foreign] = [3201, 3202, 3203, 3204].map(|city| Source {
        agency: Agency::HUMAN_RESOURCES,
        city: City::from_code(city).expect("a city"),
    });
    let at = |waived: &[Source]| Situation {
        incomplete: vec![new],
        scope: vec![silent, other, new],
        waived: waived.iter().copied().collect(),
        ..situation(false, 100, 100)
    };
    let waive = |source: Source, until: Option<i32>, situation: &Situation| {
        let statement = Statement::Waive {
            source,
            until: until.map(Day),
            who: "somebody".to_owned(),
            why: "the line is cut".to_owned(),
        };
        match decide(1, statement, situation) {
            Decision::NoteWaiver(waiver) => Ok(waiver.until.map(|day| day.0)),
            Decision::Refuse(why) => Err(why),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(waive(silent, Some(100), &at(&[])), Ok(Some(100)));
    assert_eq!(
        waive(silent, Some(100 + LONGEST_WAIVER), &at(&[other])),
        Ok(Some(100 + LONGEST_WAIVER))
    );
    for (source, until, situation, part) in [
        (silent, 99, at(&[]), "within 92 days"),
        (silent, 101 + LONGEST_WAIVER, at(&[]), "within 92 days"),
        (new, 101, at(&[]), "never complete"),
        (foreign, 101, at(&[]), "not in scope"),
        (silent, 101, at(&[other, new]), "every other source"),
    ] {
        let refused = waive(source, Some(until), &situation).expect_err("refused");
        assert!(refused.contains(part), "{refused}");
    }
    assert_eq!(waive(foreign, None, &at(&[])), Ok(None), "whatever it was for");
}

#[test]
fn a_removal_is_confirmed_while_it_is_held() {
    let source: Source = "human-resources.3201".parse().expect("a source");
    let at = Situation {
        held: BTreeSet::from([(source, TableName::new("ac02"))]),
        ..situation(false, 1, 1)
    };
    let confirmed = |table: &str| {
        let statement = Statement::ConfirmRemoval {
            source,
            table: TableName::new(table),
            who: "somebody".to_owned(),
            why: "moved elsewhere".to_owned(),
        };
        decide(1, statement, &at)
    };
    assert_eq!(confirmed("ac02"), Decision::ConfirmRemoval(source, TableName::new("ac02")));
    assert!(matches!(confirmed("ac01"), Decision::Refuse(why) if why.contains("human-resources.3201.ac01")));
}

#[test]
fn go_live_waits_for_every_source() {
    let city = City::from_code(3201).expect("a city");
    let source = Source {
        agency: Agency::CIVIL_AFFAIRS,
        city,
    };
    let statement = Statement::GoLive(GoLiveRegion::City(city));
    let Decision::Refuse(reason) = decide(
        1,
        statement.clone(),
        &Situation {
            incomplete: vec![source],
            ..situation(false, 1, 1)
        },
    ) else {
        panic!("must be refused");
    };
    assert!(reason.contains("civil-affairs.3201"), "{reason}");
    let sent = Decision::Send(vec![Control::GoLive(city)], None);
    assert_eq!(decide(1, statement, &situation(false, 1, 1)), sent);
}

#[test]
fn a_snapshot_of_a_table_removes_what_it_did_not_repeat_unless_something_keeps_it() {
    let source = "human-resources.3201".parse().expect("a source");
    let of = PassedTable {
        table: TableName::new("ac02"),
        since: domain::date::Timestamp(7),
        who: "somebody".to_owned(),
        why: "the connector sends no notifications".to_owned(),
    };
    let table = Statement::SnapshotPassed {
        source,
        of: Some(of.clone()),
    };
    let at = situation(false, 1, 1);
    assert_eq!(decide(1, table.clone(), &at), Decision::RemoveUnrepeated(source, of));
    let kept = Situation {
        kept: Some("its topic is held".to_owned()),
        ..at
    };
    assert_eq!(decide(1, table, &kept), Decision::Refuse("its topic is held".to_owned()));
    let first_load = Statement::SnapshotPassed { source, of: None };
    assert_eq!(decide(1, first_load, &kept), Decision::NoteSnapshotPassed(source));
}
