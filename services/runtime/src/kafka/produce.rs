//! Producing with a tally: a batch is known to be delivered, or it failed, without the 100 ms steps of `flush`.
//!
//! One producer serves many senders (regions, writers). Each sender counts its own messages in a [`Flight`], so that it waits for
//! its own batch only; the delivery reports arrive on the producer's own thread.

mod aside;
mod lanes;

use super::IN_FLIGHT;
use aside::Aside;
use lanes::Lanes;
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
    /// Partition.
    pub partition: i32,
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
    aside: Mutex<Aside>,
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

    fn aside(&self) -> MutexGuard<'_, Aside> {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) -> Result<(), DeliveryError> {
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

/// What a message's delivery is reported to.
struct Sent {
    flight: Arc<Flight>,
    /// It is the first one to its partition.
    is_first: bool,
}

/// Hands delivery reports to the flights, and lets the second message go where the first has arrived.
struct Reports {
    lanes: Arc<Lanes>,
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let message = result.as_ref().unwrap_or_else(|(_, message)| message);
        if sent.is_first {
            self.lanes.opened(message.topic(), message.partition(), result.is_ok());
        }
        let failed = result.as_ref().err().map(|(error, message)| failure(message.topic(), error));
        sent.flight.land(failed);
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
    lanes: Arc<Lanes>,
}

impl Producer {
    /// Makes a producer, usually of [`super::idempotent_producer`].
    ///
    /// # Errors
    /// When a property is unknown to librdkafka or has a value it refuses.
    pub fn new(config: &ClientConfig) -> Result<Self, KafkaError> {
        let lanes = Arc::<Lanes>::default();
        let mut config = config.clone();
        if config.get(IN_FLIGHT) == Some("1") {
            // Here the first message to a partition goes alone, after which more may be under way.
            config.set(IN_FLIGHT, "5");
        }
        let reports = Reports { lanes: lanes.clone() };
        let inner = Arc::new(BaseProducer::from_config_and_context(&config, reports)?);
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
        Ok(Self { inner, lanes })
    }

    /// Puts a message on its way, or aside while the first one to its partition is under way; waits while the producer's queue is full.
    ///
    /// # Errors
    /// When the producer refuses a message; it is not on its way then.
    pub fn send(&self, flight: &Arc<Flight>, message: Outgoing<'_>) -> Result<(), DeliveryError> {
        let mut aside = flight.aside();
        let entered = if aside.holds(message.topic, message.partition) {
            None
        } else {
            self.lanes.try_enter(message.topic, message.partition)
        };
        if let Some(is_first) = entered {
            drop(aside);
            return self.put(flight, message, is_first);
        }
        if aside.keep(message) {
            return Ok(());
        }
        drop(aside);
        self.send_aside(flight)
    }

    /// Sends what was put aside, and waits until every message sent so far is delivered or failed, for as long as the brokers do not take
    /// them: a message is not given up, unless the operator's properties say when (`delivery.timeout.ms`). Says in the log that it waits.
    ///
    /// # Errors
    /// The first failure, also of a message sent before an earlier wait.
    pub fn wait(&self, flight: &Arc<Flight>) -> Result<(), DeliveryError> {
        self.send_aside(flight)?;
        flight.wait()
    }

    fn send_aside(&self, flight: &Arc<Flight>) -> Result<(), DeliveryError> {
        let mut aside = std::mem::take(&mut *flight.aside());
        aside.each(|message| {
            let is_first = self.lanes.enter(message.topic, message.partition);
            self.put(flight, message, is_first)
        })
    }

    fn put(&self, flight: &Arc<Flight>, message: Outgoing<'_>, is_first: bool) -> Result<(), DeliveryError> {
        let sent = Box::new(Sent {
            flight: flight.clone(),
            is_first,
        });
        let mut record = BaseRecord::with_opaque_to(message.topic, sent)
            .key(message.key)
            .payload(message.value)
            .partition(message.partition);
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
                    if is_first {
                        self.lanes.opened(message.topic, message.partition, false);
                    }
                    flight.land(None);
                    return Err(failure(message.topic, &error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
    use rdkafka::{Offset, TopicPartitionList};

    const TOPIC: &str = "person.records";
    const MESSAGES: usize = 20;

    /// As while a partition gets its leader.
    #[test]
    fn a_refused_first_message_is_sent_again_before_any_other() {
        let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(1).expect("mock brokers");
        cluster.create_topic(TOPIC, 1, 1).expect("a topic");
        let settings = Settings {
            kafka: cluster.bootstrap_servers(),
            ..Settings::default()
        };
        let mut properties = super::super::idempotent_producer(&settings, "test");
        // One message a request.
        properties.set("batch.num.messages", "1").set("linger.ms", "0");
        let producer = Producer::new(&properties).expect("a producer");
        cluster.request_errors(
            RDKafkaApiKey::Produce,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION],
        );
        let flight = Arc::default();
        for at in 0..MESSAGES {
            let value = at.to_string();
            let message = Outgoing {
                topic: TOPIC,
                partition: 0,
                key: b"key",
                value: value.as_bytes(),
                timestamp: None,
            };
            producer.send(&flight, message).expect("queued");
        }
        producer.wait(&flight).expect("delivered");
        let mut reading = ClientConfig::new();
        reading.set("bootstrap.servers", &settings.kafka).set("group.id", "test");
        let consumer: BaseConsumer = reading.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(TOPIC, 0, Offset::Beginning).expect("a partition");
        consumer.assign(&list).expect("assigned");
        let mut found = Vec::new();
        while let Some(message) = consumer.poll(Duration::from_secs(if found.len() < MESSAGES { 5 } else { 1 })) {
            let message = message.expect("a message");
            found.push(String::from_utf8(message.payload().expect("a value").to_vec()).expect("UTF-8"));
        }
        let expected: Vec<String> = (0..MESSAGES).map(|at| at.to_string()).collect();
        assert_eq!(found, expected);
    }
}
