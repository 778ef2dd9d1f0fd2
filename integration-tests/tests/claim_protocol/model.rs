//! The model: what may happen next to a few records on three shards, with the engine itself deciding what comes of it.
//!
//! A state names records, versions, shards and neighbourhoods by small numbers, so that millions fit; each step gives the real
//! members, entries and states to the engine (`step.rs`) and takes the result back.

use crate::histories::{Ground, History};
use crate::state::{Body, Entry, Place, Seat, State, Store};
use domain::record::Change;
use stateright::{Model, Property};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What may happen next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The record's next version reaches the log of its shard.
    Deliver(u8),
    /// An older version reaches it again.
    Redeliver(u8, u8),
    /// The snapshot's statement reaches a shard's log.
    Tell(u8),
    /// A shard applies this many entries in one batch.
    Apply(u8, usize),
    /// One batch takes the logs of all shards.
    ApplyAll,
    /// A shard's next message reaches its receiver's log.
    Relay(u8),
    /// The relay of a shard begins again, having sent this many.
    Restart(u8, usize),
}

/// The model.
pub struct Claims {
    /// Shards and numbers.
    pub ground: Ground,
    /// The histories, each explored by itself.
    pub histories: Vec<History>,
    /// Versions delivered again in one run, at most.
    pub redeliveries: u8,
    /// Restarts of a relay in one run, at most.
    pub repeats: u8,
    /// What the histories are about.
    pub about: About,
    /// How often what was to be seen was seen.
    pub hits: Hits,
}

/// What histories are about: what must be among the states that were explored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Versions of one record, and where it lives.
    Claims,
    /// Corrections, which copies follow as guests.
    Guests,
    /// Versions of which only the key could be read.
    Unread,
    /// The same of a record that has a guest copy.
    UnreadGuests,
}

/// What a step does and no state shows. Counted once for each time that the step is computed.
#[derive(Debug, Default)]
pub struct Hits {
    late: AtomicUsize,
    back: AtomicUsize,
    deleted: AtomicUsize,
}

impl Hits {
    /// Looks at what became of a directory entry; `claims_back` says that the shard had only heard of a claim.
    pub fn claim(&self, before: Option<Seat>, seat: Seat, claims_back: bool) {
        let is_new = before.map(|before| (before.version, before.place)) != Some((seat.version, seat.place));
        let known = before.and_then(|before| before.unread);
        let late = is_new && !seat.deleted && known > seat.version;
        let unread_again = before.is_some_and(|before| before.deleted && before.version.is_some() && before.unread.is_some());
        for (hit, count) in [
            (late && !claims_back, &self.late),
            (late && claims_back, &self.back),
            (unread_again && known < seat.unread, &self.deleted),
        ] {
            count.fetch_add(usize::from(hit), Ordering::Relaxed);
        }
    }

    /// By what it is, how often it was seen: a claim with a version older than an unread one that was known before, the same of one that
    /// claims back, and an unread version of what was deleted that is not the first.
    pub fn seen(&self) -> [(&'static str, usize); 3] {
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        [
            ("older versions placed marked", count(&self.late)),
            ("claimed back with a mark", count(&self.back)),
            ("unread, deleted and unread again", count(&self.deleted)),
        ]
    }
}

impl Claims {
    /// The history that a state is of.
    pub fn history(&self, state: &State) -> &History {
        &self.histories[state.history]
    }

    /// Whether nothing is in flight: every version delivered, every entry applied, every message relayed.
    fn rests(&self, state: &State) -> bool {
        let history = self.history(state);
        let delivered = history
            .versions
            .iter()
            .zip(&state.delivered)
            .all(|(versions, delivered)| versions.len() == usize::from(*delivered));
        let told = history.floor.is_none() || state.told == [true; 3];
        let quiet = |store: &Store| store.log.is_empty() && store.relayed == store.outbox.len();
        delivered && told && state.stores.iter().all(quiet)
    }

    fn deliver(&self, state: &mut State, record: u8, version: u8) {
        let shard = self.history(state).versions[usize::from(record)][usize::from(version)].shard();
        let shard = usize::from(self.ground.shard(shard));
        state.stores[shard].log.push(Entry::Version { record, version });
    }
    /// "It appears before it disappears", as far as a whole base can say it: from the moment in which a shard has applied the newest
    /// version so far of a record, and that is no delete, a home copy of that very version stands where it belongs, in every state,
    /// until a newer one is applied or a complete snapshot retires it. So an older copy goes only when a newer version stands.
    fn newest_stands(&self, state: &State) -> bool {
        let history = self.history(state);
        (0u8..).zip(&state.applied).all(|(record, applied)| {
            let Some(newest) = *applied else { return true };
            let Change::Upsert(of) = &history.versions[usize::from(record)][usize::from(newest)] else {
                return true;
            };
            let place = Place {
                shard: self.ground.shard(of.home()),
                anchor: self.ground.anchor(of.anchor(&self.ground.key)),
            };
            let retired = history
                .floor
                .as_ref()
                .is_some_and(|floor| floor.retires_record(of, &self.ground.key));
            retired || state.homes(record).any(|home| home == (place, newest))
        })
    }
}

impl Model for Claims {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let start = |(history, of): (usize, &History)| State {
            history,
            delivered: vec![0; of.versions.len()],
            redeliveries: self.redeliveries,
            repeats: self.repeats,
            told: [false; 3],
            stores: std::array::from_fn(|_| Store::default()),
            directory: vec![None; of.versions.len()],
            applied: vec![None; of.versions.len()],
            fell: false,
        };
        self.histories.iter().enumerate().map(start).collect()
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let history = self.history(state);
        for (record, delivered) in (0u8..).zip(&state.delivered) {
            if usize::from(*delivered) < history.versions[usize::from(record)].len() {
                steps.push(Step::Deliver(record));
            }
            if state.redeliveries > 0 {
                steps.extend((0..*delivered).map(|version| Step::Redeliver(record, version)));
            }
        }
        for (shard, store) in (0u8..).zip(&state.stores) {
            if history.floor.is_some() && !state.told[usize::from(shard)] {
                steps.push(Step::Tell(shard));
            }
            if !store.log.is_empty() {
                steps.push(Step::Apply(shard, 1));
            }
            if store.log.len() > 1 {
                steps.push(Step::Apply(shard, store.log.len()));
            }
            if store.relayed < store.outbox.len() {
                steps.push(Step::Relay(shard));
            }
            if state.repeats > 0 {
                steps.extend((0..store.relayed).map(|sent| Step::Restart(shard, sent)));
            }
        }
        if state.stores.iter().filter(|store| !store.log.is_empty()).count() > 1 {
            steps.push(Step::ApplyAll);
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Deliver(record) => {
                let version = state.delivered[usize::from(record)];
                state.delivered[usize::from(record)] += 1;
                self.deliver(&mut state, record, version);
            }
            Step::Redeliver(record, version) => {
                state.redeliveries -= 1;
                self.deliver(&mut state, record, version);
            }
            Step::Tell(shard) => {
                state.told[usize::from(shard)] = true;
                state.stores[usize::from(shard)].log.push(Entry::Floor);
            }
            Step::Apply(shard, count) => {
                let mut counts = [0; 3];
                counts[usize::from(shard)] = count;
                self.apply(&mut state, counts);
            }
            Step::ApplyAll => {
                let counts = std::array::from_fn(|shard| state.stores[shard].log.len());
                self.apply(&mut state, counts);
            }
            Step::Relay(shard) => {
                let store = &mut state.stores[usize::from(shard)];
                let (to, note) = store.outbox[store.relayed].clone();
                store.relayed += 1;
                state.stores[usize::from(to)].log.push(Entry::Note(note));
            }
            Step::Restart(shard, sent) => {
                state.repeats -= 1;
                state.stores[usize::from(shard)].relayed = sent;
            }
        }
        if state.repeats == 0 {
            // What cannot be relayed again is forgotten, as the registry deletes it: fewer states that differ in nothing.
            for store in &mut state.stores {
                store.outbox.drain(..std::mem::take(&mut store.relayed));
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("at rest the base is what the function says", |model: &Self, state: &State| {
                !model.rests(state) || state.copies() == model.history(state).expected
            }),
            Property::always("at rest the directory says where", |model: &Self, state: &State| {
                !model.rests(state) || state.directory_agrees()
            }),
            Property::always(
                "at rest whoever holds an older version knows of the unread one",
                |model: &Self, state: &State| !model.rests(state) || state.marks_agree(),
            ),
            Property::always("a directory entry only rises", |_, state: &State| !state.fell),
            Property::always("a seat is never empty", |_, state: &State| state.seats_are_taken()),
            Property::always("the newest version applied stands", |model: &Self, state: &State| {
                model.newest_stands(state)
            }),
        ];
        properties.extend(self.seen());
        properties
    }
}

impl Claims {
    /// What makes the protocol necessary must be among what was explored.
    fn seen(&self) -> Vec<Property<Self>> {
        match self.about {
            About::Guests => vec![
                Property::sometimes("a guest copy has come over two corrections", |_, state: &State| {
                    state.guests(0).any(|copy| copy.path.len() == 2)
                }),
                Property::sometimes("a guest copy is older than its record", |_, state: &State| {
                    let newest = state.homes(0).map(|(_, version)| version).max();
                    state.guests(0).any(|copy| Some(copy.version) < newest)
                }),
                Property::sometimes("a guest copy stands and its record is gone", |_, state: &State| {
                    state.guests(0).next().is_some() && state.homes(0).next().is_none()
                }),
            ],
            About::Claims => vec![
                Property::sometimes("a record is in two places at once", |_, state: &State| {
                    state.homes(0).count() > 1
                }),
                Property::sometimes(
                    "a seat is claimed with an older version than another shard holds",
                    |_, state: &State| state.overtaken(false) && state.homes(0).count() > 1,
                ),
                Property::sometimes("a delete has unseated a copy that is newer", |_, state: &State| {
                    state.overtaken(true)
                }),
            ],
            About::Unread => vec![
                Property::sometimes("nothing was read yet, and something was not", |_, state: &State| {
                    state.directory[0].is_some_and(|seat| seat.version.is_none())
                }),
                Property::sometimes("who holds the record was not told yet", |_, state: &State| {
                    !state.marks_agree()
                }),
                Property::sometimes("a copy is newer than the version that it is told of", |_, state: &State| {
                    let told = |entry: &Entry| matches!(entry, Entry::Note(note) if matches!(note.body, Body::Unread { version, .. } if state.homes(0).any(|(_, held)| held > version)));
                    state.stores.iter().any(|store| store.log.iter().any(told))
                }),
                Property::sometimes("a record moves within its shard, marked", |_, state: &State| {
                    state.directory[0].is_some_and(|seat| seat.place.anchor == 1 && !seat.deleted && seat.unread > seat.version)
                }),
            ],
            About::UnreadGuests => vec![Property::sometimes("a guest copy is unreadable", |_, state: &State| {
                state.guests(0).any(|copy| copy.is_unreadable)
            })],
        }
    }
}
