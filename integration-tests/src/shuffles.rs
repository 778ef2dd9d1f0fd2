//! Shuffles on real servers: the same people again and again, whatever the way of their rows into the base, and always the same base.
//!
//! [`population`] draws the people and what happens to them once; [`plan`] draws a run: partitions, replicas, the order of arrival,
//! snapshots, connectors that send again, a mapping accepted anew, rows that could not be read at first; [`course`] takes the run
//! through real servers; [`dump`] writes down what the base holds, without positions and without what was told to whom, and says where
//! two bases differ without saying what of whom. Every run is compared with the first one and with the function.

mod cases;
mod course;
pub(crate) mod dump;
mod plan;
mod population;

use crate::ground::Rules;
use crate::servers::Servers;
use crate::traffic::Draw;
use anyhow::{Context, ensure};
use dump::Dump;
use plan::Plan;
use population::Population;
use std::time::Instant;

/// How many runs, and which.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Runs.
    pub runs: usize,
    /// Draws everything but the people: a run's own seed follows from it and from the run's number.
    pub seed: u64,
    /// The first run's number: a single run is repeated by its number.
    pub first: usize,
}

/// Runs the shuffles; returns a summary in a line.
///
/// # Errors
/// The first run whose base differs, with its number, seed and plan.
pub async fn run(servers: &mut Servers, rules: &Rules, options: Options) -> anyhow::Result<String> {
    let population = Population::draw(rules).context("drawing the population")?;
    say(&format!("shuffles: {population}"));
    let mut first: Option<Dump> = None;
    let begun = Instant::now();
    for run in options.first..options.first + options.runs {
        let seed = options.seed.wrapping_add(run as u64);
        let plan = Plan::draw(run, &mut Draw::new(seed));
        let (dump, watch) = course::run(
            servers,
            &population,
            &plan,
            first.is_none(),
            &mut Draw::new(seed.wrapping_mul(31)),
        )
        .await
        .with_context(|| format!("run {run}, seed {}, {plan}", options.seed))?;
        say(&format!(
            "run {run} of {}: {:016x}, {watch}, {plan}",
            options.first + options.runs - 1,
            dump.digest()
        ));
        let Some(expected) = &first else {
            first = Some(dump);
            continue;
        };
        let differences = dump.differences(expected);
        ensure!(
            differences.is_empty(),
            "run {run}, seed {}: the base differs from that of run {} ({plan}):\n{}",
            options.seed,
            options.first,
            differences.join("\n")
        );
    }
    // Whatever comes next begins with empty servers.
    servers.reset(1).await?;
    Ok(format!(
        "{} runs, one base, seed {}, {:.0} s",
        options.runs,
        options.seed,
        begun.elapsed().as_secs_f64()
    ))
}

/// Says how far the runs are: an hour without a word looks like a hang.
#[expect(clippy::print_stdout, reason = "the report of a test run")]
fn say(text: &str) {
    println!("{text}");
}
