//! Slow, stopped, locked and read-only servers; only on private ones, which `integration-tests/run` starts.

use integration_tests::faults;
use integration_tests::servers::Servers;
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_waited_out() {
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
    let _ = std::fs::remove_dir_all(&logs);
    let Some(mut servers) = Servers::start(&logs, &"2a".repeat(32)).await.expect("servers and services") else {
        println!("skipped: integration-tests/run test starts the servers that this test stops and locks");
        return;
    };
    if servers.private().is_none() {
        println!("skipped: the servers named by CANBAO_KAFKA and CANBAO_DATABASE_URL are not the tests' own to stop");
        return;
    }
    for part in [faults::slow_broker(&mut servers).await, faults::services(&mut servers).await] {
        match part {
            Ok(summary) => println!("{summary}"),
            Err(error) => panic!("logs in {}: {error:#}", logs.display()),
        }
    }
}
