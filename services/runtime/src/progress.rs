//! Whether a loop's work moves, as a small state machine: what is in hand, what waits, when either moved last, what failed since.
//!
//! Pure: times are handed in. [`crate::health`] asks it when readiness is asked for, so that a thread that is stuck in a call, and could
//! say nothing itself, is seen all the same.

use std::time::{Duration, Instant};

/// How long work may stand still before its service counts as unable: longer than a rebalance (10 s), a lock that is given up
/// ([`crate::store::session`], 10 s) or a request's timeout (10 s) take, shorter than an operator's patience.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is to be done.
    Idle,
    /// It moves, or has not stood still for long.
    Moving,
    /// The last attempt failed, and nothing has moved since.
    Failing(String),
    /// It stands still.
    Stuck {
        /// For how long.
        since: Duration,
        /// What is being done, or what waits.
        doing: &'static str,
    },
}

/// One loop's progress.
#[derive(Debug, Clone)]
pub struct Progress {
    deadline: Duration,
    /// The step in hand: since when, and what it is.
    step: Option<(Instant, &'static str)>,
    /// Something waits to be taken in hand: since when nothing of it has moved, and what it is.
    waiting: Option<(Instant, &'static str)>,
    failed: Option<String>,
}

impl Progress {
    /// Nothing to do yet; work counts as stuck after it stood still for `deadline`.
    pub fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            step: None,
            waiting: None,
            failed: None,
        }
    }

    /// A step is taken in hand, or another part of it begins: `doing`, for people.
    pub fn begin(&mut self, doing: &'static str, now: Instant) {
        self.step = Some((now, doing));
    }

    /// The step in hand failed and is tried again, or will be; `reason` stands until something moves. It must hold nothing personal.
    pub fn fail(&mut self, reason: String) {
        self.failed = Some(reason);
    }

    /// The step is done and something moved, or there is nothing left that could.
    pub fn moved(&mut self, now: Instant) {
        self.step = None;
        self.failed = None;
        if let Some((since, _)) = &mut self.waiting {
            *since = now;
        }
    }

    /// The step is done, and there was nothing to move.
    pub fn rest(&mut self) {
        self.step = None;
    }

    /// Whether something waits to be taken in hand, as far as is known now.
    pub fn wait(&mut self, waiting: Option<&'static str>, now: Instant) {
        self.waiting = match (waiting, self.waiting) {
            (Some(what), Some((since, _))) => Some((since, what)),
            (Some(what), None) => Some((now, what)),
            (None, _) => None,
        };
    }

    /// How it stands at `now`.
    pub fn standing(&self, now: Instant) -> Standing {
        if let Some(reason) = &self.failed {
            return Standing::Failing(reason.clone());
        }
        let stuck = |(since, doing): &(Instant, &'static str)| {
            let since = now.saturating_duration_since(*since);
            (since > self.deadline).then_some(Standing::Stuck { since, doing })
        };
        // The step in hand says more than what waits behind it.
        match (&self.step, &self.waiting) {
            (None, None) => Standing::Idle,
            (step, waiting) => step
                .as_ref()
                .and_then(stuck)
                .or_else(|| waiting.as_ref().and_then(stuck))
                .unwrap_or(Standing::Moving),
        }
    }

    /// What readiness says of it; `None` when all is well.
    pub fn problem(&self, now: Instant) -> Option<String> {
        match self.standing(now) {
            Standing::Idle | Standing::Moving => None,
            Standing::Failing(reason) => Some(reason),
            Standing::Stuck { since, doing } => Some(format!("nothing has moved for {} s while {doing}", since.as_secs())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: &str = "applying a batch";
    const LAG: &str = "entries wait";

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_to_do_is_well_however_long() {
        let start = Instant::now();
        let mut progress = Progress::new(DEADLINE);
        assert_eq!(progress.standing(at(start, 86_400)), Standing::Idle);
        progress.begin(BATCH, start);
        progress.moved(at(start, 1));
        assert_eq!(progress.standing(at(start, 86_400)), Standing::Idle);
    }

    #[test]
    fn a_step_that_does_not_end_is_stuck_after_the_deadline_only() {
        let start = Instant::now();
        let mut progress = Progress::new(DEADLINE);
        progress.begin(BATCH, start);
        assert_eq!(progress.standing(at(start, 30)), Standing::Moving);
        let since = Duration::from_secs(31);
        assert_eq!(progress.standing(at(start, 31)), Standing::Stuck { since, doing: BATCH });
        let problem = progress.problem(at(start, 31));
        assert_eq!(problem.as_deref(), Some("nothing has moved for 31 s while applying a batch"));
        progress.moved(at(start, 40));
        assert_eq!(progress.problem(at(start, 41)), None);
    }

    #[test]
    fn what_waits_must_be_taken_in_hand() {
        let start = Instant::now();
        let mut progress = Progress::new(DEADLINE);
        // Known again and again, as from statistics every few seconds, while steps rest without moving anything.
        for second in (0..40).step_by(5) {
            progress.wait(Some(LAG), at(start, second));
            progress.begin(BATCH, at(start, second));
            progress.rest();
        }
        let since = Duration::from_secs(40);
        assert_eq!(progress.standing(at(start, 40)), Standing::Stuck { since, doing: LAG });
        // A long backlog that moves is no trouble.
        for second in 40..400 {
            progress.moved(at(start, second));
            progress.wait(Some(LAG), at(start, second));
            assert_eq!(progress.standing(at(start, second)), Standing::Moving);
        }
        progress.wait(None, at(start, 400));
        assert_eq!(progress.standing(at(start, 4_000)), Standing::Idle);
    }

    #[test]
    fn a_failure_shows_at_once_and_until_something_moves() {
        let start = Instant::now();
        let mut progress = Progress::new(DEADLINE);
        progress.begin(BATCH, start);
        progress.fail("the base is locked".into());
        assert_eq!(progress.problem(at(start, 1)).as_deref(), Some("the base is locked"));
        // Trying again is no progress.
        progress.begin(BATCH, at(start, 2));
        assert_eq!(progress.problem(at(start, 3)).as_deref(), Some("the base is locked"));
        progress.rest();
        assert_eq!(progress.problem(at(start, 4)).as_deref(), Some("the base is locked"));
        progress.moved(at(start, 5));
        assert_eq!(progress.problem(at(start, 5)), None);
    }
}
