//! Messages that a sender keeps until the first one to their partition has arrived.
//!
//! Waiting for each partition's first one where it comes would cost a round trip, and the producer's linger, for nearly each of the 64 logs
//! at every start: of a backlog of 20,000 rows most of the time. So the first ones go out together, and what follows them afterwards.

use super::{DeliveryError, Outgoing};

/// Messages that are kept at most.
const MOST: usize = 10_000;

/// What a sender keeps, in its order.
#[derive(Debug, Default)]
pub(super) struct Aside {
    partitions: Vec<(String, i32)>,
    messages: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// Index of its partition.
    to: usize,
    key: Vec<u8>,
    value: Vec<u8>,
    timestamp: Option<i64>,
}

impl Aside {
    /// Whether a message for the partition is kept: another one must not overtake it.
    pub(super) fn holds(&self, topic: &str, partition: i32) -> bool {
        self.place(topic, partition).is_some()
    }

    fn place(&self, topic: &str, partition: i32) -> Option<usize> {
        self.partitions
            .iter()
            .position(|(of, number)| *number == partition && of == topic)
    }

    /// Keeps a message; `false` when they are many now and should be sent.
    pub(super) fn keep(&mut self, message: Outgoing<'_>) -> bool {
        let to = self.place(message.topic, message.partition).unwrap_or_else(|| {
            self.partitions.push((message.topic.to_owned(), message.partition));
            self.partitions.len() - 1
        });
        self.messages.push(Kept {
            to,
            key: message.key.to_vec(),
            value: message.value.to_vec(),
            timestamp: message.timestamp,
        });
        self.messages.len() < MOST
    }

    /// Gives the messages away, in their order.
    ///
    /// # Errors
    /// The first one of `send`; what is behind it is kept no longer.
    pub(super) fn each(&mut self, mut send: impl FnMut(Outgoing<'_>) -> Result<(), DeliveryError>) -> Result<(), DeliveryError> {
        let partitions = std::mem::take(&mut self.partitions);
        std::mem::take(&mut self.messages).into_iter().try_for_each(|kept| {
            let (topic, partition) = &partitions[kept.to];
            send(Outgoing {
                topic,
                partition: *partition,
                key: &kept.key,
                value: &kept.value,
                timestamp: kept.timestamp,
            })
        })
    }
}
