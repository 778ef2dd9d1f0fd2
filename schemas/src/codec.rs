//! The shards' logs: [`Input`] to and from the values of topic `person.records`.

mod control;
mod facts;
mod message;
mod policy;
mod record;
mod truncation;
mod unread;

use crate::framing::{Codec, DecodeError};
use crate::registry::Kind;
use control::{ControlRecord, Stated};
use domain::input::{Control, Input};
use domain::record::Change;
use domain::shard::Shard;
use message::{ShardMessage, Worded};
use policy::PolicyRecord;
use record::{EntityRecord, PersonRecord};
use std::sync::Arc;
use truncation::TruncationRecord;
use unread::{UnreadNotice, UnreadRecord};

/// Encodes an input under the ids of this process; see [`Codec::encode_input`].
pub fn encode_input(input: &Input) -> Vec<u8> {
    Codec::current().encode_input(input)
}

/// Decodes a value of `person.records` under the ids of this process; see [`Codec::decode_input`].
pub fn decode_input(bytes: &[u8]) -> Result<Input, DecodeError> {
    Codec::current().decode_input(bytes)
}

/// Decodes an entry of a shard's log under the ids of this process; see [`Codec::decode_entry`].
pub fn decode_entry(shard: Shard, bytes: &[u8]) -> Result<Input, DecodeError> {
    Codec::current().decode_entry(shard, bytes)
}

impl Codec {
    /// Encodes an input as a value of `person.records`: Confluent frame, then Avro.
    pub fn encode_input(&self, input: &Input) -> Vec<u8> {
        match input {
            Input::Change(Change::Upsert(record)) => self.encode(&PersonRecord::from(&**record)),
            Input::Change(Change::Delete(deletion)) => self.encode(&PersonRecord::from(deletion)),
            Input::Change(Change::Unread(unread)) => self.encode(&UnreadRecord::from(unread)),
            Input::Entity(change) => self.encode(&EntityRecord::from(change)),
            Input::Message(message) => match Worded::from(message) {
                Worded::Message(message) => self.encode(&message),
                Worded::Unread(notice) => self.encode(&notice),
            },
            Input::Control(control) => match Stated::from(control) {
                Stated::Control(statement) => self.encode(&statement),
                Stated::Truncation(truncation) => self.encode(&truncation),
                Stated::Policy(policy) => self.encode(&policy),
            },
        }
    }

    /// Decodes a value of `person.records`. What comes out keeps the limits of [`domain::limits`].
    ///
    /// # Errors
    /// When the bytes are no value of that topic. Never panics, whatever the bytes.
    pub fn decode_input(&self, bytes: &[u8]) -> Result<Input, DecodeError> {
        let kind = self.version_of(bytes)?.kind;
        let record = kind.record_name();
        match kind {
            Kind::PersonRecord => Ok(Input::Change(self.decode::<PersonRecord<'static>>(bytes)?.into())),
            Kind::UnreadRecord => {
                let unread = self.decode::<UnreadRecord<'static>>(bytes)?;
                Ok(Input::Change(Change::Unread(unread.into())))
            }
            Kind::EntityRecord => Ok(Input::Entity(self.decode::<EntityRecord<'static>>(bytes)?.into())),
            Kind::ShardMessage => {
                let message = self.decode::<ShardMessage<'static>>(bytes)?.into_message();
                message
                    .map(Input::Message)
                    .map_err(|what| DecodeError::Value { record, what })
            }
            Kind::UnreadNotice => Ok(Input::Message(self.decode::<UnreadNotice>(bytes)?.into())),
            Kind::Control => {
                let control = self.decode::<ControlRecord>(bytes)?.into_control();
                control
                    .map(Input::Control)
                    .map_err(|what| DecodeError::Value { record, what })
            }
            Kind::Truncation => {
                let truncation = self.decode::<TruncationRecord>(bytes)?;
                Ok(Input::Control(Control::Truncated(truncation.into())))
            }
            Kind::Policy => {
                let edition = self.decode::<PolicyRecord>(bytes)?.into_edition();
                edition
                    .map(|edition| Input::Control(Control::Policy(Arc::new(edition))))
                    .map_err(|what| DecodeError::Value { record, what })
            }
            _ => Err(DecodeError::Unexpected { record }),
        }
    }

    /// Decodes an entry of `shard`'s log: [`Codec::decode_input`], and a version of a record stands in the log that its own content
    /// names. Elsewhere it would be held by a shard where nobody looks for it.
    ///
    /// # Errors
    /// When the bytes are no entry of this log.
    pub fn decode_entry(&self, shard: Shard, bytes: &[u8]) -> Result<Input, DecodeError> {
        let input = self.decode_input(bytes)?;
        let own = match &input {
            Input::Change(change) => change.shard(),
            Input::Entity(entity) => entity.shard(),
            // Where messages and statements go follows from nothing that they say.
            Input::Message(_) | Input::Control(_) => shard,
        };
        if own == shard {
            Ok(input)
        } else {
            Err(DecodeError::OtherShard {
                shard: shard.number(),
                own: own.number(),
            })
        }
    }
}
