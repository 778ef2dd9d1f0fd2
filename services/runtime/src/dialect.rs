//! Dialects: mapping files that say how a source's tables, columns, encodings and codes read in the terms of the domain.
//!
//! A city whose system differs adds a file, not code. [`Dialects::load`] checks everything a file says; [`normalise`] is the
//! one function that turns a source message into inputs of the base, a control statement or a dead letter: the normalisers
//! and `canbao verify` both call it.

mod calendar;
mod codes;
mod column;
mod digest;
mod facts;
mod field;
mod file;
mod key;
mod normalise;
mod reader;
mod scope;
mod sentinel;
mod shape;
mod survey;
mod table;

pub use digest::Stated;
pub use field::{Field, Kind};
pub use normalise::{Classified, ControlKind, SourceMessage, normalise};
pub use scope::TableUse;
pub use survey::{Survey, Surveyed};
pub use table::{Table, Truncation};

use crate::debezium::{ErrorClass, Key, repaired};
use domain::division::City;
use domain::source::{Agency, Source};
use scope::{Ignored, Scope};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A dialect file that cannot be used: which, where in it, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialectError {
    /// The file or directory.
    pub file: PathBuf,
    /// The dotted key inside the file; empty when it is about the file as a whole.
    pub key: String,
    /// What is wrong and what was expected.
    pub problem: String,
}

impl fmt::Display for DialectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for DialectError {}

/// The dialects in force: for each source its tables.
#[derive(Debug, Default)]
pub struct Dialects {
    /// Tables of dialects for any city.
    defaults: HashMap<Agency, Scope>,
    /// Tables of dialects that name their cities; they come before the defaults, table by table.
    cities: HashMap<Source, Scope>,
    /// The files they come from.
    stated: Vec<Stated>,
}

impl Dialects {
    /// Loads every `*.toml` of the directories. Fails on the first thing that is wrong: a directory without dialects, an
    /// unknown key, kind, field, encoding or code name, a mandatory field without a column, a table mapped twice or ignored as well.
    pub fn load(dirs: &[PathBuf]) -> Result<Self, DialectError> {
        let mut dialects = Self::default();
        for dir in dirs {
            let files = toml_files(dir)?;
            if files.is_empty() {
                return Err(problem(dir, "", "no dialect files (*.toml) in this directory"));
            }
            for file in files {
                let text = std::fs::read_to_string(&file).map_err(|error| problem(&file, "", error.to_string()))?;
                dialects.add(&file, &text)?;
            }
        }
        Ok(dialects)
    }

    /// Adds the dialect of one file's text; `file` stands in messages only.
    pub fn add(&mut self, file: &Path, text: &str) -> Result<(), DialectError> {
        let dialect = file::parse(file, text)?;
        let scopes: Vec<Option<City>> = match dialect.cities {
            None => vec![None],
            Some(cities) => cities.into_iter().map(Some).collect(),
        };
        for scope in scopes {
            let scope = match scope {
                None => self.defaults.entry(dialect.agency).or_default(),
                Some(city) => self
                    .cities
                    .entry(Source {
                        agency: dialect.agency,
                        city,
                    })
                    .or_default(),
            };
            for table in &dialect.tables {
                let name = table.name.as_str();
                if let Some(other) = scope.tables.insert(name.to_owned(), table.clone()) {
                    let text = format!("already mapped for the same cities by dialect {}", other.dialect);
                    return Err(problem(file, &format!("tables.{name}"), text));
                }
            }
            scope.ignored.extend(dialect.ignored.iter().cloned());
            if let Some((table, ignored)) = scope.contradiction() {
                let (name, dialect) = (table.name.as_str(), &table.dialect);
                let text = format!(
                    "`{}` ignores table {name}, which dialect {dialect} maps for the same cities",
                    ignored.written
                );
                return Err(problem(file, "ignored", text));
            }
        }
        self.stated.push(dialect.stated);
        Ok(())
    }

    /// The dialects of an agency, as their files state them.
    pub fn stated(&self, agency: Agency) -> Vec<Stated> {
        self.stated.iter().filter(|stated| stated.agency == agency).cloned().collect()
    }

    /// What is said of a source's table: by the dialect that names the city if it names the table, else by the default one. A name is
    /// looked for as it is, then without regard to the case of its letters, which engines fold each in their own way (`AC02` is `ac02`).
    pub fn use_of(&self, source: Source, table: &str) -> TableUse<'_> {
        let scopes = [self.cities.get(&source), self.defaults.get(&source.agency)];
        let as_it_is = scopes.iter().flatten().find_map(|scope| scope.use_of_exactly(table));
        let in_any_case = || scopes.iter().flatten().find_map(|scope| scope.use_in_any_case(table));
        as_it_is.or_else(in_any_case).unwrap_or(TableUse::Undeclared)
    }

    /// The mapping of a source's table; `None` when none maps it, see [`Dialects::use_of`].
    pub fn find(&self, source: Source, table: &str) -> Option<&Table> {
        match self.use_of(source, table) {
            TableUse::Mapped(table) => Some(table),
            TableUse::Ignored | TableUse::Undeclared => None,
        }
    }

    /// The row that a key names, as canonical text: what tells rows apart, however a converter writes the key (with its schema or without it,
    /// with escapes). `None` when nobody maps the table or the key cannot be read, so that the message is no version of a row.
    pub fn row_of(&self, source: Source, table: &str, key: Option<&[u8]>) -> Option<String> {
        let table = self.find(source, table)?;
        match Key::parse(key, table.key_columns()) {
            Ok(key) => Some(key.text),
            Err(error) if error.class == ErrorClass::NotJson => {
                let mended = repaired(key?, table.charset)?;
                Some(Key::parse(Some(&mended), table.key_columns()).ok()?.text)
            }
            Err(_) => None,
        }
    }

    /// Every table that is mapped for a source, by name.
    pub fn tables(&self, source: Source) -> impl Iterator<Item = &Table> {
        let of_city = self.cities.get(&source);
        let hidden = |name: &str| of_city.is_some_and(|scope| scope.use_of_exactly(name).is_some());
        let of_any = self
            .defaults
            .get(&source.agency)
            .into_iter()
            .flat_map(|scope| scope.tables.values());
        let inherited = of_any.filter(|table| !hidden(table.name.as_str()));
        let own = of_city.into_iter().flat_map(|scope| scope.tables.values());
        let mut tables: Vec<&Table> = own.chain(inherited).collect();
        tables.sort_by(|one, two| one.name.cmp(&two.name));
        tables.into_iter()
    }
}

/// The parsed content of one file.
struct Dialect {
    agency: Agency,
    /// The cities it is for; `None` for any.
    cities: Option<Vec<City>>,
    tables: Vec<Table>,
    ignored: Vec<Ignored>,
    stated: Stated,
}

fn toml_files(dir: &Path) -> Result<Vec<PathBuf>, DialectError> {
    let failed = |error: std::io::Error| problem(dir, "", format!("cannot list dialects: {error}"));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    // Read in one order everywhere, so that the first complaint is the same everywhere.
    files.sort();
    Ok(files)
}

fn problem(file: &Path, key: &str, problem: impl Into<String>) -> DialectError {
    DialectError {
        file: file.to_owned(),
        key: key.to_owned(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests;
