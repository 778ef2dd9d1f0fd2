//! Reads stretches of many partitions again at once: one by one, hundreds of partitions would each pay a start of their own.

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use runtime::kafka::offsets::is_transient;
use runtime::kafka::read_range;
use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Silence after which what is left is read one by one: there, the end is known even behind offsets that hold no message.
const SILENCE: Duration = Duration::from_secs(2);

/// A stretch of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offsets: Range<i64>,
}

/// How far each stretch has been read.
struct Progress<'a> {
    wanted: &'a [Wanted<'a>],
    next: Vec<i64>,
    by_topic: HashMap<&'a str, HashMap<i32, usize>>,
    open: usize,
}

impl<'a> Progress<'a> {
    fn new(wanted: &'a [Wanted<'a>]) -> Self {
        let mut by_topic: HashMap<&str, HashMap<i32, usize>> = HashMap::new();
        for (at, stretch) in wanted.iter().enumerate() {
            by_topic.entry(stretch.topic).or_default().insert(stretch.partition, at);
        }
        let open = wanted.iter().filter(|stretch| !stretch.offsets.is_empty()).count();
        Self {
            wanted,
            next: wanted.iter().map(|stretch| stretch.offsets.start).collect(),
            by_topic,
            open,
        }
    }

    fn is_open(&self, at: usize) -> bool {
        self.next[at] < self.wanted[at].offsets.end
    }

    /// The stretch an offset belongs to, if it is the next of one; counts it as read.
    fn take(&mut self, topic: &str, partition: i32, offset: i64) -> Taken {
        let Some(at) = self
            .by_topic
            .get(topic)
            .and_then(|partitions| partitions.get(&partition))
            .copied()
        else {
            return Taken::Nothing;
        };
        if !self.is_open(at) || offset < self.next[at] {
            return Taken::Nothing;
        }
        let end = self.wanted[at].offsets.end;
        self.next[at] = offset + 1;
        let last = offset + 1 >= end;
        self.open -= usize::from(last);
        match (offset < end, last) {
            (true, false) => Taken::Message(at),
            (true, true) => Taken::Last(at),
            (false, _) => Taken::Behind,
        }
    }
}

/// What a message is to the stretches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// Of none that is still open.
    Nothing,
    /// Of this one.
    Message(usize),
    /// The last of this one.
    Last(usize),
    /// The first behind one, which ended with offsets that hold no message.
    Behind,
}

/// Hands every message of the stretches to `take`, with the stretch's place in the list; in order within each.
///
/// # Errors
/// When the brokers do not answer, or no longer hold a stretch.
pub(crate) fn reread<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    wanted: &[Wanted<'_>],
    mut take: impl FnMut(usize, &BorrowedMessage<'_>),
) -> anyhow::Result<()> {
    let mut progress = Progress::new(wanted);
    let mut list = TopicPartitionList::new();
    for stretch in wanted.iter().filter(|stretch| !stretch.offsets.is_empty()) {
        list.add_partition_offset(stretch.topic, stretch.partition, Offset::Offset(stretch.offsets.start))?;
    }
    consumer.assign(&list).context("assigning partitions")?;
    let mut heard = Instant::now();
    while progress.open > 0 && heard.elapsed() < SILENCE {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let taken = progress.take(message.topic(), message.partition(), message.offset());
                if let Taken::Message(at) | Taken::Last(at) = taken {
                    take(at, &message);
                }
                if matches!(taken, Taken::Last(_) | Taken::Behind) {
                    // Nothing behind the end is of interest, however much follows.
                    let mut done = TopicPartitionList::new();
                    done.add_partition(message.topic(), message.partition());
                    consumer.pause(&done).context("leaving a partition")?;
                }
            }
            None | Some(Err(KafkaError::PartitionEOF(_))) => (),
            Some(Err(error)) if is_transient(&error) => tracing::warn!(%error, "reading topics again"),
            Some(Err(error)) => return Err(error).context("reading topics again"),
        }
    }
    consumer.unassign().context("leaving topics")?;
    for (at, stretch) in wanted.iter().enumerate() {
        if progress.is_open(at) {
            read_range(
                consumer,
                stretch.topic,
                stretch.partition,
                progress.next[at],
                stretch.offsets.end,
                |message| take(at, message),
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stretch_ends_by_itself() {
        let wanted = [
            Wanted {
                topic: "a",
                partition: 0,
                offsets: 5..7,
            },
            Wanted {
                topic: "a",
                partition: 1,
                offsets: 0..3,
            },
            Wanted {
                topic: "b",
                partition: 0,
                offsets: 4..4,
            },
        ];
        let mut progress = Progress::new(&wanted);
        assert_eq!(progress.open, 2, "an empty stretch is read already");
        assert_eq!(progress.take("a", 0, 5), Taken::Message(0));
        assert_eq!(progress.take("a", 0, 6), Taken::Last(0));
        assert_eq!(progress.take("a", 0, 7), Taken::Nothing);
        assert_eq!(progress.take("b", 0, 4), Taken::Nothing);
        // Offsets 1 and 2 hold no message.
        assert_eq!(progress.take("a", 1, 0), Taken::Message(1));
        assert_eq!(progress.take("a", 1, 3), Taken::Behind);
        assert_eq!(progress.open, 0);
    }
}
