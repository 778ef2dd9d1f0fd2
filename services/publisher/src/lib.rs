//! The publisher (发布服务): takes the registry's outbox to its topics, each event once for who reads committed
//! (ARCHITECTURE.md, Exactly once).
//!
//! Rows leave in the order of their sequence per shard. The position per shard travels in the same Kafka transaction as the
//! messages (topic [`positions::TOPIC`](runtime::outbox::positions::TOPIC)), so that a crash at any point neither repeats nor skips a row: what the position has
//! passed is deleted and never sent again. One process serves all shards by default; several share them by
//! `publisher.shards`, each with a `publisher.transactional_id` of its own, by which an older process of the same share is
//! fenced.
//!
//! On its health port it serves the embedded schema registry (Confluent's API, for reading), so that standard clients decode what it
//! publishes: their `schema.registry.url` is `http://` and that port. When another registry is configured, that one is to be asked.

pub mod outbox;
mod publish;
pub mod transaction;

use anyhow::Context;
use axum::Router;
use domain::shard::Shard;
use publish::Ended;
use runtime::config::Settings;
use runtime::health::{Check, Watch};
use runtime::kafka::admin::ensure_topics_patiently;
use runtime::kafka::{topics, watch_brokers};
use runtime::outbox::{position, positions};
use runtime::patience::wait_out;
use runtime::service::Service;
use runtime::shutdown::Shutdown;
use runtime::store::session;

/// What subscribers can ask on the health port: the schemas, unless a registry of their own is configured, whose ids differ.
pub fn routes(settings: &Settings) -> Router {
    if settings.schema_registry.is_some() {
        return Router::new();
    }
    runtime::schema_registry::router()
}

/// Runs until shutdown.
///
/// # Errors
/// When a topic or the database is not as it must be, when positions and outbox contradict each other, or when another
/// publisher took over.
pub async fn run(mut service: Service) -> anyhow::Result<()> {
    let settings = service.settings.clone();
    // Missing settings are reported before anything is touched.
    settings.database_url()?;
    watch_brokers(&settings, service.health.check("kafka"), service.shutdown.clone())?;
    let postgres = service.health.check("postgres");
    let positions_check = service.health.check("positions");
    let connected = outbox::Outbox::connect(&settings, &postgres, &mut service.shutdown).await?;
    let Some(database) = connected else { return Ok(()) };
    let mut wanted = topics::published(&settings.topics);
    wanted.push(positions::topic());
    let prepared = ensure_topics_patiently(&settings, &wanted, &mut service.shutdown).await;
    if !prepared.context("preparing the topics")? {
        return Ok(());
    }

    let mut seat = Seat {
        shards: settings.publisher.shards.shards().to_vec(),
        progress: service.health.watch("progress"),
        settings,
        database,
        postgres,
        positions: positions_check,
    };
    while let Some(publisher) = seat.take(&mut service.shutdown).await? {
        match publisher.run(&mut service.shutdown).await? {
            Ended::Asked => break,
            Ended::Expired => {
                tracing::warn!("the brokers were away for longer than a transaction may last: beginning again at the positions");
            }
        }
    }
    Ok(())
}

/// What a publisher begins with, again after its producer has expired.
struct Seat {
    settings: Settings,
    shards: Vec<Shard>,
    database: outbox::Outbox,
    postgres: Check,
    positions: Check,
    progress: Watch,
}

impl Seat {
    /// Fences whoever sat here before, and goes on where that one came to; `None` when asked to end first.
    async fn take(&mut self, shutdown: &mut Shutdown) -> anyhow::Result<Option<publish::Publisher>> {
        let producer = transaction::Transactions::new(&self.settings)?;
        // First fence the process before us and settle its last transaction, then read how far it came.
        let fenced = tokio::task::block_in_place(|| producer.take_over(|| shutdown.requested()))?;
        if !fenced {
            return Ok(None);
        }
        runtime::failpoint::reach("publisher.taken-over");
        let read = tokio::task::block_in_place(|| positions::read(&self.settings, || shutdown.requested()))?;
        let Some(stored) = read else { return Ok(None) };
        let book = wait_out("reading the outbox", shutdown, session::is_passing, async || {
            self.database.book(&self.shards).await
        });
        let Some(book) = book.await.context("reading the outbox")? else {
            return Ok(None);
        };
        let start = position::reconcile(&self.shards, &stored, &book)?;
        self.positions.pass();
        tracing::info!(
            shards = self.shards.len(),
            epoch = book.epoch,
            known = stored.len(),
            "positions read, publishing"
        );
        Ok(Some(publish::Publisher::new(
            &self.settings,
            self.database.clone(),
            producer,
            start,
            book.epoch,
            self.postgres.clone(),
            self.progress.clone(),
        )))
    }
}
