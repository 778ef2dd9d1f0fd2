//! `verify`: recomputes the base and compares it row by row, then checks the books.
//!
//! | Step | Reads |
//! |---|---|
//! | 1. where sources, normalisers and published topics stand | brokers |
//! | 2. one snapshot of the store; what stands in the logs behind it (`rest`) | store, brokers |
//! | 3. the source log in whole (`log`) | store |
//! | 4. the base as the function has it, as rows (`expected`) | |
//! | 5. table by table, what differs (`compare`, `shards`, `recorded`) | store |
//! | 6. the source log against `person.records`, shard by shard (`entries`) | brokers, store |
//! | 7. open against announced, and what waits, shard by shard (`announced`) | store |
//! | 8. what was published, partition by partition (`published`: `told`, `registry`, `outbox`) | brokers, store |
//! | 9. every source message, found in log or dead letters (`books`, `ledger`) | brokers |
//!
//! Steps 2 to 8 see one state of the store, so that the services may go on meanwhile. The order of 1 and 2 matters: what a normaliser
//! has committed stands in the logs before the snapshot is taken, so nothing can be missed, and what was published before is known to the
//! snapshot. Writes nothing but temporary tables. Steps 6 to 8 hold a shard or a partition at a time; steps 3 and 4 hold the newest
//! version of every record, because a guest copy may go from any shard to any other.

mod agreed;
mod announced;
mod books;
mod compare;
mod entries;
mod expected;
mod ledger;
mod log;
mod outbox;
mod published;
mod recorded;
mod registry;
mod report;
mod rest;
#[cfg(test)]
pub(crate) mod sample;
mod shards;
mod stretch;
mod told;
mod waiting;

pub use announced::Announced;
pub use books::PartitionBook;
pub use compare::{Sample, TableReport};
pub use ledger::Page;
pub use report::{BaseReport, BooksReport, Report, SourceBook, render};
pub use rest::Rest;

use crate::configuration;
use crate::topics;
use agreed::Agreed;
use anyhow::Context;
use domain::ids::IdKey;
use expected::{Computed, Rules};
use indicatif::{ProgressBar, ProgressStyle};
use log::SourceLog;
use published::{Ends, Fold};
use rest::Tail;
use runtime::config::Settings;
use runtime::dialect::Dialects;
use runtime::framed::Frames;
use runtime::store::read::StoredShard;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use waiting::Patience;

/// How long a comparison waits, unasked, for what would make a difference.
const GRACE: Duration = Duration::from_secs(10);
/// Wait between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// What to verify, and how patiently.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How long to wait until nothing is under way; `None` waits a few seconds for what would make a difference.
    pub wait: Option<Duration>,
    /// Check the books too.
    pub books: bool,
    /// Differences shown of each table.
    pub show: u32,
    /// How long a finding may wait to be told, in days.
    pub longest_wait: u32,
}

/// Verifies.
///
/// # Errors
/// When something that would make a difference stays under way, settings are missing, or brokers or store do not answer.
pub async fn verify(settings: &Settings, pool: &PgPool, plan: &Plan) -> anyhow::Result<Report> {
    let key = settings.id_key()?;
    let dialects = plan.books.then(|| configuration::dialects(settings)).transpose()?;
    let stretches = if plan.books {
        tokio::task::block_in_place(|| stretch::stretches(settings))?
    } else {
        Vec::new()
    };

    let mut still = stand_still(settings, pool, plan).await?;
    let rules = Rules {
        key: key.clone(),
        policy: still.agreed.policy.clone(),
        today: still.agreed.today.unwrap_or(domain::shard_state::BEFORE_TIME),
        floors: still.agreed.floors.clone(),
        truncations: still.agreed.truncations.clone(),
        rulings: still.agreed.rulings.clone(),
    };
    let computing = bar("recomputing the base", "neighbourhoods");
    let computed = expected::write(&mut still.transaction, &mut still.log, &rules, &computing).await?;
    computing.finish_and_clear();
    let tables = compare_tables(settings, &mut still, plan.show).await?;
    let mut report = Report {
        rest: still.rest.clone(),
        base: BaseReport {
            log_rows: still.log.rows,
            skipped: still.log.skipped.len() as u64,
            business_date: still.agreed.today.map(|day| day.to_string()),
            persons: computed.persons,
            findings: computed.findings,
            tables,
        },
        announced: Announced::default(),
        topics: Vec::new(),
        unchecked: 0,
        books: None,
    };
    compare_topics(settings, &mut still, plan, &key, &computed, &mut report).await?;
    if let Some(dialects) = &dialects {
        let Still {
            transaction, log, tail, ..
        } = &mut still;
        report.books = Some(check_books(settings, dialects, &key, transaction, &stretches, log, tail).await?);
    }
    still.transaction.rollback().await.context("leaving the snapshot")?;
    Ok(report)
}

/// Every table of the store but those of what was told.
async fn compare_tables(settings: &Settings, still: &mut Still, show: u32) -> anyhow::Result<Vec<TableReport>> {
    let topics = tokio::task::block_in_place(|| topics::source_topics(settings))?;
    let Still {
        transaction,
        shards,
        log,
        agreed,
        tail,
        ..
    } = still;
    let comparing = bar("comparing", "tables");
    let mut tables = compare::tables(transaction, show, &comparing).await?;
    tables.extend(log.uneven());
    tables.extend(shards::compare(transaction, shards, log, agreed, &tail.lost, show).await?);
    tables.extend(recorded::compare(transaction, shards, log, agreed, &topics, show).await?);
    comparing.finish_and_clear();
    Ok(tables)
}

/// The logs, what was told and what waits, and what was published.
async fn compare_topics(
    settings: &Settings,
    still: &mut Still,
    plan: &Plan,
    key: &IdKey,
    computed: &Computed,
    report: &mut Report,
) -> anyhow::Result<()> {
    let Still {
        transaction,
        shards,
        log,
        ends,
        ..
    } = still;
    let reading = bar("comparing person.records", "shards");
    let entries = entries::compare(transaction, settings, shards, plan.show, &reading).await?;
    reading.finish_and_clear();
    let patience = Patience {
        newest: entries.newest,
        days: plan.longest_wait,
        carried: &log.carried,
        unreadable: &computed.unreadable,
    };
    let (announced, tables) = announced::compare(transaction, &computed.open, shards, &patience, key, plan.show).await?;
    report.announced = announced;
    report.base.tables.extend(tables);
    let folding = bar("folding what was published", "partitions");
    let fold = Fold {
        settings,
        key,
        before: ends,
        shards,
        show: plan.show,
        progress: &folding,
    };
    report.topics.push(entries.report);
    report.topics.extend(fold.compare(transaction).await?);
    report.unchecked = entries.unchecked;
    folding.finish_and_clear();
    Ok(())
}

/// One state of the store that can be compared.
struct Still {
    transaction: Transaction<'static, Postgres>,
    shards: Vec<StoredShard>,
    rest: Rest,
    tail: Tail,
    log: SourceLog,
    agreed: Agreed,
    /// Where the published topics ended before.
    ends: Ends,
}

/// Waits for such a state. What is only odd for a moment, or for good, is waited for as well, and compared once that took too long.
async fn stand_still(settings: &Settings, pool: &PgPool, plan: &Plan) -> anyhow::Result<Still> {
    let consumer = topics::reader(settings)?;
    let deadline = Instant::now() + plan.wait.unwrap_or(GRACE);
    let waiting = bar("waiting for rest", "looks");
    loop {
        waiting.inc(1);
        let ends = tokio::task::block_in_place(|| Ends::read(settings, &consumer))?;
        let mut transaction = pool.begin().await.context("beginning a transaction")?;
        sqlx::query("set transaction isolation level repeatable read")
            .execute(&mut *transaction)
            .await
            .context("taking a snapshot")?;
        let (shards, mut rest) = rest::look(&mut transaction).await?;
        anyhow::ensure!(rest::all_present(&shards), "the store lacks shards: run `canbao migrate`");
        let tail = tokio::task::block_in_place(|| Tail::read(&consumer, &shards))?;
        tail.count(&mut rest);
        let late = Instant::now() >= deadline;
        if late {
            // Nobody waits for these any more: they are differences.
            rest.messages -= shards::strays(&mut transaction, &shards, 0).await?.count;
        }
        let enough = rest.is_comparable() && (plan.wait.is_none() || late || rest.is_at_rest());
        if enough && (late || !is_odd(&mut transaction, &shards).await?) {
            let reading = bar("reading the source log", "rows");
            reading.set_length(log::estimate(&mut transaction).await?);
            let log = SourceLog::read(&mut transaction, &shards, plan.show, &reading).await?;
            reading.finish_and_clear();
            let agreed = log.agreed();
            // What only some shards have heard of is as much under way as a message, as long as somebody may still send it.
            let is_under_way = rest.statements > 0 || rest.controls_behind > 0;
            if log.uneven_shards(&agreed).is_empty() || (late && !is_under_way) {
                waiting.finish_and_clear();
                return Ok(Still {
                    transaction,
                    shards,
                    rest,
                    tail,
                    log,
                    agreed,
                    ends,
                });
            }
        }
        transaction.rollback().await.context("leaving the snapshot")?;
        anyhow::ensure!(
            !late,
            "not at rest, so nothing was compared: {}; are registry and clock running? `--wait SECONDS` waits longer",
            rest.obstacles()
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether the store shows what should not stay: what waits for nothing, or a date that the clock has and the shards have not.
async fn is_odd(connection: &mut PgConnection, shards: &[StoredShard]) -> anyhow::Result<bool> {
    Ok(waiting::count_overdue(connection, shards).await? > 0 || recorded::is_clock_apart(connection, shards).await?)
}

async fn check_books(
    settings: &Settings,
    dialects: &Dialects,
    key: &IdKey,
    connection: &mut PgConnection,
    stretches: &[stretch::Stretch],
    log: &SourceLog,
    tail: &Tail,
) -> anyhow::Result<BooksReport> {
    let topics = books::recorded(connection).await?;
    let progress = bar("checking the books", "messages");
    let frames = Frames::configured(settings, Handle::current())?;
    let reading = books::Reading {
        settings,
        dialects,
        frames: &frames,
        key,
        topics: &topics,
        progress: &progress,
    };
    let partitions = tokio::task::block_in_place(|| books::check(&reading, stretches, log, tail))?;
    progress.finish_and_clear();
    Ok(BooksReport::new(partitions))
}

/// A progress bar on standard error, hidden where that is no terminal; a length can be set later.
pub(crate) fn bar(what: &'static str, unit: &'static str) -> ProgressBar {
    let bar = ProgressBar::no_length().with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{msg}: {human_pos}/{human_len} {prefix} {wide_bar} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_prefix(unit);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
