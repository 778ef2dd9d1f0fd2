//! Which messages that cannot be read say so of their record, and which say nothing.

use super::*;
use crate::debezium::ErrorClass;
use domain::date::Timestamp;
use domain::ids::IdKey;
use domain::input::Input;
use domain::record::{Change, Unread};

const TABLES: &str = r#"
agency = "human-resources"
name = "test"
revision = 3
cities = ["*"]
ignored = ["i"]
[codes.status]
map = { 1 = "active" }
[codes.unit]
map = { 1 = "enterprise" }
[tables.t]
kind = "card"
key = ["k"]
[tables.t.fields]
number = "n"
name = "x"
status = { column = "s", codes = "status" }
[tables.e]
kind = "employer"
key = ["k"]
[tables.e.fields]
unit = "k"
unit-name = "x"
employer = { column = "s", codes = "unit" }
[tables.c]
kind = "completeness"
key = ["k"]
[tables.c.fields]
time = { column = "t", encoding = "timestamp-text" }
"#;

const CORRECTIONS: &str = r#"
agency = "public-security"
name = "corrections"
revision = 1
cities = ["*"]
[tables.r]
kind = "number-correction"
key = ["k"]
document = "resident-identity"
[tables.r.fields]
former-number = "f"
number = "n"
name = "x"
"#;

fn dialects() -> Dialects {
    let mut dialects = add(TABLES).unwrap();
    dialects.add(Path::new("corrections.toml"), CORRECTIONS).unwrap();
    dialects
}

fn key() -> IdKey {
    IdKey::new(1, &[7; 32])
}

/// The class of the dead letter, and what it says of the record besides.
fn dead(table: &str, key_bytes: &[u8], value: &[u8]) -> (ErrorClass, Vec<Input>) {
    let agency = if table == "r" { "public-security" } else { "human-resources" };
    let message = SourceMessage {
        source: source(&format!("{agency}.3201")),
        table,
        partition: 2,
        offset: 5,
        epoch: 1,
        timestamp: Timestamp(1_795_484_900_000),
        key: Some(key_bytes),
        value: Some(value),
    };
    match normalise(&dialects(), &key(), &message) {
        Classified::DeadLetter { error, inputs } => (error.class, inputs),
        other => panic!("{table}: {other:?}"),
    }
}

fn unread(inputs: &[Input]) -> &Unread {
    match inputs {
        [Input::Change(Change::Unread(unread))] => unread,
        other => panic!("{other:?}"),
    }
}

const KEY: &[u8] = br#"{"k":"1"}"#;
const ROW: &str = r#""k":"1","n":"320102198706300056","x":"A","s":"1""#;

#[test]
fn a_row_that_cannot_be_read_says_so_of_the_record_that_its_key_names() {
    let (row, half) = (
        format!(r#"{{"op":"u","after":{{{ROW}}}}}"#),
        format!(r#"{{"op":"u","after":{{{}}}}}"#, &ROW[..30]),
    );
    let changed = |from: &str, to: &str| row.replace(from, to).into_bytes();
    let cases = [
        (ErrorClass::NotJson, b"{\"op\":".to_vec()),
        (ErrorClass::NotJson, b"\xff\xfe\x00".to_vec()),
        (ErrorClass::WrongEnvelope, b"{\"op\":\"x\"}".to_vec()),
        (ErrorClass::WrongEnvelope, format!("{{{ROW}}}").into_bytes()),
        (ErrorClass::WrongEnvelope, b"{\"op\":\"u\",\"after\":[1]}".to_vec()),
        (ErrorClass::NotJson, half.into_bytes()),
        (ErrorClass::KeyMismatch, changed(r#""k":"1""#, r#""k":"2""#)),
        (ErrorClass::AbsentColumn, changed(r#""n":"320102198706300056","x":"A","#, "")),
        (
            ErrorClass::NoIdentity,
            changed(r#""n":"320102198706300056","x":"A""#, r#""n":null,"x":null"#),
        ),
    ];
    for (class, value) in cases {
        let (found, inputs) = dead("t", KEY, &value);
        assert_eq!(found, class, "{}", String::from_utf8_lossy(&value));
        let unread = unread(&inputs);
        let of = source("human-resources.3201");
        assert_eq!(
            (unread.id, unread.source, unread.table.as_str(), unread.key.reveal()),
            (key().record(of, &unread.table, r#"{"k":1}"#), of, "t", r#"{"k":1}"#)
        );
        let version = unread.version;
        assert_eq!(
            (version.epoch, version.partition, version.offset, version.mapping),
            (1, 2, 5, 3)
        );
        assert_eq!(unread.appended_at, Timestamp(1_795_484_900_000));
    }
}

#[test]
fn a_key_in_another_charset_is_read_as_the_row_is() {
    // Mended bytes of the key name the same record as those that were never broken.
    let [broken, whole] = [&b"{\"k\":\"\xed\xa0\xbd\xed\xb8\x80\"}"[..], "{\"k\":\"😀\"}".as_bytes()];
    let ids = [broken, whole].map(|bytes| unread(&dead("t", bytes, b"no JSON").1).id);
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn without_a_key_or_a_row_of_a_person_nothing_is_said() {
    let cases: [(&str, &[u8], &[u8], ErrorClass); 8] = [
        // The key is none of this table, or none at all.
        ("t", b"no JSON", b"no JSON", ErrorClass::NotJson),
        ("t", br#"{"k":null}"#, b"no JSON", ErrorClass::NotJson),
        ("t", br#"{"k":"1","l":"2"}"#, b"no JSON", ErrorClass::NotJson),
        ("t", br#"{"l":"1"}"#, b"{\"op\":\"x\"}", ErrorClass::WrongEnvelope),
        // Rows about other things, statements, and what nobody maps.
        ("e", KEY, b"no JSON", ErrorClass::NotJson),
        ("c", KEY, b"no JSON", ErrorClass::NotJson),
        ("r", KEY, b"no JSON", ErrorClass::NotJson),
        ("u", KEY, b"{\"op\":\"u\",\"after\":{}}", ErrorClass::UnknownTable),
    ];
    for (table, key, value, class) in cases {
        assert_eq!(dead(table, key, value), (class, Vec::new()), "{table}");
    }
}

#[test]
fn whose_person_is_known_is_a_record_and_not_only_a_key() {
    let row = format!(r#"{{"op":"u","after":{{{}}}}}"#, ROW.replace(r#""s":"1""#, r#""s":"9""#));
    let (class, inputs) = dead("t", KEY, row.as_bytes());
    assert_eq!(class, ErrorClass::UnknownCode);
    assert!(matches!(&inputs[..], [Input::Change(Change::Upsert(_))]), "{inputs:?}");
}
