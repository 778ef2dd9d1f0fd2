//! One micro-batch against PostgreSQL: gives [`domain::batch`] what it needs and writes its effects, in one transaction
//! (ARCHITECTURE.md, Exactly once).
//!
//! Repeating a batch after a failure is safe: what was committed lies below the position and is skipped.

use crate::entries::Entry;
use crate::failure::Failure;
use crate::give::{Cache, give};
use crate::write::write;
use domain::batch::{Asked, Batch, Need, Order, Publication, Said};
use domain::date::Timestamp;
use domain::engine::Outcome;
use domain::ids::IdKey;
use domain::shard::Shard;
use sqlx::{Connection, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Neighbourhoods that one batch works off because of a date or a pass, so that live traffic is never far behind.
const SLICE: usize = 2_000;

/// What a batch came to.
#[derive(Debug, Default)]
pub struct Applied {
    /// Messages to other shards that were written, to be relayed.
    pub messages: usize,
    /// Shards of the batch that may still have persons due.
    pub due: BTreeSet<Shard>,
    /// Shards of the batch whose passes are not done.
    pub passes: BTreeSet<Shard>,
    /// Entries by outcome, for metrics.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Alerts written to the outbox.
    pub events: usize,
}

/// Work beside the entries of a batch.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// Shards in which persons whose date has come are worked off.
    pub due: BTreeSet<Shard>,
    /// A shard in which a slice of a pass is done.
    pub pass: Option<Shard>,
    /// The source log has the entries already: the base is made anew from it.
    pub is_logged: bool,
}

/// Applies `entries` (in order of position per shard), and does the work beside them.
///
/// # Errors
/// See [`Failure`]; the transaction is rolled back.
pub async fn apply(
    connection: &mut PgConnection,
    key: &IdKey,
    cache: &Cache,
    backend: i32,
    beside: Beside,
    entries: &[Entry],
) -> Result<Applied, Failure> {
    let is_logged = beside.is_logged;
    let mut batch = Batch::new(order(beside, entries), key.clone());
    let mut transaction = connection.begin().await?;
    let effects = loop {
        match proceed(&mut batch)? {
            Asked::Need(need) => {
                let point = point_after(&need);
                batch.give(give(&mut transaction, cache, backend, need).await?);
                runtime::failpoint::reach(point);
            }
            Asked::Done(effects) => break effects,
        }
    };
    runtime::failpoint::reach("registry.applied");
    write(&mut transaction, key, batch.order(), entries, &effects, is_logged).await?;
    transaction.commit().await?;
    runtime::failpoint::reach("registry.committed");

    let passes = effects.shards.iter().filter(|(_, row)| row.has_passes());
    let mut applied = Applied {
        messages: effects.messages.len(),
        passes: passes.map(|(shard, _)| *shard).collect(),
        events: effects
            .outbox
            .iter()
            .filter(|(.., publication)| matches!(publication, Publication::Alert(_)))
            .count(),
        due: effects.still_due,
        outcomes: BTreeMap::new(),
    };
    for (_, outcome) in &effects.outcomes {
        *applied.outcomes.entry(outcome_name(*outcome)).or_default() += 1;
    }
    Ok(applied)
}

/// The batch's next step. A mistake of the program that one entry brings to light must not take the other shards with it.
fn proceed(batch: &mut Batch) -> Result<Asked, Failure> {
    let step = catch_unwind(AssertUnwindSafe(|| batch.proceed()));
    Ok(step.map_err(|_| Failure::Broken)??)
}

/// Decodes the entries.
fn order(beside: Beside, entries: &[Entry]) -> Order {
    let mut shards: BTreeSet<Shard> = entries.iter().map(|entry| entry.shard).collect();
    shards.extend(beside.due.iter().chain(&beside.pass));
    let decoded = entries.iter().map(|entry| domain::batch::Entry {
        shard: entry.shard,
        position: entry.position,
        follows: entry.follows,
        logged_at: Timestamp(entry.logged_at),
        said: said(entry),
    });
    Order {
        shards,
        entries: decoded.collect(),
        due: beside.due,
        pass: beside.pass,
        slice: SLICE,
    }
}

fn said(entry: &Entry) -> Said {
    match schemas::codec::decode_entry(entry.shard, &entry.body) {
        decoded if entry.is_skipped => Said::Skipped(decoded.ok()),
        Ok(input) => Said::Input(input),
        Err(error) => Said::Unreadable(error.to_string()),
    }
}

/// Where a test may crash the process after something was given.
fn point_after(need: &Need) -> &'static str {
    match need {
        Need::Shards(_) => "registry.locked",
        Need::Directory(_) => "registry.loaded",
        Need::Told(_) => "registry.told-read",
        _ => "registry.given",
    }
}

/// The name of an outcome, in metrics.
fn outcome_name(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Applied) => "applied",
        Some(Outcome::Superseded) => "superseded",
        Some(Outcome::Repeated) => "repeated",
        Some(Outcome::Control) => "control",
        None => "skipped",
    }
}
