//! A field's column as a dialect file writes it.

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A field's mapping: the name of a column, or a table with more.
pub(super) struct FieldFile {
    pub(super) column: String,
    pub(super) encoding: Option<String>,
    pub(super) codes: Option<String>,
    pub(super) none: Vec<String>,
    pub(super) optional: bool,
    pub(super) former: Vec<String>,
}

impl<'de> Deserialize<'de> for FieldFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = FieldFile;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a column name, or a table with column and, where needed, encoding, codes, none, optional and former")
    }

    fn visit_str<E>(self, column: &str) -> Result<FieldFile, E> {
        Ok(FieldFile {
            column: column.to_owned(),
            encoding: None,
            codes: None,
            none: Vec::new(),
            optional: false,
            former: Vec::new(),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FieldFile, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            column: String,
            encoding: Option<String>,
            codes: Option<String>,
            /// Values that stand for none.
            #[serde(default)]
            none: Vec<String>,
            /// Rows may lack the column.
            #[serde(default)]
            optional: bool,
            /// What the column was called before, the last name first: rows of that time have it under that name.
            #[serde(default)]
            former: Vec<String>,
        }
        let long = Long::deserialize(MapAccessDeserializer::new(map))?;
        Ok(FieldFile {
            column: long.column,
            encoding: long.encoding,
            codes: long.codes,
            none: long.none,
            optional: long.optional,
            former: long.former,
        })
    }
}
