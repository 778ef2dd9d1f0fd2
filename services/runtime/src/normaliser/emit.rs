//! Where a classified message goes: inputs to the shards' logs, what cannot be read to the dead letters.

use super::letter::{Original, letter};
use crate::debezium::NormaliseError;
use crate::kafka::produce::{DeliveryError, Flight, Outgoing, Producer};
use crate::kafka::topics::{self, PERSON_RECORDS};
use domain::date::Timestamp;
use domain::ids::RecordId;
use domain::input::Input;
use domain::shard::Shard;
use domain::source::Source;
use rdkafka::message::BorrowedMessage;
use schemas::Codec;
use std::sync::Arc;

/// How results are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// At once: rows come one by one.
    Prompt,
    /// In large batches: rows wait in numbers, so nobody's latency is lost by it.
    Backlog,
}

/// The producers of a process, by pace.
#[derive(Clone)]
pub(super) struct Producers {
    pub(super) prompt: Producer,
    pub(super) backlog: Producer,
}

/// Sends a region's results and tallies their delivery.
pub(super) struct Emitter {
    producers: Producers,
    pace: Pace,
    flight: Arc<Flight>,
    codec: Codec,
    dead_letters: String,
    service: String,
    /// Bytes of an original that the topic of dead letters takes.
    letter_room: usize,
}

/// Record and shard of an input that a source message can become.
fn route(input: &Input) -> Option<(RecordId, Shard)> {
    match input {
        Input::Change(change) => Some((change.id(), change.shard())),
        Input::Entity(entity) => Some((entity.id, entity.shard())),
        // Messages and control statements come from shards and clock, never from a source.
        Input::Message(_) | Input::Control(_) => None,
    }
}

/// Puts inputs that a source message became into the logs of their shards: the one way there, for normalisers and for an operator's replay.
///
/// # Errors
/// When the producer refuses one; it is not on its way then.
pub fn apply(producer: &Producer, flight: &Arc<Flight>, codec: &Codec, inputs: &[Input]) -> Result<(), DeliveryError> {
    for input in inputs {
        let Some((id, shard)) = route(input) else { continue };
        let (key, value) = (id.to_string(), codec.encode_input(input));
        producer.send(
            flight,
            Outgoing {
                topic: PERSON_RECORDS,
                partition: shard.number().into(),
                key: key.as_bytes(),
                value: &value,
                // The topic's time is the broker's; a source's could be refused.
                timestamp: None,
            },
        )?;
    }
    Ok(())
}

impl Emitter {
    pub(super) fn new(source: Source, producers: Producers, codec: Codec, letter_room: usize) -> Self {
        let dead_letters = topics::dead_letters(source);
        Self {
            producers,
            pace: Pace::Prompt,
            flight: Arc::default(),
            codec,
            dead_letters,
            service: source.agency.to_string(),
            letter_room,
        }
    }

    /// How results are sent now.
    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    /// Sends in another way from now on; everything sent before must be delivered, or it could be overtaken.
    pub(super) fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    fn producer(&self) -> &Producer {
        match self.pace {
            Pace::Prompt => &self.producers.prompt,
            Pace::Backlog => &self.producers.backlog,
        }
    }

    /// Puts inputs into the logs of their shards.
    pub(super) fn apply(&self, inputs: &[Input]) -> Result<(), DeliveryError> {
        apply(self.producer(), &self.flight, &self.codec, inputs)
    }

    /// Puts a message into the dead letters, its bytes untouched as far as the topic takes them.
    pub(super) fn divert(
        &self,
        message: &BorrowedMessage<'_>,
        appended: Timestamp,
        error: &NormaliseError,
    ) -> Result<(), DeliveryError> {
        let letter = letter(&Original::of(message, appended), error, &self.service, self.letter_room);
        let key = format!("{}/{}/{}", letter.topic, letter.partition, letter.offset);
        let value = self.codec.encode(&letter);
        let message = Outgoing {
            topic: &self.dead_letters,
            // Their topic has one.
            partition: 0,
            key: key.as_bytes(),
            value: &value,
            // The letter says when the original was appended: a broker refuses messages from too far ahead.
            timestamp: None,
        };
        self.producer().send(&self.flight, message)
    }

    /// Waits until everything sent so far is delivered.
    pub(super) fn delivered(&self) -> Result<(), DeliveryError> {
        self.producer().wait(&self.flight)
    }
}
