//! Dialects: mapping files that say how a source's tables, columns, encodings and codes read in the terms of the domain.
//!
//! A city whose system differs adds a file, not code. [`Dialects::load`] checks everything a file says; [`normalise`] is the
//! one function that turns a source message into inputs of the base, a control statement or a dead letter: the normalisers
//! and `canbao verify` both call it.

mod calendar;
mod codes;
mod digest;
mod facts;
mod field;
mod file;
mod key;
mod normalise;
mod reader;
mod sentinel;
mod shape;
mod table;

pub use digest::Stated;
pub use field::{Field, Kind};
pub use normalise::{Classified, ControlKind, SourceMessage, normalise};
pub use table::Table;

use domain::division::City;
use domain::source::{Agency, Source};
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
    defaults: HashMap<Agency, HashMap<String, Table>>,
    /// Tables of dialects that name their cities; they come before the defaults, table by table.
    cities: HashMap<Source, HashMap<String, Table>>,
    /// The files they come from.
    stated: Vec<Stated>,
}

impl Dialects {
    /// Loads every `*.toml` of the directories. Fails on the first thing that is wrong: a directory without dialects, an
    /// unknown key, kind, field, encoding or code name, a mandatory field without a column, a table mapped twice.
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
            let tables = match scope {
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
                if let Some(other) = tables.insert(name.to_owned(), table.clone()) {
                    let text = format!("already mapped for the same cities by dialect {}", other.dialect);
                    return Err(problem(file, &format!("tables.{name}"), text));
                }
            }
        }
        self.stated.push(dialect.stated);
        Ok(())
    }

    /// The dialects of an agency, as their files state them.
    pub fn stated(&self, agency: Agency) -> Vec<Stated> {
        self.stated.iter().filter(|stated| stated.agency == agency).cloned().collect()
    }

    /// The mapping of a source's table: of the dialect that names the city if it has the table, else of the default one.
    pub fn find(&self, source: Source, table: &str) -> Option<&Table> {
        let of_city = self.cities.get(&source).and_then(|tables| tables.get(table));
        of_city.or_else(|| self.defaults.get(&source.agency)?.get(table))
    }

    /// Every table that is mapped for a source, by name.
    pub fn tables(&self, source: Source) -> impl Iterator<Item = &Table> {
        let of_city = self.cities.get(&source);
        let defaults = self.defaults.get(&source.agency);
        let hidden = move |name: &str| of_city.is_some_and(|tables| tables.contains_key(name));
        let inherited = defaults.into_iter().flatten().filter(move |(name, _)| !hidden(name));
        let mut tables: Vec<&Table> = of_city
            .into_iter()
            .flatten()
            .chain(inherited)
            .map(|(_, table)| table)
            .collect();
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
