//! What Canbao's topics hold: the Avro schemas (`schemas/avro`), their ids, and the encoding of every value.
//!
//! [`registry`] carries the schemas and their ids, [`framing`] puts a value into its Confluent frame and reads it back, [`codec`] is the
//! internal log `person.records`, [`event`] what subscribers receive.

pub mod codec;
pub mod event;
pub mod framing;
pub mod registry;
mod wire;

pub use framing::{Codec, DecodeError, OtherIdsInUse};
