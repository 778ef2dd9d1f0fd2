//! Waivers (豁免) of silent sources: until when claims of absence do not wait for one, as `store.completeness` holds it.

use domain::date::Day;
use domain::division::City;
use domain::source::{Agency, Source};
use sqlx::PgExecutor;
use std::collections::BTreeMap;

/// Milliseconds of a day, and by how many a day begins earlier in China.
const DAY: i64 = 86_400_000;
const SHANGHAI: i64 = 8 * 3_600_000;

/// A waiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The last day, by the wall clock in China.
    pub until: Day,
    /// The operator's account.
    pub who: String,
    /// Why.
    pub why: String,
}

/// The source of a row, by its codes.
///
/// # Errors
/// When they are of none.
pub fn source(agency: i16, city: i16) -> sqlx::Result<Source> {
    let agency = u8::try_from(agency).ok().and_then(Agency::from_code);
    let city = u16::try_from(city).ok().and_then(City::from_code);
    let (agency, city) = agency
        .zip(city)
        .ok_or_else(|| sqlx::Error::Decode("store.completeness names an unknown source".into()))?;
    Ok(Source { agency, city })
}

/// The waivers that hold on a day.
///
/// # Errors
/// When the database does not answer, or names a source that there is not.
pub async fn standing(executor: impl PgExecutor<'_>, today: Day) -> sqlx::Result<BTreeMap<Source, Waiver>> {
    let mut waivers = unsettled(executor, today).await?;
    waivers.retain(|_, waiver| waiver.until >= today);
    Ok(waivers)
}

/// The waivers that hold on a day, and those that are over while their sources have not been complete past their last day: what was claimed
/// under them still stands without their word.
///
/// # Errors
/// When the database does not answer, or names a source that there is not.
pub async fn unsettled(executor: impl PgExecutor<'_>, today: Day) -> sqlx::Result<BTreeMap<Source, Waiver>> {
    let rows: Vec<(i16, i16, i32, String, String)> = sqlx::query_as(
        "select agency, city, waived_until - date '1970-01-01', waived_by, waived_why from store.completeness
         where waived_until >= date '1970-01-01' + $1::integer or until < ((waived_until - date '1970-01-01') + 1) * $2::bigint - $3::bigint",
    )
    .bind(today.0)
    .bind(DAY)
    .bind(SHANGHAI)
    .fetch_all(executor)
    .await?;
    let read = |(agency, city, until, who, why)| {
        let until = Day(until);
        Ok((source(agency, city)?, Waiver { until, who, why }))
    };
    rows.into_iter().map(read).collect()
}
