//! Message keys: which row a message is about, whatever type its connector gives the key today.

use super::cell::{Cell, Row};
use super::decimal::{integer, padded_integer, plain_integer};
use super::error::{ErrorClass, NormaliseError};
use super::{BROKEN, is_there, parse_object, text_of};
use domain::limits::{LONGEST_KEY, has_control};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Longest name of a column that is told, in bytes, and how many are.
const LONGEST_SHOWN: usize = 63;
const MOST_SHOWN: usize = 4;

/// The type of a key column, so that one key has one text whatever a connector makes of it: a `NUMBER` comes as integer, as text, as a
/// decimal with its scale or in base64, and changes with the connector's release and its `decimal.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// Whatever it is: text that is how an integer is written counts as that integer, since a column has one type.
    Any,
    /// An integer: also text with leading zeros, or with a fraction of zeros.
    Integer,
    /// Text: also where digits come as a number.
    Text,
    /// Decimals as base64 with the column's scale, which only the schema would tell.
    Base64 {
        /// Digits behind the point.
        scale: u8,
    },
}

impl KeyType {
    /// The value of a cell as this type; `None` when it is none.
    pub fn value<'c>(self, cell: &'c Cell<'_>) -> Option<Cell<'c>> {
        match (self, cell) {
            (_, Cell::Null | Cell::Absent) => Some(Cell::Null),
            (Self::Any, Cell::Text(text)) => {
                Some(plain_integer(text).map_or_else(|| Cell::Text(Cow::Borrowed(text)), Cell::Integer))
            }
            (Self::Any, Cell::Boolean(value)) => Some(Cell::Boolean(*value)),
            (Self::Any | Self::Integer | Self::Base64 { .. }, Cell::Integer(number)) => Some(Cell::Integer(*number)),
            (Self::Integer, Cell::Text(text)) => padded_integer(text).map(Cell::Integer),
            (Self::Base64 { scale }, Cell::Text(text)) => integer(text, scale.into()).map(Cell::Integer),
            (Self::Text, Cell::Text(text)) => Some(Cell::Text(Cow::Borrowed(text))),
            (Self::Text, Cell::Integer(number)) => Some(Cell::Text(Cow::Owned(number.to_string()))),
            (_, Cell::Other) | (Self::Integer | Self::Base64 { .. } | Self::Text, Cell::Boolean(_)) => None,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Any => "text, an integer or a boolean",
            Self::Integer => "an integer, as a number or as text",
            Self::Text => "text or an integer",
            Self::Base64 { .. } => "a whole decimal in base64, or an integer",
        }
    }
}

/// A key column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: KeyType,
}

impl AsRef<str> for KeyColumn {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

/// A message key.
pub struct Key<'a> {
    /// Canonical text: a JSON object of the key columns. Two spellings of one key (escapes, order, with or without schema)
    /// have one text. May be personal.
    pub text: String,
    /// The values as they came, in the order of the columns.
    pub cells: Vec<Cell<'a>>,
}

impl<'a> Key<'a> {
    /// Reads the key columns, which must come in ascending order of their names.
    ///
    /// Fails with [`ErrorClass::MissingKey`] when the message or one of its columns has none, with
    /// [`ErrorClass::KeyMismatch`] when the key has other columns, or values that are neither text, integer nor boolean, with
    /// [`ErrorClass::Oversized`] when it is longer than anything a key is made of.
    pub fn parse(key: Option<&'a [u8]>, columns: &[KeyColumn]) -> Result<Self, NormaliseError> {
        let row = Row::read(payload(key)?, columns).map_err(no_object)?;
        if row.unnamed > 0 {
            let found = others(key, columns);
            let expected = format!("no key columns but those the mapping names{found}");
            return Err(NormaliseError::new(ErrorClass::KeyMismatch, None, expected));
        }
        Ok(Self {
            text: canonical_text(columns, &row.cells)?,
            cells: row.cells,
        })
    }
}

/// Writes key columns as canonical JSON; refuses null and what is neither text, integer nor boolean.
fn canonical_text(columns: &[KeyColumn], cells: &[Cell<'_>]) -> Result<String, NormaliseError> {
    let mut text = String::with_capacity(32);
    for (column, cell) in columns.iter().zip(cells) {
        text.push(if text.is_empty() { '{' } else { ',' });
        push_json(&mut text, &column.name);
        text.push(':');
        match column.kind.value(cell) {
            // It names its row all the same: what stood in the broken place is spelled out.
            Some(Cell::Text(value)) if value.contains(BROKEN) => push_json(&mut text, &value.replace(BROKEN, "\\u")),
            Some(Cell::Text(value)) => push_json(&mut text, &value),
            Some(Cell::Integer(value)) => text.push_str(&value.to_string()),
            Some(Cell::Boolean(value)) => text.push_str(if value { "true" } else { "false" }),
            Some(Cell::Null) => {
                return Err(NormaliseError::new(
                    ErrorClass::MissingKey,
                    Some(&column.name),
                    "a value in every key column",
                ));
            }
            Some(Cell::Other | Cell::Absent) | None => {
                let expected = column.kind.expected();
                return Err(NormaliseError::new(ErrorClass::KeyMismatch, Some(&column.name), expected));
            }
        }
    }
    text.push('}');
    if text.len() > LONGEST_KEY {
        let expected = format!("a key of at most {LONGEST_KEY} bytes");
        return Err(NormaliseError::new(ErrorClass::Oversized, None, expected));
    }
    Ok(text)
}

/// The JSON text of the key's object, without what wraps it.
fn payload(key: Option<&[u8]>) -> Result<&str, NormaliseError> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        /// There is a schema; where a key has none, a converter that wraps writes `null`.
        #[serde(rename = "schema", default, deserialize_with = "is_there")]
        is_wrapped: bool,
        #[serde(borrow)]
        payload: Option<&'a RawValue>,
    }
    let missing = || {
        NormaliseError::new(
            ErrorClass::MissingKey,
            None,
            "a JSON object with the key columns as message key",
        )
    };
    let text = text_of(key, "key")?.ok_or_else(missing)?;
    Ok(match parse_object::<Wrapped>(text, "key")? {
        Wrapped {
            is_wrapped: true,
            payload: Some(payload),
        } => payload.get(),
        _ => text,
    })
}

fn no_object(error: NormaliseError) -> NormaliseError {
    match error.class {
        ErrorClass::WrongEnvelope => NormaliseError::new(ErrorClass::KeyMismatch, None, "a JSON object with the key columns"),
        _ => error,
    }
}

/// The names of a key's other columns, to be told: only those that look like a column's, since whoever writes keys by hand may put
/// anything there.
fn others(key: Option<&[u8]>, columns: &[KeyColumn]) -> String {
    let is_name = |name: &str| {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        name.len() <= LONGEST_SHOWN && name.bytes().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    let all: BTreeMap<Cow<'_, str>, &RawValue> = payload(key)
        .ok()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let known = |name: &str| columns.iter().any(|column| column.name == name);
    let shown: Vec<&str> = (all.keys().map(|name| &**name))
        .filter(|name| is_name(name) && !known(name))
        .take(MOST_SHOWN)
        .collect();
    if shown.is_empty() {
        return String::new();
    }
    format!("; beside them it has {}", shown.join(", "))
}

fn push_json(text: &mut String, value: &str) {
    // Only control characters, quotes and backslashes need escapes.
    if !value.bytes().any(|byte| byte == b'"' || byte == b'\\') && !has_control(value) {
        text.push('"');
        text.push_str(value);
        text.push('"');
        return;
    }
    // JSON allows those above ASCII as they are; in a text that people look at they have no place.
    for c in serde_json::Value::from(value).to_string().chars() {
        if c.is_control() {
            write!(text, "\\u{:04x}", u32::from(c)).expect("a string");
        } else {
            text.push(c);
        }
    }
}
