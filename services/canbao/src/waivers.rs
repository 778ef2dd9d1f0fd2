//! Waivers (豁免) of silent sources, as `lag` and `source list` show them.

use crate::output::now;
use anyhow::Context;
use domain::source::Source;
use runtime::store::waivers::{self, Waiver};
use sqlx::PgPool;
use std::collections::BTreeMap;

/// The waivers that hold today, in words.
///
/// # Errors
/// When the store does not answer, or holds what cannot be read.
pub(crate) async fn standing(pool: &PgPool) -> anyhow::Result<BTreeMap<Source, String>> {
    let standing = waivers::standing(pool, now().day_in_shanghai()).await;
    let standing = standing.context("reading waivers: was `canbao migrate` run?")?;
    let words = |Waiver { until, who, why }| format!("waived until {until} by {who}: {why}");
    Ok(standing.into_iter().map(|(source, waiver)| (source, words(waiver))).collect())
}
