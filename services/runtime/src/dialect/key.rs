//! Key columns as a dialect file writes them.

use crate::debezium::{KeyColumn, KeyType};
use serde::Deserialize;

/// A key column: its name, or a table with its type.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a column name, or a table with column, type and, of base64, scale")]
pub(super) enum KeyFile {
    Name(String),
    Typed(TypedKeyFile),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedKeyFile {
    column: String,
    #[serde(rename = "type")]
    kind: KeyTypeFile,
    /// Digits behind the point, of `base64`.
    #[serde(default)]
    scale: u8,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeyTypeFile {
    Integer,
    Text,
    Base64,
}

impl KeyFile {
    pub(super) fn column(&self) -> KeyColumn {
        match self {
            Self::Name(name) => KeyColumn {
                name: name.clone(),
                kind: KeyType::Any,
            },
            Self::Typed(typed) => KeyColumn {
                name: typed.column.clone(),
                kind: match typed.kind {
                    KeyTypeFile::Integer => KeyType::Integer,
                    KeyTypeFile::Text => KeyType::Text,
                    KeyTypeFile::Base64 => KeyType::Base64 { scale: typed.scale },
                },
            },
        }
    }
}
