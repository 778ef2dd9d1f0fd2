//! What the publisher and those who check it share: the headers of outgoing events, CloudEvents attributes as the outbox keeps them;
//! and how far each shard's outbox is published.

use domain::shard::Shard;
use schemas::event::AlertEvent;
use serde::{Deserialize, Serialize};

/// Topic of the publisher's positions, one per shard. Key: the shard in decimal digits; value: [`Position`] as JSON.
pub const POSITIONS: &str = "publisher.positions";

/// A shard's position (发布位置), as it stands in the positions topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Epoch of the outbox: raised when the database is restored from a backup, since sequences then begin to differ from
    /// what was published.
    pub epoch: u32,
    /// Sequence of the next row to publish; everything below is published.
    pub next: u64,
}

/// The shard and position of a message; `None` when it is not one of ours.
pub fn decode_position(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<(Shard, Position)> {
    let shard = std::str::from_utf8(key?).ok()?.parse().ok().and_then(Shard::new)?;
    Some((shard, serde_json::from_slice(value?).ok()?))
}

/// A header's name and value.
pub type Header = (String, String);

/// The headers of an alert, encoded for `store.outbox`.
pub fn headers(alert: &AlertEvent) -> Vec<u8> {
    let headers: Vec<Header> = [
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", alert.event_id.to_string()),
        ("ce_source", format!("/canbao/registry/{:04}", alert.city.code())),
        (
            "ce_type",
            format!("cn.canbao.alert.{}.{}", alert.kind.as_str(), alert.action.as_str()),
        ),
        ("ce_time", time(alert.announced_at.0)),
        ("region", format!("{:04}", alert.city.code())),
        ("kind", alert.kind.as_str().to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    postcard::to_stdvec(&headers).expect("texts serialise")
}

/// Decodes the headers of an outbox row.
///
/// # Errors
/// When the bytes are none that [`headers`] made.
pub fn decode(bytes: &[u8]) -> Result<Vec<Header>, postcard::Error> {
    postcard::from_bytes(bytes)
}

fn time(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
