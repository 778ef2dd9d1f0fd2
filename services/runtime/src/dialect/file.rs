//! Dialect files: TOML, checked to the last name before a message is read.

use super::codes::{Codes, Meaning, Target};
use super::column::FieldFile;
use super::digest::{Stated, digest};
use super::field::{Field, Kind};
use super::key::KeyFile;
use super::scope::Ignored;
use super::sentinel::Sentinel;
use super::shape::{Encoding, Need, Spec};
use super::table::{Mapping, Table, Truncation};
use super::{Dialect, DialectError, problem};
use crate::debezium::{Charset, KeyColumn, Rows, Unavailable};
use domain::division::City;
use domain::document::DocumentKind;
use domain::limits::{self, LARGEST_RANK};
use domain::source::{Agency, TableName};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DialectFile {
    /// Name of a registered agency.
    agency: String,
    /// Name of the dialect, for messages.
    name: String,
    /// Raised whenever the file would read a row differently.
    revision: u16,
    /// `["*"]`, or city codes such as `["3205"]`.
    cities: Vec<String>,
    /// How the source's messages write text.
    #[serde(default)]
    charset: Charset,
    /// The connector's `unavailable.value.placeholder`, where it is not Debezium's own.
    unavailable: Option<String>,
    /// Tables that the agency publishes and nobody needs: names, or beginnings of names with a `*` behind.
    #[serde(default)]
    ignored: Vec<String>,
    #[serde(default)]
    codes: BTreeMap<String, CodesFile>,
    tables: BTreeMap<String, TableFile>,
}

/// A code table as written; every value is a name of the domain.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodesFile {
    /// Source code → name; a code that ends with `*` stands for all that begin so.
    map: BTreeMap<String, String>,
    /// The name that null stands for.
    null: Option<String>,
    /// The name of codes that are not listed.
    default: Option<String>,
    /// Codes that count as null.
    #[serde(default)]
    ignore: Vec<String>,
    /// Codes that say the row does not hold: it counts as deleted.
    #[serde(default)]
    void: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    kind: String,
    key: Vec<KeyFile>,
    /// `envelope` or `flattened`.
    #[serde(default)]
    rows: Rows,
    /// `snapshot`, `reload` or `empty`.
    truncation: Option<Truncation>,
    /// Kind of the document when no column states it.
    document: Option<String>,
    fields: BTreeMap<String, FieldFile>,
}

/// Parses and checks a file.
pub(super) fn parse(file: &Path, text: &str) -> Result<Dialect, DialectError> {
    let invalid = |error: toml::de::Error| problem(file, "", error.to_string().trim_end());
    let written: DialectFile = toml::from_str(text).map_err(invalid)?;
    let digest = digest(&toml::from_str(text).map_err(invalid)?);
    let agency: Agency = written
        .agency
        .parse()
        .map_err(|error| problem(file, "agency", format!("{error}")))?;
    if written.name.is_empty() {
        return Err(problem(file, "name", "a dialect needs a name"));
    }
    if written.tables.is_empty() {
        return Err(problem(file, "tables", "a dialect maps at least one table"));
    }
    if written.revision > LARGEST_RANK {
        return Err(problem(file, "revision", format!("a revision is at most {LARGEST_RANK}")));
    }
    if let Some(name) = written.tables.keys().find(|name| !limits::is_table(name)) {
        let text = "a table is named as the last part of its topic: letters, digits, _ and -";
        return Err(problem(file, &format!("tables.{name}"), text));
    }
    let unavailable = written.unavailable.as_deref().map(|text| {
        let expected = "expected the connector's unavailable.value.placeholder: text, or hex: and hexadecimal digits";
        Unavailable::parse(text).ok_or_else(|| problem(file, "unavailable", expected))
    });
    let unavailable = unavailable.transpose()?.unwrap_or_default();
    let cities = parse_cities(file, agency, &written.cities)?;
    let ignored = parse_ignored(file, &written.ignored)?;
    let mut used = Vec::new();
    let mut tables = Vec::new();
    for (name, table) in &written.tables {
        tables.push(
            Compiler {
                file,
                agency,
                dialect: &written,
                unavailable: &unavailable,
                table,
                name,
                used: &mut used,
            }
            .compile()?,
        );
    }
    if let Some(unused) = written.codes.keys().find(|name| !used.contains(*name)) {
        return Err(problem(file, &format!("codes.{unused}"), "no field uses this code table"));
    }
    let stated = Stated {
        agency,
        dialect: written.name.clone(),
        cities: written.cities.join(","),
        revision: written.revision,
        digest,
        file: file.to_owned(),
    };
    Ok(Dialect {
        agency,
        cities,
        tables,
        ignored,
        stated,
    })
}

fn parse_ignored(file: &Path, written: &[String]) -> Result<Vec<Ignored>, DialectError> {
    let parse = |(at, name): (usize, &String)| {
        Ignored::new(name).ok_or_else(|| {
            let text = format!("`{name}`: expected the name of a table, or the beginning of one followed by *");
            problem(file, &format!("ignored[{at}]"), text)
        })
    };
    written.iter().enumerate().map(parse).collect()
}

fn parse_cities(file: &Path, agency: Agency, written: &[String]) -> Result<Option<Vec<City>>, DialectError> {
    if written == ["*"] {
        return Ok(None);
    }
    let cities: Result<Vec<City>, _> = written.iter().map(|city| city.parse::<City>()).collect();
    if let Some(city) = cities.iter().flatten().find(|city| !agency.cities().contains(city)) {
        let text = format!("{agency} has no system in {city}: see `cities` of the agency");
        return Err(problem(file, "cities", text));
    }
    match cities {
        Ok(cities) if !cities.is_empty() => Ok(Some(cities)),
        _ => Err(problem(file, "cities", "expected [\"*\"] or city codes from 3200 to 3213")),
    }
}

/// Compiles one table of a file.
struct Compiler<'a> {
    file: &'a Path,
    agency: Agency,
    dialect: &'a DialectFile,
    unavailable: &'a Unavailable,
    table: &'a TableFile,
    name: &'a str,
    /// Code tables that some field has used.
    used: &'a mut Vec<String>,
}

impl Compiler<'_> {
    fn problem(&self, key: &str, text: impl Into<String>) -> DialectError {
        problem(self.file, &format!("tables.{}.{key}", self.name), text)
    }

    fn compile(mut self) -> Result<Table, DialectError> {
        let table = self.table;
        let kind = Kind::from_name(&table.kind).ok_or_else(|| {
            self.problem(
                "kind",
                format!("expected one of {}", list(Kind::ALL.iter().map(|kind| kind.as_str()))),
            )
        })?;
        if let Some(facts) = kind.facts_kind().filter(|facts| !self.agency.states().contains(facts)) {
            let states = list(self.agency.states().iter().map(|kind| kind.as_str()));
            let text = format!(
                "{} states {states}, not {}: see `states` of the agency",
                self.agency,
                facts.as_str()
            );
            return Err(self.problem("kind", text));
        }
        let document = match &table.document {
            None => DocumentKind::Unstated,
            Some(_) if kind.facts_kind().is_none() => {
                return Err(self.problem("document", "rows of this kind are about no person"));
            }
            Some(name) => name.parse().map_err(|_| {
                self.problem(
                    "document",
                    format!("expected one of {}", list(DocumentKind::ALL.iter().map(|kind| kind.as_str()))),
                )
            })?,
        };
        if table.truncation.is_some() && kind.facts_kind().is_none() {
            return Err(self.problem("truncation", "rows of this kind are about no person, and none is removed"));
        }
        let mut key: Vec<KeyColumn> = table.key.iter().map(KeyFile::column).collect();
        key.sort_by(|one, two| one.name.cmp(&two.name));
        let mut columns: Vec<String> = key.iter().map(|column| column.name.clone()).collect();
        if columns.is_empty() || columns.iter().any(String::is_empty) || columns.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(self.problem("key", "expected the names of the key columns, each once"));
        }
        let (mut fields, mut fixed) = (vec![None; Field::ALL.len()], Vec::new());
        for (name, written) in &table.fields {
            let spec = self.field(kind, name)?;
            let value = written.fixed(spec.1);
            match value.map_err(|text| self.problem(&format!("fields.{name}.value"), text))? {
                Some(position) => fixed.push((spec.0, position)),
                None => fields[spec.0 as usize] = Some(self.mapping(name, written, spec, &mut columns)?),
            }
        }
        let is_stated = |field: Field| fields[field as usize].is_some() || fixed.iter().any(|(of, _)| *of == field);
        for (field, _, need, _) in kind.fields() {
            if *need == Need::Mandatory && !is_stated(*field) {
                return Err(self.problem(
                    "fields",
                    format!("field {} is mandatory for kind {}", field.as_str(), kind.as_str()),
                ));
            }
        }
        Ok(Table {
            name: TableName::new(self.name),
            kind,
            dialect: self.dialect.name.clone(),
            revision: self.dialect.revision,
            rows: table.rows,
            truncation: table.truncation.unwrap_or_default(),
            document,
            charset: self.dialect.charset,
            unavailable: self.unavailable.clone(),
            key,
            columns,
            fields,
            fixed,
        })
    }

    fn field(&self, kind: Kind, name: &str) -> Result<&'static Spec, DialectError> {
        let found = Field::from_name(name).and_then(|field| kind.fields().find(|(other, ..)| *other == field));
        found.ok_or_else(|| {
            let known = list(kind.fields().map(|(field, ..)| field.as_str()));
            self.problem(
                &format!("fields.{name}"),
                format!("no such field in kind {}; expected one of {known}", kind.as_str()),
            )
        })
    }

    fn mapping(
        &mut self,
        name: &str,
        written: &FieldFile,
        (_, content, _, reach): &Spec,
        columns: &mut Vec<String>,
    ) -> Result<Mapping, DialectError> {
        let key = format!("fields.{name}");
        if written.column.is_empty() {
            return Err(self.problem(&key, "expected the name of a column"));
        }
        let allowed = content.encodings();
        let encoding = match &written.encoding {
            Some(text) => Encoding::from_name(text).filter(|encoding| allowed.contains(encoding)),
            // Dates, times and flags look alike in several encodings: the file has to say which.
            None => allowed
                .first()
                .copied()
                .filter(|first| matches!(first, Encoding::Text | Encoding::YearMonth | Encoding::Division)),
        };
        let encoding = encoding.ok_or_else(|| {
            self.problem(
                &format!("{key}.encoding"),
                format!("expected one of {}", list(allowed.iter().map(|e| e.as_str()))),
            )
        })?;
        let codes = match (content.target(encoding), &written.codes) {
            (None, None) => None,
            (Some(target), Some(codes)) => Some(self.codes(&key, codes, target)?),
            (Some(_), None) => {
                return Err(self.problem(&key, "a code field needs the name of a code table in `codes`"));
            }
            (None, Some(_)) => {
                return Err(self.problem(&format!("{key}.codes"), "the field holds no code"));
            }
        };
        if written.former.iter().any(String::is_empty) || written.former.contains(&written.column) {
            return Err(self.problem(
                &format!("{key}.former"),
                "expected other names than the column's, none of them empty",
            ));
        }
        let mut place = |name: &String| {
            columns.iter().position(|column| column == name).unwrap_or_else(|| {
                columns.push(name.clone());
                columns.len() - 1
            })
        };
        let (column, former) = (place(&written.column), written.former.iter().map(&mut place).collect());
        let none = written.none.iter().map(|none| Sentinel::parse(*content, none));
        let none = none
            .collect::<Result<_, _>>()
            .map_err(|expected| self.problem(&format!("{key}.none"), format!("expected {expected}")))?;
        Ok(Mapping {
            column,
            encoding,
            codes,
            reach: *reach,
            none,
            is_optional: written.optional,
            former,
        })
    }

    fn codes(&mut self, key: &str, name: &str, target: Target) -> Result<Codes, DialectError> {
        let Some(written) = self.dialect.codes.get(name) else {
            return Err(self.problem(&format!("{key}.codes"), format!("no code table [codes.{name}] in this file")));
        };
        self.used.push(name.to_owned());
        compile_codes(name, written, target).map_err(|(code, text)| {
            problem(
                self.file,
                &format!("codes.{name}.{code}"),
                format!("{text} (as {} of table {})", key, self.name),
            )
        })
    }
}

/// Compiles a code table for a target; an error is the key inside the table and what is wrong there.
fn compile_codes(name: &str, written: &CodesFile, target: Target) -> Result<Codes, (String, String)> {
    let names = target.names();
    let position = |key: &str, name: &str| {
        let at = names.iter().position(|known| *known == name);
        let at = at.and_then(|at| u8::try_from(at).ok());
        at.ok_or_else(|| {
            (
                key.to_owned(),
                format!("unknown name {name}; expected one of {}", list(names.iter().copied())),
            )
        })
    };
    let mut meanings = Vec::new();
    for (code, name) in &written.map {
        meanings.push((code, Meaning::Value(position(&format!("map.{code}"), name)?)));
    }
    meanings.extend(written.ignore.iter().map(|code| (code, Meaning::Unstated)));
    meanings.extend(written.void.iter().map(|code| (code, Meaning::Void)));
    let mut codes = Codes {
        name: name.to_owned(),
        ..Codes::default()
    };
    for (code, meaning) in meanings {
        let repeated = match code.strip_suffix('*') {
            Some(prefix) => {
                let repeated = codes.prefixes.iter().any(|(other, _)| other == prefix);
                codes.prefixes.push((prefix.to_owned(), meaning));
                repeated
            }
            None => codes.exact.insert(code.clone(), meaning).is_some(),
        };
        if repeated {
            return Err((code.clone(), "the code is listed twice".to_owned()));
        }
    }
    codes.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    codes.default = written
        .default
        .as_deref()
        .map(|name| position("default", name))
        .transpose()?
        .map(Meaning::Value);
    codes.null = written.null.as_deref().map(|name| position("null", name)).transpose()?;
    Ok(codes)
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
