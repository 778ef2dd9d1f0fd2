//! A person's records in all agencies, and how they are written and changed.

use domain::citizen_id::CitizenId;
use domain::date::{Day, Month};
use domain::finding::Rule;
use domain::source::Agency;
use rand::rngs::SmallRng;

use crate::json::{Micros, Zoned};
use crate::tables::{Ac02, Row, owned};
use crate::view::{self, Rates, Seen};
use crate::world::{Person, World};

mod rows;

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
}
