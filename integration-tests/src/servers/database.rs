//! The database of a run: made anew beside the one that the address names.

use anyhow::Context;
use sqlx::{AssertSqlSafe, PgPool};

/// Its name; the conformance part looks for it after the stories.
const DATABASE: &str = "canbao_stories";

/// Makes it anew, whatever was in it, and returns its address.
pub(super) async fn make(url: &str) -> anyhow::Result<String> {
    let admin = PgPool::connect(url).await.context("CANBAO_DATABASE_URL does not answer")?;
    let (server, _) = url.rsplit_once('/').context("CANBAO_DATABASE_URL names a database")?;
    for statement in [
        format!("drop database if exists {DATABASE} with (force)"),
        format!("create database {DATABASE}"),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&admin).await?;
    }
    admin.close().await;
    Ok(format!("{server}/{DATABASE}"))
}
