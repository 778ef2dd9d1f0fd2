//! The registry (参保登记库): applies the shards' logs to the base.
//!
//! Upstream: `person.records` (records, messages between shards, statements of the clock). Downstream: the store in PostgreSQL, whose
//! outbox the publisher reads; `person.records` again, for messages between shards. State: none but PostgreSQL's. On failure: a batch
//! that was not committed left no trace and is tried again; an entry that is refused for good stops its shard ([`halts`]); a process that lost
//! its shards to another ends.
//!
//! The folder is the pipeline: [`consume`] → [`writer`] → [`batch`] ([`give`], [`domain::batch`], `write`) → [`relay`].

pub mod batch;
pub mod behind;
pub mod consume;
pub mod entries;
pub mod failure;
pub mod give;
pub mod halts;
pub mod owner;
pub mod relay;
pub mod restore;
mod write;
pub mod writer;

use anyhow::Context;
use give::Cache;
use halts::{Halts, Rereads};
use runtime::kafka;
use runtime::service::Service;
use runtime::store::{agencies, session};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use writer::{Plan, Writer};

/// The consumer group that shares the shards out; positions are in PostgreSQL, not in the group.
const GROUP: &str = "canbao.registry";
/// Entries in hand per writer beyond a full batch: enough to fill the next one while this one commits.
const AHEAD: usize = 20_000;

/// Runs the registry until it is asked to end or a writer fails.
///
/// # Errors
/// See [`writer::Writer::run`] and [`consume::consume`].
pub async fn run(service: Service) -> anyhow::Result<()> {
    let settings = &service.settings;
    let mut shutdown = service.shutdown.clone();
    let database = session::options(settings, "canbao-registry")?;
    let aside = session::options(settings, "canbao-registry-aside")?;
    let plan = Plan {
        batch_rows: settings.registry.batch_rows as usize,
        batch_wait: Duration::from_millis(u64::from(settings.registry.batch_millis)),
        key: settings.id_key()?,
        cache: Cache::default(),
        database,
        settings: Arc::new(settings.clone()),
    };
    kafka::watch_brokers(settings, service.health.check("kafka"), service.shutdown.clone())?;
    let postgres = service.health.check("postgres");
    let connected = session::pool(&aside, 4, &postgres, &mut shutdown).await;
    let Some(pool) = connected.context("the database cannot be reached")? else {
        return Ok(());
    };
    session::watch(pool.clone(), postgres, service.shutdown.clone());
    if !agencies::agree(&pool, &mut shutdown).await? {
        return Ok(());
    }
    let topics = [kafka::topics::person_records(), runtime::outbox::positions::topic()];
    if !kafka::admin::ensure_topics_patiently(settings, &topics, &mut shutdown).await? {
        return Ok(());
    }
    let (stop, stopped) = watch::channel(false);
    let mut senders = Vec::new();
    let mut writers = tokio::task::JoinSet::new();
    let mut failure = None;
    let rereads = Rereads::default();
    for number in 1..=settings.registry.writers.max(1) {
        let (sender, receiver) = mpsc::channel(AHEAD);
        senders.push(sender);
        // A message that expires alone would let later ones pass it, and the receiver would take it for a repeat: none expires.
        let mut producer = kafka::idempotent_producer(settings, "registry-relay");
        producer
            .set("delivery.timeout.ms", "0")
            .set("enable.gapless.guarantee", "true");
        let producer = producer.create().context("the relay's producer could not be made")?;
        let watch = service.health.watch(format!("progress of writer {number}"));
        let halts = Halts::new(rereads.clone(), service.health.check(format!("entries of writer {number}")));
        writers.spawn(Writer::new(plan.clone(), pool.clone(), producer, halts, watch, service.shutdown.clone()).run(receiver));
    }
    let config = kafka::group_consumer(settings, "registry", GROUP);
    let progress = service.health.watch("progress of the consumer");
    let handle = tokio::runtime::Handle::current();
    let mut consumer =
        tokio::task::spawn_blocking(move || consume::consume(config, handle, pool, senders, rereads, &progress, &stopped));
    let mut ended = None;
    tokio::select! {
        () = shutdown.wait() => {}
        done = &mut consumer => ended = Some(done),
        Some(done) = writers.join_next() => failure = failure_of(done),
    }
    stop.send(true).ok();
    let consumed = match ended {
        Some(done) => done,
        None => consumer.await,
    };
    let consumed = consumed.context("the consumer thread ended")?;
    while let Some(done) = writers.join_next().await {
        failure = failure.or(failure_of(done));
    }
    // A writer's own error is the cause; the consumer only notices that it has gone.
    failure.map_or(consumed, Err)
}

fn failure_of(done: Result<anyhow::Result<()>, tokio::task::JoinError>) -> Option<anyhow::Error> {
    done.context("a writer panicked").and_then(|done| done).err()
}
