//! What becomes of business dates and of operators' statements. Pure.

use domain::date::Day;
use domain::input::Control;
use domain::policy::PolicyId;
use domain::source::{Source, TableName};
use runtime::statements::Statement;
use std::collections::BTreeSet;

/// Days that the business date may move ahead at once, by the wall clock or by a statement: what enters the base cannot be taken back,
/// and a host that starts before its clock is set, or a slip of the keyboard, must not move it by years. More is confirmed.
pub const FURTHEST_AHEAD: i32 = 7;
/// Days that a confirmed statement may move it: every day between is a tick of its own.
pub const FURTHEST_CONFIRMED: i32 = 3 * 366;

/// The ticks to send so that the business date becomes `today`: every day after `sent` in turn, since each is applied by itself
/// (ARCHITECTURE.md, Time and policy), and `sent` once more, since it may not have arrived everywhere. The date never falls, and goes no
/// further than [`FURTHEST_AHEAD`]: where `today` is [`too_far`], it stays.
pub fn ticks(sent: Option<Day>, today: Day) -> Vec<Day> {
    match sent {
        Some(sent) if too_far(sent, today).is_some() => vec![sent],
        sent => every_day(sent, today),
    }
}

fn every_day(sent: Option<Day>, today: Day) -> Vec<Day> {
    match sent {
        None => vec![today],
        Some(sent) => (sent.0..=today.0.max(sent.0)).map(Day).collect(),
    }
}

/// Why the business date does not become `today` unless that is confirmed, with the command that does so; `None` when it may.
pub fn too_far(sent: Day, today: Day) -> Option<String> {
    let ahead = today.0.saturating_sub(sent.0);
    (ahead > FURTHEST_AHEAD).then(|| {
        format!(
            "{today} is {ahead} days after the business date {sent}, more than {FURTHEST_AHEAD}: if that is the date, run \
             `canbao business-date {today} --confirm`"
        )
    })
}

/// A statement of a date: the ticks to send, or why there are none.
fn date(day: Day, confirmed: bool, situation: &Situation) -> Result<Vec<Day>, String> {
    if !situation.is_manual && !confirmed {
        return Err("business dates follow the wall clock here; set clock.business_date to manual to move them".into());
    }
    if !situation.is_manual && day > situation.today {
        return Err(format!(
            "business dates follow the wall clock here, and it says {}",
            situation.today
        ));
    }
    if let Some(sent) = situation.business_date {
        if day < sent {
            return Err(format!("the business date is {sent} and never falls"));
        }
        if let Some(why) = too_far(sent, day).filter(|_| !confirmed) {
            return Err(why);
        }
        if day.0 > sent.0.saturating_add(FURTHEST_CONFIRMED) {
            return Err(format!(
                "{day} is more than {FURTHEST_CONFIRMED} days after {sent}; move it in smaller steps"
            ));
        }
    }
    Ok(every_day(situation.business_date, day))
}

/// Days that a waiver may last: an expiry makes somebody look again.
pub const LONGEST_WAIVER: i32 = 92;

/// Why a source cannot be waived until a day; `None` when it can.
fn no_waiver(source: Source, until: Day, situation: &Situation) -> Option<String> {
    let Situation {
        today, scope, waived, ..
    } = situation;
    if !scope.contains(&source) {
        return Some(format!(
            "nothing waits for {source}: it is not in scope (clock.sources, or [scope] of the policy)"
        ));
    }
    if situation.incomplete.contains(&source) {
        return Some(format!(
            "{source} was never complete, so that the base lacks what it has and everybody in it would be told as absent: leave it out of \
             the scope (clock.sources, or [scope] of the policy) until it is"
        ));
    }
    if until < *today || until > today.plus(LONGEST_WAIVER) {
        return Some(format!(
            "a waiver ends today, {today}, or within {LONGEST_WAIVER} days: until {until} it cannot last"
        ));
    }
    let left = scope.iter().any(|other| *other != source && !waived.contains(other));
    (!left).then(|| "every other source in scope is waived: then nothing would be known of anybody's absence".to_owned())
}

/// What the clock knows when it decides on a statement.
#[derive(Debug, Clone)]
pub struct Situation {
    /// Business dates follow statements, not the wall clock.
    pub is_manual: bool,
    /// The last business date sent.
    pub business_date: Option<Day>,
    /// The day by the wall clock.
    pub today: Day,
    /// The newest policy that was stated before, or is in force.
    pub policy: Option<PolicyId>,
    /// Sources in scope that are not complete yet.
    pub incomplete: Vec<Source>,
    /// Sources in scope.
    pub scope: Vec<Source>,
    /// Those of them that nothing waits for today.
    pub waived: BTreeSet<Source>,
    /// Tables of which a floor is held.
    pub held: BTreeSet<(Source, TableName)>,
}

/// What to do with a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send these to every shard, in order; the business date after them, when it moves.
    Send(Vec<Control>, Option<Day>),
    /// The first full snapshot of this source has passed; nothing is sent.
    NoteSnapshotPassed(Source),
    /// This source is waived until a day, or is not any more; shards hear of it by what is sent of completeness.
    NoteWaiver(Waiver),
    /// The floors of a table that are held may be sent.
    ConfirmRemoval(Source, TableName),
    /// Not to be sent, and why.
    Refuse(String),
}

/// That a source is waived, or is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The source.
    pub source: Source,
    /// The last day; `None` when it is taken back.
    pub until: Option<Day>,
    /// Who stated it.
    pub who: String,
    /// Why.
    pub why: String,
}

/// Decides on the statement of number `id`.
pub fn decide(id: u64, statement: Statement, situation: &Situation) -> Decision {
    match statement {
        Statement::BusinessDate { day, confirmed } => match date(day, confirmed, situation) {
            Ok(ticks) => Decision::Send(ticks.into_iter().map(Control::BusinessDate).collect(), Some(day)),
            Err(reason) => Decision::Refuse(reason),
        },
        Statement::GoLive(region) if situation.incomplete.is_empty() => {
            Decision::Send(region.cities().into_iter().map(Control::GoLive).collect(), None)
        }
        Statement::GoLive(_) => {
            let names: Vec<String> = situation.incomplete.iter().map(ToString::to_string).collect();
            Decision::Refuse(format!("not complete yet: {}", names.join(", ")))
        }
        Statement::Snapshot(floor) => Decision::Send(vec![Control::Snapshot(floor)], None),
        Statement::Truncated(truncation) => Decision::Send(vec![Control::Truncated(truncation)], None),
        Statement::ConfirmRemoval { source, table, .. } if situation.held.contains(&(source, table.clone())) => {
            Decision::ConfirmRemoval(source, table)
        }
        Statement::ConfirmRemoval { source, table, .. } => Decision::Refuse(format!(
            "no removal of rows of {source}.{} is held: `canbao source list` shows what is",
            table.as_str()
        )),
        Statement::SnapshotPassed(source) => Decision::NoteSnapshotPassed(source),
        Statement::Waive { source, until, who, why } => match until.and_then(|until| no_waiver(source, until, situation)) {
            Some(reason) => Decision::Refuse(reason),
            None => Decision::NoteWaiver(Waiver { source, until, who, why }),
        },
        Statement::Decide { record, other, .. } if record == other => {
            Decision::Refuse("a decision is about two records, this one names the same twice".into())
        }
        Statement::Decide {
            verdict,
            record,
            other,
            number,
        } => Decision::Send(
            vec![Control::Decide(domain::decision::Decision {
                id,
                verdict,
                record,
                other,
                number,
            })],
            None,
        ),
        Statement::Undecide(decision) => Decision::Send(vec![Control::Undecide(decision)], None),
        Statement::Policy(edition) => match situation.policy.map_or(Ok(()), |known| edition.id().may_follow(known)) {
            Ok(()) => Decision::Send(vec![Control::Policy(edition)], None),
            Err(refused) => Decision::Refuse(refused.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
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
}
