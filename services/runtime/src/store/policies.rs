//! Policies as stored: those that came into force in the base, and those that were stated and will.

use super::read::ReadError;
use crate::statements::{self, Statement};
use domain::policy::{Edition, PolicyDigest, PolicyId};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a row of `store.policy` is named.
///
/// # Errors
/// When the row holds what this program does not know.
pub fn id(row: &PgRow) -> Result<PolicyId, ReadError> {
    let unknown = |column| ReadError::Unknown { column };
    Ok(PolicyId {
        version: u32::try_from(row.try_get::<i32, _>("version")?).map_err(|_| unknown("version"))?,
        digest: PolicyDigest::from_slice(row.try_get("digest")?).ok_or_else(|| unknown("digest"))?,
    })
}

/// A row of `store.policy`, read and compared with what it is named.
///
/// # Errors
/// When its text is no policy of this program, or another one than it is named.
pub fn edition(row: &PgRow) -> Result<Edition, ReadError> {
    let version = row.try_get("version")?;
    let edition = Edition::parse(row.try_get::<String, _>("text")?).map_err(|_| ReadError::Policy { version })?;
    if edition.id() == id(row)? {
        Ok(edition)
    } else {
        Err(ReadError::Unknown { column: "digest" })
    }
}

/// Policies that came into force, by name.
///
/// # Errors
/// When one is missing or cannot be read, or the store does not answer.
pub async fn read(
    connection: &mut PgConnection,
    wanted: &BTreeSet<PolicyId>,
) -> Result<BTreeMap<PolicyId, Arc<Edition>>, ReadError> {
    let rows = sqlx::query(
        "select p.version, p.digest, p.text from unnest($1::integer[], $2::bytea[]) as k(version, digest)
         join store.policy p on p.version = k.version and p.digest = k.digest",
    )
    .bind(wanted.iter().map(|id| id.version as i32).collect::<Vec<_>>())
    .bind(wanted.iter().map(|id| id.digest.bytes().as_slice()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let editions = rows
        .iter()
        .map(|row| edition(row).map(|edition| (edition.id(), Arc::new(edition))));
    let editions: BTreeMap<PolicyId, Arc<Edition>> = editions.collect::<Result<_, _>>()?;
    if editions.len() == wanted.len() {
        Ok(editions)
    } else {
        Err(ReadError::Unknown { column: "policy" })
    }
}

/// Keeps a policy that came into force in some shard.
///
/// # Errors
/// When the store does not answer.
pub async fn keep(connection: &mut PgConnection, edition: &Edition) -> sqlx::Result<()> {
    let id = edition.id();
    sqlx::query("insert into store.policy (version, digest, text) values ($1, $2, $3) on conflict (version, digest) do nothing")
        .bind(id.version as i32)
        .bind(id.digest.bytes().as_slice())
        .bind(edition.text())
        .execute(connection)
        .await?;
    Ok(())
}

/// The newest policy that is in force or was stated, by a statement before `statement` if one is given; `None` before the first.
///
/// # Errors
/// When it cannot be read, or the store does not answer.
pub async fn newest(connection: &mut PgConnection, statement: Option<i64>) -> Result<Option<Arc<Edition>>, ReadError> {
    let mut known: Vec<Edition> = Vec::new();
    let row = sqlx::query("select version, digest, text from store.policy order by version desc, digest desc limit 1")
        .fetch_optional(&mut *connection)
        .await?;
    known.extend(row.as_ref().map(edition).transpose()?);
    let rows = sqlx::query(
        "select body from store.statement where kind = $1 and refused is null and ($2 is null or id < $2) order by id",
    )
    .bind(statements::POLICY)
    .bind(statement)
    .fetch_all(connection)
    .await?;
    for row in &rows {
        let Json(body): Json<Value> = row.try_get("body")?;
        // What states nothing is refused by the clock.
        if let Ok(Statement::Policy(stated)) = Statement::parse(statements::POLICY, &body) {
            known.push(stated.as_ref().clone());
        }
    }
    Ok(known.into_iter().max_by_key(Edition::id).map(Arc::new))
}
