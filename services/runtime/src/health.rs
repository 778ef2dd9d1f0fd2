//! Health over HTTP: `/livez` (the process answers), `/readyz` (every named check holds), `/metrics`.
//!
//! Liveness never depends on Kafka or PostgreSQL: restarting this process does not heal them.

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
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The named checks of a process; ready when all of them hold. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// What is wrong, by check; `None` when the check holds.
    checks: Arc<RwLock<BTreeMap<String, Option<String>>>>,
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

    /// Whether every check holds.
    pub fn is_ready(&self) -> bool {
        self.with(|checks| checks.values().all(Option::is_none))
    }

    /// What is wrong, by check; empty when ready.
    pub fn problems(&self) -> Vec<(String, String)> {
        self.with(|checks| {
            checks
                .iter()
                .filter_map(|(name, problem)| Some((name.clone(), problem.clone()?)))
                .collect()
        })
    }

    fn with<T>(&self, read: impl FnOnce(&BTreeMap<String, Option<String>>) -> T) -> T {
        read(&self.checks.read().unwrap_or_else(std::sync::PoisonError::into_inner))
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
        let mut checks = self.health.checks.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        checks.insert(self.name.clone(), problem);
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
}
