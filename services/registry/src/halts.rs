//! Shards that wait at an entry which cannot be applied: kept with its cause, shown, tried again, and stepped over on an operator's word
//! only, since behind a lost entry stands a lost person (ARCHITECTURE.md, Exactly once).
//!
//! What follows the entry in its shard's log is left where it is: the consumer [reads it again](Rereads) once the shard goes on.

use crate::entries::Entry;
use domain::shard::Shard;
use runtime::health::Check;
use runtime::store::refused;
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often operators' statements are looked for.
const LOOK: Duration = Duration::from_millis(500);
/// How often an entry is tried again unasked: its cause may have been mended, such as a missing privilege.
const RETRY: Duration = Duration::from_secs(30);

/// How many shards of the process wait, over all its writers.
const WAITING: &str = "canbao_registry_waiting_shards";

/// Shards that the consumer is to read again, and from where. Shared by the writers and the consumer.
#[derive(Debug, Clone, Default)]
pub struct Rereads(Arc<Mutex<BTreeMap<Shard, i64>>>);

impl Rereads {
    /// Asks for a shard to be read from a position on.
    pub fn ask(&self, shard: Shard, position: i64) {
        self.lock().insert(shard, position);
    }

    /// What was asked for since the last time.
    pub fn take(&self) -> BTreeMap<Shard, i64> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Shard, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A shard that waits.
#[derive(Debug)]
struct Halt {
    entry: Entry,
    cause: String,
    retry: Instant,
}

/// The shards of a writer that wait.
pub struct Halts {
    standing: BTreeMap<Shard, Halt>,
    /// How many of them the metric has.
    counted: usize,
    /// Shards that go on, once the consumer has begun to read them again.
    rereading: BTreeSet<Shard>,
    look: Instant,
    rereads: Rereads,
    check: Check,
}

impl Halts {
    /// None wait. `check` shows those that do.
    pub fn new(rereads: Rereads, check: Check) -> Self {
        check.pass();
        metrics::describe_gauge!(WAITING, "Shards that wait at an entry which cannot be applied");
        metrics::gauge!(WAITING).increment(0.0);
        Self {
            standing: BTreeMap::new(),
            counted: 0,
            rereading: BTreeSet::new(),
            look: Instant::now(),
            rereads,
            check,
        }
    }

    /// Whether entries of a shard are left alone for now.
    pub fn leaves_alone(&self, shard: Shard) -> bool {
        self.standing.contains_key(&shard) || self.rereading.contains(&shard)
    }

    /// Keeps an entry with its cause; its shard waits from now on.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn wait_at(&mut self, pool: &PgPool, entry: &Entry, cause: String) -> sqlx::Result<()> {
        let (shard, position) = (entry.shard, entry.position);
        refused::keep(pool, &entry.refused(cause.clone())).await?;
        let halt = Halt {
            entry: entry.clone(),
            cause,
            retry: Instant::now() + RETRY,
        };
        let before = self.standing.insert(shard, halt);
        let halt = &self.standing[&shard];
        if before.is_none_or(|before| before.cause != halt.cause) {
            tracing::error!(%shard, position, "{}", refused::explain(shard, position, &halt.cause));
        }
        self.show();
        Ok(())
    }

    /// The entries to try now: those that are stated to be stepped over, and those whose cause may have been mended.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn to_try(&mut self, pool: &PgPool) -> sqlx::Result<Vec<Entry>> {
        let now = Instant::now();
        if self.standing.is_empty() || now < self.look {
            return Ok(Vec::new());
        }
        self.look = now + LOOK;
        let places = self.standing.iter().map(|(shard, halt)| (*shard, halt.entry.position));
        let skipped = refused::skipped(pool, places).await?;
        let mut entries = Vec::new();
        for (shard, halt) in &mut self.standing {
            let is_skipped = skipped.contains(&(*shard, halt.entry.position));
            if is_skipped || halt.retry <= now {
                halt.retry = now + RETRY;
                entries.push(Entry {
                    is_skipped,
                    ..halt.entry.clone()
                });
            }
        }
        Ok(entries)
    }

    /// How long to wait for other work before asking [again](Self::to_try).
    pub fn pause(&self) -> Duration {
        if self.standing.is_empty() { RETRY } else { LOOK }
    }

    /// The entry was applied or stepped over: its shard goes on behind it.
    pub fn go_on(&mut self, entry: &Entry) {
        if self.standing.remove(&entry.shard).is_none() {
            return;
        }
        let (shard, position) = (entry.shard, entry.position);
        if entry.is_skipped {
            tracing::warn!(%shard, position, "an entry is stepped over, as was stated; it stands in store.refused_entry");
        } else {
            tracing::info!(%shard, position, "an entry that could not be applied was applied");
        }
        self.rereading.insert(shard);
        self.rereads.ask(shard, position + 1);
        self.show();
    }

    /// The consumer reads a shard from where it was asked to: what comes now follows.
    pub fn read_again(&mut self, shard: Shard) {
        self.rereading.remove(&shard);
    }

    /// Shards that were given away, or are taken over and begin anew.
    pub fn forget(&mut self, shards: &BTreeSet<Shard>) {
        self.standing.retain(|shard, _| !shards.contains(shard));
        self.rereading.retain(|shard| !shards.contains(shard));
        self.show();
    }

    fn show(&mut self) {
        metrics::gauge!(WAITING).increment(self.standing.len() as f64 - self.counted as f64);
        self.counted = self.standing.len();
        let text = |(shard, halt): (&Shard, &Halt)| refused::explain(*shard, halt.entry.position, &halt.cause);
        let waiting: Vec<String> = self.standing.iter().map(text).collect();
        if waiting.is_empty() {
            self.check.pass();
        } else {
            self.check.fail(waiting.join("; "));
        }
    }
}
