//! What operators do during a run: partitions are added, sources accepted anew, mappings mended, and a lost base restored.

use super::{Course, PATIENCE};
use crate::policies;
use crate::servers::{Servers, topic_of};
use crate::shuffles::plan::Restore;
use anyhow::{Context, ensure};
use domain::source::{Agency, Source};
use runtime::normaliser::source_topic::{self, SourceTopic};
use runtime::statements::Statement;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The service whose mapping is accepted anew.
const REMAPPED: &str = "human-resources";

/// Lets human resources begin with the mapping as it was before somebody noticed, or with the right one.
pub(super) fn begin_with_mapping(servers: &mut Servers, old: bool) -> anyhow::Result<()> {
    let old = old.then(|| old_mapping(servers.services.logs())).transpose()?;
    servers.services.set(REMAPPED, "CANBAO_DIALECTS", old.as_deref());
    Ok(())
}

impl Course<'_> {
    /// The right mapping, with a higher revision, comes into force, and what was read is read anew.
    pub(super) fn accept_anew(&mut self) -> anyhow::Result<()> {
        self.servers.flush()?;
        self.servers.services.set(REMAPPED, "CANBAO_DIALECTS", None);
        // Asked to end, they leave their groups at once.
        self.servers.services.scale(REMAPPED, 1)?;
        self.servers.services.scale(REMAPPED, 0)?;
        self.servers.services.scale(REMAPPED, self.plan.normalisers)?;
        let sources: BTreeSet<Source> = self.sent.keys().copied().collect();
        for source in sources.iter().filter(|source| source.agency == Agency::HUMAN_RESOURCES) {
            self.accept(*source, &["--reread"])?;
        }
        Ok(())
    }

    /// The first other policy comes into force, or the second, which is the one from the start again: what was claimed under the first goes.
    pub(super) async fn adopt_policy(&mut self, nth: usize) -> anyhow::Result<()> {
        let other = match nth {
            0 => toml::Table::from_iter([("never_enrolled.grace_days".to_owned(), 90.into())]),
            _ => toml::Table::new(),
        };
        let first = policies::embedded();
        let edition = policies::changed(&first, first.id().version + 1 + nth as u32, &other)?;
        self.state(&Statement::Policy(Arc::new(edition))).await
    }

    /// The topics of one source get more partitions, and from now on its keys go by their new number.
    pub(super) async fn grow(&mut self) -> anyhow::Result<()> {
        let source = self.some_source();
        self.recorded(source, |_| true).await?;
        self.servers.flush()?;
        self.servers.grow(source, &self.tables(source), 2).await?;
        self.grown = Some(source);
        Ok(())
    }

    /// The operator accepts what has grown, once the normalisers have noticed.
    pub(super) async fn accept_grown(&mut self) -> anyhow::Result<()> {
        let Some(source) = self.grown.take() else { return Ok(()) };
        self.servers.flush()?;
        self.recorded(source, |topic| topic.held.is_some()).await?;
        self.accept(source, &[])
    }

    /// The operator accepts a source that nothing was wrong with.
    pub(super) async fn accept_again(&mut self) -> anyhow::Result<()> {
        self.servers.flush()?;
        let source = self.some_source();
        self.recorded(source, |_| true).await?;
        // As another topic, it is no longer the one that a snapshot spoke of.
        let option = match self.plan.snapshot {
            None => *self.draw.pick(&["--reread", "--repartitioned", "--restart"]),
            Some(_) => "--reread",
        };
        self.accept(source, &[option])?;
        // Accepted so, its growth is accepted too.
        self.grown = self.grown.filter(|grown| *grown != source);
        Ok(())
    }

    fn some_source(&mut self) -> Source {
        let sources: Vec<Source> = self.sent.keys().copied().collect();
        *self.draw.pick(&sources)
    }

    fn tables(&self, source: Source) -> BTreeSet<String> {
        let of_source = self.tables.iter().filter(|(of, _)| *of == source);
        of_source.map(|(_, table)| table.clone()).collect()
    }

    fn accept(&mut self, source: Source, options: &[&str]) -> anyhow::Result<()> {
        if options == ["--reread"] {
            self.reread.insert(source);
        }
        let source = source.to_string();
        let arguments: Vec<&str> = ["source", "accept", &source].iter().chain(options).copied().collect();
        let accepted = self.servers.services.canbao(&arguments)?;
        ensure!(accepted, "canbao {} failed, see canbao.log", arguments.join(" "));
        Ok(())
    }

    /// Waits until every topic of a source is recorded as it is to be.
    async fn recorded(&mut self, source: Source, is_so: impl Fn(&SourceTopic) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for table in self.tables(source) {
            let topic = topic_of(source, &table);
            while !source_topic::find(&self.servers.pool, &topic)
                .await?
                .as_ref()
                .is_some_and(&is_so)
            {
                self.servers.services.check_alive()?;
                ensure!(Instant::now() < deadline, "{topic} is not recorded as it should be");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// The base is backed up while everything works.
    pub(super) fn back_up(&mut self, restore: Restore) -> anyhow::Result<()> {
        self.reread.clear();
        match restore {
            Restore::Backup => self.servers.back_up(&self.backup()),
            Restore::Log => Ok(()),
        }
    }

    fn backup(&self) -> PathBuf {
        self.servers.services.logs().join("backup")
    }

    /// The base is lost and restored; what was stated before is in the logs.
    pub(super) async fn lose(&mut self, restore: Restore) -> anyhow::Result<()> {
        // What waits for a normaliser that is held would not come before the loss, and a lost statement is stated again.
        self.accept_grown().await?;
        self.servers.flush()?;
        self.statements_applied().await?;
        let services = self.servers.services.all();
        for replica in &services {
            self.servers.services.kill(*replica)?;
        }
        let mut arguments = vec!["restore"];
        match restore {
            Restore::Backup => self.servers.put_back(&self.backup()).await?,
            Restore::Log => arguments.push("--from-log"),
        }
        let restored = self.servers.services.canbao(&arguments)?;
        ensure!(restored, "canbao {} failed, see canbao.log", arguments.join(" "));
        services
            .into_iter()
            .try_for_each(|replica| self.servers.services.start(replica))?;
        // What grew after the backup was read under epochs that the restore has begun anew; where nothing was, it is held again.
        self.accept_held().await?;
        // What an operator stated of topics since the backup is gone with it, and is stated again.
        for source in std::mem::take(&mut self.reread) {
            self.accept(source, &["--reread"])?;
        }
        Ok(())
    }

    /// The operator accepts what is held again: every topic that has other partitions than the base put back has recorded.
    async fn accept_held(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Some(topic) = self.unnoticed().await? {
            self.servers.services.check_alive()?;
            ensure!(Instant::now() < deadline, "{topic} has grown, and is not held");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for topic in source_topic::all(&self.servers.pool).await? {
            if let Some(held) = topic.held {
                let command = held.split('`').nth(1).context("a hold names a command")?.to_owned();
                let arguments: Vec<&str> = command.split(' ').skip(1).collect();
                ensure!(
                    self.servers.services.canbao(&arguments)?,
                    "`{command}` failed, see canbao.log"
                );
            }
        }
        Ok(())
    }

    /// A topic that its normaliser has yet to look at: not recorded, or recorded with other partitions than it has and not held.
    async fn unnoticed(&self) -> anyhow::Result<Option<String>> {
        let recorded = source_topic::all(&self.servers.pool).await?;
        let is_noticed = |topic: &str| {
            let now = u32::from(self.servers.partitions_of(topic));
            let mut recorded = recorded.iter().filter(|recorded| recorded.topic == topic);
            recorded.any(|recorded| recorded.held.is_some() || recorded.partitions == now)
        };
        let mut topics = self.tables.iter().map(|(source, table)| topic_of(*source, table));
        Ok(topics.find(|topic| !is_noticed(topic)))
    }
}

/// Writes dialects of human resources as they were before somebody noticed: residents' medical insurance read as a supplement, ended
/// relations not read at all. Returns the directories of all agencies as the service takes them.
fn old_mapping(logs: &Path) -> anyhow::Result<String> {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
    let folder = |agency: Agency| services.join(agency.as_str()).join("dialects");
    let old: PathBuf = logs.join("mapping-before");
    std::fs::create_dir_all(&old)?;
    for file in std::fs::read_dir(folder(Agency::HUMAN_RESOURCES))? {
        let file = file?.path();
        let text = std::fs::read_to_string(&file)?
            .replace("revision = 3", "revision = 0")
            .replace("390 = \"resident-medical\"", "390 = \"supplement\"")
            .replace("2 = \"suspended\", 3 = \"ended\" }", "2 = \"suspended\" }");
        std::fs::write(old.join(file.file_name().context("a file")?), text)?;
    }
    let others = [Agency::PUBLIC_SECURITY, Agency::CIVIL_AFFAIRS].map(|agency| folder(agency).display().to_string());
    Ok(format!("{}:{}", others.join(":"), old.display()))
}
