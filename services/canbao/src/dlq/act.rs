//! What an operator does with letters is recorded before it is done: table `store.dead_letter_act`.

use super::Filter;
use crate::operator;
use anyhow::{Context, ensure};
use domain::date::Timestamp;
use sqlx::PgPool;
use sqlx::types::Json;

/// An act that has begun.
pub(super) struct Act(i64);

impl Act {
    /// Records who begins what, and why.
    ///
    /// # Errors
    /// When no reason is given, or the store does not answer.
    pub async fn begin(
        pool: &PgPool,
        act: &'static str,
        filter: &Filter,
        before: Option<Timestamp>,
        why: &str,
    ) -> anyhow::Result<Self> {
        ensure!(
            !why.trim().is_empty(),
            "--why is empty: say why, whoever asks later will want to know"
        );
        let mut chosen = serde_json::to_value(filter)?;
        if let Some(before) = before {
            chosen["before"] = before.0.into();
        }
        let id =
            sqlx::query_scalar("insert into store.dead_letter_act (act, chosen, who, why) values ($1, $2, $3, $4) returning id")
                .bind(act)
                .bind(Json(chosen))
                .bind(operator::who())
                .bind(why)
                .fetch_one(pool)
                .await
                .context("recording who does this: was `canbao migrate` run?")?;
        Ok(Self(id))
    }

    /// Records that it is done.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn end(self, pool: &PgPool, letters: u64) -> anyhow::Result<()> {
        sqlx::query("update store.dead_letter_act set ended_at = now(), letters = $2 where id = $1")
            .bind(self.0)
            .bind(letters as i64)
            .execute(pool)
            .await
            .context("recording that it is done")?;
        Ok(())
    }
}
