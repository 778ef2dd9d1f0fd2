use super::*;
use domain::limits::LONGEST_KEY;

fn columns(names: &[&str]) -> Vec<KeyColumn> {
    typed(names, KeyType::Any)
}

fn typed(names: &[&str], kind: KeyType) -> Vec<KeyColumn> {
    let column = |name: &&str| KeyColumn {
        name: (*name).to_owned(),
        kind,
    };
    names.iter().map(column).collect()
}

fn class<T: std::fmt::Debug>(result: Result<T, NormaliseError>) -> ErrorClass {
    result.expect_err("an error").class
}

fn canonical_key(key: Option<&[u8]>, names: &[KeyColumn]) -> Result<String, NormaliseError> {
    Key::parse(key, names).map(|key| key.text)
}

#[test]
fn keys_have_one_spelling() {
    let names = columns(&["a", "b"]);
    for key in [
        r#"{"b":1,"a":"x"}"#,
        r#" { "a" : "\u0078", "b" : 1 } "#,
        r#"{"schema":{"type":"struct"},"payload":{"a":"x","b":1}}"#,
        // What a converter that wraps makes of a key whose schema a transform took away.
        r#"{"schema":null,"payload":{"a":"x","b":1}}"#,
    ] {
        assert_eq!(
            canonical_key(Some(key.as_bytes()), &names).as_deref(),
            Ok(r#"{"a":"x","b":1}"#)
        );
    }
    let quoted = canonical_key(Some(br#"{"a":"\"\\\n"}"#), &columns(&["a"]));
    assert_eq!(quoted.as_deref(), Ok(r#"{"a":"\"\\\n"}"#));
    let controls = canonical_key(Some("{\"a\":\"\\u0000\u{7f}\u{85}é\"}".as_bytes()), &columns(&["a"]));
    assert_eq!(controls.as_deref(), Ok(r#"{"a":"\u0000\u007f\u0085é"}"#));
}

#[test]
fn one_key_is_one_row_whatever_its_type() {
    let text = |value: &str, kind| canonical_key(Some(format!(r#"{{"a":{value}}}"#).as_bytes()), &typed(&["a"], kind));
    let variable = r#"{"scale":0,"value":"AQ=="}"#;
    for value in ["1", "1.0", r#""1""#, variable] {
        for kind in [KeyType::Any, KeyType::Integer, KeyType::Base64 { scale: 0 }] {
            let base64 = matches!(kind, KeyType::Base64 { .. });
            let value = if base64 && value == r#""1""# { r#""AQ==""# } else { value };
            assert_eq!(text(value, kind).as_deref(), Ok(r#"{"a":1}"#), "{value} {kind:?}");
        }
        assert_eq!(text(value, KeyType::Text).as_deref(), Ok(r#"{"a":"1"}"#), "{value}");
    }
    // A serial number of twenty digits, as a NUMBER(20) comes.
    let long = r#"{"a":20261127000000000001}"#;
    for value in [
        "20261127000000000001",
        r#""20261127000000000001""#,
        r#"{"scale":0,"value":"ARkt+6iQE3AB"}"#,
    ] {
        assert_eq!(text(value, KeyType::Any).as_deref(), Ok(long), "{value}");
        assert_eq!(text(value, KeyType::Text).as_deref(), Ok(r#"{"a":"20261127000000000001"}"#));
    }
    assert_eq!(text(r#""ARkt+6iQE3AB""#, KeyType::Base64 { scale: 0 }).as_deref(), Ok(long));
    for (value, kind, expected) in [
        (r#""007""#, KeyType::Any, r#"{"a":"007"}"#),
        (r#""007""#, KeyType::Integer, r#"{"a":7}"#),
        (r#""1.00""#, KeyType::Integer, r#"{"a":1}"#),
        (r#""ZA==""#, KeyType::Base64 { scale: 2 }, r#"{"a":1}"#),
        ("true", KeyType::Any, r#"{"a":true}"#),
    ] {
        assert_eq!(text(value, kind).as_deref(), Ok(expected), "{value} {kind:?}");
    }
    for (value, kind) in [
        ("1.5", KeyType::Any),
        ("1e30", KeyType::Any),
        (r#""A1""#, KeyType::Integer),
        ("true", KeyType::Text),
        (r#""ZQ==""#, KeyType::Base64 { scale: 2 }),
        (r#"{"scale":0,"value":"?"}"#, KeyType::Any),
    ] {
        assert_eq!(class(text(value, kind)), ErrorClass::KeyMismatch, "{value} {kind:?}");
    }
    assert_eq!(class(text("null", KeyType::Integer)), ErrorClass::MissingKey);
}

#[test]
fn keys_that_are_none() {
    let names = columns(&["a"]);
    for (key, expected) in [
        ("", ErrorClass::MissingKey),
        ("null", ErrorClass::MissingKey),
        (r#"{"a":null}"#, ErrorClass::MissingKey),
        (r#"{"b":1}"#, ErrorClass::KeyMismatch),
        (r#"{"a":1,"b":1}"#, ErrorClass::KeyMismatch),
        (r#"{"a":1.5}"#, ErrorClass::KeyMismatch),
        (r#"{"a":{}}"#, ErrorClass::KeyMismatch),
        ("1", ErrorClass::KeyMismatch),
        ("[1]", ErrorClass::KeyMismatch),
        ("{", ErrorClass::NotJson),
        ("x", ErrorClass::NotJson),
    ] {
        assert_eq!(class(canonical_key(Some(key.as_bytes()), &names)), expected, "{key}");
    }
    assert_eq!(class(canonical_key(None, &names)), ErrorClass::MissingKey);
    let long = format!("{{\"a\":\"{}\"}}", "k".repeat(LONGEST_KEY));
    assert_eq!(class(canonical_key(Some(long.as_bytes()), &names)), ErrorClass::Oversized);
}

#[test]
fn values_with_and_without_schema() {
    for text in [
        r#"{"op":"u","before":null,"after":{"a":1},"source":{"snapshot":"last"}}"#,
        r#"{"schema":{"type":"struct"},"payload":{"source":{"snapshot":"last"},"after":{"a":1},"op":"u","x":[1]}}"#,
        r#"{"\u006fp":"\u0075","before":null,"after":{"a":1},"source":{"snapshot":"l\u0061st"}}"#,
    ] {
        let envelope = Envelope::parse(Some(text.as_bytes())).expect("valid").expect("a row");
        assert_eq!(envelope.operation, Operation::Update);
        assert_eq!(envelope.snapshot(), Snapshot::Last);
        assert!(envelope.before.is_none());
        assert_eq!(envelope.after.map(RawValue::get), Some(r#"{"a":1}"#));
    }
}

#[test]
fn values_that_say_nothing() {
    for value in [
        None,
        Some(""),
        Some("null"),
        Some(r#"{"schema":{"type":"struct"},"payload":null}"#),
        // Before Kafka 2.3 (KAFKA-3832).
        Some(r#"{"schema":null,"payload":null}"#),
        Some(r#"{"payload":null,"schema":null}"#),
        Some(r#" { "payload" : null } "#),
    ] {
        assert!(Envelope::parse(value.map(str::as_bytes)).expect("valid").is_none());
    }
}

#[test]
fn values_that_are_no_envelope() {
    for (value, expected) in [
        ("{\"op\":", ErrorClass::NotJson),
        ("\u{1}", ErrorClass::NotJson),
        (r#"{"op":"u","after":{"a":}}"#, ErrorClass::NotJson),
        ("[]", ErrorClass::WrongEnvelope),
        ("1", ErrorClass::WrongEnvelope),
        ("{}", ErrorClass::WrongEnvelope),
        (r#"{"baz001":1,"aac003":"x"}"#, ErrorClass::WrongEnvelope),
        (r#"{"op":"x","after":{}}"#, ErrorClass::WrongEnvelope),
        // A row alone whose column has this name is no tombstone.
        (r#"{"baz001":1,"payload":null}"#, ErrorClass::WrongEnvelope),
        (r#"{"op":"c","after":null}"#, ErrorClass::WrongEnvelope),
        (r#"{"op":7,"after":{}}"#, ErrorClass::WrongEnvelope),
    ] {
        assert_eq!(class(Envelope::parse(Some(value.as_bytes()))), expected, "{value}");
    }
    assert_eq!(class(Envelope::parse(Some(&[0xff, 0xfe]))), ErrorClass::NotJson);
    assert_eq!(
        class(Envelope::parse(Some(&vec![b' '; LARGEST_MESSAGE + 1]))),
        ErrorClass::Oversized
    );
}

#[test]
fn other_columns_of_a_key_are_named_where_they_look_like_names() {
    let said = |key: &str| {
        let error = Key::parse(Some(key.as_bytes()), &columns(&["a"])).map(|key| key.text);
        error.expect_err("other columns").to_string()
    };
    for (key, named) in [
        (
            r#"{"a":1,"__dbz__physicalTableIdentifier":"hr.public.t"}"#,
            "; beside them it has __dbz__physicalTableIdentifier",
        ),
        (r#"{"schema":null,"payload":{"A":1}}"#, "; beside them it has A"),
        (r#"{"b":1,"e":1,"d":1,"c":1,"f":1}"#, "; beside them it has b, c, d, e"),
        (r#"{"a":1,"320102198706300056":1,"张三":2}"#, "mapping names"),
    ] {
        assert!(said(key).ends_with(named), "{}", said(key));
    }
}

#[test]
fn keys_that_were_broken_in_one_place_stay_two() {
    let names = columns(&["a"]);
    let texts = [
        &br#"{"a":"x\ud842"}"#[..],
        br#"{"a":"x\udfb7"}"#,
        b"{\"a\":\"x\xe5\xbc\"}",
        b"{\"a\":\"x\xe5\xbd\"}",
    ]
    .map(|key| canonical_key(repaired(key, Charset::Utf8).as_deref(), &names).expect("a key"));
    assert_eq!(
        texts,
        [
            r#"{"a":"x\\ud842"}"#,
            r#"{"a":"x\\udfb7"}"#,
            r#"{"a":"x\\ue5bc"}"#,
            r#"{"a":"x\\ue5bd"}"#
        ]
    );
}
