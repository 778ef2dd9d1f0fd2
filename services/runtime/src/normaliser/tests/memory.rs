//! What is recorded of topics, without a database.

use super::*;
use crate::normaliser::source_topic::{SourceTopic, TruncatedAt};
use std::sync::atomic::{AtomicUsize, Ordering};

/// [`TopicStore`] in memory.
#[derive(Default)]
pub(super) struct Memory {
    topics: Mutex<BTreeMap<String, SourceTopic>>,
    truncated: Mutex<Vec<(String, TruncatedAt)>>,
    recordings: AtomicUsize,
}

impl Memory {
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<String, SourceTopic>) -> T) -> T {
        change(&mut self.topics.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where tables were truncated, in the order noted.
    pub(super) fn truncated(&self) -> Vec<(String, TruncatedAt)> {
        self.truncated.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a topic was to be recorded.
    pub(super) fn recordings(&self) -> usize {
        self.recordings.load(Ordering::Relaxed)
    }

    pub(super) fn held(&self) -> Option<String> {
        self.with(|topics| topics.get(TABLE).and_then(|topic| topic.held.clone()))
    }
}

impl TopicStore for Memory {
    fn load(&self, source: Source) -> anyhow::Result<Vec<SourceTopic>> {
        Ok(self.with(|topics| topics.values().filter(|topic| topic.source == source).cloned().collect()))
    }

    fn record(&self, topic: &str, of: (Source, &str), partitions: u32) -> anyhow::Result<SourceTopic> {
        self.recordings.fetch_add(1, Ordering::Relaxed);
        let mut first = SourceTopic::first(topic, of, partitions);
        Ok(self.with(|topics| {
            first.place = topics.len() as i64;
            topics.entry(topic.to_owned()).or_insert(first).clone()
        }))
    }

    fn start(&self, topic: &str) -> anyhow::Result<()> {
        self.with(|topics| topics.get_mut(topic).map(|topic| topic.started = true));
        Ok(())
    }

    fn hold(&self, topic: &str, reason: &str) -> anyhow::Result<()> {
        self.with(|topics| {
            topics
                .get_mut(topic)
                .map(|topic| topic.held.get_or_insert(reason.to_owned()).clone())
        });
        Ok(())
    }

    fn note_truncated(&self, topic: &str, at: &TruncatedAt) -> anyhow::Result<bool> {
        let mut noted = self.truncated.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !noted.iter().any(|(of, known)| of == topic && known == at);
        if is_new {
            noted.push((topic.to_owned(), *at));
        }
        Ok(is_new)
    }

    fn wait(&self, topic: &str, reason: Option<&str>) -> anyhow::Result<()> {
        self.with(|topics| topics.get_mut(topic).map(|topic| topic.waits = reason.map(str::to_owned)));
        Ok(())
    }
}
