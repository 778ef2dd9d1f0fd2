//! Where a region's consumer stands in its source topics, and which of them it must not read.
//!
//! librdkafka's own choice of a start (`auto.offset.reset`) would skip silently, so every start is chosen here, when partitions
//! are assigned and when an operator's statement changes what is recorded. What is committed notes under which statements it was read.
//!
//! Within a batch all is read under what was known when it began: [`Positions::follow`] alone takes up what an operator stated, between
//! two batches, else a batch would be committed under a statement that part of it was read before.

use super::hold::Hold;
use super::source_topic::{SourceTopic, TopicStore};
use super::start::{ReadUnder, Start, start};
use crate::health::{Check, Watch};
use crate::kafka::lag::{self, membership};
use crate::kafka::offsets::{
    Commit, TopicPartition, Watermarks, all_topics, commits, patiently, topics_with_prefix, watermarks_of,
};
use crate::telemetry::UNKNOWN;
use anyhow::Context;
use domain::source::Source;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct State {
    topics: BTreeMap<String, SourceTopic>,
    /// What went wrong inside a callback, where nothing can be returned.
    failed: Option<anyhow::Error>,
}

/// Topics with their partitions.
type Present = BTreeMap<String, Vec<i32>>;

/// What is recorded of a message's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordedPosition {
    pub(super) epoch: u16,
    /// An operator accepted that it may be unreadable.
    pub(super) is_tolerated: bool,
}

/// A region's topics and positions; also the context of its consumer.
pub(super) struct Positions {
    source: Source,
    store: Arc<dyn TopicStore>,
    check: Check,
    watch: Watch,
    state: Mutex<State>,
}

impl Positions {
    pub(super) fn new(source: Source, store: Arc<dyn TopicStore>, check: Check, watch: Watch) -> Self {
        Self {
            source,
            store,
            check,
            watch,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is recorded of a position; `None` when its topic must not be read.
    pub(super) fn recorded_of(&self, topic: &str, partition: u16, offset: u64) -> Option<RecordedPosition> {
        let state = self.state();
        let topic = state.topics.get(topic).filter(|topic| topic.held.is_none())?;
        let tolerated = topic.tolerated.get(usize::from(partition));
        Some(RecordedPosition {
            epoch: topic.epochs.at(partition, offset),
            is_tolerated: tolerated.is_some_and(|end| offset < *end),
        })
    }

    fn is_read(&self, topic: &str) -> bool {
        self.state().topics.get(topic).is_some_and(|topic| topic.held.is_none())
    }

    /// What is committed now was read under this; `None` for a topic that was never seen.
    pub(super) fn read_under(&self, topic: &str) -> Option<ReadUnder> {
        self.state().topics.get(topic).map(ReadUnder::recorded)
    }

    /// What went wrong inside a callback of the last poll.
    ///
    /// # Errors
    /// That.
    pub(super) fn take_failure(&self) -> anyhow::Result<()> {
        self.state().failed.take().map_or(Ok(()), Err)
    }

    /// Where the region says that it works, and what it waits for.
    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// `None` while it is not known.
    fn show_lag(&self, lag: Option<i64>) {
        let lag = lag.map_or(UNKNOWN, |lag| lag as f64);
        metrics::gauge!("canbao_normaliser_lag_messages", "source" => self.source.to_string()).set(lag);
    }

    /// Says in readiness and metrics what is held.
    pub(super) fn report(&self) {
        let state = self.state();
        let held: Vec<&str> = state.topics.values().filter_map(|topic| topic.held.as_deref()).collect();
        metrics::gauge!("canbao_normaliser_held_topics", "source" => self.source.to_string()).set(held.len() as f64);
        match held.first() {
            None => self.check.pass(),
            Some(reason) if held.len() == 1 => self.check.fail(*reason),
            Some(reason) => self
                .check
                .fail(format!("{} topics held, the first because {reason}", held.len())),
        }
    }

    /// Holds every topic of the source, also those that other replicas read.
    pub(super) fn hold_source(&self, consumer: &BaseConsumer<Self>, reason: &str) -> anyhow::Result<()> {
        let present = patiently(|| topics_with_prefix(consumer, &format!("{}.", self.source))).context("asking for topics")?;
        let mut topics: BTreeSet<String> = self.store.load(self.source)?.into_iter().map(|topic| topic.topic).collect();
        topics.extend(self.state().topics.keys().cloned());
        for topic in topics.into_iter().filter(|topic| present.contains(topic)) {
            self.hold(&topic, reason.to_owned())?;
        }
        self.pause_held(consumer)?;
        self.report();
        Ok(())
    }

    pub(super) fn hold(&self, topic: &str, reason: String) -> anyhow::Result<()> {
        tracing::error!(topic, reason, "topic held");
        self.store.hold(topic, &reason)?;
        if let Some(topic) = self.state().topics.get_mut(topic) {
            topic.held.get_or_insert(reason);
        }
        Ok(())
    }

    /// Records a topic's first sighting, or holds it when its partition count is not the recorded one.
    fn sight(&self, topic: &str, present: &Present) -> anyhow::Result<()> {
        let found = present.get(topic).map_or(0, Vec::len) as u32;
        let recorded = self.store.record(topic, found)?;
        let expected = recorded.partitions;
        let is_held = {
            let mut state = self.state();
            let known = state.topics.entry(topic.to_owned()).or_insert_with(|| recorded.clone());
            known.held = known.held.take().or(recorded.held);
            known.held.is_some()
        };
        if found != expected && !is_held {
            let cause = Hold::Partitions {
                found,
                recorded: expected,
            };
            self.hold(topic, cause.reason(topic))?;
        }
        Ok(())
    }

    /// Sets where each partition begins, and holds topics whose committed offsets are gone or out of range.
    fn place(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList, present: &Present) -> anyhow::Result<()> {
        let topics: BTreeSet<String> = list.elements().iter().map(|element| element.topic().to_owned()).collect();
        let committed = Self::committed(consumer, &topics, present)?;
        for topic in &topics {
            match (committed.keys().any(|(of, _)| of == topic), self.is_started(topic)) {
                (true, false) => self.start(topic)?,
                (false, true) => self.hold_forgotten(topic)?,
                _ => (),
            }
        }
        let places: Vec<TopicPartition> = list
            .elements()
            .iter()
            .map(|element| (element.topic().to_owned(), element.partition()))
            .collect();
        let ranges = watermarks_of(consumer, &places).context("reading the ranges of partitions")?;
        for (topic, partition) in places {
            let held = ranges.get(&(topic.clone(), partition)).copied();
            let held = held.with_context(|| format!("the brokers do not say what {topic}/{partition} holds"))?;
            let commit = committed.get(&(topic.clone(), partition));
            let start = self
                .state()
                .topics
                .get(&topic)
                .map(|topic| start(commit, topic, partition, held));
            let offset = match start.with_context(|| format!("{topic} was assigned and is not known"))? {
                Start::At(offset) => offset,
                Start::OutOfRange(offset) => {
                    self.hold_out_of_range(&topic, partition, offset, held)?;
                    Offset::Offset(offset)
                }
            };
            list.set_partition_offset(&topic, partition, offset)?;
        }
        Ok(())
    }

    /// What is committed of all partitions of the topics, also of those that other replicas read.
    fn committed(
        consumer: &BaseConsumer<Self>,
        topics: &BTreeSet<String>,
        present: &Present,
    ) -> anyhow::Result<BTreeMap<TopicPartition, Commit>> {
        let partitions = |topic| present.get(topic).into_iter().flatten();
        let asked = topics
            .iter()
            .flat_map(|topic| partitions(topic).map(|partition| (topic.clone(), *partition)));
        let asked: Vec<TopicPartition> = asked.collect();
        patiently(|| commits(consumer, asked.clone())).context("reading committed offsets")
    }

    /// The topics that there are, asked once for all that is looked up of them.
    fn present(consumer: &BaseConsumer<Self>) -> anyhow::Result<Present> {
        patiently(|| all_topics(consumer)).context("asking for topics and their partitions")
    }

    fn is_started(&self, topic: &str) -> bool {
        self.state().topics.get(topic).is_some_and(|topic| topic.started)
    }

    /// Remembers that offsets of a topic are committed.
    pub(super) fn start(&self, topic: &str) -> anyhow::Result<()> {
        if !self.is_started(topic) {
            self.store.start(topic)?;
            if let Some(topic) = self.state().topics.get_mut(topic) {
                topic.started = true;
            }
        }
        Ok(())
    }

    /// Holds a topic whose committed offsets are gone.
    pub(super) fn hold_forgotten(&self, topic: &str) -> anyhow::Result<()> {
        if self.is_read(topic) {
            self.hold(topic, Hold::Forgotten.reason(topic))?;
        }
        Ok(())
    }

    fn hold_out_of_range(&self, topic: &str, partition: i32, offset: i64, held: Watermarks) -> anyhow::Result<()> {
        if self.is_read(topic) {
            self.hold(topic, Hold::out_of_range(partition, offset, held).reason(topic))?;
        }
        Ok(())
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> anyhow::Result<()> {
        let topics: BTreeSet<String> = list.elements().iter().map(|element| element.topic().to_owned()).collect();
        if !topics.is_empty() {
            let present = Self::present(consumer)?;
            for topic in &topics {
                self.sight(topic, &present)?;
            }
            self.place(consumer, list, &present)?;
        }
        consumer.incremental_assign(list).context("assigning partitions")?;
        tracing::info!(source = %self.source, partitions = list.count(), topics = topics.len(), "partitions assigned");
        self.pause_held(consumer)?;
        self.report();
        Ok(())
    }

    /// Stops reading what is held.
    pub(super) fn pause_held(&self, consumer: &BaseConsumer<Self>) -> anyhow::Result<()> {
        let held = Self::assigned(consumer, |topic| !self.is_read(topic))?;
        if held.count() > 0 {
            consumer.pause(&held).context("pausing held topics")?;
        }
        Ok(())
    }

    fn assigned(consumer: &BaseConsumer<Self>, wanted: impl Fn(&str) -> bool) -> anyhow::Result<TopicPartitionList> {
        let assignment = consumer.assignment().context("reading the assignment")?;
        let mut list = TopicPartitionList::new();
        for element in assignment.elements().iter().filter(|element| wanted(element.topic())) {
            list.add_partition(element.topic(), element.partition());
        }
        Ok(list)
    }

    /// What is recorded of the source's topics now.
    pub(super) fn recorded(&self) -> anyhow::Result<Vec<SourceTopic>> {
        self.store.load(self.source)
    }

    /// Follows what is recorded: pauses what is held now, resumes what an operator accepted, begins again what is to be read
    /// again. `true` when anything was accepted.
    pub(super) fn follow(&self, consumer: &BaseConsumer<Self>, topics: Vec<SourceTopic>) -> anyhow::Result<bool> {
        let mut accepted = BTreeSet::new();
        for recorded in topics {
            let mut state = self.state();
            let Some(known) = state.topics.get_mut(&recorded.topic) else {
                continue;
            };
            let lifted = known.held.is_some() && recorded.held.is_none();
            let restated =
                ReadUnder::recorded(known) != ReadUnder::recorded(&recorded) || known.partitions != recorded.partitions;
            if recorded.held.is_none() && (lifted || restated) {
                accepted.insert(recorded.topic.clone());
            }
            *known = recorded;
        }
        if !accepted.is_empty() {
            let present = Self::present(consumer)?;
            for topic in &accepted {
                tracing::info!(topic, "topic accepted");
                self.sight(topic, &present)?;
            }
            let mut list = Self::assigned(consumer, |topic| accepted.contains(topic))?;
            if list.count() > 0 {
                self.place(consumer, &mut list, &present)?;
                // Not a seek: a partition whose topic was created anew while it was read cannot be sought in.
                consumer.incremental_unassign(&list).context("leaving accepted topics")?;
                consumer.incremental_assign(&list).context("resuming accepted topics")?;
                consumer.resume(&list).context("resuming accepted topics")?;
            }
        }
        self.pause_held(consumer)?;
        self.report();
        Ok(!accepted.is_empty())
    }

    /// After the consumer said that some position is out of range: finds which, and holds its topic.
    pub(super) fn recheck(&self, consumer: &BaseConsumer<Self>) -> anyhow::Result<()> {
        let mut positions = BTreeMap::new();
        for element in consumer.position().context("reading positions")?.elements() {
            if let Offset::Offset(offset) = element.offset() {
                positions.insert((element.topic().to_owned(), element.partition()), offset);
            }
        }
        let read: Vec<TopicPartition> = positions.keys().cloned().collect();
        for ((topic, partition), held) in watermarks_of(consumer, &read).context("reading the ranges of partitions")? {
            let offset = positions[&(topic.clone(), partition)];
            if !held.holds(offset) {
                self.hold_out_of_range(&topic, partition, offset, held)?;
            }
        }
        // A partition that was never read has no position; its committed offset is checked instead.
        let mut unread = Self::assigned(consumer, |topic| self.is_read(topic))?;
        self.place(consumer, &mut unread, &Self::present(consumer)?)?;
        self.pause_held(consumer)?;
        self.report();
        Ok(())
    }
}

impl ClientContext for Positions {
    /// What a poll returns as well is told there; a region without topics yet is no error.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(source = %self.source, %error, reason, "client event");
    }

    fn stats(&self, statistics: Statistics) {
        let member = membership(&statistics, lag::From::Committed);
        self.show_lag(member.lag);
        self.watch.wait(match member {
            lag::Membership { joining: true, .. } => Some("joining its group"),
            lag::Membership { unread: true, .. } => Some("messages wait to be read"),
            _ => None,
        });
        if !member.joining && !member.unread {
            self.watch.moved();
        }
    }
}

impl ConsumerContext for Positions {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let result = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assign(consumer, list)
        } else {
            // What the last batch read of these partitions is not committed any more: the next owner repeats it, harmlessly.
            tracing::info!(source = %self.source, partitions = list.count(), "partitions revoked");
            // Until the next statistics nothing is claimed, also of what stays.
            self.show_lag(None);
            consumer.incremental_unassign(list).context("giving partitions back")
        };
        if let Err(error) = result {
            self.state().failed.get_or_insert(error);
        }
    }
}
