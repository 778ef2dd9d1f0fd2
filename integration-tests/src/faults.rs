//! Servers that are slow, stopped, locked or read-only for a while: what depends on them waits, says what it waits for and what to do about
//! it, loses and repeats nothing, and goes on.
//!
//! Not kills: nothing dies here, and nothing may.

mod population;
pub mod probe;
mod pulses;

use crate::servers::{SERVICES, Servers, TESTER};
use anyhow::{Context, bail, ensure};
use population::Population;
use probe::Probes;
use pulses::{Pulses, freeze};
use runtime::kafka::TRANSACTION_TIMEOUT;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long anything may take once its server is well again: two cores, and a debug build.
const PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// A first load on a broker that is stopped nearly all of the time.
///
/// # Errors
/// When it gives up, or a row is missing, repeated or out of order.
pub async fn slow_broker(servers: &mut Servers) -> anyhow::Result<String> {
    let state = servers
        .private()
        .map(Path::to_owned)
        .context("these servers are somebody else's")?;
    let population = Population::draw()?;

    // What a client does that gives messages up: otherwise the pulses would prove nothing.
    servers.reset(population::PARTITIONS).await?;
    let impatient = population::start(servers, "impatient", &["--kafka-property", "delivery.timeout.ms=1500"])?;
    let pulses = Pulses::start(&state)?;
    let ended = impatient.wait()?;
    drop(pulses);
    ensure!(
        !ended.success,
        "messages that are given up after 1.5 s were all delivered: the broker was not slow"
    );
    let lines: Vec<&str> = ended.log.lines().filter(|line| line.contains("did not take")).collect();
    ensure!(lines.len() == 1, "the refusal is said once, with its cause: {}", ended.log);
    ensure!(
        lines[0].contains("start the simulation again"),
        "without what to do: {}",
        lines[0]
    );

    servers.reset(population::PARTITIONS).await?;
    let patient = population::start(servers, "patient", &[])?;
    let pulses = Pulses::start(&state)?;
    let ended = patient.wait()?;
    let stops = pulses.stop();
    ensure!(ended.success, "the simulator gave up: {}", ended.log);
    let published = servers.read_all(|topic| topic.contains(".public."))?;
    let rows = population.compare(&published)?;
    Ok(format!(
        "slow broker: {rows} rows once and in order, through {stops} stops of the broker"
    ))
}

/// Services that are started while the broker is stopped, and then work while the database is locked and read-only.
///
/// # Errors
/// When one ends, is ready although it cannot work, does not say what to do, or does not go on.
pub async fn services(servers: &mut Servers) -> anyhow::Result<String> {
    let state = servers
        .private()
        .map(Path::to_owned)
        .context("these servers are somebody else's")?;
    let probes = Probes::set(servers)?;
    for normaliser in &SERVICES[..3] {
        servers.services.set(normaliser, "CANBAO_REGIONS", Some("3201,3202"));
    }

    // Started while the broker answers nothing.
    let frozen = freeze(&state)?;
    for service in SERVICES {
        servers.services.start((service, 1))?;
    }
    until(servers, "every service says that it waits", || {
        Ok(SERVICES
            .iter()
            .all(|service| probes.is_live(service) && !probes.is_ready(service)))
    })
    .await?;
    // Longer than the requests' timeouts, so that they have failed.
    tokio::time::sleep(Duration::from_secs(15)).await;
    servers.services.check_alive()?;
    let page = probes.get("human-resources", "/metrics")?;
    ensure!(
        !page.contains("\ncanbao_normaliser_lag_messages{"),
        "lag is claimed without an assignment"
    );
    drop(frozen);
    ready(servers, &probes).await?;
    until(servers, "lag is known", || {
        let page = probes.get("human-resources", "/metrics")?;
        Ok(page.contains("\ncanbao_normaliser_lag_messages{"))
    })
    .await?;
    let before = wait_applied(servers, 1).await?;

    expired(servers, &state).await?;
    locked(servers, &probes).await?;
    let before = wait_applied(servers, before + 1).await?;
    read_only(servers, &probes).await?;
    let after = wait_applied(servers, before + 1).await?;
    ready(servers, &probes).await?;
    servers.services.stop()?;
    Ok(format!(
        "services: {after} entries applied, through a stopped broker, a lock and a read-only database"
    ))
}

/// The broker stands still for longer than a transaction may last, while one is open: everybody goes on afterwards.
async fn expired(servers: &mut Servers, state: &Path) -> anyhow::Result<()> {
    // Rows of the first load are on their way out: a transaction is open at nearly every moment.
    let frozen = freeze(state)?;
    tokio::time::sleep(TRANSACTION_TIMEOUT + Duration::from_secs(15)).await;
    drop(frozen);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let waiting: i64 = sqlx::query_scalar("select count(*) from store.outbox")
            .fetch_one(&servers.pool)
            .await?;
        servers.services.check_alive()?;
        if waiting == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{waiting} rows are not published");
        tokio::time::sleep(LOOK).await;
    }
}

/// Somebody's open transaction holds the base; what readiness says to do is done.
async fn locked(servers: &mut Servers, probes: &Probes) -> anyhow::Result<()> {
    let mut blocker = servers
        .pool
        .connect_options()
        .as_ref()
        .clone()
        .application_name("somebody's editor")
        .connect()
        .await?;
    sqlx::query("begin").execute(&mut blocker).await?;
    sqlx::query("lock table store.person in access exclusive mode")
        .execute(&mut blocker)
        .await?;
    population::repeat(servers)?;
    until(servers, "the lock shows in readiness", || {
        Ok(probes.problems("registry").contains("another session holds a lock"))
    })
    .await?;
    ensure!(probes.is_live("registry"), "liveness depends on the database");
    // The commands stand between backquotes, once for each writer.
    let said = probes.problems("registry");
    let mut commands = said.split('`').skip(1).step_by(2);
    let (Some(find), Some(end)) = (commands.next(), commands.next()) else {
        bail!("no two commands in: {said}")
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found: Option<(i32, String)> =
            sqlx::query_as(AssertSqlSafe(format!("select pid, application_name from ({find}) as f")))
                .fetch_optional(&servers.pool)
                .await?;
        // Between two attempts nobody waits for the lock.
        if let Some((pid, name)) = found {
            ensure!(name == "somebody's editor", "{find} finds {name}");
            sqlx::query(AssertSqlSafe(end.replace("PID", &pid.to_string())))
                .execute(&servers.pool)
                .await?;
            break;
        }
        ensure!(Instant::now() < deadline, "{find} finds nobody");
        tokio::time::sleep(LOOK).await;
    }
    blocker.close().await.ok();
    until(servers, "the registry is ready again", || Ok(probes.is_ready("registry"))).await
}

/// The database takes no changes for a while, as a standby after a failover.
async fn read_only(servers: &mut Servers, probes: &Probes) -> anyhow::Result<()> {
    let url = std::env::var("CANBAO_DATABASE_URL")?;
    let options = PgConnectOptions::from_str(&url)?
        .application_name(TESTER)
        .options([("default_transaction_read_only", "off")]);
    let mut admin = PgConnection::connect_with(&options).await?;
    let set = async |admin: &mut PgConnection, statement: &'static str| -> anyhow::Result<()> {
        sqlx::query(statement).execute(&mut *admin).await?;
        sqlx::query("select pg_reload_conf()").execute(admin).await?;
        Ok(())
    };
    set(&mut admin, "alter system set default_transaction_read_only = on").await?;
    population::repeat(servers)?;
    let shown = until(servers, "the registry says that the database is read-only", || {
        Ok(probes.problems("registry").contains("read-only"))
    })
    .await;
    set(&mut admin, "alter system reset default_transaction_read_only").await?;
    shown
}

/// Waits until so many entries are applied, by all shards together; how many are.
async fn wait_applied(servers: &mut Servers, wanted: i64) -> anyhow::Result<i64> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let applied: Option<i64> = sqlx::query_scalar("select sum(position)::bigint from store.shard")
            .fetch_one(&servers.pool)
            .await?;
        if let Some(applied) = applied.filter(|applied| *applied >= wanted) {
            return Ok(applied);
        }
        servers.services.check_alive()?;
        ensure!(
            Instant::now() < deadline,
            "{applied:?} entries are applied, {wanted} were to be"
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until every service is ready; else says what those that are not say.
async fn ready(servers: &mut Servers, probes: &Probes) -> anyhow::Result<()> {
    let is_ready = |service: &str| probes.is_ready(service);
    let waited = until(servers, "every service is ready", || {
        Ok(SERVICES.iter().all(|service| is_ready(service)))
    })
    .await;
    waited.with_context(|| {
        let said = SERVICES.iter().filter(|service| !is_ready(service));
        let said = said.map(|service| format!("{service} says: {}", probes.problems(service)));
        said.collect::<Vec<_>>().join("; ")
    })
}

async fn until(servers: &mut Servers, what: &str, mut holds: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds().with_context(|| what.to_owned())? {
        servers.services.check_alive().with_context(|| what.to_owned())?;
        ensure!(Instant::now() < deadline, "not so after {PATIENCE:?}: {what}");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
