//! The load: the simulated agencies, publishing changes at a steady rate for as long as the kills go on.

use crate::servers::Servers;
use anyhow::{Context, ensure};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long the simulator may take to hand over its last messages.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Volume {
    /// Residents.
    pub(super) residents: u32,
    /// Row changes a second, after the first load.
    pub(super) changes_per_second: u32,
}

/// The simulator as a process. It is the agencies' side and is never killed.
#[derive(Debug)]
pub(super) struct Load {
    child: Child,
    log: PathBuf,
}

impl Load {
    /// Starts it: first load, then changes.
    pub(super) fn start(servers: &Servers, volume: Volume, seed: u64, today: &str) -> anyhow::Result<Self> {
        let mut command = servers.services.command("simulator", "simulator")?;
        command.args([
            "--today",
            today,
            "--heartbeat-seconds",
            "1",
            "--batch-seconds",
            "1",
            "--partitions",
            "3",
        ]);
        command.args(["--seed", &seed.to_string(), "--residents", &volume.residents.to_string()]);
        // More errors than in reality, so that a small province has them all.
        command.args(["--dirt", "8", "--changes-per-second", &volume.changes_per_second.to_string()]);
        Ok(Self {
            child: command.spawn()?,
            log: servers.services.logs().join("simulator.log"),
        })
    }

    /// Whether the first load is published and changes have begun.
    pub(super) fn is_loaded(&self) -> anyhow::Result<bool> {
        Ok(std::fs::read_to_string(&self.log)?.contains("the snapshot is published"))
    }

    /// Lets it finish what it has begun, and waits until the broker has everything.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        ensure!(
            self.child.try_wait()?.is_none(),
            "the simulator ended before it was asked to, see simulator.log"
        );
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(
                    status.success(),
                    "the simulator did not end in order ({status}), see simulator.log"
                );
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the simulator does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().context("the simulator").ok();
    }
}
