//! Work: hired, left, moved, retired.

use domain::date::Day;
use domain::finding::Rule;
use rand::Rng;

use super::{Kind, Outcome, file_city, is_healthy_employee, is_here, schemes_paying};
use crate::dossier::{Enrol, Pen};
use crate::employer::Employer;
use crate::history::{residents_schemes, schemes};
use crate::tables::{Row, code, owned};
use crate::world::{Job, Role};

/// Whether somebody of working age has no employment and no pension: who could be hired.
pub(super) fn can_be_hired(pen: &Pen<'_>) -> bool {
    let person = &pen.dossier.person;
    let age = person.birth.age_at(pen.day);
    let idle = matches!(person.role, Role::Unknown | Role::Resident) && (18..48).contains(&age);
    is_here(pen) && idle && person.trouble.is_none() && pen.dossier.expected.is_empty() && pen.dossier.open_job().is_none()
}

/// An employment with some employer of the home city, reported today. Ends the residents' schemes and opens a file.
pub(super) fn hired(pen: &mut Pen<'_>, from: Day) -> Employer {
    let city = pen.home();
    let number = pen.world.pick_employer(&mut pen.rng, city);
    let employer = pen.world.employer(city, number);
    if file_city(pen) != Some(city) {
        pen.open_file(city, "24");
    }
    let residents = pen.dossier.all(|row| {
        matches!(row, Row::Ac02(row)
            if matches!(row.aae140.as_deref(), Some("170" | "390")) && row.aac031.as_deref() != Some("3"))
    });
    let ended = from.plus(-1);
    for at in residents {
        pen.update_enrolment(at, |row| {
            row.aac031 = code("3");
            row.aae031 = Some(ended);
            row.aae003 = Some(ended.month().add_months(-1).yyyymm());
        });
    }
    pen.employ(&employer, "1", from, None);
    pen.dossier.person.role = Role::Employee(Job {
        city,
        employer: number,
        from,
        form: "1",
    });
    employer
}

/// Enrols in everything the employer's staff must be in, paid through the last month or the first.
///
/// A relation suspended in the same system goes on; a pension suspended in another city stands unconsolidated (应转未转).
pub(super) fn enrol_all(pen: &mut Pen<'_>, employer: &Employer, from: Day) {
    let paid = pen.last_month().max(from.month());
    let unit = employer.unit.as_str();
    for &scheme in schemes(employer.kind, "1") {
        let suspended = pen.dossier.all(|row| is_suspended(row, scheme));
        let here = suspended
            .iter()
            .copied()
            .find(|at| pen.dossier.records[*at].city == employer.city);
        if let Some(at) = here {
            pen.update_enrolment(at, |row| {
                row.aac031 = code("1");
                row.aae031 = None;
                row.aae003 = Some(paid.yyyymm());
                row.aab001 = owned(unit);
            });
            continue;
        }
        let city = employer.city;
        pen.enrol(&Enrol {
            city,
            scheme,
            status: "1",
            from,
            until: None,
            paid,
            unit: Some(unit),
        });
        let moving = |at: &usize| matches!(&pen.dossier.records[*at].row, Row::Ac02(row) if row.aaz289.is_some());
        if matches!(scheme, "110" | "120") && !suspended.iter().all(moving) {
            pen.dossier.expect(Rule::DoubleEnrolled);
        }
    }
}

/// A suspended enrolment of a scheme.
fn is_suspended(row: &Row, scheme: &str) -> bool {
    matches!(row, Row::Ac02(row) if row.aae140.as_deref() == Some(scheme) && row.aac031.as_deref() == Some("2"))
}

/// Hired some days ago and enrolled with the report.
pub(super) fn hire(pen: &mut Pen<'_>) -> Outcome {
    if !can_be_hired(pen) {
        return Outcome::Impossible;
    }
    let from = pen.day.plus(-pen.rng.random_range(0..20));
    let employer = hired(pen, from);
    enrol_all(pen, &employer, from);
    Outcome::Done
}

/// Ends the open employment and suspends what it paid.
fn end_job(pen: &mut Pen<'_>, last: Day) {
    if let Some(at) = pen.dossier.open_job() {
        pen.update(at, |row| {
            if let Row::Ac21(row) = row {
                row.aae031 = Some(last);
            }
        });
    }
    for at in schemes_paying(pen) {
        pen.update_enrolment(at, |row| {
            row.aac031 = code("2");
            row.aae031 = Some(last);
        });
    }
}

/// Left.
pub(super) fn leave(pen: &mut Pen<'_>) -> Outcome {
    if !is_healthy_employee(pen) {
        return Outcome::Impossible;
    }
    end_job(pen, pen.day);
    pen.dossier.person.role = Role::Unknown;
    Outcome::Done
}

/// Three months of work that are reported when they are over.
pub(super) fn late_hire(pen: &mut Pen<'_>) -> Outcome {
    if !can_be_hired(pen) {
        return Outcome::Impossible;
    }
    let (from, until) = (pen.day.plus(-110), pen.day.plus(-20));
    let employer = hired(pen, from);
    let Some(at) = pen.dossier.open_job() else {
        return Outcome::Impossible;
    };
    // The leave is known before the hire: the row comes with its end.
    if let Row::Ac21(row) = &mut pen.dossier.records[at].row {
        row.aae031 = Some(until);
        let row = Row::Ac21(row.clone());
        if let Some(change) = pen.changes.last_mut() {
            change.after = Some(row);
        }
    }
    for scheme in schemes(employer.kind, "1") {
        let (status, unit) = ("2", Some(employer.unit.as_str()));
        pen.enrol(&Enrol {
            city: employer.city,
            scheme,
            status,
            from,
            until: Some(until),
            paid: until.month(),
            unit,
        });
    }
    pen.dossier.person.role = Role::Unknown;
    Outcome::Done
}

/// To an employer in another city; the old relation waits for its transfer.
pub(super) fn move_city(pen: &mut Pen<'_>) -> Outcome {
    if !is_healthy_employee(pen) {
        return Outcome::Impossible;
    }
    let old = schemes_paying(pen);
    end_job(pen, pen.day);
    for at in old {
        pen.update_enrolment(at, |row| row.aaz289 = code("1"));
    }
    let from = pen.dossier.person.county;
    let counties = &pen.world.counties;
    let elsewhere: Vec<usize> = (0..counties.len())
        .filter(|at| counties[*at].city != counties[from].city)
        .collect();
    let Some(&home) = elsewhere.get(pen.rng.random_range(0..elsewhere.len().max(1))) else {
        return Outcome::Impossible;
    };
    pen.dossier.person.county = home;
    let employer = hired(pen, pen.day);
    enrol_all(pen, &employer, pen.day);
    Outcome::Followed(&[Kind::TransferDone])
}

/// The old relations end.
pub(super) fn transfer_done(pen: &mut Pen<'_>) -> Outcome {
    let moving = pen.dossier.all(|row| matches!(row, Row::Ac02(row) if row.aaz289.is_some()));
    if moving.is_empty() {
        return Outcome::Impossible;
    }
    for at in moving {
        pen.update_enrolment(at, |row| {
            row.aac031 = code("3");
            row.aaz289 = None;
        });
    }
    Outcome::Done
}

/// Retired with a pension.
pub(super) fn retire(pen: &mut Pen<'_>) -> Outcome {
    let person = &pen.dossier.person;
    let last = if person.male {
        58
    } else if person.cadre {
        53
    } else {
        48
    };
    if !is_healthy_employee(pen) || person.birth.age_at(pen.day) < last {
        return Outcome::Impossible;
    }
    let Role::Employee(job) = person.role else {
        return Outcome::Impossible;
    };
    let paying = schemes_paying(pen);
    let scheme = ["120", "110"]
        .into_iter()
        .find(|scheme| pen.dossier.paying(scheme).is_some())
        .unwrap_or("110");
    end_job(pen, pen.day);
    let day = pen.day;
    for at in paying {
        pen.update_enrolment(at, |row| {
            // Medical insurance goes on without contributions; everything else has done its work.
            let goes_on = row.aae140.as_deref() == Some("310");
            row.aac031 = code(if goes_on { "1" } else { "3" });
            row.aae031 = (!goes_on).then_some(day);
            row.aab001 = if goes_on { None } else { row.aab001.take() };
        });
    }
    pen.grant_pension(job.city, scheme, day, None);
    pen.dossier.person.role = Role::Pensioner(day);
    Outcome::Done
}

/// Enrolled in the residents' schemes; children in medical insurance only.
pub(super) fn enrol_resident(pen: &mut Pen<'_>) -> Outcome {
    let person = &pen.dossier.person;
    let fits = matches!(person.role, Role::Unknown | Role::Student) && file_city(pen).is_none();
    if !is_here(pen) || !fits {
        return Outcome::Impossible;
    }
    let age = person.birth.age_at(pen.day);
    let student = person.role == Role::Student;
    let both = (16..60).contains(&age) && !student;
    let city = pen.home();
    pen.open_file(city, if student { "31" } else { "70" });
    residents_schemes(pen, city, if both { &["170", "390"] } else { &["390"] }, None);
    if both {
        pen.dossier.person.role = Role::Resident;
    }
    Outcome::Done
}
