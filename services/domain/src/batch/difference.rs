//! What a touched neighbourhood changes in the store: the rows it was, the persons it is, and what follows for the narrow tables.

use super::crowd::{MemberRows, are_apart};
use super::stored::{AWAY, StoredPerson, published};
use crate::base::{Described, Person};
use crate::date::{Day, Timestamp};
use crate::facts::{Enrolment, Facts};
use crate::finding::About;
use crate::ids::{AnchorId, IdKey, PersonId, RecordId};
use crate::measure;
use crate::neighbourhood::Member;
use crate::shard::Shard;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A person of a touched neighbourhood, with what to write of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The person as they now are; shared with what is published of them.
    pub person: Arc<Person>,
    /// Whether a row of that key exists.
    pub exists: bool,
    /// Whether their row differs: what did not change is not written.
    pub changed: bool,
    /// The digest of their state in `person.registry`, see [`published`].
    pub published: i64,
    /// Whether that state differs from the published one.
    pub publish: bool,
}

/// The members of a neighbourhood whose person lives elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutAway {
    /// The members.
    pub members: Vec<Member>,
    /// Whether their row exists.
    pub exists: bool,
    /// Whether it differs.
    pub changed: bool,
}

/// An enrolment of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutEnrolment {
    /// Whose it is.
    pub person: PersonId,
    /// The record that states it.
    pub record: RecordId,
    /// What it says.
    pub enrolment: Enrolment,
    /// Whether its row exists.
    pub exists: bool,
}

/// What changes for one neighbourhood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its shard.
    pub shard: Shard,
    /// The neighbourhood.
    pub anchor: AnchorId,
    /// Append time of the newest cause.
    pub touched: Timestamp,
    /// Everybody who is there now, by id.
    pub put: Vec<Put>,
    /// Members whose person lives elsewhere.
    pub away: Option<PutAway>,
    /// Members of crowds, which are rows of their own.
    pub members: MemberRows,
    /// Rows to remove.
    pub remove: Vec<PersonId>,
    /// Persons that are gone and had a published state.
    pub gone: Vec<PersonId>,
    /// Enrolments to write.
    pub enrolments: Vec<PutEnrolment>,
    /// Enrolments to remove.
    pub ended: Vec<RecordId>,
    /// Due dates to remove.
    pub no_longer_due: Vec<(Day, PersonId)>,
    /// Due dates to add.
    pub due: Vec<(Day, PersonId)>,
    /// Changes of counters by county and measure.
    pub counters: BTreeMap<(i32, i16), i64>,
    /// Findings that opened, closed or read differently, or are of a person whose region changed.
    pub reopened: Vec<(PersonId, About)>,
}

/// Compares the rows of a neighbourhood with the persons it now has.
pub(super) fn differences(
    (shard, anchor): (Shard, AnchorId),
    before: &[StoredPerson],
    described: Described,
    touched: Timestamp,
    today: Day,
    key: &IdKey,
) -> Difference {
    let mut difference = Difference {
        shard,
        anchor,
        touched,
        put: Vec::with_capacity(described.persons.len()),
        away: None,
        members: MemberRows::default(),
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
                let cleared = row.findings.iter().map(|finding| (row.person, finding.about()));
                difference.reopened.extend(cleared);
            }
        }
    }
    for person in described.persons {
        let row = rows.get(&person.id).copied();
        difference.count(&person);
        difference.reopen(row, &person);
        let digest = published(&person, key);
        difference.put.push(Put {
            exists: row.is_some(),
            changed: row.is_none_or(|row| !row.is_of(&person, digest, today)),
            person: Arc::new(person),
            published: digest,
            publish: row.is_none_or(|row| row.published != digest),
        });
    }
    if !described.away.is_empty() {
        let row = rows.get(&AWAY);
        difference.away = Some(PutAway {
            exists: row.is_some(),
            changed: row.is_none_or(|row| row.members != described.away || row.apart != are_apart(&described.away)),
            members: described.away,
        });
    }
    difference.members(before);
    // A date that stays needs no write.
    let was: BTreeSet<(Day, PersonId)> = difference.no_longer_due.iter().copied().collect();
    let is: BTreeSet<(Day, PersonId)> = difference.due.iter().copied().collect();
    difference.no_longer_due.retain(|due| !is.contains(due));
    difference.due.retain(|due| !was.contains(due));
    difference.counters.retain(|_, change| *change != 0);
    difference
}

impl Difference {
    /// Its place.
    pub fn place(&self) -> (Shard, AnchorId) {
        (self.shard, self.anchor)
    }

    /// A person who is there now.
    pub fn person(&self, id: PersonId) -> Option<&Person> {
        let at = self.put.binary_search_by_key(&id, |put| put.person.id).ok()?;
        Some(&self.put[at].person)
    }

    fn reopen(&mut self, row: Option<&StoredPerson>, person: &Person) {
        let before = row.map_or(&[][..], |row| row.findings.as_slice());
        let moved = row.is_some_and(|row| row.region != person.region);
        if !moved && before == person.findings.as_slice() {
            return;
        }
        // Both are sorted by what they are about, but a few findings need no merge.
        let changed = |finding: &&crate::finding::Finding, others: &[crate::finding::Finding]| moved || !others.contains(finding);
        let closed = before.iter().filter(|finding| changed(finding, &person.findings));
        let opened = person.findings.iter().filter(|finding| changed(finding, before));
        let about: BTreeSet<About> = closed.chain(opened).map(crate::finding::Finding::about).collect();
        self.reopened.extend(about.into_iter().map(|about| (person.id, about)));
    }

    /// Compares the members that are, or are to be, rows of their own.
    fn members(&mut self, before: &[StoredPerson]) {
        let away = self.away.as_ref().map(|away| (AWAY, away.members.as_slice()));
        let put = self.put.iter().map(|put| (put.person.id, put.person.members.as_slice()));
        let mut now: BTreeMap<PersonId, &[Member]> = put.chain(away).filter(|(_, members)| are_apart(members)).collect();
        for row in before.iter().filter(|row| row.apart) {
            let stays = now.remove(&row.person).unwrap_or_default();
            self.members.compare(row.person, &row.members, stays);
        }
        for (person, members) in now {
            self.members.compare(person, &[], members);
        }
    }

    fn uncount(&mut self, row: &StoredPerson) {
        if let Some(day) = row.due {
            self.no_longer_due.push((day, row.person));
        }
        for measure in measure::measures(row.flags, &row.findings) {
            *self.counters.entry((row.county, measure)).or_default() -= 1;
        }
    }

    fn count(&mut self, person: &Person) {
        if let Some(day) = person.next_due {
            self.due.push((day, person.id));
        }
        for measure in measure::measures(measure::flags(person), &person.findings) {
            *self.counters.entry((measure::county(person), measure)).or_default() += 1;
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
                    self.enrolments.push(PutEnrolment {
                        person: person.id,
                        record: *record,
                        enrolment: enrolment.clone(),
                        exists: known.is_some(),
                    });
                }
            }
        }
        self.ended.extend(old.into_keys());
    }
}
