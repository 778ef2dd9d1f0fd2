//! What every service's `main` does around its work: settings, logs, metrics, health, signals, exit code.

use crate::config::{Settings, SharedArgs};
use crate::health::{self, Health};
use crate::schema_ids::{self, SchemaError};
use crate::shutdown::{Shutdown, ShutdownTrigger};
use crate::telemetry::Telemetry;
use axum::Router;
use clap::{CommandFactory, FromArgMatches, Parser};
use std::process::ExitCode;
use std::time::Duration;

/// Exit code of a service that could not start: its settings are wrong, nothing was touched.
pub const EXIT_UNUSABLE: u8 = 2;

/// What a running service is given.
#[derive(Clone)]
pub struct Service {
    /// The service's name, as in commands and metrics.
    pub name: &'static str,
    /// Settings in force, validated.
    pub settings: Settings,
    /// Readiness checks.
    pub health: Health,
    /// Asked to end?
    pub shutdown: Shutdown,
    /// Asks the whole process to end, as when one of several loops failed.
    pub trigger: ShutdownTrigger,
}

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    shared: SharedArgs,
}

/// Runs a service: reads flags and settings, starts logs, metrics, health port and signal handling, takes the schema ids of the
/// configured registry, then `work`.
///
/// Exit code 0 after an orderly end, 1 when the work failed, 2 when the settings, or
/// what the schema registry holds, are unusable.
pub fn main<W, F>(name: &'static str, work: W) -> ExitCode
where
    W: FnOnce(Service) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    main_with_routes(name, |_| Router::new(), work)
}

/// [`main`], with further routes on the health port, such as the settings ask for.
pub fn main_with_routes<R, W, F>(name: &'static str, routes: R, work: W) -> ExitCode
where
    R: FnOnce(&Settings) -> Router,
    W: FnOnce(Service) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let matches = Arguments::command()
        .name(name)
        .version(env!("CARGO_PKG_VERSION"))
        .get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let settings = match arguments.shared.settings() {
        Ok(settings) => settings,
        Err(error) => return refuse(name, &error.into()),
    };
    let telemetry = match Telemetry::install(name, &settings) {
        Ok(telemetry) => telemetry,
        Err(error) => return refuse(name, &error),
    };
    crate::failpoint::arm();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(name, &error.into()),
    };
    let routes = routes(&settings);
    match runtime.block_on(supervise(name, settings, telemetry, routes, work)) {
        Ok(()) => {
            tracing::info!(service = name, "ended in order");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let schemas_unusable = error.downcast_ref().is_some_and(|error: &SchemaError| !error.is_passing());
            let code = if schemas_unusable || error.is::<crate::config::ConfigError>() {
                EXIT_UNUSABLE
            } else {
                1
            };
            tracing::error!(service = name, error = format!("{error:#}"), "failed");
            ExitCode::from(code)
        }
    }
}

async fn supervise<W, F>(
    name: &'static str,
    settings: Settings,
    telemetry: Telemetry,
    routes: Router,
    work: W,
) -> anyhow::Result<()>
where
    W: FnOnce(Service) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let (trigger, mut shutdown) = Shutdown::on_signals(Duration::from_secs(settings.drain_seconds.into()))?;
    let health = Health::default();
    let (_, server) = health::serve(settings.http, health.clone(), telemetry, routes, shutdown.clone()).await?;
    tracing::info!(service = name, version = env!("CARGO_PKG_VERSION"), "started");
    // Before anything is encoded or decoded: a value read under another registry's ids would be taken for another.
    let result = match schema_ids::adopt_patiently(&settings, &health, &mut shutdown).await {
        Ok(true) => {
            let service = Service {
                name,
                settings,
                health,
                shutdown,
                trigger: trigger.clone(),
            };
            work(service).await
        }
        ended => ended.map(|_| ()),
    };
    trigger.request();
    // The server ends with its last connection; a scraper that stays connected must not hold the process up.
    let _ = tokio::time::timeout(Duration::from_secs(1), server).await;
    result
}

/// Before logs exist: one line on standard error.
#[expect(clippy::print_stderr, reason = "there is no subscriber yet, or none can be installed")]
fn refuse(name: &str, error: &anyhow::Error) -> ExitCode {
    eprintln!("{name}: {error:#}");
    ExitCode::from(EXIT_UNUSABLE)
}
