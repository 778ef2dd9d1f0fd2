//! Real servers: a database of its own, the topics, the services as processes, and what is needed to speak with them.

use crate::drive::sources;
use crate::encode::{Message, PARTITIONS, envelope};
use anyhow::{Context, bail, ensure};
use domain::date::Timestamp;
use domain::source::{Agency, Source};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use runtime::statements::{self, Outcome, Statement};
use runtime::store::read;
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// The services, in the order in which they start.
pub const SERVICES: [&str; 6] = [
    "public-security",
    "civil-affairs",
    "human-resources",
    "registry",
    "clock",
    "publisher",
];
/// The database that is made anew.
const DATABASE: &str = "canbao_stories";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// Policy `release.tolerance_seconds`, in milliseconds: what a source's clock may be ahead.
const TOLERANCE: i64 = 2000;

/// Running servers and services.
pub struct Servers {
    kafka: String,
    environment: BTreeMap<&'static str, String>,
    binaries: PathBuf,
    logs: PathBuf,
    processes: BTreeMap<&'static str, Child>,
    producer: BaseProducer,
    /// The database of this run.
    pub pool: PgPool,
}

impl Servers {
    /// Makes database and topics and starts the services; `None`, with a message, when no servers are named.
    ///
    /// # Errors
    /// When a server does not answer, holds another run's topics, or a binary was not built.
    pub async fn start(logs: &Path, key: &str) -> anyhow::Result<Option<Self>> {
        let (Ok(kafka), Ok(database)) = (std::env::var("CANBAO_KAFKA"), std::env::var("CANBAO_DATABASE_URL")) else {
            return Ok(None);
        };
        let binaries = std::env::current_exe()?;
        let binaries = binaries
            .parent()
            .and_then(Path::parent)
            .context("a test lies in target/debug/deps")?
            .to_owned();
        for name in SERVICES.into_iter().chain(["canbao"]) {
            ensure!(
                binaries.join(name).exists(),
                "the binary {name} is missing: cargo build --workspace"
            );
        }
        let database = make_database(&database).await?;
        let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
        let dialects = Agency::ALL.map(|agency| services.join(agency.as_str()).join("dialects").display().to_string());
        let environment = BTreeMap::from([
            ("CANBAO_KAFKA", kafka.clone()),
            ("CANBAO_DATABASE_URL", database.clone()),
            ("CANBAO_ID_KEY", key.to_owned()),
            ("CANBAO_DIALECTS", dialects.join(":")),
            ("CANBAO_HTTP", "127.0.0.1:0".to_owned()),
            ("CANBAO_CLOCK__BUSINESS_DATE", "manual".to_owned()),
            ("CANBAO_CLOCK__FIRST_SNAPSHOT", "assume".to_owned()),
            ("CANBAO_CLOCK__INTERVAL_MILLIS", "100".to_owned()),
            // Few rows a topic: one that cannot be read is a large share of them.
            ("CANBAO_NORMALISER__DEAD_LETTER_SHARE", "1".to_owned()),
        ]);
        std::fs::create_dir_all(logs)?;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &kafka)
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .create()?;
        let pool = PgPool::connect(&database).await.context("the new database does not answer")?;
        let servers = Self {
            kafka,
            environment,
            binaries,
            logs: logs.to_owned(),
            processes: BTreeMap::new(),
            producer,
            pool,
        };
        ensure!(servers.canbao(&["migrate"])?, "canbao migrate failed, see {}", logs.display());
        Ok(Some(servers))
    }

    /// Makes the source topics and starts the services.
    ///
    /// # Errors
    /// When the broker holds topics of another run.
    pub async fn begin(&mut self, tables: &BTreeSet<(Source, String)>) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", &self.kafka).create()?;
        let there = admin.inner().fetch_metadata(None, Duration::from_secs(10))?;
        let ours = |name: &str| name == "person.records" || name.starts_with("alerts.") || name.contains(".public.");
        if let Some(topic) = there.topics().iter().find(|topic| ours(topic.name())) {
            bail!(
                "the broker already holds topic {}: the stories need a broker without Canbao's topics",
                topic.name()
            );
        }
        let table = |source| completeness_row(source, Timestamp(0)).map(|(table, _)| (topic_of(source, table), 1));
        let heartbeats = sources()
            .into_iter()
            .map(table)
            .collect::<anyhow::Result<Vec<_>>>()?
            .into_iter();
        let tables = tables
            .iter()
            .map(|(source, table)| (topic_of(*source, table), i32::from(PARTITIONS)));
        let topics: Vec<(String, i32)> = heartbeats.chain(tables).collect();
        let wanted = topics
            .iter()
            .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1)));
        for made in admin
            .create_topics(wanted.collect::<Vec<_>>().iter(), &AdminOptions::new())
            .await?
        {
            made.map_err(|(topic, error)| anyhow::anyhow!("topic {topic}: {error}"))?;
        }
        let (normalisers, others) = SERVICES.split_at(3);
        normalisers.iter().try_for_each(|name| self.spawn(name))?;
        // Where services start is the launcher's choice: here the topic they make stands before the rest subscribes to it.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let there = admin.inner().fetch_metadata(None, Duration::from_secs(10))?;
            let log = there.topics().iter().find(|topic| topic.name() == "person.records");
            if log.is_some_and(|topic| topic.partitions().len() == usize::from(domain::shard::SHARDS)) {
                break;
            }
            ensure!(Instant::now() < deadline, "the normalisers did not make person.records");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        others.iter().try_for_each(|name| self.spawn(name))
    }

    fn spawn(&mut self, name: &'static str) -> anyhow::Result<()> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.logs.join(format!("{name}.log")))?;
        let mut command = Command::new(self.binaries.join(name));
        command
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.processes.insert(name, command.spawn()?);
        Ok(())
    }

    /// Kills a service as a crash would, and starts it again.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn crash(&mut self, name: &'static str) -> anyhow::Result<()> {
        if let Some(mut child) = self.processes.remove(name) {
            child.kill()?;
            child.wait()?;
        }
        self.spawn(name)
    }

    /// Runs a `canbao` command; whether its exit code was 0.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn canbao(&self, arguments: &[&str]) -> anyhow::Result<bool> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.logs.join("canbao.log"))?;
        let mut command = Command::new(self.binaries.join("canbao"));
        command.args(arguments).envs(&self.environment).env_remove("CANBAO_HTTP");
        Ok(command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()?
            .success())
    }

    /// Fails when a service has ended by itself.
    ///
    /// # Errors
    /// Names it.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        for (name, child) in &mut self.processes {
            if let Some(status) = child.try_wait()? {
                bail!("{name} ended by itself ({status}), see {}", self.logs.display());
            }
        }
        Ok(())
    }

    /// Publishes a message of a source.
    ///
    /// # Errors
    /// When the queue is full.
    pub fn publish(&self, message: &Message) -> anyhow::Result<()> {
        let topic = topic_of(message.source, &message.table);
        let mut record = BaseRecord::to(&topic)
            .key(&message.key)
            .partition(i32::from(message.partition));
        if let Some(value) = &message.value {
            record = record.payload(value);
        }
        self.producer.send(record).map_err(|(error, _)| error.into())
    }

    /// Waits until the broker has everything that was published.
    ///
    /// # Errors
    /// When it does not take it.
    pub fn flush(&self) -> anyhow::Result<()> {
        Ok(self.producer.flush(PATIENCE)?)
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
        (0..PARTITIONS).map(end).collect()
    }

    /// Makes a statement and waits until every shard has applied it; its number.
    ///
    /// # Errors
    /// When it is refused or takes too long.
    pub async fn state(&mut self, statement: &Statement) -> anyhow::Result<u64> {
        let id = statements::insert(&self.pool, statement).await?;
        match statements::wait(&self.pool, id, PATIENCE).await? {
            Some(Outcome::Applied) => Ok(id as u64),
            Some(Outcome::Refused(reason)) => bail!("{statement:?} was refused: {reason}"),
            None => {
                self.check_alive()?;
                bail!("{statement:?} took longer than {PATIENCE:?}")
            }
        }
    }

    /// Lets every source but the silent ones say that it is complete up to now, and waits until every shard has heard it.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn complete(&mut self, silent: &BTreeSet<Source>) -> anyhow::Result<()> {
        self.flush()?;
        // Later than every append time so far, also where the broker's clock and ours differ by some milliseconds.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let time = Timestamp(now()?.0 + TOLERANCE - 50);
        for source in sources().into_iter().filter(|source| !silent.contains(source)) {
            let (table, row) = completeness_row(source, time)?;
            let value = envelope("c", None, row.as_object());
            let (key, value) = (br#"{"id":1}"#.as_slice(), serde_json::to_vec(&value)?);
            let topic = topic_of(source, table);
            let record = BaseRecord::to(&topic).key(key).payload(&value).partition(0);
            self.producer.send(record).map_err(|(error, _)| error)?;
        }
        self.flush()?;
        let wanted = Timestamp(time.0 - TOLERANCE);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut connection = self.pool.acquire().await?;
            let shards = read::shards(&mut connection).await?;
            let heard = |source: &Source| {
                shards
                    .iter()
                    .all(|shard| shard.state.complete.get(source).is_some_and(|until| *until >= wanted))
            };
            let missing: Vec<Source> = sources()
                .into_iter()
                .filter(|source| !silent.contains(source) && !heard(source))
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            self.check_alive()?;
            ensure!(Instant::now() < deadline, "not complete after {PATIENCE:?}: {missing:?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Everything committed that some topics hold.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn read_all(&self, chosen: impl Fn(&str) -> bool) -> anyhow::Result<Vec<OwnedMessage>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.kafka)
            .set("group.id", "canbao-stories-reader")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .create()?;
        let metadata = consumer.fetch_metadata(None, Duration::from_secs(10))?;
        let mut assignment = TopicPartitionList::new();
        for topic in metadata.topics().iter().filter(|topic| chosen(topic.name())) {
            for partition in topic.partitions() {
                assignment.add_partition_offset(topic.name(), partition.id(), Offset::Beginning)?;
            }
        }
        consumer.assign(&assignment)?;
        let (mut open, mut messages) = (assignment.count(), Vec::new());
        let deadline = Instant::now() + PATIENCE;
        while open > 0 {
            ensure!(Instant::now() < deadline, "topics could not be read to their end");
            match consumer.poll(Duration::from_secs(1)) {
                Some(Ok(message)) => messages.push(message.detach()),
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => open -= 1,
                Some(Err(error)) => return Err(error.into()),
                None => {}
            }
        }
        Ok(messages)
    }

    /// Asks every service to end, as an operator would, and waits.
    ///
    /// # Errors
    /// Names services that did not end in order.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        for child in self.processes.values() {
            Command::new("kill").arg(child.id().to_string()).status()?;
        }
        let deadline = Instant::now() + PATIENCE;
        let mut wrong = Vec::new();
        for (name, mut child) in std::mem::take(&mut self.processes) {
            while child.try_wait()?.is_none() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(50));
            }
            match child.try_wait()? {
                Some(status) if status.success() => {}
                status => {
                    child.kill().ok();
                    child.wait()?;
                    wrong.push(format!("{name}: {status:?}"));
                }
            }
        }
        ensure!(wrong.is_empty(), "services did not end in order: {wrong:?}");
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in self.processes.values_mut() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// The row by which a source says that it is complete up to `time`, and its table: a heartbeat of a system of record, the batch row
/// (批次表) of civil affairs' exchange database.
fn completeness_row(source: Source, time: Timestamp) -> anyhow::Result<(&'static str, serde_json::Value)> {
    let text = chrono::DateTime::from_timestamp_millis(time.0)
        .context("a time")?
        .to_rfc3339();
    Ok(if source.agency == Agency::CivilAffairs {
        (
            "batch_control",
            serde_json::json!({ "id": 1, "data_date": time.day_in_shanghai().0, "row_count": 0, "loaded_at": text }),
        )
    } else {
        ("heartbeat", serde_json::json!({ "id": 1, "ts": text }))
    })
}

/// The topic of a source's table.
fn topic_of(source: Source, table: &str) -> String {
    format!("{source}.public.{table}")
}

fn now() -> anyhow::Result<Timestamp> {
    Ok(Timestamp(
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64,
    ))
}

/// Makes the database anew beside the one that `url` names, and returns its address.
async fn make_database(url: &str) -> anyhow::Result<String> {
    let admin = PgPool::connect(url).await.context("CANBAO_DATABASE_URL does not answer")?;
    let (server, _) = url.rsplit_once('/').context("CANBAO_DATABASE_URL names a database")?;
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "drop database if exists {DATABASE} with (force)"
    )))
    .execute(&admin)
    .await?;
    sqlx::query(sqlx::AssertSqlSafe(format!("create database {DATABASE}")))
        .execute(&admin)
        .await?;
    admin.close().await;
    Ok(format!("{server}/{DATABASE}"))
}
