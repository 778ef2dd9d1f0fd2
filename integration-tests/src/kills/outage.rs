//! The servers themselves, killed and started again: only private ones, by the script beside this crate.

use anyhow::{Context, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server that the tests may kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Kafka,
    Postgres,
}

impl Server {
    /// Its name, for the script and for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Postgres => "postgres",
        }
    }

    /// SIGKILL.
    pub(super) fn kill(self, state: &Path) -> anyhow::Result<()> {
        self.run(state, "kill")
    }

    /// Starts it again on the same port, and waits until it answers.
    pub(super) fn start(self, state: &Path) -> anyhow::Result<()> {
        self.run(state, "start")
    }

    fn run(self, state: &Path, action: &str) -> anyhow::Result<()> {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("server");
        let output = Command::new(script)
            .args([self.name(), action])
            // The tests' database is another one than the script's own addresses name.
            .env_remove("CANBAO_KAFKA")
            .env_remove("CANBAO_DATABASE_URL")
            .env("TEST_SERVERS", state)
            .output()
            .context("integration-tests/server")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} {action}: {said}", self.name());
        Ok(())
    }
}

/// `kill -9` of a backend: the postmaster then ends all others and recovers.
pub(super) fn kill_process(pid: i32) -> anyhow::Result<()> {
    // It may have ended since it was chosen: then there is nothing left to kill.
    match Command::new("kill").args(["-s", "KILL", &pid.to_string()]).output() {
        Ok(_) => Ok(()),
        Err(error) => bail!("kill cannot be run: {error}"),
    }
}
