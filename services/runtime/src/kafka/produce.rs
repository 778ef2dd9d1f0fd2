//! Producing with a tally: a batch is known to be delivered, or it failed, without the 100 ms steps of `flush`.
//!
//! One producer serves many senders (regions, writers). Each sender counts its own messages in a [`Flight`], so that it waits for
//! its own batch only; the delivery reports arrive on the producer's own thread.

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, ProducerContext};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a sender that waits for deliveries says so.
const SAY_WAITING: Duration = Duration::from_secs(30);

/// Wait between two attempts to enter a full producer queue.
const QUEUE_WAIT: Duration = Duration::from_millis(2);

/// How long the thread of the delivery reports waits at a stretch, and may outlive its producer. The client waits whole milliseconds and
/// spins through what is left of the last one: the library's `ThreadedProducer` does so ten times a second, a hundredth of a core each.
const REPORT_WAIT: Duration = Duration::from_secs(5);

/// A message that is sent: everything a record needs, borrowed until the producer has copied it.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition; the partitioner chooses by key when absent.
    pub partition: Option<i32>,
    /// Key; never a raw identity number.
    pub key: &'a [u8],
    /// Value.
    pub value: &'a [u8],
    /// Milliseconds since 1970; the client's clock when absent.
    pub timestamp: Option<i64>,
}

/// Why a batch is not delivered. After it nothing may be committed: the process ends and the restart repeats the batch.
#[derive(Debug, Clone, thiserror::Error)]
#[error("delivering to {topic}: {code}")]
pub struct DeliveryError {
    /// The topic.
    pub topic: String,
    /// The broker's or the client's reason.
    pub code: RDKafkaErrorCode,
}

#[derive(Debug, Default)]
struct Tally {
    in_flight: usize,
    failed: Option<DeliveryError>,
}

/// The messages of one sender that are on their way.
#[derive(Debug, Default)]
pub struct Flight {
    tally: Mutex<Tally>,
    landed: Condvar,
}

impl Flight {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_off(&self) {
        self.tally().in_flight += 1;
    }

    fn land(&self, failed: Option<DeliveryError>) {
        let mut tally = self.tally();
        tally.in_flight -= 1;
        // The first failure is the cause, later ones follow from it.
        tally.failed = tally.failed.take().or(failed);
        if tally.in_flight == 0 {
            self.landed.notify_all();
        }
    }

    /// Waits until every message sent so far is delivered or failed, for as long as the brokers do not take them: a message is not given
    /// up, unless the operator's properties say when (`delivery.timeout.ms`). Says in the log that it waits.
    ///
    /// # Errors
    /// The first failure, also of a message sent before an earlier wait.
    pub fn wait(&self) -> Result<(), DeliveryError> {
        let started = Instant::now();
        let mut tally = self.tally();
        while tally.in_flight > 0 {
            let (landed, wait) = self
                .landed
                .wait_timeout_while(tally, SAY_WAITING, |tally| tally.in_flight > 0)
                .unwrap_or_else(PoisonError::into_inner);
            tally = landed;
            if wait.timed_out() {
                let (messages, seconds) = (tally.in_flight, started.elapsed().as_secs());
                tracing::warn!(
                    messages,
                    seconds,
                    "the brokers have not taken messages yet: waiting; are they running?"
                );
            }
        }
        tally.failed.clone().map_or(Ok(()), Err)
    }
}

/// Hands delivery reports to the flights.
struct Reports;

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Flight>;

    fn delivery(&self, result: &DeliveryResult<'_>, flight: Arc<Flight>) {
        let failed = result.as_ref().err().map(|(error, message)| failure(message.topic(), error));
        flight.land(failed);
    }
}

fn failure(topic: &str, error: &KafkaError) -> DeliveryError {
    DeliveryError {
        topic: topic.to_owned(),
        code: error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
    }
}

/// A producer whose deliveries are tallied by sender. Cheap to clone.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<BaseProducer<Reports>>,
}

impl Producer {
    /// Makes a producer, usually of [`super::idempotent_producer`].
    ///
    /// # Errors
    /// When a property is unknown to librdkafka or has a value it refuses.
    pub fn new(config: &ClientConfig) -> Result<Self, KafkaError> {
        let inner = Arc::new(BaseProducer::from_config_and_context(config, Reports)?);
        let reporting = Arc::downgrade(&inner);
        let report = move || {
            while let Some(producer) = reporting.upgrade() {
                producer.poll(REPORT_WAIT);
            }
        };
        std::thread::Builder::new()
            .name("deliveries".into())
            .spawn(report)
            .expect("a thread can be started");
        Ok(Self { inner })
    }

    /// Puts a message on its way; waits while the producer's queue is full.
    ///
    /// # Errors
    /// When the producer refuses the message; it is not on its way then.
    pub fn send(&self, flight: &Arc<Flight>, message: Outgoing<'_>) -> Result<(), DeliveryError> {
        let mut record = BaseRecord::with_opaque_to(message.topic, flight.clone())
            .key(message.key)
            .payload(message.value);
        record.partition = message.partition;
        record.timestamp = message.timestamp;
        flight.take_off();
        loop {
            match self.inner.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    std::thread::sleep(QUEUE_WAIT);
                }
                Err((error, _)) => {
                    flight.land(None);
                    return Err(failure(message.topic, &error));
                }
            }
        }
    }
}
