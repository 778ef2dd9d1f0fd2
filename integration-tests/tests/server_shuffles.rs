//! The same people on real servers again and again, in every order: `integration-tests/run shuffles --runs N --seed S`.

use integration_tests::ground::Rules;
use integration_tests::servers::Servers;
use integration_tests::shuffles::{self, Options};
use std::path::Path;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|number| number.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_gives_one_base() {
    let Some(runs) = number("SHUFFLES") else {
        println!("skipped: integration-tests/run shuffles runs it");
        return;
    };
    let options = Options {
        runs: runs as usize,
        seed: number("SHUFFLES_SEED").unwrap_or(1),
        first: number("SHUFFLES_FIRST").unwrap_or(0) as usize,
    };
    let rules = Rules::load().expect("the dialects of the services");
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shuffles");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32))
        .await
        .expect("servers and services")
        .expect("CANBAO_KAFKA and CANBAO_DATABASE_URL name the servers");
    match shuffles::run(&mut servers, &rules, options).await {
        Ok(summary) => println!("{summary}"),
        Err(error) => panic!("logs in {}: {error:#}", logs.display()),
    }
}
