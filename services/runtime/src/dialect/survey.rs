//! What a sample of a topic's rows shows about its mapping: columns that never come, columns that nobody maps, codes without meaning.

use super::normalise::{Classified, SourceMessage, normalise};
use super::{Dialects, Table};
use crate::debezium::{ErrorClass, Operation};
use domain::ids::IdKey;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// A sample of one table's rows. Holds names of columns and codes that may be shown, no value of a person.
#[derive(Debug, Default)]
pub struct Survey {
    rows: u64,
    columns: BTreeSet<String>,
    /// Rows by class and column of what could not be read in them.
    unread: BTreeMap<(ErrorClass, Option<String>), u64>,
    codes: BTreeSet<(String, String)>,
}

/// What it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Surveyed {
    /// Rows of the sample that show the whole row: inserts, updates, rows of snapshots.
    pub rows: u64,
    /// Mapped columns that no row has.
    pub never_seen: Vec<String>,
    /// Columns that nobody maps.
    pub unmapped: Vec<String>,
    /// Codes without meaning, each as `column=code`.
    pub codes: Vec<String>,
    /// What could not be read, each as `class column: rows`.
    pub unread: Vec<String>,
}

impl Surveyed {
    /// Whether every row that was seen can be read.
    pub fn is_good(&self) -> bool {
        self.unread.is_empty() && (self.rows == 0 || self.never_seen.is_empty())
    }
}

impl Survey {
    /// Adds a message, without its frame, to the sample.
    pub fn note(&mut self, dialects: &Dialects, table: &Table, message: &SourceMessage<'_>) {
        // Which key ids are made with does not matter here.
        if let Classified::DeadLetter { error, .. } = normalise(dialects, &IdKey::new(1, &[0; 32]), message) {
            if let (Some(column), Some(code)) = (&error.column, &error.code) {
                self.codes.insert((column.clone(), code.clone()));
            }
            *self.unread.entry((error.class, error.column)).or_default() += 1;
        }
        let Ok(Some(event)) = table.event(message.value) else { return };
        let is_whole = matches!(event.operation, Operation::Create | Operation::Update | Operation::Read);
        let Some(row) = event.after.filter(|_| is_whole) else { return };
        let Ok(columns) = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(row.get()) else {
            return;
        };
        self.rows += 1;
        self.columns.extend(columns.into_keys().map(Cow::into_owned));
    }

    /// What the sample came to.
    pub fn result(&self, table: &Table) -> Surveyed {
        let mapped: BTreeSet<&str> = table.columns().map(|(column, _)| column).collect();
        let wanted = table.columns().filter(|(_, is_optional)| !is_optional);
        let column = |column: &Option<String>| column.as_ref().map_or_else(String::new, |column| format!(" {column}"));
        Surveyed {
            rows: self.rows,
            never_seen: wanted
                .map(|(column, _)| column.to_owned())
                .filter(|column| self.rows > 0 && !self.columns.contains(column))
                .collect(),
            unmapped: self
                .columns
                .iter()
                .filter(|column| !mapped.contains(column.as_str()) && !column.starts_with("__"))
                .cloned()
                .collect(),
            codes: self.codes.iter().map(|(column, code)| format!("{column}={code}")).collect(),
            unread: self
                .unread
                .iter()
                .map(|((class, of), rows)| format!("{class}{}: {rows}", column(of)))
                .collect(),
        }
    }
}
