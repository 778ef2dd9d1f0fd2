//! What opens a finding.

use domain::finding::Rule;
use rand::Rng;

use super::{Kind, Outcome, is_healthy_employee, schemes_paying};
use crate::dossier::{Enrol, Pen};
use crate::history::residents_schemes;
use crate::life::work::{can_be_hired, hired};
use crate::tables::{Row, code};
use crate::world::Trouble;

/// Hired one to three months ago; nothing but the employment is reported. 社会保险法 art. 58 gives 30 days.
pub(super) fn hire_unenrolled(pen: &mut Pen<'_>) -> Outcome {
    // Who was enrolled before would have lapsed instead.
    let enrolled = |row: &Row| matches!(row, Row::Ac02(row) if row.aab001.is_some());
    if !can_be_hired(pen) || pen.dossier.find(enrolled).is_some() {
        return Outcome::Impossible;
    }
    let from = pen.day.plus(-pen.rng.random_range(35..91));
    hired(pen, from);
    pen.dossier.person.trouble = Some(Trouble::NeverEnrolled);
    pen.dossier.expect(Rule::NeverEnrolled);
    Outcome::Followed(&[Kind::EnrolLate])
}

/// The pension paying in a second city, nothing transferred.
pub(super) fn second_city(pen: &mut Pen<'_>) -> Outcome {
    if !is_healthy_employee(pen) || pen.dossier.paying("110").is_none() {
        return Outcome::Impossible;
    }
    let home = pen.home();
    let city = pen.world.other_city(&mut pen.rng, home);
    let number = pen.world.pick_employer(&mut pen.rng, city);
    let employer = pen.world.employer(city, number);
    let (from, paid) = (pen.day.plus(-100), pen.last_month());
    let unit = Some(employer.unit.as_str());
    pen.enrol(&Enrol {
        city,
        scheme: "110",
        status: "1",
        from,
        until: None,
        paid,
        unit,
    });
    pen.dossier.person.trouble = Some(Trouble::TwoPlaces);
    pen.dossier.expect(Rule::DoubleEnrolled);
    Outcome::Followed(&[Kind::EndSecondCity])
}

/// The residents' pension in the months of the employees' (人社部发〔2014〕17号 art. 7).
pub(super) fn resident_overlap(pen: &mut Pen<'_>) -> Outcome {
    overlap(pen, "170", Trouble::ResidentOverlap)
}

/// Two medical schemes paying at once.
pub(super) fn medical_twice(pen: &mut Pen<'_>) -> Outcome {
    overlap(pen, "390", Trouble::MedicalTwice)
}

fn overlap(pen: &mut Pen<'_>, scheme: &'static str, trouble: Trouble) -> Outcome {
    let known = |row: &_| matches!(row, Row::Ac02(row) if row.aae140.as_deref() == Some(scheme));
    if !is_healthy_employee(pen) || pen.dossier.find(known).is_some() {
        return Outcome::Impossible;
    }
    let home = pen.home();
    residents_schemes(pen, home, &[scheme], None);
    pen.dossier.person.trouble = Some(trouble);
    pen.dossier.expect(Rule::DoubleEnrolled);
    Outcome::Followed(&[Kind::EndResident])
}

/// A suspension four to eight months back comes to light while the employment goes on.
pub(super) fn suspend(pen: &mut Pen<'_>) -> Outcome {
    let settled = pen.day.plus(-400);
    let since = pen.dossier.open_job().and_then(|at| match &pen.dossier.records[at].row {
        Row::Ac21(row) => row.aae030,
        _ => None,
    });
    if !is_healthy_employee(pen) || since.is_none_or(|since| since > settled) {
        return Outcome::Impossible;
    }
    let paid = pen.last_month().add_months(-pen.rng.random_range(4..9));
    for at in schemes_paying(pen) {
        pen.update_enrolment(at, |row| {
            row.aac031 = code("2");
            row.aae003 = Some(paid.yyyymm());
            row.aae031 = Some(paid.last_day());
        });
    }
    pen.dossier.person.trouble = Some(Trouble::Lapsed);
    pen.dossier.expect(Rule::Lapsed);
    Outcome::Followed(&[Kind::Resume])
}
