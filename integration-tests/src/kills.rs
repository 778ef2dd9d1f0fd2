//! Kills: anything, at any moment, under load; then everything that is promised must hold.
//!
//! [`run`] lets the simulated agencies publish at a steady rate and kills, in an order that a seed draws: services (one, two or four
//! replicas of each), single sessions of the database, its backends, its postmaster, the broker; or stops a service where it stands,
//! at times so long that others take its place, and lets it go on. A supervisor starts again whatever ended by itself.
//! [`crash_at_every_point`] lets services crash at each step between what they read and what they commit.

mod crew;
mod load;
mod outage;
mod points;
mod rest;
mod restores;
mod shot;

use crate::servers::Servers;
use crate::traffic::Draw;
use anyhow::{Context, bail, ensure};
use crew::Crew;
use domain::date::Day;
use load::{Load, Volume};
pub use points::crash_at_every_point;
pub use restores::restore;
use runtime::statements::{self, GoLiveRegion, Outcome, Statement};
use shot::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The business date of the beginning, and the simulation's.
const TODAY: &str = "2025-03-03";
/// How long the first load may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// The load of the kills.
const VOLUME: Volume = Volume {
    residents: 600,
    changes_per_second: 40,
};
/// Services of which several replicas run.
const SCALED: [&str; 4] = ["registry", "human-resources", "public-security", "civil-affairs"];

/// How often, and in which order.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Kills.
    pub kills: usize,
    /// Draws everything but the time that things take.
    pub seed: u64,
}

/// Runs the kills and checks what is left; returns a summary in a line.
///
/// # Errors
/// The first thing that does not hold.
pub async fn run(servers: &mut Servers, plan: Plan) -> anyhow::Result<String> {
    let mut draw = Draw::new(plan.seed);
    let private = servers.private().is_some();
    let load = begin(servers, VOLUME, plan.seed).await?;
    let mut crew = Crew::new(servers);
    crew.say("live; the kills begin");
    if !private {
        crew.say("the servers may be somebody else's: only services are killed");
    }
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    let mut deck = Vec::new();
    let mut day: Day = TODAY.parse().context("a date")?;
    let mut ticks = Vec::new();
    for nth in 1..=plan.kills {
        crew.wait(Duration::from_millis(100 + draw.below(3_000) as u64)).await?;
        if draw.once_in(4) {
            let (service, replicas) = (*draw.pick(&SCALED), *draw.pick(&[1, 2, 4]));
            if !crew.is_frozen(service) && crew.servers.services.replicas(service) != replicas {
                crew.say(&format!("        {service}: {replicas} replicas"));
                crew.scale(service, replicas)?;
            }
        }
        if nth % 8 == 0 {
            day = Day(day.0 + 1);
            let tick =
                |pool| async move { Ok(statements::insert(&pool, &Statement::BusinessDate { day, confirmed: false }).await?) };
            ticks.push(crew.ask(tick).await?);
        }
        if deck.is_empty() {
            deck = Kind::deck(private, &mut draw);
        }
        let Some(kind) = deck.pop() else { break };
        let said = shot::fire(kind, &mut crew, &mut draw).await?;
        *counts.entry(kind).or_default() += 1;
        crew.say(&format!("{nth:3}/{} {said}", plan.kills));
    }
    crew.wait(Duration::from_secs(2)).await?;
    crew.say("the load ends");
    load.finish()?;
    crew.settle().await?;
    rest::come(&mut crew).await?;
    for tick in ticks {
        applied(&mut crew, tick).await?;
    }
    rest::come(&mut crew).await?;
    crew.say("at rest; verifying");
    let checked = rest::check(&mut crew).await?;
    let list = |counts: Vec<(&str, usize)>| {
        let counts: Vec<String> = counts.into_iter().map(|(name, count)| format!("{count} {name}")).collect();
        counts.join(", ")
    };
    let kinds = list(counts.iter().map(|(kind, count)| (kind.name(), *count)).collect());
    let exits = list(crew.exits().iter().map(|(name, count)| (*name, *count)).collect());
    Ok(format!(
        "{} kills ({kinds}): zero differences; {} log rows, {} persons, {} findings open and announced, {} alerts, each once; \
         ended by themselves and started again: {}",
        plan.kills,
        checked.log,
        checked.persons,
        checked.open,
        checked.alerts,
        if exits.is_empty() { "none" } else { &exits }
    ))
}

/// Starts services and load, and goes live as soon as the first load is complete.
async fn begin(servers: &mut Servers, volume: Volume, seed: u64) -> anyhow::Result<Load> {
    servers.begin(&BTreeSet::new()).await?;
    let day: Day = TODAY.parse().context("a date")?;
    servers.state(&Statement::BusinessDate { day, confirmed: false }).await?;
    let load = Load::start(servers, volume, seed, TODAY)?;
    let deadline = Instant::now() + PATIENCE;
    // What is open in the first load is the baseline.
    while !load.is_loaded()? {
        ensure!(
            Instant::now() < deadline,
            "the first load is not published after {PATIENCE:?}, see simulator.log"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    loop {
        servers.heartbeat(&BTreeSet::new())?;
        let id = statements::insert(&servers.pool, &Statement::GoLive(GoLiveRegion::All)).await?;
        match statements::wait(&servers.pool, id, PATIENCE).await? {
            Some(Outcome::Applied) => return Ok(load),
            Some(Outcome::Refused(reason)) => ensure!(Instant::now() < deadline, "not live after {PATIENCE:?}: {reason}"),
            None => bail!("go-live was not answered"),
        }
        servers.services.check_alive()?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Waits until every shard has applied a statement.
async fn applied(crew: &mut Crew<'_>, id: i64) -> anyhow::Result<()> {
    let outcome = crew
        .ask(|pool| async move { Ok(statements::wait(&pool, id, PATIENCE).await?) })
        .await?;
    ensure!(outcome == Some(Outcome::Applied), "a business date came to {outcome:?}");
    Ok(())
}
