//! The headers of outgoing events: CloudEvents attributes, as the outbox keeps them for the publisher.

use schemas::event::AlertEvent;

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
