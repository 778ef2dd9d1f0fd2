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
use runtime::config::Settings;
use runtime::kafka::admin::ensure_topics;
use runtime::kafka::{topics, watch_brokers};
use runtime::outbox::{position, positions};
use runtime::service::Service;

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
    let mut database = outbox::Outbox::connect(&settings).await?;
    postgres.pass();
    let mut wanted = topics::published(&settings.topics);
    wanted.push(positions::topic());
    ensure_topics(&settings, &wanted).await.context("preparing the topics")?;

    let shards = settings.publisher.shards.shards().to_vec();
    let producer = transaction::Transactions::new(&settings)?;
    // First fence the process before us and settle its last transaction, then read how far it came.
    let fenced = tokio::task::block_in_place(|| producer.take_over(|| service.shutdown.requested()))?;
    if !fenced {
        return Ok(());
    }
    runtime::failpoint::reach("publisher.taken-over");
    let stored = tokio::task::block_in_place(|| positions::read(&settings))?;
    let book = database.book(&shards).await.context("reading the outbox")?;
    let start = position::reconcile(&shards, &stored, &book)?;
    positions_check.pass();
    tracing::info!(
        shards = shards.len(),
        epoch = book.epoch,
        known = stored.len(),
        "positions read, publishing"
    );
    publish::Publisher::new(&settings, database, producer, start, book.epoch, postgres)
        .run(&mut service.shutdown)
        .await
}
