//! Databases of the tests: made anew beside the one that the address names.

use super::{DATABASE, Processes, TESTER};
use anyhow::{Context, ensure};
use domain::policy::Edition;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool};
use std::path::Path;
use std::process::Command;
use std::str::FromStr;

/// Makes one anew, whatever was in it, and returns its address.
pub(super) async fn make(url: &str, name: &str) -> anyhow::Result<String> {
    let admin = PgPool::connect(url).await.context("CANBAO_DATABASE_URL does not answer")?;
    for statement in [
        format!("drop database if exists {name} with (force)"),
        format!("create database {name}"),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&admin).await?;
    }
    admin.close().await;
    beside(url, name)
}

/// An empty database with the tables, which the services are told of; under a policy of its own, or the one that is carried.
pub(super) async fn fresh(given: &str, services: &mut Processes, policy: Option<&Edition>) -> anyhow::Result<PgPool> {
    let database = make(given, DATABASE).await?;
    services.share("CANBAO_DATABASE_URL", database.clone());
    let mut arguments = vec!["migrate"];
    let file = services.logs().join("first-policy.toml");
    if let Some(policy) = policy {
        std::fs::write(&file, policy.text())?;
        arguments.extend(["--policy", file.to_str().context("a path that can be written down")?]);
    }
    let migrated = services.canbao(&arguments)?;
    ensure!(migrated, "canbao migrate failed, see {}", services.logs().display());
    tester(&database).await
}

/// The tests' own sessions in a database.
pub(super) async fn tester(database: &str) -> anyhow::Result<PgPool> {
    let options = PgConnectOptions::from_str(database)?.application_name(TESTER);
    let connected = PgPool::connect_with(options).await;
    connected.context("the new database does not answer")
}

/// The address of a database beside the one that an address names.
pub(super) fn beside(url: &str, name: &str) -> anyhow::Result<String> {
    let (server, _) = url.rsplit_once('/').context("CANBAO_DATABASE_URL names a database")?;
    Ok(format!("{server}/{name}"))
}

/// Writes a backup.
pub(super) fn back_up(url: &str, file: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("pg_dump");
    command.arg("--format=custom").arg("--file").arg(file).arg(url);
    ran(&mut command)
}

/// Puts a backup into an empty database.
pub(super) fn put_back(url: &str, file: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("pg_restore");
    command.args(["--exit-on-error", "--no-owner", "--dbname", url]).arg(file);
    ran(&mut command)
}

fn ran(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("running {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
