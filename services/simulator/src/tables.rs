//! The tables of the agencies' exchange databases (前置库), in the default dialects: exactly the columns a mapping file expects.
//!
//! A row holds what the agency believes, which is not always so; see [`crate::view`].

use std::borrow::Cow;

use domain::source::Agency;

use crate::json::{self, Column};
use crate::sql::{ColumnOf, SqlColumn};

mod civil_affairs;
mod human_resources;
mod public_security;

pub(crate) use civil_affairs::{BatchControl, Funeral, Hardship, Marriage};
pub(crate) use human_resources::{Ab01, Ac01, Ac02, Ac21, Ac60, Az01};
pub(crate) use public_security::{Czrk, Heartbeat, Ldrk, Sfhbg};

/// Declares a table: its columns with their meaning, how they are written, and which of them name the person.
macro_rules! table {
    (
        $(#[$doc:meta])*
        $row:ident = $table:literal, key $key:ident $(, person $number:ident $name:ident)? {
            $($column:ident: $type:ty = $meaning:literal,)*
        }
    ) => {
        $(#[$doc])*
        ///
        /// Personal: has no `Debug`.
        #[derive(Clone, PartialEq, Default)]
        pub(crate) struct $row { $(#[doc = $meaning] pub(crate) $column: $type,)* }

        impl $crate::tables::TableRow for $row {
            const NAME: &'static str = $table;

            fn write(&self, out: &mut Vec<u8>) {
                let mut separator = b'{';
                $(
                    out.push(separator);
                    separator = b',';
                    out.extend_from_slice(concat!("\"", stringify!($column), "\":").as_bytes());
                    $crate::json::Column::write(&self.$column, out);
                )*
                let _ = separator;
                out.push(b'}');
            }

            fn write_key(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(concat!("{\"", stringify!($key), "\":").as_bytes());
                $crate::json::Column::write(&self.$key, out);
                out.push(b'}');
            }

            fn schema() -> (Vec<String>, String) {
                fn field<C: $crate::json::Column>(_: fn(&$row) -> &C, name: &str) -> String {
                    $crate::tables::field_schema::<C>(name)
                }
                (
                    vec![$(field(|row| &row.$column, stringify!($column)),)*],
                    field(|row| &row.$key, stringify!($key)),
                )
            }

            fn columns() -> Vec<$crate::sql::ColumnOf> {
                vec![$($crate::sql::ColumnOf {
                    name: stringify!($column),
                    kind: <$type as $crate::sql::SqlColumn>::TYPE,
                    nullable: <$type as $crate::sql::SqlColumn>::NULLABLE,
                    meaning: $meaning,
                },)*]
            }

            fn key_column() -> &'static str {
                stringify!($key)
            }

            fn literals(&self) -> Vec<String> {
                vec![$($crate::tables::literal(&self.$column),)*]
            }

            fn key_literal(&self) -> String {
                $crate::tables::literal(&self.$key)
            }

            $(
                fn person(&mut self) -> Option<$crate::tables::PersonColumns<'_>> {
                    Some($crate::tables::PersonColumns { number: &mut self.$number, name: &mut self.$name })
                }
            )?
        }
    };
}
use table;

/// The columns of a row that say whom it is about.
pub(crate) struct PersonColumns<'a> {
    /// The document number.
    pub(crate) number: &'a mut json::Text,
    /// The name.
    pub(crate) name: &'a mut json::Text,
}

/// What the rows of every table can do.
pub(crate) trait TableRow {
    /// The table's name.
    const NAME: &'static str;

    /// Writes all columns as a JSON object.
    fn write(&self, out: &mut Vec<u8>);
    /// Writes the key column as a JSON object.
    fn write_key(&self, out: &mut Vec<u8>);
    /// The Kafka Connect schemas of the columns, and of the key.
    fn schema() -> (Vec<String>, String);
    /// The columns, as a database has them.
    fn columns() -> Vec<ColumnOf>;
    /// The name of the key column.
    fn key_column() -> &'static str;
    /// All columns as SQL literals.
    fn literals(&self) -> Vec<String>;
    /// The key column as an SQL literal.
    fn key_literal(&self) -> String;
    /// The columns that name the person; `None` for rows about other things.
    fn person(&mut self) -> Option<PersonColumns<'_>> {
        None
    }
}

/// The Kafka Connect schema of one column.
fn field_schema<C: Column>(name: &str) -> String {
    let (kind, optional, logical) = (C::TYPE, C::OPTIONAL, C::LOGICAL);
    format!(r#"{{"type":"{kind}","optional":{optional},{logical}"field":"{name}"}}"#)
}

/// A column's value as an SQL literal.
fn literal(column: &impl SqlColumn) -> String {
    let mut out = String::new();
    column.literal(&mut out);
    out
}

macro_rules! rows {
    ($($row:ident,)*) => {
        /// A source table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Table { $(#[doc = concat!("Table of [`", stringify!($row), "`].")] $row,)* }

        impl Table {
            /// Every table.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$row),*];

            /// Its name in the source database.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$row => <$row as TableRow>::NAME,)* }
            }

            /// The Kafka Connect schemas of its columns, and of its key.
            pub(crate) fn schema(self) -> (Vec<String>, String) {
                match self { $(Self::$row => <$row as TableRow>::schema(),)* }
            }

            /// Its columns, as a database has them.
            pub(crate) fn columns(self) -> Vec<ColumnOf> {
                match self { $(Self::$row => <$row as TableRow>::columns(),)* }
            }

            /// The name of its key column.
            pub(crate) fn key_column(self) -> &'static str {
                match self { $(Self::$row => <$row as TableRow>::key_column(),)* }
            }
        }

        /// A row of any table. Personal: has no `Debug`.
        #[derive(Clone, PartialEq)]
        pub(crate) enum Row { $(#[doc = concat!("Row of [`", stringify!($row), "`].")] $row(Box<$row>),)* }

        impl Row {
            /// The table it stands in.
            pub(crate) fn table(&self) -> Table {
                match self { $(Self::$row(_) => Table::$row,)* }
            }

            /// Writes all columns as a JSON object.
            pub(crate) fn write(&self, out: &mut Vec<u8>) {
                match self { $(Self::$row(row) => row.write(out),)* }
            }

            /// Writes the key column as a JSON object.
            pub(crate) fn write_key(&self, out: &mut Vec<u8>) {
                match self { $(Self::$row(row) => row.write_key(out),)* }
            }

            /// All columns as SQL literals.
            pub(crate) fn literals(&self) -> Vec<String> {
                match self { $(Self::$row(row) => row.literals(),)* }
            }

            /// The key column as an SQL literal.
            pub(crate) fn key_literal(&self) -> String {
                match self { $(Self::$row(row) => row.key_literal(),)* }
            }

            /// The columns that name the person.
            pub(crate) fn person(&mut self) -> Option<PersonColumns<'_>> {
                match self { $(Self::$row(row) => row.person(),)* }
            }
        }

        $(impl From<$row> for Row {
            fn from(row: $row) -> Self {
                Self::$row(Box::new(row))
            }
        })*
    };
}

rows! {
    Czrk,
    Ldrk,
    Sfhbg,
    Heartbeat,
    Funeral,
    Marriage,
    Hardship,
    BatchControl,
    Ac01,
    Ab01,
    Ac21,
    Ac02,
    Ac60,
    Az01,
}

/// The agencies that are simulated: those that the notice of 2014 names.
pub(crate) const AGENCIES: [Agency; 3] = [Agency::PUBLIC_SECURITY, Agency::CIVIL_AFFAIRS, Agency::HUMAN_RESOURCES];

impl Table {
    /// The tables an agency's exchange database has; both public security and human resources have a heartbeat.
    pub(crate) fn of(agency: Agency) -> &'static [Self] {
        match agency {
            Agency::PUBLIC_SECURITY => &[Self::Czrk, Self::Ldrk, Self::Sfhbg, Self::Heartbeat],
            Agency::CIVIL_AFFAIRS => &[Self::Funeral, Self::Marriage, Self::Hardship, Self::BatchControl],
            Agency::HUMAN_RESOURCES => &[
                Self::Ab01,
                Self::Ac01,
                Self::Ac21,
                Self::Ac02,
                Self::Ac60,
                Self::Az01,
                Self::Heartbeat,
            ],
            _ => &[],
        }
    }

    /// Whether its rows state the completeness of their source instead of anything about people.
    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Heartbeat | Self::BatchControl)
    }
}

impl Row {
    /// The agency that keeps such rows about people and employers.
    pub(crate) fn agency(&self) -> Agency {
        match self.table() {
            Table::Czrk | Table::Ldrk | Table::Sfhbg | Table::Heartbeat => Agency::PUBLIC_SECURITY,
            Table::Funeral | Table::Marriage | Table::Hardship | Table::BatchControl => Agency::CIVIL_AFFAIRS,
            _ => Agency::HUMAN_RESOURCES,
        }
    }

    /// The key column's value as JSON text: `{"aac001":12}`.
    pub(crate) fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(32);
        self.write_key(&mut key);
        key
    }
}

/// A text column with a value of its own.
#[expect(clippy::unnecessary_wraps, reason = "columns are nullable")]
pub(crate) fn owned(value: impl Into<String>) -> json::Text {
    Some(Cow::Owned(value.into()))
}

/// A text column with a constant value.
#[expect(clippy::unnecessary_wraps, reason = "columns are nullable")]
pub(crate) fn code(value: &'static str) -> json::Text {
    Some(Cow::Borrowed(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_objects_of_their_columns() {
        let row = Row::from(Ac02 {
            baz001: 3,
            aae140: code("110"),
            ..Ac02::default()
        });
        let mut out = Vec::new();
        row.write(&mut out);
        let json: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(json["baz001"], 3);
        assert_eq!(json["aae140"], "110");
        assert!(json["aac002"].is_null());
        assert_eq!(row.key(), b"{\"baz001\":3}");
    }

    #[test]
    fn schemas_name_every_column() {
        for table in Table::ALL {
            let (columns, key) = table.schema();
            for column in columns.iter().chain([&key]) {
                let schema: serde_json::Value = serde_json::from_str(column).expect("JSON");
                assert!(schema["field"].is_string() && schema["type"].is_string());
            }
            let key: serde_json::Value = serde_json::from_str(&key).expect("JSON");
            assert_eq!(key["optional"], false);
        }
    }

    #[test]
    fn every_table_belongs_to_an_agency() {
        for table in Table::ALL {
            assert!(AGENCIES.into_iter().any(|agency| Table::of(agency).contains(table)));
        }
    }
}
