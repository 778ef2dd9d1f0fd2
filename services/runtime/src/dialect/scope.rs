//! The tables that dialects of one scope (any city, or one) map or ignore.

use super::Table;
use domain::limits::is_table;
use std::collections::HashMap;

/// A name of tables to ignore: as it is, or all that begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ignored {
    /// As the file writes it.
    pub(super) written: String,
}

impl Ignored {
    /// `None` when it is neither a table's name nor the beginning of one with a `*` behind it.
    pub(super) fn new(written: &str) -> Option<Self> {
        let name = written.strip_suffix('*').unwrap_or(written);
        is_table(name).then(|| Self {
            written: written.to_owned(),
        })
    }

    /// Without regard to case, as engines fold names each in their own way.
    pub(super) fn fits(&self, table: &str) -> bool {
        match self.written.strip_suffix('*') {
            None => self.written.eq_ignore_ascii_case(table),
            Some(prefix) => table
                .get(..prefix.len())
                .is_some_and(|beginning| beginning.eq_ignore_ascii_case(prefix)),
        }
    }
}

/// What dialects say of a table.
#[derive(Debug, Clone, Copy)]
pub enum TableUse<'a> {
    /// One maps it.
    Mapped(&'a Table),
    /// One says that nobody needs it.
    Ignored,
    /// None names it.
    Undeclared,
}

/// The tables of one scope.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) tables: HashMap<String, Table>,
    pub(super) ignored: Vec<Ignored>,
}

impl Scope {
    /// The table of this name, else the first that differs from it in case only.
    pub(super) fn find(&self, name: &str) -> Option<&Table> {
        self.tables.get(name).or_else(|| {
            let alike = self
                .tables
                .values()
                .filter(|table| table.name.as_str().eq_ignore_ascii_case(name));
            alike.min_by(|one, two| one.name.cmp(&two.name))
        })
    }

    /// `None` when nothing is said of the table.
    pub(super) fn use_of(&self, name: &str) -> Option<TableUse<'_>> {
        let mapped = self.find(name).map(TableUse::Mapped);
        mapped.or_else(|| {
            self.ignored
                .iter()
                .any(|ignored| ignored.fits(name))
                .then_some(TableUse::Ignored)
        })
    }

    /// A table that is both mapped and ignored, and how the latter is written.
    pub(super) fn contradiction(&self) -> Option<(&Table, &Ignored)> {
        let ignored = |table: &&Table| self.ignored.iter().find(|ignored| ignored.fits(table.name.as_str()));
        let mut both: Vec<_> = self
            .tables
            .values()
            .filter_map(|table| Some((table, ignored(&table)?)))
            .collect();
        both.sort_by(|(one, _), (two, _)| one.name.cmp(&two.name));
        both.into_iter().next()
    }
}
