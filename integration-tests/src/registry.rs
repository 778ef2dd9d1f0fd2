//! The registry in memory: the base of [`crate::world`], its persons and open findings, and what subscribers were told.
//!
//! It follows the steps of `services/registry` one by one (describe what was touched, note what is pending, baseline at go-live,
//! release at completeness); the rules themselves are [`domain::base`] and [`domain::release`], which both call.

use crate::traffic::Base;
use crate::world::{Entry, World};
use anyhow::ensure;
use domain::base::{Base as Persons, Described, Person, describe};
use domain::date::{Day, Timestamp};
use domain::division::City;
use domain::finding::Finding;
use domain::ids::{AnchorId, FindingId, IdKey, PersonId};
use domain::input::{Control, Input, MessageBody};
use domain::policy::Policy;
use domain::release::{Event, EventKind, OpenSide, Told, baseline, heir, release};
use domain::shard::Shard;
use domain::source::Source;
use std::collections::{BTreeMap, BTreeSet};

type Place = (Shard, AnchorId);
type PersonKey = (Shard, AnchorId, PersonId);

/// A registry in memory.
#[derive(Debug)]
pub struct Registry {
    world: World,
    key: IdKey,
    policy: Policy,
    /// Persons by neighbourhood, as last described.
    persons: Persons,
    due: BTreeMap<Place, Day>,
    told: BTreeMap<PersonKey, Vec<Told>>,
    pending: BTreeMap<PersonKey, Timestamp>,
    /// Events in the order in which they were told.
    pub events: Vec<Event>,
}

impl Base for Registry {
    fn world(&self) -> &World {
        &self.world
    }

    fn apply(&mut self, entries: &[Entry]) {
        let due = self.due.clone();
        let due_of = |shard: Shard, day: Day| {
            let of_shard = due.iter().filter(|((of, _), due)| *of == shard && **due <= day);
            of_shard.map(|((_, anchor), _)| *anchor).collect()
        };
        let touched = self.world.apply(entries, &due_of);
        for touched in touched {
            self.describe((touched.shard, touched.anchor), touched.at);
            self.carry((touched.shard, touched.anchor));
        }
        let controls = || {
            entries.iter().filter_map(|entry| {
                if let Input::Control(control) = &entry.input {
                    Some((entry.shard, control))
                } else {
                    None
                }
            })
        };
        for (shard, control) in controls() {
            if let Control::GoLive(region) = control {
                self.go_live(shard, *region);
            }
        }
        let complete = controls().filter(|(_, control)| matches!(control, Control::Completeness(_)));
        let complete: BTreeSet<Shard> = complete.map(|(shard, _)| shard).collect();
        for shard in complete {
            self.release(shard);
        }
    }
}

impl Registry {
    /// An empty one.
    pub fn new(key: IdKey, policy: Policy) -> Self {
        Self {
            world: World::new(key.clone()),
            key,
            policy,
            persons: Persons::new(),
            due: BTreeMap::new(),
            told: BTreeMap::new(),
            pending: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// The base as it is.
    pub fn persons(&self) -> &Persons {
        &self.persons
    }

    fn describe(&mut self, place: Place, at: Timestamp) {
        let store = self.world.shard(place.0);
        let members = store.neighbourhoods.get(&place.1).map_or(&[][..], Vec::as_slice);
        let today = store.state.business_date();
        let described = describe(place.1, members, &store.rulings, &self.policy, today, &self.key);
        let before = self.persons.remove(&place).unwrap_or_default();
        if !store.state.live.is_empty() {
            for person in reopened(&before, &described) {
                let pending = self.pending.entry((place.0, place.1, person)).or_insert(at);
                *pending = (*pending).max(at);
            }
        }
        match described.persons.iter().filter_map(|person| person.next_due).min() {
            Some(day) => self.due.insert(place, day),
            None => self.due.remove(&place),
        };
        if described != Described::default() {
            self.persons.insert(place, described);
        }
    }

    /// Sends on what was told about persons who are gone from a neighbourhood.
    fn carry(&mut self, place: Place) {
        let persons = self.persons.get(&place).map_or(&[][..], |described| &described.persons);
        let mut here = Vec::new();
        let mut sent = Vec::new();
        for ((shard, anchor, person), told) in &self.told {
            if (*shard, *anchor) != place || persons.iter().any(|known| known.id == *person) {
                continue;
            }
            for told in told.iter().filter(|told| told.open) {
                let about = told.finding.about();
                let stands = persons
                    .iter()
                    .any(|known| known.findings.iter().any(|finding| finding.about() == about));
                if stands { &mut here } else { &mut sent }.push(about);
            }
        }
        self.world.carried.extend(here.into_iter().map(|about| (place, about)));
        let members = self
            .world
            .shard(place.0)
            .neighbourhoods
            .get(&place.1)
            .map_or(&[][..], Vec::as_slice);
        if let Some((shard, to)) = heir(members).filter(|_| !sent.is_empty()) {
            self.world.send(place.0, shard, MessageBody::Carry { to, about: sent });
        }
    }

    /// Whether what was told about somebody who is gone stands of another person now, here or where their records went.
    fn has_left(&self, (shard, anchor, _): &PersonKey, told: &[Told]) -> bool {
        let persons = self
            .persons
            .get(&(*shard, *anchor))
            .map_or(&[][..], |described| &described.persons);
        let members = self
            .world
            .shard(*shard)
            .neighbourhoods
            .get(anchor)
            .map_or(&[][..], Vec::as_slice);
        let stands = |told: &Told| {
            persons
                .iter()
                .any(|known| known.findings.iter().any(|finding| finding.about() == told.finding.about()))
        };
        told.iter().any(stands) || heir(members).is_some()
    }

    fn person(&self, key: &PersonKey) -> Option<&Person> {
        self.persons
            .get(&(key.0, key.1))?
            .persons
            .iter()
            .find(|person| person.id == key.2)
    }

    fn go_live(&mut self, shard: Shard, region: City) {
        let of_shard = self.persons.iter().filter(|((of, _), _)| *of == shard);
        let persons = of_shard.flat_map(|((shard, anchor), described)| {
            described
                .persons
                .iter()
                .map(move |person| ((*shard, *anchor, person.id), person))
        });
        let mut events = Vec::new();
        for (key, person) in persons.filter(|(_, person)| person.region == Some(region)) {
            let sources = sources(person);
            let known = self.told.get(&key).map_or(&[][..], Vec::as_slice);
            events.extend(
                baseline(&open_side(person, &sources), known, region, &self.key)
                    .into_iter()
                    .map(|event| (key, event)),
            );
        }
        for (key, event) in events {
            self.tell(key, event);
        }
    }

    fn release(&mut self, shard: Shard) {
        let pending: Vec<(PersonKey, Timestamp)> = self
            .pending
            .iter()
            .filter(|((of, ..), _)| *of == shard)
            .map(|(key, at)| (*key, *at))
            .collect();
        for (key, at) in pending {
            let state = &self.world.shard(shard).state;
            let person = self.person(&key);
            let sources = person.map(sources).unwrap_or_default();
            let nobody = OpenSide {
                person: key.2,
                anchor: key.1,
                region: None,
                findings: &[],
                sources: &[],
                arrived: &[],
                left: false,
            };
            let known = self.told.get(&key).map_or(&[][..], Vec::as_slice);
            let arrived: Vec<[u8; 2]> = self
                .world
                .carried
                .iter()
                .filter(|(place, _)| *place == (key.0, key.1))
                .map(|(_, about)| *about)
                .collect();
            let nobody = OpenSide {
                left: self.has_left(&key, known),
                ..nobody
            };
            let open = OpenSide {
                arrived: &arrived,
                ..person.map_or(nobody, |person| open_side(person, &sources))
            };
            let released = release(&open, known, state, at, &self.policy.release.at_once, &self.key);
            if released.waiting.is_none() {
                self.pending.remove(&key);
            }
            released.events.into_iter().for_each(|event| self.tell(key, event));
        }
    }

    fn tell(&mut self, key: PersonKey, event: Event) {
        let told = self.told.entry(key).or_default();
        told.retain(|told| told.finding.about() != event.told.finding.about());
        told.push(event.told.clone());
        self.events.push(event);
    }

    /// Checks what is promised of events (ARCHITECTURE.md, Findings and release) once everything is complete and nothing is in
    /// flight: per finding, dense revisions that alternate open, amend*, clear; what they fold to is what is open in live
    /// regions.
    ///
    /// # Errors
    /// Says what does not hold.
    pub fn check_promises(&self) -> anyhow::Result<()> {
        ensure!(
            self.pending.is_empty(),
            "everything is complete, and {} persons wait",
            self.pending.len()
        );
        let mut last: BTreeMap<FindingId, &Event> = BTreeMap::new();
        for event in &self.events {
            let before = last.insert(event.finding_id, event);
            let name = (event.told.finding.rule, event.told.person);
            let revision = before.map_or(1, |before| before.told.revision + 1);
            ensure!(
                event.told.revision == revision,
                "{name:?}: revision {} comes where {revision} is due",
                event.told.revision
            );
            let was_open = before.is_some_and(|before| before.told.open);
            ensure!(
                was_open != (event.kind == EventKind::Open),
                "{name:?}: events do not alternate at revision {revision}"
            );
            ensure!(
                event.told.open == (event.kind != EventKind::Clear),
                "{name:?}: a cleared finding is told as open"
            );
        }
        let told = last.into_values().filter(|event| event.told.open);
        let told: BTreeMap<FindingId, (City, &Finding)> = told
            .map(|event| (event.finding_id, (event.told.region, &event.told.finding)))
            .collect();
        let mut open: BTreeMap<FindingId, (City, &Finding)> = BTreeMap::new();
        for ((shard, _), described) in &self.persons {
            for person in &described.persons {
                let Some(region) = person
                    .region
                    .filter(|region| self.world.shard(*shard).state.live.contains(region))
                else {
                    continue;
                };
                for finding in &person.findings {
                    let other = open.insert(finding.id(person.id, person.anchor, &self.key), (region, finding));
                    ensure!(other.is_none(), "{:?} of {} is open twice", finding.rule, person.id);
                }
            }
        }
        ensure!(
            told == open,
            "what was told is not what is open: {} against {} findings",
            told.len(),
            open.len()
        );
        Ok(())
    }
}

/// Persons whose open findings or region changed, as the registry compares its rows.
fn reopened(before: &Described, after: &Described) -> Vec<PersonId> {
    let find = |described: &Described, id: PersonId| described.persons.iter().position(|person| person.id == id);
    let gone = before
        .persons
        .iter()
        .filter(|person| find(after, person.id).is_none() && !person.findings.is_empty());
    let changed = after.persons.iter().filter(|person| match find(before, person.id) {
        Some(at) => (&before.persons[at].findings, before.persons[at].region) != (&person.findings, person.region),
        None => !person.findings.is_empty(),
    });
    gone.chain(changed).map(|person| person.id).collect()
}

fn open_side<'a>(person: &'a Person, sources: &'a [Source]) -> OpenSide<'a> {
    OpenSide {
        person: person.id,
        anchor: person.anchor,
        region: person.region,
        findings: &person.findings,
        sources,
        arrived: &[],
        left: false,
    }
}

fn sources(person: &Person) -> Vec<Source> {
    let sources: BTreeSet<Source> = person.members.iter().map(|member| member.record.source).collect();
    sources.into_iter().collect()
}
