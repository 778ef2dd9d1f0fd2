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

    /// As it is written.
    fn fits_exactly(&self, table: &str) -> bool {
        match self.written.strip_suffix('*') {
            None => self.written == table,
            Some(prefix) => table.starts_with(prefix),
        }
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
    /// What is said of a table of just this name; `None` when nothing is.
    pub(super) fn use_of_exactly(&self, name: &str) -> Option<TableUse<'_>> {
        let is_ignored = || self.ignored.iter().any(|ignored| ignored.fits_exactly(name));
        let mapped = self.tables.get(name).map(TableUse::Mapped);
        mapped.or_else(|| is_ignored().then_some(TableUse::Ignored))
    }

    /// What is said of the first table whose name differs in case only; `None` when nothing is.
    pub(super) fn use_in_any_case(&self, name: &str) -> Option<TableUse<'_>> {
        let is_alike = |table: &&Table| table.name.as_str().eq_ignore_ascii_case(name);
        let is_ignored = || self.ignored.iter().any(|ignored| ignored.fits(name));
        let alike = self.tables.values().filter(is_alike);
        let mapped = alike.min_by(|one, two| one.name.cmp(&two.name)).map(TableUse::Mapped);
        mapped.or_else(|| is_ignored().then_some(TableUse::Ignored))
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
