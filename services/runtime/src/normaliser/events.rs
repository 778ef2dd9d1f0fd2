//! What a normaliser logs and counts, in one place. Nothing here may carry a key or a value of a message.

use crate::debezium::NormaliseError;
use domain::source::Source;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use rdkafka::message::{BorrowedMessage, Message};
use std::time::{SystemTime, UNIX_EPOCH};

/// What became of one source message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was sent on to the base as this many inputs.
    Applied(usize),
    /// It carries no record.
    Control,
    /// It went to the dead letters; what could be read of it, or that it is unreadable, was sent on.
    DeadLettered,
    /// Its topic is held, or waits for the schema registry: it was not touched and will be read again.
    Held,
}

/// Handles of one source's metrics.
pub(super) struct Events {
    source: String,
    read: Counter,
    applied: Counter,
    inputs: Counter,
    control: Counter,
    age: Histogram,
    last: Gauge,
}

/// Describes the metrics, once per process.
pub(super) fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!(
        "canbao_normaliser_read_total",
        "Source messages read: applied + dead-lettered + control"
    );
    describe_counter!("canbao_normaliser_applied_total", "Source messages sent on to person.records");
    describe_counter!("canbao_normaliser_inputs_total", "Inputs sent to person.records");
    describe_counter!(
        "canbao_normaliser_control_total",
        "Source messages without a record: tombstones, completeness rows"
    );
    describe_counter!("canbao_normaliser_dead_letters_total", "Source messages diverted, by class");
    describe_gauge!(
        "canbao_normaliser_lag_messages",
        "Source messages not yet committed; absent while not known"
    );
    describe_counter!(
        "canbao_normaliser_region_restarts_total",
        "Failures after which a region began again"
    );
    describe_gauge!("canbao_normaliser_held_topics", "Topics that wait for an operator");
    describe_gauge!(
        "canbao_normaliser_last_append_seconds",
        Unit::Seconds,
        "Append time of the newest message committed"
    );
    describe_histogram!(
        "canbao_normaliser_age_seconds",
        Unit::Seconds,
        "From append in the source topic to delivery in person.records"
    );
}

impl Events {
    pub(super) fn new(source: Source) -> Self {
        let source = source.to_string();
        Self {
            read: counter!("canbao_normaliser_read_total", "source" => source.clone()),
            applied: counter!("canbao_normaliser_applied_total", "source" => source.clone()),
            inputs: counter!("canbao_normaliser_inputs_total", "source" => source.clone()),
            control: counter!("canbao_normaliser_control_total", "source" => source.clone()),
            age: histogram!("canbao_normaliser_age_seconds", "source" => source.clone()),
            last: gauge!("canbao_normaliser_last_append_seconds", "source" => source.clone()),
            source,
        }
    }

    /// A message was dealt with.
    pub(super) fn took(&self, outcome: Outcome) {
        match outcome {
            Outcome::Applied(inputs) => {
                self.applied.increment(1);
                self.inputs.increment(inputs as u64);
            }
            Outcome::Control => self.control.increment(1),
            // Counted with its class by `dead_letter`.
            Outcome::DeadLettered => (),
            Outcome::Held => return,
        }
        self.read.increment(1);
    }

    /// A message went to the dead letters.
    pub(super) fn dead_letter(&self, message: &BorrowedMessage<'_>, error: &NormaliseError) {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        tracing::warn!(topic, partition, offset, %error, "dead letter");
        counter!("canbao_normaliser_dead_letters_total", "source" => self.source.clone(), "class" => error.class.as_str())
            .increment(1);
    }

    /// A batch is delivered and committed; its newest message was appended at `appended` (milliseconds since 1970).
    pub(super) fn committed(&self, appended: i64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let appended = appended as f64 / 1000.0;
        self.age.record((now - appended).max(0.0));
        self.last.set(appended);
    }
}
