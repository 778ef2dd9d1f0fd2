//! The broker as the bench sees it: how much stands in topics, how far the normalisers are, how large a topic is on disk.

use super::usage;
use anyhow::Context;
use domain::source::{Agency, Source};
use rdkafka::consumer::{BaseConsumer, Consumer};
use runtime::config::Settings;
use runtime::kafka::{self, REQUEST_TIMEOUT, offsets, topics};
use std::path::PathBuf;

/// A broker on this machine.
pub struct Broker {
    settings: Settings,
    consumer: BaseConsumer,
    /// Its process.
    pub pid: u32,
}

impl Broker {
    /// Connects.
    ///
    /// # Errors
    /// When it does not answer or is no process of this machine.
    pub fn connect(servers: &str) -> anyhow::Result<Self> {
        let settings = Settings {
            kafka: servers.to_owned(),
            ..Settings::default()
        };
        let consumer: BaseConsumer = kafka::plain_consumer(&settings, "canbao-bench").create()?;
        consumer
            .fetch_metadata(None, REQUEST_TIMEOUT)
            .with_context(|| format!("no broker answers at {servers}"))?;
        let port = servers.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let pid = port
            .and_then(usage::listener)
            .context("the broker is no process of this machine that may be measured")?;
        Ok(Self { settings, consumer, pid })
    }

    /// Settings for clients of this broker.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Topics that agencies write.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn source_topics(&self) -> anyhow::Result<Vec<String>> {
        let metadata = self.consumer.fetch_metadata(None, REQUEST_TIMEOUT)?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        Ok(names.filter(|name| name.contains(".public.")).collect())
    }

    /// Messages ever written to topics.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn written(&self, topics: &[String]) -> anyhow::Result<i64> {
        Ok(offsets::end_offsets(&self.consumer, topics)?.values().sum())
    }

    /// Entries ever written to `person.records`.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn person_records(&self) -> anyhow::Result<i64> {
        self.written(&[topics::PERSON_RECORDS.to_owned()])
    }

    /// Source messages that the normalisers' groups have not committed.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn behind(&self) -> anyhow::Result<i64> {
        let all = self.source_topics()?;
        let mut behind = 0;
        for agency in Agency::all() {
            for city in agency.cities() {
                let source = Source { agency, city: *city };
                let prefix = format!("{source}.public.");
                let own: Vec<String> = all.iter().filter(|name| name.starts_with(&prefix)).cloned().collect();
                if own.is_empty() {
                    continue;
                }
                let mut config = kafka::plain_consumer(&self.settings, "canbao-bench");
                config.set("group.id", topics::normaliser_group(source));
                let group: BaseConsumer = config.create()?;
                let ends = offsets::end_offsets(&self.consumer, &own)?;
                let done = offsets::committed(&group, ends.keys().cloned())?;
                behind += ends
                    .iter()
                    .map(|(at, end)| end - done.get(at).copied().unwrap_or(0))
                    .sum::<i64>();
                if behind > 0 {
                    return Ok(behind);
                }
            }
        }
        Ok(behind)
    }

    /// Bytes of the log segments of the topics whose name begins so.
    pub fn bytes(&self, prefix: &str) -> u64 {
        let partitions = self
            .data()
            .and_then(|data| std::fs::read_dir(data).ok())
            .into_iter()
            .flatten()
            .flatten();
        let ours = partitions.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix)));
        let files = ours.flat_map(|entry| std::fs::read_dir(entry.path()).into_iter().flatten().flatten());
        files
            .filter(|file| file.path().extension().is_some_and(|extension| extension == "log"))
            .filter_map(|file| Some(file.metadata().ok()?.len()))
            .sum()
    }

    /// Where it keeps its logs: from the properties file that it was started with.
    fn data(&self) -> Option<PathBuf> {
        let command = std::fs::read_to_string(format!("/proc/{}/cmdline", self.pid)).ok()?;
        let properties = command.trim_end_matches('\0').rsplit('\0').next()?;
        let text = std::fs::read_to_string(properties).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("log.dirs="))?;
        Some(PathBuf::from(line))
    }
}
