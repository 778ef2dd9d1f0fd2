//! A table's mapping, checked and compiled.

use super::codes::Codes;
use super::field::{Field, Kind};
use super::sentinel::Sentinel;
use super::shape::{Encoding, Reach};
use crate::debezium::{Charset, Envelope, KeyColumn, NormaliseError, Rows, Unavailable};
use domain::document::DocumentKind;
use domain::source::TableName;
use serde::Deserialize;

/// What it means that a table is truncated at its source (清空).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truncation {
    /// Nobody knows what is loaded again before a full snapshot shows it.
    #[default]
    Snapshot,
    /// A habit: the load that follows is over with the source's next row of batch control, or of completeness where it has no batch
    /// control. What was not loaded again by then is gone.
    Reload,
    /// The end of all its rows: whatever comes after is new.
    Empty,
}

/// How the rows of a table are read.
#[derive(Debug, Clone)]
pub struct Table {
    /// The table's name in the source.
    pub name: TableName,
    /// What its rows are.
    pub kind: Kind,
    /// Name of the dialect that maps it.
    pub dialect: String,
    /// Revision of that dialect: `Version.mapping` of what it reads.
    pub revision: u16,
    /// How its rows come.
    pub rows: Rows,
    /// What it means that it is truncated.
    pub truncation: Truncation,
    /// Kind of the document when no column states it.
    pub(super) document: DocumentKind,
    /// How its messages write text.
    pub(super) charset: Charset,
    /// What its connector writes for values that it does not know.
    pub(super) unavailable: Unavailable,
    /// Key columns, ascending by name.
    pub(super) key: Vec<KeyColumn>,
    /// Every column that is read: the key columns first, then the mapped ones.
    pub(super) columns: Vec<String>,
    /// Mappings by position of the field in [`Field::ALL`].
    pub(super) fields: Vec<Option<Mapping>>,
    /// Code fields that hold one value in every row and have no column: positions in the values of their type.
    pub(super) fixed: Vec<(Field, u8)>,
}

/// A field's column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    /// Position in [`Table::columns`].
    pub(super) column: usize,
    /// How the column writes its value.
    pub(super) encoding: Encoding,
    /// The code table, for codes.
    pub(super) codes: Option<Codes>,
    /// How far it reaches that the value cannot be read.
    pub(super) reach: Reach,
    /// Values that stand for none.
    pub(super) none: Vec<Sentinel>,
    /// Whether rows may lack the column.
    pub(super) is_optional: bool,
    /// Where rows of former times have it: what it was called before, as positions too.
    pub(super) former: Vec<usize>,
}

impl Table {
    /// The key columns, ascending by name.
    pub fn key_columns(&self) -> &[KeyColumn] {
        &self.key
    }

    /// Reads a value of the table, without its frame; `None` for a tombstone, which says nothing.
    ///
    /// # Errors
    /// As [`Envelope::parse`].
    pub fn event<'v>(&self, value: Option<&'v [u8]>) -> Result<Option<Envelope<'v>>, NormaliseError> {
        self.rows.parse(value)
    }

    /// The column a field is mapped to, if it is.
    pub fn column(&self, field: Field) -> Option<&str> {
        self.mapping(field).map(|mapping| self.columns[mapping.column].as_str())
    }

    /// Every column that is read, with whether rows may lack it. Key columns stand in the message's key.
    pub fn columns(&self) -> impl Iterator<Item = (&str, bool)> {
        let is_optional = |at: usize| {
            let may_lack = |mapping: &Mapping| {
                mapping.former.contains(&at) || (mapping.column == at && (mapping.is_optional || !mapping.former.is_empty()))
            };
            at < self.key.len() || self.fields.iter().flatten().any(may_lack)
        };
        self.columns
            .iter()
            .enumerate()
            .map(move |(at, column)| (column.as_str(), is_optional(at)))
    }

    pub(super) fn fixed(&self, field: Field) -> Option<u8> {
        self.fixed.iter().find(|(of, _)| *of == field).map(|(_, position)| *position)
    }

    pub(super) fn mapping(&self, field: Field) -> Option<&Mapping> {
        self.fields[field as usize].as_ref()
    }
}
