//! Change events as Debezium writes them: JSON keys and values, with or without their schema. What a schema registry frames is opened before
//! ([`crate::framed`]).
//!
//! Only the parts that are needed are read: the schema, transaction and times are skipped, `before` and `after` stay
//! unparsed text until somebody asks for certain columns ([`Row::read`]).
//! The forms are those captured in `schemas/contracts/captured`.

mod cell;
pub mod decimal;
mod error;
mod key;
mod repair;
mod rows;
mod unavailable;

pub use cell::{Cell, Row};
pub(crate) use error::CUT;
pub use error::{ErrorClass, NormaliseError, Told};
pub use key::{Key, KeyColumn, KeyType};
pub use repair::{BROKEN, Charset, repaired};
pub use rows::{Rows, looks_flattened};
pub use unavailable::Unavailable;

use crate::framed::framed;
use crate::limits::LARGEST_MESSAGE;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::fmt;

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `c`: inserted.
    Create,
    /// `u`: updated.
    Update,
    /// `r`: read by a snapshot.
    Read,
    /// `d`: deleted.
    Delete,
    /// `t`: the table was truncated; the event carries no row.
    Truncate,
    /// `m`: a logical message of the source's log, no row.
    Message,
}

impl Operation {
    fn from_code(code: &str) -> Option<Self> {
        Some(match code {
            "c" => Self::Create,
            "u" => Self::Update,
            "r" => Self::Read,
            "d" => Self::Delete,
            "t" => Self::Truncate,
            "m" => Self::Message,
            _ => return None,
        })
    }
}

/// A change event; rows are the JSON text of an object from column to value. `Debug` shows no row: they are personal.
#[derive(Clone, Copy)]
pub struct Envelope<'a> {
    /// What happened.
    pub operation: Operation,
    /// The row before; absent on inserts and snapshots, and on updates unless the replica identity is FULL. On a delete
    /// under another identity it holds only the key.
    pub before: Option<&'a RawValue>,
    /// The row after; absent on deletes.
    pub after: Option<&'a RawValue>,
    origin: Origin<'a>,
}

/// Where an event comes from, as far as it says.
#[derive(Clone, Copy)]
enum Origin<'a> {
    /// An envelope's `source`.
    Source(Option<&'a RawValue>),
    /// A row alone.
    Row {
        /// Where it may stand in a snapshot.
        snapshot: Snapshot,
        /// Whether that, or what happened to it, is stated at all.
        is_stated: bool,
    },
}

impl fmt::Debug for Envelope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope {{ {:?}, *** }}", self.operation)
    }
}

/// `source.snapshot` of an event: whether and where it stands in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapshot {
    /// Streamed from the log.
    No,
    /// A row of a snapshot, not known to be the last of all.
    Row,
    /// The last row of the snapshot; rows in other partitions may still lag behind it.
    Last,
    /// A row of an incremental snapshot, which says nothing about absence.
    Incremental,
}

impl<'a> Envelope<'a> {
    /// Reads a value; `None` is a tombstone: no value, an empty one, JSON `null`, or a payload of `null`.
    pub fn parse(value: Option<&'a [u8]>) -> Result<Option<Self>, NormaliseError> {
        let Some(text) = text_of(value, "value")? else {
            return Ok(None);
        };
        let outer: RawEnvelope = parse_object(text, "value")?;
        let inner = match (&outer.op, outer.payload) {
            (None, Some(payload)) => parse_object(payload.get(), "value")?,
            // Connect's converter before 2.3 writes a tombstone as an envelope of two nulls (KAFKA-3832); others leave the schema out.
            (None, None) if outer.is_wrapped || is_payload_of_null(text) => return Ok(None),
            _ => outer,
        };
        let code = match &inner.op {
            Some(Cell::Text(code)) => Operation::from_code(code),
            _ => None,
        };
        let operation = code.ok_or_else(|| wrong_envelope("an envelope with op c, u, r, d, t or m, before and after"))?;
        let envelope = Self {
            operation,
            before: inner.before,
            after: inner.after,
            origin: Origin::Source(inner.source),
        };
        let has_row = matches!(operation, Operation::Create | Operation::Update | Operation::Read);
        if has_row && envelope.after.is_none() {
            return Err(wrong_envelope("a row in `after`, as op c, u and r carry"));
        }
        Ok(Some(envelope))
    }

    /// The row that an update replaced, as the JSON text of its image.
    pub fn replaced(&self) -> Option<&'a str> {
        let before = self.before.filter(|_| self.operation == Operation::Update)?;
        Some(before.get())
    }

    /// Where the event stands in a snapshot; what is missing or not understood is [`Snapshot::No`]. A row alone that may have been read
    /// by a snapshot and does not say by which is [`Snapshot::Incremental`], from which nobody concludes that all is there.
    pub fn snapshot(&self) -> Snapshot {
        #[derive(Deserialize)]
        struct Stated<'a> {
            #[serde(borrow)]
            snapshot: Option<Cell<'a>>,
        }
        match self.origin {
            Origin::Row { snapshot, .. } => snapshot,
            Origin::Source(source) => {
                let stated = source.and_then(|source| serde_json::from_str::<Stated>(source.get()).ok());
                let stated = stated.and_then(|stated| Snapshot::stated(&stated.snapshot?));
                stated.unwrap_or(Snapshot::No)
            }
        }
    }

    /// Whether it says what happened to its row or whether a snapshot read it, as every envelope does.
    pub fn states_its_origin(&self) -> bool {
        !matches!(self.origin, Origin::Row { is_stated: false, .. })
    }
}

impl Snapshot {
    /// What a connector states; `None` when it is no text.
    fn stated(stated: &Cell<'_>) -> Option<Self> {
        let Cell::Text(stated) = stated else { return None };
        Some(match &**stated {
            "true" | "first" | "first_in_data_collection" | "last_in_data_collection" => Self::Row,
            "last" => Self::Last,
            "incremental" => Self::Incremental,
            _ => Self::No,
        })
    }
}

#[derive(Deserialize)]
struct RawEnvelope<'a> {
    /// There is a schema, be it `null`.
    #[serde(rename = "schema", default, deserialize_with = "is_there")]
    is_wrapped: bool,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    /// A cell, since text with escapes cannot be borrowed.
    #[serde(borrow)]
    op: Option<Cell<'a>>,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
}

/// Whether a text is `{"payload":null}` and nothing besides: a row alone may have a column of this name.
fn is_payload_of_null(text: &str) -> bool {
    let written = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    written.eq(*br#"{"payload":null}"#)
}

/// For a field that counts as stated whatever it holds, be it `null`.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// The JSON text of a key or value; `None` when there is none.
fn text_of<'a>(bytes: Option<&'a [u8]>, part: &'static str) -> Result<Option<&'a str>, NormaliseError> {
    let bytes = bytes.unwrap_or_default();
    if bytes.len() > LARGEST_MESSAGE {
        let expected = format!("a {part} of at most {LARGEST_MESSAGE} bytes");
        return Err(NormaliseError::new(ErrorClass::Oversized, None, expected));
    }
    if framed(bytes).is_some() {
        // Only where no registry was asked: frames are opened before.
        let expected = format!("a {part} that is not framed for a schema registry");
        return Err(NormaliseError::new(ErrorClass::WrongFrame, None, expected));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| NormaliseError::new(ErrorClass::NotJson, None, format!("a {part} of UTF-8 JSON")))?
        .trim_ascii();
    Ok((!text.is_empty() && text != "null").then_some(text))
}

/// Parses a JSON object; arrays, which serde would take for a struct, are refused.
fn parse_object<'a, T: Deserialize<'a>>(text: &'a str, part: &'static str) -> Result<T, NormaliseError> {
    let not_json = || NormaliseError::new(ErrorClass::NotJson, None, format!("a {part} of UTF-8 JSON"));
    let no_object = || match part {
        "key" => NormaliseError::new(ErrorClass::KeyMismatch, None, "a JSON object with the key columns"),
        _ => wrong_envelope("a Debezium envelope, a JSON object"),
    };
    if !text.starts_with('{') {
        return Err(serde_json::from_str::<IgnoredAny>(text).map_or_else(|_| not_json(), |_| no_object()));
    }
    serde_json::from_str(text).map_err(|error| match error.classify() {
        Category::Data => no_object(),
        Category::Io | Category::Syntax | Category::Eof => not_json(),
    })
}

fn wrong_envelope(expected: &'static str) -> NormaliseError {
    NormaliseError::new(ErrorClass::WrongEnvelope, None, expected)
}

#[cfg(test)]
mod tests;
