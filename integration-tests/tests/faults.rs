//! Slow, stopped, locked and read-only servers; only on private ones, which `integration-tests/run` starts.

use anyhow::Context;
use integration_tests::faults;
use integration_tests::on_demand::OnDemand;
use integration_tests::servers::Servers;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let test = OnDemand {
        name: "what_passes_is_waited_out",
        part: "test",
        // Servers that are the tests' own to stop.
        asked_by: &["TEST_SERVERS"],
    };
    test.main(slow_stopped_locked)
}

async fn slow_stopped_locked() -> anyhow::Result<String> {
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let mut said = Vec::new();
    for part in [faults::slow_broker(&mut servers).await, faults::services(&mut servers).await] {
        said.push(part.with_context(|| format!("logs in {}", logs.display()))?);
    }
    Ok(said.join("\n"))
}
