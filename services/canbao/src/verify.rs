//! `verify`: recomputes the base and compares it row by row, then checks the books.
//!
//! | Step | Reads |
//! |---|---|
//! | 1. where sources and normalisers stand | brokers |
//! | 2. one snapshot of the store; what stands in the logs behind it (`rest`) | store, brokers |
//! | 3. the source log in whole (`log`) | store |
//! | 4. the base as the function has it, as rows (`expected`) | |
//! | 5. table by table, what differs (`compare`); open against announced (`announced`) | store |
//! | 6. every source message, found in log or dead letters (`books`, `ledger`) | brokers |
//!
//! Steps 2 to 5 see one state of the store, so that the registry may go on meanwhile. The order of 1 and 2 matters: what a normaliser
//! has committed stands in the logs before the snapshot is taken, so nothing can be missed. Writes nothing but temporary tables.

mod announced;
mod books;
mod compare;
mod expected;
mod ledger;
mod log;
mod report;
mod rest;
#[cfg(test)]
pub(crate) mod sample;

pub use announced::Announced;
pub use books::PartitionBook;
pub use compare::{Sample, TableReport};
pub use ledger::Page;
pub use report::{BaseReport, BooksReport, Report, SourceBook, render};
pub use rest::Rest;

use crate::configuration;
use crate::topics;
use anyhow::Context;
use domain::ids::IdKey;
use expected::Rules;
use indicatif::{ProgressBar, ProgressStyle};
use log::{Agreed, SourceLog};
use rest::Tail;
use runtime::config::Settings;
use runtime::dialect::Dialects;
use runtime::store::log::BookKey;
use runtime::store::read::StoredShard;
use sqlx::{PgConnection, PgPool, Postgres, Row, Transaction};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

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
}

/// Verifies.
///
/// # Errors
/// When something that would make a difference stays under way, settings are missing, or brokers or store do not answer.
pub async fn verify(settings: &Settings, pool: &PgPool, plan: &Plan) -> anyhow::Result<Report> {
    let key = settings.id_key()?;
    let policy = configuration::policy(settings)?;
    let dialects = plan.books.then(|| configuration::dialects(settings)).transpose()?;
    let stretches = if plan.books {
        tokio::task::block_in_place(|| books::stretches(settings))?
    } else {
        Vec::new()
    };

    let mut still = stand_still(settings, pool, plan).await?;
    let Still {
        transaction,
        shards,
        rest,
        tail,
        log,
        agreed,
    } = &mut still;
    let rules = Rules {
        key: key.clone(),
        policy,
        today: agreed.today.unwrap_or(domain::shard_state::BEFORE_TIME),
        floors: std::mem::take(&mut agreed.floors),
        rulings: std::mem::take(&mut agreed.rulings),
    };
    let computing = bar("recomputing the base", "neighbourhoods");
    let computed = expected::write(transaction, log, &rules, &computing).await?;
    computing.finish_and_clear();
    let comparing = bar("comparing", "tables");
    let mut tables = compare::tables(transaction, plan.show, &comparing).await?;
    tables.push(states(shards, log, rules.rulings.digest(), plan.show));
    tables.push(books_table(transaction, log, plan.show).await?);
    let known = announced::Known::read(transaction).await?;
    let announced = announced::compare(&computed.open, &known, plan.show);
    comparing.finish_and_clear();
    let base = BaseReport {
        log_rows: log.rows,
        undecodable: log.undecodable,
        logged_twice: log.twice,
        business_date: agreed.today.map(|day| day.to_string()),
        persons: computed.persons,
        findings: computed.findings,
        tables,
    };
    let books = match &dialects {
        Some(dialects) => Some(check_books(settings, dialects, &key, transaction, &stretches, log, tail).await?),
        None => None,
    };
    let rest = rest.clone();
    still.transaction.rollback().await.context("leaving the snapshot")?;
    Ok(Report {
        rest,
        base,
        announced,
        books,
    })
}

/// One state of the store that can be compared.
struct Still {
    transaction: Transaction<'static, Postgres>,
    shards: Vec<StoredShard>,
    rest: Rest,
    tail: Tail,
    log: SourceLog,
    agreed: Agreed,
}

/// Waits for such a state.
async fn stand_still(settings: &Settings, pool: &PgPool, plan: &Plan) -> anyhow::Result<Still> {
    let consumer = topics::reader(settings)?;
    let deadline = Instant::now() + plan.wait.unwrap_or(GRACE);
    let waiting = bar("waiting for rest", "looks");
    loop {
        waiting.inc(1);
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
        let enough = rest.is_comparable() && (plan.wait.is_none() || late || rest.is_at_rest());
        if enough {
            let reading = bar("reading the source log", "rows");
            reading.set_length(log::estimate(&mut transaction).await?);
            let log = SourceLog::read(&mut transaction, &reading).await?;
            reading.finish_and_clear();
            // A snapshot that only some shards have heard of is as much under way as a message.
            if let Some(agreed) = log.agreed() {
                waiting.finish_and_clear();
                return Ok(Still {
                    transaction,
                    shards,
                    rest,
                    tail,
                    log,
                    agreed,
                });
            }
        }
        transaction.rollback().await.context("leaving the snapshot")?;
        anyhow::ensure!(
            !late,
            "not at rest, so nothing was compared: {} messages between shards, {} persons due, {} shards with another business date; \
             is the registry running? `--wait SECONDS` waits longer",
            rest.messages,
            rest.due,
            rest.uneven_dates
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// The shards' states against their logs.
fn states(shards: &[StoredShard], log: &SourceLog, decisions: u64, show: u32) -> TableReport {
    let mut samples = Vec::new();
    for (shard, logged) in shards.iter().zip(&log.shards) {
        let mut note = |differs: bool, problem: &str| {
            if differs {
                samples.push(Sample {
                    key: shard.shard.to_string(),
                    problem: problem.to_owned(),
                });
            }
        };
        note(shard.state.today != logged.today, "differs in business date");
        note(shard.state.live != logged.live, "differs in live regions");
        note(shard.state.decisions != decisions, "differs in decisions");
    }
    shortened("shard", shards.len(), samples, show)
}

/// The live counters of the books against the log.
async fn books_table(connection: &mut PgConnection, log: &SourceLog, show: u32) -> anyhow::Result<TableReport> {
    let rows = sqlx::query("select shard, agency, city, \"table\", partition, outcome, value from store.books")
        .fetch_all(connection)
        .await
        .context("reading the books")?;
    let mut stored = BTreeMap::new();
    for row in &rows {
        let key: StoredBook = (
            row.try_get("shard")?,
            row.try_get("agency")?,
            row.try_get("city")?,
            row.try_get("table")?,
            row.try_get("partition")?,
            row.try_get("outcome")?,
        );
        stored.insert(key, row.try_get::<i64, _>("value")?);
    }
    let counted = log.books.iter().map(|(key, value)| (stored_key(key), *value)).collect();
    Ok(shortened("books", rows.len(), book_differences(&stored, &counted), show))
}

/// Shard, agency, city, table, partition, outcome as stored.
type StoredBook = (i16, i16, i16, String, i16, i16);

fn stored_key((shard, source, table, partition, outcome): &BookKey) -> StoredBook {
    let agency = i16::from(source.agency.code());
    (
        i16::from(shard.number()),
        agency,
        source.city.code() as i16,
        table.clone(),
        *partition as i16,
        *outcome,
    )
}

fn book_differences(stored: &BTreeMap<StoredBook, i64>, counted: &BTreeMap<StoredBook, i64>) -> Vec<Sample> {
    let value = |books: &BTreeMap<StoredBook, i64>, key: &StoredBook| books.get(key).copied().unwrap_or(0);
    let mut keys: Vec<&StoredBook> = stored.keys().chain(counted.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .filter(|key| value(stored, key) != value(counted, key))
        .map(|key| {
            let (shard, agency, city, table, partition, outcome) = key;
            let problem = format!("counts {}, the log has {}", value(stored, key), value(counted, key));
            Sample {
                key: format!("{shard}/{agency}/{city}/{table}/{partition}/{outcome}"),
                problem,
            }
        })
        .collect()
}

fn shortened(table: &'static str, rows: usize, mut samples: Vec<Sample>, show: u32) -> TableReport {
    let differences = samples.len() as u64;
    samples.truncate(show as usize);
    TableReport {
        table,
        rows: rows as u64,
        differences,
        samples,
    }
}

async fn check_books(
    settings: &Settings,
    dialects: &Dialects,
    key: &IdKey,
    connection: &mut PgConnection,
    stretches: &[books::Stretch],
    log: &SourceLog,
    tail: &Tail,
) -> anyhow::Result<BooksReport> {
    let epochs = books::epochs(connection).await?;
    let progress = bar("checking the books", "messages");
    let reading = books::Reading {
        settings,
        dialects,
        key,
        epochs: &epochs,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_the_books_must_agree_with_the_log() {
        let key = |outcome| -> StoredBook { (0, 3, 3201, "ac02".to_owned(), 0, outcome) };
        let stored = BTreeMap::from([(key(1), 5), (key(2), 0), (key(3), 2)]);
        let counted = BTreeMap::from([(key(1), 5), (key(3), 1)]);
        let found = book_differences(&stored, &counted);
        assert_eq!(
            found,
            [Sample {
                key: "0/3/3201/ac02/0/3".into(),
                problem: "counts 2, the log has 1".into()
            }]
        );
        let report = shortened("books", 3, found, 0);
        assert_eq!((report.differences, report.samples.len()), (1, 0));
    }
}
