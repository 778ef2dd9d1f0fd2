//! The connection to the store.

use anyhow::Context;
use runtime::config::Settings;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool};
use std::str::FromStr;
use std::time::Duration;

/// Connects; the address, which may hold a password, stands in no message.
///
/// # Errors
/// When there is no address, or nobody answers there.
pub(crate) async fn connect(settings: &Settings) -> anyhow::Result<PgPool> {
    let options = PgConnectOptions::from_str(settings.database_url()?)
        .map_err(|_| {
            anyhow::anyhow!("database_url is no PostgreSQL address: expected postgres://user:password@host:port/database")
        })?
        .application_name("canbao")
        // A comparison of whole tables takes its time.
        .disable_statement_logging();
    PgPoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options)
        .await
        .context("PostgreSQL cannot be reached: is it running, and does CANBAO_DATABASE_URL name it?")
}
