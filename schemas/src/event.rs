//! What leaves the base: alerts, the state of findings and of persons, and dead letters. Field by field as `schemas/avro` documents
//! them; nothing but [`DeadLetter`] holds personal text.

mod alert;
mod codes;
mod dead_letter;
mod person;

use crate::framing::{Codec, DecodeError, Payload};
use serde::de::DeserializeOwned;

pub use alert::{AlertEvent, Context, Evidence, FindingState};
pub use codes::{FindingStatus, Remedy, Scope};
pub use dead_letter::{DeadLetter, Header};
pub use person::{EnrolmentState, PersonState};

/// Encodes a value under the ids of this process; see [`Codec::encode`].
pub fn encode<T: Payload>(value: &T) -> Vec<u8> {
    Codec::current().encode(value)
}

/// Decodes a value under the ids of this process; see [`Codec::decode`].
pub fn decode<T: Payload + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    Codec::current().decode(bytes)
}
