//! The store: how the base lies in PostgreSQL, and how it is read. The registry alone writes it; `canbao` reads it.

pub mod agencies;
pub mod copy;
pub mod decisions;
pub mod log;
pub mod mapping;
pub mod members;
mod migrate;
pub mod person;
pub mod policies;
pub mod read;
pub mod refused;
pub mod session;
pub mod table;
pub mod waivers;
pub mod weight;

pub use migrate::migrate;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The layout of stored values: first byte of each, raised when the types change, so that an old row is never misread.
const LAYOUT: u8 = 1;

/// A stored value cannot be read: it is of another layout, or damaged.
#[derive(Debug, thiserror::Error)]
#[error("a stored {what} cannot be read: layout {layout:?}, this program writes {LAYOUT}")]
pub struct Unreadable {
    /// What was being read.
    pub what: &'static str,
    /// The layout found, if any byte was.
    pub layout: Option<u8>,
}

/// Encodes a value for a `bytea` column.
///
/// # Panics
/// Never: the stored types hold no map with unserialisable keys and memory is not bounded.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    encode_as(LAYOUT, value)
}

fn encode_as<T: Serialize + ?Sized>(layout: u8, value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![layout]).expect("stored types serialise")
}

/// Decodes a value of a `bytea` column.
///
/// # Errors
/// When the layout is another one or the bytes do not hold the type.
pub fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Unreadable> {
    decode_as(LAYOUT, what, bytes)
}

fn decode_as<T: DeserializeOwned>(expected: u8, what: &'static str, bytes: &[u8]) -> Result<T, Unreadable> {
    match bytes.split_first() {
        Some((layout, value)) if *layout == expected => postcard::from_bytes(value).map_err(|_| Unreadable {
            what,
            layout: Some(expected),
        }),
        other => Err(Unreadable {
            what,
            layout: other.map(|(layout, _)| *layout),
        }),
    }
}
