//! Crashes at every failpoint in turn, on real servers; a part of `integration-tests/run kills`.

use anyhow::Context;
use integration_tests::kills;
use integration_tests::on_demand::{OnDemand, number};
use integration_tests::servers::Servers;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let test = OnDemand {
        name: "a_crash_at_any_step_changes_nothing",
        part: "kills",
        asked_by: &["KILLS"],
    };
    test.main(crash)
}

async fn crash() -> anyhow::Result<String> {
    let seed = number("KILLS_SEED")?.unwrap_or(1);
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("failpoints");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let ran = kills::crash_at_every_point(&mut servers, seed).await;
    ran.with_context(|| format!("seed {seed}, logs in {}", logs.display()))
}
