//! Rows as SQL: how an agency's exchange database (前置库) keeps them, in PostgreSQL and in MariaDB.
//!
//! Values are written as literals, and both systems read them the same way once a session has [`SETTINGS`](System::settings): a text
//! in which only the quote is doubled, times in UTC.

use std::borrow::Cow;
use std::fmt::Write;

use domain::date::Day;
use domain::source::Agency;

use crate::json::{Cents, Micros, Zoned};
use crate::tables::{Row, Table};

/// A database system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum System {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    #[value(name = "mariadb")]
    MariaDb,
}

impl System {
    /// What a session must be told before it is given literals.
    pub(crate) fn settings(self) -> &'static str {
        match self {
            Self::Postgres => "set time zone 'UTC'; set standard_conforming_strings = on",
            Self::MariaDb => {
                "set time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION', names utf8mb4"
            }
        }
    }
}

/// A column's type in either system.
pub(crate) struct Type {
    postgres: &'static str,
    mariadb: &'static str,
}

/// A column of a source table.
pub(crate) struct ColumnOf {
    pub(crate) name: &'static str,
    pub(crate) kind: Type,
    /// Whether it may be null.
    pub(crate) nullable: bool,
    /// What it means.
    pub(crate) meaning: &'static str,
}

/// A column's type as a database has it, and its values as literals.
pub(crate) trait SqlColumn {
    /// The type.
    const TYPE: Type;
    /// Whether it may be null.
    const NULLABLE: bool = false;

    /// Writes the value.
    fn literal(&self, out: &mut String);
}

impl<T: SqlColumn> SqlColumn for Option<T> {
    const TYPE: Type = T::TYPE;
    const NULLABLE: bool = true;

    fn literal(&self, out: &mut String) {
        match self {
            Some(value) => value.literal(out),
            None => out.push_str("null"),
        }
    }
}

impl SqlColumn for Cow<'static, str> {
    const TYPE: Type = Type {
        postgres: "text",
        mariadb: "varchar(255)",
    };

    fn literal(&self, out: &mut String) {
        out.push('\'');
        for character in self.chars() {
            out.extend(std::iter::repeat_n(character, if character == '\'' { 2 } else { 1 }));
        }
        out.push('\'');
    }
}

/// Declares columns whose literals are what a format says.
macro_rules! columns {
    ($($type:ty = $postgres:literal, $mariadb:literal, |$value:ident| $text:expr;)*) => {
        $(impl SqlColumn for $type {
            const TYPE: Type = Type { postgres: $postgres, mariadb: $mariadb };

            fn literal(&self, out: &mut String) {
                let $value = self;
                write!(out, "{}", $text).expect("a string takes all");
            }
        })*
    };
}

columns! {
    i64 = "bigint", "bigint", |value| value;
    i32 = "integer", "integer", |value| value;
    bool = "boolean", "boolean", |value| value;
    Day = "date", "date", |value| format!("'{value}'");
    Cents = "numeric(12, 2)", "decimal(12, 2)", |value| {
        format!("{}{}.{:02}", if value.0 < 0 { "-" } else { "" }, value.0.abs() / 100, value.0.abs() % 100)
    };
    Micros = "timestamp", "datetime(6)", |value| instant(value.0);
    Zoned = "timestamptz", "timestamp(6)", |value| instant(value.0);
}

/// An instant in UTC, microseconds since 1970.
fn instant(micros: i64) -> String {
    let time = chrono::DateTime::from_timestamp_micros(micros).unwrap_or_default();
    time.format("'%Y-%m-%d %H:%M:%S%.6f'").to_string()
}

/// The statements that make an agency's tables.
pub(crate) fn tables_of(agency: Agency, system: System) -> String {
    let tables = Table::of(agency).iter().map(|table| create(*table, system));
    tables.collect::<Vec<_>>().join("\n")
}

/// The statement that makes a table.
fn create(table: Table, system: System) -> String {
    let columns = table.columns();
    let key = table.key_column();
    let mut statement = format!("create table {} (\n", table.name());
    for (at, column) in columns.iter().enumerate() {
        let kind = match system {
            System::Postgres => column.kind.postgres,
            System::MariaDb => column.kind.mariadb,
        };
        // MariaDB gives a timestamp a default of its own unless it is told that it may be null.
        let end = match (column.name == key, column.nullable) {
            (true, _) => " primary key",
            (false, false) => " not null",
            (false, true) if system == System::MariaDb => " null",
            (false, true) => "",
        };
        let separator = if at + 1 < columns.len() { "," } else { "" };
        let line = format!("    {} {kind}{end}{separator}", column.name);
        writeln!(statement, "{line:<40} -- {}", column.meaning).expect("a string takes all");
    }
    statement.push_str(");\n");
    statement
}

/// The statement that puts rows of one table there, in place of those that have their keys: a run that begins anew finds what the last
/// one left.
pub(crate) fn put(table: Table, rows: &[Row], system: System) -> String {
    let columns = table.columns();
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let rows: Vec<String> = rows.iter().map(|row| format!("({})", row.literals().join(","))).collect();
    let (key, set): (_, Vec<String>) = match system {
        System::Postgres => (
            format!("on conflict ({}) do update set", table.key_column()),
            names.iter().map(|name| format!("{name} = excluded.{name}")).collect(),
        ),
        System::MariaDb => (
            "on duplicate key update".to_owned(),
            names.iter().map(|name| format!("{name} = values({name})")).collect(),
        ),
    };
    let (name, names) = (table.name(), names.join(","));
    format!(
        "insert into {name} ({names}) values {} {key} {}",
        rows.join(","),
        set.join(", ")
    )
}

/// The statement that makes a row from what it was to what it is; `None` where nothing was and is.
pub(crate) fn change(before: Option<&Row>, after: Option<&Row>, system: System) -> Option<String> {
    let (before, after) = match (before, after) {
        (None, None) => return None,
        (None, Some(after)) => return Some(put(after.table(), std::slice::from_ref(after), system)),
        (Some(before), after) => (before, after),
    };
    let (table, of) = (before.table(), before.key_literal());
    let (name, key) = (table.name(), table.key_column());
    Some(match after {
        None => format!("delete from {name} where {key} = {of}"),
        Some(after) => {
            let literals = after.literals();
            let set: Vec<String> = table
                .columns()
                .iter()
                .zip(&literals)
                .map(|(column, literal)| format!("{} = {literal}", column.name))
                .collect();
            format!("update {name} set {} where {key} = {of}", set.join(", "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{Ac02, code, owned};

    fn row(key: i64, name: &str) -> Row {
        Row::from(Ac02 {
            baz001: key,
            aac003: owned(name.to_owned()),
            aae030: Some(Day::from_ymd(2026, 1, 31).expect("a day")),
            aae180: Some(Cents(-5)),
            utime: Some(Zoned(1_790_814_615_123_456)),
            aae140: code("110"),
            ..Ac02::default()
        })
    }

    #[test]
    fn literals_are_read_by_both_systems() {
        let literals = row(7, "O'Neil \\ 张").literals();
        for literal in [
            "7",
            "'O''Neil \\ 张'",
            "'2026-01-31'",
            "-0.05",
            "'2026-10-01 00:30:15.123456'",
            "'110'",
            "null",
        ] {
            assert!(literals.iter().any(|of| of == literal), "{literal}");
        }
    }

    #[test]
    fn a_change_of_the_key_finds_the_row_by_its_old_one() {
        let [seven, eight] = [7, 8].map(|key| row(key, "x"));
        let change = |before, after| change(before, after, System::Postgres).expect("a statement");
        let update = change(Some(&seven), Some(&eight));
        assert!(update.starts_with("update ac02 set baz001 = 8, ") && update.ends_with(" where baz001 = 7"));
        assert_eq!(change(Some(&seven), None), "delete from ac02 where baz001 = 7");
        let put = change(None, Some(&eight));
        assert!(put.starts_with("insert into ac02 (baz001,") && put.contains(" on conflict (baz001) do update set baz001 = "));
    }

    /// The pages from which agencies copy hold what the simulated ones have.
    #[test]
    fn the_tables_to_copy_are_these() {
        for (agency, system) in [
            (Agency::PUBLIC_SECURITY, System::Postgres),
            (Agency::HUMAN_RESOURCES, System::Postgres),
            (Agency::CIVIL_AFFAIRS, System::MariaDb),
        ] {
            let path = format!("{}/../../compose/connect/{agency}.sql", env!("CARGO_MANIFEST_DIR"));
            let page = std::fs::read_to_string(&path).expect("a page");
            let tables = tables_of(agency, system);
            assert!(page.contains(&tables), "{path} must hold:\n{tables}");
        }
    }
}
