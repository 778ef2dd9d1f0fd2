//! Debezium's snapshot notifications: which tables a full snapshot held, and since when. Pure.
//!
//! Seen are `{"id", "aggregate_type": "Initial Snapshot", "type", "additional_data": {"connector_name", …}, "timestamp"}` with type
//! STARTED, IN_PROGRESS (`data_collections`), TABLE_SCAN_COMPLETED (`scanned_collection`, `status`), COMPLETED, ABORTED or SKIPPED;
//! the timestamp is milliseconds, as number or text. Incremental snapshots have another aggregate type and say nothing about absence.
//! A snapshot filtered by `snapshot.select.statement.overrides`, or by the `additional-conditions` of a signal that asks for a blocking
//! snapshot, cannot be told from a full one: a connector so configured must not be given a notifications topic, and such signals not be sent.

use domain::date::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// A snapshot began at that time by the connector's clock.
    Started(Timestamp),
    /// It holds these tables.
    Tables(Vec<String>),
    /// A table could not be scanned.
    TableFailed,
    /// It ended; all tables named so far are in it, and these.
    Completed(Vec<String>),
    /// It came to nothing.
    Abandoned,
}

#[derive(Deserialize)]
struct Raw {
    aggregate_type: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    additional_data: BTreeMap<String, Value>,
    timestamp: Option<Value>,
}

/// Reads a message's value, with or without schema; `None` for what is no notification of a full snapshot.
pub fn parse(value: &[u8]) -> Option<Notification> {
    let value: Value = serde_json::from_slice(value).ok()?;
    let value = if value.get("schema").is_some() {
        value.get("payload")?.clone()
    } else {
        value
    };
    let raw = Raw::deserialize(value).ok()?;
    if raw.aggregate_type != "Initial Snapshot" {
        return None;
    }
    let text = |key: &str| raw.additional_data.get(key).and_then(Value::as_str);
    let tables = |key: &str| text(key).map(table_names).unwrap_or_default();
    Some(match raw.kind.as_str() {
        "STARTED" => Notification::Started(milliseconds(raw.timestamp.as_ref()?)?),
        "IN_PROGRESS" => Notification::Tables(tables("data_collections")),
        "TABLE_SCAN_COMPLETED" if !matches!(text("status"), Some("SUCCEEDED" | "EMPTY") | None) => Notification::TableFailed,
        "TABLE_SCAN_COMPLETED" => {
            let scanned = tables("scanned_collection");
            Notification::Tables(if scanned.is_empty() {
                tables("data_collection")
            } else {
                scanned
            })
        }
        "COMPLETED" => Notification::Completed(tables("data_collections")),
        "ABORTED" | "SKIPPED" => Notification::Abandoned,
        _ => return None,
    })
}

fn milliseconds(value: &Value) -> Option<Timestamp> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).map(Timestamp)
}

/// `db.public.ac01, public.ac02` names tables `ac01` and `ac02`.
fn table_names(list: &str) -> Vec<String> {
    let name = |item: &str| item.trim().rsplit('.').next().map(str::to_owned);
    list.split(',').filter_map(name).filter(|name| !name.is_empty()).collect()
}

/// A complete full snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteSnapshot {
    /// When it began, by the connector's clock.
    pub started: Timestamp,
    /// The tables it holds.
    pub tables: BTreeSet<String>,
}

/// The snapshot of one source that is under way, if any.
#[derive(Debug, Clone, Default)]
pub struct UnderWay(Option<CompleteSnapshot>);

impl UnderWay {
    /// Takes the source's next notification; gives a snapshot when it completes one whose beginning was seen.
    pub fn absorb(&mut self, notification: Notification) -> Option<CompleteSnapshot> {
        match notification {
            Notification::Started(started) => {
                self.0 = Some(CompleteSnapshot {
                    started,
                    tables: BTreeSet::new(),
                });
            }
            Notification::Tables(tables) => {
                if let Some(snapshot) = &mut self.0 {
                    snapshot.tables.extend(tables);
                }
            }
            Notification::TableFailed | Notification::Abandoned => self.0 = None,
            Notification::Completed(tables) => {
                let mut snapshot = self.0.take()?;
                snapshot.tables.extend(tables);
                return Some(snapshot);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(kind: &str, data: &str) -> Notification {
        let text = format!(
            r#"{{"id":"x","aggregate_type":"Initial Snapshot","type":"{kind}","additional_data":{{"connector_name":"c"{data}}},"timestamp":"1695817046353"}}"#
        );
        parse(text.as_bytes()).expect("a notification")
    }

    #[test]
    fn a_snapshot_is_complete_with_all_tables_named() {
        let mut under_way = UnderWay::default();
        assert_eq!(under_way.absorb(notification("STARTED", "")), None);
        let both = r#","data_collections":"public.ac01, db.public.ac02","current_collection_in_progress":"public.ac01""#;
        under_way.absorb(notification("IN_PROGRESS", both));
        under_way.absorb(notification(
            "TABLE_SCAN_COMPLETED",
            r#","scanned_collection":"public.ac21","status":"SUCCEEDED""#,
        ));
        let complete = under_way.absorb(notification("COMPLETED", "")).expect("complete");
        assert_eq!(complete.started, Timestamp(1_695_817_046_353));
        assert_eq!(
            complete.tables.iter().map(String::as_str).collect::<Vec<_>>(),
            ["ac01", "ac02", "ac21"]
        );
        assert_eq!(
            under_way.absorb(notification("COMPLETED", "")),
            None,
            "its beginning was not seen"
        );
    }

    #[test]
    fn what_failed_or_was_given_up_says_nothing() {
        for last in [
            notification("ABORTED", ""),
            notification("SKIPPED", ""),
            notification(
                "TABLE_SCAN_COMPLETED",
                r#","scanned_collection":"public.ac21","status":"SQL_EXCEPTION""#,
            ),
        ] {
            let mut under_way = UnderWay::default();
            under_way.absorb(notification("STARTED", ""));
            under_way.absorb(last);
            assert_eq!(
                under_way.absorb(notification("COMPLETED", r#","data_collections":"public.ac01""#)),
                None
            );
        }
    }

    #[test]
    fn other_messages_are_no_notifications() {
        let incremental = r#"{"aggregate_type":"Incremental Snapshot","type":"STARTED","additional_data":{},"timestamp":1}"#;
        for text in [
            "",
            "{}",
            "[]",
            incremental,
            r#"{"aggregate_type":"Initial Snapshot","type":"STARTED"}"#,
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        let wrapped = r#"{"schema":{},"payload":{"aggregate_type":"Initial Snapshot","type":"STARTED","timestamp":5}}"#;
        assert_eq!(parse(wrapped.as_bytes()), Some(Notification::Started(Timestamp(5))));
    }
}
