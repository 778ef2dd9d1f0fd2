//! Tests that need more than a compiler, such as servers.
//!
//! Where something they need is not named in the environment they are shown as *ignored*, with the command that runs them, and count
//! neither as passed nor as failed: a test that returns early would count as passed. `integration-tests/run` fails a part that has
//! left out a test of its own. Such a test has a target of its own with `harness = false`.

use anyhow::Context;
use libtest_mimic::{Arguments, Completion, Trial};
use std::io::Write;
use std::process::ExitCode;

/// The servers, for every such test.
pub const SERVERS: [&str; 2] = ["CANBAO_KAFKA", "CANBAO_DATABASE_URL"];

/// A test that runs on demand.
pub struct OnDemand {
    /// Its name.
    pub name: &'static str,
    /// The part of `integration-tests/run` that runs it.
    pub part: &'static str,
    /// The variables that must be set besides [`SERVERS`]: they ask for it.
    pub asked_by: &'static [&'static str],
}

impl OnDemand {
    /// The test: it runs, or says how to run it. What it returns is printed.
    pub fn trial<F>(self, test: fn() -> F) -> Trial
    where
        F: Future<Output = anyhow::Result<String>> + 'static,
    {
        Trial::ignorable_test(self.name, move || {
            let mut needed = SERVERS.iter().chain(self.asked_by);
            if needed.any(|name| std::env::var_os(name).is_none()) {
                return Ok(Completion::ignored_with(format!("integration-tests/run {}", self.part)));
            }
            run(test).map_err(|error| format!("{error:#}"))?;
            Ok(Completion::Completed)
        })
    }

    /// The `main` of the target of a single test.
    pub fn main<F>(self, test: fn() -> F) -> ExitCode
    where
        F: Future<Output = anyhow::Result<String>> + 'static,
    {
        main(vec![self.trial(test)])
    }
}

/// The `main` of a target: one test after the other, since they use the same servers.
pub fn main(trials: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run<F: Future<Output = anyhow::Result<String>>>(test: fn() -> F) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let summary = runtime.block_on(test())?;
    Ok(writeln!(std::io::stdout(), "{summary}")?)
}

/// A number that a variable of the environment holds.
///
/// # Errors
/// When it is set to something else.
pub fn number(name: &str) -> anyhow::Result<Option<u64>> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text.parse().with_context(|| format!("{name} is {text:?}, no number"))?)),
        Err(_) => Ok(None),
    }
}
