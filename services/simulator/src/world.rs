//! The true state of the invented province: households, persons, what they live on, and what is wrong with their insurance.
//!
//! Persons are made block by block from (seed, index) alone, so a province of any size needs no memory.

use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::finding::Rule;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::employer::Employer;
use crate::geography::{self, County};
use crate::random::{Purpose, chance, stream};
use crate::{household, names};

/// Persons per block; households never cross a block.
pub(crate) const BLOCK: u64 = 8;
/// Residents per employer.
const RESIDENTS_PER_EMPLOYER: u64 = 30;

/// The province.
pub(crate) struct World {
    /// The seed of everything.
    pub(crate) seed: u64,
    /// How many persons there are before the first change.
    pub(crate) residents: u64,
    /// The day of the snapshot.
    pub(crate) today: Day,
    /// Where they live.
    pub(crate) counties: Vec<County>,
    cities: Vec<CityPlan>,
}

/// What is needed of a city to make its employers.
struct CityPlan {
    code: u16,
    name: &'static str,
    divisions: Vec<u32>,
    employers: u32,
}

/// Where somebody's household register lies.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Hukou {
    /// In a county of the province, by its position.
    County(usize),
    /// Outside the province: the division.
    Outside(u32),
}

/// What became of a person.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    /// Lives here.
    Here,
    /// Died.
    Dead(Day),
    /// Serves in the army.
    Army,
    /// Settled or stays abroad.
    Abroad,
    /// Serves a sentence.
    Sentenced,
}

/// An employment.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Job {
    /// City of the employer; 3200 for the provincial level.
    pub(crate) city: u16,
    /// Number of the employer in its city.
    pub(crate) employer: u32,
    /// First day.
    pub(crate) from: Day,
    /// Form: `1` full time, `2` part time, `3` intern, `4` dispatched.
    pub(crate) form: &'static str,
}

/// What a person lives on, as far as insurance cares.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Role {
    /// Before school or at school, or nothing that HR knows.
    Unknown,
    /// At school.
    Student,
    /// Employed.
    Employee(Job),
    /// Free-lance, paying as an individual.
    Flexible,
    /// In the residents' schemes.
    Resident,
    /// Draws an employees' pension since a day.
    Pensioner(Day),
    /// Draws the residents' pension.
    ResidentPensioner,
}

/// What is wrong, or only looks wrong, with somebody's insurance.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Trouble {
    /// Hired long ago, enrolled in nothing.
    NeverEnrolled,
    /// Hired less than 30 days ago, not enrolled yet: no finding today.
    NewHire,
    /// Suspended for months while still employed.
    Lapsed,
    /// Unpaid with an approved deferral: no finding.
    Deferred,
    /// The employees' pension paying in two cities.
    TwoPlaces,
    /// Suspended in one city, paying in another.
    NotConsolidated,
    /// Employee and resident pension in the same months.
    ResidentOverlap,
    /// Employee and resident medical insurance both paying.
    MedicalTwice,
    /// Pension from two cities.
    TwoBenefits,
    /// Moving with a transfer in progress: no finding.
    Transferring,
    /// Work injury insurance at two employers: required, no finding.
    TwoJobs,
    /// Dead, and still enrolled or drawing.
    EnrolledDead,
    /// Carries the number of a neighbour (重号).
    SharedNumber,
}

impl Trouble {
    /// The finding to expect of a complete and correct view.
    pub(crate) fn expected(self) -> Option<Rule> {
        match self {
            Self::NeverEnrolled => Some(Rule::NeverEnrolled),
            Self::Lapsed => Some(Rule::Lapsed),
            Self::TwoPlaces | Self::NotConsolidated | Self::ResidentOverlap | Self::MedicalTwice | Self::TwoBenefits => {
                Some(Rule::DoubleEnrolled)
            }
            Self::EnrolledDead => Some(Rule::AfterDeath),
            Self::SharedNumber => Some(Rule::IdentityConflict),
            Self::NewHire | Self::Deferred | Self::Transferring | Self::TwoJobs => None,
        }
    }
}

/// A person, as they truly are. Personal: has no `Debug`.
#[derive(Clone)]
pub(crate) struct Person {
    /// Position in the province; 0 to residents − 1, children born later above.
    pub(crate) index: u64,
    /// The household: index of its first member.
    pub(crate) household: u64,
    /// Citizen id.
    pub(crate) number: CitizenId,
    /// Name.
    pub(crate) name: String,
    /// Male?
    pub(crate) male: bool,
    /// Birth date.
    pub(crate) birth: Day,
    /// GB/T 3304.
    pub(crate) ethnicity: u8,
    /// County of residence, by position.
    pub(crate) county: usize,
    /// Household register.
    pub(crate) hukou: Hukou,
    /// Alive, dead or away.
    pub(crate) fate: Fate,
    /// What they live on.
    pub(crate) role: Role,
    /// A cadre's post? Decides the retirement age of women.
    pub(crate) cadre: bool,
    /// What is wrong.
    pub(crate) trouble: Option<Trouble>,
    /// Registered marriage.
    pub(crate) married: Option<Day>,
    /// Phone number without the leading 1.
    pub(crate) phone: u64,
}

impl World {
    /// A province of `residents` persons as it stands on `today`.
    pub(crate) fn new(seed: u64, residents: u64, today: Day) -> Self {
        let counties = geography::counties(residents, BLOCK, today);
        let mut cities: Vec<CityPlan> = Vec::new();
        for (at, county) in counties.iter().enumerate() {
            let end = counties.get(at + 1).map_or(residents, |next| next.start);
            let employers = (end.saturating_sub(county.start) / RESIDENTS_PER_EMPLOYER) as u32;
            match cities.last_mut() {
                Some(city) if city.code == county.city => {
                    city.divisions.push(county.code);
                    city.employers += employers;
                }
                _ => cities.push(CityPlan {
                    code: county.city,
                    name: county.city_name,
                    divisions: vec![county.code],
                    employers: employers + 3,
                }),
            }
        }
        let employers = (residents / RESIDENTS_PER_EMPLOYER / 100) as u32 + 3;
        cities.push(CityPlan {
            code: geography::PROVINCE,
            name: "江苏省",
            divisions: vec![320_000],
            employers,
        });
        Self {
            seed,
            residents,
            today,
            counties,
            cities,
        }
    }

    /// How many blocks there are.
    pub(crate) fn blocks(&self) -> u64 {
        self.residents.div_ceil(BLOCK)
    }

    /// The persons of a block.
    pub(crate) fn block(&self, block: u64) -> Vec<Person> {
        let mut rng = stream(self.seed, Purpose::Block, block);
        let start = block * BLOCK;
        let county = self
            .counties
            .partition_point(|county| county.start <= start)
            .saturating_sub(1);
        let mut persons = Vec::with_capacity(BLOCK as usize);
        for &size in household::sizes(&mut rng) {
            household::make(self, &mut rng, county, start + persons.len() as u64, size, &mut persons);
        }
        persons.truncate((self.residents - start).min(BLOCK) as usize);
        persons
    }

    /// A child born to a mother on a day; `sequence` tells apart the children of one county and day.
    pub(crate) fn newborn(&self, mother: &Person, index: u64, born: Day, sequence: u16) -> Person {
        let mut rng = stream(self.seed, Purpose::Block, index);
        let male = chance(&mut rng, 0.52);
        let surname = names::surname(&mut rng, mother.ethnicity);
        let county = self.county_code(mother.hukou);
        let number =
            CitizenId::from_parts(county, born, sequence % 500 * 2 + u16::from(male)).expect("a county, a day and three digits");
        Person {
            index,
            household: mother.household,
            number,
            name: names::full(&mut rng, surname, mother.ethnicity, male, born.year()),
            male,
            birth: born,
            role: Role::Unknown,
            cadre: false,
            trouble: None,
            married: None,
            fate: Fate::Here,
            ..mother.clone()
        }
    }

    /// The division code of a household register.
    pub(crate) fn county_code(&self, hukou: Hukou) -> u32 {
        match hukou {
            Hukou::County(at) => self.counties[at].code,
            Hukou::Outside(code) => code,
        }
    }

    /// The cities with their number of employers, the provincial level last.
    pub(crate) fn employer_counts(&self) -> impl Iterator<Item = (u16, u32)> {
        self.cities.iter().map(|city| (city.code, city.employers))
    }

    /// An employer of a city.
    pub(crate) fn employer(&self, city: u16, number: u32) -> Employer {
        let plan = self.city(city);
        Employer::new(self.seed, city, number, plan.name, &plan.divisions)
    }

    /// Some employer's number in a city.
    pub(crate) fn pick_employer(&self, rng: &mut SmallRng, city: u16) -> u32 {
        crate::employer::pick(rng, self.city(city).employers)
    }

    /// Another city than the given one.
    pub(crate) fn other_city(&self, rng: &mut SmallRng, city: u16) -> u16 {
        let cities = self.cities.len() as u16 - 1;
        let at = city.saturating_sub(3201) % cities;
        3201 + (at + rng.random_range(1..cities)) % cities
    }

    fn city(&self, code: u16) -> &CityPlan {
        self.cities.iter().find(|city| city.code == code).unwrap_or(&self.cities[0])
    }
}
