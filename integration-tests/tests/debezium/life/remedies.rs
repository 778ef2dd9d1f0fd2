//! What people do about it: the commands that Canbao prints, a dialect that is mended, a connector that is told to read its tables again.

use super::super::rig::{CITY, Database, PATIENCE};
use super::{LOOK, Life};
use anyhow::{Context, ensure};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The topic of an agency's table.
pub fn topic_of(of: Database, table: &str) -> String {
    let schema = if of == Database::Mz { "mz" } else { "public" };
    format!("{}.{CITY}.{schema}.{table}", of.agency())
}

impl Life {
    /// Waits until a topic is held or waits; why, as `canbao source list` says it.
    pub async fn held(&mut self, topic: &str) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = sqlx::query_scalar("select coalesce(held, waits) from store.source_topic where topic = $1").bind(topic);
            let said: Option<Option<String>> = said.fetch_optional(&self.servers.pool).await?;
            if let Some(reason) = said.flatten() {
                return Ok(reason);
            }
            self.servers.services.check_alive()?;
            ensure!(Instant::now() < deadline, "{topic} is read on");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Runs the one command that a message prints.
    pub fn run_printed(&self, message: &str) -> anyhow::Result<()> {
        let printed = message
            .split('`')
            .skip(1)
            .step_by(2)
            .find(|printed| printed.starts_with("canbao "));
        let printed = printed.with_context(|| format!("no command is printed: {message}"))?;
        let words: Vec<&str> = printed.split(' ').skip(1).collect();
        ensure!(self.servers.services.canbao(&words)?, "`{printed}` failed, see canbao.log");
        Ok(())
    }

    /// Lets a source be read on, as printed, and the table whose dialect was mended from its beginning.
    pub fn read_on(&self, held: &str, of: Database, table: &str) -> anyhow::Result<()> {
        self.run_printed(held)?;
        let topic = topic_of(of, table);
        ensure!(
            self.servers.services.canbao(&["source", "accept", &topic, "--reread"])?,
            "{topic} cannot be read again, see canbao.log"
        );
        Ok(())
    }

    /// An agency's dialect.
    fn dialect(&self, of: Database) -> PathBuf {
        let name = match of {
            Database::Ga => "ga.toml",
            Database::Hr => "jinbao.toml",
            Database::Mz => "mz.toml",
        };
        self.dialects.join(of.agency()).join(name)
    }

    /// Changes the first place in an agency's dialect where something stands, raises its revision and starts anew who reads it.
    pub fn mend_dialect(&mut self, of: Database, from: &str, to: &str) -> anyhow::Result<()> {
        let file = self.dialect(of);
        let text = std::fs::read_to_string(&file)?;
        ensure!(text.contains(from), "{} does not say {from}", file.display());
        let (head, rest) = text.split_once("revision = ").context("a revision")?;
        let (revision, rest) = rest.split_once('\n').context("a revision")?;
        let revision: u16 = revision.trim().parse()?;
        let text = format!("{head}revision = {}\n{rest}", revision + 1);
        std::fs::write(&file, text.replacen(from, to, 1))?;
        for service in [of.agency(), "clock"] {
            self.servers.services.scale(service, 0)?;
            self.servers.services.scale(service, 1)?;
        }
        Ok(())
    }

    /// Starts the worker anew, with the lines that were set for its connectors.
    pub fn restart_worker(&self) -> anyhow::Result<()> {
        self.connectors.disconnect(false)?;
        self.connectors.connect()
    }

    /// Stops a connector, and not its worker.
    pub async fn stop_connector(&mut self, of: Database) -> anyhow::Result<()> {
        self.ask("PUT", &format!("/connectors/{}.{CITY}/stop", of.agency())).await
    }

    /// Asks a connector by a signal to read tables again.
    pub fn signal(&mut self, of: Database, kind: &str, tables: &[&str]) -> anyhow::Result<()> {
        let name = format!("{}.{CITY}", of.agency());
        let data = serde_json::json!({ "type": kind, "data-collections": tables });
        let signal = serde_json::json!({ "id": format!("{kind} {tables:?}"), "type": "execute-snapshot", "data": data });
        let topic = format!("connect.signals.{name}");
        self.servers
            .write(&topic, 0, name.as_bytes(), Some(&serde_json::to_vec(&signal)?), None)?;
        self.servers.flush()
    }

    /// Lets a connector take a full snapshot: its offsets are removed while it is stopped, as compose/connect/README.md has it.
    pub async fn forget_offsets(&mut self, of: Database) -> anyhow::Result<()> {
        let name = format!("{}.{CITY}", of.agency());
        self.stop_connector(of).await?;
        // Refused until its task has ended.
        self.ask("DELETE", &format!("/connectors/{name}/offsets")).await?;
        self.ask("PUT", &format!("/connectors/{name}/resume")).await
    }

    /// Asks the worker until it does it: it takes its time, also to start.
    pub async fn ask(&mut self, method: &str, path: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.connectors.ask(method, path) {
            ensure!(Instant::now() < deadline, "{method} {path}: {error:#}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }
}
