//! Failpoints: a service crashes at each step in turn, under load, and what it left is taken up by its next life.

use super::crew::Crew;
use super::load::Volume;
use super::{begin, rest};
use crate::encode::Message;
use crate::servers::{Replica, SERVICES, Servers};
use crate::traffic::Draw;
use anyhow::{Context, ensure};
use domain::source::{Agency, Source};
use runtime::failpoint::POINTS;
use sqlx::Row;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// How long a service may take until it comes to a point.
const PATIENCE: Duration = Duration::from_secs(45);
/// SIGABRT.
const ABORTED: i32 = 6;
/// The load of the crashes.
const VOLUME: Volume = Volume {
    residents: 300,
    changes_per_second: 60,
};
/// The services whose members keep their place in the group: the next life of one that crashed takes it up at once, instead of
/// waiting until the group takes the last one for dead.
const MEMBERS: [&str; 4] = ["public-security", "civil-affairs", "human-resources", "registry"];
/// Points that a life passes once, at its beginning.
const ONCE: [&str; 2] = ["registry.taken", "publisher.taken-over"];

/// Crashes at every point once; returns a summary in a line.
///
/// # Errors
/// When a point is never reached, or the first thing that does not hold.
pub async fn crash_at_every_point(servers: &mut Servers, seed: u64) -> anyhow::Result<String> {
    let mut draw = Draw::new(seed);
    for service in MEMBERS {
        let file = servers.services.logs().join(format!("{service}.toml"));
        std::fs::write(&file, format!("[kafka_properties]\n\"group.instance.id\" = \"{service}\"\n"))?;
        let file = file.to_str().context("a path that is text")?;
        servers.services.set(service, "CANBAO_CONFIG", Some(file));
    }
    let load = begin(servers, VOLUME, seed).await?;
    let mut crew = Crew::new(servers);
    crew.say("live; the crashes begin");
    let mut before = positions(&mut crew).await?;
    for (nth, point) in POINTS.into_iter().enumerate() {
        let replica = (service_of(point)?, 1);
        // Not always at the first pass: what the last life left is taken up first.
        let passes = if ONCE.contains(&point) { 0 } else { draw.below(4) };
        let action = match passes {
            0 => "return".to_owned(),
            passes => format!("{passes}*off->return"),
        };
        crew.last_words(replica);
        crew.servers
            .services
            .set(replica.0, "FAILPOINTS", Some(&format!("{point}={action}")));
        crew.crash(replica)?;
        crew.servers.services.set(replica.0, "FAILPOINTS", None);
        if point == "normaliser.diverted" {
            (0..4).try_for_each(|nth| unreadable(crew.servers, nth))?;
        }
        died_at(&mut crew, replica, point).await?;
        crew.servers.services.start(replica)?;
        let now = positions(&mut crew).await?;
        for (shard, position) in &before {
            ensure!(
                now.get(shard).is_some_and(|now| now >= position),
                "shard {shard} fell behind {position}"
            );
        }
        before = now;
        crew.say(&format!("{:3}/{} {point}, after {passes} passes", nth + 1, POINTS.len()));
    }
    crew.say("the load ends");
    load.finish()?;
    crew.settle().await?;
    rest::come(&mut crew).await?;
    rest::come(&mut crew).await?;
    crew.say("at rest; verifying");
    let checked = rest::check(&mut crew).await?;
    ensure!(crew.exits().is_empty(), "services ended by themselves: {:?}", crew.exits());
    Ok(format!(
        "crashed at each of {} points: zero differences; {} log rows, {} persons, {} findings open and announced, {} alerts, each once",
        POINTS.len(),
        checked.log,
        checked.persons,
        checked.open,
        checked.alerts
    ))
}

fn service_of(point: &str) -> anyhow::Result<&'static str> {
    let prefix = point.split('.').next().unwrap_or_default();
    let name = if prefix == "normaliser" { "human-resources" } else { prefix };
    let found = SERVICES.into_iter().find(|service| *service == name);
    found.with_context(|| format!("{point} belongs to no service"))
}

async fn died_at(crew: &mut Crew<'_>, replica: Replica, point: &str) -> anyhow::Result<()> {
    let ended = crew.await_crash(replica, PATIENCE).await;
    let status = ended.with_context(|| format!("{point} was not reached"))?;
    let said = crew.last_words(replica);
    ensure!(
        status.signal() == Some(ABORTED) && said == format!("failpoint {point}"),
        "{} ended with {status} instead of crashing at {point}: {said}",
        replica.0
    );
    Ok(())
}

/// A row of human resources that is no JSON.
fn unreadable(servers: &Servers, nth: u32) -> anyhow::Result<()> {
    servers.publish(&Message {
        on: super::TODAY.parse().context("a date")?,
        source: Source {
            agency: Agency::HUMAN_RESOURCES,
            city: "3201".parse().ok().context("a city")?,
        },
        table: "ac02".to_owned(),
        partition: 0,
        key: format!("{{\"baz001\":{}}}", 900_000_000 + nth).into_bytes(),
        value: Some(b"{".to_vec()),
        chain: String::new(),
    })
}

/// How far each shard is.
async fn positions(crew: &mut Crew<'_>) -> anyhow::Result<BTreeMap<i16, i64>> {
    crew.ask(|pool| async move {
        let rows = sqlx::query("select shard, position from store.shard")
            .fetch_all(&pool)
            .await?;
        let position = |row: &sqlx::postgres::PgRow| Ok((row.try_get("shard")?, row.try_get("position")?));
        rows.iter().map(position).collect()
    })
    .await
}
