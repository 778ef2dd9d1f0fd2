//! Where a region's consumer stands in its source topics, and which of them it must not read.
//!
//! librdkafka's own choice of a start (`auto.offset.reset`) would skip silently, so every start is chosen here, when partitions
//! are assigned and when an operator's statement changes what is recorded. What is committed notes under which statements it was read.
//!
//! Within a batch all is read under what was known when it began: [`Positions::follow`] alone takes up what an operator stated, between
//! two batches, else a batch would be committed under a statement that part of it was read before.
//!
//! A pattern may bring topics that hold no table of the source (`TopicNames`): they are given to this consumer, and never read nor recorded.

mod callbacks;
mod recorded;

use super::source_topic::{SourceTopic, TopicStore};
use super::start::{ReadUnder, Start, start};
use super::wait::Tables;
use crate::health::{Check, Watch};
use crate::kafka::joining::Joining;
use crate::kafka::offsets::{Commit, TopicPartition, all_topics, commits, patiently, watermarks_of};
use crate::telemetry::UNKNOWN;
use anyhow::Context;
use domain::source::Source;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Default)]
struct State {
    topics: BTreeMap<String, SourceTopic>,
    /// What this consumer has been given.
    assigned: BTreeSet<TopicPartition>,
    joining: Joining,
    /// Messages that stood before what it was given last and are for the region's next batch to count.
    waiting: u64,
    /// What went wrong inside a callback, where nothing can be returned.
    failed: Option<anyhow::Error>,
}

/// Topics with their partitions.
type Present = BTreeMap<String, Vec<i32>>;

/// What is recorded of a message's position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordedPosition {
    /// The table of its topic.
    pub(super) table: Arc<str>,
    pub(super) epoch: u16,
    /// An operator accepted that it may be unreadable.
    pub(super) is_tolerated: bool,
}

/// A region's topics and positions; also the context of its consumer.
pub(super) struct Positions {
    source: Source,
    tables: Arc<Tables>,
    store: Arc<dyn TopicStore>,
    check: Check,
    watch: Watch,
    state: Mutex<State>,
}

impl Positions {
    pub(super) fn new(source: Source, tables: Arc<Tables>, store: Arc<dyn TopicStore>, check: Check, watch: Watch) -> Self {
        Self {
            source,
            tables,
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
        let topic = state.topics.get(topic).filter(|topic| topic.is_read())?;
        let tolerated = topic.tolerated.get(usize::from(partition));
        Some(RecordedPosition {
            table: topic.table.clone(),
            epoch: topic.epochs.at(partition, offset),
            is_tolerated: tolerated.is_some_and(|end| offset < *end),
        })
    }

    fn is_read(&self, topic: &str) -> bool {
        self.state().topics.get(topic).is_some_and(SourceTopic::is_read)
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

    /// Messages that stood in partitions when they were given to this consumer, at most: since this was last asked.
    pub(super) fn take_waiting(&self) -> u64 {
        std::mem::take(&mut self.state().waiting)
    }

    /// Whether the group has taken this consumer in, or may yet.
    ///
    /// # Errors
    /// When it has waited too long for that.
    pub(super) fn joined(&self) -> anyhow::Result<()> {
        let joining = self.state().joining;
        joining.check(Instant::now())
    }

    /// The source.
    pub(super) fn source(&self) -> Source {
        self.source
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
        // What waits is said by whoever would read it; a topic that is gone waits for nothing.
        let is_ours = |name: &str| state.assigned.iter().any(|(topic, _)| topic == name);
        let said = |topic: &&SourceTopic| topic.held.is_some() || is_ours(&topic.topic);
        let held: Vec<&str> = state.topics.values().filter(said).filter_map(SourceTopic::reason).collect();
        metrics::gauge!("canbao_normaliser_held_topics", "source" => self.source.to_string()).set(held.len() as f64);
        match held.first() {
            None => self.check.pass(),
            Some(reason) if held.len() == 1 => self.check.fail(*reason),
            Some(reason) => self
                .check
                .fail(format!("{} topics held, the first because {reason}", held.len())),
        }
    }

    /// Sets where each partition begins, and holds topics whose committed offsets are gone or out of range.
    /// How many messages wait from there on.
    fn place(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList, present: &Present) -> anyhow::Result<u64> {
        let mut waiting = 0;
        let topics: BTreeSet<String> = list.elements().iter().map(|element| element.topic().to_owned()).collect();
        let committed = Self::committed(consumer, &topics, present)?;
        for topic in &topics {
            match (committed.keys().any(|(of, _)| of == topic), self.is_started(topic)) {
                (true, false) => self.start(topic)?,
                (false, true) => self.hold_forgotten(topic)?,
                _ => (),
            }
        }
        let places: Vec<TopicPartition> = partitions_of(list).into_iter().collect();
        let ranges = watermarks_of(consumer, &places).context("reading the ranges of partitions")?;
        for (topic, partition) in places {
            if !self.state().topics.contains_key(&topic) {
                list.set_partition_offset(&topic, partition, Offset::End)?;
                continue;
            }
            let held = ranges.get(&(topic.clone(), partition)).copied();
            let held = held.with_context(|| format!("the brokers do not say what {topic}/{partition} holds"))?;
            let commit = committed.get(&(topic.clone(), partition));
            let start = self
                .state()
                .topics
                .get(&topic)
                .map(|topic| start(commit, topic, partition, held));
            let offset = match start.with_context(|| format!("{topic} was assigned and is not known"))? {
                Start::At(offset) => {
                    waiting += held.behind(offset) * u64::from(self.is_read(&topic));
                    offset
                }
                Start::OutOfRange(offset) => {
                    self.hold_out_of_range(&topic, partition, offset, held)?;
                    Offset::Offset(offset)
                }
            };
            list.set_partition_offset(&topic, partition, offset)?;
        }
        Ok(waiting)
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

    fn assign(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> anyhow::Result<()> {
        let topics: BTreeSet<String> = list.elements().iter().map(|element| element.topic().to_owned()).collect();
        if !topics.is_empty() {
            let present = Self::present(consumer)?;
            let mut known = self.store.load(self.source)?;
            let mut is_news = false;
            for topic in &topics {
                is_news |= self.sight(topic, &present, &known)?;
            }
            if is_news {
                known = self.store.load(self.source)?;
            }
            self.weigh(&known)?;
            let waiting = self.place(consumer, list, &present)?;
            self.state().waiting += waiting;
        }
        consumer.incremental_assign(list).context("assigning partitions")?;
        self.state().assigned.extend(partitions_of(list));
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
    pub(super) fn follow(&self, consumer: &BaseConsumer<Self>, topics: &[SourceTopic]) -> anyhow::Result<bool> {
        let before = self.state().topics.clone();
        for topic in topics {
            if let Some(known) = self.state().topics.get_mut(&topic.topic) {
                *known = topic.clone();
            }
        }
        self.weigh(topics)?;
        let is_accepted = |now: &&SourceTopic| {
            now.is_read()
                && before.get(&now.topic).is_some_and(|before| {
                    let restated = ReadUnder::recorded(before) != ReadUnder::recorded(now) || before.partitions != now.partitions;
                    restated || !before.is_read()
                })
        };
        let accepted: BTreeSet<String> = self
            .state()
            .topics
            .values()
            .filter(is_accepted)
            .map(|topic| topic.topic.clone())
            .collect();
        if !accepted.is_empty() {
            let present = Self::present(consumer)?;
            for topic in &accepted {
                tracing::info!(topic, "topic accepted");
                self.sight(topic, &present, topics)?;
            }
            let mut list = Self::assigned(consumer, |topic| accepted.contains(topic))?;
            if list.count() > 0 {
                let waiting = self.place(consumer, &mut list, &present)?;
                self.state().waiting += waiting;
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

    /// After the consumer said that it does not know some position: holds the topic where it is out of range, else begins there again.
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
        // The client has given up what it could not find a place in, and says so once: only what is assigned anew is read.
        let mut again = TopicPartitionList::new();
        for element in unread.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            if self.is_read(topic) && !positions.contains_key(&(topic.to_owned(), partition)) {
                again.add_partition_offset(topic, partition, element.offset())?;
            }
        }
        if again.count() > 0 {
            consumer.incremental_unassign(&again).context("leaving unread partitions")?;
            consumer.incremental_assign(&again).context("reading unread partitions")?;
        }
        self.pause_held(consumer)?;
        self.report();
        Ok(())
    }
}

fn partitions_of(list: &TopicPartitionList) -> BTreeSet<TopicPartition> {
    let elements = list.elements();
    let named = elements
        .iter()
        .map(|element| (element.topic().to_owned(), element.partition()));
    named.collect()
}
