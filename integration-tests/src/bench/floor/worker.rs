//! The floor's process: a thread that reads the sources, one that reads its own topic, and two writers.

use super::message::Row;
use super::writer::{Entry, Writer};
use super::{Done, TOPIC};
use anyhow::Context;
use domain::shard::SHARDS;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use runtime::config::Settings;
use runtime::kafka::produce::{Flight, Outgoing, Producer};
use runtime::kafka::topics::TopicSpec;
use runtime::kafka::{self, offsets};
use sqlx::{PgPool, Row as _};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Writers, as many as a registry has by default.
const WRITERS: usize = 2;
/// Entries in hand per writer beyond a full batch.
const AHEAD: usize = 20_000;

/// Runs the floor: reads what has come since it last ran, writes it, says so, and waits until its input ends.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::super::fail(&error),
    }
}

fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let settings = Settings {
        kafka: std::env::var("CANBAO_KAFKA")?,
        ..Settings::default()
    };
    let database = std::env::var("CANBAO_DATABASE_URL")?;
    let done = runtime.block_on(work(settings, &database));
    // After a failure the other threads would wait for ever for what does not come.
    runtime.shutdown_background();
    let done = done?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::to_string(&done)?)?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

async fn work(settings: Settings, database: &str) -> anyhow::Result<Done> {
    let pool = PgPool::connect(database).await?;
    let topic = TopicSpec {
        name: TOPIC.to_owned(),
        ..kafka::topics::person_records()
    };
    ensure_topic(&settings, topic).await?;
    let positions = sqlx::query("select shard, position from store.shard")
        .fetch_all(&pool)
        .await?;
    let positions = positions
        .iter()
        .map(|row| Ok((row.try_get("shard")?, row.try_get("position")?)));
    let positions: BTreeMap<i16, i64> = positions.collect::<sqlx::Result<_>>()?;
    let sources = sqlx::query("select topic, partition, next from store.floor_source")
        .fetch_all(&pool)
        .await?;
    let sources = sources
        .iter()
        .map(|row| Ok(((row.try_get("topic")?, row.try_get("partition")?), row.try_get("next")?)));
    let sources: BTreeMap<(String, i32), i64> = sources.collect::<sqlx::Result<_>>()?;

    let start = Instant::now();
    let (sent, read_all) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let reader = {
        let (settings, sent, read_all) = (settings.clone(), sent.clone(), read_all.clone());
        tokio::task::spawn_blocking(move || read(&settings, &sources, &sent, &read_all))
    };
    let (mut senders, mut writers) = (Vec::new(), Vec::new());
    for _ in 0..WRITERS {
        let (sender, receiver) = mpsc::channel(AHEAD);
        senders.push(sender);
        let writer = Writer::connect(database).await?;
        writers.push(tokio::spawn(writer.run(receiver)));
    }
    let feeder = tokio::task::spawn_blocking(move || feed(&settings, &positions, &senders, &sent, &read_all));
    let (messages, next) = reader.await??;
    feeder.await??;
    for writer in writers {
        writer.await??;
    }
    let seconds = start.elapsed().as_secs_f64();
    for ((topic, partition), next) in next {
        sqlx::query(
            "insert into store.floor_source values ($1, $2, $3) on conflict (topic, partition) do update set next = excluded.next",
        )
        .bind(topic)
        .bind(partition)
        .bind(next)
        .execute(&pool)
        .await?;
    }
    Ok(Done { messages, seconds })
}

async fn ensure_topic(settings: &Settings, topic: TopicSpec) -> anyhow::Result<()> {
    Ok(kafka::admin::ensure_topics(settings, &[topic]).await?)
}

type Positions = BTreeMap<(String, i32), i64>;

/// Reads every source topic to its present end and sends the rows on; returns how many messages that were, and where it goes on.
fn read(settings: &Settings, from: &Positions, sent: &AtomicI64, read_all: &AtomicBool) -> anyhow::Result<(i64, Positions)> {
    let consumer: BaseConsumer = kafka::plain_consumer(settings, "bench-floor-source").create()?;
    let metadata = consumer.fetch_metadata(None, kafka::REQUEST_TIMEOUT)?;
    let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
    let topics: Vec<String> = names.filter(|name| name.contains(".public.")).collect();
    let ends = offsets::end_offsets(&consumer, &topics)?;
    let mut assignment = TopicPartitionList::new();
    let mut open = ends.clone();
    for ((topic, partition), end) in &ends {
        let next = from.get(&(topic.clone(), *partition)).copied().unwrap_or(0);
        if next < *end {
            assignment.add_partition_offset(topic, *partition, Offset::Offset(next))?;
        } else {
            open.remove(&(topic.clone(), *partition));
        }
    }
    consumer.assign(&assignment)?;
    let producer = Producer::new(&kafka::idempotent_producer(settings, "bench-floor"))?;
    let flight = Arc::new(Flight::default());
    let mut messages = 0;
    while !open.is_empty() {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        let at = (message.topic().to_owned(), message.partition());
        let end = ends.get(&at).copied().context("a partition that was not asked for")?;
        if message.offset() >= end {
            continue;
        }
        messages += 1;
        if let Some(value) = message.payload() {
            let (key, appended_at) = (
                message.key().unwrap_or_default(),
                message.timestamp().to_millis().unwrap_or(0),
            );
            if let Some(row) = Row::parse(&at.0, at.1, message.offset(), appended_at, key, value)? {
                let value = row.encode()?;
                let outgoing = Outgoing {
                    topic: TOPIC,
                    partition: row.shard().into(),
                    key: &row.record,
                    value: &value,
                    timestamp: Some(appended_at),
                };
                producer.send(&flight, outgoing)?;
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
        if message.offset() + 1 >= end {
            open.remove(&at);
        }
    }
    producer.wait(&flight)?;
    read_all.store(true, Ordering::Release);
    Ok((messages, ends))
}

/// Reads the floor's topic and hands each entry to its shard's writer, until all that was sent has been handed over.
fn feed(
    settings: &Settings,
    positions: &BTreeMap<i16, i64>,
    writers: &[mpsc::Sender<Entry>],
    sent: &AtomicI64,
    read_all: &AtomicBool,
) -> anyhow::Result<()> {
    let consumer: BaseConsumer = kafka::plain_consumer(settings, "bench-floor").create()?;
    let mut assignment = TopicPartitionList::new();
    for shard in 0..i16::from(SHARDS) {
        let next = positions.get(&shard).copied().unwrap_or(0);
        assignment.add_partition_offset(TOPIC, shard.into(), Offset::Offset(next))?;
    }
    consumer.assign(&assignment)?;
    let mut handed = 0;
    while !(read_all.load(Ordering::Acquire) && handed >= sent.load(Ordering::Relaxed)) {
        let Some(message) = consumer.poll(Duration::from_millis(20)) else {
            continue;
        };
        let message = message?;
        let entry = Entry {
            shard: message.partition() as i16,
            position: message.offset(),
            logged_at: message.timestamp().to_millis().unwrap_or(0),
            body: message.payload().unwrap_or_default().to_vec(),
        };
        let writer = &writers[message.partition() as usize % writers.len()];
        writer.blocking_send(entry).ok().context("a writer stopped")?;
        handed += 1;
    }
    Ok(())
}
