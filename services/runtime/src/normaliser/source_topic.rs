//! What is recorded of each source topic: how many partitions it had, which epoch its positions belong to, whether it is held.
//!
//! Table `store.source_topic`. Normalisers write first sightings and holds; an operator's `canbao source accept` is the only
//! thing that lifts a hold or raises an epoch (ARCHITECTURE.md, Versions).

use anyhow::Context;
use domain::source::Source;
use sqlx::PgPool;
use tokio::runtime::Handle;

/// A source topic as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTopic {
    /// Name of the topic.
    pub topic: String,
    /// Partitions it had when it was recorded or last accepted.
    pub partitions: u32,
    /// Epoch of its positions: part of every version read from it.
    pub epoch: u16,
    /// How often an operator asked to read it again from its start.
    pub replay: u32,
    /// Whether offsets were committed since it was recorded or last begun anew. If they are gone afterwards, the topic was
    /// deleted (brokers then forget its offsets), or the group was away for longer than they are kept.
    pub started: bool,
    /// Why it is not read, with the command to run; `None` when it is.
    pub held: Option<String>,
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

type Row = (String, i32, i16, i32, bool, Option<String>);

fn topic((topic, partitions, epoch, replay, started, held): Row) -> SourceTopic {
    let (partitions, epoch, replay) = (partitions.max(0) as u32, epoch.max(0) as u16, replay.max(0) as u32);
    SourceTopic {
        topic,
        partitions,
        epoch,
        replay,
        started,
        held,
    }
}

impl PgTopicStore {
    /// A store on a pool; `runtime` drives the pool's connections and must outlive the store's calls.
    pub fn new(pool: PgPool, runtime: Handle) -> Self {
        Self { pool, runtime }
    }
}

impl TopicStore for PgTopicStore {
    fn load(&self, source: Source) -> anyhow::Result<Vec<SourceTopic>> {
        let read = sqlx::query_as::<_, Row>(
            "select topic, partitions, epoch, replay, started, held from store.source_topic where starts_with(topic, $1) order by topic",
        )
        .bind(format!("{source}."))
        .fetch_all(&self.pool);
        let rows = self
            .runtime
            .block_on(read)
            .with_context(|| format!("reading the recorded topics of {source}"))?;
        Ok(rows.into_iter().map(topic).collect())
    }

    fn record(&self, name: &str, partitions: u32) -> anyhow::Result<SourceTopic> {
        let record = async {
            sqlx::query("insert into store.source_topic (topic, partitions) values ($1, $2) on conflict (topic) do nothing")
                .bind(name)
                .bind(partitions as i32)
                .execute(&self.pool)
                .await?;
            sqlx::query_as::<_, Row>(
                "select topic, partitions, epoch, replay, started, held from store.source_topic where topic = $1",
            )
            .bind(name)
            .fetch_one(&self.pool)
            .await
        };
        self.runtime
            .block_on(record)
            .map(topic)
            .with_context(|| format!("recording topic {name}"))
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

/// What an operator states when accepting a topic (`canbao source accept`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// Go on at the committed offsets. The epoch rises only if the partition count changed.
    Continue,
    /// Read it again from its start: a new mapping reads the same rows anew and wins by its revision (`--reread`).
    Reread,
    /// The topic was created anew or lost messages: its positions begin again in a new epoch, from its start (`--restart`).
    Restart,
}

/// Records an operator's statement about one topic that has `partitions` now; `false` when the topic was never recorded.
///
/// Running normalisers notice it within `normaliser.accept_refresh_millis`.
///
/// # Errors
/// When the database does not answer.
pub async fn accept(pool: &PgPool, topic: &str, partitions: u32, acceptance: Acceptance) -> anyhow::Result<bool> {
    let restart = acceptance == Acceptance::Restart;
    let again = restart || acceptance == Acceptance::Reread;
    let done = sqlx::query(
        "update store.source_topic set held = null, partitions = $2, replay = replay + $3::int, started = started and $3 = 0, \
         epoch = epoch + (case when $4 or partitions <> $2 then 1 else 0 end)::smallint where topic = $1",
    )
    .bind(topic)
    .bind(partitions as i32)
    .bind(i32::from(again))
    .bind(restart)
    .execute(pool)
    .await
    .with_context(|| format!("accepting topic {topic}"))?;
    Ok(done.rows_affected() > 0)
}
