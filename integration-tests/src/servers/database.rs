//! Databases of the tests: made anew beside the one that the address names.

use anyhow::{Context, ensure};
use sqlx::{AssertSqlSafe, PgPool};
use std::path::Path;
use std::process::Command;

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
