//! Fuzzing without a fuzzer: examples, mutated by what is known of their structure, through the decoders that read what others wrote.
//!
//! One target for each side: source messages through the Debezium reader, the dialects and what follows from them; entries of the log
//! through their decoder and what follows. A fault is a panic, an input that does not survive its way into the base, an allocation out of
//! all proportion, or a step that takes long. Every run begins with a seed it prints; a fault names the bytes.

mod log;
mod mutate;
mod source;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

pub use log::entries;
pub use mutate::Random;
pub use source::messages;

/// How long one input may take: a thousand times what the slowest example takes.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much of an input that is at fault is shown.
const SHOWN: usize = 4000;

/// What a run came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Inputs tried.
    pub executions: u64,
    /// What became of them.
    pub became: BTreeMap<String, u64>,
    /// Faults, each with its input.
    pub faults: Vec<String>,
}

impl Report {
    /// Tries inputs until the time is over or ten of them are at fault. `next` draws one, `run` says what became of it.
    fn collect<T>(
        seed: u64,
        time: Duration,
        mut next: impl FnMut(&mut Random) -> T,
        shown: impl Fn(&T) -> Vec<&[u8]>,
        run: impl Fn(&T) -> anyhow::Result<String>,
    ) -> Self {
        let (mut report, mut random) = (Self::default(), Random::new(seed));
        let end = Instant::now() + time;
        while Instant::now() < end && report.faults.len() < 10 {
            let input = next(&mut random);
            let began = Instant::now();
            let ran = catch_unwind(AssertUnwindSafe(|| run(&input)));
            let took = began.elapsed();
            report.executions += 1;
            let fault = match ran {
                Ok(Ok(became)) => {
                    *report.became.entry(became).or_default() += 1;
                    (took > PATIENCE).then(|| format!("it took {took:?}"))
                }
                Ok(Err(error)) => Some(format!("{error:#}")),
                // What it said stands above, on standard error.
                Err(_) => Some("it panicked".to_owned()),
            };
            if let Some(fault) = fault {
                let parts: Vec<String> = shown(&input).into_iter().map(hex).collect();
                report.faults.push(format!("{fault}: {}", parts.join(" / ")));
            }
        }
        report
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} executions, {} faults", self.executions, self.faults.len())?;
        self.became
            .iter()
            .try_for_each(|(became, count)| write!(f, "\n  {count} {became}"))
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(SHOWN) {
        write!(text, "{byte:02x}").expect("a string");
    }
    text
}
