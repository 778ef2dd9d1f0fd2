//! Where a region's consumer stands in its source topics, and which of them it must not read.
//!
//! librdkafka's own choice of a start (`auto.offset.reset`) would skip silently, so every start is chosen here, when partitions
//! are assigned and when an operator's statement changes what is recorded. What is committed carries the replay count in its
//! metadata, so that an offset from before a replay is recognised.

use super::source_topic::{SourceTopic, TopicStore};
use super::start::{Committed, Start, replay_of, start};
use crate::health::{Check, Watch};
use crate::kafka::REQUEST_TIMEOUT;
use crate::kafka::lag::{self, membership};
use crate::kafka::offsets::{TopicPartition, Watermarks, partitions, patiently, watermarks};
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

    /// The epoch of a topic's positions; `None` when the topic must not be read.
    pub(super) fn epoch(&self, topic: &str) -> Option<u16> {
        self.state()
            .topics
            .get(topic)
            .filter(|topic| topic.held.is_none())
            .map(|topic| topic.epoch)
    }

    /// The replay count that offsets committed now belong to.
    pub(super) fn replay(&self, topic: &str) -> u32 {
        self.state().topics.get(topic).map_or(0, |topic| topic.replay)
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

    /// Holds every topic of the source.
    pub(super) fn hold_source(&self, consumer: &BaseConsumer<Self>, reason: &str) -> anyhow::Result<()> {
        let mut topics: BTreeSet<String> = self.store.load(self.source)?.into_iter().map(|topic| topic.topic).collect();
        topics.extend(self.state().topics.keys().cloned());
        for topic in topics {
            self.hold(&topic, reason.to_owned())?;
        }
        self.pause_held(consumer)?;
        self.report();
        Ok(())
    }

    fn hold(&self, topic: &str, reason: String) -> anyhow::Result<()> {
        tracing::error!(topic, reason, "topic held");
        self.store.hold(topic, &reason)?;
        if let Some(topic) = self.state().topics.get_mut(topic) {
            topic.held.get_or_insert(reason);
        }
        Ok(())
    }

    /// Records a topic's first sighting, or holds it when its partition count is not the recorded one.
    fn sight(&self, consumer: &BaseConsumer<Self>, topic: &str) -> anyhow::Result<()> {
        let found = partitions(consumer, topic)
            .with_context(|| format!("reading the partitions of {topic}"))?
            .len() as u32;
        let recorded = self.store.record(topic, found)?;
        let (expected, held) = (recorded.partitions, recorded.held.is_some());
        self.state().topics.insert(topic.to_owned(), recorded);
        if found != expected && !held {
            let reason = format!(
                "topic {topic} has {found} partitions and {expected} are recorded: keys may have moved, so positions are no \
                 longer comparable; run `canbao source accept {topic}`"
            );
            self.hold(topic, reason)?;
        }
        Ok(())
    }

    /// Sets where each partition begins, and holds topics whose committed offsets are gone or out of range.
    fn place(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> anyhow::Result<()> {
        let topics: BTreeSet<String> = list.elements().iter().map(|element| element.topic().to_owned()).collect();
        let committed = Self::committed(consumer, &topics)?;
        for topic in &topics {
            match (committed.keys().any(|(of, _)| of == topic), self.is_started(topic)) {
                (true, false) => self.start(topic)?,
                (false, true) => self.hold_forgotten(topic)?,
                _ => (),
            }
        }
        let places: Vec<(String, i32)> = list
            .elements()
            .iter()
            .map(|element| (element.topic().to_owned(), element.partition()))
            .collect();
        for (topic, partition) in places {
            let held =
                watermarks(consumer, &topic, partition).with_context(|| format!("reading the range of {topic}/{partition}"))?;
            let at = committed.get(&(topic.clone(), partition)).copied();
            let offset = match start(at, self.replay(&topic), held) {
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

    /// Committed offsets of all partitions of the topics, also of those that other replicas read.
    fn committed(
        consumer: &BaseConsumer<Self>,
        topics: &BTreeSet<String>,
    ) -> anyhow::Result<BTreeMap<TopicPartition, Committed>> {
        let mut asked = TopicPartitionList::new();
        for topic in topics {
            for partition in partitions(consumer, topic).with_context(|| format!("reading the partitions of {topic}"))? {
                asked.add_partition(topic, partition);
            }
        }
        let mut committed = BTreeMap::new();
        let list =
            patiently(|| consumer.committed_offsets(asked.clone(), REQUEST_TIMEOUT)).context("reading committed offsets")?;
        for element in list.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            element
                .error()
                .with_context(|| format!("reading the committed offset of {topic}/{partition}"))?;
            if let Offset::Offset(offset) = element.offset() {
                let replay = replay_of(element.metadata());
                committed.insert((topic.to_owned(), partition), Committed { offset, replay });
            }
        }
        Ok(committed)
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
        if self.epoch(topic).is_none() {
            return Ok(());
        }
        let reason = format!(
            "the committed offsets of {topic} are gone: run `canbao source accept {topic} --restart` if the topic was created \
             anew, `canbao source accept {topic} --reread` if it is the same and nobody read it for long"
        );
        self.hold(topic, reason)
    }

    fn hold_out_of_range(&self, topic: &str, partition: i32, offset: i64, held: Watermarks) -> anyhow::Result<()> {
        if self.epoch(topic).is_none() {
            return Ok(());
        }
        let Watermarks { low, high } = held;
        let reason = format!(
            "offset {offset} of {topic}/{partition} is out of range {low} to {high}: the topic was created anew or lost messages; \
             run `canbao source accept {topic} --restart`"
        );
        self.hold(topic, reason)
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> anyhow::Result<()> {
        let topics: BTreeSet<String> = list.elements().iter().map(|element| element.topic().to_owned()).collect();
        for topic in &topics {
            self.sight(consumer, topic)?;
        }
        if !topics.is_empty() {
            self.place(consumer, list)?;
        }
        consumer.incremental_assign(list).context("assigning partitions")?;
        tracing::info!(source = %self.source, partitions = list.count(), topics = topics.len(), "partitions assigned");
        self.pause_held(consumer)?;
        self.report();
        Ok(())
    }

    /// Stops reading what is held.
    pub(super) fn pause_held(&self, consumer: &BaseConsumer<Self>) -> anyhow::Result<()> {
        let held = Self::assigned(consumer, |topic| self.epoch(topic).is_none())?;
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
            if recorded.held.is_none() && (lifted || known.replay != recorded.replay || known.partitions != recorded.partitions) {
                accepted.insert(recorded.topic.clone());
            }
            *known = recorded;
        }
        for topic in &accepted {
            tracing::info!(topic, "topic accepted");
            self.sight(consumer, topic)?;
        }
        if !accepted.is_empty() {
            let mut list = Self::assigned(consumer, |topic| accepted.contains(topic))?;
            if list.count() > 0 {
                self.place(consumer, &mut list)?;
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
        for element in consumer.position().context("reading positions")?.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            if let Offset::Offset(offset) = element.offset() {
                let held = watermarks(consumer, topic, partition)?;
                if !held.holds(offset) {
                    self.hold_out_of_range(topic, partition, offset, held)?;
                }
            }
        }
        // A partition that was never read has no position; its committed offset is checked instead.
        let mut unread = Self::assigned(consumer, |topic| self.epoch(topic).is_some())?;
        self.place(consumer, &mut unread)?;
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
