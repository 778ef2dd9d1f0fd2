//! Which of several rows a field is taken from.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Sourced;
use crate::citizen_id::CitizenId;
use crate::date::Day;
use crate::facts::{Facts, HukouStatus, PersonFacts, Resident};
use crate::ids::RecordId;
use crate::record::{Identity, SourceRecord};
use crate::source::{Agency, Authority, Source};

/// A person's records, the ones to believe first.
pub(super) struct Survivors<'a> {
    records: Vec<&'a SourceRecord>,
}

/// The order of belief: agency, kind, state of the household registration, then the newest business date, then the lowest id.
type Rank = (usize, u8, u8, Reverse<Option<Day>>, RecordId);

impl<'a> Survivors<'a> {
    pub(super) fn new(members: &[&'a SourceRecord], first: &[Agency]) -> Self {
        let activity = last_activity(members);
        let mut ranked: Vec<(Rank, &SourceRecord)> = members
            .iter()
            .map(|record| (rank(record, first, &activity), *record))
            .collect();
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        Self {
            records: ranked.into_iter().map(|(_, record)| record).collect(),
        }
    }

    /// What every row states that states it, the ones to believe first.
    pub(super) fn every<T>(&self, read: impl Fn(&Facts) -> Option<T>) -> impl Iterator<Item = Sourced<T>> {
        self.records.iter().filter_map(move |record| {
            read(&record.facts).map(|value| Sourced {
                value,
                record: record.id,
            })
        })
    }

    /// What the row to believe first states.
    pub(super) fn pick<T>(&self, read: impl Fn(&Facts) -> Option<T>) -> Option<Sourced<T>> {
        self.every(read).next()
    }

    /// From the resident register.
    pub(super) fn of_register<T>(&self, read: impl Fn(&Resident) -> Option<T>) -> Option<Sourced<T>> {
        self.pick(|facts| match facts {
            Facts::Resident(row) => read(row),
            _ => None,
        })
    }

    /// From the person rows of human resources.
    pub(super) fn of_person<T>(&self, read: impl Fn(&PersonFacts) -> Option<T>) -> Option<Sourced<T>> {
        self.pick(|facts| match facts {
            Facts::Person(row) => read(row),
            _ => None,
        })
    }

    /// What the rows state of their person's identity, whatever they are about.
    pub(super) fn identity<T>(&self, read: impl Fn(&Identity) -> Option<T>) -> Option<Sourced<T>> {
        identity_of(self.records.iter(), read)
    }

    /// Sex and birth date: those of the agency that decides of them, else the number's own, else what others state. The number wins over
    /// rows that were typed, since it was checked.
    pub(super) fn vital<T>(
        &self,
        field: Authority,
        number: Option<CitizenId>,
        of_number: impl Fn(CitizenId) -> T,
        read: impl Fn(&Identity) -> Option<T>,
    ) -> Option<Sourced<T>> {
        let own = self.records.iter().filter(|record| record.source.agency.decides(field));
        let of_number = || {
            let value = of_number(number?);
            let carrier = |record: &&&SourceRecord| record.identity.number() == number;
            let record = self.records.iter().find(carrier).or(self.records.first())?;
            Some(Sourced {
                value,
                record: record.id,
            })
        };
        identity_of(own, &read).or_else(of_number).or_else(|| self.identity(read))
    }
}

fn identity_of<'a, T>(
    records: impl Iterator<Item = &'a &'a SourceRecord>,
    read: impl Fn(&Identity) -> Option<T>,
) -> Option<Sourced<T>> {
    // Who gave a number up, or a name, says how their person was known before.
    let speaks = |record: &&&SourceRecord| record.given_up().is_none() && record.renamed().is_none();
    records.filter(speaks).find_map(|record| {
        read(&record.identity).map(|value| Sourced {
            value,
            record: record.id,
        })
    })
}

fn rank(record: &SourceRecord, first: &[Agency], activity: &BTreeMap<Source, Day>) -> Rank {
    let (kind, state) = match &record.facts {
        Facts::Resident(row) => (0, registration(row.status)),
        Facts::TemporaryResident(_) => (1, 0),
        Facts::Person(_) => (2, 0),
        Facts::Unreadable(_) => (4, 0),
        _ => (3, 0),
    };
    let agency = record.source.agency;
    let named = first.iter().position(|named| *named == agency);
    let agency = named.unwrap_or(first.len() + usize::from(agency.code()));
    // A person row states no date of its own: the system that last had to do with the person knows them best.
    let dated = match record.facts {
        Facts::Person(_) => activity.get(&record.source).copied(),
        _ => business_date(&record.facts),
    };
    (agency, kind, state, Reverse(dated), record.id)
}

/// Of two household registrations the one that lasts is believed; after a move within the province the old one is struck off.
/// What exempts comes before what does not, so that nothing is claimed by mistake.
fn registration(status: HukouStatus) -> u8 {
    match status {
        HukouStatus::Army | HukouStatus::Abroad | HukouStatus::Sentenced => 0,
        HukouStatus::Registered => 1,
        HukouStatus::Dead => 2,
        HukouStatus::MovedOut => 3,
    }
}

/// When each system last had to do with the person.
fn last_activity(members: &[&SourceRecord]) -> BTreeMap<Source, Day> {
    let mut last: BTreeMap<Source, Day> = BTreeMap::new();
    for record in members {
        if let Some(date) = business_date(&record.facts) {
            let known = last.entry(record.source).or_insert(date);
            *known = (*known).max(date);
        }
    }
    last
}

/// The business date (业务日期) a row states: since when what it says is so.
pub(crate) fn business_date(facts: &Facts) -> Option<Day> {
    match facts {
        Facts::TemporaryResident(row) => row.from,
        Facts::Funeral(row) => row.death.or(row.cremation),
        Facts::Marriage(row) => row.registered,
        Facts::Hardship(row) => row.from,
        Facts::Employment(row) => Some(row.from),
        Facts::Enrolment(row) => row.from.or(row.first_month.map(crate::date::Month::first_day)),
        Facts::Benefit(row) => row.from,
        Facts::Circumstance(row) => row.from,
        Facts::Card(row) => row.issued,
        Facts::Resident(row) => row.death,
        Facts::Correction(_) | Facts::Person(_) | Facts::Unreadable(_) => None,
    }
}
