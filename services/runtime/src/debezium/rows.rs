//! How a table's rows come: in Debezium's envelope, or alone, as its transform ExtractNewRecordState leaves them.
//!
//! A row alone has no image before. Whether it is deleted and where it stands in a snapshot is told by fields that the transform adds, which
//! begin with two underscores and are no columns;
//! <https://debezium.io/documentation/reference/stable/transformations/event-flattening.html>.

use super::cell::{Cell, Row};
use super::error::NormaliseError;
use super::key::KeyColumn;
use super::{Envelope, Operation, Origin, Snapshot, parse_object, text_of, wrong_envelope};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// How the rows of a table come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rows {
    /// In an envelope with the images before and after.
    #[default]
    Envelope,
    /// Alone; a message without value deletes the row of its key.
    Flattened,
}

impl Rows {
    /// Reads a value as what it is; `None` for a tombstone, which says nothing.
    ///
    /// # Errors
    /// As [`Envelope::parse`].
    pub fn parse(self, value: Option<&[u8]>) -> Result<Option<Envelope<'_>>, NormaliseError> {
        match self {
            Self::Envelope => Envelope::parse(value),
            Self::Flattened => flattened(value).map(Some),
        }
    }
}

/// What the transform adds to a row, and what would show that it is none.
#[derive(Deserialize)]
struct Marks<'a> {
    #[serde(borrow, default, deserialize_with = "raw")]
    schema: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    __deleted: Option<Cell<'a>>,
    #[serde(borrow)]
    __op: Option<Cell<'a>>,
    #[serde(borrow)]
    __source_snapshot: Option<Cell<'a>>,
    #[serde(borrow)]
    __snapshot: Option<Cell<'a>>,
    #[serde(borrow)]
    op: Option<Cell<'a>>,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
}

/// A value that is there, be it `null`.
fn raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The row inside `{schema, payload}`; `None` when there are no such two. Columns of these names hold no objects.
fn payload<'a>(marks: &Marks<'a>) -> Option<&'a RawValue> {
    let wraps = |part: Option<&RawValue>| part.is_some_and(|part| part.get() == "null" || part.get().starts_with('{'));
    marks.payload.filter(|_| wraps(marks.schema) && wraps(marks.payload))
}

const DELETE: Envelope<'static> = Envelope {
    operation: Operation::Delete,
    before: None,
    after: None,
    origin: Origin::Row {
        snapshot: Snapshot::No,
        is_stated: true,
    },
};

fn flattened(value: Option<&[u8]>) -> Result<Envelope<'_>, NormaliseError> {
    let Some(text) = text_of(value, "value")? else {
        return Ok(DELETE);
    };
    let (mut row, mut marks) = (None, parse_object::<Marks<'_>>(text, "value")?);
    if let Some(payload) = payload(&marks) {
        if payload.get() == "null" {
            return Ok(DELETE);
        }
        row = Some(payload);
        marks = parse_object(payload.get(), "value")?;
    }
    let is_image = |image: Option<&RawValue>| image.is_some_and(|image| image.get().starts_with('{'));
    if marks.op.is_some() && (is_image(marks.before) || is_image(marks.after)) {
        return Err(wrong_envelope(
            "a row alone, as rows = \"flattened\" in the dialect says: it came in an envelope, so take that line away",
        ));
    }
    let row = match row {
        Some(row) => row,
        None => serde_json::from_str(text).map_err(|_| wrong_envelope("a row as a JSON object from column to value"))?,
    };
    marks.event(row)
}

impl<'a> Marks<'a> {
    fn event(&self, row: &'a RawValue) -> Result<Envelope<'a>, NormaliseError> {
        let stated = match &self.__op {
            None | Some(Cell::Null) => None,
            Some(Cell::Text(code)) => Operation::from_code(code),
            Some(_) => return Err(wrong_envelope("c, u, r, d or t in __op")),
        };
        if stated.is_none() && matches!(self.__op, Some(Cell::Text(_))) {
            return Err(wrong_envelope("c, u, r, d or t in __op"));
        }
        let deleted = match &self.__deleted {
            Some(Cell::Boolean(deleted)) => *deleted,
            Some(Cell::Text(deleted)) => deleted == "true",
            _ => false,
        };
        let of_snapshot = [&self.__source_snapshot, &self.__snapshot]
            .into_iter()
            .flatten()
            .find_map(Snapshot::stated);
        let operation = match (deleted, stated, of_snapshot) {
            (true, ..) => Operation::Delete,
            (false, Some(operation), _) => operation,
            (false, None, Some(Snapshot::Row | Snapshot::Last | Snapshot::Incremental)) => Operation::Read,
            (false, None, Some(Snapshot::No) | None) => Operation::Update,
        };
        let snapshot = of_snapshot.unwrap_or(match stated {
            Some(Operation::Read) | None if !deleted => Snapshot::Incremental,
            _ => Snapshot::No,
        });
        let is_row = matches!(operation, Operation::Create | Operation::Update | Operation::Read);
        Ok(Envelope {
            operation,
            before: (operation == Operation::Delete).then_some(row),
            after: is_row.then_some(row),
            origin: Origin::Row {
                snapshot,
                is_stated: deleted || stated.is_some() || of_snapshot.is_some(),
            },
        })
    }
}

/// Whether a value that is no envelope looks like a row alone: with a field of the transform, or with the key's columns.
pub fn looks_flattened(value: Option<&[u8]>, key: &[KeyColumn]) -> bool {
    let text = text_of(value, "value").ok().flatten();
    let Some((text, marks)) = text.and_then(|text| Some((text, parse_object::<Marks<'_>>(text, "value").ok()?))) else {
        return false;
    };
    let (text, marks) = match payload(&marks) {
        None => (text, marks),
        Some(payload) => match parse_object(payload.get(), "value") {
            Ok(inner) => (payload.get(), inner),
            Err(_) => return false,
        },
    };
    let has_key =
        || Row::read(text, key).is_ok_and(|row| !row.cells.iter().any(|cell| matches!(cell, Cell::Null | Cell::Absent)));
    marks.op.is_none() && (marks.__deleted.is_some() || marks.__op.is_some() || has_key())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> (Operation, bool, bool, Snapshot, bool) {
        let event = Rows::Flattened
            .parse(Some(value.as_bytes()))
            .expect("a row")
            .expect("never a tombstone");
        (
            event.operation,
            event.before.is_some(),
            event.after.is_some(),
            event.snapshot(),
            event.states_its_origin(),
        )
    }

    #[test]
    fn a_row_alone_says_what_happened_to_it() {
        use Operation::{Create, Delete, Read, Truncate, Update};
        use Snapshot::{Incremental, Last, No};
        for (value, expected) in [
            (r#"{"id":1,"__op":"c"}"#, (Create, false, true, No, true)),
            (
                r#"{"id":1,"__deleted":"false","__op":"u","__source_snapshot":"false"}"#,
                (Update, false, true, No, true),
            ),
            (r#"{"id":1,"__deleted":"true"}"#, (Delete, true, false, No, true)),
            (r#"{"id":1,"__deleted":true,"__op":"u"}"#, (Delete, true, false, No, true)),
            (r#"{"id":1,"__op":"d"}"#, (Delete, true, false, No, true)),
            (r#"{"__op":"t"}"#, (Truncate, false, false, No, true)),
            (r#"{"id":1,"__op":"r","__snapshot":"last"}"#, (Read, false, true, Last, true)),
            (
                r#"{"id":1,"__source_snapshot":"incremental"}"#,
                (Read, false, true, Incremental, true),
            ),
            // It may have been read by a snapshot, of either kind.
            (r#"{"id":1,"__op":"r"}"#, (Read, false, true, Incremental, true)),
            (r#"{"id":1}"#, (Update, false, true, Incremental, false)),
            (
                r#"{"schema":{},"payload":{"id":1,"__op":"c"}}"#,
                (Create, false, true, No, true),
            ),
            (r#"{"schema":null,"payload":null}"#, (Delete, false, false, No, true)),
            ("null", (Delete, false, false, No, true)),
            // Columns may have these names.
            (r#"{"schema":"x","payload":"y","__op":"c"}"#, (Create, false, true, No, true)),
            (r#"{"schema":"x","__op":"c"}"#, (Create, false, true, No, true)),
        ] {
            assert_eq!(read(value), expected, "{value}");
        }
        let tombstone = Rows::Flattened.parse(None).expect("a delete").expect("a delete");
        assert_eq!(tombstone.operation, Delete);
    }

    #[test]
    fn an_envelope_is_no_row() {
        for (value, said) in [
            (r#"{"op":"c","after":{"id":1}}"#, "came in an envelope"),
            (
                r#"{"schema":{},"payload":{"op":"d","before":{"id":1},"after":null}}"#,
                "came in an envelope",
            ),
            (r#"{"id":1,"__op":"x"}"#, "__op"),
            (r#"{"id":1,"__op":7}"#, "__op"),
            ("[]", "envelope"),
        ] {
            let error = Rows::Flattened.parse(Some(value.as_bytes())).expect_err("no row");
            assert!(error.to_string().contains(said), "{value}: {error}");
        }
    }

    #[test]
    fn a_row_alone_is_recognised() {
        let key = [KeyColumn {
            name: "id".into(),
            kind: super::super::KeyType::Any,
        }];
        let looks = |value: &str| looks_flattened(Some(value.as_bytes()), &key);
        for value in [
            r#"{"id":1}"#,
            r#"{"__deleted":"true"}"#,
            r#"{"__op":"c"}"#,
            r#"{"schema":{},"payload":{"id":1}}"#,
        ] {
            assert!(looks(value), "{value}");
        }
        for value in [r#"{"op":"c"}"#, r#"{"before":null}"#, r#"{"id":null}"#, "[]", "7", ""] {
            assert!(!looks(value), "{value}");
        }
    }
}
