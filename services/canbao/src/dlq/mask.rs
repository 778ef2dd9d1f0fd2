//! A message as it may be shown: structure, names of columns, lengths and types, and no value that could be somebody's.

use serde_json::{Map, Value, json};

/// Of an envelope's `source`: what says where an event comes from. Everything else there may quote a statement.
const ORIGIN: [&str; 8] = ["version", "connector", "name", "db", "schema", "table", "snapshot", "ts_ms"];
/// Longest name of a column that is shown.
const LONGEST_NAME: usize = 64;

/// A key or value without its frame.
pub fn masked(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else { return Value::Null };
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => envelope(value),
        Err(_) if std::str::from_utf8(bytes).is_err() => json!(format!("*** ({} bytes that are no UTF-8)", bytes.len())),
        Err(_) => json!(format!("*** ({} bytes that are no JSON)", bytes.len())),
    }
}

/// An event: `op` and where it comes from are its own, the rows are somebody's.
fn envelope(value: Value) -> Value {
    let Value::Object(fields) = value else {
        return hidden(value);
    };
    let mut shown = Map::new();
    for (name, value) in fields {
        let value = match (name.as_str(), value) {
            // The converter's, as long as the row's own and longer.
            ("schema", Value::Object(_)) => json!("left out"),
            ("payload", payload) => envelope(payload),
            ("op", Value::String(op)) if op.len() == 1 => Value::String(op),
            ("source", Value::Object(source)) => Value::Object(source.into_iter().map(origin).collect()),
            (_, value) => hidden(value),
        };
        shown.insert(named(name), value);
    }
    Value::Object(shown)
}

fn origin((name, value): (String, Value)) -> (String, Value) {
    let is_shown = ORIGIN.contains(&name.as_str()) && !value.is_object() && !value.is_array();
    let value = if is_shown { value } else { hidden(value) };
    (named(name), value)
}

/// What a value is, without it.
fn hidden(value: Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => json!("*** (true or false)"),
        Value::Number(number) => json!(format!("*** (number of {} characters)", number.to_string().len())),
        Value::String(text) => json!(format!("*** ({} characters)", text.chars().count())),
        Value::Array(items) => Value::Array(items.into_iter().map(hidden).collect()),
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(name, value)| (named(name), hidden(value))).collect()),
    }
}

/// A name of a column, unless it may be a value that stands where a name belongs.
fn named(name: String) -> String {
    let digits = name.chars().filter(char::is_ascii_digit).count();
    if name.len() <= LONGEST_NAME && digits < 6 {
        name
    } else {
        format!("*** ({} characters)", name.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn structure_is_shown_and_no_value() {
        let event = json!({ "schema": { "type": "struct" }, "payload": {
            "op": "u", "before": null, "ts_ms": 1,
            "after": { "aac002": "320501199003070012", "aac003": "张三", "baz001": 17, "gone": null, "ok": true },
            "source": { "connector": "mysql", "table": "ac02", "query": "update ac02 set aac003 = '张三'", "snapshot": "false" },
        }});
        let shown = masked(Some(event.to_string().as_bytes()));
        let expected = json!({ "schema": "left out", "payload": {
            "op": "u", "before": null, "ts_ms": "*** (number of 1 characters)",
            "after": { "aac002": "*** (18 characters)", "aac003": "*** (2 characters)", "baz001": "*** (number of 2 characters)",
                "gone": null, "ok": "*** (true or false)" },
            "source": { "connector": "mysql", "table": "ac02", "query": "*** (29 characters)", "snapshot": "false" },
        }});
        assert_eq!(shown, expected);
        assert_eq!(masked(None), Value::Null);
        assert_eq!(masked(Some("张三".as_bytes())), json!("*** (6 bytes that are no JSON)"));
        assert_eq!(masked(Some(&[0xff])), json!("*** (1 bytes that are no UTF-8)"));
        assert_eq!(
            masked(Some(br#"{"320501199003070012":1}"#)),
            json!({ "*** (18 characters)": "*** (number of 1 characters)" })
        );
    }

    proptest! {
        /// Wherever a number of a person stands in a row, it is not shown.
        #[test]
        fn a_number_is_never_shown(op in "[cudr]", column in "[a-z]{1,8}", nested in any::<bool>(), wrapped in any::<bool>()) {
            let number = "320501199003070012";
            let row = if nested { json!({ "of": [{ &column: number }] }) } else { json!({ &column: number }) };
            let event = json!({ "op": op, "after": row, "source": { &column: row } });
            let event = if wrapped { json!({ "schema": null, "payload": event }) } else { event };
            for part in [event, row, json!(number), json!([number])] {
                prop_assert!(!masked(Some(part.to_string().as_bytes())).to_string().contains(number));
            }
        }
    }
}
