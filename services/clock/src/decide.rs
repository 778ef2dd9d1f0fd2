//! What becomes of business dates and of operators' statements. Pure.

use domain::date::Day;
use domain::input::Control;
use domain::source::Source;
use runtime::statements::Statement;

/// Days that a statement may move the business date ahead: every day between is a tick of its own, and a slip of the keyboard in
/// the year must not become an input that cannot be taken back.
pub const FURTHEST_AHEAD: i32 = 3 * 366;

/// The ticks to send so that the business date becomes `today`: every day after `sent` in turn, since each is applied by itself
/// (ARCHITECTURE.md, Time and policy), and `sent` once more, since it may not have arrived everywhere. The date never falls.
pub fn ticks(sent: Option<Day>, today: Day) -> Vec<Day> {
    match sent {
        None => vec![today],
        Some(sent) => (sent.0..=today.0.max(sent.0)).map(Day).collect(),
    }
}

/// What the clock knows when it decides on a statement.
#[derive(Debug, Clone, Default)]
pub struct Situation {
    /// Business dates follow statements, not the wall clock.
    pub is_manual: bool,
    /// The last business date sent.
    pub business_date: Option<Day>,
    /// Sources in scope that are not complete yet.
    pub incomplete: Vec<Source>,
}

/// What to do with a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send these to every shard, in order; the business date after them, when it moves.
    Send(Vec<Control>, Option<Day>),
    /// The first full snapshot of this source has passed; nothing is sent.
    NoteSnapshotPassed(Source),
    /// Not to be sent, and why.
    Refuse(String),
}

/// Decides on the statement of number `id`.
pub fn decide(id: u64, statement: Statement, situation: &Situation) -> Decision {
    match statement {
        Statement::BusinessDate(_) if !situation.is_manual => {
            Decision::Refuse("business dates follow the wall clock here; set clock.business_date to manual to move them".into())
        }
        Statement::BusinessDate(day) => match situation.business_date {
            Some(sent) if day < sent => Decision::Refuse(format!("the business date is {sent} and never falls")),
            Some(sent) if day.0 > sent.0.saturating_add(FURTHEST_AHEAD) => Decision::Refuse(format!(
                "{day} is more than {FURTHEST_AHEAD} days after {sent}; move it in smaller steps"
            )),
            sent => Decision::Send(ticks(sent, day).into_iter().map(Control::BusinessDate).collect(), Some(day)),
        },
        Statement::GoLive(region) if situation.incomplete.is_empty() => {
            Decision::Send(region.cities().into_iter().map(Control::GoLive).collect(), None)
        }
        Statement::GoLive(_) => {
            let names: Vec<String> = situation.incomplete.iter().map(ToString::to_string).collect();
            Decision::Refuse(format!("not complete yet: {}", names.join(", ")))
        }
        Statement::Snapshot(floor) => Decision::Send(vec![Control::Snapshot(floor)], None),
        Statement::SnapshotPassed(source) => Decision::NoteSnapshotPassed(source),
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::division::City;
    use domain::source::Agency;
    use runtime::statements::GoLiveRegion;

    #[test]
    fn every_day_ticks_in_turn_and_the_last_one_again() {
        assert_eq!(ticks(None, Day(10)), [Day(10)]);
        assert_eq!(ticks(Some(Day(8)), Day(10)), [8, 9, 10].map(Day));
        assert_eq!(ticks(Some(Day(10)), Day(10)), [Day(10)]);
        assert_eq!(ticks(Some(Day(10)), Day(9)), [Day(10)], "a clock set back");
    }

    #[test]
    fn dates_move_by_statement_only_where_they_are_manual() {
        let mut situation = Situation {
            business_date: Some(Day(10)),
            ..Situation::default()
        };
        assert!(matches!(
            decide(1, Statement::BusinessDate(Day(11)), &situation),
            Decision::Refuse(_)
        ));
        situation.is_manual = true;
        let sent = Decision::Send([10, 11].map(|day| Control::BusinessDate(Day(day))).to_vec(), Some(Day(11)));
        assert_eq!(decide(1, Statement::BusinessDate(Day(11)), &situation), sent);
        assert!(matches!(
            decide(1, Statement::BusinessDate(Day(9)), &situation),
            Decision::Refuse(_)
        ));
        assert!(matches!(
            decide(1, Statement::BusinessDate(Day(i32::MAX)), &situation),
            Decision::Refuse(_)
        ));
    }

    #[test]
    fn go_live_waits_for_every_source() {
        let city = City::from_code(3201).expect("a city");
        let source = Source {
            agency: Agency::CivilAffairs,
            city,
        };
        let statement = Statement::GoLive(GoLiveRegion::City(city));
        let Decision::Refuse(reason) = decide(
            1,
            statement.clone(),
            &Situation {
                incomplete: vec![source],
                ..Situation::default()
            },
        ) else {
            panic!("must be refused");
        };
        assert!(reason.contains("civil-affairs.3201"), "{reason}");
        let sent = Decision::Send(vec![Control::GoLive(city)], None);
        assert_eq!(decide(1, statement, &Situation::default()), sent);
    }
}
