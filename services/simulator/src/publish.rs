//! Kafka: the topics and an idempotent producer, as Kafka Connect would use them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientContext, Message as _};

use crate::envelope::{Message, Sink};

/// How long the broker may take to create topics or to take what is in flight.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long it may take to answer at all.
const GREETING: Duration = Duration::from_secs(10);
/// Topics created by one request: a single node needs a moment for each partition.
const TOPICS_PER_REQUEST: usize = 50;
/// Messages between two looks at what the broker has taken.
const POLL_EVERY: u64 = 512;

/// Creates the topics that do not exist yet.
///
/// They carry the broker's append time: the clock measures completeness by it.
///
/// # Errors
/// When the broker cannot be reached or refuses.
pub(crate) async fn create_topics(kafka: &str, topics: &[(String, i32)]) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .create()
        .context("the admin client could not be made; see --kafka or CANBAO_KAFKA")?;
    // Asked first, because a broker that is not there is the commonest mistake and creating would wait much longer.
    let (admin, found) = tokio::task::spawn_blocking(move || {
        let found = admin.inner().fetch_metadata(None, GREETING).map(|_| ());
        (admin, found)
    })
    .await?;
    found.with_context(|| format!("no broker answers at {kafka}; see --kafka or CANBAO_KAFKA"))?;
    let options = AdminOptions::new()
        .request_timeout(Some(PATIENCE))
        .operation_timeout(Some(PATIENCE));
    for some in topics.chunks(TOPICS_PER_REQUEST) {
        let new: Vec<NewTopic<'_>> = some
            .iter()
            .map(|(name, partitions)| {
                // −1: the broker's default, one on a single node and three on a cluster.
                NewTopic::new(name, *partitions, TopicReplication::Fixed(-1)).set("message.timestamp.type", "LogAppendTime")
            })
            .collect();
        let results = admin
            .create_topics(&new, &options)
            .await
            .with_context(|| format!("the broker at {kafka} did not create the source topics"))?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => bail!("topic {topic} could not be created: {code}"),
            }
        }
    }
    let topics = topics.to_vec();
    tokio::task::spawn_blocking(move || await_leaders(&admin, &topics)).await?
}

/// Waits until every partition is served: for a moment after its creation a topic is known, but what is produced to it is refused.
fn await_leaders(admin: &AdminClient<DefaultClientContext>, topics: &[(String, i32)]) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    for (topic, partitions) in topics {
        for partition in 0..*partitions {
            while let Err(error) = admin.inner().fetch_watermarks(topic, partition, GREETING) {
                if Instant::now() > deadline {
                    return Err(error).with_context(|| format!("partition {partition} of {topic} is not served"));
                }
                std::thread::sleep(Duration::from_millis(50));
                // The client keeps what it heard while the topic was being made, no partitions at all, unless it is told to ask again.
                admin.inner().fetch_metadata(Some(topic), GREETING).ok();
            }
        }
    }
    Ok(())
}

/// Counts what the broker has taken and what it has not.
#[derive(Default)]
struct Deliveries {
    taken: AtomicU64,
    refused: AtomicU64,
}

struct Counting(Arc<Deliveries>);

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => self.0.taken.fetch_add(1, Ordering::Relaxed),
            Err((error, message)) => {
                tracing::error!(topic = message.topic(), %error, "a message was not taken");
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
    pub(crate) fn new(kafka: &str) -> anyhow::Result<Self> {
        let deliveries = Arc::new(Deliveries::default());
        let producer = ClientConfig::new()
            .set("bootstrap.servers", kafka)
            .set("enable.idempotence", "true")
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
    /// When it has refused something.
    pub(crate) fn poll(&self) -> anyhow::Result<()> {
        self.producer.poll(Duration::ZERO);
        match self.deliveries.refused.load(Ordering::Relaxed) {
            0 => Ok(()),
            refused => {
                bail!("the broker did not take {refused} messages; the log says which topics")
            }
        }
    }

    /// Waits until the broker has taken everything; returns how many messages that were.
    ///
    /// # Errors
    /// When it has not within two minutes, or has refused something.
    pub(crate) fn flush(&self) -> anyhow::Result<u64> {
        self.producer
            .flush(PATIENCE)
            .context("the broker did not take the last messages")?;
        self.poll()?;
        Ok(self.deliveries.taken.load(Ordering::Relaxed))
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
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    self.producer.poll(Duration::from_millis(50));
                    record = again;
                    self.poll()?;
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

    #[test]
    fn everything_is_taken_tombstones_and_headers_too() {
        let cluster = MockCluster::new(1).expect("a mock broker");
        cluster
            .create_topic("human-resources.3201.public.ac02", 4, 1)
            .expect("a topic");
        let mut kafka = Kafka::new(&cluster.bootstrap_servers()).expect("a producer");
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
}
