//! How long a consumer waits for its group, or for the broker that keeps its positions.

use super::REQUEST_TIMEOUT;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientConfig, ClientContext};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longer than a member that is gone keeps the others waiting.
const LONGEST: Duration = Duration::from_secs(300);

/// Since when a consumer waits for its group; `None` while it is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Joining(Option<Instant>);

impl Joining {
    /// What the client says now.
    pub fn note(&mut self, joining: bool, now: Instant) {
        self.0 = joining.then(|| self.0.unwrap_or(now));
    }

    /// A client that was starved for minutes may look for its group's coordinator for ever (librdkafka 2.12), while its process and the
    /// brokers are well: only another client helps then.
    ///
    /// # Errors
    /// When it has waited for longer than any rebalance takes.
    pub fn check(self, now: Instant) -> anyhow::Result<()> {
        let waited = self.0.map(|since| now.saturating_duration_since(since));
        match waited.filter(|waited| *waited >= LONGEST) {
            None => Ok(()),
            Some(waited) => anyhow::bail!(
                "its group has not taken it in for {} s, another client tries: do the brokers answer?",
                waited.as_secs()
            ),
        }
    }
}

/// A [`Joining`] that its client's callbacks note and its reader asks.
#[derive(Debug, Default)]
pub struct Coordination(Mutex<Joining>);

impl Coordination {
    /// What the client's statistics say now.
    pub fn note(&self, joining: bool) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(joining, Instant::now());
    }

    /// For who can only begin again as a process: while no other client reaches the brokers either, that would help nothing, and it waits
    /// as long again.
    ///
    /// # Errors
    /// When the consumer has waited too long although the brokers answer another client, made as `config` says.
    pub fn check(&self, config: &ClientConfig) -> anyhow::Result<()> {
        let stuck = {
            let joining = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            joining.check(Instant::now())
        };
        if stuck.is_err() && !answer(config) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Joining::default();
            return Ok(());
        }
        stuck
    }
}

/// Whether the brokers answer a new client.
fn answer(config: &ClientConfig) -> bool {
    let mut config = config.clone();
    config.set("statistics.interval.ms", "0");
    let client = config.create::<BaseConsumer>();
    client.is_ok_and(|client| {
        client
            .fetch_metadata(Some(super::topics::PERSON_RECORDS), REQUEST_TIMEOUT)
            .is_ok()
    })
}

/// Of a consumer that joins no group but resumes at a group's positions: without their coordinator it reads nothing, and says nothing.
impl ClientContext for Coordination {
    fn stats(&self, statistics: Statistics) {
        self.note(statistics.cgrp.is_none_or(|group| group.state != "up"));
    }
}

impl ConsumerContext for Coordination {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_too_long_ends_only_where_another_client_would_be_answered() {
        let Some(long_ago) = Instant::now().checked_sub(LONGEST) else {
            return; // The machine has not run for that long.
        };
        let waiting = Coordination(Mutex::new(Joining(Some(long_ago))));
        let mut nowhere = ClientConfig::new();
        nowhere.set("bootstrap.servers", "127.0.0.1:1").set("group.id", "test");
        waiting.check(&nowhere).expect("another client would wait too");
        assert_eq!(
            *waiting.0.lock().expect("no panic holds it"),
            Joining::default(),
            "and it waits as long again"
        );
    }

    #[test]
    fn a_consumer_that_waits_too_long_ends() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut joining = Joining::default();
        assert!(joining.check(at(1_000)).is_ok(), "it is in its group");
        joining.note(true, at(0));
        joining.note(true, at(200));
        assert!(joining.check(at(299)).is_ok());
        let said = joining.check(at(300)).expect_err("too long").to_string();
        assert!(said.contains("for 300 s"), "{said}");
        joining.note(false, at(301));
        joining.note(true, at(302));
        assert!(joining.check(at(600)).is_ok(), "it was in its group meanwhile");
    }
}
