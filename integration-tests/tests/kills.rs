//! Kills on real servers: `integration-tests/run kills --kills N --seed S`.

use integration_tests::kills::{self, Plan};
use integration_tests::servers::Servers;
use std::path::Path;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|number| number.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_whatever_is_killed() {
    let Some(kills) = number("KILLS") else {
        println!("skipped: integration-tests/run kills runs it");
        return;
    };
    let plan = Plan {
        kills: kills as usize,
        seed: number("KILLS_SEED").unwrap_or(1),
    };
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kills");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32))
        .await
        .expect("servers and services")
        .expect("CANBAO_KAFKA and CANBAO_DATABASE_URL name the servers");
    match kills::run(&mut servers, plan).await {
        Ok(summary) => println!("{summary}"),
        Err(error) => panic!("seed {}, logs in {}: {error:#}", plan.seed, logs.display()),
    }
}
