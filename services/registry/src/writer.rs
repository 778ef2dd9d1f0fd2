//! A writer: collects entries of its shards into micro-batches by size or time and applies them, one transaction each.

use crate::batch::{self, Applied, Beside};
use crate::entries::{Entry, Handed};
use crate::failure::Failure;
use crate::give::Cache;
use crate::halts::Halts;
use crate::{behind, owner, relay};
use anyhow::Context;
use domain::batch::Halving;
use domain::date::{Day, Month};
use domain::ids::IdKey;
use domain::shard::Shard;
use rdkafka::producer::FutureProducer;
use runtime::config::Settings;
use runtime::health::Watch;
use runtime::patience::Attempts;
use runtime::shutdown::Shutdown;
use runtime::store::{log, person, session};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, PgPool};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How long a batch is tried again while the process ends; otherwise what passes is waited for without end, since a restart would not heal
/// it. What is not committed is repeated by the next owner.
const LAST_PATIENCE: Duration = Duration::from_secs(3);
/// How long attempts may fail before readiness shows it: a collision of two writers is no trouble.
const HICCUP: Duration = Duration::from_secs(1);

/// How a writer works.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Entries a batch holds at most.
    pub batch_rows: usize,
    /// How long the first entry of a batch waits for others.
    pub batch_wait: Duration,
    /// The key of identifiers.
    pub key: IdKey,
    /// What decisions come to, and policies.
    pub cache: Cache,
    /// Where the store is.
    pub database: PgConnectOptions,
    /// Where the brokers are.
    pub settings: Arc<Settings>,
}

/// A connection that owns the writer's shards.
struct Link {
    connection: PgConnection,
    backend: i32,
    /// Nothing was relayed over it yet.
    is_new: bool,
}

/// A writer's state between batches.
pub struct Writer {
    plan: Plan,
    pool: PgPool,
    producer: FutureProducer,
    link: Option<Link>,
    /// The backend that owns the shards: of the link in hand, or of the last one.
    backend: Option<i32>,
    shards: BTreeSet<Shard>,
    /// Shards with persons due, as far as is known.
    due: BTreeSet<Shard>,
    /// Shards with passes that are not done, as far as is known.
    passes: BTreeSet<Shard>,
    /// Months whose part of the source log exists.
    months: BTreeSet<Month>,
    halts: Halts,
    watch: Watch,
    shutdown: Shutdown,
}

impl Writer {
    /// A writer without shards yet.
    pub fn new(plan: Plan, pool: PgPool, producer: FutureProducer, halts: Halts, watch: Watch, shutdown: Shutdown) -> Self {
        Self {
            plan,
            pool,
            producer,
            link: None,
            backend: None,
            shards: BTreeSet::new(),
            due: BTreeSet::new(),
            passes: BTreeSet::new(),
            months: BTreeSet::new(),
            halts,
            watch,
            shutdown,
        }
    }

    /// Works until the consumer has gone.
    ///
    /// # Errors
    /// When another process owns one of the shards, entries are missing, or the database refuses for good what is no entry's fault.
    pub async fn run(mut self, mut handed: mpsc::Receiver<Handed>) -> anyhow::Result<()> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            self.try_again().await?;
            let next = if self.due.is_empty() && self.passes.is_empty() {
                match tokio::time::timeout(self.halts.pause(), handed.recv()).await {
                    Ok(next) => next,
                    Err(_) => continue,
                }
            } else {
                // Dates and passes are worked off behind live traffic: whatever waits in the log goes first.
                match handed.try_recv() {
                    Ok(next) => Some(next),
                    Err(mpsc::error::TryRecvError::Empty) => {
                        self.work().await?;
                        continue;
                    }
                    Err(mpsc::error::TryRecvError::Disconnected) => None,
                }
            };
            let Some(first) = next else { return Ok(()) };
            let mut after = None;
            match first {
                Handed::Entry(entry) => {
                    entries.push(entry);
                    after = collect(&mut handed, &mut entries, &self.plan).await;
                    entries.retain(|entry| !self.halts.leaves_alone(entry.shard));
                }
                other => after = after.or(Some(other)),
            }
            if !entries.is_empty() {
                self.apply(&entries).await?;
                entries.clear();
            }
            match after {
                Some(Handed::Assigned(shards)) => self.assigned(shards).await?,
                Some(Handed::Revoked(shards, done)) => self.revoked(&shards, done),
                Some(Handed::Again(shard)) => self.halts.read_again(shard),
                Some(Handed::Entry(_)) | None => {}
            }
        }
    }

    async fn assigned(&mut self, shards: BTreeSet<Shard>) -> anyhow::Result<()> {
        self.halts.forget(&shards);
        self.due.extend(&shards);
        self.passes.extend(&shards);
        self.shards.extend(shards);
        self.link = None;
        self.backend = None;
        runtime::failpoint::reach("registry.taken");
        let mut attempts = Attempts::new(Instant::now());
        let relayed = loop {
            self.watch.begin("shards are taken over");
            match self.take_over().await {
                Ok(relayed) => break relayed,
                Err(failure) => self.again(failure, &mut attempts, "shards are not taken over").await?,
            }
        };
        self.watch.moved();
        tracing::info!(shards = self.shards.len(), relayed, "shards taken over");
        Ok(())
    }

    async fn take_over(&mut self) -> Result<usize, Failure> {
        let mut link = self.link().await?;
        // What the last owner committed but did not relay comes before anything new.
        let relayed = relay::relay(&mut link.connection, &self.producer, &self.shards).await?;
        link.is_new = false;
        self.link = Some(link);
        Ok(relayed)
    }

    fn revoked(&mut self, shards: &BTreeSet<Shard>, done: oneshot::Sender<()>) {
        self.halts.forget(shards);
        self.shards.retain(|shard| !shards.contains(shard));
        self.due.retain(|shard| !shards.contains(shard));
        self.passes.retain(|shard| !shards.contains(shard));
        // The consumer may have stopped waiting.
        let _ = done.send(());
    }

    /// Applies entries. Where they are refused for good they are halved, until the entry at fault fails alone: its shard waits there, all
    /// else is applied.
    async fn apply(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        if self.patiently(entries, self.beside(entries.len())).await?.is_ok() {
            return Ok(());
        }
        // Without what was done beside them: that may be at fault.
        let mut halving = Halving::new(entries.iter().map(|entry| entry.shard));
        while let Some(piece) = halving.to_try() {
            let piece: Vec<Entry> = piece.iter().map(|at| entries[*at].clone()).collect();
            let applied = self.patiently(&piece, Beside::default()).await?;
            match applied {
                Ok(()) => halving.done(),
                Err(failure) => {
                    if let Some(at) = halving.failed() {
                        self.wait_at(&entries[at], failure.cause()).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Dates and passes, beside no entries.
    async fn work(&mut self) -> anyhow::Result<()> {
        let done = self.patiently(&[], self.beside(0)).await?;
        done.context("dates and passes are not worked off")
    }

    /// Tries the entries that shards wait at, where that may help.
    async fn try_again(&mut self) -> anyhow::Result<()> {
        let entries = match self.halts.to_try(&self.pool).await {
            Err(error) if session::is_passing(&error) => return Ok(()),
            entries => entries.context("looking for statements on entries that cannot be applied")?,
        };
        for entry in entries {
            match self.patiently(std::slice::from_ref(&entry), Beside::default()).await? {
                Ok(()) => self.halts.go_on(&entry),
                Err(failure) => self.wait_at(&entry, failure.cause()).await?,
            }
        }
        Ok(())
    }

    /// A shard waits at an entry from now on; waits for a database that is away.
    async fn wait_at(&mut self, entry: &Entry, cause: String) -> anyhow::Result<()> {
        let mut attempts = Attempts::new(Instant::now());
        while let Err(error) = self.halts.wait_at(&self.pool, entry, cause.clone()).await {
            self.again(error.into(), &mut attempts, "an entry that cannot be applied is not kept")
                .await?;
        }
        Ok(())
    }

    /// Applies entries as one batch; tries again on a new connection while database or brokers are not able to. What may be one entry's
    /// fault is handed back.
    async fn patiently(&mut self, entries: &[Entry], beside: Beside) -> anyhow::Result<Result<(), Failure>> {
        let mut attempts = Attempts::new(Instant::now());
        loop {
            self.watch.begin("a batch is applied");
            let failure = match self.attempt(entries, &beside).await {
                Ok(()) => {
                    self.watch.moved();
                    return Ok(Ok(()));
                }
                Err(failure) if failure.is_of_an_entry() => {
                    self.watch.rest();
                    self.link = None;
                    return Ok(Err(failure));
                }
                Err(failure) => failure,
            };
            metrics::counter!("canbao_registry_batch_retries_total").increment(1);
            self.again(failure, &mut attempts, "a batch is not applied").await?;
        }
    }

    /// Pauses before another attempt, which will be on a new connection; hands the failure back when it does not pass, or the process is
    /// to end.
    async fn again(&mut self, failure: Failure, attempts: &mut Attempts, what: &'static str) -> anyhow::Result<()> {
        let cause = match &failure {
            Failure::Again { source, .. } => session::explain_any(source),
            _ => return Err(failure).context(what),
        };
        let now = Instant::now();
        if attempts.is_news(&cause, now) {
            tracing::warn!(cause, seconds = attempts.lasted(now).as_secs(), "{what}; trying again");
        }
        if attempts.lasted(now) > HICCUP {
            self.watch.fail(format!("{what}: {cause}"));
        }
        self.link = None;
        let pause = attempts.pause();
        if !self.shutdown.requested() {
            self.shutdown.sleep(pause).await;
        } else if attempts.lasted(now) > LAST_PATIENCE {
            return Err(failure).context(what);
        } else {
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    async fn attempt(&mut self, entries: &[Entry], beside: &Beside) -> Result<(), Failure> {
        for entry in entries {
            let month = Day(entry.logged_at.div_euclid(86_400_000) as i32).month();
            if !self.months.contains(&month) {
                log::ensure_month(&self.pool, entry.logged_at).await?;
                self.months.insert(month);
            }
        }
        runtime::failpoint::reach("registry.begun");
        let started = Instant::now();
        let mut link = self.link().await?;
        let (key, cache) = (&self.plan.key, &self.plan.cache);
        let applied = batch::apply(&mut link.connection, key, cache, link.backend, beside.clone(), entries).await?;
        self.due.retain(|shard| !beside.due.contains(shard));
        self.due.extend(&applied.due);
        self.passes.retain(|shard| Some(*shard) != beside.pass);
        self.passes.extend(&applied.passes);
        observe(&applied, entries.len(), started);
        if applied.messages > 0 || link.is_new {
            self.watch.begin("messages between shards are relayed");
            // After a new connection, also what a batch of the last one may have committed without our learning of it.
            relay::relay(&mut link.connection, &self.producer, &self.shards).await?;
            link.is_new = false;
        }
        // A connection that failed above is dropped with its locks; a new one takes the shards over.
        self.link = Some(link);
        Ok(())
    }

    /// What a batch of so many entries does beside them: one shard's slice at a time, persons due before passes, and nothing of a pass
    /// while entries queue up.
    fn beside(&self, entries: usize) -> Beside {
        let due: BTreeSet<Shard> = self.due.iter().copied().take(1).collect();
        let is_free = due.is_empty() && entries < self.plan.batch_rows;
        let pass = self.passes.first().copied().filter(|_| is_free);
        Beside {
            due,
            pass,
            is_logged: false,
        }
    }

    /// The connection in hand, or a new one that takes the shards over.
    async fn link(&mut self) -> Result<Link, Failure> {
        if let Some(link) = self.link.take() {
            return Ok(link);
        }
        let mut connection = self.plan.database.connect().await?;
        prepare(&mut connection).await?;
        behind::check(&mut connection, &self.plan.settings, &self.shutdown).await?;
        match self.backend {
            // Only a group's assignment takes shards from others; who lost its connection goes on only where nobody took over since.
            Some(before) => owner::renew(&mut connection, &self.shards, before).await?,
            None => owner::take(&mut connection, &self.shards).await?,
        }
        let backend = owner::backend(&mut connection).await?;
        self.backend = Some(backend);
        Ok(Link {
            connection,
            backend,
            is_new: true,
        })
    }
}

/// Makes a connection ready for batches.
pub(crate) async fn prepare(connection: &mut PgConnection) -> sqlx::Result<()> {
    for statement in SETTINGS {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    for table in person::UPDATED {
        sqlx::query(AssertSqlSafe(table.make_temporary()))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Every statement finds its rows by key; a plan made while a table was small must not scan it when it is large.
const SETTINGS: [&str; 3] = [
    "set enable_seqscan = off",
    "set enable_hashjoin = off",
    "set enable_mergejoin = off",
];

/// Fills a batch until it is full, the wait is over, or something other than an entry comes.
async fn collect(handed: &mut mpsc::Receiver<Handed>, entries: &mut Vec<Entry>, plan: &Plan) -> Option<Handed> {
    let deadline = tokio::time::Instant::now() + plan.batch_wait;
    while entries.len() < plan.batch_rows {
        match tokio::time::timeout_at(deadline, handed.recv()).await {
            Ok(Some(Handed::Entry(entry))) => entries.push(entry),
            Ok(Some(other)) => return Some(other),
            Ok(None) | Err(_) => return None,
        }
    }
    None
}

fn observe(applied: &Applied, entries: usize, started: Instant) {
    metrics::histogram!("canbao_registry_batch_seconds").record(started.elapsed().as_secs_f64());
    metrics::counter!("canbao_registry_batches_total").increment(1);
    for (outcome, count) in &applied.outcomes {
        metrics::counter!("canbao_registry_entries_total", "outcome" => *outcome).increment(*count);
    }
    metrics::counter!("canbao_registry_messages_total").increment(applied.messages as u64);
    metrics::counter!("canbao_registry_events_total").increment(applied.events as u64);
    tracing::debug!(
        entries,
        events = applied.events,
        messages = applied.messages,
        millis = started.elapsed().as_millis() as u64,
        "batch"
    );
}
