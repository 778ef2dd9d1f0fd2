//! What is recorded of the topics: first sightings, holds, and what a topic waits for.

use super::{Positions, Present};
use crate::kafka::offsets::Watermarks;
use crate::normaliser::hold::Hold;
use crate::normaliser::source_topic::{SourceTopic, TruncatedAt};
use rdkafka::consumer::BaseConsumer;

impl Positions {
    /// Holds every topic of the source, also those that other replicas read.
    pub(in super::super) fn hold_source(&self, consumer: &BaseConsumer<Self>, reason: &str) -> anyhow::Result<()> {
        let present = Self::present(consumer)?;
        for topic in self.store.load(self.source)? {
            // What is not read anyway has its own reason, or was replaced.
            if topic.is_read() && present.contains_key(&topic.topic) {
                self.hold(&topic.topic, reason.to_owned())?;
            }
        }
        self.pause_held(consumer)?;
        self.report();
        Ok(())
    }

    /// A table was truncated at its source: the clock says to every shard which rows are unsure from now on, and for how long.
    pub(in super::super) fn note_truncated(&self, topic: &str, at: &TruncatedAt) -> anyhow::Result<()> {
        if self.store.note_truncated(topic, at)? {
            let TruncatedAt { partition, offset, .. } = at;
            tracing::warn!(topic, partition, offset, "its table was truncated at the source");
        }
        Ok(())
    }

    pub(in super::super) fn hold(&self, topic: &str, reason: String) -> anyhow::Result<()> {
        tracing::error!(topic, reason, "topic held");
        self.store.hold(topic, &reason)?;
        if let Some(topic) = self.state().topics.get_mut(topic) {
            topic.held.get_or_insert(reason);
        }
        Ok(())
    }

    /// Records a topic's first sighting, or holds it when its partition count is not the recorded one. Whether anything was recorded that
    /// was not `known`.
    pub(super) fn sight(&self, topic: &str, present: &Present, known: &[SourceTopic]) -> anyhow::Result<bool> {
        let Some(of) = self.tables.of(topic).filter(|(source, _)| *source == self.source) else {
            return Ok(false);
        };
        let found = present.get(topic).map_or(0, Vec::len) as u32;
        // Recording takes its turn with every topic of every region: seconds of a start, where nearly all are known.
        let is_it = |known: &&SourceTopic| known.topic == topic && (known.source, &*known.table) == of;
        let (recorded, is_news) = match known.iter().find(is_it) {
            Some(known) => (known.clone(), false),
            None => (self.store.record(topic, of, found)?, true),
        };
        let expected = recorded.partitions;
        let is_left = {
            let mut state = self.state();
            let known = state.topics.entry(topic.to_owned()).or_insert_with(|| recorded.clone());
            (known.table, known.source) = (recorded.table, recorded.source);
            known.held = known.held.take().or(recorded.held);
            known.held.is_some() || known.replaced_by.is_some()
        };
        if found != expected && !is_left {
            let cause = Hold::Partitions {
                found,
                recorded: expected,
            };
            self.hold(topic, cause.reason(topic))?;
        }
        Ok(is_news)
    }

    /// Finds anew what topics wait for as dialects and topics stand, of all that are recorded for the source.
    pub(super) fn weigh(&self, recorded: &[SourceTopic]) -> anyhow::Result<()> {
        let mut changed = Vec::new();
        for topic in self.state().topics.values_mut() {
            let waits = self.tables.wait(topic, recorded).filter(|_| topic.replaced_by.is_none());
            if topic.waits != waits {
                changed.push((topic.topic.clone(), waits.clone()));
                topic.waits = waits;
            }
        }
        for (topic, waits) in changed {
            if let Some(reason) = &waits {
                tracing::error!(topic, reason, "topic not read");
            } else {
                tracing::info!(topic, "topic read from now on");
            }
            self.store.wait(&topic, waits.as_deref())?;
        }
        Ok(())
    }

    pub(super) fn is_started(&self, topic: &str) -> bool {
        self.state().topics.get(topic).is_some_and(|topic| topic.started)
    }

    /// Remembers that offsets of a topic are committed.
    pub(in super::super) fn start(&self, topic: &str) -> anyhow::Result<()> {
        if !self.is_started(topic) {
            self.store.start(topic)?;
            if let Some(topic) = self.state().topics.get_mut(topic) {
                topic.started = true;
            }
        }
        Ok(())
    }

    /// Holds a topic whose committed offsets are gone.
    pub(in super::super) fn hold_forgotten(&self, topic: &str) -> anyhow::Result<()> {
        if self.is_read(topic) {
            self.hold(topic, Hold::Forgotten.reason(topic))?;
        }
        Ok(())
    }

    pub(super) fn hold_out_of_range(&self, topic: &str, partition: i32, offset: i64, held: Watermarks) -> anyhow::Result<()> {
        if self.is_read(topic) {
            self.hold(topic, Hold::out_of_range(partition, offset, held).reason(topic))?;
        }
        Ok(())
    }
}
