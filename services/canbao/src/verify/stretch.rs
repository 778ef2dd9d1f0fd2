//! What the normalisers have taken of each partition of a source topic.

use super::books::Topics;
use crate::topics;
use anyhow::Context;
use domain::source::Source;
use runtime::config::Settings;
use runtime::dialect::Dialects;
use runtime::kafka::offsets::{self, Commit, Watermarks};
use runtime::normaliser::read_up_to;

/// A partition of a source topic as the brokers have it.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(super) source: Source,
    pub(super) table: String,
    pub(super) topic: String,
    pub(super) partition: u16,
    pub(super) held: Watermarks,
    pub(super) commit: Option<Commit>,
}

impl Stretch {
    /// Offsets whose messages the normaliser has taken.
    pub(super) fn taken(&self) -> std::ops::Range<i64> {
        self.held.low..self.committed().unwrap_or(self.held.low).clamp(self.held.low, self.held.high)
    }

    pub(super) fn committed(&self) -> Option<i64> {
        self.commit.as_ref().map(|commit| commit.offset)
    }

    /// The same, with less taken where an operator had the topic read again since.
    pub(super) fn under(&self, topics: &Topics) -> Self {
        let mut stretch = self.clone();
        if let (Some(commit), Some(topic)) = (&mut stretch.commit, topics.get(&self.topic)) {
            commit.offset = read_up_to(commit, topic, self.partition, self.held.low);
        }
        stretch
    }

    /// The same with the table as its dialect spells it, and so its records.
    pub(super) fn spelled(mut self, dialects: &Dialects) -> Self {
        if let Some(table) = dialects.find(self.source, &self.table) {
            table.name.as_str().clone_into(&mut self.table);
        }
        self
    }

    pub(super) fn messages(&self) -> u64 {
        let taken = self.taken();
        (taken.end - taken.start).max(0) as u64
    }
}

/// Where sources and their normalisers stand. Asked before the store: what is committed then stands in `person.records`.
///
/// # Errors
/// When the brokers do not answer.
pub(crate) fn stretches(settings: &Settings) -> anyhow::Result<Vec<Stretch>> {
    let found = topics::source_topics(settings)?;
    let mut stretches = Vec::new();
    for group in found.chunk_by(|one, two| one.source == two.source) {
        let consumer = topics::group_reader(settings, group[0].source)?;
        let partitions = group
            .iter()
            .flat_map(|topic| (0..topic.partitions as i32).map(|partition| (topic.name.clone(), partition)));
        let commits = offsets::commits(&consumer, partitions)
            .with_context(|| format!("reading what the normaliser of {} has committed", group[0].source))?;
        for topic in group {
            for partition in 0..topic.partitions as i32 {
                let held = offsets::watermarks(&consumer, &topic.name, partition)
                    .with_context(|| format!("reading the range of {}/{partition}", topic.name))?;
                stretches.push(Stretch {
                    source: topic.source,
                    table: topic.table.clone(),
                    commit: commits.get(&(topic.name.clone(), partition)).cloned(),
                    topic: topic.name.clone(),
                    partition: partition as u16,
                    held,
                });
            }
        }
    }
    Ok(stretches)
}

#[cfg(test)]
mod tests {
    use super::super::books::shares;
    use super::*;
    use crate::verify::sample::source;
    use runtime::normaliser::source_topic::SourceTopic;

    #[test]
    fn what_is_taken_lies_between_the_first_held_and_the_committed_offset() {
        let stretch = |committed: Option<i64>| Stretch {
            source: source(),
            table: "ac02".into(),
            topic: "human-resources.3201.public.ac02".into(),
            partition: 0,
            held: Watermarks { low: 10, high: 20 },
            commit: committed.map(|offset| Commit {
                offset,
                metadata: String::new(),
            }),
        };
        assert_eq!(stretch(Some(15)).taken(), 10..15);
        assert_eq!(stretch(None).messages(), 0);
        assert_eq!(stretch(Some(5)).messages(), 0, "what expired cannot be read again");

        let mut topic = SourceTopic::first("human-resources.3201.public.ac02", (source(), "ac02"), 1);
        topic.replay = 1;
        let topics = Topics::from([(topic.topic.clone(), topic)]);
        assert_eq!(
            stretch(Some(15)).under(&topics).taken(),
            10..10,
            "to be read again, and not yet"
        );

        let all = [stretch(Some(19)), stretch(Some(15)), stretch(None), stretch(Some(14))];
        let shares: Vec<u64> = shares(&all, 2)
            .iter()
            .map(|share| share.iter().map(|stretch| stretch.messages()).sum())
            .collect();
        assert_eq!(shares, [9, 9]);
    }
}
