//! Health over HTTP: `/livez` (the process answers), `/readyz` (every named check holds), `/metrics`.
//!
//! Liveness never depends on Kafka or PostgreSQL: restarting this process does not heal them.

use crate::progress::{DEADLINE, Progress};
use crate::shutdown::Shutdown;
use crate::telemetry::Telemetry;
use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The named checks of a process; ready when all of them hold. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health {
    checks: Arc<RwLock<BTreeMap<String, Known>>>,
}

/// How a check is known.
#[derive(Debug, Clone)]
enum Known {
    /// As it was told last: what is wrong, if anything is.
    Told(Option<String>),
    /// Worked out when readiness is asked for, since a loop that is stuck tells nothing.
    Followed(Watch),
}

/// The progress of one loop, as readiness sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Watch {
    progress: Arc<Mutex<Progress>>,
}

impl Watch {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`Progress::begin`] now.
    pub fn begin(&self, doing: &'static str) {
        self.progress().begin(doing, Instant::now());
    }

    /// [`Progress::fail`]; anyone who can reach the port reads the reason.
    pub fn fail(&self, reason: impl Into<String>) {
        self.progress().fail(reason.into());
    }

    /// [`Progress::moved`] now.
    pub fn moved(&self) {
        self.progress().moved(Instant::now());
    }

    /// [`Progress::rest`].
    pub fn rest(&self) {
        self.progress().rest();
    }

    /// [`Progress::wait`] now.
    pub fn wait(&self, waiting: Option<&'static str>) {
        self.progress().wait(waiting, Instant::now());
    }
}

/// One check, set by the part of the service that knows.
#[derive(Debug, Clone)]
pub struct Check {
    health: Health,
    name: String,
}

impl Health {
    /// Adds a check that fails with "starting" until it is set.
    pub fn check(&self, name: impl Into<String>) -> Check {
        let check = Check {
            health: self.clone(),
            name: name.into(),
        };
        check.fail("starting");
        check
    }

    /// Adds a check that holds while the work of a loop moves, or there is none.
    pub fn watch(&self, name: impl Into<String>) -> Watch {
        let watch = Watch {
            progress: Arc::new(Mutex::new(Progress::new(DEADLINE))),
        };
        self.set(name.into(), Known::Followed(watch.clone()));
        watch
    }

    /// Whether every check holds.
    pub fn is_ready(&self) -> bool {
        self.problems().is_empty()
    }

    /// What is wrong, by check; empty when ready.
    pub fn problems(&self) -> Vec<(String, String)> {
        let checks = self.checks.read().unwrap_or_else(PoisonError::into_inner).clone();
        let now = Instant::now();
        let problem = |known| match known {
            Known::Told(problem) => problem,
            Known::Followed(watch) => watch.progress().problem(now),
        };
        checks
            .into_iter()
            .filter_map(|(name, known)| Some((name, problem(known)?)))
            .collect()
    }

    fn set(&self, name: String, known: Known) {
        self.checks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, known);
    }
}

impl Check {
    /// The check holds.
    pub fn pass(&self) {
        self.set(None);
    }

    /// The check fails; `problem` must hold nothing personal, anyone who can reach the port reads it.
    pub fn fail(&self, problem: impl Into<String>) {
        self.set(Some(problem.into()));
    }

    fn set(&self, problem: Option<String>) {
        self.health.set(self.name.clone(), Known::Told(problem));
    }
}

/// Serves health, metrics and the routes of `extra` until shutdown; returns the address in use.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    address: SocketAddr,
    health: Health,
    telemetry: Telemetry,
    extra: Router,
    mut shutdown: Shutdown,
) -> anyhow::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listening for health checks on {address}"))?;
    let bound = listener.local_addr().context("reading the address of the health port")?;
    tracing::info!(address = %bound, "health and metrics are served");
    let upkeep = telemetry.clone();
    let mut end = shutdown.clone();
    tokio::spawn(async move {
        while !end.sleep(Duration::from_secs(5)).await {
            upkeep.upkeep();
        }
    });
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readiness))
        .with_state(health)
        .route("/metrics", get(metrics))
        .with_state(telemetry)
        .merge(extra);
    let server = tokio::spawn(async move {
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(async move { shutdown.wait().await })
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the health port stopped");
        }
    });
    Ok((bound, server))
}

async fn readiness(State(health): State<Health>) -> impl IntoResponse {
    let problems = health.problems();
    let body = problems
        .iter()
        .fold(String::new(), |body, (name, problem)| body + name + ": " + problem + "\n");
    if problems.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, body)
    }
}

async fn metrics(State(telemetry): State<Telemetry>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry.render())
}

#[cfg(test)]
mod tests {
    use super::Health;

    #[test]
    fn ready_when_every_check_holds() {
        let health = Health::default();
        let (kafka, postgres) = (health.check("kafka"), health.check("postgres"));
        assert!(!health.is_ready());
        kafka.pass();
        postgres.fail("no connection");
        assert_eq!(health.problems(), [("postgres".to_owned(), "no connection".to_owned())]);
        postgres.pass();
        assert!(health.is_ready());
    }

    #[test]
    fn a_loop_that_failed_is_not_ready_until_it_moves() {
        let health = Health::default();
        let writer = health.watch("writer");
        assert!(health.is_ready(), "it has nothing to do");
        writer.begin("applying a batch");
        assert!(health.is_ready(), "it has only begun");
        writer.fail("the base is locked");
        assert_eq!(health.problems(), [("writer".to_owned(), "the base is locked".to_owned())]);
        writer.moved();
        assert!(health.is_ready());
    }
}
