//! The same people on real servers again and again, in every order: `integration-tests/run shuffles --runs N --seed S`.

use anyhow::Context;
use integration_tests::ground::Rules;
use integration_tests::on_demand::{OnDemand, number};
use integration_tests::servers::Servers;
use integration_tests::shuffles::{self, Options};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let test = OnDemand {
        name: "every_way_gives_one_base",
        part: "shuffles",
        asked_by: &["SHUFFLES"],
    };
    test.main(shuffle)
}

async fn shuffle() -> anyhow::Result<String> {
    let options = Options {
        runs: number("SHUFFLES")?.unwrap_or(3) as usize,
        seed: number("SHUFFLES_SEED")?.unwrap_or(1),
        first: number("SHUFFLES_FIRST")?.unwrap_or(0) as usize,
    };
    let rules = Rules::load().context("the dialects of the services")?;
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shuffles");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let ran = shuffles::run(&mut servers, &rules, options).await;
    ran.with_context(|| format!("logs in {}", logs.display()))
}
