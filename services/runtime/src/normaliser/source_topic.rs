//! What is recorded of each source topic: whose table it holds, how many partitions it had, the epochs of its positions, whether it is read.
//!
//! Tables `store.source_topic` and `store.source_epoch`. Normalisers write first sightings, holds, and what a topic waits for as things
//! stand ([`super::wait`]); an operator's `canbao source accept` ([`super::accept`]) is the only thing that lifts a hold, begins an epoch
//! or lets one topic replace another.

use anyhow::Context;
use domain::date::Timestamp;
use domain::division::City;
use domain::epoch::{Epoch, Epochs};
use domain::source::{Agency, Source};
use serde::Deserialize;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool, Row};
use std::sync::Arc;
use tokio::runtime::Handle;

/// A source topic as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTopic {
    /// Name of the topic.
    pub topic: String,
    /// Whose table it holds.
    pub source: Source,
    /// The table, as its dialect spells it, or as the topic does where none maps it. Shared, since it goes with every message.
    pub table: Arc<str>,
    /// Of topics of one table the lowest is read.
    pub place: i64,
    /// Partitions it had when it was recorded or last accepted.
    pub partitions: u32,
    /// Epochs of its positions.
    pub epochs: Epochs,
    /// How often an operator asked to read it again from its start.
    pub replay: u32,
    /// Whether offsets were committed since it was recorded or last begun anew. If they are gone afterwards, the topic was
    /// deleted (brokers then forget its offsets), or the group was away for longer than they are kept.
    pub started: bool,
    /// By partition, the offset below which an operator accepted whatever cannot be read.
    pub tolerated: Vec<u64>,
    /// Why it is held, with the command to run; `None` when it is not.
    pub held: Option<String>,
    /// Why it is not read as dialects and topics stand, with what to do; goes by itself when they are changed.
    pub waits: Option<String>,
    /// The topic that holds its table since: it is neither read nor counted.
    pub replaced_by: Option<String>,
    /// Why rows of it stand that its source may have removed, with what to do: the last full snapshot could not tell, the table was
    /// truncated since, or so many would go that it has to be confirmed; `None` otherwise.
    pub keeps_rows: Option<String>,
}

impl SourceTopic {
    /// A topic of a source's table at its first sighting.
    pub fn first(topic: &str, (source, table): (Source, &str), partitions: u32) -> Self {
        Self {
            topic: topic.to_owned(),
            source,
            table: table.into(),
            place: 0,
            partitions,
            epochs: Epochs::default(),
            replay: 0,
            started: false,
            tolerated: Vec::new(),
            held: None,
            waits: None,
            replaced_by: None,
            keeps_rows: None,
        }
    }

    /// Why it is not read; `None` when it is, and when another replaced it.
    pub fn reason(&self) -> Option<&str> {
        let reason = self.held.as_deref().or(self.waits.as_deref());
        reason.filter(|_| self.replaced_by.is_none())
    }

    /// Whether it is read.
    pub fn is_read(&self) -> bool {
        self.replaced_by.is_none() && self.reason().is_none()
    }
}

/// Where a message stands that says that its table was truncated (清空).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TruncatedAt {
    /// The epoch of its position.
    pub epoch: u16,
    /// Its partition.
    pub partition: u16,
    /// Its offset there.
    pub offset: u64,
    /// Its time.
    pub appended_at: Timestamp,
}

/// Where source topics are recorded. Calls block: they are made from the consumers' own threads.
pub trait TopicStore: Send + Sync {
    /// The recorded topics of a source.
    ///
    /// # Errors
    /// When the store does not answer.
    fn load(&self, source: Source) -> anyhow::Result<Vec<SourceTopic>>;

    /// Records a topic of a source's table unless it is, and returns what is recorded. A topic of which nothing was read may come to hold
    /// another table, and any other spelling of it.
    ///
    /// # Errors
    /// When the store does not answer.
    fn record(&self, topic: &str, of: (Source, &str), partitions: u32) -> anyhow::Result<SourceTopic>;

    /// Remembers that offsets of a topic were committed.
    ///
    /// # Errors
    /// When the store does not answer.
    fn start(&self, topic: &str) -> anyhow::Result<()>;

    /// Holds a topic; a topic that is held already keeps its first reason.
    ///
    /// # Errors
    /// When the store does not answer.
    fn hold(&self, topic: &str, reason: &str) -> anyhow::Result<()>;

    /// Notes that a topic's table was truncated. Whether that is new: where the message is read again, nothing is noted anew.
    ///
    /// # Errors
    /// When the store does not answer.
    fn note_truncated(&self, topic: &str, at: &TruncatedAt) -> anyhow::Result<bool>;

    /// Notes why a topic is not read as things stand; `None` when nothing is against it.
    ///
    /// # Errors
    /// When the store does not answer.
    fn wait(&self, topic: &str, reason: Option<&str>) -> anyhow::Result<()>;
}

/// [`TopicStore`] in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgTopicStore {
    pool: PgPool,
    runtime: Handle,
}

#[derive(Deserialize)]
struct EpochRow {
    epoch: u16,
    begins: Vec<u64>,
}

/// One statement, so that a topic and its epochs are read as one operator left them.
const SELECT: &str = "select t.topic, t.agency, t.city, t.\"table\", t.place, t.partitions, t.replay, t.started, t.tolerated, t.held,
     t.waits, t.replaced_by, t.keeps_rows, (select
     json_agg(json_build_object('epoch', e.epoch, 'begins', e.begins) order by e.epoch) from store.source_epoch e
     where e.topic = t.topic) as epochs
     from store.source_topic t where ($1::smallint is null or t.agency = $1 and t.city = $2) and ($3::text is null or t.topic = $3)
     order by t.topic";

fn topic(row: &PgRow) -> anyhow::Result<SourceTopic> {
    let topic: String = row.try_get("topic")?;
    let Json(epochs) = row.try_get::<Json<Vec<EpochRow>>, _>("epochs")?;
    let epochs = epochs.into_iter().map(|row| Epoch {
        number: row.epoch,
        begins: row.begins,
    });
    let epochs = Epochs::new(epochs.collect()).with_context(|| format!("the recorded epochs of {topic} cannot be read"))?;
    let tolerated: Vec<i64> = row.try_get("tolerated")?;
    let agency = u8::try_from(row.try_get::<i16, _>("agency")?)
        .ok()
        .and_then(Agency::from_code);
    let city = City::from_code(row.try_get::<i16, _>("city")?.unsigned_abs());
    let (agency, city) = agency
        .zip(city)
        .with_context(|| format!("the recorded source of {topic} is unknown"))?;
    Ok(SourceTopic {
        topic,
        source: Source { agency, city },
        table: row.try_get::<&str, _>("table")?.into(),
        place: row.try_get("place")?,
        partitions: row.try_get::<i32, _>("partitions")?.unsigned_abs(),
        epochs,
        replay: row.try_get::<i32, _>("replay")?.unsigned_abs(),
        started: row.try_get("started")?,
        tolerated: tolerated.into_iter().map(i64::unsigned_abs).collect(),
        held: row.try_get("held")?,
        waits: row.try_get("waits")?,
        replaced_by: row.try_get("replaced_by")?,
        keeps_rows: row.try_get("keeps_rows")?,
    })
}

async fn select(executor: impl PgExecutor<'_>, source: Option<Source>, name: Option<&str>) -> anyhow::Result<Vec<SourceTopic>> {
    let rows = sqlx::query(SELECT)
        .bind(source.map(|source| i16::from(source.agency.code())))
        .bind(source.map(|source| source.city.code() as i16))
        .bind(name)
        .fetch_all(executor)
        .await?;
    rows.iter().map(topic).collect()
}

/// Every recorded topic.
///
/// # Errors
/// When the database does not answer, or holds what cannot be read.
pub async fn all(executor: impl PgExecutor<'_>) -> anyhow::Result<Vec<SourceTopic>> {
    select(executor, None, None)
        .await
        .context("reading the recorded topics: was `canbao migrate` run?")
}

/// A recorded topic.
///
/// # Errors
/// When the database does not answer, or holds what cannot be read.
pub async fn find(executor: impl PgExecutor<'_>, name: &str) -> anyhow::Result<Option<SourceTopic>> {
    let found = select(executor, None, Some(name))
        .await
        .context("reading the recorded topics: was `canbao migrate` run?")?;
    Ok(found.into_iter().next())
}

/// Whether an operator stated since a time that the topic was created anew.
///
/// # Errors
/// When the database does not answer.
pub async fn is_restarted_since(executor: impl PgExecutor<'_>, topic: &str, time: Timestamp) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from store.source_epoch where topic = $1 and restart and stated_at > to_timestamp($2::float8 / 1000))",
    )
    .bind(topic)
    .bind(time.0)
    .fetch_one(executor)
    .await
}

/// The recorded topics of a source.
///
/// # Errors
/// When the database does not answer, or holds what cannot be read.
pub async fn of_source(executor: impl PgExecutor<'_>, source: Source) -> anyhow::Result<Vec<SourceTopic>> {
    select(executor, Some(source), None)
        .await
        .with_context(|| format!("reading the recorded topics of {source}"))
}

/// Records a topic of a source's table unless it is, and returns what is recorded ([`TopicStore::record`]).
///
/// # Errors
/// When the database does not answer.
pub async fn record(pool: &PgPool, name: &str, (source, table): (Source, &str), partitions: u32) -> anyhow::Result<SourceTopic> {
    let failed = || format!("recording topic {name}");
    let mut transaction = pool.begin().await.with_context(failed)?;
    // One at a time, so that whoever has a lower place is seen by whoever comes later.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('store.source_topic', 0))")
        .execute(&mut *transaction)
        .await
        .with_context(failed)?;
    sqlx::query(
        "with added as (insert into store.source_topic (topic, partitions, agency, city, \"table\") values ($1, $2, $3, $4, $5)
         on conflict (topic) do update set agency = excluded.agency, city = excluded.city, \"table\" = excluded.\"table\"
         where (source_topic.agency, source_topic.city, source_topic.\"table\") <> (excluded.agency, excluded.city, excluded.\"table\")
         and (not source_topic.started or lower(source_topic.\"table\") = lower(excluded.\"table\")) returning topic)
         insert into store.source_epoch (topic, epoch, begins, who, why) select topic, 0, '{}', 'normaliser', 'first seen' from added
         where not exists (select from store.source_epoch e where e.topic = added.topic)",
    )
    .bind(name)
    .bind(partitions as i32)
    .bind(i16::from(source.agency.code()))
    .bind(source.city.code() as i16)
    .bind(table)
    .execute(&mut *transaction)
    .await
    .with_context(failed)?;
    transaction.commit().await.with_context(failed)?;
    find(pool, name).await?.with_context(failed)
}

impl PgTopicStore {
    /// A store on a pool; `runtime` drives the pool's connections and must outlive the store's calls.
    pub fn new(pool: PgPool, runtime: Handle) -> Self {
        Self { pool, runtime }
    }
}

impl TopicStore for PgTopicStore {
    fn load(&self, source: Source) -> anyhow::Result<Vec<SourceTopic>> {
        self.runtime.block_on(of_source(&self.pool, source))
    }

    fn record(&self, name: &str, of: (Source, &str), partitions: u32) -> anyhow::Result<SourceTopic> {
        self.runtime.block_on(record(&self.pool, name, of, partitions))
    }

    fn start(&self, name: &str) -> anyhow::Result<()> {
        let start = sqlx::query("update store.source_topic set started = true where topic = $1")
            .bind(name)
            .execute(&self.pool);
        self.runtime
            .block_on(start)
            .with_context(|| format!("remembering that {name} was read"))?;
        Ok(())
    }

    fn hold(&self, name: &str, reason: &str) -> anyhow::Result<()> {
        let hold = sqlx::query("update store.source_topic set held = $2 where topic = $1 and held is null")
            .bind(name)
            .bind(reason)
            .execute(&self.pool);
        self.runtime.block_on(hold).with_context(|| format!("holding topic {name}"))?;
        Ok(())
    }

    fn note_truncated(&self, name: &str, at: &TruncatedAt) -> anyhow::Result<bool> {
        let note = sqlx::query(
            "insert into store.truncation (topic, epoch, partition, \"offset\", appended_at) values ($1, $2, $3, $4, $5) on conflict do nothing",
        )
        .bind(name)
        .bind(i32::from(at.epoch))
        .bind(i32::from(at.partition))
        .bind(at.offset as i64)
        .bind(at.appended_at.0)
        .execute(&self.pool);
        let noted = self.runtime.block_on(note);
        let noted = noted.with_context(|| format!("noting that the table of {name} was truncated: was `canbao migrate` run?"))?;
        Ok(noted.rows_affected() > 0)
    }

    fn wait(&self, name: &str, reason: Option<&str>) -> anyhow::Result<()> {
        let wait = sqlx::query("update store.source_topic set waits = $2 where topic = $1")
            .bind(name)
            .bind(reason)
            .execute(&self.pool);
        self.runtime
            .block_on(wait)
            .with_context(|| format!("noting what topic {name} waits for"))?;
        Ok(())
    }
}
