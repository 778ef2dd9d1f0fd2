//! The run: snapshot, then changes until told to stop.

use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use domain::date::{Day, Timestamp};
use domain::division::City;
use indicatif::{ProgressBar, ProgressStyle};
use rdkafka::ClientConfig;
use tokio::signal::unix::{SignalKind, signal};

use crate::database::{Database, SourceDatabase};
use crate::envelope::{Message, Sink};
use crate::live::Live;
use crate::publish::{self, Kafka};
use crate::sql::{self, System};
use crate::tables::AGENCIES;
use crate::truth::Truth;
use crate::view::Rates;
use crate::world::World;

mod sources;

use sources::{Databases, Sources};

/// What to simulate.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "simulator",
    about = "A synthetic Jiangsu: publishes what agencies would, as Debezium would"
)]
pub struct Args {
    /// Where the topics are
    #[command(flatten)]
    pub broker: Broker,
    /// Residents of the province
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(8..=200_000_000))]
    pub residents: u64,
    /// The same seed gives the same people and the same changes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Row changes a second after the snapshot; 0 for as many as possible
    #[arg(long, default_value_t = 50)]
    pub changes_per_second: u64,
    /// Stop after this many row changes; without it, on SIGTERM or SIGINT
    #[arg(long)]
    pub changes: Option<u64>,
    /// Partitions of new source topics
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    pub partitions: i32,
    /// Write the truth to this file, as JSON lines
    #[arg(long)]
    pub truth: Option<PathBuf>,
    /// Day of the snapshot and of all changes, yyyy-mm-dd; without it today in Shanghai, moving on
    #[arg(long, value_parser = parse_day)]
    pub today: Option<Day>,
    /// Publish the sources of these cities only: all, or four digits each, comma-separated
    #[arg(long, default_value = "all")]
    pub cities: Cities,
    /// Write a source's rows into its own database, whose tables are there already, instead of its topics; may be given several times
    #[arg(long = "database", value_name = "AGENCY.CITY=URL")]
    pub databases: Vec<SourceDatabase>,
    /// Print the statements that make the agencies' tables in this system, and do nothing else
    #[arg(long, value_name = "SYSTEM", value_enum)]
    pub print_tables: Option<System>,
    /// Write every message with its schema, as converters with schemas.enable=true do
    #[arg(long)]
    pub with_schema: bool,
    /// Seconds between the heartbeats of public security and human resources
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub heartbeat_seconds: u64,
    /// Seconds between the batches of civil affairs
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub batch_seconds: u64,
    /// Stop after the snapshot
    #[arg(long)]
    pub snapshot_only: bool,
    /// Leave the snapshot out and replay this many row changes in silence: goes on where an earlier run stopped
    #[arg(long)]
    pub resume_after: Option<u64>,
    /// Factor on the rates of errors; 0 for agencies that see everything right
    #[arg(long, default_value_t = 1.0, value_parser = parse_factor)]
    pub dirt: f64,
}

/// Where the topics are.
#[derive(Debug, Clone, clap::Args)]
pub struct Broker {
    /// Bootstrap servers, host:port, comma-separated
    #[arg(long, env = "CANBAO_KAFKA", default_value = "127.0.0.1:9092")]
    pub kafka: String,
    /// A further property of the Kafka client, NAME=VALUE as librdkafka spells it; may be given several times
    #[arg(long = "kafka-property", value_name = "NAME=VALUE")]
    pub kafka_properties: Vec<Property>,
}

impl Broker {
    /// What every client begins with.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.kafka)
            // A row is not given up: a slow broker makes the agencies wait, as it makes connectors wait.
            .set("delivery.timeout.ms", "0");
        for Property { name, value } in &self.kafka_properties {
            config.set(name, value);
        }
        config
    }
}

/// A property of the Kafka client.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    name: String,
    value: String,
}

/// Without the value, which may be a password.
impl std::fmt::Debug for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=***", self.name)
    }
}

impl FromStr for Property {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("expected NAME=VALUE"),
        }
    }
}

/// Which cities' sources are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cities(Vec<u16>);

impl Cities {
    /// The four digits, in order.
    pub fn codes(&self) -> &[u16] {
        &self.0
    }
}

impl FromStr for Cities {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self(City::all().map(City::code).collect()));
        }
        let mut codes = Vec::new();
        for code in text.split(',') {
            let city = code.trim().parse().ok().and_then(City::from_code);
            codes.push(city.ok_or_else(|| format!("{code}: expected all, or 3200 to 3213"))?.code());
        }
        codes.sort_unstable();
        codes.dedup();
        Ok(Self(codes))
    }
}

fn parse_day(text: &str) -> Result<Day, String> {
    text.parse().map_err(|error: domain::date::DateError| error.to_string())
}

fn parse_factor(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if (0.0..=50.0).contains(&factor) {
        Ok(factor)
    } else {
        Err("expected 0 to 50".to_owned())
    }
}

/// A message as it would go to Kafka.
#[derive(Clone)]
pub struct Recorded {
    /// Topic.
    pub topic: String,
    /// Key: JSON.
    pub key: Vec<u8>,
    /// Value: JSON; `None` for a tombstone.
    pub value: Option<Vec<u8>>,
}

/// Keeps in memory what would go to Kafka.
#[derive(Default)]
struct Record(Vec<Recorded>);

impl Sink for Record {
    fn send(&mut self, message: &Message<'_>) -> anyhow::Result<()> {
        self.0.push(Recorded {
            topic: message.topic.to_owned(),
            key: message.key.to_vec(),
            value: message.value.map(<[u8]>::to_vec),
        });
        Ok(())
    }
}

/// What a run with these arguments publishes, without a broker: the snapshot, then `changes` row changes, all on the day `today`,
/// and no statement of completeness but the one that ends the snapshot. The rows follow from the arguments; the times in the envelopes
/// are the clock's.
///
/// # Errors
/// When the province is so small that nothing can happen to anybody.
pub fn record(args: &Args) -> anyhow::Result<Vec<Recorded>> {
    let today = args.today.unwrap_or_else(today);
    let (world, rates) = (
        World::new(args.seed, args.residents, today),
        Rates::default().scaled(args.dirt),
    );
    let (mut sources, mut record) = (Sources::new(args, Databases::new(), now_us()), Record::default());
    sources.snapshot(&world, &rates, &mut record, None, &AtomicBool::new(false))?;
    let mut live = Live::new(&world, &rates);
    while live.rows() < args.changes.unwrap_or(0) {
        let happened = live.next(today).context("nothing fits anybody in so small a province")?;
        sources.change(&happened, now_us(), &mut record)?;
    }
    Ok(record.0)
}

/// Publishes the snapshot and the changes; returns when done or told to stop (SIGTERM, SIGINT).
///
/// # Errors
/// When Kafka cannot be reached or refuses messages, or the truth cannot be written.
pub async fn run(args: Args) -> anyhow::Result<()> {
    if let Some(system) = args.print_tables {
        let mut out = std::io::stdout().lock();
        for agency in AGENCIES {
            writeln!(out, "-- {agency}\n\n{}", sql::tables_of(agency, system))?;
        }
        return Ok(());
    }
    let mut databases = Databases::new();
    for of in &args.databases {
        databases.insert((of.source.agency, of.source.city.code()), Database::open(of).await?);
    }
    let sources = Sources::new(&args, databases, now_us());
    if let Some(of) = args.databases.iter().find(|of| !sources.contains(of.source)) {
        anyhow::bail!("--database {}: this source is not simulated; see --cities", of.source);
    }
    publish::create_topics(&args.broker, &sources.topics(args.partitions)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let noticed = stop.clone();
    let mut work = tokio::task::spawn_blocking(move || publish_all(&args, sources, &noticed));
    loop {
        tokio::select! {
            done = &mut work => return done.context("the simulation broke off")?,
            _ = terminate.recv() => stop.store(true, Ordering::Relaxed),
            _ = interrupt.recv() => stop.store(true, Ordering::Relaxed),
        }
    }
}

fn publish_all(args: &Args, mut sources: Sources, stop: &AtomicBool) -> anyhow::Result<()> {
    let today = args.today.unwrap_or_else(today);
    let world = World::new(args.seed, args.residents, today);
    let rates = Rates::default().scaled(args.dirt);
    let mut kafka = Kafka::new(&args.broker)?;
    let mut truth = args.truth.as_deref().map(Truth::create).transpose()?;
    let mut live = Live::new(&world, &rates);
    if let Some(rows) = args.resume_after {
        while live.rows() < rows && !stop.load(Ordering::Relaxed) && live.next(today).is_some() {}
    } else {
        let finished = sources.snapshot(&world, &rates, &mut kafka, truth.as_mut(), stop)?;
        tracing::info!(messages = kafka.flush()?, finished, "the snapshot is published");
        if !finished {
            return Ok(());
        }
    }
    if !args.snapshot_only {
        change(args, &mut live, &mut sources, &mut kafka, stop)?;
    }
    if let Some(truth) = &mut truth {
        for index in live.touched() {
            if let Some(dossier) = live.dossier(index) {
                truth.write(&dossier)?;
            }
        }
        truth.flush()?;
    }
    let messages = kafka.flush()?;
    tracing::info!(messages, rows = live.rows(), "the simulation is done");
    Ok(())
}

/// Publishes changes at the chosen rate, and what states the completeness of the sources.
fn change(args: &Args, live: &mut Live<'_>, sources: &mut Sources, kafka: &mut Kafka, stop: &AtomicBool) -> anyhow::Result<()> {
    let before = live.rows();
    let bar = progress(args.changes, "changes");
    let start = Instant::now();
    let (mut next_beat, mut next_batch) = (start, start);
    loop {
        let now = Instant::now();
        if now >= next_beat {
            // Nothing sent before a completeness row may be appended after it.
            kafka.flush()?;
            sources.beat(now_us(), kafka)?;
            next_beat = now + Duration::from_secs(args.heartbeat_seconds);
        }
        let day = args.today.unwrap_or_else(today);
        if now >= next_batch {
            kafka.flush()?;
            sources.load(day, now_us(), kafka)?;
            next_batch = now + Duration::from_secs(args.batch_seconds);
        }
        let done = live.rows() - before;
        if stop.load(Ordering::Relaxed) || args.changes.is_some_and(|wanted| done >= wanted) {
            break;
        }
        let due = match args.changes_per_second {
            0 => u64::MAX,
            rate => (start.elapsed().as_secs_f64() * rate as f64) as u64,
        };
        if done >= due {
            kafka.poll()?;
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        match live.next(day) {
            Some(happened) => sources.change(&happened, now_us(), kafka)?,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
        bar.set_position(live.rows() - before);
    }
    // A last statement of completeness, so that everything sent before it can be released.
    kafka.flush()?;
    sources.beat(now_us(), kafka)?;
    sources.load(args.today.unwrap_or_else(today), now_us(), kafka)?;
    bar.finish_and_clear();
    Ok(())
}

/// A bar on standard error, hidden when that is no terminal; without a length it counts.
fn progress(length: Option<u64>, what: &'static str) -> ProgressBar {
    let template = match length {
        Some(_) => "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}",
        None => "{msg} {spinner} {human_pos} {per_sec}",
    };
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message(what)
}

/// Microseconds since 1970.
fn now_us() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

/// Today in Shanghai.
fn today() -> Day {
    Timestamp(now_us() / 1000).day_in_shanghai()
}
