//! Images of rows, as a source encodes them.

use super::Row;
use crate::story::day_of;
use anyhow::{Context, bail};
use runtime::dialect::{Field, Table};
use serde_json::Value;

/// A row has every column of its table: what is not stated is null.
pub(super) fn whole(table: &Table, stated: Row) -> Row {
    let mapped = Field::ALL.iter().filter_map(|field| table.column(*field));
    let mut row: Row = mapped.map(|column| (column.to_owned(), Value::Null)).collect();
    row.extend(stated);
    row
}

/// A row of a table that lost columns at its source.
pub(super) fn without(row: &Row, absent: &[String]) -> Row {
    let mut row = row.clone();
    row.retain(|column, _| !absent.contains(column));
    row
}

/// An envelope without schema.
pub fn envelope(op: &str, before: Option<&Row>, after: Option<&Row>) -> Value {
    serde_json::json!({
        "before": before,
        "after": after,
        "source": { "connector": "postgresql", "schema": "public", "snapshot": if op == "r" { "true" } else { "false" } },
        "transaction": null,
        "op": op,
    })
}

/// A truncation of the table.
pub(super) fn truncation() -> Value {
    envelope("t", None, None)
}

/// A value as the source encodes it: a date as days since 1970, as Debezium does for `DATE`.
pub(super) fn json(value: &toml::Value) -> anyhow::Result<Value> {
    Ok(match value {
        toml::Value::String(text) if text == "null" => Value::Null,
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Boolean(flag) => Value::from(*flag),
        toml::Value::Datetime(date) => Value::from(day_of(date).context("a date without a time")?.0),
        _ => bail!("a column is text, an integer, a boolean or a date; \"null\" is null"),
    })
}
