//! How long a consumer waits for its group. Pure.

use std::time::{Duration, Instant};

/// Longer than a member that is gone keeps the others waiting.
const LONGEST: Duration = Duration::from_secs(300);

/// Since when a consumer waits for its group; `None` while it is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Joining(Option<Instant>);

impl Joining {
    /// What the client says now.
    pub(super) fn note(&mut self, joining: bool, now: Instant) {
        self.0 = joining.then(|| self.0.unwrap_or(now));
    }

    /// A client that was starved for minutes may look for its group's coordinator for ever (librdkafka 2.12), while its process and the
    /// brokers are well: only another client helps then.
    ///
    /// # Errors
    /// When it has waited for longer than any rebalance takes.
    pub(super) fn check(self, now: Instant) -> anyhow::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
