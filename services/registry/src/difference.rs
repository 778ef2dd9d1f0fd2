//! What a touched neighbourhood changes in the store: the rows it was, the persons it is, and what follows for the narrow tables.

use crate::batch::Rules;
use domain::base::{Described, Person};
use domain::date::{Day, Timestamp};
use domain::facts::{Enrolment, Facts};
use domain::ids::{AnchorId, PersonId, RecordId};
use domain::neighbourhood::Member;
use domain::shard::Shard;
use domain::source::Source;
use runtime::store::counters;
use runtime::store::person::{AWAY, county, state};
use runtime::store::read::StoredPerson;
use schemas::event::PersonState;
use std::collections::{BTreeMap, BTreeSet};

/// A person to write.
#[derive(Debug)]
pub(crate) struct Put {
    pub person: Person,
    /// Whether a row of that key exists.
    pub exists: bool,
    /// The state for `person.registry`, and its digest.
    pub state: PersonState,
    pub published: i64,
    /// Whether the published state differs from the row's.
    pub publish: bool,
}

/// What changes for one neighbourhood.
#[derive(Debug)]
pub(crate) struct Difference {
    pub shard: Shard,
    pub anchor: AnchorId,
    /// Append time of the newest cause.
    pub touched: Timestamp,
    pub put: Vec<Put>,
    /// Members whose person lives elsewhere, with whether their row exists.
    pub away: Option<(Vec<Member>, bool)>,
    /// Rows to remove.
    pub remove: Vec<PersonId>,
    /// Persons that are gone and had a published state.
    pub gone: Vec<PersonId>,
    /// Enrolments to write, with whether a row exists.
    pub enrolments: Vec<(PersonId, RecordId, Enrolment, bool)>,
    /// Enrolments to remove.
    pub ended: Vec<RecordId>,
    /// Due dates to remove.
    pub no_longer_due: Vec<(Day, PersonId)>,
    /// Due dates to add.
    pub due: Vec<(Day, PersonId)>,
    /// Changes of counters by county and measure.
    pub counters: BTreeMap<(i32, i16), i64>,
    /// Persons whose open findings or region changed.
    pub reopened: Vec<PersonId>,
}

/// Compares the rows of a neighbourhood with the persons it now has.
pub(crate) fn differences(
    shard: Shard,
    anchor: AnchorId,
    before: &[StoredPerson],
    described: Described,
    touched: Timestamp,
    rules: &Rules,
) -> Difference {
    let mut difference = Difference {
        shard,
        anchor,
        touched,
        put: Vec::new(),
        away: None,
        remove: Vec::new(),
        gone: Vec::new(),
        enrolments: Vec::new(),
        ended: Vec::new(),
        no_longer_due: Vec::new(),
        due: Vec::new(),
        counters: BTreeMap::new(),
        reopened: Vec::new(),
    };
    difference.enrolments(before, &described.persons);
    // By id, not by search: a number that everybody uses has thousands of persons.
    let rows: BTreeMap<PersonId, &StoredPerson> = before.iter().map(|row| (row.person, row)).collect();
    let persons: BTreeSet<PersonId> = described.persons.iter().map(|person| person.id).collect();
    for row in before {
        difference.uncount(row);
        let stays = persons.contains(&row.person) || (row.person == AWAY && !described.away.is_empty());
        if !stays {
            difference.remove.push(row.person);
            if row.person != AWAY {
                difference.gone.push(row.person);
                if !row.findings.is_empty() {
                    difference.reopened.push(row.person);
                }
            }
        }
    }
    for person in described.persons {
        let row = rows.get(&person.id).copied();
        difference.count(&person);
        let unchanged = row.map_or(person.findings.is_empty(), |row| {
            row.findings == person.findings && row.region == person.region
        });
        if !unchanged {
            difference.reopened.push(person.id);
        }
        let (state, published) = state(&person, &rules.key);
        let publish = row.is_none_or(|row| row.published != published);
        difference.put.push(Put {
            exists: row.is_some(),
            person,
            state,
            published,
            publish,
        });
    }
    if !described.away.is_empty() {
        difference.away = Some((described.away, rows.contains_key(&AWAY)));
    }
    // A date that stays needs no write.
    let was: BTreeSet<(Day, PersonId)> = difference.no_longer_due.iter().copied().collect();
    let is: BTreeSet<(Day, PersonId)> = difference.due.iter().copied().collect();
    difference.no_longer_due.retain(|due| !is.contains(due));
    difference.due.retain(|due| !was.contains(due));
    difference.counters.retain(|_, change| *change != 0);
    difference
}

impl Difference {
    fn uncount(&mut self, row: &StoredPerson) {
        if let Some(day) = row.due {
            self.no_longer_due.push((day, row.person));
        }
        for measure in counters::measures(row.flags, &row.findings) {
            *self.counters.entry((row.county, measure)).or_default() -= 1;
        }
    }

    fn count(&mut self, person: &Person) {
        if let Some(day) = person.next_due {
            self.due.push((day, person.id));
        }
        for measure in counters::measures(counters::flags(person), &person.findings) {
            *self.counters.entry((county(person), measure)).or_default() += 1;
        }
    }

    fn enrolments(&mut self, before: &[StoredPerson], persons: &[Person]) {
        let mut old: BTreeMap<RecordId, (PersonId, &Enrolment)> = BTreeMap::new();
        for row in before.iter().filter(|row| row.person != AWAY) {
            for member in &row.members {
                if let Facts::Enrolment(enrolment) = &member.record.facts {
                    old.insert(member.record.id, (row.person, enrolment));
                }
            }
        }
        for person in persons {
            for (record, enrolment) in &person.enrolments {
                let known = old.remove(record);
                if known != Some((person.id, enrolment)) {
                    self.enrolments.push((person.id, *record, enrolment.clone(), known.is_some()));
                }
            }
        }
        self.ended.extend(old.into_keys());
    }
}

/// The sources of a person's records.
pub(crate) fn sources(members: &[Member]) -> Vec<Source> {
    let mut sources: Vec<Source> = members.iter().map(|member| member.record.source).collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}
