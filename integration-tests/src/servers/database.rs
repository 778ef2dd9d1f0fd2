//! Databases of the tests: made anew beside the one that the address names.

use anyhow::Context;
use sqlx::{AssertSqlSafe, PgPool};

/// Makes one anew, whatever was in it, and returns its address.
pub(super) async fn make(url: &str, name: &str) -> anyhow::Result<String> {
    let admin = PgPool::connect(url).await.context("CANBAO_DATABASE_URL does not answer")?;
    let (server, _) = url.rsplit_once('/').context("CANBAO_DATABASE_URL names a database")?;
    for statement in [
        format!("drop database if exists {name} with (force)"),
        format!("create database {name}"),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&admin).await?;
    }
    admin.close().await;
    Ok(format!("{server}/{name}"))
}
