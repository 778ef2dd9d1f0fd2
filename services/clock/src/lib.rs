//! The clock (时钟服务): everything the shards are told that is no record: business dates, completeness, go-live, snapshots, truncations.
//!
//! It alone reads the wall clock; what follows from it enters the base as an input of every shard (ARCHITECTURE.md, Inputs). All
//! it sends is idempotent and is sent again when in doubt, so that it can be restarted at any point, and two at once do no harm.
//! The decisions are pure ([`row`], [`track`], [`why`], [`pass`], [`decide`], [`notification`], [`nameless`], [`removal`]), the loops around them are thin.

mod completeness;
mod date;
pub mod decide;
mod ends;
mod floors;
mod log;
pub mod nameless;
pub mod notification;
pub mod pass;
mod passed;
mod reader;
pub mod removal;
pub mod row;
mod rows;
mod snapshots;
mod statements;
mod store;
pub mod track;
mod truncations;
pub mod why;

use anyhow::Context;
use domain::date::Timestamp;
use domain::policy::{Edition, PolicyId};
use runtime::config::Settings;
use runtime::dialect::Dialects;
use runtime::framed::Frames;
use runtime::health::Check;
use runtime::kafka::admin::ensure_topics_patiently;
use runtime::kafka::{topics, watch_brokers};
use runtime::patience::wait_out;
use runtime::service::Service;
use runtime::shutdown::Shutdown;
use runtime::store::read::ReadError;
use runtime::store::session;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// What the loops share.
#[derive(Clone)]
struct Shared {
    settings: Settings,
    dialects: Arc<Dialects>,
    frames: Arc<Frames>,
    store: store::Store,
    log: log::ShardLog,
    ends: ends::Ends,
    /// The policy that scope and tolerance are of.
    policy: PolicyId,
    scope: Arc<Vec<domain::source::Source>>,
    /// How far a source's clock may be ahead of ours, in milliseconds.
    tolerance: i64,
    /// What a floor may remove without being confirmed.
    removal: removal::Unasked,
}

/// Runs until shutdown: under the policy that is in force, and from the start again when a newer one is.
///
/// # Errors
/// When settings, policy, dialects, database or topics are not as they must be, or a loop cannot go on.
pub async fn run(mut service: Service) -> anyhow::Result<()> {
    let settings = service.settings.clone();
    let dialects = Arc::new(Dialects::load(&settings.dialects)?);
    let frames = Arc::new(Frames::configured(&settings, tokio::runtime::Handle::current())?);
    settings.database_url()?;
    watch_brokers(&settings, service.health.check("kafka"), service.shutdown.clone())?;
    let postgres = service.health.check("postgres");
    let Some(store) = store::Store::connect(&settings, postgres, &mut service.shutdown).await? else {
        return Ok(());
    };
    let prepared = ensure_topics_patiently(&settings, &[topics::person_records()], &mut service.shutdown).await;
    if !prepared.context("preparing person.records")? {
        return Ok(());
    }
    let log = log::ShardLog::new(&settings, service.health.watch("progress"))?;
    let ends = ends::Ends::new(&settings, dialects.clone(), frames.clone())?;
    let date_check = service.health.check("business date");
    let removal_check = service.health.check("removals");
    let topics_check = service.health.check("source topics");
    while !service.shutdown.requested() {
        let Some(policy) = policy(&store, &mut service.shutdown).await? else {
            break;
        };
        let scope = settings.clock.sources.under(policy.policy());
        anyhow::ensure!(
            !scope.is_empty(),
            "no source is in scope: see clock.sources and [scope] of policy version {}",
            policy.id().version
        );
        tracing::info!(sources = scope.len(), policy = policy.id().version, "sources in scope");
        let shared = Shared {
            settings: settings.clone(),
            dialects: dialects.clone(),
            frames: frames.clone(),
            store: store.clone(),
            log: log.clone(),
            ends: ends.clone(),
            policy: policy.id(),
            scope: Arc::new(scope),
            tolerance: i64::from(policy.policy().release.tolerance_millis),
            removal: removal::Unasked::of(policy.policy()),
        };
        under_one_policy(shared, [&date_check, &removal_check, &topics_check], &mut service.shutdown).await?;
    }
    Ok(())
}

/// The newest policy that was stated; `None` when asked to end before it is known.
async fn policy(store: &store::Store, shutdown: &mut Shutdown) -> anyhow::Result<Option<Arc<Edition>>> {
    let passes = |error: &ReadError| matches!(error, ReadError::Database(error) if session::is_passing(error));
    let read = wait_out("reading the policy", shutdown, passes, async || store.policy(None).await);
    match read.await.context("reading the policy: is the database migrated?")? {
        Some(stated) => stated.map(Some).context("no policy was stated yet: run `canbao migrate`"),
        None => Ok(None),
    }
}

/// Runs the loops until shutdown, or until every shard stands under a newer policy.
async fn under_one_policy(
    shared: Shared,
    [date_check, removal_check, topics_check]: [&Check; 3],
    shutdown: &mut Shutdown,
) -> anyhow::Result<()> {
    let known = wait_out("reading the clock's tables", shutdown, session::is_passing, async || {
        Ok((shared.store.progress().await?, shared.store.business_date().await?))
    });
    let known = known.await.context("reading the clock's tables: is the database migrated?")?;
    let Some((progress, date)) = known else { return Ok(()) };
    let (end, until) = Shutdown::manual();
    let rows = rows::start(&shared, &until)?;
    let mut loops = JoinSet::new();
    loops.spawn(completeness::run(
        shared.clone(),
        progress,
        rows,
        topics_check.clone(),
        until.clone(),
    ));
    loops.spawn(date::run(shared.clone(), date, date_check.clone(), until.clone()));
    loops.spawn(statements::run(shared.clone(), end.clone(), until.clone()));
    loops.spawn(truncations::run(shared.clone(), until.clone()));
    loops.spawn(removal::run(shared.clone(), removal_check.clone(), until.clone()));
    loops.spawn(snapshots::run(shared, until));
    let mut result = Ok(());
    loop {
        let ended = tokio::select! {
            () = shutdown.wait(), if !shutdown.requested() => {
                end.request();
                continue;
            }
            ended = loops.join_next() => ended,
        };
        let Some(ended) = ended else { return result };
        // One loop's failure ends the process: the others must not go on as if all were well.
        end.request();
        let ended = ended.context("a loop of the clock panicked").and_then(|result| result);
        result = result.and(ended);
    }
}

/// The wall clock.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
