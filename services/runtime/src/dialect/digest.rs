//! What a dialect file says, as a digest: comments, order and spelling of the TOML do not change it.

use domain::source::Agency;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::PathBuf;

/// A dialect as a file states it. Its revision is part of every version it reads, so a revision must stand for one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// The agency.
    pub agency: Agency,
    /// The dialect's name.
    pub dialect: String,
    /// The cities it is for, as the file lists them.
    pub cities: String,
    /// Its revision.
    pub revision: u16,
    /// SHA-256 of all that the file says, in hexadecimal digits.
    pub digest: String,
    /// The file.
    pub file: PathBuf,
}

/// The digest of a file's content: of its TOML written in one order, so that it stays the same from one program to the next.
pub(super) fn digest(content: &toml::Table) -> String {
    let mut canonical = String::new();
    write_table(&mut canonical, content);
    let mut text = String::new();
    for byte in Sha256::digest(canonical.as_bytes()) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn write_table(to: &mut String, table: &toml::Table) {
    let mut keys: Vec<&String> = table.keys().collect();
    keys.sort_unstable();
    to.push('{');
    for key in keys {
        let _ = write!(to, "{key:?}:");
        write_value(to, &table[key]);
        to.push(',');
    }
    to.push('}');
}

fn write_value(to: &mut String, value: &toml::Value) {
    match value {
        toml::Value::Table(table) => write_table(to, table),
        toml::Value::Array(values) => {
            to.push('[');
            for value in values {
                write_value(to, value);
                to.push(',');
            }
            to.push(']');
        }
        toml::Value::String(text) => {
            let _ = write!(to, "{text:?}");
        }
        other => {
            let _ = write!(to, "{other}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        digest(&text.parse().expect("TOML"))
    }

    #[test]
    fn only_what_a_file_says_counts() {
        let one = of("name = \"ga\" # a comment\nrevision = 1\n[tables.a]\nkind = 'resident'\nkey = [\"x\"]\n");
        assert_eq!(
            one,
            of("revision = 1\nname = 'ga'\n[tables]\na = { key = ['x'], kind = \"resident\" }\n")
        );
        assert_ne!(
            one,
            of("name = \"ga\"\nrevision = 1\n[tables.a]\nkind = 'resident'\nkey = [\"y\"]\n")
        );
        assert_eq!(one.len(), 64);
    }
}
