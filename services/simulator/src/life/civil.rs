//! What public security and civil affairs hear of first: marriages, deaths, corrections, departures.

use domain::citizen_id::CitizenId;
use domain::finding::Rule;
use domain::source::Agency;
use rand::Rng;

use super::{Kind, Outcome, is_here};
use crate::dossier::Pen;
use crate::history::bury;
use crate::names;
use crate::random::chance;
use crate::tables::{Hardship, Marriage, Row, Sfhbg, code, owned};
use crate::world::{Fate, Hukou, Trouble};

/// The row of the resident register.
fn register(pen: &Pen<'_>) -> Option<usize> {
    pen.dossier.find(|row| matches!(row, Row::Czrk(_)))
}

/// Married in the city of residence.
pub(super) fn marry(pen: &mut Pen<'_>) -> Outcome {
    let age = pen.dossier.person.birth.age_at(pen.day);
    let single = pen.dossier.find(|row| matches!(row, Row::Marriage(_))).is_none();
    if !is_here(pen) || !single || !(22..40).contains(&age) {
        return Outcome::Impossible;
    }
    let city = pen.home();
    let seen = pen.seen(Agency::CIVIL_AFFAIRS, city);
    let row = Marriage {
        id: pen.key(),
        sfzh: seen.number,
        xm: seen.name,
        hyzk: code("21"),
        djrq: Some(pen.day),
    };
    pen.add(city, row);
    Outcome::Done
}

/// Minimum living allowance.
pub(super) fn hardship(pen: &mut Pen<'_>) -> Outcome {
    let known = pen
        .dossier
        .find(|row| matches!(row, Row::Hardship(_) | Row::Ac21(_)))
        .is_some();
    if !is_here(pen) || known {
        return Outcome::Impossible;
    }
    let city = pen.home();
    let seen = pen.seen(Agency::CIVIL_AFFAIRS, city);
    let division = pen.world.counties[pen.dossier.person.county].code;
    let row = Hardship {
        id: pen.key(),
        sfzh: seen.number,
        xm: seen.name,
        lb: code("dibao"),
        ksrq: Some(pen.day),
        jsrq: None,
        dqh: owned(division.to_string()),
    };
    pen.add(city, row);
    Outcome::Done
}

/// Public security corrects the number: now and then with another birth date, and always when somebody else has it too.
pub(super) fn number_correction(pen: &mut Pen<'_>) -> Outcome {
    let Some(at) = register(pen).filter(|_| is_here(pen) && pen.dossier.former_numbers.is_empty()) else {
        return Outcome::Impossible;
    };
    let city = pen.dossier.records[at].city;
    let told = pen.dossier.told;
    if pen.dossier.person.trouble == Some(Trouble::SharedNumber) {
        // The person gets the number that was theirs all along.
        pen.dossier.person.trouble = None;
        pen.dossier.settle(Rule::IdentityConflict);
    } else {
        let birth = pen.dossier.person.birth;
        let birth = if chance(&mut pen.rng, 0.3) {
            birth.plus(pen.rng.random_range(1..40))
        } else {
            birth
        };
        // Numbers of a city's collective code 市辖区 are given to nobody else here.
        let division = u32::from(city) * 100 + 1;
        let sequence = (pen.dossier.person.index % 500) as u16 * 2 + u16::from(pen.dossier.person.male);
        let Some(number) = CitizenId::from_parts(division, birth, sequence) else {
            return Outcome::Impossible;
        };
        pen.dossier.person.number = number;
        pen.dossier.person.birth = birth;
    }
    let (new, birth) = (pen.dossier.person.number, pen.dossier.person.birth);
    pen.dossier.former_numbers.push(told);
    pen.dossier.told = new;
    pen.learn(Agency::PUBLIC_SECURITY);
    let seen = pen.seen(Agency::PUBLIC_SECURITY, city);
    let Row::Czrk(row) = &pen.dossier.records[at].row else {
        return Outcome::Impossible;
    };
    let former_text = row.gmsfhm.clone();
    let correction = Sfhbg {
        bgbh: format!("B{:013}", pen.key()).into(),
        rybh: owned(row_number(pen, at)),
        gmsfhm_old: former_text,
        gmsfhm_new: owned(new.text()),
        xm: seen.name,
        xb: seen.sex,
        bgrq: Some(pen.day),
    };
    pen.add(city, correction);
    for at in pen.dossier.all(|row| matches!(row, Row::Czrk(_) | Row::Ldrk(_))) {
        pen.update(at, |row| match row {
            Row::Czrk(row) => (row.gmsfhm, row.csrq) = (owned(new.text()), Some(birth)),
            Row::Ldrk(row) => (row.gmsfhm, row.csrq) = (owned(new.text()), Some(birth)),
            _ => {}
        });
    }
    Outcome::Followed(&[Kind::HumanResourcesFollow])
}

/// The person number of a resident's row.
fn row_number(pen: &Pen<'_>, at: usize) -> String {
    match &pen.dossier.records[at].row {
        Row::Czrk(row) => row.rybh.to_string(),
        _ => String::new(),
    }
}

/// A new given name; the old one stays as the former name.
pub(super) fn name_correction(pen: &mut Pen<'_>) -> Outcome {
    let Some(at) = register(pen).filter(|_| is_here(pen) && pen.dossier.expected.is_empty()) else {
        return Outcome::Impossible;
    };
    let person = &pen.dossier.person;
    let surname: String = person.name.chars().take(1).collect();
    let (ethnicity, male, year) = (person.ethnicity, person.male, person.birth.year());
    let former = person.name.clone();
    let name = names::full(&mut pen.rng, &surname, ethnicity, male, year);
    if name == former {
        return Outcome::Impossible;
    }
    pen.dossier.person.name.clone_from(&name);
    pen.learn(Agency::PUBLIC_SECURITY);
    pen.update(at, |row| {
        if let Row::Czrk(row) = row {
            row.xm = owned(name);
            row.cym = owned(former);
        }
    });
    Outcome::Followed(&[Kind::HumanResourcesFollow])
}

/// Human resources write the number and the name that public security gave them into every row.
pub(super) fn human_resources_follow(pen: &mut Pen<'_>) -> Outcome {
    pen.learn(Agency::HUMAN_RESOURCES);
    let (number, name) = (pen.dossier.person.number.text(), pen.dossier.person.name.clone());
    for at in pen.dossier.all(|row| row.agency() == Agency::HUMAN_RESOURCES) {
        pen.update(at, |row| {
            if let Some(columns) = row.person() {
                *columns.number = owned(number.clone());
                *columns.name = owned(name.clone());
            }
        });
    }
    Outcome::Done
}

/// Sets the state of the household registration.
fn struck_off(pen: &mut Pen<'_>, fate: Fate, state: &'static str) -> Outcome {
    let age = pen.dossier.person.birth.age_at(pen.day);
    let registered = register(pen).filter(|_| matches!(pen.dossier.person.hukou, Hukou::County(_)));
    let young = is_here(pen) && pen.dossier.expected.is_empty() && (18..35).contains(&age);
    let Some(at) = registered.filter(|_| young) else {
        return Outcome::Impossible;
    };
    pen.dossier.person.fate = fate;
    pen.update(at, |row| {
        if let Row::Czrk(row) = row {
            row.hkzt = code(state);
        }
    });
    Outcome::Done
}

/// Joined the army: exempt from now on.
pub(super) fn join_army(pen: &mut Pen<'_>) -> Outcome {
    struck_off(pen, Fate::Army, "4")
}

/// Settled abroad: exempt from now on.
pub(super) fn go_abroad(pen: &mut Pen<'_>) -> Outcome {
    struck_off(pen, Fate::Abroad, "5")
}

/// Died some days ago; civil affairs know it first, human resources last.
pub(super) fn death(pen: &mut Pen<'_>) -> Outcome {
    let age = pen.dossier.person.birth.age_at(pen.day);
    let insured = pen.dossier.find(|row| match row {
        Row::Ac02(row) => row.aac031.as_deref() == Some("1"),
        Row::Ac60(row) => row.aae116.as_deref() == Some("1"),
        _ => false,
    });
    if !is_here(pen) || age < 55 || pen.dossier.person.trouble.is_some() {
        return Outcome::Impossible;
    }
    // Contributions of the month of death are due: only what lasts beyond it is a finding.
    let day = pen.day.plus(-pen.rng.random_range(35..60));
    pen.dossier.person.fate = Fate::Dead(day);
    if insured.is_some() {
        pen.dossier.expect(Rule::AfterDeath);
    }
    bury(pen, day);
    Outcome::Followed(&[Kind::StrikeOff, Kind::EndAll])
}

/// Public security learns of the death.
pub(super) fn strike_off(pen: &mut Pen<'_>) -> Outcome {
    let Fate::Dead(day) = pen.dossier.person.fate else {
        return Outcome::Impossible;
    };
    let rows = pen.dossier.all(|row| matches!(row, Row::Czrk(_) | Row::Ldrk(_)));
    for at in rows {
        pen.update(at, |row| match row {
            Row::Czrk(row) => (row.swrq, row.hkzt) = (Some(day), code("2")),
            Row::Ldrk(row) => row.zxrq = Some(day),
            _ => {}
        });
    }
    Outcome::Done
}
