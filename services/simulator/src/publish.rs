//! Kafka: the topics and an idempotent producer, as Kafka Connect would use them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientContext, Message as _};

use runtime::kafka::trouble::{Trouble, is_transient};
use runtime::patience::Attempts;

use crate::envelope::{Message, Sink};
use crate::run::Broker;

/// How long a request may take. A broker on a machine that is too slow for it is asked again, for as long as it takes: a first load that
/// ended half way would have to begin again from its first row.
const REQUEST: Duration = Duration::from_secs(120);
/// How long the broker may take to answer at all: one that is not there is the commonest mistake.
const GREETING: Duration = Duration::from_secs(10);
/// So many greetings are not answered before the address counts as wrong.
const GREETINGS: u32 = 6;
/// How often somebody who waits for the broker says so.
const SAY_WAITING: Duration = Duration::from_secs(30);
/// Topics created by one request: a single node needs a moment for each partition.
const TOPICS_PER_REQUEST: usize = 50;
/// Messages between two looks at what the broker has taken.
const POLL_EVERY: u64 = 512;

/// Creates the topics that do not exist yet.
///
/// They carry the broker's append time: the clock measures completeness by it.
///
/// # Errors
/// When no broker is there, or it refuses for good.
pub(crate) async fn create_topics(broker: &Broker, topics: &[(String, i32)]) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = broker
        .client()
        .create()
        .context("the admin client could not be made; see --kafka or CANBAO_KAFKA")?;
    // Asked first, because creating would wait much longer.
    let kafka = broker.kafka.clone();
    let admin = tokio::task::spawn_blocking(move || greet(&admin, &kafka).map(|()| admin)).await??;
    let options = AdminOptions::new()
        .request_timeout(Some(REQUEST))
        .operation_timeout(Some(REQUEST));
    for some in topics.chunks(TOPICS_PER_REQUEST) {
        let mut waiting = Waiting::new();
        while let Some(cause) = create_some(&admin, &options, some).await? {
            waiting.say("the broker does not create the source topics yet", &cause);
            tokio::time::sleep(waiting.pause()).await;
        }
    }
    let topics = topics.to_vec();
    tokio::task::spawn_blocking(move || await_leaders(&admin, &topics)).await?
}

fn greet(admin: &AdminClient<DefaultClientContext>, kafka: &str) -> anyhow::Result<()> {
    let mut left = GREETINGS;
    loop {
        left -= 1;
        match admin.inner().fetch_metadata(None, GREETING) {
            Ok(_) => return Ok(()),
            Err(error) if left > 0 && is_transient(&error) => {
                tracing::warn!(%error, "no broker answers at {kafka} yet: asking again");
            }
            Err(error) => {
                return Err(error).with_context(|| format!("no broker answers at {kafka}; see --kafka or CANBAO_KAFKA"));
            }
        }
    }
}

/// Creates some topics; what stands in the way for now, if anything does.
async fn create_some(
    admin: &AdminClient<DefaultClientContext>,
    options: &AdminOptions,
    some: &[(String, i32)],
) -> anyhow::Result<Option<String>> {
    let new: Vec<NewTopic<'_>> = some
        .iter()
        .map(|(name, partitions)| {
            // −1: the broker's default, one on a single node and three on a cluster.
            NewTopic::new(name, *partitions, TopicReplication::Fixed(-1)).set("message.timestamp.type", "LogAppendTime")
        })
        .collect();
    let results = match admin.create_topics(&new, options).await {
        Ok(results) => results,
        Err(error) if is_transient(&error) => return Ok(Some(error.to_string())),
        Err(error) => return Err(error).context("the broker did not create the source topics"),
    };
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) if Trouble::of_code(code) == Trouble::Transient => return Ok(Some(format!("{topic}: {code}"))),
            Err((topic, code)) => bail!("topic {topic} could not be created: {code}"),
        }
    }
    Ok(None)
}

/// Waits until every partition is served: for a moment after its creation a topic is known, but what is produced to it is refused.
fn await_leaders(admin: &AdminClient<DefaultClientContext>, topics: &[(String, i32)]) -> anyhow::Result<()> {
    for (topic, partitions) in topics {
        for partition in 0..*partitions {
            let mut waiting = Waiting::new();
            while let Err(error) = admin.inner().fetch_watermarks(topic, partition, GREETING) {
                if Trouble::of(&error) == Trouble::Fatal && error.rdkafka_error_code() != Some(RDKafkaErrorCode::UnknownPartition)
                {
                    return Err(error).with_context(|| format!("partition {partition} of {topic} is not served"));
                }
                if waiting.lasted() > SAY_WAITING {
                    waiting.say(
                        &format!("partition {partition} of {topic} is not served yet"),
                        &error.to_string(),
                    );
                }
                std::thread::sleep(Duration::from_millis(50));
                // The client keeps what it heard while the topic was being made, no partitions at all, unless it is told to ask again.
                admin.inner().fetch_metadata(Some(topic), GREETING).ok();
            }
        }
    }
    Ok(())
}

/// Somebody who waits for the broker.
struct Waiting(Attempts);

impl Waiting {
    fn new() -> Self {
        Self(Attempts::new(Instant::now()))
    }

    fn lasted(&self) -> Duration {
        self.0.lasted(Instant::now())
    }

    fn pause(&mut self) -> Duration {
        self.0.pause()
    }

    /// Not more often than people read.
    fn say(&mut self, what: &str, cause: &str) {
        if self.0.is_news(cause, Instant::now()) {
            tracing::warn!(cause, seconds = self.lasted().as_secs(), "{what}: waiting");
        }
    }
}

/// Counts what the broker has taken and what it has not.
#[derive(Default)]
struct Deliveries {
    taken: AtomicU64,
    refused: AtomicU64,
    /// Why the first was refused, and of which topic: the others follow from it.
    first: Mutex<Option<String>>,
}

struct Counting(Arc<Deliveries>);

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => self.0.taken.fetch_add(1, Ordering::Relaxed),
            Err((error, message)) => {
                let mut first = self.0.first.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| format!("{}: {error}", message.topic()));
                self.0.refused.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

/// A sink that produces to Kafka.
pub(crate) struct Kafka {
    producer: BaseProducer<Counting>,
    deliveries: Arc<Deliveries>,
    sent: u64,
}

impl Kafka {
    /// A producer for a broker.
    ///
    /// # Errors
    /// When a setting is refused.
    pub(crate) fn new(broker: &Broker) -> anyhow::Result<Self> {
        let deliveries = Arc::new(Deliveries::default());
        let producer = broker
            .client()
            .set("enable.idempotence", "true")
            // More under way can lose a refused first message to a new partition.
            .set("max.in.flight.requests.per.connection", "1")
            // The partitioner of Kafka's Java producer, which Connect uses: a key stays in the partition it would have there.
            .set("partitioner", "murmur2_random")
            .set("compression.type", "lz4")
            .set("linger.ms", "20")
            .set("batch.size", "262144")
            .set("queue.buffering.max.messages", "200000")
            .set("queue.buffering.max.kbytes", "262144")
            .create_with_context(Counting(deliveries.clone()))
            .context("the producer could not be made; see --kafka or CANBAO_KAFKA")?;
        Ok(Self {
            producer,
            deliveries,
            sent: 0,
        })
    }

    /// Looks at what the broker has taken, without waiting.
    ///
    /// # Errors
    /// When it has refused something: what follows of the same key would stand where it does not belong.
    pub(crate) fn poll(&self) -> anyhow::Result<()> {
        self.producer.poll(Duration::ZERO);
        self.check()
    }

    fn check(&self) -> anyhow::Result<()> {
        let refused = self.deliveries.refused.load(Ordering::Relaxed);
        let first = self.deliveries.first.lock().unwrap_or_else(PoisonError::into_inner);
        match &*first {
            None => Ok(()),
            Some(cause) => bail!(
                "the broker did not take {refused} messages, the first of {cause}; mend it, then start the simulation again: it begins \
                 with a new snapshot"
            ),
        }
    }

    /// Waits until the broker has taken everything, however long it takes; returns how many messages that were.
    ///
    /// # Errors
    /// When it has refused something.
    pub(crate) fn flush(&self) -> anyhow::Result<u64> {
        let mut waiting = Patience::default();
        while self.producer.in_flight_count() > 0 {
            self.producer.flush(FLUSH).ok();
            self.check()?;
            waiting.look(&self.deliveries, self.producer.in_flight_count());
        }
        self.poll()?;
        Ok(self.deliveries.taken.load(Ordering::Relaxed))
    }
}

/// How long a flush is waited for at a stretch.
const FLUSH: Duration = Duration::from_secs(1);

/// Waiting for room in the queue, or for its end: says so while the broker takes nothing.
#[derive(Default)]
struct Patience(Option<(Instant, u64)>);

impl Patience {
    fn look(&mut self, deliveries: &Deliveries, in_flight: i32) {
        let taken = deliveries.taken.load(Ordering::Relaxed);
        match self.0 {
            Some((since, before)) if before == taken => {
                if since.elapsed() > SAY_WAITING {
                    tracing::warn!(
                        in_flight,
                        taken,
                        "the broker has taken nothing for {} s: waiting",
                        since.elapsed().as_secs()
                    );
                    self.0 = Some((Instant::now(), taken));
                }
            }
            _ => self.0 = Some((Instant::now(), taken)),
        }
    }
}

impl Sink for Kafka {
    fn send(&mut self, message: &Message<'_>) -> anyhow::Result<()> {
        let mut record = BaseRecord::<[u8], [u8]>::to(message.topic).key(message.key);
        if let Some(value) = message.value {
            record = record.payload(value);
        }
        if let Some((key, value)) = message.header {
            record = record.headers(OwnedHeaders::new().insert(Header { key, value: Some(value) }));
        }
        let mut waiting = Patience::default();
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    self.producer.poll(Duration::from_millis(50));
                    record = again;
                    self.check()?;
                    waiting.look(&self.deliveries, self.producer.in_flight_count());
                }
                Err((error, _)) => {
                    return Err(error).with_context(|| format!("could not produce to {}", message.topic));
                }
            }
        }
        self.sent += 1;
        if self.sent.is_multiple_of(POLL_EVERY) {
            self.poll()
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    fn broker(cluster: &MockCluster<'static, DefaultProducerContext>, properties: &[&str]) -> Broker {
        Broker {
            kafka: cluster.bootstrap_servers(),
            kafka_properties: properties
                .iter()
                .map(|property| property.parse().expect("a property"))
                .collect(),
        }
    }

    #[test]
    fn everything_is_taken_tombstones_and_headers_too() {
        let cluster = MockCluster::new(1).expect("a mock broker");
        cluster
            .create_topic("human-resources.3201.public.ac02", 4, 1)
            .expect("a topic");
        let mut kafka = Kafka::new(&broker(&cluster, &[])).expect("a producer");
        for value in [Some(b"{}".as_slice()), None] {
            let header = Some(("__debezium.newkey", b"{}".as_slice()));
            let topic = "human-resources.3201.public.ac02";
            kafka
                .send(&Message {
                    topic,
                    key: b"{}",
                    value,
                    header,
                })
                .expect("sent");
        }
        assert_eq!(kafka.flush().expect("taken"), 2);
    }

    #[test]
    fn the_first_refusal_is_the_cause_and_ends_it() {
        let cluster = MockCluster::new(1).expect("a mock broker");
        let topic = "human-resources.3201.public.ac02";
        cluster.create_topic(topic, 1, 1).expect("a topic");
        cluster.request_errors(
            RDKafkaApiKey::Produce,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 9],
        );
        let mut kafka = Kafka::new(&broker(&cluster, &["linger.ms=1"])).expect("a producer");
        for _ in 0..100 {
            let sent = kafka.send(&Message {
                topic,
                key: b"{}",
                value: Some(b"{}"),
                header: None,
            });
            sent.expect("queued");
        }
        let refused = format!("{:#}", kafka.flush().expect_err("refused"));
        assert!(
            refused.contains(topic) && refused.contains("start the simulation again"),
            "{refused}"
        );
    }
}
