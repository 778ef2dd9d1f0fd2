//! Entries of the shards' logs that could not be applied, and the operators' statements that let the registry step over them
//! (ARCHITECTURE.md, Exactly once).

use domain::shard::Shard;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgExecutor, PgPool, Row};
use std::collections::BTreeSet;

/// An entry at which its shard waits, or waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedEntry {
    /// The shard.
    pub shard: Shard,
    /// Its offset in `person.records`.
    pub position: i64,
    /// When the broker appended it, ms.
    pub logged_at: i64,
    /// Why it could not be applied; nothing personal.
    pub cause: String,
    /// The message as framed.
    pub body: Vec<u8>,
}

/// The command that lets the registry step over an entry.
pub fn command(shard: Shard, position: i64) -> String {
    format!("canbao skip {shard} {position} --reason TEXT")
}

/// What people read of a shard that waits: where, why, and what to do.
pub fn explain(shard: Shard, position: i64, cause: &str) -> String {
    format!(
        "shard {shard} waits at offset {position} of person.records, which cannot be applied: {cause}. Mend the cause, and it goes on by \
         itself; or run `{}`, which keeps the entry and steps over it",
        command(shard, position)
    )
}

/// Keeps an entry with its cause; with the newest cause, where it is known.
///
/// # Errors
/// When the database does not take it.
pub async fn keep(executor: impl PgExecutor<'_>, entry: &RefusedEntry) -> sqlx::Result<()> {
    sqlx::query(
        "insert into store.refused_entry (shard, position, logged_at, cause, body)
         values ($1, $2, to_timestamp($3::double precision / 1000), $4, $5)
         on conflict (shard, position) do update set cause = excluded.cause where store.refused_entry.cause <> excluded.cause",
    )
    .bind(i16::from(entry.shard.number()))
    .bind(entry.position)
    .bind(entry.logged_at as f64)
    .bind(&entry.cause)
    .bind(&entry.body)
    .execute(executor)
    .await?;
    Ok(())
}

/// Of these places, those that an operator let the registry step over.
///
/// # Errors
/// When the database does not answer.
pub async fn skipped(pool: &PgPool, places: impl IntoIterator<Item = (Shard, i64)>) -> sqlx::Result<BTreeSet<(Shard, i64)>> {
    let (shards, positions): (Vec<i16>, Vec<i64>) = places
        .into_iter()
        .map(|(shard, position)| (i16::from(shard.number()), position))
        .unzip();
    let rows = sqlx::query(
        "select r.shard, r.position from store.refused_entry r
         join unnest($1::smallint[], $2::bigint[]) as k(shard, position) on r.shard = k.shard and r.position = k.position
         where r.skipped_at is not null",
    )
    .bind(shards)
    .bind(positions)
    .fetch_all(pool)
    .await?;
    rows.iter().map(|row| Ok((shard(row)?, row.try_get("position")?))).collect()
}

/// States that the registry steps over an entry; `false` when no shard waits there, or it was stated before.
///
/// # Errors
/// When the database does not answer.
pub async fn skip(pool: &PgPool, shard: Shard, position: i64, who: &str, reason: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update store.refused_entry r set skipped_by = $3, reason = $4, skipped_at = now() from store.shard s
         where r.shard = $1 and r.position = $2 and r.skipped_at is null and s.shard = r.shard and s.position <= r.position",
    )
    .bind(i16::from(shard.number()))
    .bind(position)
    .bind(who)
    .bind(reason)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// An entry at which a shard waits now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The shard.
    pub shard: Shard,
    /// The entry's offset in `person.records`.
    pub position: i64,
    /// Why it could not be applied.
    pub cause: String,
    /// Since when, ms.
    pub since: i64,
    /// It is stated that it is stepped over, and the registry has not done so yet.
    pub is_stated: bool,
}

/// Where shards wait.
///
/// # Errors
/// When the database does not answer.
pub async fn waiting(connection: &mut PgConnection) -> sqlx::Result<Vec<Waiting>> {
    let rows = sqlx::query(
        "select r.shard, r.position, r.cause, (extract(epoch from r.found_at) * 1000)::bigint as since,
                r.skipped_at is not null as is_stated
         from store.refused_entry r join store.shard s on s.shard = r.shard and s.position <= r.position order by r.shard, r.position",
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Waiting {
                shard: shard(row)?,
                position: row.try_get("position")?,
                cause: row.try_get("cause")?,
                since: row.try_get("since")?,
                is_stated: row.try_get("is_stated")?,
            })
        })
        .collect()
}

fn shard(row: &PgRow) -> sqlx::Result<Shard> {
    let number: i16 = row.try_get("shard")?;
    let shard = u8::try_from(number).ok().and_then(Shard::new);
    shard.ok_or_else(|| sqlx::Error::Decode(format!("the store has a shard {number}").into()))
}
