//! The broker's side of a run: topics and groups made and removed, and everything that a topic holds.

use super::PATIENCE;
use anyhow::{bail, ensure};
use domain::division::City;
use domain::source::Source;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedMessage;
use rdkafka::{Offset, TopicPartitionList};
use runtime::kafka::topics::{FINDINGS, PERSON_RECORDS, PERSON_REGISTRY, normaliser_group};
use runtime::kafka::trouble::is_transient;
use std::time::{Duration, Instant};

/// How long the broker may take for one answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A topic that Canbao, or a source of its, makes, or the source's connector.
fn is_ours(name: &str) -> bool {
    // Of any agency: a test that adds one may have run before.
    let is_of_source = || name.split('.').nth(1).is_some_and(|city| city.parse::<City>().is_ok());
    [PERSON_RECORDS, FINDINGS, PERSON_REGISTRY, "publisher.positions"].contains(&name)
        || ["alerts.", "connect.", "__debezium-"]
            .iter()
            .any(|start| name.starts_with(start))
        || is_of_source()
}

/// Somebody who administers the broker.
pub(super) struct Broker {
    address: String,
    admin: AdminClient<DefaultClientContext>,
}

impl Broker {
    pub(super) fn new(address: &str) -> anyhow::Result<Self> {
        Ok(Self {
            address: address.to_owned(),
            admin: ClientConfig::new().set("bootstrap.servers", address).create()?,
        })
    }

    /// Canbao's topics, with their partitions.
    pub(super) fn topics(&self) -> anyhow::Result<Vec<(String, usize)>> {
        let there = self.admin.inner().fetch_metadata(None, ANSWER)?;
        let ours = there.topics().iter().filter(|topic| is_ours(topic.name()));
        Ok(ours
            .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
            .collect())
    }

    /// Makes topics with so many partitions each.
    pub(super) async fn make(&self, topics: &[(String, u16)]) -> anyhow::Result<()> {
        let wanted: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|(name, partitions)| NewTopic::new(name, i32::from(*partitions), TopicReplication::Fixed(1)))
            .collect();
        for made in self.admin.create_topics(wanted.iter(), &AdminOptions::new()).await? {
            made.map_err(|(topic, error)| anyhow::anyhow!("topic {topic}: {error}"))?;
        }
        Ok(())
    }

    /// Raises a topic's partitions, and waits until it has them.
    pub(super) async fn raise(&self, topic: &str, partitions: u16) -> anyhow::Result<()> {
        let wanted = NewPartitions::new(topic, usize::from(partitions));
        for raised in self.admin.create_partitions([&wanted], &AdminOptions::new()).await? {
            raised.map_err(|(topic, error)| anyhow::anyhow!("topic {topic}: {error}"))?;
        }
        let deadline = Instant::now() + PATIENCE;
        let grown = (topic.to_owned(), usize::from(partitions));
        while !self.topics()?.contains(&grown) {
            ensure!(Instant::now() < deadline, "{topic} was not raised");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Removes a topic, waits until it is gone, and makes it anew.
    pub(super) async fn make_anew(&self, topic: &str, partitions: u16) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.topics()?.iter().any(|(name, _)| name == topic) {
            ensure!(Instant::now() < deadline, "the broker does not let go of {topic}");
            for removed in self.admin.delete_topics(&[topic], &AdminOptions::new()).await? {
                tolerate(removed, &[RDKafkaErrorCode::UnknownTopicOrPartition])?;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.make(&[(topic.to_owned(), partitions)]).await
    }

    /// Removes every topic and every consumer group of Canbao, and waits until they are gone.
    pub(super) async fn clear(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let topics = self.topics()?;
            let groups = self.groups()?;
            if topics.is_empty() && groups.is_empty() {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the broker does not let go of {} topics and {groups:?}",
                topics.len()
            );
            if !topics.is_empty() {
                let names: Vec<&str> = topics.iter().map(|(name, _)| name.as_str()).collect();
                for removed in self.admin.delete_topics(&names, &AdminOptions::new()).await? {
                    tolerate(removed, &[RDKafkaErrorCode::UnknownTopicOrPartition])?;
                }
            }
            if !groups.is_empty() {
                let names: Vec<&str> = groups.iter().map(String::as_str).collect();
                // A member that was killed stays in its group for a session; the next round asks again.
                let passing = [RDKafkaErrorCode::GroupIdNotFound, RDKafkaErrorCode::NonEmptyGroup];
                for removed in self.admin.delete_groups(&names, &AdminOptions::new()).await? {
                    tolerate(removed, &passing)?;
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// How the group of a source's normaliser stands.
    pub(super) fn standing(&self, source: Source) -> anyhow::Result<String> {
        let group = normaliser_group(source);
        let list = self.admin.inner().fetch_group_list(Some(&group), ANSWER)?;
        let standing = list.groups().iter().map(|group| {
            let members = group
                .members()
                .iter()
                .map(|member| member.assignment().map_or(0, <[u8]>::len));
            format!(
                "group {}, its members with so many bytes of assignment: {:?}",
                group.state(),
                members.collect::<Vec<_>>()
            )
        });
        Ok(standing.collect::<Vec<_>>().join(", "))
    }

    fn groups(&self) -> anyhow::Result<Vec<String>> {
        let list = self.admin.inner().fetch_group_list(None, ANSWER)?;
        let names = list.groups().iter().map(|group| group.name().to_owned());
        Ok(names.filter(|name| name.starts_with("canbao.")).collect())
    }

    /// Everything committed that some topics hold.
    pub(super) fn read_all(&self, chosen: impl Fn(&str) -> bool) -> anyhow::Result<Vec<OwnedMessage>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .set("group.id", "canbao-stories-reader")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .create()?;
        let metadata = consumer.fetch_metadata(None, ANSWER)?;
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
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                // The brokers of a test that stops them are back a moment ago.
                Some(Err(error)) if !is_transient(&error) => return Err(error.into()),
                Some(Err(_)) | None => {}
            }
        }
        Ok(messages)
    }
}

fn tolerate(result: Result<String, (String, RDKafkaErrorCode)>, passing: &[RDKafkaErrorCode]) -> anyhow::Result<()> {
    match result {
        Err((name, error)) if !passing.contains(&error) => bail!("{name} could not be removed: {error}"),
        _ => Ok(()),
    }
}
