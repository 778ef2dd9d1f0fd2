use std::collections::BTreeMap;

use domain::date::Day;
use serde_json::Value;

use super::*;
use crate::dossier::Record;
use crate::history;
use crate::live::Live;
use crate::tables::{Ac02, Heartbeat, code};
use crate::view::Rates;
use crate::world::World;

/// The captured messages, one per line.
const CAPTURED: &str = include_str!("captured.json");

#[derive(Default)]
struct Kept(Vec<KeptMessage>);

/// Topic, key, value and header.
type KeptMessage = (String, Vec<u8>, Option<Vec<u8>>, Option<(&'static str, Vec<u8>)>);

impl Sink for Kept {
    fn send(&mut self, message: &Message<'_>) -> anyhow::Result<()> {
        let header = message.header.map(|(name, value)| (name, value.to_vec()));
        self.0.push((
            message.topic.to_owned(),
            message.key.to_vec(),
            message.value.map(<[u8]>::to_vec),
            header,
        ));
        Ok(())
    }
}

impl Kept {
    fn value(&self, at: usize) -> Value {
        serde_json::from_slice(self.0[at].2.as_deref().expect("a value")).expect("JSON")
    }
}

fn connector(with_schema: bool) -> Connector {
    Connector::new(Agency::HUMAN_RESOURCES, 3201, with_schema, 1_795_484_876_071_047)
}

fn row(key: i64, status: &'static str) -> Row {
    Ac02 {
        baz001: key,
        aac031: code(status),
        ..Ac02::default()
    }
    .into()
}

/// Names of all fields in order, and the kinds of what they hold; rows themselves differ by table.
fn shape(value: &Value) -> Vec<String> {
    let object = value.as_object().expect("an object");
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        _ => "object",
    };
    let mut shape: Vec<String> = object.iter().map(|(name, value)| format!("{name}:{}", kind(value))).collect();
    for inner in ["source", "transaction"] {
        if object[inner].is_object() {
            shape.extend(
                object[inner]
                    .as_object()
                    .expect("checked")
                    .iter()
                    .map(|(name, value)| format!("{inner}.{name}:{}", kind(value))),
            );
        }
    }
    shape.sort();
    shape
}

#[test]
fn envelopes_have_the_captured_shape() {
    let captured: BTreeMap<String, Value> = serde_json::from_str(CAPTURED).expect("JSON");
    let mut connector = connector(false);
    let mut kept = Kept::default();
    connector
        .snapshot(row(1, "1"), 1_795_484_876_172_547, &mut kept)
        .expect("kept");
    let update = Change {
        city: 3201,
        before: Some(row(1, "1")),
        after: Some(row(1, "2")),
    };
    let delete = Change {
        city: 3201,
        before: Some(row(1, "2")),
        after: None,
    };
    let create = Change {
        city: 3201,
        before: None,
        after: Some(row(2, "1")),
    };
    for change in [&update, &delete, &create] {
        connector
            .transaction(&[change], false, 1_795_484_891_248_049, &mut kept)
            .expect("kept");
    }
    for (at, op) in [(0, "r"), (1, "u"), (2, "d"), (4, "c")] {
        let value = kept.value(at);
        assert_eq!(value["op"], op);
        assert_eq!(shape(&value), shape(&captured[op]), "{op}");
        assert_eq!(kept.0[at].0, "human-resources.3201.public.ac02");
    }
    assert!(kept.0[3].2.is_none(), "a tombstone follows the delete");
    assert_eq!(kept.value(0)["source"]["snapshot"], "first");
    assert_eq!(kept.value(0)["source"]["sequence"], "[null,\"1795484876071\"]");
    let lsn = |at| kept.value(at)["source"]["lsn"].as_u64().expect("a number");
    assert!(lsn(0) < lsn(1) && lsn(1) < lsn(2) && lsn(2) < lsn(4));
}

#[test]
fn a_key_change_is_delete_tombstone_create_at_one_position() {
    let mut kept = Kept::default();
    let change = Change {
        city: 3201,
        before: Some(row(2, "1")),
        after: Some(row(9, "1")),
    };
    connector(false).transaction(&[&change], false, 1, &mut kept).expect("kept");
    assert_eq!(kept.0.len(), 3);
    let (delete, create) = (kept.value(0), kept.value(2));
    assert_eq!((&delete["op"], &create["op"]), (&Value::from("d"), &Value::from("c")));
    assert_eq!(delete["source"]["lsn"], create["source"]["lsn"]);
    assert_eq!(delete["transaction"]["total_order"], 1);
    assert_eq!(create["transaction"]["total_order"], 2);
    let newkey = Some(("__debezium.newkey", br#"{"baz001":9}"#.to_vec()));
    assert!(kept.0[0].3 == newkey && kept.0[1].3 == newkey && kept.0[1].2.is_none());
    assert!(kept.0[2].3 == Some(("__debezium.oldkey", br#"{"baz001":2}"#.to_vec())));
    assert_eq!(kept.0[1].1, br#"{"baz001":2}"#);
}

#[test]
fn a_repetition_is_the_same_again() {
    let mut kept = Kept::default();
    let change = Change {
        city: 3201,
        before: None,
        after: Some(row(2, "1")),
    };
    let mut connector = connector(false);
    connector.transaction(&[&change], true, 1, &mut kept).expect("kept");
    connector.transaction(&[&change], false, 2, &mut kept).expect("kept");
    let mut again = kept.value(1);
    assert_eq!(again["source"]["lsn"], kept.value(0)["source"]["lsn"]);
    again["source"]["sequence"] = kept.value(0)["source"]["sequence"].clone();
    assert_eq!(again, kept.value(0));
    assert!(kept.value(2)["source"]["lsn"].as_u64() > again["source"]["lsn"].as_u64());
}

#[test]
fn snapshots_are_marked_at_both_ends() {
    let mut connector = connector(false);
    let mut kept = Kept::default();
    for key in 1..4 {
        connector.snapshot(row(key, "1"), 1, &mut kept).expect("kept");
    }
    connector
        .finish_snapshot(&Heartbeat { id: 1, ts: None }.into(), 2, &mut kept)
        .expect("kept");
    let marker = |at| kept.value(at)["source"]["snapshot"].as_str().expect("text").to_owned();
    let markers: Vec<String> = (0..4).map(marker).collect();
    assert_eq!(markers, ["first", "true", "last_in_data_collection", "last"]);
}

#[test]
fn schemas_describe_the_payload() {
    let mut connector = connector(true);
    let mut kept = Kept::default();
    connector.snapshot(row(1, "1"), 1, &mut kept).expect("kept");
    let value = kept.value(0);
    assert_eq!(value["payload"]["after"]["aac031"], "1");
    let fields = value["schema"]["fields"].as_array().expect("fields");
    let names: Vec<&str> = fields.iter().filter_map(|field| field["field"].as_str()).collect();
    let payload = value["payload"].as_object().expect("payload");
    assert_eq!(
        names,
        ["before", "after", "source", "transaction", "op", "ts_ms", "ts_us", "ts_ns"]
    );
    assert!(names.iter().all(|name| payload.contains_key(*name)));
    let row = payload["after"].as_object().expect("a row");
    let columns = fields[1]["fields"].as_array().expect("columns");
    assert_eq!(columns.len(), row.len());
    let key: Value = serde_json::from_slice(&kept.0[0].1).expect("JSON");
    assert_eq!(key["payload"]["baz001"], 1);
}

#[test]
fn every_message_of_a_small_province_is_json() {
    let day = Day(20_781);
    let (world, rates) = (World::new(11, 1_600, day), Rates::default());
    let mut connectors: BTreeMap<(Agency, u16), Connector> = BTreeMap::new();
    let mut kept = Kept::default();
    let mut live = Live::new(&world, &rates);
    let rows = (0..world.blocks()).flat_map(|block| history::block(&world, &rates, block));
    for Record { city, row } in rows.flat_map(|dossier| dossier.records) {
        let agency = row.agency();
        let connector = connectors
            .entry((agency, city))
            .or_insert_with(|| Connector::new(agency, city, false, 1_000));
        connector.snapshot(row, 2_000, &mut kept).expect("kept");
    }
    for _ in 0..600 {
        for change in live.next(day).expect("a step").changes {
            let agency = change.after.as_ref().or(change.before.as_ref()).expect("a row").agency();
            let city = change.city;
            let connector = connectors
                .entry((agency, city))
                .or_insert_with(|| Connector::new(agency, city, false, 1_000));
            connector.transaction(&[&change], false, 3_000, &mut kept).expect("kept");
        }
    }
    assert!(kept.0.len() > 8_000, "{}", kept.0.len());
    for (_, key, value, _) in &kept.0 {
        assert!(serde_json::from_slice::<Value>(key).is_ok());
        assert!(
            value
                .as_ref()
                .is_none_or(|value| serde_json::from_slice::<Value>(value).is_ok())
        );
    }
}
