//! A producer's first message in a partition travels alone.
//!
//! Brokers check the order of a producer's messages from the first one they have seen of it in a partition. While a partition gets its leader
//! or moves to another, a first message may be refused, and a second one that is already under way be taken: to the brokers that one is the
//! first. The client takes whatever was sent before a delivered message for delivered too, so the refused one would be lost, and everybody
//! would believe it stood there. Once a broker knows the producer, a gap is refused, and the client sends again in order.

use super::SAY_WAITING;
use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long brokers remember a producer that sends nothing to a partition is theirs to say (`producer.id.expiration.ms`, a day unless
/// changed); after this the next message counts as a first one again.
const REMEMBERED: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy)]
enum Lane {
    /// The first message is under way.
    Opening,
    /// Brokers know the producer; when it last sent something.
    Open(Instant),
}

/// The partitions of topics to which a producer has sent.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    topics: Mutex<HashMap<String, HashMap<i32, Lane>>>,
    changed: Condvar,
}

impl Lanes {
    fn topics(&self) -> MutexGuard<'_, HashMap<String, HashMap<i32, Lane>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while a first message is under way to a partition; whether the next one is a first one.
    pub(super) fn enter(&self, topic: &str, partition: i32) -> bool {
        let mut topics = self.topics();
        loop {
            if let Some(is_first) = try_enter(&mut topics, topic, partition) {
                return is_first;
            }
            let (woken, wait) = self
                .changed
                .wait_timeout(topics, SAY_WAITING)
                .unwrap_or_else(PoisonError::into_inner);
            topics = woken;
            if wait.timed_out() {
                tracing::warn!(
                    topic,
                    partition,
                    "the brokers have not taken a first message yet: waiting; are they running?"
                );
            }
        }
    }

    /// Whether the next message to a partition is a first one; `None` while one is under way.
    pub(super) fn try_enter(&self, topic: &str, partition: i32) -> Option<bool> {
        try_enter(&mut self.topics(), topic, partition)
    }

    /// The first message to a partition was delivered, or it failed and the next one is the first.
    pub(super) fn opened(&self, topic: &str, partition: i32, is_delivered: bool) {
        let mut topics = self.topics();
        if let Some(lanes) = topics.get_mut(topic) {
            if is_delivered {
                lanes.insert(partition, Lane::Open(Instant::now()));
            } else {
                lanes.remove(&partition);
            }
        }
        self.changed.notify_all();
    }
}

fn try_enter(topics: &mut HashMap<String, HashMap<i32, Lane>>, topic: &str, partition: i32) -> Option<bool> {
    if !topics.contains_key(topic) {
        topics.insert(topic.to_owned(), HashMap::new());
    }
    let lanes = topics.get_mut(topic).expect("made above");
    let now = Instant::now();
    match lanes.get_mut(&partition) {
        Some(Lane::Open(last)) if now.duration_since(*last) < REMEMBERED => {
            *last = now;
            return Some(false);
        }
        Some(Lane::Opening) => return None,
        Some(lane) => *lane = Lane::Opening,
        None => {
            lanes.insert(partition, Lane::Opening);
        }
    }
    Some(true)
}
