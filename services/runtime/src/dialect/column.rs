//! A field's column, or its one value, as a dialect file writes it.

use super::shape::Content;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A field's mapping: the name of a column, or a table with more.
#[derive(Default)]
pub(super) struct FieldFile {
    /// Empty where every row holds the same.
    pub(super) column: String,
    pub(super) value: Option<String>,
    pub(super) encoding: Option<String>,
    pub(super) codes: Option<String>,
    pub(super) none: Vec<String>,
    pub(super) optional: bool,
    pub(super) former: Vec<String>,
}

impl FieldFile {
    /// The position of the one value that a code field holds in every row, among the values of its type; `None` where it has a column.
    pub(super) fn fixed(&self, content: Content) -> Result<Option<u8>, String> {
        let Some(value) = &self.value else { return Ok(None) };
        let is_alone = self.column.is_empty() && self.encoding.is_none() && self.codes.is_none();
        if !is_alone || self.optional || !self.none.is_empty() || !self.former.is_empty() {
            return Err("a field that holds one value in every row has nothing else beside it".to_owned());
        }
        let Content::Code(target) = content else {
            return Err("only a code field can hold one value in every row".to_owned());
        };
        let names = target.names();
        let position = names.iter().position(|name| name == value);
        let position = position.and_then(|position| u8::try_from(position).ok());
        let unknown = || format!("unknown name {value}; expected one of {}", names.join(", "));
        position.map(Some).ok_or_else(unknown)
    }
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
        f.write_str("a column name, or a table with column and, where needed, encoding, codes, none, optional and former, or with value alone")
    }

    fn visit_str<E>(self, column: &str) -> Result<FieldFile, E> {
        Ok(FieldFile {
            column: column.to_owned(),
            ..FieldFile::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FieldFile, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            #[serde(default)]
            column: String,
            /// The name of the value that a code field holds in every row, instead of a column.
            value: Option<String>,
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
            value: long.value,
            encoding: long.encoding,
            codes: long.codes,
            none: long.none,
            optional: long.optional,
            former: long.former,
        })
    }
}
