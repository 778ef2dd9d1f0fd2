//! Whether the base is behind what was published from it, as after a restore: looked at with every new connection, because no database
//! goes back under one that stays.

use crate::failure::Failure;
use runtime::config::Settings;
use runtime::outbox::position::{Book, check_behind};
use runtime::outbox::positions;
use runtime::shutdown::Shutdown;
use runtime::store::read;
use sqlx::{PgConnection, Row};
use std::sync::Arc;

/// Refuses a base that is behind what was published, or not whole.
///
/// # Errors
/// [`Failure::Behind`] with the command to run; [`Failure::Again`] when brokers or database do not answer.
pub async fn check(connection: &mut PgConnection, settings: &Arc<Settings>, shutdown: &Shutdown) -> Result<(), Failure> {
    let (asked, asked_to_end) = (Arc::clone(settings), shutdown.clone());
    // Positions first: what is published after them was in the base before.
    let stored = tokio::task::spawn_blocking(move || positions::read(&asked, || asked_to_end.requested())).await;
    let stored = stored.map_err(|ended| Failure::again("reading what is published ended", ended))?;
    let stored = stored.map_err(|error| Failure::again("what is published could not be read", error))?;
    let Some(stored) = stored else {
        return Err(Failure::again(
            "the process ends",
            anyhow::anyhow!("what is published is not known yet"),
        ));
    };
    let row = sqlx::query("select outbox_epoch, remaking from store.publisher")
        .fetch_one(&mut *connection)
        .await?;
    let shards = read::shards(connection).await?;
    let book = Book {
        epoch: row.try_get::<i32, _>("outbox_epoch")?.unsigned_abs(),
        remaking: row.try_get("remaking")?,
        ends: shards.iter().map(|row| (row.shard, row.outbox_next as u64)).collect(),
        ..Book::default()
    };
    Ok(check_behind(&stored, &book)?)
}
