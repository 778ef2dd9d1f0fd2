//! Restores on real servers: `integration-tests/run kills --seed S`.

use anyhow::Context;
use integration_tests::kills;
use integration_tests::on_demand::{OnDemand, number};
use integration_tests::servers::Servers;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let test = OnDemand {
        name: "a_restored_base_goes_on_as_if_nothing_had_been",
        part: "kills",
        asked_by: &["KILLS"],
    };
    test.main(restore)
}

async fn restore() -> anyhow::Result<String> {
    let seed = number("KILLS_SEED")?.unwrap_or(1);
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("restores");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let ran = kills::restore(&mut servers, seed).await;
    ran.with_context(|| format!("seed {seed}, logs in {}", logs.display()))
}
