//! What becomes of business dates and of operators' statements. Pure.

use domain::date::Day;
use domain::input::Control;
use domain::policy::PolicyId;
use domain::source::{Source, TableName};
use runtime::statements::{PassedTable, Statement};
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
    /// Of a table whose snapshot is stated to have passed: why its rows stand, with what to do.
    pub kept: Option<String>,
}

/// What to do with a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send these to every shard, in order; the business date after them, when it moves.
    Send(Vec<Control>, Option<Day>),
    /// The first full snapshot of this source has passed; nothing is sent.
    NoteSnapshotPassed(Source),
    /// A snapshot of this table has passed: the floor to state is what its topic holds since.
    RemoveUnrepeated(Source, PassedTable),
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
        Statement::SnapshotPassed { source, of: None } => Decision::NoteSnapshotPassed(source),
        Statement::SnapshotPassed { source, of: Some(of) } => match &situation.kept {
            Some(reason) => Decision::Refuse(reason.clone()),
            None => Decision::RemoveUnrepeated(source, of),
        },
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
mod tests;
