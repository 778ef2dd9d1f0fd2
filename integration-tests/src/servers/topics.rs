//! Topics of the sources, and the rows by which these say that they are complete.

use anyhow::Context;
use domain::date::Timestamp;
use domain::source::{Agency, Source};
use std::time::SystemTime;

/// The row by which a source says that it is complete up to `time`, and its table: a heartbeat of a system of record, the batch row
/// (批次表) of civil affairs' exchange database.
pub(super) fn completeness_row(source: Source, time: Timestamp) -> anyhow::Result<(&'static str, serde_json::Value)> {
    let text = chrono::DateTime::from_timestamp_millis(time.0)
        .context("a time")?
        .to_rfc3339();
    Ok(if source.agency == Agency::CIVIL_AFFAIRS {
        (
            "batch_control",
            serde_json::json!({ "id": 1, "data_date": time.day_in_shanghai().0, "row_count": 0, "loaded_at": text }),
        )
    } else {
        ("heartbeat", serde_json::json!({ "id": 1, "ts": text }))
    })
}

/// The topic of a source's table.
pub(crate) fn topic_of(source: Source, table: &str) -> String {
    format!("{source}.public.{table}")
}

pub(super) fn now() -> anyhow::Result<Timestamp> {
    Ok(Timestamp(
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64,
    ))
}
