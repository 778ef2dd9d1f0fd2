//! Who applies a shard's log: named in the shard's row, compared at every batch, so that a zombie fails
//! (ARCHITECTURE.md, Exactly once).

use crate::failure::Failure;
use domain::shard::Shard;
use runtime::store::read;
use sqlx::{Connection, PgConnection, PgPool, Row};
use std::collections::BTreeSet;

/// Where the logs of some shards go on.
pub async fn positions(pool: &PgPool, shards: &BTreeSet<Shard>) -> sqlx::Result<Vec<(Shard, i64)>> {
    let rows = sqlx::query("select shard, position from store.shard where shard = any($1) order by shard")
        .bind(numbers(shards))
        .fetch_all(pool)
        .await?;
    rows.iter()
        .map(|row| {
            let shard = u8::try_from(row.try_get::<i16, _>("shard")?).ok().and_then(Shard::new);
            Ok((shard.ok_or(sqlx::Error::RowNotFound)?, row.try_get("position")?))
        })
        .collect()
}

/// Takes shards over: ends the backends named in their rows, then names this connection's own.
pub async fn take(connection: &mut PgConnection, shards: &BTreeSet<Shard>) -> sqlx::Result<()> {
    if shards.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where pid in (select owner from store.shard where shard = any($1)) and pid <> pg_backend_pid() and datname = current_database()
           and application_name = 'canbao-registry'",
    )
    .bind(numbers(shards))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "with taken as (select shard from store.shard where shard = any($1) order by shard for update)
         update store.shard s set owner = pg_backend_pid() from taken where s.shard = taken.shard",
    )
    .bind(numbers(shards))
    .execute(connection)
    .await?;
    Ok(())
}

/// Goes on with shards on a new connection, after the one of backend `before` was lost.
///
/// # Errors
/// [`Failure::NotOwner`] when another process took one of them over meanwhile.
pub async fn renew(connection: &mut PgConnection, shards: &BTreeSet<Shard>, before: i32) -> Result<(), Failure> {
    let mut transaction = connection.begin().await?;
    let stored = read::lock_shards(&mut transaction, &shards.iter().copied().collect::<Vec<_>>()).await?;
    if let Some(lost) = stored.iter().find(|row| row.owner != Some(before)) {
        return Err(Failure::NotOwner {
            shard: lost.shard,
            owner: lost.owner,
        });
    }
    sqlx::query("update store.shard set owner = pg_backend_pid() where shard = any($1)")
        .bind(numbers(shards))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// This connection's backend.
pub async fn backend(connection: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar("select pg_backend_pid()").fetch_one(connection).await
}

fn numbers(shards: &BTreeSet<Shard>) -> Vec<i16> {
    shards.iter().map(|shard| i16::from(shard.number())).collect()
}
