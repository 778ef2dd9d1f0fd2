//! One measured piece of work: services start against full topics and work until nothing is left.

use super::options::Options;
use super::stack::Stack;
use super::storage::{self, Counters};
use super::usage::Used;
use anyhow::ensure;
use domain::policy::Policy;
use serde::Serialize;
use sqlx::Row;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between two looks at the positions.
const LOOK: Duration = Duration::from_millis(200);

/// Looks from one at the outbox to the next while work is done.
const FULL_LOOK: u64 = 10;
/// The clock's statements, one in every shard now and then, are no work.
const TICKS: i64 = 2 * domain::shard::SHARDS as i64;
/// Those that it makes before the first source messages arrive: date and completeness, each once or twice.
const AT_START: i64 = 4 * domain::shard::SHARDS as i64;

/// What a piece of work came to.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    /// Source messages.
    pub events: i64,
    /// Entries appended to `person.records`, messages between shards and statements of the clock included.
    pub entries: i64,
    /// Seconds from the services' start to the first commit.
    pub startup_seconds: f64,
    /// Seconds from the first commit until all of it was in the committed base.
    pub base_seconds: f64,
    /// Seconds from the first commit until the outbox too was empty.
    pub seconds: f64,
    /// By process.
    pub used: BTreeMap<&'static str, Used>,
    /// Rows and index entries by table.
    pub tables: BTreeMap<String, storage::Written>,
    /// Bytes of write-ahead log.
    pub wal_bytes: i64,
    /// Full page images in it.
    pub full_pages: i64,
}

impl Phase {
    /// Source messages a second, from the first commit until everything was published.
    pub fn rate(&self) -> f64 {
        self.events as f64 / self.seconds.max(0.001)
    }

    /// The same until everything was in the base.
    pub fn base_rate(&self) -> f64 {
        self.events as f64 / self.base_seconds.max(0.001)
    }

    /// Takes what was counted in the database.
    pub fn counted(mut self, counted: Counters) -> Self {
        self.wal_bytes = counted.wal;
        self.full_pages = counted.full_pages;
        self.tables = counted.tables;
        self
    }
}

async fn position(stack: &Stack) -> anyhow::Result<i64> {
    let position = sqlx::query_scalar("select coalesce(sum(position), 0)::bigint from store.shard");
    Ok(position.fetch_one(&stack.pool).await?)
}

/// What still waits in the store.
struct Waiting {
    /// Messages between shards, or events that are not published.
    rows: bool,
    /// Sources whose newest completeness row is not worked off.
    sources: i64,
}

async fn waiting(stack: &Stack, tolerance: i64) -> anyhow::Result<Waiting> {
    let row = sqlx::query(
        "select exists (select from store.outbox) or exists (select from store.message) as rows,
                (select count(*) from store.completeness where until < seen - $1) as sources",
    )
    .bind(tolerance)
    .fetch_one(&stack.pool)
    .await?;
    Ok(Waiting {
        rows: row.try_get("rows")?,
        sources: row.try_get("sources")?,
    })
}

/// Times of a drain, in seconds since the services were started.
struct Times {
    first: f64,
    base: f64,
    all: f64,
}

/// Starts the services and waits until all source messages are in the base and everything is published.
///
/// # Errors
/// When a service ends, or nothing moves for the options' patience.
pub async fn drain(stack: &mut Stack, options: &Options, events: i64) -> anyhow::Result<Phase> {
    stack.settle().await?;
    let (counted, entries) = (storage::counters(&stack.pool).await?, stack.broker.person_records()?);
    let mut meter = stack.meter();
    let start = Instant::now();
    stack.start(Some(&mut meter))?;
    let times = follow(stack, options, start).await?;
    let used = meter.stop();
    let wal = storage::counters(&stack.pool).await?;
    let entries = stack.broker.person_records()? - entries;
    stack.stop().await?;
    // Connections hand in their counts when they end.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut after = storage::counters(&stack.pool).await?;
    (after.wal, after.full_pages) = (wal.wal, wal.full_pages);
    let phase = Phase {
        events,
        entries,
        startup_seconds: times.first,
        base_seconds: times.base - times.first,
        seconds: times.all - times.first,
        used,
        tables: BTreeMap::new(),
        wal_bytes: 0,
        full_pages: 0,
    };
    Ok(phase.counted(after.since(&counted)))
}

async fn follow(stack: &mut Stack, options: &Options, start: Instant) -> anyhow::Result<Times> {
    let tolerance = i64::from(Policy::embedded().release.tolerance_millis);
    let begin = position(stack).await?;
    let (mut last, mut moved) = (begin, Instant::now());
    // Seconds since the start: before the first commit, after the last work, after the outbox was last seen in use.
    let (mut first, mut worked, mut used, mut at): (Option<f64>, f64, f64, f64) = (None, 0.0, 0.0, 0.0);
    let mut normalised = false;
    for look in 0_u64.. {
        tokio::time::sleep(LOOK).await;
        stack.check_alive()?;
        let before = std::mem::replace(&mut at, start.elapsed().as_secs_f64());
        let now = position(stack).await?;
        let progress = now - last;
        if progress != 0 {
            (last, moved) = (now, Instant::now());
        }
        if first.is_none() && now > begin + AT_START {
            first = Some(before);
        }
        if progress > TICKS {
            worked = at;
        }
        ensure!(
            moved.elapsed() < Duration::from_secs(options.patience),
            "nothing has moved for {} s: {now} entries applied of {}, {} source messages behind",
            options.patience,
            stack.broker.person_records()?,
            stack.broker.behind()?
        );
        let Some(first) = first else { continue };
        // Asking broker and outbox costs more than the position does: while work is done, only now and then.
        if progress > TICKS && look % FULL_LOOK != 0 {
            continue;
        }
        let waiting = waiting(stack, tolerance).await?;
        if waiting.rows {
            used = at;
        }
        if progress <= TICKS && stack.broker.person_records()? <= now + TICKS {
            // Everything that the normalisers committed stood in the log before.
            let known = std::mem::replace(&mut normalised, stack.broker.behind()? == 0);
            if known && normalised && !waiting.rows && waiting.sources == 0 {
                let all = worked.max(used);
                return Ok(Times {
                    first,
                    base: worked,
                    all,
                });
            }
        }
    }
    unreachable!("the looks end only by returning")
}
