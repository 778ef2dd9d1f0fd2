//! What a schema registry frames becomes what the same event becomes as JSON: every example of the contracts, and random ones.

use integration_tests::frames::{VARIABLE_SCALE, avro_schema, datum, frame, projected};
use integration_tests::ground::Rules;
use proptest::prelude::*;
use runtime::dialect::{Classified, SourceMessage, normalise};
use runtime::framed::{Fetched, Frames, ParsedSchema, to_json};
use runtime::kafka::TopicNames;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::LazyLock;

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::load().expect("the dialects of the services"));
static EXAMPLES: LazyLock<Vec<(String, Value)>> = LazyLock::new(examples);

/// The contract's examples that carry their schema.
fn examples() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/contracts/examples");
    let mut examples = Vec::new();
    for agency in ["public-security", "civil-affairs", "human-resources"] {
        for entry in std::fs::read_dir(folder.join(agency)).expect("examples") {
            let path = entry.expect("an entry").path();
            if path.to_string_lossy().ends_with(".with-schema.json") {
                let text = std::fs::read_to_string(&path).expect("an example");
                examples.push((path.display().to_string(), serde_json::from_str(&text).expect("JSON")));
            }
        }
    }
    examples.sort_by(|one, two| one.0.cmp(&two.0));
    assert!(examples.len() > 10);
    examples
}

fn read(topic: &str, key: &[u8], value: &[u8]) -> Classified {
    let (source, table) = TopicNames::standard().table_of(topic).expect("a topic");
    let message = SourceMessage {
        source,
        table,
        partition: 0,
        offset: 7,
        epoch: 0,
        timestamp: domain::date::Timestamp(1_795_484_900_000),
        key: Some(key),
        value: Some(value),
    };
    normalise(&RULES.dialects, &RULES.key, &message)
}

/// What an event becomes as plain JSON, as Avro and as JSON Schema; a key's and a value's Connect schema and payload.
fn three_ways(topic: &str, key: (&Value, &Value), value: (&Value, &Value)) -> [Classified; 3] {
    let schemas = [key.0, value.0].map(|connect| avro_schema(connect).expect("a schema").to_string());
    let frames = Frames::with("http://registry", move |id| match id {
        1 | 2 => Fetched::Schema {
            kind: None,
            text: schemas[id as usize - 1].clone(),
        },
        _ => Fetched::Schema {
            kind: Some("JSON".to_owned()),
            text: r#"{"type":"object"}"#.to_owned(),
        },
    });
    let plain = [key, value].map(|(connect, payload)| projected(connect, payload).to_string().into_bytes());
    let avro = [(1, key), (2, value)].map(|(id, (connect, payload))| frame(id, &datum(connect, payload).expect("a datum")));
    let json = [0, 1].map(|at| frame(3, &plain[at]));
    [plain, avro, json].map(|[key, value]| {
        let opened = frames.open(Some(&key), Some(&value)).expect("known schemas");
        read(topic, opened.key().expect("a key"), opened.value().expect("a value"))
    })
}

#[test]
fn every_example_is_read_from_frames_as_from_json() {
    for (name, example) in EXAMPLES.iter() {
        let part = |part: &str| (&example[part]["schema"], &example[part]["payload"]);
        let [plain, avro, json] = three_ways(example["topic"].as_str().expect("a topic"), part("key"), part("value"));
        assert!(!matches!(plain, Classified::DeadLetter { .. }), "{name}");
        assert_eq!(plain, avro, "{name}");
        assert_eq!(plain, json, "{name}");
    }
}

/// A column that a source may have: its Connect schema, and a value as JsonConverter writes it.
fn column() -> impl Strategy<Value = (Value, Value)> {
    let base64 = prop::collection::vec(any::<u8>(), 1..12).prop_map(|bytes| {
        use base64::Engine;
        Value::from(base64::engine::general_purpose::STANDARD.encode(bytes))
    });
    let text = "\\PC{0,8}|[\\x00-\\x1f\"\\\\]{0,4}";
    // As a number of 64 bits with the same digits.
    let single = |number: f32| json!(number.to_string().parse::<f64>().expect("a number"));
    let plain = prop_oneof![
        any::<bool>().prop_map(|value| (json!({"type": "boolean"}), json!(value))),
        any::<i8>().prop_map(|value| (json!({"type": "int8"}), json!(value))),
        any::<i16>().prop_map(|value| (json!({"type": "int16"}), json!(value))),
        any::<i32>().prop_map(|value| (json!({"type": "int32", "name": "io.debezium.time.Date"}), json!(value))),
        any::<i64>().prop_map(|value| (
            json!({"type": "int64", "name": "io.debezium.time.MicroTimestamp"}),
            json!(value)
        )),
        any::<i32>().prop_map(|value| (
            json!({"type": "int32", "name": "org.apache.kafka.connect.data.Date"}),
            json!(value)
        )),
        any::<i64>().prop_map(|value| (
            json!({"type": "int64", "name": "org.apache.kafka.connect.data.Timestamp"}),
            json!(value)
        )),
        (-1e30f32..1e30).prop_map(move |value| (json!({"type": "float"}), single(value))),
        (-1e300f64..1e300).prop_map(|value| (json!({"type": "double"}), json!(value))),
        text.prop_map(|value| (json!({"type": "string"}), json!(value))),
        base64.clone().prop_map(|value| (json!({"type": "bytes"}), value)),
        base64.clone().prop_map(|value| (
            json!({"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal"}),
            value
        )),
        (0i32..10, base64).prop_map(|(scale, value)| {
            let fields = json!([{"field": "scale", "type": "int32"}, {"field": "value", "type": "bytes"}]);
            let schema = json!({"type": "struct", "name": VARIABLE_SCALE, "fields": fields});
            (schema, json!({"scale": scale, "value": value}))
        }),
        prop::collection::vec(text, 0..4).prop_map(|items| (json!({"type": "array", "items": {"type": "string"}}), json!(items))),
        prop::collection::btree_map(text, prop::option::of(any::<i64>()), 0..4).prop_map(|items| (
            json!({"type": "map", "values": {"type": "int64", "optional": true}}),
            json!(items)
        )),
    ];
    (plain, any::<bool>(), any::<bool>()).prop_map(|((mut schema, value), optional, null)| {
        schema["optional"] = json!(optional);
        (schema, if optional && null { Value::Null } else { value })
    })
}

/// An example whose rows have further columns, and other values in theirs.
fn envelope() -> impl Strategy<Value = (usize, Value, Value)> {
    let changes = prop::collection::vec(
        (
            any::<prop::sample::Index>(),
            prop::option::of("\\PC{0,6}|[0-9]{18}"),
            any::<i32>(),
        ),
        0..4,
    );
    (
        any::<prop::sample::Index>(),
        prop::collection::vec(column(), 0..6),
        changes,
        "[curd]",
    )
        .prop_map(|(example, columns, changes, operation)| {
            let at = example.index(EXAMPLES.len());
            let (mut schema, mut payload) = (
                EXAMPLES[at].1["value"]["schema"].clone(),
                EXAMPLES[at].1["value"]["payload"].clone(),
            );
            let mut row = payload["after"].clone();
            for field in 0..2 {
                let fields = schema["fields"][field]["fields"].as_array_mut().expect("columns");
                for (number, (kind, value)) in columns.iter().enumerate() {
                    let mut kind = kind.clone();
                    kind["field"] = json!(format!("extra{number}"));
                    fields.push(kind);
                    row[format!("extra{number}")] = value.clone();
                }
            }
            let fields = schema["fields"][1]["fields"].as_array().expect("columns");
            for (column, text, number) in changes {
                let field = &fields[column.index(fields.len())];
                let value = match (field["type"].as_str(), text) {
                    (_, None) if field["optional"] == true => Value::Null,
                    (Some("string"), Some(text)) => json!(text),
                    (Some("int32" | "int64"), _) => json!(number),
                    _ => continue,
                };
                row[field["field"].as_str().expect("a name")] = value;
            }
            payload["op"] = json!(operation);
            payload["before"] = if matches!(operation.as_str(), "u" | "d") {
                row.clone()
            } else {
                Value::Null
            };
            payload["after"] = if operation == "d" { Value::Null } else { row };
            (at, schema, payload)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn frames_change_nothing((at, schema, payload) in envelope()) {
        let example = &EXAMPLES[at].1;
        let text = avro_schema(&schema).expect("a schema").to_string();
        let parsed = ParsedSchema::parse(Some("AVRO"), &text).expect("a schema");
        let bytes = datum(&schema, &payload).expect("a datum");
        let json: Value = serde_json::from_slice(&to_json(&parsed, &bytes).expect("it fits")).expect("JSON");
        // Both are read from text: reading rounds numbers with a fraction.
        let expected: Value = serde_json::from_str(&projected(&schema, &payload).to_string()).expect("JSON");
        prop_assert_eq!(json, expected);
        let key = (&example["key"]["schema"], &example["key"]["payload"]);
        let [plain, avro, json] = three_ways(example["topic"].as_str().expect("a topic"), key, (&schema, &payload));
        prop_assert_eq!(&plain, &avro);
        prop_assert_eq!(plain, json);
    }

    /// Bytes that were cut or changed are refused, or are another datum: never a panic, and never a row that states less.
    #[test]
    fn what_is_cut_short_is_no_row((_, schema, payload) in envelope(), cut in any::<prop::sample::Index>(), other in any::<u8>()) {
        let parsed = ParsedSchema::parse(None, &avro_schema(&schema).expect("a schema").to_string()).expect("a schema");
        let mut bytes = datum(&schema, &payload).expect("a datum");
        let cut = cut.index(bytes.len());
        prop_assert!(to_json(&parsed, &bytes[..cut]).is_err());
        bytes[cut] = other;
        if let Ok(json) = to_json(&parsed, &bytes) {
            prop_assert!(serde_json::from_slice::<Value>(&json).is_ok());
        }
    }
}
