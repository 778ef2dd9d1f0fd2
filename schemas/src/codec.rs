//! The shards' logs: [`Input`] to and from the values of topic `person.records`.

mod control;
mod facts;
mod message;
mod record;

use crate::framing::{Codec, DecodeError};
use crate::registry::Kind;
use control::ControlRecord;
use domain::input::Input;
use message::ShardMessage;
use record::{EntityRecord, PersonRecord};

/// Encodes an input under the ids of this process; see [`Codec::encode_input`].
pub fn encode_input(input: &Input) -> Vec<u8> {
    Codec::current().encode_input(input)
}

/// Decodes a value of `person.records` under the ids of this process; see [`Codec::decode_input`].
pub fn decode_input(bytes: &[u8]) -> Result<Input, DecodeError> {
    Codec::current().decode_input(bytes)
}

impl Codec {
    /// Encodes an input as a value of `person.records`: Confluent frame, then Avro.
    pub fn encode_input(&self, input: &Input) -> Vec<u8> {
        match input {
            Input::Change(change) => self.encode(&PersonRecord::from(change)),
            Input::Entity(change) => self.encode(&EntityRecord::from(change)),
            Input::Message(message) => self.encode(&ShardMessage::from(message)),
            Input::Control(control) => self.encode(&ControlRecord::from(control)),
        }
    }

    /// Decodes a value of `person.records`.
    ///
    /// # Errors
    /// When the bytes are no value of that topic. Never panics, whatever the bytes.
    pub fn decode_input(&self, bytes: &[u8]) -> Result<Input, DecodeError> {
        let kind = self.version_of(bytes)?.kind;
        match kind {
            Kind::PersonRecord => Ok(Input::Change(self.decode::<PersonRecord<'static>>(bytes)?.into())),
            Kind::EntityRecord => Ok(Input::Entity(self.decode::<EntityRecord<'static>>(bytes)?.into())),
            Kind::ShardMessage => {
                let message = self.decode::<ShardMessage<'static>>(bytes)?.into_message();
                Ok(Input::Message(message.ok_or(DecodeError::Value {
                    record: kind.record_name(),
                    what: "guest copy",
                })?))
            }
            Kind::Control => Ok(Input::Control(self.decode::<ControlRecord>(bytes)?.into())),
            _ => Err(DecodeError::Unexpected {
                record: kind.record_name(),
            }),
        }
    }
}
