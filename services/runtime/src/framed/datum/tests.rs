use super::*;

/// The JSON of a datum, or the class of the error.
fn json(schema: &str, bytes: &[u8]) -> Result<String, ErrorClass> {
    let schema = ParsedSchema::parse(None, schema).expect("a schema");
    let json = to_json(&schema, bytes).map_err(|error| error.class)?;
    Ok(String::from_utf8(json.into_owned()).expect("text"))
}

#[test]
fn values_are_written_as_json_converter_writes_them() {
    let float = [&[0][..], &f32::NAN.to_le_bytes()].concat();
    let infinite = f64::NEG_INFINITY.to_le_bytes();
    for (schema, bytes, expected) in [
        (
            r#""long""#,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..],
            "-9223372036854775808",
        ),
        (r#"{"type":"int","logicalType":"date"}"#, &[0x03], "-2"),
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#,
            &[4, 1, 0x2c],
            "\"ASw=\"",
        ),
        (r#"{"type":"fixed","name":"f","size":2}"#, &[1, 0x2c], "\"ASw=\""),
        (r#"["null","string"]"#, &[0], "null"),
        (r#"["null","string"]"#, &[2, 6, b'a', b'"', b'\n'], r#""a\"\n""#),
        (r#"{"type":"enum","name":"e","symbols":["A","B"]}"#, &[2], "\"B\""),
        (r#"["float","null"]"#, &float, "\"NaN\""),
        (r#""double""#, &infinite, "\"-Infinity\""),
        (r#"{"type":"array","items":"int"}"#, &[4, 2, 4, 1, 2, 6, 0], "[1,2,3]"),
        (r#"{"type":"map","values":"boolean"}"#, &[2, 2, b'k', 1, 0], r#"{"k":true}"#),
        (r#"{"type":"record","name":"r","fields":[]}"#, &[], "{}"),
        (
            r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"b","type":"null"}]}"#,
            &[2],
            r#"{"a":1,"b":null}"#,
        ),
    ] {
        assert_eq!(json(schema, bytes).as_deref(), Ok(expected), "{schema}");
    }
}

#[test]
fn bytes_that_do_not_fit_are_refused() {
    let long = [0xff; 10];
    for (schema, bytes) in [
        (r#""boolean""#, &[2][..]),
        (r#""boolean""#, &[]),
        (r#""int""#, &[0x80, 0x80, 0x80, 0x80, 0x20]),
        (r#""long""#, &long),
        (r#""string""#, &[6, b'a']),
        (r#""string""#, &[1]),
        (r#""string""#, &[2, 0xff]),
        (r#"["null","string"]"#, &[]),
        (r#"["null","string"]"#, &[4]),
        (r#"{"type":"enum","name":"e","symbols":["A"]}"#, &[2]),
        (r#""null""#, &[0]),
    ] {
        assert_eq!(json(schema, bytes), Err(ErrorClass::WrongFrame), "{schema}");
    }
}

#[test]
fn few_bytes_never_become_endless_text() {
    // 2^62 items without a byte each.
    let many = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    for items in [r#""null""#, r#"{"type":"record","name":"r","fields":[]}"#] {
        let schema = format!(r#"{{"type":"array","items":{items}}}"#);
        assert_eq!(json(&schema, &many), Err(ErrorClass::Oversized));
    }
}

#[test]
fn a_json_schema_frames_json() {
    let schema = ParsedSchema::parse(Some("JSON"), "{}").expect("a schema");
    assert_eq!(to_json(&schema, b"{\"a\":1}").as_deref(), Ok(&b"{\"a\":1}"[..]));
}
