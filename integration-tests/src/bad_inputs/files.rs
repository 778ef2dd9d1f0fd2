//! The files of bad inputs.

use super::{BadInput, Example, folder, insert};
use anyhow::{Context, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cells {
    kind: Vec<CellKind>,
    missing: Vec<Missing>,
}

/// Tokens in the place of columns.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CellKind {
    name: String,
    #[serde(rename = "about")]
    _about: String,
    expect: Vec<String>,
    columns: Vec<String>,
    tokens: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Missing {
    name: String,
    expect: Vec<String>,
    tables: Vec<String>,
}

#[derive(Deserialize)]
struct Messages {
    kind: Vec<MessageKind>,
}

/// Whole messages, of the resident register.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageKind {
    name: String,
    #[serde(rename = "about", default)]
    _about: String,
    expect: Vec<String>,
    /// Values under the example's key.
    #[serde(default)]
    values: Vec<String>,
    /// The same as bytes.
    #[serde(default)]
    hex: Vec<String>,
    /// Keys over one value.
    #[serde(default)]
    keys: Vec<String>,
    /// The same as bytes.
    #[serde(default)]
    key_hex: Vec<String>,
    value: Option<String>,
}

fn read<T: DeserializeOwned>(name: &str) -> anyhow::Result<T> {
    let path = folder().join("integration-tests/bad-inputs").join(name);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

/// `@repeat TEXT TIMES` is a JSON string; anything else stands for itself.
fn token(written: &str) -> anyhow::Result<String> {
    let Some(repeat) = written.strip_prefix("@repeat ") else {
        return Ok(written.to_owned());
    };
    let (text, times) = repeat.split_once(' ').context("@repeat TEXT TIMES")?;
    Ok(format!("\"{}\"", text.repeat(times.parse()?)))
}

/// Values of single columns.
pub(super) fn cells() -> anyhow::Result<Vec<BadInput>> {
    let cells: Cells = read("cells.toml")?;
    let mut inputs = Vec::new();
    for kind in &cells.kind {
        for column in &kind.columns {
            let (table, name) = column.split_once('.').context("<agency>/<table>.<column>")?;
            let example = Example::read(table)?;
            ensure!(example.row.contains_key(name), "{column} is no column of the example");
            for written in &kind.tokens {
                let row = example.row_with(name, Some(&token(written)?));
                inputs.push(input(
                    &kind.name,
                    format!("{column} = {written}"),
                    &kind.expect,
                    &example,
                    insert(&row),
                ));
            }
        }
    }
    for kind in &cells.missing {
        for table in &kind.tables {
            let example = Example::read(table)?;
            for name in example.row.keys() {
                let row = example.row_with(name, None);
                inputs.push(input(
                    &kind.name,
                    format!("{table}.{name}"),
                    &kind.expect,
                    &example,
                    insert(&row),
                ));
            }
        }
    }
    Ok(inputs)
}

fn input(kind: &str, label: String, expect: &[String], example: &Example, value: Vec<u8>) -> BadInput {
    BadInput {
        kind: kind.to_owned(),
        label,
        expect: expect.to_vec(),
        topic: example.topic.clone(),
        key: Some(example.key()),
        value: Some(value),
        headers: Vec::new(),
    }
}

/// Whole messages.
pub(super) fn messages() -> anyhow::Result<Vec<BadInput>> {
    let messages: Messages = read("messages.toml")?;
    let example = Example::read("public-security/czrk")?;
    let filled = |text: &str| {
        text.replace("@ROW@", &example.row())
            .replace("@KEY@", &example.key["rybh"].to_string())
            .replace("@NUMBER@", example.row["gmsfhm"].as_str().unwrap_or_default())
            .into_bytes()
    };
    let mut inputs = Vec::new();
    for kind in &messages.kind {
        let mut add = |label: &str, key: Option<Vec<u8>>, value: Vec<u8>| {
            let mut input = input(&kind.name, label.to_owned(), &kind.expect, &example, value);
            input.key = key;
            inputs.push(input);
        };
        for value in &kind.values {
            add(value, Some(example.key()), filled(value));
        }
        for value in &kind.hex {
            add(value, Some(example.key()), bytes(value)?);
        }
        let value = || kind.value.as_deref().map(filled).context("keys need a value");
        for key in &kind.keys {
            add(key, (key != "none").then(|| filled(key)), value()?);
        }
        for key in &kind.key_hex {
            add(key, Some(bytes(key)?), value()?);
        }
    }
    Ok(inputs)
}

fn bytes(hex: &str) -> anyhow::Result<Vec<u8>> {
    ensure!(hex.len().is_multiple_of(2), "{hex} has half a byte");
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).with_context(|| hex.to_owned());
    (0..hex.len() / 2).map(byte).collect()
}
