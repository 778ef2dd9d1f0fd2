//! The stream of changes: which event happens to whom, one after the other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use domain::date::Day;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::dossier::{Change, Dossier, Pen};
use crate::history;
use crate::life::{self, Event, Kind, Outcome};
use crate::random::{Purpose, chance, stream, weighted};
use crate::view::Rates;
use crate::world::{BLOCK, Fate, World};

/// How often a child is born, on the scale of [`Kind::weight`].
const BIRTHS: u32 = 35;
/// Persons tried for one event: few are old enough to die or to retire.
const TRIES: usize = 400;
/// Rows after which what follows an event happens: minutes at the default rate, long enough for an alert to be told first.
const DELAY: std::ops::Range<u64> = 1_000..6_000;
/// Events of one person that have random streams of their own.
const EVENTS_PER_PERSON: u64 = 1 << 20;

/// A child born after the snapshot.
#[derive(Clone, Copy)]
struct Baby {
    mother: u64,
    born: Day,
    sequence: u16,
}

/// An event that follows from another: due when so many rows have been written.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Pending {
    due: u64,
    order: u64,
    person: u64,
    kind: Kind,
}

/// One step of the stream.
pub(crate) struct Step {
    /// Row changes of one event, each agency's in the order it wrote them.
    pub(crate) changes: Vec<Change>,
    /// Whether the connectors crash after it and send it again.
    pub(crate) repeated: bool,
}

/// The changes of a province. Remembers only what happened to whom.
pub(crate) struct Live<'a> {
    world: &'a World,
    rates: &'a Rates,
    touched: HashMap<u64, Vec<Event>>,
    babies: Vec<Baby>,
    sequences: HashMap<u32, u16>,
    pending: BinaryHeap<Reverse<Pending>>,
    chosen: u64,
    rows: u64,
}

impl<'a> Live<'a> {
    /// A province that nothing has happened to.
    pub(crate) fn new(world: &'a World, rates: &'a Rates) -> Self {
        Self {
            world,
            rates,
            touched: HashMap::new(),
            babies: Vec::new(),
            sequences: HashMap::new(),
            pending: BinaryHeap::new(),
            chosen: 0,
            rows: 0,
        }
    }

    /// Row changes so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Everybody something has happened to, the newborn too, by index.
    pub(crate) fn touched(&self) -> Vec<u64> {
        let newborn = (0..self.babies.len() as u64).map(|at| self.world.residents + at);
        let mut touched: Vec<u64> = self.touched.keys().copied().chain(newborn).collect();
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// The next event that fits somebody; `None` when the province is so small that nothing fits anybody.
    pub(crate) fn next(&mut self, day: Day) -> Option<Step> {
        for _ in 0..64 {
            let changes = match self.pending.pop_if_due(self.rows) {
                Some(pending) => self.happen(pending.person, pending.kind, day),
                None => self.choose(day),
            };
            if let Some(changes) = changes {
                self.rows += changes.len() as u64;
                let mut rng = stream(self.world.seed, Purpose::Choice, u64::MAX - self.rows);
                return Some(Step {
                    changes,
                    repeated: chance(&mut rng, self.rates.repeated),
                });
            }
        }
        None
    }

    /// The state of a person now.
    pub(crate) fn dossier(&self, index: u64) -> Option<Dossier> {
        let mut dossier = self.untouched(index)?;
        for (nth, event) in self.touched.get(&index).into_iter().flatten().enumerate() {
            let mut pen = self.pen(dossier, nth, event.day, false);
            life::apply(&mut pen, event.kind);
            dossier = pen.dossier;
        }
        Some(dossier)
    }

    fn untouched(&self, index: u64) -> Option<Dossier> {
        let Some(nth) = index.checked_sub(self.world.residents) else {
            return history::of(self.world, self.rates, index);
        };
        let baby = self.babies.get(nth as usize)?;
        let mother = self
            .world
            .block(baby.mother / BLOCK)
            .swap_remove((baby.mother % BLOCK) as usize);
        let child = self.world.newborn(&mother, index, baby.born, baby.sequence);
        let mut pen = self.pen(Dossier::new(child), 0, baby.born, false);
        pen.register();
        Some(pen.dossier)
    }

    fn pen(&self, dossier: Dossier, nth: usize, day: Day, noting: bool) -> Pen<'a> {
        let at = dossier.person.index * EVENTS_PER_PERSON + nth as u64;
        let rng = stream(self.world.seed, Purpose::Event, at);
        Pen {
            world: self.world,
            rates: self.rates,
            day,
            rng,
            dossier,
            changes: Vec::new(),
            noting,
        }
    }

    /// Lets an event happen to a person, if it fits.
    fn happen(&mut self, index: u64, kind: Kind, day: Day) -> Option<Vec<Change>> {
        let dossier = self.dossier(index)?;
        let nth = self.touched.get(&index).map_or(0, Vec::len);
        let mut pen = self.pen(dossier, nth, day, true);
        let outcome = life::apply(&mut pen, kind);
        if matches!(outcome, Outcome::Impossible) || pen.changes.is_empty() {
            return None;
        }
        let Pen { changes, mut rng, .. } = pen;
        self.touched.entry(index).or_default().push(Event { kind, day });
        if let Outcome::Followed(kinds) = outcome {
            for kind in kinds {
                self.follow(&mut rng, index, *kind);
            }
        }
        Some(changes)
    }

    fn follow(&mut self, rng: &mut SmallRng, person: u64, kind: Kind) {
        let due = self.rows + rng.random_range(DELAY);
        let order = self.pending.len() as u64;
        self.pending.push(Reverse(Pending {
            due,
            order,
            person,
            kind,
        }));
    }

    fn choose(&mut self, day: Day) -> Option<Vec<Change>> {
        let mut rng = stream(self.world.seed, Purpose::Choice, self.chosen);
        self.chosen += 1;
        let weights = Kind::ALL.iter().map(|kind| kind.weight()).chain([BIRTHS]);
        let kind = Kind::ALL.get(weighted(&mut rng, weights));
        let people = self.world.residents + self.babies.len() as u64;
        (0..TRIES).find_map(|_| {
            let index = rng.random_range(0..people);
            match kind {
                Some(kind) => self.happen(index, *kind, day),
                None => self.birth(&mut rng, index, day),
            }
        })
    }

    /// A child of this woman, registered on the day it is told; it is insured some time later.
    fn birth(&mut self, rng: &mut SmallRng, mother: u64, day: Day) -> Option<Vec<Change>> {
        let person = self.dossier(mother)?.person;
        let fits = !person.male && person.fate == Fate::Here && (21..40).contains(&person.birth.age_at(day));
        if !fits || mother >= self.world.residents {
            return None;
        }
        let county = self.world.county_code(person.hukou);
        let next = self.sequences.entry(county).or_insert(0);
        let sequence = *next;
        *next = next.wrapping_add(1);
        let index = self.world.residents + self.babies.len() as u64;
        self.babies.push(Baby {
            mother,
            born: day,
            sequence,
        });
        let registered = self.untouched(index)?;
        self.follow(rng, index, Kind::EnrolResident);
        let rows = registered.records.into_iter();
        Some(
            rows.map(|record| Change {
                city: record.city,
                before: None,
                after: Some(record.row),
            })
            .collect(),
        )
    }
}

/// Taking what is due.
trait Due {
    /// The earliest follower, if so many rows have been written.
    fn pop_if_due(&mut self, rows: u64) -> Option<Pending>;
}

impl Due for BinaryHeap<Reverse<Pending>> {
    fn pop_if_due(&mut self, rows: u64) -> Option<Pending> {
        let due = self.peek().is_some_and(|Reverse(pending)| pending.due <= rows);
        if due {
            self.pop().map(|Reverse(pending)| pending)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn bytes(changes: &[Change]) -> Vec<u8> {
        let mut out = Vec::new();
        for change in changes {
            for row in [&change.before, &change.after].into_iter().flatten() {
                row.write(&mut out);
            }
        }
        out
    }

    #[test]
    fn the_stream_follows_from_the_seed() {
        let day = Day(20_781);
        let (world, rates) = (World::new(5, 4_000, day), Rates::default());
        let (mut one, mut two) = (Live::new(&world, &rates), Live::new(&world, &rates));
        for _ in 0..500 {
            let (one, two) = (one.next(day).expect("a step"), two.next(day).expect("a step"));
            assert!(bytes(&one.changes) == bytes(&two.changes));
        }
        assert!(one.touched() == two.touched());
    }

    #[test]
    fn changes_continue_what_stands() {
        let day = Day(20_781);
        let (world, rates) = (World::new(6, 4_000, day), Rates::default());
        let mut live = Live::new(&world, &rates);
        let mut table = BTreeMap::new();
        let key = |city: u16, row: &crate::tables::Row| (city, row.table(), row.key());
        for dossier in (0..world.blocks()).flat_map(|block| history::block(&world, &rates, block)) {
            for record in dossier.records {
                assert!(
                    table.insert(key(record.city, &record.row), record.row).is_none(),
                    "a key twice"
                );
            }
        }
        while live.rows() < 20_000 {
            for change in live.next(day).expect("a step").changes {
                if let Some(before) = change.before {
                    assert!(table.remove(&key(change.city, &before)) == Some(before));
                }
                if let Some(after) = change.after {
                    assert!(table.insert(key(change.city, &after), after).is_none(), "a key twice");
                }
            }
        }
        for index in live.touched() {
            for record in live.dossier(index).expect("known").records {
                assert!(table.get(&key(record.city, &record.row)) == Some(&record.row));
            }
        }
    }

    #[test]
    fn every_kind_happens_and_troubles_come_and_go() {
        let day = Day(20_781);
        let (world, rates) = (World::new(7, 20_000, day), Rates::default());
        let mut live = Live::new(&world, &rates);
        while live.rows() < 60_000 {
            live.next(day).expect("a step");
        }
        let happened: std::collections::BTreeSet<Kind> = live.touched.values().flatten().map(|event| event.kind).collect();
        let missing: Vec<&Kind> = Kind::ALL.iter().filter(|kind| !happened.contains(kind)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(!live.babies.is_empty());
        // At 50 rows a second: an alert opens every one to six seconds.
        let opens = [
            Kind::HireUnenrolled,
            Kind::SecondCity,
            Kind::ResidentOverlap,
            Kind::MedicalTwice,
            Kind::Suspend,
            Kind::Death,
        ];
        let events = live.touched.values().flatten();
        let openings = events.filter(|event| opens.contains(&event.kind)).count() as u64;
        assert!((live.rows() / 300..live.rows() / 50).contains(&openings), "{openings}");
    }
}
