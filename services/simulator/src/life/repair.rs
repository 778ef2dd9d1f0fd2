//! What clears a finding again.

use domain::finding::Rule;

use super::{Outcome, work};
use crate::dossier::Pen;
use crate::tables::{Row, code};
use crate::world::{Fate, Role, Trouble};

/// Forgets a trouble that was repaired; `false` when the person has another or none.
fn repaired(pen: &mut Pen<'_>, trouble: &[Trouble], rule: Rule) -> bool {
    let there = pen.dossier.person.trouble.is_some_and(|had| trouble.contains(&had));
    let alive = !matches!(pen.dossier.person.fate, Fate::Dead(_));
    if there && alive {
        pen.dossier.person.trouble = None;
        pen.dossier.settle(rule);
    }
    there && alive
}

/// The employer enrols at last, from the first day on.
pub(super) fn enrol_late(pen: &mut Pen<'_>) -> Outcome {
    let Role::Employee(job) = pen.dossier.person.role else {
        return Outcome::Impossible;
    };
    if !repaired(pen, &[Trouble::NeverEnrolled], Rule::NeverEnrolled) {
        return Outcome::Impossible;
    }
    let employer = pen.world.employer(job.city, job.employer);
    work::enrol_all(pen, &employer, job.from);
    Outcome::Done
}

/// The pension of the second city ends: the last one written.
pub(super) fn end_second_city(pen: &mut Pen<'_>) -> Outcome {
    let second = pen
        .dossier
        .all(|row| matches!(row, Row::Ac02(row) if row.aae140.as_deref() == Some("110") && row.aac031.as_deref() == Some("1")));
    let Some(at) = second.last().copied() else {
        return Outcome::Impossible;
    };
    if !repaired(pen, &[Trouble::TwoPlaces], Rule::DoubleEnrolled) {
        return Outcome::Impossible;
    }
    let day = pen.day;
    pen.update_enrolment(at, |row| {
        row.aac031 = code("3");
        row.aae031 = Some(day);
        row.note = code("重复参保清理");
    });
    Outcome::Done
}

/// The residents' relations end before their first month: nothing overlaps any more.
pub(super) fn end_resident(pen: &mut Pen<'_>) -> Outcome {
    let residents = pen.dossier.all(|row| {
        matches!(row, Row::Ac02(row)
            if matches!(row.aae140.as_deref(), Some("170" | "390")) && row.aac031.as_deref() == Some("1"))
    });
    if residents.is_empty() || !repaired(pen, &[Trouble::ResidentOverlap, Trouble::MedicalTwice], Rule::DoubleEnrolled) {
        return Outcome::Impossible;
    }
    for at in residents.into_iter().rev() {
        pen.remove(at);
    }
    Outcome::Done
}

/// Paying again, with the arrears.
pub(super) fn resume(pen: &mut Pen<'_>) -> Outcome {
    let suspended = pen
        .dossier
        .all(|row| matches!(row, Row::Ac02(row) if row.aac031.as_deref() == Some("2") && row.aab001.is_some()));
    if suspended.is_empty() || !repaired(pen, &[Trouble::Lapsed], Rule::Lapsed) {
        return Outcome::Impossible;
    }
    let paid = pen.last_month().yyyymm();
    for at in suspended {
        pen.update_enrolment(at, |row| {
            row.aac031 = code("1");
            row.aae003 = Some(paid);
            row.aae031 = None;
        });
    }
    Outcome::Done
}

/// Human resources learn of the death and end everything with it.
pub(super) fn end_all(pen: &mut Pen<'_>) -> Outcome {
    let Fate::Dead(day) = pen.dossier.person.fate else {
        return Outcome::Impossible;
    };
    for at in pen
        .dossier
        .all(|row| matches!(row, Row::Ac02(_) | Row::Ac21(_) | Row::Ac60(_) | Row::Az01(_)))
    {
        pen.update(at, |row| match row {
            Row::Ac02(row) if row.aac031.as_deref() != Some("3") => {
                row.aac031 = code("3");
                row.aae031 = Some(day);
                row.aae003 = row.aae003.map(|paid| paid.min(day.month().yyyymm()));
            }
            Row::Ac21(row) if row.aae031.is_none() => row.aae031 = Some(day),
            Row::Ac60(row) if row.aae116.as_deref() != Some("3") => {
                row.aae116 = code("3");
                row.aae031 = Some(day);
            }
            Row::Az01(row) => row.aaz502 = code("3"),
            _ => {}
        });
    }
    pen.dossier.settle(Rule::AfterDeath);
    Outcome::Done
}
