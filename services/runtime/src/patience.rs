//! Waiting out what passes, and saying so: the first cause at once, afterwards not more often than people read.

use crate::shutdown::Shutdown;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// The first pause; each is twice as long as the one before, up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
pub const LONGEST: Duration = Duration::from_secs(5);
/// How often an unchanged cause is said again.
const AGAIN: Duration = Duration::from_secs(30);

/// Attempts at one piece of work: how long to pause, and whether to say why. Pure.
#[derive(Debug, Clone)]
pub struct Attempts {
    since: Instant,
    pause: Duration,
    said: Option<(Instant, String)>,
}

impl Attempts {
    /// Before the first.
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            pause: FIRST,
            said: None,
        }
    }

    /// For how long it has been tried.
    pub fn lasted(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// After a failed attempt: the pause before the next.
    pub fn pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST);
        pause
    }

    /// Whether a failure is to be said: the first, another one than the last that was said, or one that has lasted.
    pub fn is_news(&mut self, cause: &str, now: Instant) -> bool {
        let known = |(at, said): &(Instant, String)| said == cause && now.saturating_duration_since(*at) < AGAIN;
        let news = !self.said.as_ref().is_some_and(known);
        if news {
            self.said = Some((now, cause.to_owned()));
        }
        news
    }
}

/// Does `work` until it succeeds, as long as its failures pass; `None` when asked to end meanwhile. Says in the log what it waits for.
///
/// # Errors
/// The first failure that does not pass.
pub async fn wait_out<T, E: Display>(
    what: &str,
    shutdown: &mut Shutdown,
    passes: impl Fn(&E) -> bool,
    mut work: impl AsyncFnMut() -> Result<T, E>,
) -> Result<Option<T>, E> {
    let mut attempts = Attempts::new(Instant::now());
    while !shutdown.requested() {
        match work().await {
            Ok(done) => return Ok(Some(done)),
            Err(error) if !passes(&error) => return Err(error),
            Err(error) => {
                let (cause, now) = (format!("{error:#}"), Instant::now());
                if attempts.is_news(&cause, now) {
                    tracing::warn!(
                        cause,
                        seconds = attempts.lasted(now).as_secs(),
                        "{what}: waiting and trying again"
                    );
                }
            }
        }
        shutdown.sleep(attempts.pause()).await;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut attempts = Attempts::new(Instant::now());
        let pauses: Vec<u128> = (0..8).map(|_| attempts.pause().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[test]
    fn the_first_cause_is_said_at_once_and_each_other_one() {
        let start = Instant::now();
        let mut attempts = Attempts::new(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(attempts.is_news("no leader", at(0)));
        assert!(!attempts.is_news("no leader", at(1)));
        assert!(attempts.is_news("no broker", at(2)));
        assert!(!attempts.is_news("no broker", at(31)));
        assert!(attempts.is_news("no broker", at(32)));
    }

    #[tokio::test]
    async fn what_passes_is_tried_again_and_what_does_not_is_handed_back() {
        let (trigger, mut shutdown) = Shutdown::manual();
        let mut left = 3;
        let done = wait_out(
            "counting",
            &mut shutdown,
            |_: &String| true,
            async || {
                left -= 1;
                if left == 0 { Ok("done") } else { Err(left.to_string()) }
            },
        );
        assert_eq!(done.await, Ok(Some("done")));
        let refused = wait_out(
            "counting",
            &mut shutdown,
            |_: &String| false,
            async || Err::<(), _>("no".to_owned()),
        );
        assert_eq!(refused.await, Err("no".to_owned()));
        trigger.request();
        let ended = wait_out(
            "counting",
            &mut shutdown,
            |_: &String| true,
            async || Err::<(), _>("away".to_owned()),
        );
        assert_eq!(ended.await, Ok(None));
    }
}
