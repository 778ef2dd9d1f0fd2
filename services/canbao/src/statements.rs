//! `go-live` and `business-date`: statements of the operator, which the clock turns into inputs of every shard.

use anyhow::Context;
use runtime::statements::{self, Outcome, Statement};
use serde::Serialize;
use sqlx::PgPool;
use std::time::Duration;

/// A statement that every shard has applied.
#[derive(Debug, Serialize)]
pub struct Stated {
    /// Its row in `store.statement`.
    pub id: i64,
    /// Its kind.
    pub kind: &'static str,
    /// What it says.
    pub body: serde_json::Value,
}

/// Records a statement and waits until every shard has applied it.
///
/// # Errors
/// When the clock refuses it or does not answer in time, or the store cannot be reached.
pub async fn state(pool: &PgPool, statement: &Statement, patience: Duration) -> anyhow::Result<Stated> {
    let id = statements::insert(pool, statement)
        .await
        .context("recording the statement: was `canbao migrate` run?")?;
    let kind = statement.kind();
    match statements::wait(pool, id, patience).await.context("waiting for the clock")? {
        Some(Outcome::Applied) => Ok(Stated {
            id,
            kind,
            body: statement.body(),
        }),
        Some(Outcome::Refused(reason)) => anyhow::bail!("{kind} was refused: {reason}"),
        None => anyhow::bail!(
            "{kind} was recorded as statement {id}, but not every shard applied it within {} seconds: are clock, registry and the source's \
             normaliser running and caught up (`canbao lag`)? It takes effect once they are",
            patience.as_secs()
        ),
    }
}

/// The statement as text.
pub fn render(stated: &Stated) -> String {
    format!(
        "{} {} is applied by every shard (statement {})\n",
        stated.kind, stated.body, stated.id
    )
}
