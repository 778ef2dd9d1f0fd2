//! Writing new rows, table by table.

use domain::date::Day;
use domain::source::Agency;
use rand::Rng;

use super::{Enrol, Pen};
use crate::employer::Employer;
use crate::geography;
use crate::json::{Cents, Micros, Zoned};
use crate::random::chance;
use crate::tables::{Ac01, Ac02, Ac21, Ac60, Az01, Czrk, Ldrk, code, owned};
use crate::world::{Fate, Hukou};

impl Pen<'_> {
    /// Six digits of the residence, or of the provincial level for its system.
    fn division(&self, city: u16) -> String {
        let county = &self.world.counties[self.dossier.person.county];
        if county.city == city {
            county.code.to_string()
        } else {
            format!("{city}00")
        }
    }

    /// An instant of the working hours of the day: microseconds.
    pub(super) fn handled(&mut self) -> i64 {
        (self.day.start_in_shanghai().0 + self.rng.random_range(8..18) * 3_600_000) * 1000
            + self.rng.random_range(0..3_600_000_000)
    }

    /// An address in the county of residence; of years ago when stale.
    fn address(&self, stale: bool) -> String {
        let county = &self.world.counties[self.dossier.person.county];
        let house = self.dossier.person.household + u64::from(stale) * 31;
        format!(
            "{}{}和平路{}号{}室",
            county.city_name,
            county.name,
            house % 997 + 1,
            house % 37 + 101
        )
    }

    /// Registers the person with public security: in the resident register, or as a temporary resident, or in both.
    pub(crate) fn register(&mut self) {
        let person = self.dossier.person.clone();
        let residence = geography::village(self.world.counties[person.county].code, person.household);
        if let Hukou::County(at) = person.hukou {
            let county = &self.world.counties[at];
            let (city, hukou) = (county.city, county.code);
            let address = format!("{}{}人民路{}号", county.city_name, county.name, person.household % 1_999 + 1);
            let seen = self.seen(Agency::PUBLIC_SECURITY, city);
            let (death, state) = match person.fate {
                Fate::Dead(day) => (Some(day), "2"),
                Fate::Here => (None, "1"),
                Fate::Army => (None, "4"),
                Fate::Abroad => (None, "5"),
                Fate::Sentenced => (None, "6"),
            };
            let row = Czrk {
                rybh: format!("R{:013}", self.key()).into(),
                gmsfhm: seen.number,
                xm: seen.name,
                cym: None,
                xb: seen.sex,
                mz: owned(format!("{:02}", person.ethnicity)),
                csrq: seen.birth,
                hjdqh: owned(hukou.to_string()),
                hjdz: owned(address),
                xzdqh: owned(residence.clone()),
                xzdz: owned(self.address(seen.stale)),
                swrq: death,
                hkzt: code(state),
                lxdh: seen.phone,
            };
            self.add(city, row);
        }
        if person.hukou != Hukou::County(person.county) {
            let city = self.home();
            let seen = self.seen(Agency::PUBLIC_SECURITY, city);
            let from = self.day.plus(-self.rng.random_range(40..1_500));
            let gone = match person.fate {
                Fate::Dead(day) => Some(day),
                _ => None,
            };
            let row = Ldrk {
                ldbh: format!("L{:013}", self.key()).into(),
                gmsfhm: seen.number,
                xm: seen.name,
                xb: seen.sex,
                csrq: seen.birth,
                hjdqh: owned(format!("{:06}", self.world.county_code(person.hukou))),
                xzdqh: owned(residence),
                xzdz: owned(self.address(seen.stale)),
                djrq: Some(from),
                yxqz: Some(self.day.plus(self.rng.random_range(30..365))),
                zxrq: gone,
                lxdh: seen.phone,
            };
            self.add(city, row);
        }
    }

    /// Opens a file with human resources of a city, with an employment status.
    pub(crate) fn open_file(&mut self, city: u16, status: &'static str) {
        let seen = self.seen(Agency::HUMAN_RESOURCES, city);
        let person = &self.dossier.person;
        let local = person.hukou == Hukou::County(person.county);
        let (cadre, ethnicity) = (person.cadre, person.ethnicity);
        let row = Ac01 {
            aac001: self.key(),
            aac058: code("01"),
            aac147: seen.number,
            aac003: seen.name,
            aac004: seen.sex,
            aac005: owned(format!("{ethnicity:02}")),
            aac006: seen.birth,
            aac009: code(if local { "11" } else { "21" }),
            aac016: code(status),
            aac012: code(if cadre { "2" } else { "1" }),
            aac161: code("CHN"),
            aae005: seen.phone,
            aae006: owned(self.address(seen.stale)),
            aab301: owned(self.division(city)),
        };
        self.add(city, row);
    }

    /// Registers an employment.
    pub(crate) fn employ(&mut self, employer: &Employer, form: &'static str, from: Day, until: Option<Day>) {
        let seen = self.seen(Agency::HUMAN_RESOURCES, employer.city);
        let row = Ac21 {
            bac001: self.key(),
            aac058: code("01"),
            aac147: seen.number,
            aac003: seen.name,
            aac006: seen.birth,
            aab001: owned(employer.unit.clone()),
            aab004: owned(employer.name.clone()),
            aab019: code(employer.kind),
            aac013: code(form),
            aae030: Some(from),
            aae031: until,
            aab301: owned(employer.division.to_string()),
        };
        self.add(employer.city, row);
    }

    /// Writes an enrolment; now and then with a code nobody knows.
    pub(crate) fn enrol(&mut self, enrol: &Enrol<'_>) {
        let seen = self.seen(Agency::HUMAN_RESOURCES, enrol.city);
        let now = self.handled();
        let known = !chance(&mut self.rng, self.rates.unknown_code);
        let base = enrol.unit.map(|_| Cents(487_900 + self.rng.random_range(0..20_000) * 100));
        let row = Ac02 {
            baz001: self.key(),
            aac002: seen.number,
            aac003: seen.name,
            aae140: code(enrol.scheme),
            aac031: code(if known { enrol.status } else { "7" }),
            aae030: Some(enrol.from),
            aae031: enrol.until,
            aac049: Some(enrol.from.month().yyyymm()),
            aae003: Some(enrol.paid.yyyymm()),
            aab001: enrol.unit.and_then(owned),
            aae180: base,
            aae100: Some(true),
            aae036: Some(Micros(now)),
            utime: Some(Zoned(now)),
            zp: None,
            note: None,
            aab301: owned(self.division(enrol.city)),
            aaz289: None,
            aaz288: None,
        };
        self.add(enrol.city, row);
    }

    /// Grants a pension.
    pub(crate) fn grant_pension(&mut self, city: u16, scheme: &'static str, from: Day, until: Option<Day>) {
        let seen = self.seen(Agency::HUMAN_RESOURCES, city);
        let row = Ac60 {
            aaz257: self.key(),
            aac147: seen.number,
            aac003: seen.name,
            aae140: code(scheme),
            aaa036: code("pension"),
            aae030: Some(from),
            aae031: until,
            aae116: code(if until.is_some() { "3" } else { "1" }),
            aab301: owned(self.division(city)),
        };
        self.add(city, row);
    }

    /// Issues a social security card.
    pub(crate) fn issue_card(&mut self, city: u16, issued: Day, status: &'static str) {
        let seen = self.seen(Agency::HUMAN_RESOURCES, city);
        let row = Az01 {
            aaz500: format!("A{:014}", self.key()).into(),
            aac147: seen.number,
            aac003: seen.name,
            aaz502: code(status),
            aae030: Some(issued),
        };
        self.add(city, row);
    }
}
