//! The simulated agencies of two cities: what they publish, as it must arrive.

use crate::servers::Servers;
use anyhow::{Context, ensure};
use clap::Parser;
use domain::source::Source;
use rdkafka::ClientConfig;
use rdkafka::Message as _;
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use runtime::kafka::TopicNames;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

/// Partitions of a source topic.
pub(super) const PARTITIONS: u16 = 4;
/// Longest run of the simulator.
const PATIENCE: Duration = Duration::from_secs(420);
/// Tables that state completeness, at the pace of the clock on the wall.
const CONTROL: [&str; 2] = ["heartbeat", "batch_control"];
const ARGUMENTS: [&str; 14] = [
    "--residents",
    "12000",
    "--seed",
    "11",
    "--today",
    "2026-11-02",
    "--cities",
    "3201,3202",
    "--partitions",
    "4",
    "--changes",
    "2000",
    "--changes-per-second",
    "0",
];

/// By topic and key, the rows in order: what was done, and the row afterwards.
type Rows = BTreeMap<(String, Vec<u8>), Vec<(String, Value)>>;

/// What must arrive.
pub(super) struct Population(Rows);

fn note(rows: &mut Rows, topic: &str, key: &[u8], value: Option<&[u8]>) -> anyhow::Result<()> {
    let (_, table) = TopicNames::standard().table_of(topic).context("a topic of a table")?;
    if CONTROL.contains(&table) {
        return Ok(());
    }
    let row = match value {
        None => ("tombstone".to_owned(), Value::Null),
        Some(value) => {
            let envelope: Value = serde_json::from_slice(value)?;
            let op = envelope["op"].as_str().context("an operation")?.to_owned();
            (op, envelope["after"].clone())
        }
    };
    rows.entry((topic.to_owned(), key.to_owned())).or_default().push(row);
    Ok(())
}

impl Population {
    /// Draws them: always the same.
    pub(super) fn draw() -> anyhow::Result<Self> {
        let arguments = simulator::Args::try_parse_from(["simulator"].into_iter().chain(ARGUMENTS))?;
        let mut rows = Rows::new();
        for recorded in simulator::record(&arguments)? {
            note(&mut rows, &recorded.topic, &recorded.key, recorded.value.as_deref())?;
        }
        Ok(Self(rows))
    }

    /// Compares with what topics hold, in the order of their partitions; how many rows there are.
    pub(super) fn compare(&self, published: &[OwnedMessage]) -> anyhow::Result<usize> {
        let mut found = Rows::new();
        for message in published {
            note(
                &mut found,
                message.topic(),
                message.key().unwrap_or_default(),
                message.payload(),
            )?;
        }
        for (of, rows) in &self.0 {
            let key = String::from_utf8_lossy(&of.1);
            let arrived = found.get(of).with_context(|| format!("{} {key} is missing", of.0))?;
            ensure!(
                arrived == rows,
                "{} {key}: {} rows instead of {}, or in another order",
                of.0,
                arrived.len(),
                rows.len()
            );
        }
        ensure!(
            found.len() == self.0.len(),
            "{} keys arrived, {} were published",
            found.len(),
            self.0.len()
        );
        Ok(found.values().map(Vec::len).sum())
    }
}

/// A run of the simulator.
pub(super) struct Run {
    child: Child,
    log: PathBuf,
}

/// How it ended.
pub(super) struct Ended {
    pub(super) success: bool,
    pub(super) log: String,
}

/// Starts it with a log of that name, and waits until its first rows have arrived.
pub(super) fn start(servers: &Servers, name: &str, further: &[&str]) -> anyhow::Result<Run> {
    let mut command = servers.services.command("simulator", name)?;
    let child = command.args(ARGUMENTS).args(further).spawn()?;
    let log = servers.services.logs().join(format!("{name}.log"));
    let run = Run { child, log };
    let source: Source = "public-security.3201".parse()?;
    let deadline = Instant::now() + PATIENCE;
    while !servers.ends(source, "czrk").is_ok_and(|ends| ends.iter().any(|end| *end > 0)) {
        ensure!(
            Instant::now() < deadline,
            "the simulator publishes nothing, see {}",
            run.log.display()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(run)
}

impl Run {
    /// Waits for its end.
    pub(super) fn wait(mut self) -> anyhow::Result<Ended> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                let (success, log) = (status.success(), std::fs::read_to_string(&self.log)?);
                return Ok(Ended { success, log });
            }
            ensure!(
                Instant::now() < deadline,
                "the simulator did not end, see {}",
                self.log.display()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Publishes some rows once more, as a connector does that repeats: newer versions, which the base has to take.
pub(super) fn repeat(servers: &Servers) -> anyhow::Result<()> {
    let rows = servers.read_all(|topic| topic == "public-security.3201.public.czrk")?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", std::env::var("CANBAO_KAFKA")?)
        .create()?;
    for row in rows.iter().filter(|row| row.payload().is_some()).take(100) {
        let record = BaseRecord::to(row.topic())
            .partition(row.partition())
            .key(row.key().unwrap_or_default())
            .payload(row.payload().unwrap_or_default());
        producer.send(record).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(Duration::from_secs(60))?)
}
