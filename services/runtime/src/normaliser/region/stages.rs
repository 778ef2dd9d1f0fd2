//! What happens to one message: admitted, opened, classified, then applied, diverted or left.

use super::super::Shared;
use super::super::emit::Emitter;
use super::super::events::{Events, Outcome};
use super::super::positions::Positions;
use super::super::share::DeadLetterShare;
use super::super::source_topic::TruncatedAt;
use crate::debezium::NormaliseError;
use crate::dialect::{Classified, ControlKind, SourceMessage};
use crate::framed::{Closed, NoSchema};
use anyhow::Context;
use domain::date::Timestamp;
use domain::input::Input;
use domain::limits;
use rdkafka::message::{BorrowedMessage, Message};
use std::sync::Arc;

/// What happens to one message, apart from the consumer it came from.
pub(super) struct Stages {
    pub(super) shared: Arc<Shared>,
    pub(super) emitter: Emitter,
    pub(super) share: DeadLetterShare,
    pub(super) events: Events,
    /// The message that cut the batch because it could not be opened.
    pub(super) left: Option<Left>,
}

/// A message that was left because it could not be opened.
pub(super) enum Left {
    /// There is no schema for it.
    NoSchema { topic: String, problem: NoSchema },
    /// The schema registry does not answer.
    Away {
        topic: String,
        partition: i32,
        offset: i64,
        cause: String,
    },
}

impl Stages {
    /// Takes one message through: admit, open, classify, then apply, divert or leave it.
    pub(super) fn take(&mut self, positions: &Positions, message: &BorrowedMessage<'_>) -> anyhow::Result<Outcome> {
        let timestamp = limits::nearest_instant(message.timestamp().to_millis().unwrap_or(0));
        let partition = u16::try_from(message.partition()).context("partition numbers fit 16 bits")?;
        let offset = u64::try_from(message.offset()).context("offsets are not negative")?;
        let Some(recorded) = positions.recorded_of(message.topic(), partition, offset) else {
            return Ok(Outcome::Held);
        };
        let (key, value) = (message.key(), message.payload());
        let framed = SourceMessage {
            source: positions.source(),
            table: &recorded.table,
            partition,
            offset,
            epoch: recorded.epoch,
            timestamp,
            key,
            value,
        };
        let classified = match self.shared.frames.open(key, value) {
            Ok(opened) => (self.shared.classify)(&opened.of(&framed)),
            Err(Closed::Away(cause)) => {
                self.left = Some(Left::Away {
                    topic: message.topic().to_owned(),
                    partition: message.partition(),
                    offset: message.offset(),
                    cause,
                });
                return Ok(Outcome::Held);
            }
            Err(Closed::NoSchema(problem)) if !recorded.is_tolerated => {
                let topic = message.topic().to_owned();
                self.left = Some(Left::NoSchema { topic, problem });
                return Ok(Outcome::Held);
            }
            Err(closed) => closed.letter(&self.shared.frames, &framed, &*self.shared.classify),
        };
        match classified {
            Classified::Inputs(inputs) => self.apply(&inputs),
            Classified::Control(ControlKind::Truncated) => {
                let at = TruncatedAt {
                    epoch: recorded.epoch,
                    partition,
                    offset,
                    appended_at: timestamp,
                };
                positions.note_truncated(message.topic(), &at)?;
                Ok(self.pass())
            }
            Classified::Control(_) => Ok(self.pass()),
            Classified::DeadLetter { error, inputs } => {
                // What an operator accepted says nothing about what comes now.
                if !recorded.is_tolerated {
                    self.share.note(Some(error.class));
                    if self.share.excess().is_some() {
                        return Ok(Outcome::Held);
                    }
                }
                self.divert(message, timestamp, &error, &inputs)
            }
        }
    }

    fn apply(&mut self, inputs: &[Input]) -> anyhow::Result<Outcome> {
        self.share.note(None);
        self.emitter.apply(inputs)?;
        crate::failpoint::reach("normaliser.produced");
        Ok(Outcome::Applied(inputs.len()))
    }

    fn pass(&mut self) -> Outcome {
        self.share.note(None);
        Outcome::Control
    }

    /// Diverts a message; `inputs` is what the base is told all the same.
    fn divert(
        &mut self,
        message: &BorrowedMessage<'_>,
        appended: Timestamp,
        error: &NormaliseError,
        inputs: &[Input],
    ) -> anyhow::Result<Outcome> {
        self.events.dead_letter(message, error);
        self.emitter.divert(message, appended, error)?;
        crate::failpoint::reach("normaliser.diverted");
        self.emitter.apply(inputs)?;
        Ok(Outcome::DeadLettered)
    }
}
