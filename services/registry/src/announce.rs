//! Release: differences between what is open and what was told become events in the outbox
//! (ARCHITECTURE.md, Findings and release).
//!
//! Runs after the batch's persons are written, in the same transaction.

use crate::batch::{BatchError, Gates, Rules};
use crate::carry;
use crate::difference::{Difference, sources};
use crate::load::Loader;
use crate::pending::{self, PersonKey};
use crate::told;
use domain::citizen_id::CitizenId;
use domain::date::Timestamp;
use domain::division::{City, Division};
use domain::finding::Finding;
use domain::ids::{AnchorId, PersonId};
use domain::neighbourhood::Member;
use domain::release::{Cause, Event, OpenSide, Told, Waiting, baseline, heir, release};
use domain::shard::Shard;
use domain::shard_state::ShardState;
use domain::source::Source;
use runtime::store::copy::CopyRows;
use runtime::store::person::AWAY;
use runtime::store::read::{self, StoredPerson};
use schemas::event::{self, AlertEvent, Context, Evidence, FindingState};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// Notes what changed, releases what may be told, writes outbox and announcements; returns the number of events.
pub(crate) async fn announce(
    connection: &mut PgConnection,
    loader: &Loader,
    rules: &Rules,
    differences: &[Difference],
    gates: &Gates,
    outbox: &mut BTreeMap<Shard, i64>,
    now: Timestamp,
) -> Result<usize, BatchError> {
    let mut desk = Desk {
        rules,
        outbox,
        now,
        rows: CopyRows::new(6),
        told: Vec::new(),
        settled: Vec::new(),
        waiting: Vec::new(),
        events: 0,
    };
    publish_persons(&mut desk, differences);
    pending::note(connection, loader, differences).await?;
    for (shard, region) in &gates.live {
        go_live(connection, &mut desk, &loader.workspace.shards[shard].state, *shard, *region).await?;
    }
    let mut wanted: BTreeMap<PersonKey, Timestamp> = BTreeMap::new();
    for shard in &gates.complete {
        wanted.extend(pending::ready(connection, *shard, &loader.workspace.shards[shard].state).await?);
    }
    if !rules.policy.release.at_once.is_empty() {
        for difference in differences
            .iter()
            .filter(|difference| !loader.workspace.shards[&difference.shard].state.live.is_empty())
        {
            for person in &difference.reopened {
                wanted
                    .entry((difference.shard, difference.anchor, *person))
                    .or_insert(difference.touched);
            }
        }
    }
    // Who was told of in the baseline just now waits for the next vector: what was told is not in the store yet.
    let baseline: BTreeSet<PersonKey> = desk
        .told
        .iter()
        .map(|(shard, anchor, event)| (*shard, *anchor, event.told.person))
        .collect();
    wanted.retain(|key, _| !baseline.contains(key));
    release_pending(connection, &mut desk, loader, &wanted).await?;
    let events = desk.finish(connection).await?;
    for shard in &gates.complete {
        if let Some(complete) = loader.workspace.shards[shard].state.complete.values().min() {
            carry::forget(connection, *shard, *complete).await?;
        }
    }
    Ok(events)
}

/// Where events are collected before they are written.
struct Desk<'a> {
    rules: &'a Rules,
    outbox: &'a mut BTreeMap<Shard, i64>,
    now: Timestamp,
    rows: CopyRows,
    told: Vec<(Shard, AnchorId, Event)>,
    settled: Vec<PersonKey>,
    waiting: Vec<(PersonKey, Source)>,
    events: usize,
}

/// What is read of a person to tell about them.
struct Subject<'a> {
    shard: Shard,
    anchor: AnchorId,
    county: Option<Division>,
    masked_number: Option<String>,
    members: &'a [Member],
}

impl Desk<'_> {
    fn put(&mut self, shard: Shard, topic: &str, key: &[u8], headers: Option<&[u8]>, value: Option<&[u8]>) {
        let sequence = self.outbox.get_mut(&shard).expect("the shard is locked");
        self.rows
            .row()
            .int2(i16::from(shard.number()))
            .int8(*sequence)
            .text(topic)
            .bytes(key)
            .bytes(headers)
            .bytes(value);
        *sequence += 1;
    }

    fn tell(&mut self, subject: &Subject<'_>, state: &ShardState, told: Event) {
        let context = Context {
            masked_number: subject.masked_number.clone(),
            region: subject.county,
            business_date: state.business_date(),
            evidence: evidence(&told.told.finding, subject.members),
            announced_at: self.now,
        };
        let alert = AlertEvent::new(&told, context);
        let key = told.finding_id.to_string().into_bytes();
        if told.cause != Cause::Baseline {
            let topic = schemas::registry::alert_topic(alert.kind, alert.city);
            let headers = runtime::outbox::headers(&alert);
            let value = event::encode(&alert);
            self.put(subject.shard, &topic, &key, Some(&headers), Some(&value));
            self.events += 1;
        }
        let state = event::encode(&FindingState::from(alert));
        self.put(subject.shard, "findings", &key, None, Some(&state));
        self.told.push((subject.shard, subject.anchor, told));
    }

    async fn finish(self, connection: &mut PgConnection) -> Result<usize, BatchError> {
        self.rows
            .send(connection, "copy store.outbox from stdin (format binary)")
            .await?;
        told::keep(connection, &self.told).await?;
        pending::settle(connection, &self.settled).await?;
        pending::wait(connection, &self.waiting).await?;
        Ok(self.events)
    }
}

fn evidence(finding: &Finding, members: &[Member]) -> Vec<Evidence> {
    finding
        .evidence
        .iter()
        .filter_map(|fact| {
            let record = &members.iter().find(|member| member.record.id == fact.record)?.record;
            Some(Evidence::new(fact, record.source, record.table.clone()))
        })
        .collect()
}

/// The key of a person in `person.registry`: while one without a number moves, their id stands in two places for a moment, and leaving
/// one must not delete them from the other.
fn registry_key(difference: &Difference, person: PersonId) -> Vec<u8> {
    format!("{person}.{}.{}", difference.shard, difference.anchor).into_bytes()
}

fn publish_persons(desk: &mut Desk<'_>, differences: &[Difference]) {
    for difference in differences {
        for person in &difference.gone {
            desk.put(
                difference.shard,
                "person.registry",
                &registry_key(difference, *person),
                None,
                None,
            );
        }
        for put in difference.put.iter().filter(|put| put.publish) {
            let mut state = put.state.clone();
            state.recorded_at = desk.now;
            let value = event::encode(&state);
            desk.put(
                difference.shard,
                "person.registry",
                &registry_key(difference, put.person.id),
                None,
                Some(&value),
            );
        }
    }
}

/// At go-live everything open in the region becomes the baseline.
async fn go_live(
    connection: &mut PgConnection,
    desk: &mut Desk<'_>,
    state: &ShardState,
    shard: Shard,
    region: City,
) -> Result<(), BatchError> {
    let rows = read::region_with_findings(connection, shard, region).await?;
    let keys: BTreeSet<PersonKey> = rows.iter().map(|row| (row.shard, row.anchor, row.person)).collect();
    let told = told::read(connection, &keys).await?;
    for row in &rows {
        let known = told.get(&(row.shard, row.anchor, row.person)).map_or(&[][..], Vec::as_slice);
        let sources = sources(&row.members);
        let open = OpenSide {
            person: row.person,
            anchor: row.anchor,
            region: row.region,
            findings: &row.findings,
            sources: &sources,
            arrived: &[],
            left: false,
        };
        for event in baseline(&open, known, region, &desk.rules.key) {
            desk.tell(&subject(row), state, event);
        }
    }
    Ok(())
}

async fn release_pending(
    connection: &mut PgConnection,
    desk: &mut Desk<'_>,
    loader: &Loader,
    wanted: &BTreeMap<PersonKey, Timestamp>,
) -> Result<(), BatchError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let keys: BTreeSet<PersonKey> = wanted.keys().copied().collect();
    let neighbourhoods: BTreeSet<(Shard, AnchorId)> = keys.iter().map(|(shard, anchor, _)| (*shard, *anchor)).collect();
    // Read again, not taken from the loader: this batch may have changed them.
    let arrived = carry::arrived(connection, &neighbourhoods).await?;
    let rows = read::neighbourhoods(connection, &neighbourhoods.into_iter().collect::<Vec<_>>()).await?;
    let rows: BTreeMap<PersonKey, StoredPerson> = rows
        .into_iter()
        .map(|row| ((row.shard, row.anchor, row.person), row))
        .collect();
    let told = told::read(connection, &keys).await?;
    for (key, facts_at) in wanted {
        let (shard, anchor, person) = *key;
        let state = &loader.workspace.shards[&shard].state;
        let row = rows.get(key).filter(|row| row.person != AWAY);
        let known = told.get(key).map_or(&[][..], Vec::as_slice);
        let sources = row.map(|row| sources(&row.members)).unwrap_or_default();
        let findings = row.map_or(&[][..], |row| row.findings.as_slice());
        let arrived = arrived.get(&(shard, anchor)).map_or(&[][..], Vec::as_slice);
        let left = row.is_none() && has_left(&rows, (shard, anchor), known);
        let open = OpenSide {
            person,
            anchor,
            region: row.and_then(|row| row.region),
            findings,
            sources: &sources,
            arrived,
            left,
        };
        let released = release(
            &open,
            known,
            state,
            *facts_at,
            &desk.rules.policy.release.at_once,
            &desk.rules.key,
        );
        let gone = Subject {
            shard,
            anchor,
            county: None,
            masked_number: None,
            members: &[],
        };
        let subject = row.map_or(gone, subject);
        for event in released.events {
            desk.tell(&subject, state, event);
        }
        match released.waiting {
            None => desk.settled.push(*key),
            Some(Waiting::ForSource(source)) => desk.waiting.push((*key, source)),
            Some(Waiting::ForCompleteness) => {}
        }
    }
    Ok(())
}

/// Whether what was told about somebody who is gone stands of another person now, here or where their records went.
fn has_left(rows: &BTreeMap<PersonKey, StoredPerson>, (shard, anchor): (Shard, AnchorId), told: &[Told]) -> bool {
    let here: Vec<&StoredPerson> = rows
        .values()
        .filter(|row| row.shard == shard && row.anchor == anchor)
        .collect();
    let stands = |told: &Told| {
        here.iter()
            .any(|row| row.findings.iter().any(|finding| finding.about() == told.finding.about()))
    };
    told.iter().any(stands) || heir(here.iter().flat_map(|row| &row.members)).is_some()
}

fn subject(row: &StoredPerson) -> Subject<'_> {
    Subject {
        shard: row.shard,
        anchor: row.anchor,
        county: u32::try_from(row.county)
            .ok()
            .and_then(|county| Division::of_county(county).ok()),
        masked_number: row.number.map(CitizenId::masked),
        members: &row.members,
    }
}
