//! Gives a batch what it needs: each answer is one query, by key and in bulk, inside the batch's transaction.

use crate::failure::Failure;
use domain::batch::{Given, Need, Pending, PendingKey, PersonKey, Place, ShardRow};
use domain::date::{Day, Timestamp};
use domain::decision::Rulings;
use domain::division::City;
use domain::finding::About;
use domain::ids::{AnchorId, PersonId, RecordId};
use domain::policy::{Edition, PolicyId};
use domain::release::Told;
use domain::shard::Shard;
use domain::source::{Agency, Source};
use runtime::store::person::{about_code, about_of, version};
use runtime::store::read::{self, ReadError, naive};
use runtime::store::{decisions, decode, policies};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Rulings held in memory: shards hear of a decision one after the other, so two or three sets are in use at a time.
const HELD: usize = 8;

/// What shards stand under, shared by the writers of a process: read once, not with every batch and not once per shard.
#[derive(Debug, Default, Clone)]
pub struct Cache {
    /// Rulings by the digest of their decisions.
    rulings: Arc<Mutex<BTreeMap<u64, Arc<Rulings>>>>,
    /// Policies by name.
    policies: Arc<Mutex<BTreeMap<PolicyId, Arc<Edition>>>>,
}

/// Answers a batch of the process whose connection is `backend`.
///
/// # Errors
/// When the store does not answer, holds what cannot be read, or another process owns a shard.
pub(crate) async fn give(connection: &mut PgConnection, cache: &Cache, backend: i32, need: Need) -> Result<Given, Failure> {
    Ok(match need {
        Need::Shards(shards) => Given::Shards(lock_shards(connection, &shards, backend).await?),
        Need::Rulings(digests) => {
            let mut given = BTreeMap::new();
            for (shard, digest) in digests {
                given.insert(shard, cache.rulings(connection, shard, digest).await?);
            }
            Given::Rulings(given)
        }
        Need::Policies(wanted) => Given::Policies(cache.policies(connection, wanted).await?),
        Need::Sent(shards) => Given::Sent(sent(connection, &shards).await?),
        Need::Neighbourhoods(places) => {
            let places: Vec<Place> = places.into_iter().collect();
            Given::Neighbourhoods(read::neighbourhoods(connection, &places).await?)
        }
        Need::Directory(records) => {
            let records: Vec<RecordId> = records.into_iter().collect();
            Given::Directory(read::lock_directory(connection, &records).await?)
        }
        Need::Employers(records) => Given::Employers(employers(connection, &records).await?),
        Need::Holding(shard, records) => Given::Holding(holding(connection, shard, &records).await?),
        Need::Due(shard, day, limit) => due(connection, shard, day, limit).await?,
        Need::Slice(shard, after, limit) => {
            let (rows, last) = read::slice(connection, shard, after, limit).await?;
            Given::Slice(rows, last)
        }
        Need::Pending(shards, keys) => {
            let mut pending = Vec::new();
            for (shard, complete) in &shards {
                ready(connection, *shard, complete, &mut pending).await?;
            }
            known(connection, &keys, &mut pending).await?;
            Given::Pending(pending)
        }
        Need::Told(places) => Given::Told(told(connection, &places).await?),
        Need::Carried(places) => Given::Carried(carried(connection, &places).await?),
    })
}

async fn lock_shards(
    connection: &mut PgConnection,
    shards: &BTreeSet<Shard>,
    backend: i32,
) -> Result<BTreeMap<Shard, ShardRow>, Failure> {
    let wanted: Vec<Shard> = shards.iter().copied().collect();
    let stored = read::lock_shards(connection, &wanted).await?;
    if stored.len() < wanted.len() {
        return Err(ReadError::Unknown { column: "shard" }.into());
    }
    let mut rows = BTreeMap::new();
    for row in stored {
        if row.owner != Some(backend) {
            let (shard, owner) = (row.shard, row.owner);
            return Err(Failure::NotOwner { shard, owner });
        }
        let given = ShardRow {
            position: row.position,
            outbox_next: row.outbox_next,
            state: row.state,
        };
        rows.insert(row.shard, given);
    }
    Ok(rows)
}

async fn sent(connection: &mut PgConnection, shards: &BTreeSet<Shard>) -> Result<BTreeMap<Shard, u64>, ReadError> {
    let numbers: Vec<i16> = shards.iter().map(|shard| i16::from(shard.number())).collect();
    let rows = sqlx::query("select shard, messages from store.shard where shard = any($1)")
        .bind(numbers)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| Ok((read::shard(row)?, row.try_get::<i64, _>("messages")? as u64)))
        .collect()
}

impl Cache {
    /// The rulings of a shard whose decisions have this digest.
    async fn rulings(&self, connection: &mut PgConnection, shard: Shard, digest: u64) -> Result<Arc<Rulings>, ReadError> {
        if let Some(held) = self.rulings.lock().expect("no panic holds this lock").get(&digest) {
            return Ok(Arc::clone(held));
        }
        let rulings = Arc::new(decisions::rulings(connection, shard).await?);
        let mut held = self.rulings.lock().expect("no panic holds this lock");
        if held.len() >= HELD {
            held.clear();
        }
        held.insert(digest, Arc::clone(&rulings));
        Ok(rulings)
    }

    /// The policies of these names.
    async fn policies(
        &self,
        connection: &mut PgConnection,
        wanted: BTreeSet<PolicyId>,
    ) -> Result<BTreeMap<PolicyId, Arc<Edition>>, ReadError> {
        let held = self.policies.lock().expect("no panic holds this lock").clone();
        let missing: BTreeSet<PolicyId> = wanted.iter().filter(|id| !held.contains_key(id)).copied().collect();
        let read = if missing.is_empty() {
            BTreeMap::new()
        } else {
            policies::read(connection, &missing).await?
        };
        let known: BTreeMap<PolicyId, Arc<Edition>> =
            held.into_iter().chain(read).filter(|(id, _)| wanted.contains(id)).collect();
        // Only those in use stay: shards hear of a policy one after the other, so two or three are.
        let mut held = self.policies.lock().expect("no panic holds this lock");
        if !missing.is_empty() {
            held.extend(known.clone());
            while held.len() > HELD {
                held.pop_first();
            }
        }
        Ok(known)
    }
}

/// Places as bind values.
fn columns(places: &BTreeSet<Place>) -> (Vec<i16>, Vec<&[u8]>) {
    places
        .iter()
        .map(|(shard, anchor)| (i16::from(shard.number()), anchor.bytes().as_slice()))
        .unzip()
}

async fn employers(
    connection: &mut PgConnection,
    records: &BTreeSet<(Shard, RecordId)>,
) -> Result<Vec<(RecordId, domain::source::Version)>, ReadError> {
    let (shards, keys): (Vec<i16>, Vec<&[u8]>) = records
        .iter()
        .map(|(shard, record)| (i16::from(shard.number()), record.bytes().as_slice()))
        .unzip();
    let rows = sqlx::query(
        "select e.record, e.epoch, e.partition, e.\"offset\", e.mapping from unnest($1::smallint[], $2::bytea[]) as k(shard, record)
         join store.employer e on e.shard = k.shard and e.record = k.record",
    )
    .bind(shards)
    .bind(keys)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok((record(row)?, version(row)?))).collect()
}

async fn holding(
    connection: &mut PgConnection,
    shard: Shard,
    records: &BTreeSet<RecordId>,
) -> Result<BTreeSet<AnchorId>, ReadError> {
    let keys: Vec<&[u8]> = records.iter().map(|record| record.bytes().as_slice()).collect();
    let rows = sqlx::query(
        "select anchor from store.directory where record = any($2) and shard = $1 and not deleted
         union select anchor from store.guest where shard = $1 and record = any($2)",
    )
    .bind(i16::from(shard.number()))
    .bind(keys)
    .fetch_all(connection)
    .await?;
    rows.iter().map(anchor).collect()
}

async fn due(connection: &mut PgConnection, shard: Shard, day: Day, limit: usize) -> Result<Given, ReadError> {
    let rows = sqlx::query("select anchor from store.due where shard = $1 and day <= $2 order by day, anchor limit $3")
        .bind(i16::from(shard.number()))
        .bind(naive(day))
        .bind(limit as i64)
        .fetch_all(connection)
        .await?;
    let anchors: Result<BTreeSet<AnchorId>, ReadError> = rows.iter().map(anchor).collect();
    Ok(Given::Due(anchors?, rows.len() == limit))
}

const PENDING: &str = "p.anchor, p.person, p.about, p.facts_at, p.agency, p.city";

/// Differences of a shard that wait for nothing that is known to be missing still.
async fn ready(
    connection: &mut PgConnection,
    shard: Shard,
    complete: &BTreeMap<Source, Timestamp>,
    found: &mut Vec<(PendingKey, Pending)>,
) -> Result<(), ReadError> {
    let statement = format!(
        "with vector as materialized (select * from unnest($2::smallint[], $3::smallint[], $4::bigint[]) as v(agency, city, until))
         select {PENDING} from store.pending p left join vector v on v.agency = p.agency and v.city = p.city
         where p.shard = $1 and (v.until is null or v.until >= p.facts_at)"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(i16::from(shard.number()))
        .bind(
            complete
                .keys()
                .map(|source| i16::from(source.agency.code()))
                .collect::<Vec<_>>(),
        )
        .bind(complete.keys().map(|source| source.city.code() as i16).collect::<Vec<_>>())
        .bind(complete.values().map(|until| until.0).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    for row in &rows {
        found.push(pending(shard, row)?);
    }
    Ok(())
}

/// Differences that are known already.
async fn known(
    connection: &mut PgConnection,
    keys: &BTreeSet<PendingKey>,
    found: &mut Vec<(PendingKey, Pending)>,
) -> Result<(), ReadError> {
    if keys.is_empty() {
        return Ok(());
    }
    let keys: Vec<&PendingKey> = keys.iter().collect();
    let statement = format!(
        "select k.ordinality, {PENDING} from unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::smallint[]) with ordinality
         as k(shard, anchor, person, about)
         join store.pending p on p.shard = k.shard and p.anchor = k.anchor and p.person = k.person and p.about = k.about"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(
            keys.iter()
                .map(|((shard, ..), _)| i16::from(shard.number()))
                .collect::<Vec<_>>(),
        )
        .bind(
            keys.iter()
                .map(|((_, anchor, _), _)| anchor.bytes().as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(
            keys.iter()
                .map(|((.., person), _)| person.bytes().as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(keys.iter().map(|(_, about)| about_code(*about)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    for row in &rows {
        let at = row.try_get::<i64, _>("ordinality")? as usize - 1;
        found.push(pending(keys[at].0.0, row)?);
    }
    Ok(())
}

fn pending(shard: Shard, row: &PgRow) -> Result<(PendingKey, Pending), ReadError> {
    let agency: Option<i16> = row.try_get("agency")?;
    let city: Option<i16> = row.try_get("city")?;
    let source = agency.zip(city).map(|(agency, city)| -> Result<Source, ReadError> {
        let unknown = |column| ReadError::Unknown { column };
        let agency = u8::try_from(agency).ok().and_then(Agency::from_code);
        Ok(Source {
            agency: agency.ok_or_else(|| unknown("agency"))?,
            city: City::from_code(city as u16).ok_or_else(|| unknown("city"))?,
        })
    });
    Ok((
        ((shard, anchor(row)?, person(row)?), about_of(row.try_get("about")?)),
        Pending {
            facts_at: Timestamp(row.try_get("facts_at")?),
            waits_for: source.transpose()?,
        },
    ))
}

async fn told(connection: &mut PgConnection, places: &BTreeSet<Place>) -> Result<Vec<(PersonKey, Told)>, ReadError> {
    let (shards, anchors) = columns(places);
    let rows = sqlx::query(
        "select k.ordinality, a.person, a.body from unnest($1::smallint[], $2::bytea[]) with ordinality as k(shard, anchor)
         join store.announced a on a.shard = k.shard and a.anchor = k.anchor order by k.ordinality, a.person, a.about",
    )
    .bind(shards)
    .bind(anchors)
    .fetch_all(connection)
    .await?;
    let places: Vec<&Place> = places.iter().collect();
    rows.iter()
        .map(|row| {
            let (shard, anchor) = places[row.try_get::<i64, _>("ordinality")? as usize - 1];
            Ok(((*shard, *anchor, person(row)?), decode("announcement", row.try_get("body")?)?))
        })
        .collect()
}

async fn carried(connection: &mut PgConnection, places: &BTreeSet<Place>) -> Result<Vec<(Place, About)>, ReadError> {
    let (shards, anchors) = columns(places);
    let rows = sqlx::query(
        "select k.ordinality, c.about from unnest($1::smallint[], $2::bytea[]) with ordinality as k(shard, anchor)
         join store.carried c on c.shard = k.shard and c.anchor = k.anchor",
    )
    .bind(shards)
    .bind(anchors)
    .fetch_all(connection)
    .await?;
    let places: Vec<&Place> = places.iter().collect();
    rows.iter()
        .map(|row| {
            let at = row.try_get::<i64, _>("ordinality")? as usize - 1;
            Ok((*places[at], about_of(row.try_get("about")?)))
        })
        .collect()
}

fn anchor(row: &PgRow) -> Result<AnchorId, ReadError> {
    AnchorId::from_slice(row.try_get("anchor")?).ok_or(ReadError::Unknown { column: "anchor" })
}

fn person(row: &PgRow) -> Result<PersonId, ReadError> {
    PersonId::from_slice(row.try_get("person")?).ok_or(ReadError::Unknown { column: "person" })
}

fn record(row: &PgRow) -> Result<RecordId, ReadError> {
    RecordId::from_slice(row.try_get("record")?).ok_or(ReadError::Unknown { column: "record" })
}
