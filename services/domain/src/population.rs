//! Which populations of the mandatory matrix a person belongs to.

use serde::{Deserialize, Serialize};

use crate::citizen_id::CitizenId;
use crate::date::Day;
use crate::division::City;
use crate::facts::{
    Benefit, BenefitKind, BenefitStatus, CircumstanceKind, EmployerKind, Employment, EmploymentForm, Facts, HukouStatus,
    Occupation, coded,
};
use crate::golden::Golden;
use crate::horizon::Horizon;
use crate::ids::RecordId;
use crate::policy::Policy;
use crate::record::SourceRecord;

coded! {
    /// A population of the mandatory matrix (参保人群), see RULES.md, Who must be enrolled.
    Population {
        /// Employed by an enterprise or a sole trader, or dispatched (职工).
        Employee = 1 "employee",
        /// Employed by a government organ (公务员).
        CivilServant = 2 "civil-servant",
        /// Employed by a public institution (事业单位工作人员).
        InstitutionStaff = 3 "institution-staff",
        /// Employed part time (非全日制).
        PartTime = 4 "part-time",
        /// Working past the retirement age, or while drawing a pension (超龄就业).
        PastRetirement = 5 "past-retirement",
        /// Intern (实习).
        Intern = 6 "intern",
        /// Free-lance or sole trader (灵活就业).
        Flexible = 7 "flexible",
        /// Resident from 16 on, no student, in no employment (城乡居民).
        Resident = 8 "resident",
        /// At school, or under 16 (学生、少儿).
        Student = 9 "student",
        /// Draws a pension, is retired, or has reached the age of the resident pension without working (领取养老待遇).
        DrawingPension = 10 "drawing-pension",
        /// Draws unemployment benefit (领取失业保险金).
        DrawingUnemployment = 11 "drawing-unemployment",
        /// Serving soldier (现役军人).
        Soldier = 12 "soldier",
        /// From abroad, Hong Kong, Macao or Taiwan, and employed here (外国人、港澳台居民就业).
        ForeignEmployee = 13 "foreign-employee",
    }
}

impl Population {
    /// Whether the population consists of people with an employer, who owes their enrolment.
    pub fn is_employed(self) -> bool {
        matches!(
            self,
            Self::Employee | Self::CivilServant | Self::InstitutionStaff | Self::PartTime | Self::ForeignEmployee
        )
    }
}

/// A person's membership of a population on the business date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The population.
    pub population: Population,
    /// Since when, where a record says so: the first day of the employment, or the day after the end of what exempted from it.
    pub since: Option<Day>,
    /// The record that says so, where one does.
    pub record: Option<RecordId>,
    /// The city of the employment.
    pub place: Option<City>,
}

impl Membership {
    fn of(population: Population) -> Self {
        Self {
            population,
            since: None,
            record: None,
            place: None,
        }
    }
}

/// Whether a benefit is being drawn on the business date.
pub(crate) fn is_drawn(benefit: &Benefit, horizon: &Horizon) -> bool {
    benefit.status == BenefitStatus::Drawing && horizon.within(benefit.from, benefit.until)
}

/// The circumstances in force on the business date, with the records that say so.
pub(crate) fn circumstances<'a>(
    members: &'a [&SourceRecord],
    horizon: &'a Horizon,
) -> impl Iterator<Item = (CircumstanceKind, RecordId)> + 'a {
    members.iter().filter_map(|record| match &record.facts {
        Facts::Circumstance(row) if row.stands(horizon) => Some((row.kind, record.id)),
        _ => None,
    })
}

/// The first day after the last circumstance that exempted: duties that stood still begin anew.
fn resumed(members: &[&SourceRecord], policy: &Policy, horizon: &Horizon) -> Option<Day> {
    let ended = members.iter().filter_map(|record| match &record.facts {
        // Whom the army provides for no list need name.
        Facts::Circumstance(row) if row.kind == CircumstanceKind::Soldier || policy.exempts(row.kind) => row.ended(horizon),
        _ => None,
    });
    Some(ended.max()?.plus(1))
}

/// The populations a person belongs to on the business date; `members` in canonical order (by record id).
pub fn populations(golden: &Golden, members: &[&SourceRecord], policy: &Policy, horizon: &Horizon) -> Vec<Membership> {
    let occupation = golden.occupation.as_ref().map(|stated| stated.value);
    let in_army = golden
        .hukou_status
        .as_ref()
        .is_some_and(|status| status.value == HukouStatus::Army);
    let said = |wanted: CircumstanceKind| {
        let mut standing = circumstances(members, horizon);
        standing.find(|(kind, _)| *kind == wanted).map(|(_, record)| record)
    };
    let serving = said(CircumstanceKind::Soldier);
    if in_army || serving.is_some() || occupation == Some(Occupation::Soldier) {
        return vec![Membership {
            record: serving,
            ..Membership::of(Population::Soldier)
        }];
    }
    let drawn = |kind: BenefitKind| {
        members.iter().find(|record| match &record.facts {
            Facts::Benefit(benefit) => benefit.kind == kind && is_drawn(benefit, horizon),
            _ => false,
        })
    };
    let mut found = Vec::new();
    let pension = drawn(BenefitKind::Pension);
    let retired = pension.is_some() || occupation == Some(Occupation::Retired);
    if retired {
        found.push(Membership {
            record: pension.map(|record| record.id),
            ..Membership::of(Population::DrawingPension)
        });
    }
    if let Some(record) = drawn(BenefitKind::Unemployment) {
        found.push(Membership {
            record: Some(record.id),
            ..Membership::of(Population::DrawingUnemployment)
        });
    }

    let birth = golden.birth.as_ref().map(|stated| stated.value);
    let past_retirement = retired
        || birth.is_some_and(|birth| {
            let sex = golden.sex.as_ref().map(|stated| stated.value);
            let post = golden.post.as_ref().map(|stated| stated.value);
            horizon.reached(policy.retirement.day(birth, sex, post))
        });
    let foreign = is_foreign(golden);
    let resumed = resumed(members, policy, horizon);
    for record in members {
        let Facts::Employment(employment) = &record.facts else {
            continue;
        };
        if horizon.within(Some(employment.from), employment.until) {
            found.push(Membership {
                population: employed(employment, past_retirement, foreign),
                since: Some(employment.from).max(resumed),
                record: Some(record.id),
                place: employment
                    .place
                    .and_then(crate::division::Division::city)
                    .or(Some(record.source.city)),
            });
        }
    }
    if occupation == Some(Occupation::Flexible) && !past_retirement {
        found.push(Membership::of(Population::Flexible));
    }
    let student = said(CircumstanceKind::Student);
    found.extend(student.map(|record| Membership {
        record: Some(record),
        ..Membership::of(Population::Student)
    }));
    if student.is_none() {
        found.extend(without_work(occupation, birth, &found, policy, horizon));
    }
    found
}

/// What an employment makes of a person.
fn employed(employment: &Employment, past_retirement: bool, foreign: bool) -> Population {
    match (employment.form, employment.employer) {
        _ if past_retirement => Population::PastRetirement,
        (EmploymentForm::Intern, _) => Population::Intern,
        (EmploymentForm::PartTime, _) => Population::PartTime,
        _ if foreign => Population::ForeignEmployee,
        // Dispatched staff are employed by the enterprise that sends them, wherever they work (劳动合同法 art. 58).
        (EmploymentForm::Dispatched, _) | (EmploymentForm::FullTime, EmployerKind::Enterprise | EmployerKind::SoleTrader) => {
            Population::Employee
        }
        (EmploymentForm::FullTime, EmployerKind::Government) => Population::CivilServant,
        (EmploymentForm::FullTime, EmployerKind::PublicInstitution) => Population::InstitutionStaff,
    }
}

/// The population of who goes to school or has no work.
fn without_work(
    occupation: Option<Occupation>,
    birth: Option<Day>,
    found: &[Membership],
    policy: &Policy,
    horizon: &Horizon,
) -> Option<Membership> {
    let studies = matches!(occupation, Some(Occupation::Student | Occupation::Preschool));
    // A child's employment does not stop it from being one.
    let adult = birth.is_some_and(|birth| horizon.reached(birth.add_years(policy.adult_age)));
    if studies || (birth.is_some() && !adult) {
        return Some(Membership::of(Population::Student));
    }
    if !adult || !found.is_empty() {
        return None;
    }
    let of_pension_age = birth.is_some_and(|birth| horizon.reached(birth.add_years(policy.resident_pension_age)));
    // Who has reached the age draws the resident pension or can join it no more.
    Some(Membership::of(if of_pension_age {
        Population::DrawingPension
    } else {
        Population::Resident
    }))
}

/// Whether a person is from abroad, Hong Kong, Macao or Taiwan: by the nationality stated, else by the number (81, 82 and 83 for
/// residence permits, 9 for foreign permanent residents).
fn is_foreign(golden: &Golden) -> bool {
    match (&golden.nationality, golden.number.map(CitizenId::division)) {
        (Some(nationality), _) if nationality.value != "CHN" => true,
        (_, Some(division)) => matches!(division / 10_000, 81..=83 | 90..=99),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
