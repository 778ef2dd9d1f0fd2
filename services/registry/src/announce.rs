//! Release: differences between what is open and what was told become events in the outbox (design 4).
//!
//! Runs after the batch's persons are written, in the same transaction.

use crate::batch::{BatchError, Gates, Rules};
use crate::carry;
use crate::difference::{Difference, sources};
use crate::load::Loader;
use domain::citizen_id::CitizenId;
use domain::date::Timestamp;
use domain::division::{City, Division};
use domain::finding::Finding;
use domain::ids::{AnchorId, IdKey, PersonId};
use domain::neighbourhood::Member;
use domain::release::{Cause, Event, OpenSide, Told, baseline, heir, release};
use domain::shard::Shard;
use domain::shard_state::ShardState;
use runtime::store::copy::CopyRows;
use runtime::store::person::AWAY;
use runtime::store::read::{self, StoredPerson};
use runtime::store::{counters, decode, encode};
use schemas::event::{self, AlertEvent, Context, Evidence, FindingState};
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};

type PersonKey = (Shard, AnchorId, PersonId);

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
        events: 0,
    };
    publish_persons(&mut desk, differences);
    note_pending(connection, loader, differences).await?;
    for (shard, region) in &gates.live {
        go_live(connection, &mut desk, &loader.workspace.shards[shard].state, *shard, *region).await?;
    }
    let mut wanted: BTreeMap<PersonKey, Timestamp> = BTreeMap::new();
    for shard in &gates.complete {
        wanted.extend(pending(connection, *shard, &loader.workspace.shards[shard].state).await?);
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
        // Of several events of one finding the last one is what subscribers know.
        let mut last: BTreeMap<(Shard, AnchorId, PersonId, i16), &Event> = BTreeMap::new();
        for (shard, anchor, event) in &self.told {
            last.insert(
                (*shard, *anchor, event.told.person, counters::about(&event.told.finding)),
                event,
            );
        }
        if !last.is_empty() {
            let (mut shards, mut anchors, mut persons, mut about) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            let (mut findings, mut revisions, mut open, mut regions, mut bodies) =
                (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for ((shard, anchor, person, what), event) in last {
                shards.push(i16::from(shard.number()));
                anchors.push(anchor.bytes().to_vec());
                persons.push(person.bytes().to_vec());
                about.push(what);
                findings.push(event.finding_id.bytes().to_vec());
                revisions.push(event.told.revision as i32);
                open.push(event.told.open);
                regions.push(event.told.region.code() as i16);
                bodies.push(encode(&event.told));
            }
            sqlx::query(
                "insert into store.announced (shard, anchor, person, about, finding, revision, open, region, body)
                 select * from unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::smallint[], $5::bytea[], $6::int[], $7::boolean[], $8::smallint[], $9::bytea[])
                 on conflict (shard, anchor, person, about) do update set revision = excluded.revision, open = excluded.open,
                 region = excluded.region, body = excluded.body",
            )
            .bind(shards)
            .bind(anchors)
            .bind(persons)
            .bind(about)
            .bind(findings)
            .bind(revisions)
            .bind(open)
            .bind(regions)
            .bind(bodies)
            .execute(&mut *connection)
            .await?;
        }
        if !self.settled.is_empty() {
            let (shards, anchors, persons) = columns(&self.settled);
            sqlx::query(
                "delete from store.pending p using unnest($1::smallint[], $2::bytea[], $3::bytea[]) as k(shard, anchor, person)
                 where p.shard = k.shard and p.anchor = k.anchor and p.person = k.person",
            )
            .bind(shards)
            .bind(anchors)
            .bind(persons)
            .execute(connection)
            .await?;
        }
        Ok(self.events)
    }
}

/// Keys as bind values.
fn columns(keys: &[PersonKey]) -> (Vec<i16>, Vec<Vec<u8>>, Vec<Vec<u8>>) {
    (
        keys.iter().map(|(shard, ..)| i16::from(shard.number())).collect(),
        keys.iter().map(|(_, anchor, _)| anchor.bytes().to_vec()).collect(),
        keys.iter().map(|(.., person)| person.bytes().to_vec()).collect(),
    )
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

/// Remembers whose open findings changed, in shards where somebody listens.
async fn note_pending(connection: &mut PgConnection, loader: &Loader, differences: &[Difference]) -> Result<(), BatchError> {
    let mut keys = Vec::new();
    let mut facts_at = Vec::new();
    for difference in differences {
        if loader.workspace.shards[&difference.shard].state.live.is_empty() {
            continue;
        }
        for person in &difference.reopened {
            keys.push((difference.shard, difference.anchor, *person));
            facts_at.push(difference.touched.0);
        }
    }
    if keys.is_empty() {
        return Ok(());
    }
    let (shards, anchors, persons) = columns(&keys);
    sqlx::query(
        "insert into store.pending as p (shard, anchor, person, facts_at)
         select * from unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::bigint[])
         on conflict (shard, anchor, person) do update set facts_at = greatest(p.facts_at, excluded.facts_at)",
    )
    .bind(shards)
    .bind(anchors)
    .bind(persons)
    .bind(facts_at)
    .execute(connection)
    .await?;
    Ok(())
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
    let told = told(connection, &keys).await?;
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

/// Persons of a shard whose newest fact some source is complete past.
async fn pending(
    connection: &mut PgConnection,
    shard: Shard,
    state: &ShardState,
) -> Result<Vec<(PersonKey, Timestamp)>, BatchError> {
    let Some(newest) = state.complete.values().max() else {
        return Ok(Vec::new());
    };
    let rows = sqlx::query("select anchor, person, facts_at from store.pending where shard = $1 and facts_at <= $2")
        .bind(i16::from(shard.number()))
        .bind(newest.0)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let anchor = AnchorId::from_slice(row.try_get("anchor").ok()?)?;
            let person = PersonId::from_slice(row.try_get("person").ok()?)?;
            Some(((shard, anchor, person), Timestamp(row.try_get("facts_at").ok()?)))
        })
        .collect())
}

/// What subscribers were told about some persons.
async fn told(connection: &mut PgConnection, keys: &BTreeSet<PersonKey>) -> Result<BTreeMap<PersonKey, Vec<Told>>, BatchError> {
    let mut found: BTreeMap<PersonKey, Vec<Told>> = BTreeMap::new();
    if keys.is_empty() {
        return Ok(found);
    }
    let keys: Vec<PersonKey> = keys.iter().copied().collect();
    let (shards, anchors, persons) = columns(&keys);
    let rows = sqlx::query(
        "select k.ordinality, a.body from unnest($1::smallint[], $2::bytea[], $3::bytea[]) with ordinality as k(shard, anchor, person)
         join store.announced a on a.shard = k.shard and a.anchor = k.anchor and a.person = k.person order by k.ordinality, a.about",
    )
    .bind(shards)
    .bind(anchors)
    .bind(persons)
    .fetch_all(connection)
    .await?;
    for row in rows {
        let at = row.try_get::<i64, _>("ordinality")? as usize - 1;
        let body: &[u8] = row.try_get("body")?;
        found
            .entry(keys[at])
            .or_default()
            .push(decode("announcement", body).map_err(read::ReadError::from)?);
    }
    Ok(found)
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
    let told = told(connection, &keys).await?;
    for (key, facts_at) in wanted {
        let (shard, anchor, person) = *key;
        let state = &loader.workspace.shards[&shard].state;
        let row = rows.get(key).filter(|row| row.person != AWAY);
        let known = told.get(key).map_or(&[][..], Vec::as_slice);
        let sources = row.map(|row| sources(&row.members)).unwrap_or_default();
        let findings = row.map_or(&[][..], |row| row.findings.as_slice());
        let arrived = arrived.get(&(shard, anchor)).map_or(&[][..], Vec::as_slice);
        let left = row.is_none() && has_left(&rows, (shard, anchor), known, &desk.rules.key);
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
        if !released.waiting {
            desk.settled.push(*key);
        }
    }
    Ok(())
}

/// Whether what was told about somebody who is gone stands of another person now, here or where their records went.
fn has_left(rows: &BTreeMap<PersonKey, StoredPerson>, (shard, anchor): (Shard, AnchorId), told: &[Told], key: &IdKey) -> bool {
    let here: Vec<&StoredPerson> = rows
        .values()
        .filter(|row| row.shard == shard && row.anchor == anchor)
        .collect();
    let stands = |told: &Told| {
        here.iter()
            .any(|row| row.findings.iter().any(|finding| finding.about() == told.finding.about()))
    };
    let mut members: Vec<Member> = here.iter().flat_map(|row| row.members.iter().cloned()).collect();
    members.sort_by_key(Member::slot);
    told.iter().any(stands) || heir(anchor, &members, key).is_some()
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
