//! Waivers (豁免) of silent sources, as `lag` and `source list` show them.

use crate::output::now;
use anyhow::Context;
use domain::division::City;
use domain::source::{Agency, Source};
use sqlx::PgPool;
use sqlx::types::chrono::NaiveDate;
use std::collections::BTreeMap;

/// The waivers that hold today, in words.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn standing(pool: &PgPool) -> anyhow::Result<BTreeMap<Source, String>> {
    let rows: Vec<(i16, i16, NaiveDate, String, String)> = sqlx::query_as(
        "select agency, city, waived_until, waived_by, waived_why from store.completeness where waived_until >= date '1970-01-01' + $1::integer",
    )
    .bind(now().day_in_shanghai().0)
    .fetch_all(pool)
    .await
    .context("reading waivers: was `canbao migrate` run?")?;
    let read = |(agency, city, until, who, why): (i16, i16, NaiveDate, String, String)| {
        let agency = Agency::from_code(u8::try_from(agency).ok()?)?;
        let city = City::from_code(u16::try_from(city).ok()?)?;
        Some((Source { agency, city }, format!("waived until {until} by {who}: {why}")))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}
