//! Where reading a partition begins: pure, from what is committed, recorded and held.

use crate::kafka::offsets::{Commit, Watermarks};
use crate::normaliser::source_topic::SourceTopic;
use rdkafka::Offset;

/// Under which of the operator's statements a topic was read: what is committed says so in its metadata, so that an offset from before a
/// statement is recognised, whichever replica committed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadUnder {
    replay: u32,
    /// `None` where it was not noted: before epochs were, or by who moved the offset with another tool.
    epoch: Option<u16>,
}

impl ReadUnder {
    /// Under what is recorded.
    pub(super) fn recorded(topic: &SourceTopic) -> Self {
        Self {
            replay: topic.replay,
            epoch: Some(topic.epochs.latest()),
        }
    }

    /// What metadata of a committed offset tell.
    fn parse(metadata: &str) -> Self {
        let value = |name: &str| {
            metadata
                .split(' ')
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        };
        Self {
            replay: value("replay").and_then(|count| count.parse().ok()).unwrap_or(0),
            epoch: value("epoch").and_then(|epoch| epoch.parse().ok()),
        }
    }

    /// Metadata of an offset to commit.
    pub(super) fn metadata(self) -> String {
        match self.epoch {
            Some(epoch) => format!("replay={} epoch={epoch}", self.replay),
            None => format!("replay={}", self.replay),
        }
    }
}

/// How far a partition has been read under what is recorded now: the committed offset, or less where an operator had it read again since.
/// Not below `low`, the first offset the brokers hold.
pub fn read_up_to(commit: &Commit, topic: &SourceTopic, partition: u16, low: i64) -> i64 {
    let under = ReadUnder::parse(&commit.metadata);
    // Fewer are recorded than were noted where the base was restored from a backup: what was stated in between may be unread.
    if under.replay != topic.replay {
        return low;
    }
    // Committed before epochs were noted, or by somebody else's tool: whatever an operator stated may have come since.
    let known = under.epoch.or(topic.epochs.all().first().map(|epoch| epoch.number));
    let known = known.unwrap_or_default();
    if known > topic.epochs.latest() {
        return low;
    }
    match topic.epochs.changed_from(known, partition) {
        Some(changed) if (changed as i64) < commit.offset => (changed as i64).max(low),
        _ => commit.offset,
    }
}

/// Where reading a partition begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Here.
    At(Offset),
    /// The committed offset is not held by the broker any more, or not yet.
    OutOfRange(i64),
}

/// Where to begin in a partition of a topic.
pub(super) fn start(commit: Option<&Commit>, topic: &SourceTopic, partition: i32, held: Watermarks) -> Start {
    let Some(commit) = commit else {
        return Start::At(Offset::Beginning);
    };
    let offset = read_up_to(commit, topic, partition as u16, held.low);
    if offset == held.low && commit.offset != held.low {
        Start::At(Offset::Beginning)
    } else if held.holds(offset) {
        Start::At(Offset::Offset(offset))
    } else {
        Start::OutOfRange(commit.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::epoch::Moves;

    fn topic_of_one_partition() -> SourceTopic {
        SourceTopic::first("t", ("human-resources.3201".parse().expect("a source"), "t"), 1)
    }

    fn commit(offset: i64, metadata: &str) -> Commit {
        Commit {
            offset,
            metadata: metadata.to_owned(),
        }
    }

    #[test]
    fn starts_are_chosen_and_never_skip() {
        let held = Watermarks { low: 10, high: 20 };
        let start = |commit: Option<Commit>, replay| {
            let topic = SourceTopic {
                replay,
                ..topic_of_one_partition()
            };
            start(commit.as_ref(), &topic, 0, held)
        };
        assert_eq!(start(None, 0), Start::At(Offset::Beginning));
        assert_eq!(start(Some(commit(15, "")), 0), Start::At(Offset::Offset(15)));
        assert_eq!(start(Some(commit(20, "replay=1")), 1), Start::At(Offset::Offset(20)));
        assert_eq!(start(Some(commit(15, "replay=1")), 2), Start::At(Offset::Beginning));
        assert_eq!(start(Some(commit(15, "replay=3")), 2), Start::At(Offset::Beginning));
        assert_eq!(start(Some(commit(15, "replay=1 epoch=4")), 1), Start::At(Offset::Beginning));
        assert_eq!(
            start(Some(commit(9, "replay=1")), 2),
            Start::At(Offset::Beginning),
            "even if it is lost"
        );
        for lost in [9, 21] {
            assert_eq!(start(Some(commit(lost, "replay=1 epoch=0")), 1), Start::OutOfRange(lost));
        }
    }

    #[test]
    fn what_changed_its_epoch_is_read_again() {
        let held = Watermarks { low: 10, high: 20 };
        let mut topic = topic_of_one_partition();
        topic.epochs = topic
            .epochs
            .repartitioned(1, &[14, 0], &Moves::default())
            .expect("few epochs");
        let at = |topic: &SourceTopic, offset, metadata: &str| start(Some(&commit(offset, metadata)), topic, 0, held);
        assert_eq!(at(&topic, 16, "replay=0 epoch=0"), Start::At(Offset::Offset(14)));
        assert_eq!(at(&topic, 12, "replay=0 epoch=0"), Start::At(Offset::Offset(12)));
        let under = ReadUnder::recorded(&topic).metadata();
        assert_eq!(at(&topic, 16, &under), Start::At(Offset::Offset(16)));
        assert_eq!(
            at(&topic, 16, "replay=0"),
            Start::At(Offset::Offset(14)),
            "who committed did not know of the epoch"
        );
        topic.epochs = topic.epochs.restarted().expect("few epochs");
        let under = under.as_str();
        for (offset, metadata) in [(5, under), (16, under), (99, under), (99, "")] {
            assert_eq!(
                at(&topic, offset, metadata),
                Start::At(Offset::Beginning),
                "whatever was committed before"
            );
        }
    }
}
