//! The bare floor: the same topics and rows without any logic, in a process of its own, so that its CPU is known too.
//!
//! Consume the source topics, decode the JSON, encode Avro, produce to a topic of 64 partitions; consume that, decode; and per batch of
//! 10,000 entries and one durable transaction: look the person rows up by key, insert the new and update the others, append to the log,
//! raise the positions. Two writers with disjoint shards. No identity, no directory, no enrolments, no findings, no outbox.

mod message;
mod worker;
mod writer;

pub use worker::main;

use super::stack::Stack;
use super::storage;
use super::usage::Used;
use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The first argument that makes the bench's binary the floor.
pub const ARGUMENT: &str = "floor";
/// The topic between the floor's two halves.
const TOPIC: &str = "bench.floor";

/// What the floor's process reports when it is done; it then waits for its input to end, so that it can be measured.
#[derive(Debug, Serialize, Deserialize)]
struct Done {
    /// Source messages read.
    messages: i64,
    /// Seconds from the first message read to the last commit.
    seconds: f64,
}

/// What the floor came to.
#[derive(Debug, Clone, Serialize)]
pub struct Floor {
    /// Source messages.
    pub events: i64,
    /// Seconds from the first message to the last commit.
    pub seconds: f64,
    /// By process.
    pub used: BTreeMap<&'static str, Used>,
    /// Bytes of write-ahead log.
    pub wal_bytes: i64,
    /// Bytes of all tables and indexes for each person.
    pub bytes_per_person: f64,
}

impl Floor {
    /// Source messages a second.
    pub fn rate(&self) -> f64 {
        self.events as f64 / self.seconds.max(0.001)
    }
}

/// Makes the floor's tables: the base's own, so that widths and indexes are the same.
///
/// # Errors
/// When the database refuses.
pub async fn prepare(stack: &Stack) -> anyhow::Result<()> {
    let pool = PgPool::connect(&stack.floor_database).await?;
    runtime::store::migrate(&pool).await?;
    sqlx::raw_sql(
        "select store.ensure_source_log(current_date);
         create table store.floor_source (topic text, partition integer, next bigint not null, primary key (topic, partition))",
    )
    .execute(&pool)
    .await?;
    pool.close().await;
    Ok(())
}

/// Runs the floor over what has been written since it last ran.
///
/// # Errors
/// When its process fails, or does not end within `patience`.
pub async fn run(stack: &Stack, patience: Duration) -> anyhow::Result<Floor> {
    let pool = PgPool::connect(&stack.floor_database).await?;
    stack.settle().await?;
    let before = storage::counters(&pool).await?;
    let mut meter = stack.meter();
    let mut child = Command::new(std::env::current_exe()?)
        .arg(ARGUMENT)
        .env("CANBAO_KAFKA", &stack.broker.settings().kafka)
        .env("CANBAO_DATABASE_URL", &stack.floor_database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    meter.add("floor", child.id());
    let output = child.stdout.take().context("its output is piped")?;
    let mut child = super::stack::Process(child);
    let line = tokio::task::spawn_blocking(move || BufReader::new(output).lines().next());
    let line = tokio::time::timeout(patience, line)
        .await
        .with_context(|| format!("the floor took longer than {patience:?}"))??
        .context("the floor ended without a result")??;
    let used = meter.stop();
    let done: Done = serde_json::from_str(&line)?;
    drop(child.0.stdin.take());
    ensure!(child.end(Duration::from_secs(30)).await?, "the floor did not end in order");
    let after = storage::counters(&pool).await?;
    let bytes: f64 = sqlx::query_scalar(
        "select (select sum(pg_total_relation_size(c.oid)) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 where n.nspname = 'store' and c.relkind = 'r')::float8
              / greatest((select count(*) from store.person), 1)",
    )
    .fetch_one(&pool)
    .await?;
    pool.close().await;
    Ok(Floor {
        events: done.messages,
        seconds: done.seconds,
        used,
        wal_bytes: after.wal - before.wal,
        bytes_per_person: bytes,
    })
}
