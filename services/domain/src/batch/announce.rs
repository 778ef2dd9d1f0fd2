//! Release: differences between what is open and what was told become events (ARCHITECTURE.md, Findings and release).
//!
//! What carries over when a person's id or shard changes is in `carry`.

use super::ask::{Pending, PendingKey, PersonKey};
use super::effects::{Effects, Publication, Telling};
use super::stored::{AWAY, StoredPerson};
use super::{Batch, Known, Need, Phase, Place, Step, rule_code};
use crate::base::Person;
use crate::citizen_id::CitizenId;
use crate::date::Timestamp;
use crate::division::{City, Division};
use crate::facts::Facts;
use crate::finding::{About, Finding};
use crate::ids::{IdKey, PersonId, RecordId};
use crate::measure;
use crate::neighbourhood::Member;
use crate::policy::ReleaseRules;
use crate::release::{Cause, Event, OpenSide, Told, Waiting, baseline, release};
use crate::shard::Shard;
use crate::shard_state::ShardState;
use crate::source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where events are collected before they are written.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Findings that changed in this batch, with the append time of the newest cause.
    noted: BTreeMap<PendingKey, Timestamp>,
    /// Differences not yet told.
    pub(super) pending: BTreeMap<PendingKey, Pending>,
    /// Those that may be told now.
    wanted: BTreeMap<PersonKey, BTreeMap<About, Timestamp>>,
    /// What subscribers know, this batch's events included.
    pub(super) told: BTreeMap<PersonKey, Known>,
    /// What arrived with persons who were told of elsewhere.
    pub(super) arrived: BTreeSet<(Place, About)>,
    pub(super) effects: Effects,
}

/// A person to tell about, as they now are; nobody when they are gone.
#[derive(Clone, Copy, Default)]
struct Subject<'a> {
    number: Option<CitizenId>,
    region: Option<City>,
    county: Option<Division>,
    findings: &'a [Finding],
    members: &'a [Member],
}

impl Desk {
    pub(super) fn know(&mut self, told: Vec<(PersonKey, Told)>) {
        for (key, told) in told {
            self.told.entry(key).or_default().push(told);
        }
    }

    pub(super) fn effects(self) -> Effects {
        self.effects
    }

    fn known(&self, key: &PersonKey) -> &[Told] {
        self.told.get(key).map_or(&[][..], Vec::as_slice)
    }
}

impl Batch {
    /// Notes what changed where somebody listens, and asks for what may be told now.
    pub(super) fn seek_pending(&mut self) -> Step {
        for difference in &self.differences {
            if self.workspace.shards[&difference.shard].state.live.is_empty() {
                continue;
            }
            for (person, about) in &difference.reopened {
                let key = ((difference.shard, difference.anchor, *person), *about);
                let noted = self.desk.noted.entry(key).or_insert(difference.touched);
                *noted = (*noted).max(difference.touched);
            }
        }
        let vectors = self.complete.iter();
        let vectors = vectors.map(|shard| (*shard, self.workspace.shards[shard].state.complete.clone()));
        Step::Ask(
            Need::Pending(vectors.collect(), self.desk.noted.keys().copied().collect()),
            Phase::Told,
        )
    }

    /// Finds what may be told, and asks what was told of those whom it concerns.
    pub(super) fn seek_told(&mut self) -> Step {
        for (key, at) in &self.desk.noted {
            let known = self.desk.pending.get(key).map_or(*at, |known| known.facts_at.max(*at));
            let pending = Pending {
                facts_at: known,
                waits_for: None,
            };
            self.desk.pending.insert(*key, pending);
            self.desk.effects.pending.insert(*key, Some(pending));
        }
        for (key, pending) in &self.desk.pending {
            let ((shard, ..), about) = key;
            let complete = &self.workspace.shards[shard].state.complete;
            let is_past = |source| complete.get(&source).is_none_or(|until| *until >= pending.facts_at);
            let heard = self.complete.contains(shard) && pending.waits_for.is_none_or(is_past);
            let at_once = |rules: &ReleaseRules| rules.at_once.iter().any(|rule| rule.code() == rule_code(*about));
            let news = self.workspace.shards[shard].release_rules().is_some_and(at_once) && self.desk.noted.contains_key(key);
            if heard || (news && self.shards[shard].is_caught_up()) {
                self.desk.wanted.entry(key.0).or_default().insert(*about, pending.facts_at);
            }
        }
        let mut places: BTreeSet<Place> = self.wanted_places();
        places.extend(
            self.baseline_persons(&self.rows, &self.differences)
                .into_iter()
                .map(|(place, ..)| place),
        );
        places.extend(self.lost().map(super::Difference::place));
        Step::Ask(Need::Told(places), Phase::Carried)
    }

    pub(super) fn seek_carried(&self) -> Step {
        Step::Ask(Need::Carried(self.wanted_places()), Phase::Rows)
    }

    pub(super) fn seek_rows(&self) -> Step {
        self.ask_rows(self.wanted_places(), Phase::Tell)
    }

    /// Makes everything that leaves: states of persons, what carries over, the baseline, and what is released.
    pub(super) fn tell_all(&mut self) -> Step {
        self.publish_persons();
        self.carry_over();
        self.tell_baseline();
        self.release();
        for shard in &self.complete {
            if let Some(complete) = self.workspace.shards[shard].state.complete.values().min() {
                self.desk.effects.forgotten.insert(*shard, *complete);
            }
        }
        Step::Go(Phase::Finish)
    }

    fn publish_persons(&mut self) {
        let at = self.now();
        let differences = std::mem::take(&mut self.differences);
        for difference in &differences {
            let (shard, anchor) = difference.place();
            for person in &difference.gone {
                let person = *person;
                self.publish(shard, Publication::Gone { anchor, person });
            }
            let again = self.behind.republished.contains(&difference.place());
            for put in difference.put.iter().filter(|put| put.publish || again) {
                let person = Arc::clone(&put.person);
                self.publish(shard, Publication::Person { anchor, person, at });
            }
        }
        self.differences = differences;
    }

    fn tell_baseline(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let differences = std::mem::take(&mut self.differences);
        let none = BTreeSet::new();
        for ((shard, anchor), person, region) in self.baseline_persons(&rows, &differences) {
            let key = (shard, anchor, person);
            let subject = subject(&rows, &differences, &self.touched, key).unwrap_or_default();
            let sources = sources(subject.members);
            let open = subject.open_side(key, (&sources, &none, &none), &[], false);
            for event in baseline(&open, self.desk.known(&key), region, &self.key) {
                self.tell(key, subject, event);
            }
        }
        (self.rows, self.differences) = (rows, differences);
    }

    fn release(&mut self) {
        let wanted = std::mem::take(&mut self.desk.wanted);
        let rows = std::mem::take(&mut self.rows);
        let differences = std::mem::take(&mut self.differences);
        let mut stand: BTreeMap<Place, BTreeSet<About>> = BTreeMap::new();
        for (key, pending) in wanted {
            let (shard, anchor, _) = key;
            let place = (shard, anchor);
            let arrived: Vec<About> = self
                .desk
                .arrived
                .range((place, [0; 2])..=(place, [u8::MAX; 2]))
                .map(|(_, about)| *about)
                .collect();
            let found = subject(&rows, &differences, &self.touched, key);
            let left = found.is_none() && {
                let stand = stand.entry(place).or_insert_with(|| self.stand(place, &rows, &differences));
                self.has_left(place, stand, self.desk.known(&key))
            };
            let subject = found.unwrap_or_default();
            let state = &self.workspace.shards[&shard].state;
            let sources = sources(subject.members);
            let unsure = unsure(subject.members, state, &self.key);
            let released = release(
                &subject.open_side(key, (&sources, &unreadable(subject.members), &unsure), &arrived, left),
                self.desk.known(&key),
                state,
                &pending,
                self.workspace.shards[&shard].release_rules(),
                &self.key,
            );
            for event in released.events {
                self.tell(key, subject, event);
            }
            for (about, facts_at) in pending {
                let waits = match released.waiting.get(&about) {
                    None => None,
                    Some(Waiting::ForCompleteness | Waiting::ForRow(_)) => continue,
                    Some(Waiting::ForSource(source)) => Some(Pending {
                        facts_at,
                        waits_for: Some(*source),
                    }),
                };
                self.desk.effects.pending.insert((key, about), waits);
            }
        }
        (self.rows, self.differences) = (rows, differences);
    }

    /// What the open findings of a neighbourhood are about.
    fn stand(&self, place: Place, rows: &Rows, differences: &[super::Difference]) -> BTreeSet<About> {
        let (stored, put) = self.persons(place, rows, differences);
        let stored = stored.iter().flat_map(|row| &row.findings);
        let put = put.iter().flat_map(|put| &put.person.findings);
        stored.chain(put).map(Finding::about).collect()
    }

    /// The persons of a neighbourhood as this batch leaves them: as stored, or as described when it was touched.
    fn persons<'a>(
        &self,
        place: Place,
        rows: &'a Rows,
        differences: &'a [super::Difference],
    ) -> (&'a [StoredPerson], &'a [super::Put]) {
        match self.touched.get(&place) {
            Some(at) => (&[], &differences[*at].put),
            None => (rows.get(&place).map_or(&[], Vec::as_slice), &[]),
        }
    }

    /// Whether what was told about somebody who is gone stands of another person now, here or where their records went.
    fn has_left(&self, place: Place, stand: &BTreeSet<About>, told: &[Told]) -> bool {
        told.iter().any(|told| stand.contains(&told.finding.about())) || self.heir(place).is_some()
    }

    fn wanted_places(&self) -> BTreeSet<Place> {
        self.desk.wanted.keys().map(|(shard, anchor, _)| (*shard, *anchor)).collect()
    }

    /// Persons of a go-live's slice who have open findings and count in one of its regions.
    fn baseline_persons(&self, rows: &Rows, differences: &[super::Difference]) -> Vec<(Place, PersonId, City)> {
        let (regions, places) = &self.behind.baseline;
        let mut persons = Vec::new();
        for place in places {
            let (stored, put) = self.persons(*place, rows, differences);
            let stored = stored.iter().map(|row| (row.person, row.region, row.findings.is_empty()));
            let put = put.iter().map(|put| &put.person);
            let put = put.map(|person| (person.id, person.region, person.findings.is_empty()));
            let open = stored.chain(put).filter(|(.., none)| !none);
            let here = open.filter_map(|(person, region, _)| Some((person, region.filter(|region| regions.contains(region))?)));
            persons.extend(here.map(|(person, region)| (*place, person, region)));
        }
        persons
    }

    fn publish(&mut self, shard: Shard, publication: Publication) {
        let row = self.shards.get_mut(&shard).expect("a shard of the batch was given");
        self.desk.effects.outbox.push((shard, row.outbox_next, publication));
        row.outbox_next += 1;
    }

    fn tell(&mut self, key: PersonKey, subject: Subject<'_>, event: Event) {
        let telling = Telling {
            anchor: key.1,
            number: subject.number,
            county: subject.county,
            business_date: self.workspace.shards[&key.0].state.business_date(),
            evidence: evidence(&event.told.finding, subject.members),
            at: self.now(),
            event: event.clone(),
        };
        if event.cause != Cause::Baseline {
            self.publish(key.0, Publication::Alert(Box::new(telling.clone())));
        }
        self.publish(key.0, Publication::Finding(Box::new(telling)));
        let about = event.told.finding.about();
        let known = self.desk.told.entry(key).or_default();
        known.retain(|told| told.finding.about() != about);
        known.push(event.told.clone());
        self.desk.effects.told.insert((key, about), event);
    }
}

type Rows = BTreeMap<Place, Vec<StoredPerson>>;

/// A person as this batch leaves them: `None` when they are gone.
fn subject<'a>(
    rows: &'a Rows,
    differences: &'a [super::Difference],
    touched: &BTreeMap<Place, usize>,
    (shard, anchor, person): PersonKey,
) -> Option<Subject<'a>> {
    let place = (shard, anchor);
    if let Some(at) = touched.get(&place) {
        return differences[*at].person(person).map(Subject::of);
    }
    let rows = rows.get(&place)?;
    let row = &rows[rows.binary_search_by_key(&person, |row| row.person).ok()?];
    (row.person != AWAY).then(|| Subject {
        number: row.number,
        region: row.region,
        county: measure::place(row.county),
        findings: &row.findings,
        members: &row.members,
    })
}

impl<'a> Subject<'a> {
    fn of(person: &'a Person) -> Self {
        Self {
            number: person.number,
            region: person.region,
            county: measure::place(measure::county(person)),
            findings: &person.findings,
            members: &person.members,
        }
    }

    fn open_side(
        self,
        (_, anchor, person): PersonKey,
        (sources, unreadable, unsure): (&'a [Source], &'a BTreeSet<RecordId>, &'a BTreeSet<RecordId>),
        arrived: &'a [About],
        left: bool,
    ) -> OpenSide<'a> {
        OpenSide {
            person,
            anchor,
            region: self.region,
            findings: self.findings,
            sources,
            unreadable,
            unsure,
            arrived,
            left,
        }
    }
}

fn evidence(finding: &Finding, members: &[Member]) -> Vec<(crate::finding::Evidence, Source, crate::source::TableName)> {
    let facts = finding.evidence.iter();
    facts
        .filter_map(|fact| {
            let record = &members.iter().find(|member| member.record.id == fact.record)?.record;
            Some((*fact, record.source, record.table.clone()))
        })
        .collect()
}

/// The records of a person that cannot be read.
fn unreadable(members: &[Member]) -> BTreeSet<RecordId> {
    let rows = members
        .iter()
        .filter(|member| matches!(member.record.facts, Facts::Unreadable(_)));
    rows.map(|member| member.record.id).collect()
}

/// The records of a person, copies too, that may be gone since their table was truncated.
fn unsure(members: &[Member], state: &ShardState, key: &IdKey) -> BTreeSet<RecordId> {
    let rows = members.iter().filter(|member| state.is_unsure(&member.record, key));
    rows.map(|member| member.record.id).collect()
}

/// The sources of a person's records.
fn sources(members: &[Member]) -> Vec<Source> {
    let sources: BTreeSet<Source> = members.iter().map(|member| member.record.source).collect();
    sources.into_iter().collect()
}
