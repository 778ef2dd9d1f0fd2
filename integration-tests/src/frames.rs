//! Messages as converters with a schema registry frame them: the Avro schema of a Connect schema, and a JSON payload under it as a datum.
//!
//! Written with the Avro crate, which the services do not read frames with: two readings of the format must agree.

use anyhow::{Context, bail};
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Schema};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};

/// The text behind `io.debezium.data.VariableScaleDecimal`, a decimal with its scale.
pub const VARIABLE_SCALE: &str = "io.debezium.data.VariableScaleDecimal";

/// Bytes behind a frame for schema `id`.
pub fn frame(id: u32, datum: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), datum].concat()
}

/// The Avro schema that Debezium's converter registers for a Connect schema: names as Debezium writes them, the topic's with what Avro does not
/// take replaced.
///
/// # Errors
/// When the Connect schema is none.
pub fn avro_schema(connect: &Value) -> anyhow::Result<Value> {
    let adjusted = |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "_");
    schema(connect, &adjusted, &mut BTreeSet::new())
}

/// A payload as datum of a Connect schema.
///
/// # Errors
/// When it does not fit.
pub fn datum(connect: &Value, payload: &Value) -> anyhow::Result<Vec<u8>> {
    // The crate takes no part of a name that begins with a digit; names stand in no datum.
    let plain = |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let text = schema(connect, &plain, &mut BTreeSet::new())?.to_string();
    let schema = Schema::parse_str(&text)?;
    let writer = GenericDatumWriter::builder(&schema).build()?;
    Ok(writer.write_value_to_vec(avro(connect, payload)?)?)
}

/// A payload with nothing but what the schema has.
pub fn projected(connect: &Value, payload: &Value) -> Value {
    let (Some(fields), Some(object)) = (connect["fields"].as_array(), payload.as_object()) else {
        return payload.clone();
    };
    let of = |field: &Value| {
        let name = field["field"].as_str()?;
        let value = object.get(name).unwrap_or(&Value::Null);
        Some((name.to_owned(), projected(field, value)))
    };
    Value::Object(fields.iter().filter_map(of).collect())
}

fn schema(connect: &Value, adjusted: &dyn Fn(&str) -> String, seen: &mut BTreeSet<String>) -> anyhow::Result<Value> {
    let name = connect["name"].as_str().unwrap_or_default();
    let kind = connect["type"].as_str().context("a type")?;
    let plain = match (kind, name) {
        ("int32", "org.apache.kafka.connect.data.Date") => json!({"type": "int", "logicalType": "date", "connect.name": name}),
        ("int64", "org.apache.kafka.connect.data.Timestamp") => {
            json!({"type": "long", "logicalType": "timestamp-millis", "connect.name": name})
        }
        ("bytes", "org.apache.kafka.connect.data.Decimal") => {
            json!({"type": "bytes", "logicalType": "decimal", "precision": 64, "scale": 2, "connect.name": name})
        }
        ("int8" | "int16", _) => json!({"type": "int", "connect.type": kind}),
        ("int32", _) => json!({"type": "int", "connect.name": name}),
        ("int64", _) => json!({"type": "long", "connect.name": name}),
        ("float" | "double" | "boolean" | "bytes", _) => json!(kind),
        ("string", _) => json!({"type": "string", "connect.name": name}),
        ("array", _) => json!({"type": "array", "items": schema(&connect["items"], adjusted, seen)?}),
        ("map", _) => json!({"type": "map", "values": schema(&connect["values"], adjusted, seen)?}),
        ("struct", _) => {
            let full = adjusted(name);
            if seen.insert(full.clone()) {
                let mut fields = Vec::new();
                for field in connect["fields"].as_array().context("fields")? {
                    let mut written = json!({"name": field["field"], "type": schema(field, adjusted, seen)?});
                    if field["optional"] == true {
                        written["default"] = Value::Null;
                    }
                    fields.push(written);
                }
                let (namespace, short) = full.rsplit_once('.').unwrap_or(("", &full));
                json!({"type": "record", "name": short, "namespace": namespace, "fields": fields, "connect.name": name})
            } else {
                json!(full)
            }
        }
        _ => bail!("no Avro type for {kind}"),
    };
    Ok(if connect["optional"] == true {
        json!(["null", plain])
    } else {
        plain
    })
}

fn avro(connect: &Value, payload: &Value) -> anyhow::Result<Avro> {
    if connect["optional"] != true {
        return plain(connect, payload);
    }
    Ok(match payload {
        Value::Null => Avro::Union(0, Box::new(Avro::Null)),
        _ => Avro::Union(1, Box::new(plain(connect, payload)?)),
    })
}

fn plain(connect: &Value, payload: &Value) -> anyhow::Result<Avro> {
    let name = connect["name"].as_str().unwrap_or_default();
    let kind = connect["type"].as_str().context("a type")?;
    let unfit = || format!("{kind} in the schema, another value in the payload");
    let integer = || payload.as_i64().with_context(unfit);
    let bytes = || base64(payload.as_str().with_context(unfit)?);
    Ok(match (kind, name) {
        ("int32", "org.apache.kafka.connect.data.Date") => Avro::Date(integer()? as i32),
        ("int64", "org.apache.kafka.connect.data.Timestamp") => Avro::TimestampMillis(integer()?),
        ("bytes", "org.apache.kafka.connect.data.Decimal") => Avro::Decimal(Decimal::from(bytes()?)),
        ("int8" | "int16" | "int32", _) => Avro::Int(integer()? as i32),
        ("int64", _) => Avro::Long(integer()?),
        ("float", _) => Avro::Float(payload.as_f64().with_context(unfit)? as f32),
        ("double", _) => Avro::Double(payload.as_f64().with_context(unfit)?),
        ("boolean", _) => Avro::Boolean(payload.as_bool().with_context(unfit)?),
        ("bytes", _) => Avro::Bytes(bytes()?),
        ("string", _) => Avro::String(payload.as_str().with_context(unfit)?.to_owned()),
        ("array", _) => {
            let items = payload
                .as_array()
                .with_context(unfit)?
                .iter()
                .map(|item| avro(&connect["items"], item));
            Avro::Array(items.collect::<anyhow::Result<_>>()?)
        }
        ("map", _) => {
            let of = |(name, value): (&String, &Value)| Ok((name.clone(), avro(&connect["values"], value)?));
            Avro::Map(
                payload
                    .as_object()
                    .with_context(unfit)?
                    .iter()
                    .map(of)
                    .collect::<anyhow::Result<HashMap<_, _>>>()?,
            )
        }
        ("struct", _) => {
            let empty = Map::new();
            let object = payload.as_object().unwrap_or(&empty);
            let of = |field: &Value| {
                let name = field["field"].as_str().context("a name")?;
                Ok((name.to_owned(), avro(field, object.get(name).unwrap_or(&Value::Null))?))
            };
            let fields = connect["fields"].as_array().context("fields")?;
            Avro::Record(fields.iter().map(of).collect::<anyhow::Result<_>>()?)
        }
        _ => bail!("no Avro value for {kind}"),
    })
}

/// Bytes of base64 text, by the crate that reads it where Debezium's bytes are read.
fn base64(text: &str) -> anyhow::Result<Vec<u8>> {
    use base64::Engine;
    Ok(base64::engine::general_purpose::STANDARD.decode(text)?)
}
