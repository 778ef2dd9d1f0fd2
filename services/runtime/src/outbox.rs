//! The outbox, as registry, publisher and `canbao` share it: the headers of outgoing events (CloudEvents attributes), and how far each
//! shard's outbox is published.

pub mod position;
pub mod positions;

use domain::ids::AnchorId;
use domain::shard::Shard;
use schemas::event::AlertEvent;

/// A header's name and value.
pub type Header = (String, String);

/// Headers that alerts of before do not have.
pub const ADDED: [&str; 2] = [CONTENT_TYPE, SUBJECT];
const CONTENT_TYPE: &str = "content-type";
const SUBJECT: &str = "ce_subject";
/// Says where the schema of the value is served (CloudEvents `dataschema`).
const DATA_SCHEMA: &str = "ce_dataschema";

/// The header that says where the schema of a framed value is to be had: at the registry of schemas that subscribers ask.
pub fn data_schema(registry: &str, value: &[u8]) -> Option<Header> {
    let id = schemas::framing::schema_id(value)?;
    let registry = registry.trim_end_matches('/');
    Some((DATA_SCHEMA.to_owned(), format!("{registry}/schemas/ids/{id}")))
}

/// The headers of an alert, encoded for `store.outbox`: its CloudEvents attributes in binary mode, but the schema's address, which the
/// publisher knows.
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
        (SUBJECT, alert.person.to_string()),
        (CONTENT_TYPE, "application/avro".to_owned()),
        ("region", format!("{:04}", alert.city.code())),
        ("kind", alert.kind.as_str().to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    postcard::to_stdvec(&headers).expect("texts serialise")
}

/// Whether the headers are those of an alert.
pub fn is_cloud_event(headers: &[Header]) -> bool {
    headers.iter().any(|(name, _)| name == "ce_specversion")
}

/// Names the place of a finding's person in the base, `<shard>.<neighbourhood>`: by it a restore reads back what was told.
pub const PLACE: &str = "place";

/// The headers of a finding's state, encoded for `store.outbox`.
pub fn place_headers(shard: Shard, anchor: AnchorId) -> Vec<u8> {
    let headers: [Header; 1] = [(PLACE.to_owned(), format!("{shard}.{anchor}"))];
    postcard::to_stdvec(headers.as_slice()).expect("texts serialise")
}

/// The place that a header [`PLACE`] names; `None` when it is none.
pub fn place_of(text: &str) -> Option<(Shard, AnchorId)> {
    let (shard, anchor) = text.split_once('.')?;
    Some((shard.parse().ok().and_then(Shard::new)?, anchor.parse().ok()?))
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
