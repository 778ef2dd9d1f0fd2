//! Kills on real servers: `integration-tests/run kills --kills N --seed S`.

use anyhow::Context;
use integration_tests::kills::{self, Plan};
use integration_tests::on_demand::{OnDemand, number};
use integration_tests::servers::Servers;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let test = OnDemand {
        name: "nothing_is_lost_whatever_is_killed",
        part: "kills",
        asked_by: &["KILLS"],
    };
    test.main(kill)
}

async fn kill() -> anyhow::Result<String> {
    let plan = Plan {
        kills: number("KILLS")?.unwrap_or(10) as usize,
        seed: number("KILLS_SEED")?.unwrap_or(1),
    };
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kills");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let ran = kills::run(&mut servers, plan).await;
    ran.with_context(|| format!("seed {}, logs in {}", plan.seed, logs.display()))
}
