//! Rows that come alone (`rows = "flattened"` in the dialect): the examples of `schemas/contracts/examples/flattened` become what the same
//! events become in their envelopes.

use domain::date::Timestamp;
use domain::facts::Facts;
use domain::ids::IdKey;
use domain::input::Input;
use domain::record::Change;
use runtime::debezium::ErrorClass;
use runtime::dialect::{Classified, ControlKind, Dialects, SourceMessage, normalise};
use runtime::kafka::TopicNames;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The shipped dialect of public security; its register comes alone when `flattened`.
fn dialects(flattened: bool) -> Dialects {
    let file = root().join("services/public-security/dialects/ga.toml");
    let mut text = std::fs::read_to_string(&file).expect("the dialect");
    for kind in ["resident", "completeness"].iter().filter(|_| flattened) {
        let line = format!("kind = \"{kind}\"\n");
        assert_eq!(text.matches(&line).count(), 1);
        text = text.replace(&line, &format!("{line}rows = \"flattened\"\n"));
    }
    let mut dialects = Dialects::default();
    dialects.add(&file, &text).unwrap_or_else(|error| panic!("{error}"));
    dialects
}

fn example(name: &str) -> Value {
    let path = root().join("schemas/contracts/examples").join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect("an example")).expect("JSON")
}

fn classify(dialects: &Dialects, example: &Value) -> Classified {
    let (source, table) = TopicNames::standard()
        .table_of(example["topic"].as_str().expect("a topic"))
        .expect("a table");
    let bytes = |part: &str| Some(example[part].to_string().into_bytes()).filter(|_| !example[part].is_null());
    let (key, value) = (bytes("key"), bytes("value"));
    let message = SourceMessage {
        source,
        table,
        partition: 1,
        offset: example["offset"].as_u64().expect("an offset"),
        epoch: 1,
        timestamp: Timestamp(1_795_484_900_000),
        key: key.as_deref(),
        value: value.as_deref(),
    };
    normalise(dialects, &IdKey::new(1, &[7; 32]), &message)
}

/// An error of a message that cannot be read.
fn refused(dialects: &Dialects, example: &Value) -> String {
    match classify(dialects, example) {
        Classified::DeadLetter { error, .. } => {
            assert_eq!(error.class, ErrorClass::WrongEnvelope);
            error.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_alone_becomes_what_its_envelope_becomes() {
    let (alone, enveloped) = (dialects(true), dialects(false));
    for name in ["create", "snapshot", "update", "delete", "with-schema"] {
        let row = classify(&alone, &example(&format!("flattened/czrk.{name}")));
        let envelope = classify(&enveloped, &example(&format!("public-security/czrk.{name}")));
        assert!(matches!(row, Classified::Inputs(_)), "{name}: {row:?}");
        assert_eq!(row, envelope, "{name}");
    }
}

#[test]
fn a_message_without_value_deletes_the_row_of_its_key() {
    let tombstone = example("flattened/czrk.tombstone");
    let Classified::Inputs(inputs) = classify(&dialects(true), &tombstone) else {
        panic!("a delete")
    };
    let [Input::Change(Change::Delete(deleted))] = &inputs[..] else {
        panic!("{inputs:?}")
    };
    let Classified::Inputs(rows) = classify(&dialects(true), &example("flattened/czrk.create")) else {
        panic!("a row")
    };
    let [Input::Change(created)] = &rows[..] else {
        panic!("{rows:?}")
    };
    assert_eq!((deleted.id, deleted.home), (created.id(), None));
    assert_eq!(
        classify(&dialects(false), &tombstone),
        Classified::Control(ControlKind::Tombstone)
    );
}

/// Without an image before nobody knows what the number was: the row is read, no correction is.
#[test]
fn an_update_states_no_correction() {
    let mut row = example("public-security/czrk.number-change");
    assert!(matches!(classify(&dialects(false), &row), Classified::Inputs(inputs) if inputs.len() == 3));
    row["value"] = row["value"]["after"].clone();
    row["value"]["__op"] = json!("u");
    let Classified::Inputs(inputs) = classify(&dialects(true), &row) else {
        panic!("a row")
    };
    let [Input::Change(Change::Upsert(record))] = &inputs[..] else {
        panic!("{inputs:?}")
    };
    assert!(matches!(record.facts, Facts::Resident(_)));
}

#[test]
fn what_comes_otherwise_than_declared_says_what_to_do() {
    let said = refused(&dialects(false), &example("flattened/czrk.update"));
    assert!(
        said.contains("rows = \"flattened\" for table czrk in dialect ga") && said.contains("ExtractNewRecordState"),
        "{said}"
    );
    let said = refused(&dialects(true), &example("public-security/czrk.update"));
    assert!(said.contains("came in an envelope"), "{said}");
    let mut truncated = example("flattened/czrk.create");
    truncated["value"] = json!({"__op": "t"});
    assert!(matches!(
        classify(&dialects(true), &truncated),
        Classified::Control(ControlKind::Truncated)
    ));
}

/// A completeness row that a snapshot read must not be taken for a streamed one.
#[test]
fn a_completeness_row_says_whether_it_was_streamed() {
    let mut row = example("public-security/heartbeat.update");
    row["value"] = row["value"]["after"].clone();
    let said = refused(&dialects(true), &row);
    assert!(said.contains("add.fields=op,source.snapshot"), "{said}");
    row["value"]["__op"] = json!("u");
    assert!(matches!(
        classify(&dialects(true), &row),
        Classified::Control(ControlKind::Completeness { .. })
    ));
}
