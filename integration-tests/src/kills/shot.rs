//! What is killed, and how.

use super::crew::Crew;
use super::outage::{Server, kill_process};
use crate::servers::{Replica, SERVICES, TESTER};
use crate::traffic::Draw;
use anyhow::Context;
use sqlx::Row;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A group takes a member for dead after ten seconds: a replica that is frozen for longer loses its partitions to others.
const TAKEOVER: std::ops::Range<u64> = 11_500..14_500;

/// Wait between two looks at a server that starts.
const LOOK: Duration = Duration::from_millis(200);

/// A kind of kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// SIGKILL to a service.
    Service,
    /// SIGSTOP to a service, SIGCONT some seconds later.
    Freeze,
    /// The same, so long that others take over: afterwards it is a zombie.
    Zombie,
    /// `pg_terminate_backend` on a session of a service.
    Session,
    /// SIGKILL to a session's backend: PostgreSQL ends all sessions and recovers.
    Backend,
    /// SIGKILL to the postmaster.
    Postmaster,
    /// SIGKILL to the broker.
    Broker,
}

impl Kind {
    /// For the summary.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Service => "services",
            Self::Freeze => "freezes",
            Self::Zombie => "zombies",
            Self::Session => "sessions",
            Self::Backend => "backends",
            Self::Postmaster => "postmaster",
            Self::Broker => "broker",
        }
    }

    /// Ten kills: each kind that is allowed, services more often than others, in a drawn order.
    pub(super) fn deck(private: bool, draw: &mut Draw) -> Vec<Self> {
        let mut deck = vec![Self::Service; 4];
        if private {
            deck.extend([
                Self::Freeze,
                Self::Zombie,
                Self::Session,
                Self::Backend,
                Self::Postmaster,
                Self::Broker,
            ]);
        } else {
            deck.extend([Self::Freeze, Self::Zombie]);
        }
        for left in (1..deck.len()).rev() {
            deck.swap(left, draw.below(left + 1));
        }
        deck
    }
}

/// Fires; says at what.
pub(super) async fn fire(kind: Kind, crew: &mut Crew<'_>, draw: &mut Draw) -> anyhow::Result<String> {
    let millis = |draw: &mut Draw, range: std::ops::Range<u64>| {
        Duration::from_millis(range.start + draw.below((range.end - range.start) as usize) as u64)
    };
    Ok(match kind {
        Kind::Service => {
            let replica = service(crew, draw, &SERVICES);
            crew.crash(replica)?;
            format!("SIGKILL {} {}", replica.0, replica.1)
        }
        Kind::Freeze => {
            let replica = service(crew, draw, &SERVICES);
            let time = millis(draw, 500..4_000);
            freeze(crew, replica, time)?
        }
        Kind::Zombie => {
            let replica = service(
                crew,
                draw,
                &["registry", "registry", "publisher", "human-resources", "public-security"],
            );
            let time = millis(draw, TAKEOVER);
            let said = freeze(crew, replica, time)?;
            if replica.0 == "publisher" {
                // One at a time publishes; the next one fences it.
                crew.start_beside(("publisher", 3 - replica.1))?;
            } else if crew.servers.services.replicas(replica.0) == 1 {
                crew.scale(replica.0, 2)?;
            }
            format!("{said}, others take over")
        }
        Kind::Session | Kind::Backend => {
            let sessions = sessions(crew).await?;
            // By name first: the normalisers have most sessions and use them least.
            let names: Vec<&String> = sessions.keys().collect();
            let name = (*draw.pick(&names)).clone();
            let pid = *draw.pick(&sessions[&name]);
            if kind == Kind::Backend {
                kill_process(pid)?;
                format!("SIGKILL a backend of PostgreSQL ({name})")
            } else {
                crew.ask(|pool| async move {
                    let ended = sqlx::query("select pg_terminate_backend($1)").bind(pid);
                    Ok(ended.execute(&pool).await.map(drop)?)
                })
                .await?;
                format!("pg_terminate_backend ({name})")
            }
        }
        Kind::Postmaster => outage(Server::Postgres, crew, millis(draw, 0..3_000)).await?,
        Kind::Broker => {
            // Sometimes so long that the services lose patience.
            let range = if draw.once_in(4) { 8_000..12_000 } else { 0..2_000 };
            outage(Server::Kafka, crew, millis(draw, range)).await?
        }
    })
}

async fn outage(server: Server, crew: &mut Crew<'_>, time: Duration) -> anyhow::Result<String> {
    let state = crew
        .servers
        .private()
        .map(Path::to_owned)
        .context("these servers are somebody else's")?;
    server.kill(&state)?;
    crew.wait(time).await?;
    let starting = tokio::task::spawn_blocking(move || server.start(&state));
    while !starting.is_finished() {
        crew.wait(LOOK).await?;
    }
    starting.await??;
    Ok(format!("SIGKILL {}, away for {:.1} s", server.name(), time.as_secs_f64()))
}

fn freeze(crew: &mut Crew<'_>, replica: Replica, time: Duration) -> anyhow::Result<String> {
    crew.freeze(replica, time)?;
    Ok(format!("SIGSTOP {} {} for {:.1} s", replica.0, replica.1, time.as_secs_f64()))
}

/// A replica of one of some services.
fn service(crew: &Crew<'_>, draw: &mut Draw, of: &[&'static str]) -> Replica {
    let service = *draw.pick(of);
    (service, 1 + draw.below(crew.servers.services.replicas(service)))
}

/// The backends of the services' sessions in the database, by name.
async fn sessions(crew: &mut Crew<'_>) -> anyhow::Result<BTreeMap<String, Vec<i32>>> {
    crew.ask(|pool| async move {
        let rows = sqlx::query(
            "select pid, application_name from pg_stat_activity
             where datname = current_database() and backend_type = 'client backend' and application_name <> $1 order by pid",
        )
        .bind(TESTER)
        .fetch_all(&pool)
        .await?;
        anyhow::ensure!(!rows.is_empty(), "no service has a session");
        let mut sessions: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for row in &rows {
            let name: String = row.try_get("application_name")?;
            let name = if name.is_empty() { "unnamed".to_owned() } else { name };
            sessions.entry(name).or_default().push(row.try_get("pid")?);
        }
        Ok(sessions)
    })
    .await
}
