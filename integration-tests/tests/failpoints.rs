//! Crashes at every failpoint in turn, on real servers; a part of `integration-tests/run kills`.

use integration_tests::kills;
use integration_tests::servers::Servers;
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_changes_nothing() {
    if std::env::var_os("KILLS").is_none() {
        println!("skipped: integration-tests/run kills runs it");
        return;
    }
    let seed = std::env::var("KILLS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("failpoints");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32))
        .await
        .expect("servers and services")
        .expect("CANBAO_KAFKA and CANBAO_DATABASE_URL name the servers");
    match kills::crash_at_every_point(&mut servers, seed).await {
        Ok(summary) => println!("{summary}"),
        Err(error) => panic!("seed {seed}, logs in {}: {error:#}", logs.display()),
    }
}
