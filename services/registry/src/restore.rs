//! What `canbao restore` does in the database (ARCHITECTURE.md, Exactly once): a new life begins, what was published becomes what the
//! base takes for told, and a base that is to be made anew applies its own source log.
//!
//! No registry runs meanwhile; a crash at any point is made good by restoring again.

use crate::batch::{self, Beside};
use crate::entries::Entry;
use crate::failure::Failure;
use crate::give::Cache;
use crate::write;
use crate::{owner, writer};
use domain::batch::{Effects, Halving, PersonKey, ShardRow};
use domain::date::Timestamp;
use domain::finding::About;
use domain::ids::{AnchorId, IdKey, PersonId};
use domain::release::{Cause, Event, EventKind, Told};
use domain::restore::{self, Known};
use domain::shard::Shard;
use runtime::store::decode;
use runtime::store::log::SKIPPED;
use runtime::store::members::encode_members;
use runtime::store::read::{self, ReadError};
use runtime::store::refused;
use sqlx::{Connection, PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};

/// What follows from the source log, the decisions and policies in it, and is made anew from them.
const MADE_ANEW: &str = "truncate store.person, store.member, store.directory, store.enrolment, store.employer, store.due, store.counter, store.announced, \
     store.pending, store.carried, store.decision, store.policy, store.guest, store.message, store.pass";
/// Entries of the source log that are applied together.
const AT_A_TIME: &str = "fetch 5000 from restored_log";

/// What an operator had stepped over when the base was made anew before, and was applied in an earlier life, counts as stepped over.
const NOW_SKIPPED: &str = "with changed as (
         update store.source_log l set outcome = 5
         from (select shard, position, outcome from store.source_log join store.refused_entry using (shard, position)
               where skipped_at is not null and outcome <> 5) as b
         where l.shard = b.shard and l.position = b.position
         returning l.shard, l.agency, l.city, l.\"table\", l.partition, b.outcome as before
     ), moved as (
         select shard, agency, city, \"table\", partition, before as outcome, -1 as value from changed where agency is not null
         union all
         select shard, agency, city, \"table\", partition, 5, 1 from changed where agency is not null
     )
     insert into store.books as b (shard, agency, city, \"table\", partition, outcome, value)
     select shard, agency, city, \"table\", partition, outcome, sum(value) from moved group by 1, 2, 3, 4, 5, 6
     on conflict (shard, agency, city, \"table\", partition, outcome) do update set value = b.value + excluded.value";

/// How a restored base goes on.
#[derive(Debug)]
pub struct Course {
    /// The life that begins: later than every one that anybody has heard of.
    pub life: u32,
    /// By shard, the end of its log.
    pub ends: BTreeMap<Shard, i64>,
    /// When the newest entry of the logs was appended.
    pub newest: Timestamp,
    /// The highest number of a statement that the logs know.
    pub statement: i64,
    /// The base is made anew from its source log.
    pub anew: bool,
}

/// What subscribers have, read back from the topics.
#[derive(Debug, Default)]
pub struct Published {
    /// By `findings`: what they were told.
    pub told: Known,
    /// By `person.registry`: of whom they have a state.
    pub states: BTreeSet<PersonKey>,
}

/// What changed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// Rows of the outbox that were never published and are not published any more.
    pub outbox: u64,
    /// Findings of which the base took something else for told.
    pub told: usize,
    /// Persons whom subscribers know and the base does not.
    pub unknown: u64,
}

/// Begins the life, in one transaction.
///
/// # Errors
/// When the store does not answer or holds what cannot be read; nothing has changed then.
pub async fn begin(connection: &mut PgConnection, key: &IdKey, course: &Course, published: &Published) -> Result<Begun, Failure> {
    let mut transaction = connection.begin().await?;
    let mut rows: BTreeMap<Shard, ShardRow> = BTreeMap::new();
    for stored in read::lock_shards(&mut transaction, &Shard::all().collect::<Vec<_>>()).await? {
        let row = ShardRow {
            position: stored.position,
            outbox_next: stored.outbox_next,
            state: stored.state,
        };
        rows.insert(stored.shard, row);
    }
    if course.anew {
        sqlx::query(MADE_ANEW).execute(&mut *transaction).await?;
        for row in rows.values_mut() {
            row.position = 0;
            row.state = row.state.anew();
        }
    }
    restore::begin_life(&mut rows, course.life, &course.ends);
    let outbox = sqlx::query("delete from store.outbox").execute(&mut *transaction).await?;
    let changes = restore::fold(&taken(&mut transaction).await?, &published.told);
    let mut effects = Effects {
        passes: rows.iter().map(|(shard, row)| (*shard, row.state.passes.clone())).collect(),
        shards: rows,
        ..Effects::default()
    };
    let mut untold = Vec::new();
    for (finding, told) in changes {
        effects.pending.insert(finding, Some(restore::waiting(course.newest)));
        match told {
            Some(told) => drop(effects.told.insert(finding, event(finding.0, told, key))),
            None => untold.push(finding),
        }
    }
    write::restored(&mut transaction, &effects, &untold).await?;
    let unknown = note_unknown(&mut transaction, &published.states).await?;
    sqlx::query("update store.shard set owner = null")
        .execute(&mut *transaction)
        .await?;
    sqlx::query("update store.publisher set outbox_epoch = $1, remaking = $2")
        .bind(course.life as i32)
        .bind(course.anew)
        .execute(&mut *transaction)
        .await?;
    // A decision is named after its statement, and the logs keep those that the backup does not know.
    sqlx::query(
        "select setval(s, greatest(nextval(s), $1 + 1), false) from pg_get_serial_sequence('store.statement', 'id') as s",
    )
    .bind(course.statement)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Begun {
        outbox: outbox.rows_affected(),
        told: effects.told.len() + untold.len(),
        unknown,
    })
}

/// What the base takes for told.
async fn taken(connection: &mut PgConnection) -> Result<Known, Failure> {
    let rows = sqlx::query("select shard, anchor, person, body from store.announced")
        .fetch_all(connection)
        .await?;
    let mut known = Known::new();
    for row in &rows {
        let unknown = |column| ReadError::Unknown { column };
        let anchor = AnchorId::from_slice(row.try_get("anchor")?).ok_or_else(|| unknown("anchor"))?;
        let person = PersonId::from_slice(row.try_get("person")?).ok_or_else(|| unknown("person"))?;
        let told: Told = decode("announcement", row.try_get("body")?).map_err(ReadError::from)?;
        let about: About = told.finding.about();
        known.insert(((read::shard(row)?, anchor, person), about), told);
    }
    Ok(known)
}

/// The event after which subscribers know this much.
fn event((_, anchor, person): PersonKey, told: Told, key: &IdKey) -> Event {
    let finding_id = told.finding.id(person, anchor, key);
    Event {
        id: key.event(finding_id, told.revision),
        finding_id,
        kind: if told.open { EventKind::Open } else { EventKind::Clear },
        cause: Cause::News,
        told,
    }
}

/// Gives everybody whom only subscribers know a row without members: they are gone once their neighbourhood is described.
async fn note_unknown(connection: &mut PgConnection, states: &BTreeSet<PersonKey>) -> Result<u64, Failure> {
    let none = encode_members(&[]);
    let mut noted = 0;
    let states: Vec<&PersonKey> = states.iter().collect();
    for some in states.chunks(10_000) {
        let done = sqlx::query(
            "insert into store.person (shard, anchor, person, standing, county, flags, published, members)
             select shard, anchor, person, 0, 0, 0, 0, $4 from unnest($1::smallint[], $2::bytea[], $3::bytea[]) as k(shard, anchor, person)
             on conflict do nothing",
        )
        .bind(some.iter().map(|(shard, ..)| i16::from(shard.number())).collect::<Vec<_>>())
        .bind(some.iter().map(|(_, anchor, _)| anchor.bytes().as_slice()).collect::<Vec<_>>())
        .bind(some.iter().map(|(.., person)| person.bytes().as_slice()).collect::<Vec<_>>())
        .bind(&none)
        .execute(&mut *connection)
        .await?;
        noted += done.rows_affected();
    }
    Ok(noted)
}

/// Applies the source log to a base that was [begun](begin) anew; `applied` hears how many entries were. `reader` and `connection` are two
/// sessions.
///
/// # Errors
/// When the store does not answer or holds what cannot be read. The base is not whole then, and says so.
pub async fn replay(
    reader: &mut PgConnection,
    connection: &mut PgConnection,
    key: &IdKey,
    applied: impl Fn(u64),
) -> Result<u64, Failure> {
    writer::prepare(connection).await?;
    owner::take(connection, &Shard::all().collect()).await?;
    let backend = owner::backend(connection).await?;
    let cache = Cache::default();
    let mut reading = reader.begin().await?;
    sqlx::query(NOW_SKIPPED).execute(&mut *connection).await?;
    // Completeness is not kept in it, so that its positions have gaps.
    sqlx::query(
        "declare restored_log no scroll cursor for
         select shard, position, (extract(epoch from logged_at) * 1000)::bigint as logged_at, body, outcome
         from store.source_log order by shard, position",
    )
    .execute(&mut *reading)
    .await?;
    let mut stands: BTreeMap<Shard, i64> = BTreeMap::new();
    let mut total = 0;
    loop {
        let rows = sqlx::query(AT_A_TIME).fetch_all(&mut *reading).await?;
        if rows.is_empty() {
            break;
        }
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            let (shard, position) = (read::shard(row)?, row.try_get::<i64, _>("position")?);
            let follows = stands.insert(shard, position + 1).unwrap_or(0);
            entries.push(Entry {
                shard,
                position,
                follows,
                logged_at: row.try_get("logged_at")?,
                body: row.try_get("body")?,
                is_skipped: row.try_get::<i16, _>("outcome")? == SKIPPED,
            });
        }
        let beside = Beside {
            is_logged: true,
            ..Beside::default()
        };
        match batch::apply(connection, key, &cache, backend, beside.clone(), &entries).await {
            Err(failure) if failure.is_of_an_entry() => {
                apply_halved(connection, key, &cache, backend, &beside, &entries).await?;
            }
            applied => drop(applied?),
        }
        total += entries.len() as u64;
        applied(total);
    }
    sqlx::query("update store.shard set owner = null")
        .execute(&mut *connection)
        .await?;
    sqlx::query("update store.publisher set remaking = false")
        .execute(&mut *connection)
        .await?;
    Ok(total)
}

/// Applies what was refused for good in halves, up to the entry at fault: it is kept with its cause, and nothing goes on behind it.
async fn apply_halved(
    connection: &mut PgConnection,
    key: &IdKey,
    cache: &Cache,
    backend: i32,
    beside: &Beside,
    entries: &[Entry],
) -> Result<(), Failure> {
    let mut halving = Halving::new(entries.iter().map(|entry| entry.shard));
    while let Some(piece) = halving.to_try() {
        let piece: Vec<Entry> = piece.iter().map(|at| entries[*at].clone()).collect();
        match batch::apply(connection, key, cache, backend, beside.clone(), &piece).await {
            Ok(_) => halving.done(),
            Err(failure) if failure.is_of_an_entry() => {
                let Some(at) = halving.failed() else { continue };
                let refused = entries[at].refused(failure.cause());
                refused::keep(&mut *connection, &refused).await?;
                return Err(Failure::At {
                    shard: refused.shard,
                    position: refused.position,
                    command: refused::command(refused.shard, refused.position),
                    cause: refused.cause,
                });
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}
