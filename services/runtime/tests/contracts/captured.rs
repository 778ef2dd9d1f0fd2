//! What Debezium really sent: `schemas/contracts/captured`.

use super::{Example, describe, dialects, root};
use domain::input::Input;
use domain::record::Change;
use runtime::dialect::{Classified, ControlKind, Dialects};
use std::fmt::Write;
use std::path::Path;

fn captured(file: &str) -> Vec<Example> {
    let text = std::fs::read_to_string(root().join("schemas/contracts/captured").join(file)).expect("captured messages");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a captured message"))
        .collect()
}

/// The captured tables are smaller than those of the contract: rows lack columns that the default dialects map.
fn dialects_of_the_capture() -> Dialects {
    let mut dialects = dialects();
    for text in [include_str!("captured-hr.toml"), include_str!("captured-ca.toml")] {
        dialects.add(Path::new("captured.toml"), text).expect("a dialect");
    }
    dialects
}

/// What Debezium really sent, without schema, replica identity FULL.
#[test]
fn captured_without_schema() {
    let dialects = dialects_of_the_capture();
    let mut text = String::new();
    for example in captured("postgres-schemaless.jsonl") {
        write!(
            text,
            "{} {}:{}\n{}",
            example.topic,
            example.partition,
            example.offset,
            match example.classify(&dialects) {
                Some(classified) => {
                    assert!(!matches!(classified, Classified::DeadLetter { .. }), "{classified:?}");
                    describe(&classified)
                }
                None => "  no table\n".to_owned(),
            }
        )
        .expect("a string");
    }
    insta::assert_snapshot!("captured-schemaless", text);
}

/// With schema, replica identity DEFAULT: an update without `before` and with an unavailable value in a column nobody maps, and
/// a delete that knows its key only.
#[test]
fn captured_with_schema() {
    let dialects = dialects_of_the_capture();
    let classified: Vec<Classified> = captured("postgres-with-schema.jsonl")
        .iter()
        .filter_map(|example| example.classify(&dialects))
        .collect();
    let [
        Classified::Inputs(snapshot),
        Classified::Inputs(update),
        Classified::Inputs(delete),
        tombstone,
    ] = &classified[..]
    else {
        panic!("{classified:?}");
    };
    for input in [snapshot, update] {
        let [Input::Change(Change::Upsert(record))] = &input[..] else {
            panic!("{input:?}")
        };
        assert!(record.identity.name.is_some() && record.identity.document.is_none());
    }
    let [Input::Change(Change::Delete(deletion))] = &delete[..] else {
        panic!("{delete:?}")
    };
    assert_eq!(deletion.home, None);
    assert_eq!(*tombstone, Classified::Control(ControlKind::Tombstone));
}
