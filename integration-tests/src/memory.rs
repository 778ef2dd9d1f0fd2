//! The store in memory: a map for every table. It gives a batch what it needs and writes its effects, nothing else; what it is told exists
//! must exist, as in a database.

mod rest;
mod restore;
mod shown;

use domain::base::Person;
use domain::batch::{
    AWAY, Difference, Effects, Given, MemberRows, Need, Pending, PendingKey, PersonKey, Place, Publication, ShardRow,
    StoredPerson,
};
use domain::date::{Day, Timestamp};
use domain::decision::{Decision, Rulings};
use domain::engine::DirectoryEntry;
use domain::facts::Enrolment;
use domain::finding::About;
use domain::ids::{AnchorId, PersonId, RecordId};
use domain::input::Message;
use domain::neighbourhood::{Member, Slot};
use domain::policy::{Edition, PolicyId};
use domain::release::{Event, Told};
use domain::shard::Shard;
use domain::shard_state::ShardState;
use domain::source::Version;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

/// A row of a person, with all of what it was written from. Members that are rows of their own are not in it.
#[derive(Debug, Clone)]
struct Row {
    stored: StoredPerson,
    person: Option<Arc<Person>>,
}

impl Row {
    fn new(mut stored: StoredPerson, person: Option<Arc<Person>>) -> Self {
        if stored.apart {
            stored.members = Vec::new();
        }
        Self { stored, person }
    }
}

/// What left for subscribers, in order per shard.
#[derive(Debug, Clone)]
pub enum Left {
    /// To `findings`.
    Event(PersonKey, Event),
    /// To `person.registry`: the digest of the state, or that the person is gone.
    State(PersonKey, Option<i64>),
}

/// The tables.
#[derive(Debug, Clone)]
pub struct Memory {
    shards: BTreeMap<Shard, ShardRow>,
    persons: BTreeMap<Place, BTreeMap<PersonId, Row>>,
    members: BTreeMap<(Place, PersonId), BTreeMap<Slot, Member>>,
    enrolments: BTreeMap<(Shard, AnchorId, RecordId), (PersonId, Enrolment)>,
    due: BTreeSet<(Shard, Day, AnchorId, PersonId)>,
    counters: BTreeMap<(Shard, i32, i16), i64>,
    directory: HashMap<RecordId, DirectoryEntry>,
    guests: BTreeSet<(Shard, RecordId, AnchorId)>,
    employers: BTreeMap<(Shard, RecordId), Version>,
    decisions: BTreeMap<Shard, BTreeMap<u64, Option<Decision>>>,
    policies: BTreeMap<PolicyId, Arc<Edition>>,
    told: BTreeMap<(PersonKey, About), Told>,
    pending: BTreeMap<PendingKey, Pending>,
    carried: BTreeMap<(Place, About), Timestamp>,
    /// Messages between shards by sender and receiver, in order, since the beginning.
    pub messages: BTreeMap<(Shard, Shard), Vec<Message>>,
    /// What left for subscribers, since the beginning.
    pub left: Vec<Left>,
    /// Tables in which a key appeared in a second partition.
    pub strays: usize,
    /// Entries that an operator had stepped over.
    pub skipped: BTreeSet<(Shard, i64)>,
}

impl Default for Memory {
    fn default() -> Self {
        let row = || ShardRow {
            position: 0,
            outbox_next: 0,
            state: ShardState::default(),
        };
        Self {
            shards: Shard::all().map(|shard| (shard, row())).collect(),
            persons: BTreeMap::new(),
            members: BTreeMap::new(),
            enrolments: BTreeMap::new(),
            due: BTreeSet::new(),
            counters: BTreeMap::new(),
            directory: HashMap::new(),
            guests: BTreeSet::new(),
            employers: BTreeMap::new(),
            decisions: BTreeMap::new(),
            policies: BTreeMap::new(),
            told: BTreeMap::new(),
            pending: BTreeMap::new(),
            carried: BTreeMap::new(),
            messages: BTreeMap::new(),
            left: Vec::new(),
            strays: 0,
            skipped: BTreeSet::new(),
        }
    }
}

impl Memory {
    /// A shard's state.
    ///
    /// # Panics
    /// Never: every shard has a row.
    pub fn state(&self, shard: Shard) -> &ShardState {
        &self.row(shard).state
    }

    /// A shard's row.
    ///
    /// # Panics
    /// Never: every shard has one.
    pub fn row(&self, shard: Shard) -> &ShardRow {
        self.shards.get(&shard).expect("every shard has a row")
    }

    /// What subscribers were told, in order per shard.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.left.iter().filter_map(|left| match left {
            Left::Event(_, event) => Some(event),
            Left::State(..) => None,
        })
    }

    /// Answers a batch.
    pub fn give(&self, need: Need) -> Given {
        match need {
            Need::Shards(shards) => Given::Shards(shards.into_iter().map(|shard| (shard, self.shards[&shard].clone())).collect()),
            Need::Rulings(digests) => Given::Rulings(
                digests
                    .into_iter()
                    .map(|(shard, digest)| {
                        let rulings = Rulings::new(self.decisions.get(&shard).cloned().unwrap_or_default());
                        assert_eq!(rulings.digest(), digest, "the state names its rulings");
                        (shard, Arc::new(rulings))
                    })
                    .collect(),
            ),
            Need::Policies(wanted) => {
                Given::Policies(wanted.into_iter().map(|id| (id, Arc::clone(&self.policies[&id]))).collect())
            }
            Need::Sent(shards) => {
                let sent = |shard: Shard| (shard, self.state(shard).messages_sent());
                Given::Sent(shards.into_iter().map(sent).collect())
            }
            Need::Neighbourhoods(places) => Given::Neighbourhoods(places.iter().flat_map(|place| self.rows(place)).collect()),
            Need::Directory(records) => {
                let entries = records
                    .iter()
                    .filter_map(|record| Some((*record, *self.directory.get(record)?)));
                Given::Directory(entries.collect())
            }
            Need::Employers(keys) => {
                let versions = keys.iter().filter_map(|key| Some((key.1, *self.employers.get(key)?)));
                Given::Employers(versions.collect())
            }
            Need::Holding(shard, records) => {
                let seats = records.iter().filter_map(|record| self.directory.get(record));
                let seats = seats
                    .filter(|entry| entry.shard == shard && !entry.deleted)
                    .map(|entry| entry.anchor);
                let guests = self
                    .guests
                    .iter()
                    .filter(|(of, record, _)| *of == shard && records.contains(record));
                Given::Holding(seats.chain(guests.map(|(.., anchor)| *anchor)).collect())
            }
            Need::Due(shard, day, limit) => {
                let due = self.due.iter().filter(|(of, on, ..)| *of == shard && *on <= day);
                let due: Vec<AnchorId> = due.map(|(.., anchor, _)| *anchor).take(limit).collect();
                let more = due.len() == limit;
                Given::Due(due.into_iter().collect(), more)
            }
            Need::Slice(shard, after, limit) => {
                let from = after.map_or(Bound::Included((shard, AnchorId([0; 16]))), |after| {
                    Bound::Excluded((shard, after))
                });
                let here = self.persons.range((from, Bound::Included((shard, AnchorId([u8::MAX; 16])))));
                let places: Vec<Place> = here.map(|(place, _)| *place).take(limit).collect();
                let last = places.last().filter(|_| places.len() == limit).map(|(_, anchor)| *anchor);
                Given::Slice(places.iter().flat_map(|place| self.rows(place)).collect(), last)
            }
            // More than was asked for is allowed: the batch itself looks at what waits.
            Need::Pending(shards, keys) => {
                let pending = self
                    .pending
                    .iter()
                    .filter(|(key, _)| shards.contains_key(&key.0.0) || keys.contains(key));
                Given::Pending(pending.map(|(key, pending)| (*key, *pending)).collect())
            }
            Need::Told(places) => {
                let told = self
                    .told
                    .iter()
                    .filter(|(((shard, anchor, _), _), _)| places.contains(&(*shard, *anchor)));
                Given::Told(told.map(|((key, _), told)| (*key, told.clone())).collect())
            }
            Need::Carried(places) => {
                let carried = self.carried.keys().filter(|(place, _)| places.contains(place));
                Given::Carried(carried.copied().collect())
            }
        }
    }

    /// The persons of a place, with their members.
    fn rows(&self, place: &Place) -> impl Iterator<Item = StoredPerson> {
        let rows = self.persons.get(place).into_iter().flat_map(BTreeMap::values);
        rows.map(|row| {
            let mut stored = row.stored.clone();
            if stored.apart {
                let of_person = self.members.get(&(*place, stored.person));
                stored
                    .members
                    .extend(of_person.into_iter().flat_map(BTreeMap::values).cloned());
            }
            stored
        })
    }

    /// Writes what a batch came to.
    ///
    /// # Panics
    /// When a database would refuse it, or an invariant does not hold.
    pub fn write(&mut self, effects: Effects) {
        for difference in effects.differences {
            self.write_neighbourhood(difference);
        }
        for (record, (entry, is_new)) in effects.directory {
            let before = self.directory.insert(record, entry);
            assert_eq!(before.is_none(), is_new, "a directory entry is new or known");
            assert!(
                before.is_none_or(|before| before.version <= entry.version && before.unread <= entry.unread),
                "a directory entry only rises"
            );
        }
        for ((shard, record, anchor), here) in effects.guests {
            let key = (shard, record, anchor);
            let changed = if here {
                self.guests.insert(key)
            } else {
                self.guests.remove(&key)
            };
            assert!(changed, "a note on guest copies is new or known");
        }
        let employers = effects.employers.into_iter();
        self.employers
            .extend(employers.map(|(shard, entity)| ((shard, entity.id), entity.version)));
        for (shard, id, decision) in effects.decisions {
            let known = self.decisions.entry(shard).or_default();
            match decision {
                None => drop(known.insert(id, None)),
                Some(decision) => drop(known.entry(id).or_insert(Some(decision))),
            }
        }
        self.policies.extend(effects.policies);
        for (shard, _, publication) in effects.outbox {
            self.left.extend(match publication {
                Publication::Finding(telling) => {
                    let key = (shard, telling.anchor, telling.event.told.person);
                    Some(Left::Event(key, telling.event))
                }
                Publication::Person { anchor, person, .. } => {
                    let digest = self.persons[&(shard, anchor)][&person.id].stored.published;
                    Some(Left::State((shard, anchor, person.id), Some(digest)))
                }
                Publication::Gone { anchor, person } => Some(Left::State((shard, anchor, person), None)),
                Publication::Alert(_) => None,
            });
        }
        self.told
            .extend(effects.told.into_iter().map(|(key, event)| (key, event.told)));
        for (key, pending) in effects.pending {
            match pending {
                Some(pending) => drop(self.pending.insert(key, pending)),
                None => drop(self.pending.remove(&key)),
            }
        }
        self.carried.extend(effects.carried);
        for (shard, until) in effects.forgotten {
            self.carried.retain(|((of, _), _), at| *of != shard || *at > until);
        }
        for (to, message) in effects.messages {
            self.messages.entry((message.from, to)).or_default().push(message);
        }
        self.strays += effects.strays.len();
        self.shards.extend(effects.shards);
    }

    fn write_neighbourhood(&mut self, difference: Difference) {
        let (shard, anchor) = difference.place();
        let rows = self.persons.entry((shard, anchor)).or_default();
        for put in difference.put {
            assert_eq!(rows.contains_key(&put.person.id), put.exists, "a row exists or not");
            if put.changed {
                let stored = StoredPerson::of(shard, Person::clone(&put.person), put.published);
                let row = Row::new(stored, Some(put.person));
                rows.insert(row.stored.person, row);
            }
        }
        if let Some(away) = difference.away {
            assert_eq!(rows.contains_key(&AWAY), away.exists, "a row exists or not");
            if away.changed {
                rows.insert(AWAY, Row::new(StoredPerson::away(shard, anchor, away.members), None));
            }
        }
        for person in difference.remove {
            assert!(rows.remove(&person).is_some(), "a row that goes was there");
        }
        if rows.is_empty() {
            self.persons.remove(&(shard, anchor));
        }
        self.write_members((shard, anchor), difference.members);
        for put in difference.enrolments {
            let key = (shard, anchor, put.record);
            let before = self.enrolments.insert(key, (put.person, put.enrolment));
            assert_eq!(before.is_some(), put.exists, "an enrolment's row exists or not");
        }
        for record in difference.ended {
            assert!(
                self.enrolments.remove(&(shard, anchor, record)).is_some(),
                "a row that goes was there"
            );
        }
        for (day, person) in difference.no_longer_due {
            assert!(self.due.remove(&(shard, day, anchor, person)), "a date that goes was there");
        }
        for (day, person) in difference.due {
            assert!(
                self.due.insert((shard, day, anchor, person)),
                "a date that comes was not there"
            );
        }
        for ((county, measure), change) in difference.counters {
            let counter = self.counters.entry((shard, county, measure)).or_default();
            *counter += change;
            assert!(*counter >= 0, "a counter fell below zero");
        }
    }

    fn write_members(&mut self, place: Place, rows: MemberRows) {
        for (person, slot) in rows.gone {
            let of_person = self.members.get_mut(&(place, person)).expect("a member that goes is a row");
            assert!(of_person.remove(&slot).is_some(), "a row that goes was there");
            if of_person.is_empty() {
                self.members.remove(&(place, person));
            }
        }
        for put in rows.put {
            let of_person = self.members.entry((place, put.person)).or_default();
            let before = of_person.insert(put.member.slot(), put.member);
            assert_eq!(before.is_some(), put.exists, "a member's row exists or not");
        }
    }

    /// Whether somebody of a shard is due.
    pub fn is_due(&self, shard: Shard) -> bool {
        let today = self.state(shard).today;
        today.is_some_and(|today| self.due.iter().any(|(of, day, ..)| *of == shard && *day <= today))
    }

    /// What waits to be told.
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }
}
