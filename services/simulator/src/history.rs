//! What stands in the agencies' databases before the first change.

use domain::date::{Day, Month};
use domain::finding::Rule;
use rand::Rng;

use crate::dossier::{Dossier, Enrol, Pen};
use crate::employer::Employer;
use crate::random::{Purpose, chance, stream};
use crate::tables::{Funeral, Hardship, Marriage, Row, code, owned};
use crate::view::Rates;
use crate::world::{BLOCK, Fate, Job, Person, Role, Trouble, World};
use domain::source::Agency;

/// The schemes that an employer's staff must be in (RULES.md, Who must be enrolled), by its type and the form of employment.
pub(crate) fn schemes(kind: &str, form: &str) -> &'static [&'static str] {
    match (kind, form) {
        (_, "2") => &["410"],
        (_, "3") => &[],
        ("20", _) => &["120", "310", "510"],
        ("30", _) => &["120", "310", "210", "410", "510"],
        _ => &["110", "310", "210", "410", "510"],
    }
}

/// The dossiers of a block of persons before the first change.
pub(crate) fn block(world: &World, rates: &Rates, block: u64) -> Vec<Dossier> {
    let persons = world.block(block);
    (0..persons.len()).map(|at| dossier(world, rates, &persons, at)).collect()
}

/// The dossier of one person before the first change; `None` beyond the last person.
pub(crate) fn of(world: &World, rates: &Rates, index: u64) -> Option<Dossier> {
    let persons = world.block(index / BLOCK);
    let at = (index % BLOCK) as usize;
    (at < persons.len()).then(|| dossier(world, rates, &persons, at))
}

fn dossier(world: &World, rates: &Rates, persons: &[Person], at: usize) -> Dossier {
    let person = &persons[at];
    let neighbour = persons.get(at ^ 1);
    let mut dossier = Dossier::new(person.clone());
    let shares = |person: &Person| person.trouble == Some(Trouble::SharedNumber);
    match neighbour {
        Some(neighbour) if shares(person) => {
            dossier.told = neighbour.number;
            dossier.expect(Rule::IdentityConflict);
        }
        Some(neighbour) if shares(neighbour) => dossier.expect(Rule::IdentityConflict),
        _ => dossier.expected.extend(person.trouble.and_then(Trouble::expected)),
    }
    let rng = stream(world.seed, Purpose::Records, person.index);
    let mut pen = Pen {
        world,
        rates,
        day: world.today,
        rng,
        dossier,
        changes: Vec::new(),
        noting: false,
    };
    pen.register();
    civil_affairs(&mut pen);
    human_resources(&mut pen);
    pen.dossier
}

fn civil_affairs(pen: &mut Pen<'_>) {
    let city = pen.home();
    let person = pen.dossier.person.clone();
    if let Some(day) = person.married {
        let seen = pen.seen(Agency::CIVIL_AFFAIRS, city);
        let row = Marriage {
            id: pen.key(),
            sfzh: seen.number,
            xm: seen.name,
            hyzk: code("21"),
            djrq: Some(day),
        };
        pen.add(city, row);
    }
    if let Fate::Dead(day) = person.fate {
        let registered = pen.dossier.find(|row| matches!(row, Row::Czrk(_)));
        let unknown = chance(&mut pen.rng, pen.rates.not_struck_off);
        // The dead of whom public security knows nothing are known by their funeral.
        if let (Some(at), true) = (registered, unknown) {
            pen.update(at, |row| {
                if let Row::Czrk(row) = row {
                    row.swrq = None;
                    row.hkzt = code("1");
                }
            });
        }
        if unknown || registered.is_none() || chance(&mut pen.rng, 0.8) {
            bury(pen, day);
        }
    } else if person.role == Role::Unknown && chance(&mut pen.rng, 0.03) {
        let seen = pen.seen(Agency::CIVIL_AFFAIRS, city);
        let row = Hardship {
            id: pen.key(),
            sfzh: seen.number,
            xm: seen.name,
            lb: code(if chance(&mut pen.rng, 0.2) { "tekun" } else { "dibao" }),
            ksrq: Some(pen.day.plus(-pen.rng.random_range(30..900))),
            jsrq: None,
            dqh: owned(pen.world.counties[person.county].code.to_string()),
        };
        pen.add(city, row);
    }
}

/// Registers a funeral.
pub(crate) fn bury(pen: &mut Pen<'_>, death: Day) {
    let city = pen.home();
    let seen = pen.seen(Agency::CIVIL_AFFAIRS, city);
    let row = Funeral {
        id: pen.key(),
        sfzh: seen.number,
        xm: seen.name,
        xb: seen.sex,
        csrq: seen.birth,
        swrq: Some(death),
        hhrq: Some(death.plus(3)),
    };
    pen.add(city, row);
}

fn human_resources(pen: &mut Pen<'_>) {
    let person = pen.dossier.person.clone();
    let home = pen.home();
    let city = match person.role {
        Role::Employee(job) => job.city,
        _ => home,
    };
    let death = match person.fate {
        Fate::Dead(day) if person.trouble != Some(Trouble::EnrolledDead) => Some(day),
        _ => None,
    };
    match person.role {
        Role::Unknown | Role::Student => {}
        Role::Employee(job) => {
            pen.open_file(city, if person.cadre { "13" } else { "24" });
            employee(pen, job, death);
        }
        Role::Flexible => {
            pen.open_file(city, "51");
            let from = pen.day.plus(-pen.rng.random_range(100..2_000));
            pay(pen, city, &["110", "310"], from, death, None);
        }
        Role::Resident => {
            pen.open_file(city, "27");
            residents_schemes(pen, city, &["170", "390"], death);
        }
        Role::Pensioner(since) => {
            pen.open_file(city, "80");
            let scheme = if person.cadre && chance(&mut pen.rng, 0.5) {
                "120"
            } else {
                "110"
            };
            pension(pen, city, scheme, since, death);
            pay(pen, city, &["310"], since.plus(-3_000), death, None);
            if person.trouble == Some(Trouble::TwoBenefits) {
                let other = pen.world.other_city(&mut pen.rng, city);
                pen.open_file(other, "80");
                pension(pen, other, "110", since, None);
            }
        }
        Role::ResidentPensioner => {
            pen.open_file(city, "80");
            let since = person.birth.add_years(60);
            pension(pen, city, "170", since, death);
            residents_schemes(pen, city, &["390"], death);
        }
    }
    let age = person.birth.age_at(pen.day);
    if age >= 1 && chance(&mut pen.rng, 0.91) {
        let issued = pen.day.plus(-pen.rng.random_range(40..300.max(age * 300).min(4_000)));
        pen.issue_card(city, issued, if death.is_some() { "3" } else { "1" });
    }
}

/// A pension and the relation it ended.
pub(crate) fn pension(pen: &mut Pen<'_>, city: u16, scheme: &'static str, since: Day, death: Option<Day>) {
    pen.grant_pension(city, scheme, since, death);
    let (from, paid) = (since.plus(-6_000), since.month());
    pen.enrol(&Enrol {
        city,
        scheme,
        status: "3",
        from,
        until: Some(since),
        paid,
        unit: None,
    });
}

/// Enrolments paid through the last month, or ended by death.
fn pay(pen: &mut Pen<'_>, city: u16, schemes: &[&'static str], from: Day, death: Option<Day>, unit: Option<&str>) {
    let status = if death.is_some() { "3" } else { "1" };
    let paid = death.map_or(pen.last_month(), Day::month);
    for scheme in schemes {
        pen.enrol(&Enrol {
            city,
            scheme,
            status,
            from,
            until: death,
            paid,
            unit,
        });
    }
}

/// Residents' schemes, paid by the year.
pub(crate) fn residents_schemes(pen: &mut Pen<'_>, city: u16, schemes: &[&'static str], death: Option<Day>) {
    let from = Day::from_ymd(pen.day.year() - pen.rng.random_range(1..9), 1, 1).unwrap_or(pen.day);
    let status = if death.is_some() { "3" } else { "1" };
    let paid = pen.year_end();
    for scheme in schemes {
        pen.enrol(&Enrol {
            city,
            scheme,
            status,
            from,
            until: death,
            paid,
            unit: None,
        });
    }
}

fn employee(pen: &mut Pen<'_>, job: Job, death: Option<Day>) {
    let Person { fate, trouble, .. } = pen.dossier.person;
    let employer = pen.world.employer(job.city, job.employer);
    let away = matches!(fate, Fate::Army | Fate::Abroad | Fate::Sentenced);
    // Half of those away are still on their employer's list.
    let left = if away && chance(&mut pen.rng, 0.5) {
        Some(pen.day.plus(-200).max(job.from))
    } else {
        death
    };
    pen.employ(&employer, job.form, job.from, left);
    let schemes = schemes(employer.kind, job.form);
    let unit = Some(employer.unit.as_str());
    match trouble {
        _ if away => suspended(pen, &employer, job.from, pen.last_month().add_months(-6)),
        Some(Trouble::NeverEnrolled | Trouble::NewHire) => {}
        Some(Trouble::Lapsed) => {
            let months = pen.rng.random_range(4..15);
            suspended(pen, &employer, job.from, pen.last_month().add_months(-months));
        }
        Some(Trouble::Deferred) => {
            pay(pen, job.city, schemes, job.from, None, unit);
            let (paid, until) = (pen.last_month().add_months(-5), pen.last_month().add_months(4));
            for at in pen.dossier.all(|row| matches!(row, Row::Ac02(_))) {
                pen.update_enrolment(at, |row| {
                    row.aae003 = Some(paid.yyyymm());
                    row.aaz288 = Some(until.yyyymm());
                });
            }
        }
        _ => pay(pen, job.city, schemes, job.from.plus(5), death, unit),
    }
    if let Some(pension) = schemes.first() {
        elsewhere(pen, job, pension);
    }
}

/// The employment's schemes, suspended after a month.
fn suspended(pen: &mut Pen<'_>, employer: &Employer, from: Day, paid: Month) {
    let until = Some(paid.last_day().max(from));
    let paid = paid.max(from.month());
    for scheme in schemes(employer.kind, "1") {
        let unit = Some(employer.unit.as_str());
        pen.enrol(&Enrol {
            city: employer.city,
            scheme,
            status: "2",
            from,
            until,
            paid,
            unit,
        });
    }
}

/// What an employee with some trouble has besides the employment's own schemes.
fn elsewhere(pen: &mut Pen<'_>, job: Job, pension: &'static str) {
    let other = pen.world.other_city(&mut pen.rng, job.city);
    let number = pen.world.pick_employer(&mut pen.rng, other);
    let employer = pen.world.employer(other, number);
    let home = pen.home();
    let last = pen.last_month();
    let relation = |status, paid: Month| Enrol {
        city: other,
        scheme: pension,
        status,
        from: paid.first_day().plus(-400),
        until: (status == "2").then(|| paid.last_day()),
        paid,
        unit: Some(employer.unit.as_str()),
    };
    match pen.dossier.person.trouble {
        Some(Trouble::TwoPlaces) => {
            pen.open_file(other, "24");
            pen.enrol(&relation("1", last));
        }
        Some(Trouble::NotConsolidated) => {
            pen.open_file(other, "24");
            pen.enrol(&relation("2", last.add_months(-20)));
        }
        Some(Trouble::Transferring) => {
            pen.open_file(other, "24");
            pen.enrol(&relation("2", last));
            if let Some(at) = pen.dossier.records.len().checked_sub(1) {
                pen.update_enrolment(at, |row| row.aaz289 = code("1"));
            }
        }
        Some(Trouble::ResidentOverlap) => residents_schemes(pen, home, &["170"], None),
        Some(Trouble::MedicalTwice) => residents_schemes(pen, home, &["390"], None),
        Some(Trouble::TwoJobs) => {
            let second = pen.world.employer(job.city, number.saturating_sub(1));
            let from = pen.day.plus(-150);
            pen.employ(&second, "2", from, None);
            pay(pen, job.city, &["410"], from, None, Some(second.unit.as_str()));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
