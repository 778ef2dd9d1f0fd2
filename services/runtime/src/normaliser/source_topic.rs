//! What is recorded of each source topic: how many partitions it had, the epochs of its positions, whether it is held.
//!
//! Tables `store.source_topic` and `store.source_epoch`. Normalisers write first sightings and holds; an operator's `canbao source
//! accept` ([`super::accept`]) is the only thing that lifts a hold or begins an epoch.

use anyhow::Context;
use domain::date::Timestamp;
use domain::epoch::{Epoch, Epochs};
use domain::source::Source;
use serde::Deserialize;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool, Row};
use tokio::runtime::Handle;

/// A source topic as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTopic {
    /// Name of the topic.
    pub topic: String,
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
    /// Why it is not read, with the command to run; `None` when it is.
    pub held: Option<String>,
    /// Why the last full snapshot removed none of its rows, with what to do; `None` when it did, or there was none.
    pub keeps_rows: Option<String>,
}

impl SourceTopic {
    /// A topic at its first sighting.
    pub fn first(topic: &str, partitions: u32) -> Self {
        Self {
            topic: topic.to_owned(),
            partitions,
            epochs: Epochs::default(),
            replay: 0,
            started: false,
            tolerated: Vec::new(),
            held: None,
            keeps_rows: None,
        }
    }
}

/// Where source topics are recorded. Calls block: they are made from the consumers' own threads.
pub trait TopicStore: Send + Sync {
    /// The recorded topics of a source.
    ///
    /// # Errors
    /// When the store does not answer.
    fn load(&self, source: Source) -> anyhow::Result<Vec<SourceTopic>>;

    /// Records a topic unless it is, and returns what is recorded.
    ///
    /// # Errors
    /// When the store does not answer.
    fn record(&self, topic: &str, partitions: u32) -> anyhow::Result<SourceTopic>;

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
const SELECT: &str = "select t.topic, t.partitions, t.replay, t.started, t.tolerated, t.held, t.keeps_rows, (select
     json_agg(json_build_object('epoch', e.epoch, 'begins', e.begins) order by e.epoch) from store.source_epoch e
     where e.topic = t.topic) as epochs
     from store.source_topic t where ($1::text is null or starts_with(t.topic, $1)) and ($2::text is null or t.topic = $2) order by t.topic";

fn topic(row: &PgRow) -> anyhow::Result<SourceTopic> {
    let topic: String = row.try_get("topic")?;
    let Json(epochs) = row.try_get::<Json<Vec<EpochRow>>, _>("epochs")?;
    let epochs = epochs.into_iter().map(|row| Epoch {
        number: row.epoch,
        begins: row.begins,
    });
    let epochs = Epochs::new(epochs.collect()).with_context(|| format!("the recorded epochs of {topic} cannot be read"))?;
    let tolerated: Vec<i64> = row.try_get("tolerated")?;
    Ok(SourceTopic {
        topic,
        partitions: row.try_get::<i32, _>("partitions")?.unsigned_abs(),
        epochs,
        replay: row.try_get::<i32, _>("replay")?.unsigned_abs(),
        started: row.try_get("started")?,
        tolerated: tolerated.into_iter().map(i64::unsigned_abs).collect(),
        held: row.try_get("held")?,
        keeps_rows: row.try_get("keeps_rows")?,
    })
}

async fn select(executor: impl PgExecutor<'_>, prefix: Option<&str>, name: Option<&str>) -> anyhow::Result<Vec<SourceTopic>> {
    let rows = sqlx::query(SELECT).bind(prefix).bind(name).fetch_all(executor).await?;
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

/// Records a topic unless it is, and returns what is recorded.
///
/// # Errors
/// When the database does not answer.
pub async fn record(pool: &PgPool, name: &str, partitions: u32) -> anyhow::Result<SourceTopic> {
    let failed = || format!("recording topic {name}");
    sqlx::query(
        "with added as (insert into store.source_topic (topic, partitions) values ($1, $2) on conflict (topic) do nothing
         returning topic)
         insert into store.source_epoch (topic, epoch, begins, who, why)
         select topic, 0, '{}', 'normaliser', 'first seen' from added",
    )
    .bind(name)
    .bind(partitions as i32)
    .execute(pool)
    .await
    .with_context(failed)?;
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
        let prefix = format!("{source}.");
        self.runtime
            .block_on(select(&self.pool, Some(&prefix), None))
            .with_context(|| format!("reading the recorded topics of {source}"))
    }

    fn record(&self, name: &str, partitions: u32) -> anyhow::Result<SourceTopic> {
        self.runtime.block_on(record(&self.pool, name, partitions))
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
}
