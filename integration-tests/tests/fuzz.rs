//! The decoders against mutated examples: some seconds each in every run, `FUZZ_SECONDS` and `FUZZ_SEED` ask for more.
//!
//! `FUZZ_SECONDS=600 cargo test -p integration-tests --test fuzz -- --nocapture`

use integration_tests::fuzz::{Report, entries, messages};
use integration_tests::ground::Rules;
use std::io::Write as _;
use std::time::Duration;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|number| number.parse().ok())
}

fn try_for_some_time(what: &str, run: impl Fn(&Rules, u64, Duration) -> anyhow::Result<Report>) {
    let (seed, seconds) = (number("FUZZ_SEED").unwrap_or(1), number("FUZZ_SECONDS").unwrap_or(3));
    let rules = Rules::load().expect("the dialects of the services");
    let report = run(&rules, seed, Duration::from_secs(seconds)).expect("examples that can be read");
    writeln!(std::io::stdout(), "{what}, seed {seed}, {seconds} s: {report}").expect("standard output");
    assert!(report.faults.is_empty(), "seed {seed}:\n{}", report.faults.join("\n"));
    assert!(report.executions > 100, "{report}");
}

#[test]
fn source_messages() {
    try_for_some_time("source messages", messages);
}

#[test]
fn log_entries() {
    try_for_some_time("log entries", entries);
}
