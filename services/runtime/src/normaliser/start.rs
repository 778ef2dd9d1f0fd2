//! Where reading a partition begins: pure, from what is committed, recorded and held.

use crate::kafka::offsets::Watermarks;
use rdkafka::Offset;

/// Metadata of a committed offset.
pub(super) fn commit_metadata(replay: u32) -> String {
    format!("replay={replay}")
}

/// The replay count that metadata of a committed offset tell.
pub(super) fn replay_of(metadata: &str) -> u32 {
    metadata
        .strip_prefix("replay=")
        .and_then(|count| count.parse().ok())
        .unwrap_or(0)
}

/// Where reading a partition begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Here.
    At(Offset),
    /// The committed offset is not held by the broker any more, or not yet.
    OutOfRange(i64),
}

/// A committed offset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Committed {
    /// Offset of the next message.
    pub(super) offset: i64,
    /// The replay count it belongs to.
    pub(super) replay: u32,
}

/// Committed offset, recorded replay count, what the broker holds: where to begin.
pub(super) fn start(committed: Option<Committed>, replay: u32, held: Watermarks) -> Start {
    match committed {
        None => Start::At(Offset::Beginning),
        Some(committed) if committed.replay < replay => Start::At(Offset::Beginning),
        Some(Committed { offset, .. }) if held.holds(offset) => Start::At(Offset::Offset(offset)),
        Some(Committed { offset, .. }) => Start::OutOfRange(offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_chosen_and_never_skip() {
        let held = Watermarks { low: 10, high: 20 };
        let committed = |offset, metadata| {
            Some(Committed {
                offset,
                replay: replay_of(metadata),
            })
        };
        assert_eq!(start(None, 0, held), Start::At(Offset::Beginning));
        assert_eq!(start(committed(15, ""), 0, held), Start::At(Offset::Offset(15)));
        assert_eq!(start(committed(20, "replay=1"), 1, held), Start::At(Offset::Offset(20)));
        assert_eq!(start(committed(15, "replay=1"), 2, held), Start::At(Offset::Beginning));
        let metadata = commit_metadata(1);
        for lost in [9, 21] {
            assert_eq!(start(committed(lost, &metadata), 1, held), Start::OutOfRange(lost));
        }
    }
}
