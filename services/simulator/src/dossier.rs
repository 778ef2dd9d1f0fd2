//! A person's records in all agencies, and how they are written and changed.

use domain::citizen_id::CitizenId;
use domain::date::{Day, Month};
use domain::finding::Rule;
use domain::source::Agency;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::employer::Employer;
use crate::geography;
use crate::json::{Cents, Micros, Zoned};
use crate::random::chance;
use crate::tables::{Ac01, Ac02, Ac21, Ac60, Az01, Czrk, Ldrk, Row, code, owned};
use crate::view::{self, Rates, Seen};
use crate::world::{Fate, Hukou, Person, World};

/// Keys of one person's rows: room for this many rows in a life.
const KEYS_PER_PERSON: i64 = 1024;

/// A row and the city whose system holds it.
#[derive(Clone)]
pub(crate) struct Record {
    /// City of the system.
    pub(crate) city: u16,
    /// The row.
    pub(crate) row: Row,
}

/// A row that came, changed or went. A change of the key has both rows, with different keys.
#[derive(Clone)]
pub(crate) struct Change {
    /// City of the system.
    pub(crate) city: u16,
    /// The row before; `None` when it came.
    pub(crate) before: Option<Row>,
    /// The row after; `None` when it went.
    pub(crate) after: Option<Row>,
}

/// A person and all rows about them.
#[derive(Clone)]
pub(crate) struct Dossier {
    /// The person, as they truly are.
    pub(crate) person: Person,
    /// Numbers they carried before.
    pub(crate) former_numbers: Vec<CitizenId>,
    /// The rows.
    pub(crate) records: Vec<Record>,
    /// Findings to expect where that is obvious.
    pub(crate) expected: Vec<Rule>,
    /// The number that agencies were told: the person's own, or that of somebody else (重号).
    pub(crate) told: CitizenId,
    /// A row deleted by mistake.
    pub(crate) erased: Option<Record>,
    keys: i64,
    seen: Vec<(Agency, u16, Seen)>,
}

impl Dossier {
    /// A person nobody knows yet.
    pub(crate) fn new(person: Person) -> Self {
        let told = person.number;
        Self {
            person,
            former_numbers: Vec::new(),
            records: Vec::new(),
            expected: Vec::new(),
            told,
            erased: None,
            keys: 0,
            seen: Vec::new(),
        }
    }

    /// The position of the first row that fits.
    pub(crate) fn find(&self, fits: impl Fn(&Row) -> bool) -> Option<usize> {
        self.records.iter().position(|record| fits(&record.row))
    }

    /// The positions of all rows that fit.
    pub(crate) fn all(&self, fits: impl Fn(&Row) -> bool) -> Vec<usize> {
        (0..self.records.len()).filter(|at| fits(&self.records[*at].row)).collect()
    }

    /// A paying enrolment in a scheme.
    pub(crate) fn paying(&self, scheme: &str) -> Option<usize> {
        self.find(
            |row| matches!(row, Row::Ac02(row) if row.aae140.as_deref() == Some(scheme) && row.aac031.as_deref() == Some("1")),
        )
    }

    /// An open employment.
    pub(crate) fn open_job(&self) -> Option<usize> {
        self.find(|row| matches!(row, Row::Ac21(row) if row.aae031.is_none()))
    }

    /// Notes that a finding is to be expected.
    pub(crate) fn expect(&mut self, rule: Rule) {
        if !self.expected.contains(&rule) {
            self.expected.push(rule);
        }
    }

    /// Notes that a finding is to be expected no more.
    pub(crate) fn settle(&mut self, rule: Rule) {
        self.expected.retain(|expected| *expected != rule);
    }
}

/// An enrolment to write.
pub(crate) struct Enrol<'a> {
    /// City of the relation.
    pub(crate) city: u16,
    /// Scheme code.
    pub(crate) scheme: &'static str,
    /// Status: `1` paying, `2` suspended, `3` ended.
    pub(crate) status: &'static str,
    /// First day.
    pub(crate) from: Day,
    /// Last day.
    pub(crate) until: Option<Day>,
    /// Paid through this month.
    pub(crate) paid: Month,
    /// The paying unit.
    pub(crate) unit: Option<&'a str>,
}

/// Writes in a dossier; what it changes is noted as changes of the source tables.
pub(crate) struct Pen<'a> {
    /// The province.
    pub(crate) world: &'a World,
    /// How often something is wrong.
    pub(crate) rates: &'a Rates,
    /// The day of writing.
    pub(crate) day: Day,
    /// Chance.
    pub(crate) rng: SmallRng,
    /// What is written in.
    pub(crate) dossier: Dossier,
    /// What has been changed, in order.
    pub(crate) changes: Vec<Change>,
    /// Whether changes are noted at all; a snapshot only wants the rows.
    pub(crate) noting: bool,
}

impl Pen<'_> {
    /// Adds a row.
    pub(crate) fn add(&mut self, city: u16, row: impl Into<Row>) {
        let row = row.into();
        if self.noting {
            self.changes.push(Change {
                city,
                before: None,
                after: Some(row.clone()),
            });
        }
        self.dossier.records.push(Record { city, row });
    }

    /// Changes a row.
    pub(crate) fn update(&mut self, at: usize, change: impl FnOnce(&mut Row)) {
        let record = &mut self.dossier.records[at];
        let before = record.row.clone();
        change(&mut record.row);
        if self.noting && before != record.row {
            self.changes.push(Change {
                city: record.city,
                before: Some(before),
                after: Some(record.row.clone()),
            });
        }
    }

    /// Changes an enrolment.
    pub(crate) fn update_enrolment(&mut self, at: usize, change: impl FnOnce(&mut Ac02)) {
        let now = self.handled();
        self.update(at, |row| {
            if let Row::Ac02(row) = row {
                change(row);
                row.aae036 = Some(Micros(now));
                row.utime = Some(Zoned(now));
            }
        });
    }

    /// Removes a row.
    pub(crate) fn remove(&mut self, at: usize) -> Record {
        let record = self.dossier.records.remove(at);
        if self.noting {
            self.changes.push(Change {
                city: record.city,
                before: Some(record.row.clone()),
                after: None,
            });
        }
        record
    }

    /// A key for a new row, unique in its table.
    pub(crate) fn key(&mut self) -> i64 {
        self.dossier.keys += 1;
        self.dossier.person.index as i64 * KEYS_PER_PERSON + self.dossier.keys
    }

    /// The person as a source holds them.
    pub(crate) fn seen(&mut self, agency: Agency, city: u16) -> Seen {
        let known = self.dossier.seen.iter().find(|(of, at, _)| *of == agency && *at == city);
        if let Some((_, _, seen)) = known {
            return seen.clone();
        }
        let Dossier { person, told, .. } = &self.dossier;
        let seen = view::seen(self.world.seed, self.rates, person, *told, agency, city);
        self.dossier.seen.push((agency, city, seen.clone()));
        seen
    }

    /// An agency learns of a new number or name: what it writes from now on carries them.
    pub(crate) fn learn(&mut self, agency: Agency) {
        let (number, name) = (self.dossier.person.number.text(), self.dossier.person.name.clone());
        for (of, _, seen) in &mut self.dossier.seen {
            if *of == agency {
                seen.number = owned(number.clone());
                seen.name = owned(name.clone());
            }
        }
    }

    /// The last month that everybody has paid.
    pub(crate) fn last_month(&self) -> Month {
        self.day.month().add_months(-1)
    }

    /// The last month of the contribution year: what residents' schemes are paid through.
    pub(crate) fn year_end(&self) -> Month {
        Month::from_ym(self.day.year(), 12).unwrap_or(self.day.month())
    }

    /// City of residence.
    pub(crate) fn home(&self) -> u16 {
        self.world.counties[self.dossier.person.county].city
    }

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
    fn handled(&mut self) -> i64 {
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
            let seen = self.seen(Agency::PublicSecurity, city);
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
            let seen = self.seen(Agency::PublicSecurity, city);
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
        let seen = self.seen(Agency::HumanResources, city);
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
        let seen = self.seen(Agency::HumanResources, employer.city);
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
        let seen = self.seen(Agency::HumanResources, enrol.city);
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
        let seen = self.seen(Agency::HumanResources, city);
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
        let seen = self.seen(Agency::HumanResources, city);
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
