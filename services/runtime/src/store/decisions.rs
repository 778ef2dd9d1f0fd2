//! Decisions of reviewers as stored: the same set in every shard, once all have heard them.

use super::read::ReadError;
use domain::citizen_id::CitizenId;
use domain::decision::{Decision, Rulings, Verdict};
use domain::ids::RecordId;
use domain::shard::Shard;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use std::collections::BTreeMap;

/// What the decisions that a shard has heard come to.
///
/// # Errors
/// When the store does not answer, or holds what this program does not know.
pub async fn rulings(connection: &mut PgConnection, shard: Shard) -> Result<Rulings, ReadError> {
    let rows = sqlx::query("select id, verdict, record, other, number from store.decision where shard = $1")
        .bind(i16::from(shard.number()))
        .fetch_all(connection)
        .await?;
    let decisions: Result<BTreeMap<u64, Option<Decision>>, ReadError> = rows.iter().map(decision).collect();
    Ok(Rulings::new(decisions?))
}

/// A stored decision, with its number; `None` once withdrawn.
///
/// # Errors
/// When the row holds what this program does not know.
pub fn decision(row: &PgRow) -> Result<(u64, Option<Decision>), ReadError> {
    let id = row.try_get::<i64, _>("id")? as u64;
    let Some(code) = row.try_get::<Option<i16>, _>("verdict")? else {
        return Ok((id, None));
    };
    let verdict = Verdict::ALL.iter().find(|verdict| i16::from(verdict.code()) == code);
    let record = |column: &'static str| -> Result<RecordId, ReadError> {
        RecordId::from_slice(row.try_get(column)?).ok_or(ReadError::Unknown { column })
    };
    let number: Option<i64> = row.try_get("number")?;
    Ok((
        id,
        Some(Decision {
            id,
            verdict: *verdict.ok_or(ReadError::Unknown { column: "verdict" })?,
            record: record("record")?,
            other: record("other")?,
            number: number
                .map(|digits| CitizenId::from_digits(digits as u64).map_err(|_| ReadError::Unknown { column: "number" }))
                .transpose()?,
        }),
    ))
}

/// Keeps a decision that a shard has heard; `None` withdraws it for good.
///
/// # Errors
/// When the store does not answer.
pub async fn keep(connection: &mut PgConnection, shard: Shard, id: u64, decision: Option<&Decision>) -> sqlx::Result<()> {
    sqlx::query(
        "insert into store.decision as d (shard, id, verdict, record, other, number) values ($1, $2, $3, $4, $5, $6)
         on conflict (shard, id) do update set verdict = null, record = null, other = null, number = null where excluded.verdict is null",
    )
    .bind(i16::from(shard.number()))
    .bind(id as i64)
    .bind(decision.map(|decision| i16::from(decision.verdict.code())))
    .bind(decision.map(|decision| decision.record.bytes().to_vec()))
    .bind(decision.map(|decision| decision.other.bytes().to_vec()))
    .bind(decision.and_then(|decision| decision.number).map(|number| number.digits() as i64))
    .execute(connection)
    .await?;
    Ok(())
}
