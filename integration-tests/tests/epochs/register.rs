//! The resident register of one city as a topic of its own: rows are put into chosen partitions, and looked for in the base.

use super::SERVICE;
use anyhow::{Context, ensure};
use domain::citizen_id::CitizenId;
use domain::date::Day;
use integration_tests::servers::Servers;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use runtime::kafka::offsets::{committed, end_offsets};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

pub struct Register {
    source: String,
    topic: String,
    city: u16,
    kafka: String,
    admin: AdminClient<DefaultClientContext>,
    producer: BaseProducer,
}

fn client(kafka: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka);
    config
}

impl Register {
    /// Makes the topic. The normaliser finds it by itself.
    pub async fn make(_: &Servers, city: u16, partitions: i32) -> anyhow::Result<Self> {
        Self::named(city, "public.czrk", partitions).await
    }

    /// The same, with another schema and table in the topic's name.
    pub async fn named(city: u16, table: &str, partitions: i32) -> anyhow::Result<Self> {
        let kafka = std::env::var("CANBAO_KAFKA")?;
        let register = Self {
            source: format!("{SERVICE}.{city}"),
            topic: format!("{SERVICE}.{city}.{table}"),
            city,
            admin: client(&kafka).create()?,
            producer: client(&kafka).create()?,
            kafka,
        };
        register.create(partitions).await?;
        Ok(register)
    }

    async fn create(&self, partitions: i32) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let topic = NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(1));
            match self.admin.create_topics([&topic], &AdminOptions::new()).await?.remove(0) {
                // What was deleted a moment ago is not gone everywhere yet.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
                made => return made.map(|_| ()).map_err(|(topic, error)| anyhow::anyhow!("{topic}: {error}")),
            }
        }
    }

    /// Raises the partitions.
    pub async fn raise(&self, partitions: usize) -> anyhow::Result<()> {
        let wanted = NewPartitions::new(&self.topic, partitions);
        let raised = self.admin.create_partitions([&wanted], &AdminOptions::new()).await?.remove(0);
        raised.map_err(|(topic, error)| anyhow::anyhow!("{topic}: {error}"))?;
        let deadline = Instant::now() + PATIENCE;
        while self.partitions()? < partitions {
            ensure!(Instant::now() < deadline, "{} was not raised", self.topic);
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn partitions(&self) -> anyhow::Result<usize> {
        let metadata = self.producer.client().fetch_metadata(Some(&self.topic), PATIENCE)?;
        Ok(metadata.topics().first().map_or(0, |topic| topic.partitions().len()))
    }

    /// Deletes the topic and makes it again.
    pub async fn make_again(&mut self, partitions: i32) -> anyhow::Result<()> {
        let deleted = self
            .admin
            .delete_topics(&[&self.topic], &AdminOptions::new())
            .await?
            .remove(0);
        deleted.map_err(|(topic, error)| anyhow::anyhow!("{topic}: {error}"))?;
        self.create(partitions).await?;
        // The old one may go on taking the topic for gone.
        self.producer = client(&self.kafka).create()?;
        Ok(())
    }

    /// Removes the messages below an offset.
    pub async fn remove_below(&self, partition: i32, offset: i64) -> anyhow::Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))?;
        self.admin.delete_records(&list, &AdminOptions::new()).await?;
        Ok(())
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    fn group(&self) -> anyhow::Result<BaseConsumer> {
        let mut config = client(&self.kafka);
        Ok(config.set("group.id", format!("canbao.{}", self.source)).create()?)
    }

    /// Commits an offset in the normaliser's stead, which must not run.
    pub fn commit(&self, partition: i32, offset: i64) -> anyhow::Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))?;
        Ok(self.group()?.commit(&list, CommitMode::Sync)?)
    }

    fn number(&self, key: u16) -> anyhow::Result<CitizenId> {
        CitizenId::from_parts(320_102, Day(i32::from(self.city) + i32::from(key) * 50), 11).context("a number")
    }

    fn row(&self, key: u16, address: &str) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::json!({
            "rybh": format!("A{key}"), "gmsfhm": self.number(key)?.text(), "xm": "龚晓峰", "cym": null, "xb": null, "mz": null, "csrq": null, "hjdqh": "320102",
            "hjdz": address, "xzdqh": null, "xzdz": null, "swrq": null, "hkzt": "1", "lxdh": null,
        }))
    }

    fn send(&self, partition: i32, key: u16, value: &[u8]) -> anyhow::Result<()> {
        self.send_keyed(partition, &format!(r#"{{"rybh":"A{key}"}}"#), value)
    }

    fn send_keyed(&self, partition: i32, key: &str, value: &[u8]) -> anyhow::Result<()> {
        let record = BaseRecord::to(&self.topic).key(key).payload(value).partition(partition);
        self.producer.send(record).map_err(|(error, _)| error)?;
        self.producer.flush(PATIENCE)?;
        Ok(())
    }

    /// The row of a key now has this address.
    pub fn put(&self, partition: i32, key: u16, address: &str) -> anyhow::Result<()> {
        let value = serde_json::json!({ "op": "c", "before": null, "after": self.row(key, address)? });
        self.send(partition, key, &serde_json::to_vec(&value)?)
    }

    /// The same by a connector whose converter writes keys with their schema: other bytes, the same row.
    pub fn put_with_schema(&self, partition: i32, key: u16, address: &str) -> anyhow::Result<()> {
        let value = serde_json::json!({ "op": "u", "before": null, "after": self.row(key, address)? });
        let key = serde_json::json!({ "schema": { "type": "struct" }, "payload": { "rybh": format!("A{key}") } });
        self.send_keyed(partition, &key.to_string(), &serde_json::to_vec(&value)?)
    }

    /// The row of a key is gone.
    pub fn delete(&self, partition: i32, key: u16) -> anyhow::Result<()> {
        let value = serde_json::json!({ "op": "d", "before": self.row(key, "old street")?, "after": null });
        self.send(partition, key, &serde_json::to_vec(&value)?)
    }

    /// Something that cannot be read.
    pub fn spoil(&self, partition: i32, key: u16) -> anyhow::Result<()> {
        self.send(partition, key, b"no JSON")
    }

    /// Messages in the dead letters of the source.
    pub fn dead_letters(&self, servers: &Servers) -> anyhow::Result<usize> {
        let topic = format!("{}.dlq", self.source);
        let letters = servers.read_all(|name| name == topic)?;
        Ok(letters.iter().filter(|letter| letter.payload().is_some()).count())
    }

    /// Waits until the topic is held; why.
    pub async fn held(&self, servers: &mut Servers) -> anyhow::Result<String> {
        self.said("select held from store.source_topic where topic = $1", servers)
            .await
    }

    /// Waits until the topic waits for dialects or other topics to change; why.
    pub async fn waits(&self, servers: &mut Servers) -> anyhow::Result<String> {
        self.said("select waits from store.source_topic where topic = $1", servers)
            .await
    }

    async fn said(&self, query: &'static str, servers: &mut Servers) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said: Option<Option<String>> = sqlx::query_scalar(query)
                .bind(&self.topic)
                .fetch_optional(&servers.pool)
                .await?;
            if let Some(reason) = said.flatten() {
                return Ok(reason);
            }
            servers.services.check_alive()?;
            ensure!(Instant::now() < deadline, "{} is read", self.topic);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Runs the one command that a hold printed, which must be `canbao source accept` with this option.
    pub fn run_printed(servers: &Servers, held: &str, option: &str) -> anyhow::Result<()> {
        let printed: Vec<&str> = held.split('`').skip(1).step_by(2).collect();
        ensure!(printed.len() == 1, "one command is printed: {held}");
        let words: Vec<&str> = printed[0].split(' ').collect();
        ensure!(
            words[..3] == ["canbao", "source", "accept"] && words.get(4).copied().unwrap_or("") == option,
            "{held}"
        );
        ensure!(
            servers.services.canbao(&words[1..])?,
            "`{}` failed, see canbao.log",
            printed[0]
        );
        Ok(())
    }

    /// `canbao source accept` with an option.
    pub fn accept(&self, servers: &Servers, option: &str) -> anyhow::Result<()> {
        ensure!(
            servers.services.canbao(&["source", "accept", &self.topic, option])?,
            "{option} failed, see canbao.log"
        );
        Ok(())
    }

    /// Waits until the normaliser has read the topic to its end under what is recorded, and the registry has applied it.
    pub async fn rest(&self, servers: &mut Servers) -> anyhow::Result<()> {
        // Long enough to notice what an operator stated.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let deadline = Instant::now() + PATIENCE;
        let consumer = self.group()?;
        loop {
            let ends = end_offsets(&consumer, std::slice::from_ref(&self.topic))?;
            let committed = committed(&consumer, ends.keys().cloned())?;
            if ends
                .iter()
                .all(|(partition, end)| committed.get(partition).copied().unwrap_or(0) == *end)
            {
                return Ok(());
            }
            servers.services.check_alive()?;
            ensure!(Instant::now() < deadline, "{} is not read to its end", self.topic);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the base shows these addresses, and `None` where there is no person; the topic must not be held.
    pub async fn is(&self, servers: &mut Servers, expected: &[(u16, Option<&str>)]) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut wrong = Vec::new();
            for (key, address) in expected {
                let number = self.number(*key)?.text();
                let found: Vec<Option<String>> = sqlx::query_scalar("select address from base.person where number = $1")
                    .bind(&number)
                    .fetch_all(&servers.pool)
                    .await?;
                let found: Vec<&str> = found.iter().map(|found| found.as_deref().unwrap_or("no address")).collect();
                if found != address.iter().copied().collect::<Vec<_>>() {
                    wrong.push(format!("{key}: {found:?}, not {address:?}"));
                }
            }
            let held = sqlx::query_scalar("select coalesce(held, waits) from store.source_topic where topic = $1");
            let held: Option<Option<String>> = held.bind(&self.topic).fetch_optional(&servers.pool).await?;
            if let Some(reason) = held.flatten() {
                wrong.push(reason);
            }
            if wrong.is_empty() {
                return Ok(());
            }
            servers.services.check_alive()?;
            ensure!(Instant::now() < deadline, "{}: {}", self.topic, wrong.join("; "));
            tokio::time::sleep(LOOK).await;
        }
    }
}
