//! The floor's messages: decoded from a connector's JSON, encoded as Avro, decoded again.

use anyhow::Context;
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use domain::shard::SHARDS;
use runtime::debezium::Cell;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Columns that hold a document number, in any table.
const NUMBERS: [&str; 4] = ["gmsfhm", "sfzh", "aac147", "aac002"];

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
}

/// A source row on its way to the floor's tables.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// Stands for the person: a hash of the document number, or of the key where there is none.
    #[serde(with = "apache_avro::serde::fixed")]
    pub person: [u8; 16],
    /// Stands for the record.
    #[serde(with = "apache_avro::serde::fixed")]
    pub record: [u8; 16],
    /// The topic it came from.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When the broker appended it, ms.
    pub appended_at: i64,
    /// The row is gone.
    pub deleted: bool,
    /// The columns' values in the order of their names.
    pub cells: Vec<String>,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let text = r#"{"type": "record", "name": "Row", "fields": [
        {"name": "person", "type": {"type": "fixed", "name": "Id", "size": 16}}, {"name": "record", "type": "Id"},
        {"name": "topic", "type": "string"}, {"name": "partition", "type": "int"}, {"name": "offset", "type": "long"},
        {"name": "appended_at", "type": "long"}, {"name": "deleted", "type": "boolean"},
        {"name": "cells", "type": {"type": "array", "items": "string"}}]}"#;
    Schema::parse_str(text).expect("a constant")
});
static WRITER: LazyLock<GenericDatumWriter<'static>> = LazyLock::new(|| {
    let builder = GenericDatumWriter::builder(&SCHEMA).human_readable(false);
    builder.build().expect("the schema resolves")
});
static READER: LazyLock<GenericDatumReader<'static>> = LazyLock::new(|| {
    let builder = GenericDatumReader::builder(&SCHEMA).human_readable(false);
    builder.build().expect("the schema resolves")
});

/// Two rounds of FNV: no logic of ours, and cheap.
fn hash(bytes: &[u8], more: &[u8]) -> [u8; 16] {
    let round = |seed: u64| {
        let bytes = bytes.iter().chain(more);
        bytes.fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&round(0xcbf2_9ce4_8422_2325).to_be_bytes());
    id[8..].copy_from_slice(&round(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id
}

impl Row {
    /// Decodes a connector's message; `None` for a tombstone.
    ///
    /// # Errors
    /// When it is no envelope.
    pub fn parse(
        topic: &str,
        partition: i32,
        offset: i64,
        appended_at: i64,
        key: &[u8],
        value: &[u8],
    ) -> anyhow::Result<Option<Self>> {
        let envelope: Envelope<'_> = serde_json::from_slice(value).context("a message is no envelope")?;
        let deleted = envelope.after.is_none();
        let Some(columns) = envelope.after.or(envelope.before) else {
            return Ok(None);
        };
        let columns: BTreeMap<&str, Cell<'_>> = serde_json::from_str(columns.get()).context("a row is no object")?;
        let record = hash(topic.as_bytes(), key);
        let number = NUMBERS.iter().find_map(|column| match columns.get(column) {
            Some(Cell::Text(number)) if !number.is_empty() => Some(number),
            _ => None,
        });
        let text = |cell: Cell<'_>| match cell {
            Cell::Text(text) => text.into_owned(),
            Cell::Integer(number) => number.to_string(),
            Cell::Boolean(flag) => flag.to_string(),
            Cell::Absent | Cell::Null | Cell::Other => String::new(),
        };
        Ok(Some(Self {
            person: number.map_or(record, |number| hash(number.as_bytes(), &[])),
            record,
            topic: topic.to_owned(),
            partition,
            offset,
            appended_at,
            deleted,
            cells: columns.into_values().map(text).collect(),
        }))
    }

    /// The partition of the floor's topic.
    pub fn shard(&self) -> u8 {
        self.person[0] % SHARDS
    }

    /// As Avro.
    ///
    /// # Errors
    /// Never, for a row of this type.
    pub fn encode(&self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(256);
        WRITER.write_ser(&mut bytes, self)?;
        Ok(bytes)
    }

    /// From Avro.
    ///
    /// # Errors
    /// When the bytes are no such row.
    pub fn decode(mut bytes: &[u8]) -> anyhow::Result<Self> {
        Ok(READER.read_deser(&mut bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_survives() {
        let value =
            br#"{"before":null,"after":{"baz001":7,"aac002":"320105197509120035","note":null,"x":[1]},"op":"c","ts_ms":1}"#;
        let row = Row::parse("human-resources.3201.public.ac02", 1, 5, 9, b"{\"baz001\":7}", value);
        let row = row.expect("an envelope").expect("a row");
        let again = Row::decode(&row.encode().expect("encoded")).expect("decoded");
        assert_eq!(again.cells, ["320105197509120035", "7", "", ""]);
        assert_eq!(
            (again.person, again.record, again.offset, again.deleted),
            (row.person, row.record, 5, false)
        );
        assert!(row.person != row.record);
    }
}
