//! The clock (时钟服务): everything the shards are told that is no record: business dates, completeness, go-live, snapshots.
//!
//! It alone reads the wall clock; what follows from it enters the base as an input of every shard (ARCHITECTURE.md, Inputs). All
//! it sends is idempotent and is sent again when in doubt, so that it can be restarted at any point, and two at once do no harm.
//! The decisions are pure ([`scope`], [`row`], [`track`], [`why`], [`pass`], [`decide`], [`notification`]), the loops around them are thin.

mod completeness;
mod date;
pub mod decide;
mod ends;
mod log;
pub mod notification;
pub mod pass;
mod reader;
pub mod row;
mod rows;
pub mod scope;
mod snapshots;
mod statements;
mod store;
pub mod track;
pub mod why;

use anyhow::Context;
use domain::date::Timestamp;
use domain::policy::Policy;
use runtime::config::Settings;
use runtime::dialect::Dialects;
use runtime::kafka::admin::ensure_topics_patiently;
use runtime::kafka::{topics, watch_brokers};
use runtime::patience::wait_out;
use runtime::service::Service;
use runtime::store::session;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// What the loops share.
#[derive(Clone)]
struct Shared {
    settings: Settings,
    dialects: Arc<Dialects>,
    store: store::Store,
    log: log::ShardLog,
    ends: ends::Ends,
    scope: Arc<Vec<domain::source::Source>>,
    /// How far a source's clock may be ahead of ours, in milliseconds.
    tolerance: i64,
}

/// Runs until shutdown.
///
/// # Errors
/// When settings, policy, dialects, database or topics are not as they must be, or a loop cannot go on.
pub async fn run(mut service: Service) -> anyhow::Result<()> {
    let settings = service.settings.clone();
    let policy = read_policy(&settings)?;
    let dialects = Arc::new(Dialects::load(&settings.dialects)?);
    let scope = Arc::new(scope::sources(&settings.clock.sources, &policy));
    anyhow::ensure!(
        !scope.is_empty(),
        "no source is in scope: see clock.sources and the policy's [scope]"
    );
    settings.database_url()?;
    watch_brokers(&settings, service.health.check("kafka"), service.shutdown.clone())?;
    let postgres = service.health.check("postgres");
    let Some(store) = store::Store::connect(&settings, postgres, &mut service.shutdown).await? else {
        return Ok(());
    };
    let known = wait_out(
        "reading the clock's tables",
        &mut service.shutdown,
        session::is_passing,
        async || Ok((store.progress().await?, store.business_date().await?)),
    );
    let known = known.await.context("reading the clock's tables: is the database migrated?")?;
    let Some((progress, date)) = known else { return Ok(()) };
    let prepared = ensure_topics_patiently(&settings, &[topics::person_records()], &mut service.shutdown).await;
    if !prepared.context("preparing person.records")? {
        return Ok(());
    }
    let shared = Shared {
        log: log::ShardLog::new(&settings, service.health.watch("progress"))?,
        ends: ends::Ends::new(&settings, dialects.clone())?,
        dialects,
        store,
        scope,
        tolerance: i64::from(policy.release.tolerance_millis),
        settings,
    };
    tracing::info!(sources = shared.scope.len(), "sources in scope");

    let mut loops = JoinSet::new();
    let rows = rows::start(&shared, &service.shutdown)?;
    loops.spawn(completeness::run(shared.clone(), progress, rows, service.shutdown.clone()));
    let check = service.health.check("business date");
    loops.spawn(date::run(shared.clone(), date, check, service.shutdown.clone()));
    loops.spawn(statements::run(shared.clone(), service.shutdown.clone()));
    loops.spawn(snapshots::run(shared, service.shutdown.clone()));
    let mut result = Ok(());
    while let Some(ended) = loops.join_next().await {
        // One loop's failure ends the process: the others must not go on as if all were well.
        service.trigger.request();
        let ended = ended.context("a loop of the clock panicked").and_then(|result| result);
        result = result.and(ended);
    }
    result
}

fn read_policy(settings: &Settings) -> anyhow::Result<Policy> {
    let Some(file) = &settings.policy else {
        return Ok(Policy::embedded());
    };
    let text = std::fs::read_to_string(file).with_context(|| format!("reading the policy {}", file.display()))?;
    Policy::parse(&text).with_context(|| format!("reading the policy {}", file.display()))
}

/// The wall clock.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
