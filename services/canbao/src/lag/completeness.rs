//! What the store holds of a source's completeness, and of what waits for it.

use super::holds::{self, Holds};
use crate::waivers;
use anyhow::Context;
use domain::division::City;
use domain::source::{Agency, Source};
use sqlx::{PgPool, Row};
use std::collections::BTreeMap;

/// What the clock, the registry and operators say of a source.
#[derive(Debug, Clone, Default)]
pub(super) struct Completeness {
    pub(super) passed: bool,
    pub(super) until: i64,
    pub(super) waits: Option<String>,
    pub(super) waived: Option<String>,
    pub(super) holds_back: Holds,
}

/// Reads it of every source that anything is known of.
///
/// # Errors
/// When the store does not answer, or holds what this program does not know.
pub(super) async fn read(pool: &PgPool) -> anyhow::Result<BTreeMap<Source, Completeness>> {
    let mut known = stated(pool).await.context("reading completeness")?;
    for (source, waived) in waivers::standing(pool).await? {
        known.entry(source).or_default().waived = Some(waived);
    }
    for (source, holds) in holds::read(pool).await.context("reading what waits for whom")? {
        known.entry(source).or_default().holds_back = holds;
    }
    Ok(known)
}

async fn stated(pool: &PgPool) -> sqlx::Result<BTreeMap<Source, Completeness>> {
    let rows = sqlx::query("select agency, city, snapshot_passed, until, waits from store.completeness")
        .fetch_all(pool)
        .await?;
    let mut known = BTreeMap::new();
    for row in &rows {
        let agency = u8::try_from(row.try_get::<i16, _>("agency")?)
            .ok()
            .and_then(Agency::from_code);
        let city = City::from_code(row.try_get::<i16, _>("city")? as u16);
        if let Some((agency, city)) = agency.zip(city) {
            known.insert(
                Source { agency, city },
                Completeness {
                    passed: row.try_get("snapshot_passed")?,
                    until: row.try_get("until")?,
                    waits: row.try_get("waits")?,
                    ..Completeness::default()
                },
            );
        }
    }
    Ok(known)
}
