//! Households: who lives together, how old they are and what they live on.

use domain::citizen_id::CitizenId;
use domain::date::Day;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::geography;
use crate::names;
use crate::random::{chance, weighted};
use crate::world::{Fate, Hukou, Job, Person, Role, Trouble, World};

/// Ways to fill a block of eight with households; 2.6 persons on average, as the census of 2020 found.
const PATTERNS: [&[usize]; 6] = [
    &[3, 3, 2],
    &[2, 2, 2, 2],
    &[4, 3, 1],
    &[5, 2, 1],
    &[2, 1, 3, 2],
    &[4, 2, 1, 1],
];
/// Share of adult households that came from elsewhere.
const MIGRANTS: f64 = 0.22;
/// Of those, the share from outside the province.
const OUTSIDERS: f64 = 0.7;

/// How somebody stands in the household.
struct Sketch {
    birth: Day,
    male: bool,
    surname: &'static str,
    couple: bool,
}

/// The sizes of a block's households.
pub(crate) fn sizes(rng: &mut SmallRng) -> &'static [usize] {
    PATTERNS[rng.random_range(0..PATTERNS.len())]
}

/// Makes a household whose members take the indices from `first` on.
pub(crate) fn make(world: &World, rng: &mut SmallRng, county: usize, first: u64, size: usize, persons: &mut Vec<Person>) {
    let ethnicity = names::ethnicity(rng);
    let sketches = sketches(world, rng, size, ethnicity);
    let young = world.today.0 - sketches[0].birth.0 < 50 * 365;
    let migrant = young && chance(rng, MIGRANTS);
    let (home, hukou, number_county) = if !migrant {
        (county, Hukou::County(county), world.counties[county].code)
    } else if chance(rng, OUTSIDERS) {
        let division = geography::outside(county);
        (county, Hukou::Outside(division), division)
    } else {
        let home = rng.random_range(0..world.counties.len());
        (home, Hukou::County(county), world.counties[county].code)
    };
    let married = married(world, rng, &sketches);
    for (at, sketch) in sketches.into_iter().enumerate() {
        let index = first + at as u64;
        let rank = index - world.counties[county].start;
        let residues = world.counties[county].residues;
        // Rank, in mixed radix of sequence and residue of the birth date, makes the number unique; see `County::residues`.
        let residue = (rank / 500 % residues) as i32;
        let birth = sketch.birth.plus(-(sketch.birth.0 - residue).rem_euclid(residues as i32));
        let sequence = (rank % 500) as u16 * 2 + u16::from(sketch.male);
        let number = CitizenId::from_parts(number_county, birth, sequence).expect("a county, a day and three digits");
        let mut person = Person {
            index,
            household: first,
            number,
            name: names::full(rng, sketch.surname, ethnicity, sketch.male, birth.year()),
            male: sketch.male,
            birth,
            ethnicity,
            county: home,
            hukou,
            fate: Fate::Here,
            role: Role::Unknown,
            cadre: chance(rng, 0.3),
            trouble: None,
            married: married.filter(|_| sketch.couple),
            phone: rng.random_range(3_000_000_000..10_000_000_000),
        };
        live(world, rng, &mut person);
        persons.push(person);
    }
}

/// Ages, sexes and surnames of a household.
fn sketches(world: &World, rng: &mut SmallRng, size: usize, ethnicity: u8) -> Vec<Sketch> {
    let head_years = match weighted(rng, [36, 38, 26].into_iter()) {
        0 => rng.random_range(24..40),
        1 => rng.random_range(40..60),
        _ => rng.random_range(60..88),
    };
    let day = |rng: &mut SmallRng, years: i32| {
        let years = years.clamp(0, 98);
        world.today.plus(-(years * 1461 / 4) - rng.random_range(1..365))
    };
    let surname = names::surname(rng, ethnicity);
    let single = size == 1;
    let head_male = !single || chance(rng, 0.5);
    let mut members = vec![Sketch {
        birth: day(rng, head_years),
        male: head_male,
        surname,
        couple: !single,
    }];
    if !single {
        let years = head_years + rng.random_range(-5..4);
        let own = names::surname(rng, ethnicity);
        members.push(Sketch {
            birth: day(rng, years.max(21)),
            male: false,
            surname: own,
            couple: true,
        });
    }
    let grandparents = size == 5 || (size == 4 && chance(rng, 0.3));
    let children = match size {
        4 if !grandparents => 2,
        3..=5 => 1,
        _ => 0,
    };
    for nth in 0..children {
        let years = head_years - rng.random_range(23..34);
        let twin = nth > 0 && chance(rng, 0.04);
        let birth = if twin {
            members[members.len() - 1].birth
        } else {
            day(rng, years)
        };
        members.push(Sketch {
            birth,
            male: chance(rng, 0.52),
            surname,
            couple: false,
        });
    }
    while members.len() < size {
        let years = head_years + rng.random_range(22..31);
        let male = members.len() == 3 && size == 4 || members.len() == size - 2;
        let name = if male { surname } else { names::surname(rng, ethnicity) };
        members.push(Sketch {
            birth: day(rng, years),
            male,
            surname: name,
            couple: false,
        });
    }
    members
}

/// The registered marriage of the couple; registers before 2004 are on paper.
fn married(world: &World, rng: &mut SmallRng, members: &[Sketch]) -> Option<Day> {
    let partner = members.get(1).filter(|member| member.couple)?;
    let day = partner.birth.add_years(22).plus(rng.random_range(0..2_500));
    let electronic = Day::from_ymd(2004, 1, 1).expect("a day");
    (day < world.today && day >= electronic).then_some(day)
}

/// Decides what a person lives on, what became of them and what is wrong.
fn live(world: &World, rng: &mut SmallRng, person: &mut Person) {
    let age = person.birth.age_at(world.today);
    if chance(rng, if age >= 60 { 0.022 } else { 0.000_6 }) {
        person.fate = Fate::Dead(world.today.plus(-rng.random_range(40..1_000)));
    }
    person.role = role(world, rng, person, age);
    if let Fate::Dead(_) = person.fate {
        let enrolled = !matches!(person.role, Role::Unknown | Role::Student);
        person.trouble = (enrolled && chance(rng, 0.35)).then_some(Trouble::EnrolledDead);
        return;
    }
    let registered = matches!(person.hukou, Hukou::County(_));
    if registered && (18..35).contains(&age) && chance(rng, 0.004) {
        person.fate = [Fate::Army, Fate::Abroad, Fate::Abroad, Fate::Sentenced][rng.random_range(0..4)];
        return;
    }
    if chance(rng, 0.000_5) {
        person.trouble = Some(Trouble::SharedNumber);
        return;
    }
    person.trouble = match person.role {
        Role::Employee(job) if job.form == "1" => employee_trouble(rng),
        Role::Pensioner(_) => chance(rng, 0.004).then_some(Trouble::TwoBenefits),
        _ => None,
    };
    hire_date_fits_trouble(world, rng, person);
}

/// The share of employees with each trouble, in ten thousandths.
fn employee_trouble(rng: &mut SmallRng) -> Option<Trouble> {
    const SHARES: [(Trouble, u32); 10] = [
        (Trouble::NeverEnrolled, 105),
        (Trouble::NewHire, 50),
        (Trouble::Lapsed, 105),
        (Trouble::Deferred, 10),
        (Trouble::TwoPlaces, 45),
        (Trouble::NotConsolidated, 35),
        (Trouble::ResidentOverlap, 50),
        (Trouble::MedicalTwice, 35),
        (Trouble::Transferring, 10),
        (Trouble::TwoJobs, 20),
    ];
    let healthy = 10_000 - SHARES.iter().map(|(_, share)| share).sum::<u32>();
    let at = weighted(rng, SHARES.iter().map(|(_, share)| *share).chain([healthy]));
    SHARES.get(at).map(|(trouble, _)| *trouble)
}

fn hire_date_fits_trouble(world: &World, rng: &mut SmallRng, person: &mut Person) {
    let Role::Employee(job) = &mut person.role else {
        return;
    };
    let days = match person.trouble {
        Some(Trouble::NeverEnrolled) => rng.random_range(40..500),
        Some(Trouble::NewHire) => rng.random_range(1..28),
        Some(Trouble::Transferring) => rng.random_range(3..12),
        Some(Trouble::Lapsed | Trouble::Deferred) => (world.today.0 - job.from.0).max(700),
        _ => return,
    };
    job.from = world.today.plus(-days);
}

/// Employees 28 %, residents' schemes 12 %, free-lance 4 %, pensioners most of the old.
fn role(world: &World, rng: &mut SmallRng, person: &Person, age: i32) -> Role {
    let leaves_at = match (person.male, person.cadre) {
        (true, _) => 60,
        (false, true) => 55,
        (false, false) => 50,
    };
    // Retirement ages rise from 2025 on: nobody here stands so near to theirs that the month would matter.
    if age >= leaves_at + 2 {
        let since = person.birth.add_years(leaves_at).plus(rng.random_range(0..200));
        return match weighted(rng, [50, 40, 10].into_iter()) {
            0 => Role::Pensioner(since.min(world.today.plus(-40))),
            1 if age >= 61 => Role::ResidentPensioner,
            _ => Role::Unknown,
        };
    }
    match age {
        ..6 => Role::Unknown,
        6..19 => Role::Student,
        19..23 if chance(rng, 0.5) => Role::Student,
        _ if age >= leaves_at => Role::Unknown,
        _ => match weighted(rng, [48, 7, 22, 23].into_iter()) {
            0 => Role::Employee(job(world, rng, person, age)),
            1 => Role::Flexible,
            2 => Role::Resident,
            _ => Role::Unknown,
        },
    }
}

fn job(world: &World, rng: &mut SmallRng, person: &Person, age: i32) -> Job {
    let home = world.counties[person.county].city;
    let city = match weighted(rng, [92, 7, 1].into_iter()) {
        0 => home,
        1 => world.other_city(rng, home),
        _ => geography::PROVINCE,
    };
    let longest = ((age - 18) * 365 - 60).clamp(61, 6_000);
    let seniority = rng.random::<f64>();
    let from = world
        .today
        .plus(-60 - (seniority * seniority * f64::from(longest - 60)) as i32);
    let form = match weighted(rng, [950, 18, 2, 30].into_iter()) {
        0 => "1",
        1 => "2",
        2 if age < 25 => "3",
        _ => "4",
    };
    Job {
        city,
        employer: world.pick_employer(rng, city),
        from,
        form,
    }
}
