//! Real servers: a database of its own, the topics, the services as processes, and what is needed to speak with them.
//!
//! One after another, several runs may use the same servers: [`Servers::reset`] takes everything away that the last one left.

mod broker;
mod database;
mod deliveries;
mod processes;
mod stating;
mod topics;

use crate::encode::{Message, partition_of};
use crate::ground::{dialect_folders, sources};
use crate::on_demand::SERVERS;
use anyhow::{Context, bail, ensure};
use broker::Broker;
use deliveries::Deliveries;
use domain::date::Timestamp;
use domain::policy::Edition;
use domain::source::Source;
pub use processes::{Processes, Replica, SERVICES};
use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::message::{Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use runtime::kafka::topics::PERSON_RECORDS;
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use topics::completeness_row;
pub(crate) use topics::topic_of;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Policy `release.tolerance_millis`: what a source's clock may be ahead.
const TOLERANCE: i64 = 250;
/// Partitions of a source topic, unless a run wants others.
pub const PARTITIONS: u16 = 3;
/// The database of a run; the conformance part looks for it after the stories.
const DATABASE: &str = "canbao_stories";
/// The name of the tests' own sessions in the database.
pub const TESTER: &str = "canbao-tests";
/// Names the state folder of servers that are nobody's but the tests' (`integration-tests/run` sets it): what lies on them may be
/// removed, and they may be killed.
const PRIVATE: &str = "TEST_SERVERS";

/// Running servers and services.
pub struct Servers {
    kafka: String,
    /// The address that was named; the database of a run lies beside it.
    given: String,
    private: Option<PathBuf>,
    partitions: u16,
    /// Partitions of topics that have grown since.
    grown: BTreeMap<String, u16>,
    producer: BaseProducer<Deliveries>,
    /// The services.
    pub services: Processes,
    /// The database of this run.
    pub pool: PgPool,
}

impl Servers {
    /// Makes the database.
    ///
    /// # Errors
    /// When no servers are named, one does not answer, or a binary was not built.
    pub async fn start(logs: &Path, key: &str) -> anyhow::Result<Self> {
        let [kafka, given] = SERVERS.map(named);
        let (kafka, given) = (kafka?, given?);
        let dialects = dialect_folders().map(|folder| folder.display().to_string());
        let environment = BTreeMap::from([
            ("CANBAO_KAFKA", kafka.clone()),
            ("CANBAO_ID_KEY", key.to_owned()),
            ("CANBAO_DIALECTS", dialects.join(":")),
            ("CANBAO_HTTP", "127.0.0.1:0".to_owned()),
            ("CANBAO_CLOCK__BUSINESS_DATE", "manual".to_owned()),
            ("CANBAO_CLOCK__FIRST_SNAPSHOT", "assume".to_owned()),
            // Whoever sends a completeness row here waits until all before it is appended.
            ("CANBAO_CLOCK__ROWS_HOLD", "at-once".to_owned()),
            ("CANBAO_CLOCK__INTERVAL_MILLIS", "100".to_owned()),
            // Few rows a topic: one that cannot be read is a large share of them.
            ("CANBAO_NORMALISER__DEAD_LETTER_SHARE", "1".to_owned()),
            // Every story makes topics of its own.
            ("CANBAO_NORMALISER__TOPIC_REFRESH_MILLIS", "1000".to_owned()),
        ]);
        let mut services = Processes::new(logs, environment)?;
        let (pool, private) = (database::fresh(&given, &mut services, None).await?, private());
        Ok(Self {
            producer: producer(&kafka)?,
            kafka,
            given,
            private,
            partitions: PARTITIONS,
            grown: BTreeMap::new(),
            services,
            pool,
        })
    }

    /// The state folder of private servers; `None` when they may be somebody else's, and must not be killed.
    pub fn private(&self) -> Option<&Path> {
        self.private.as_deref()
    }

    /// Stops the services and takes away what they made: an empty database, no topics, no groups. Scales and settings stay.
    /// Source topics of the next run have `partitions` partitions.
    ///
    /// # Errors
    /// When a service did not end in order, or a server does not answer.
    pub async fn reset(&mut self, partitions: u16) -> anyhow::Result<()> {
        self.reset_under(partitions, None).await
    }

    /// The same; the new base begins under a policy of its own.
    ///
    /// # Errors
    /// Those of [`Servers::reset`].
    pub async fn reset_under(&mut self, partitions: u16, policy: Option<&Edition>) -> anyhow::Result<()> {
        self.services.stop()?;
        self.pool.close().await;
        Broker::new(&self.kafka)?.clear().await?;
        // A new one knows nothing of the topics that are gone.
        self.producer = producer(&self.kafka)?;
        self.pool = database::fresh(&self.given, &mut self.services, policy).await?;
        self.partitions = partitions;
        self.grown.clear();
        Ok(())
    }

    /// Adds partitions to tables' topics; keys go by the new number from now on.
    ///
    /// # Errors
    /// When the broker does not.
    pub(crate) async fn grow(&mut self, source: Source, tables: &BTreeSet<String>, by: u16) -> anyhow::Result<()> {
        // A producer that goes drops what it has not delivered.
        self.flush()?;
        for table in tables {
            let topic = topic_of(source, table);
            let partitions = self.partitions_of(&topic) + by;
            Broker::new(&self.kafka)?.raise(&topic, partitions).await?;
            self.grown.insert(topic, partitions);
        }
        // The old one learns of it some time.
        self.producer = producer(&self.kafka)?;
        Ok(())
    }

    /// How many partitions a topic has by now.
    pub(crate) fn partitions_of(&self, topic: &str) -> u16 {
        self.grown.get(topic).copied().unwrap_or(self.partitions)
    }

    /// Backs the database up, as operators do, while the services work.
    ///
    /// # Errors
    /// When `pg_dump` says so.
    pub fn back_up(&self, file: &Path) -> anyhow::Result<()> {
        database::back_up(&database::beside(&self.given, DATABASE)?, file)
    }

    /// Loses the database and puts a backup back. No service runs.
    ///
    /// # Errors
    /// When the server does not answer, or `pg_restore` says so.
    pub async fn put_back(&mut self, file: &Path) -> anyhow::Result<()> {
        self.pool.close().await;
        let database = database::make(&self.given, DATABASE).await?;
        database::put_back(&database, file)?;
        self.pool = database::tester(&database).await?;
        Ok(())
    }

    /// Makes the source topics and starts the services.
    ///
    /// # Errors
    /// When the broker, not a private one, holds topics of another run.
    pub async fn begin(&mut self, tables: &BTreeSet<(Source, String)>) -> anyhow::Result<()> {
        let broker = Broker::new(&self.kafka)?;
        if self.private.is_some() {
            broker.clear().await?;
        } else if let Some((topic, _)) = broker.topics()?.first() {
            bail!("the broker already holds topic {topic}: the tests need a broker without Canbao's topics");
        }
        let heartbeat = |source| completeness_row(source, Timestamp(0)).map(|(table, _)| (topic_of(source, table), 1));
        let mut topics = sources().into_iter().map(heartbeat).collect::<anyhow::Result<Vec<_>>>()?;
        topics.extend(
            tables
                .iter()
                .map(|(source, table)| (topic_of(*source, table), self.partitions)),
        );
        broker.make(&topics).await?;
        self.begin_services().await
    }

    /// Starts the services beside whatever topics there are.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn begin_services(&mut self) -> anyhow::Result<()> {
        let broker = Broker::new(&self.kafka)?;
        let (normalisers, others) = SERVICES.split_at(3);
        self.services.begin(normalisers)?;
        // Where services start is the launcher's choice: here the topic they make stands before the rest subscribes to it.
        let deadline = Instant::now() + PATIENCE;
        let shards = (PERSON_RECORDS.to_owned(), usize::from(domain::shard::SHARDS));
        while !broker.topics()?.contains(&shards) {
            ensure!(Instant::now() < deadline, "the normalisers did not make person.records");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.services.begin(others)
    }

    /// Publishes a message of a source. Its partition follows from its key and the number of partitions of this run; a truncation is said
    /// in all of them.
    ///
    /// # Errors
    /// When the queue is full.
    pub fn publish(&self, message: &Message) -> anyhow::Result<()> {
        let topic = topic_of(message.source, &message.table);
        let partitions = self.partitions_of(&topic);
        let own = partition_of(&message.key, partitions);
        for partition in (0..partitions).filter(|partition| *partition == own || message.truncates()) {
            let mut record = BaseRecord::to(&topic).key(&message.key).partition(i32::from(partition));
            if let Some(value) = &message.value {
                record = record.payload(value);
            }
            self.producer.send(record).map_err(|(error, _)| error)?;
        }
        Ok(())
    }

    /// Waits until the broker has everything that was published.
    ///
    /// # Errors
    /// When it does not take it.
    pub fn flush(&self) -> anyhow::Result<()> {
        self.producer.flush(PATIENCE)?;
        self.producer.context().check()
    }

    /// End offsets of a source topic.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn ends(&self, source: Source, table: &str) -> anyhow::Result<Vec<u64>> {
        self.flush()?;
        let topic = topic_of(source, table);
        let end = |partition: u16| {
            let client = self.producer.client();
            Ok(client
                .fetch_watermarks(&topic, i32::from(partition), Duration::from_secs(10))?
                .1 as u64)
        };
        (0..self.partitions_of(&topic)).map(end).collect()
    }

    /// Writes a message of any topic, as whoever may write there could.
    ///
    /// # Errors
    /// When the queue is full.
    pub fn write(
        &self,
        topic: &str,
        partition: i32,
        key: &[u8],
        value: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
    ) -> anyhow::Result<()> {
        let mut record = BaseRecord::to(topic).key(key).partition(partition);
        record.payload = value;
        record.headers = headers;
        self.producer.send(record).map_err(|(error, _)| error.into())
    }

    /// The same with a row, as a message of a time: milliseconds since 1970.
    ///
    /// # Errors
    /// When the queue is full.
    pub fn write_at(&self, topic: &str, key: &[u8], value: &[u8], at: i64) -> anyhow::Result<()> {
        let record = BaseRecord::to(topic).key(key).partition(0).payload(value).timestamp(at);
        self.producer.send(record).map_err(|(error, _)| error.into())
    }

    /// Makes a topic anew with so many partitions and these messages of it.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn make_anew(&mut self, topic: &str, partitions: u16, messages: &[OwnedMessage]) -> anyhow::Result<()> {
        self.flush()?;
        Broker::new(&self.kafka)?.make_anew(topic, partitions).await?;
        // The old one knows the topic that is gone.
        self.producer = producer(&self.kafka)?;
        for message in messages.iter().filter(|message| message.topic() == topic) {
            let key = message.key().unwrap_or_default();
            self.write(topic, message.partition(), key, message.payload(), message.headers().cloned())?;
        }
        self.flush()
    }

    /// Everything committed that some topics hold.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn read_all(&self, chosen: impl Fn(&str) -> bool) -> anyhow::Result<Vec<OwnedMessage>> {
        Broker::new(&self.kafka)?.read_all(chosen)
    }
}

/// The address that a variable of the environment holds.
fn named(variable: &str) -> anyhow::Result<String> {
    std::env::var(variable).with_context(|| format!("{variable} names no server: integration-tests/run starts them and sets it"))
}

/// An empty database without tables, beside the one that `CANBAO_DATABASE_URL` names.
///
/// # Errors
/// When that is not set, or does not answer.
pub async fn empty_database(name: &str) -> anyhow::Result<PgPool> {
    let url = database::make(&named("CANBAO_DATABASE_URL")?, name).await?;
    PgPool::connect(&url).await.context("the new database does not answer")
}

fn private() -> Option<PathBuf> {
    std::env::var_os(PRIVATE).map(PathBuf::from)
}

fn producer(kafka: &str) -> anyhow::Result<BaseProducer<Deliveries>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka)
        .set("enable.idempotence", "true")
        // More under way can lose a refused first message to a new partition.
        .set("max.in.flight.requests.per.connection", "1")
        .set("linger.ms", "1");
    Ok(BaseProducer::from_config_and_context(&config, Deliveries::default())?)
}
