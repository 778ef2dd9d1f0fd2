//! Points at which a test makes a process crash, at each step between what was read and what is committed.
//!
//! They exist only with the feature `failpoints`, which the integration tests turn on; without it [`reach`] is nothing. The variable
//! `FAILPOINTS` arms them, in the words of the crate `fail`: `registry.committed=return` crashes at the first pass,
//! `registry.committed=3*off->return` at the fourth.

#[cfg(feature = "failpoints")]
use std::sync::atomic::{AtomicBool, Ordering};

/// Every point, in the order in which work passes them. What stands before the dot is the service; the normalisers share theirs.
pub const POINTS: [&str; 39] = [
    "normaliser.polled",
    "normaliser.produced",
    "normaliser.diverted",
    "normaliser.flushed",
    "normaliser.committed",
    "registry.polled",
    "registry.taken",
    "registry.begun",
    "registry.locked",
    "registry.loaded",
    "registry.told-read",
    "registry.given",
    "registry.applied",
    "registry.persons-written",
    "registry.directory-written",
    "registry.announced",
    "registry.carried",
    "registry.messages-written",
    "registry.logged",
    "registry.positions-written",
    "registry.committed",
    "registry.relay-read",
    "registry.relay-sending",
    "registry.relay-delivered",
    "registry.relay-deleted",
    "publisher.taken-over",
    "publisher.read",
    "publisher.begun",
    "publisher.producing",
    "publisher.produced",
    "publisher.positions-produced",
    "publisher.committed",
    "publisher.deleted",
    "clock.row-received",
    "clock.progress-saved",
    "clock.ends-noted",
    "clock.pass-begun",
    "clock.pass-done",
    "clock.vector-sent",
];

/// Crashes here when the environment says so.
#[cfg(feature = "failpoints")]
#[inline]
pub fn reach(point: &'static str) {
    // Some points are passed with every message, also in a benchmark.
    if ARMED.load(Ordering::Relaxed) {
        fail::fail_point!(point, |_| crash(point));
    }
}

/// Whether any point is armed.
#[cfg(feature = "failpoints")]
static ARMED: AtomicBool = AtomicBool::new(false);

/// Nothing: this build has no failpoints.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn reach(_: &'static str) {}

#[cfg(feature = "failpoints")]
#[expect(clippy::print_stderr, reason = "the logs end with the process")]
fn crash(point: &str) {
    eprintln!("failpoint {point}");
    std::process::abort();
}

/// Takes what the environment says; warns when a point is armed.
pub(crate) fn arm() {
    #[cfg(feature = "failpoints")]
    {
        let scenario = fail::FailScenario::setup();
        // Armed until the process ends.
        std::mem::forget(scenario);
        if fail::list().iter().any(|(_, action)| !action.is_empty()) {
            ARMED.store(true, Ordering::Relaxed);
            tracing::warn!(points = ?fail::list(), "failpoints are armed: this process crashes on purpose");
        }
    }
}
