//! Looks for markers in the committed base and in the alert topics.

use super::super::stack::Stack;
use super::markers::Marker;
use anyhow::Context;
use domain::finding::AlertKind;
use domain::ids::RecordId;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use runtime::kafka::{self, offsets};
use schemas::event::AlertEvent;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Between two looks at the base: what polling adds to a latency at most, besides the question itself.
const LOOK: Duration = Duration::from_millis(3);

/// When records were sent and seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Handed to the broker.
    pub sent: BTreeMap<RecordId, Instant>,
    /// Seen in the base.
    pub committed: BTreeMap<RecordId, Instant>,
    /// Seen in an alert.
    pub alerted: BTreeMap<RecordId, Instant>,
    /// Sent and not seen in the base.
    open: Vec<RecordId>,
}

impl Seen {
    /// A record is handed to the broker now.
    pub fn sent(&mut self, record: RecordId, now: Instant) {
        self.sent.insert(record, now);
        self.open.push(record);
    }

    /// Markers not seen in both places.
    pub fn waiting(&self, markers: &[Marker]) -> usize {
        let arrived = |marker: &&Marker| self.committed.contains_key(&marker.record) && self.alerted.contains_key(&marker.record);
        markers.len() - markers.iter().filter(arrived).count()
    }
}

/// The two that look.
pub struct Watch {
    ended: Arc<AtomicBool>,
    base: JoinHandle<anyhow::Result<()>>,
    alerts: JoinHandle<anyhow::Result<()>>,
}

impl Watch {
    /// Begins to look.
    ///
    /// # Errors
    /// When broker or database do not answer.
    pub async fn start(stack: &Stack, seen: &Arc<Mutex<Seen>>) -> anyhow::Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let connection = stack.pool.acquire().await?;
        let consumer = alert_consumer(stack)?;
        Ok(Self {
            base: tokio::spawn(watch_base(connection, seen.clone(), ended.clone())),
            alerts: {
                let (seen, ended) = (seen.clone(), ended.clone());
                tokio::task::spawn_blocking(move || watch_alerts(&consumer, &seen, &ended))
            },
            ended,
        })
    }

    /// Ends.
    ///
    /// # Errors
    /// What went wrong meanwhile.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.ended.store(true, Ordering::Relaxed);
        (&mut self.base).await??;
        (&mut self.alerts).await?
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Also when a measurement breaks off: the thread of the alerts would never end.
        self.ended.store(true, Ordering::Relaxed);
    }
}

async fn watch_base(
    mut connection: PoolConnection<Postgres>,
    seen: Arc<Mutex<Seen>>,
    ended: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    sqlx::query("set enable_seqscan = off").execute(&mut *connection).await?;
    while !ended.load(Ordering::Relaxed) {
        let open: Vec<Vec<u8>> = {
            let seen = super::lock(&seen);
            seen.open.iter().map(|record| record.bytes().to_vec()).collect()
        };
        if !open.is_empty() {
            let found: Vec<Vec<u8>> = sqlx::query_scalar("select record from store.directory where record = any($1)")
                .bind(open)
                .fetch_all(&mut *connection)
                .await?;
            let now = Instant::now();
            let mut seen = super::lock(&seen);
            for record in found.iter().filter_map(|record| RecordId::from_slice(record)) {
                seen.committed.insert(record, now);
            }
            let Seen { committed, open, .. } = &mut *seen;
            open.retain(|record| !committed.contains_key(record));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// A consumer of what will be published to the alert topics of the markers' kinds.
fn alert_consumer(stack: &Stack) -> anyhow::Result<BaseConsumer> {
    let consumer: BaseConsumer = kafka::plain_consumer(stack.broker.settings(), "bench-alerts").create()?;
    let topics = [AlertKind::DoubleEnrolled, AlertKind::AfterDeath]
        .into_iter()
        .flat_map(|kind| {
            let cities = domain::division::City::all();
            cities.map(move |city| schemas::registry::alert_topic(kind, city))
        });
    let mut assignment = TopicPartitionList::new();
    for ((topic, partition), end) in offsets::end_offsets(&consumer, &topics.collect::<Vec<_>>())? {
        assignment.add_partition_offset(&topic, partition, Offset::Offset(end))?;
    }
    consumer.assign(&assignment)?;
    Ok(consumer)
}

fn watch_alerts(consumer: &BaseConsumer, seen: &Mutex<Seen>, ended: &AtomicBool) -> anyhow::Result<()> {
    while !ended.load(Ordering::Relaxed) {
        let Some(message) = consumer.poll(Duration::from_millis(50)) else {
            continue;
        };
        let message = message?;
        let now = Instant::now();
        let alert: AlertEvent =
            schemas::event::decode(message.payload().unwrap_or_default()).context("an alert cannot be decoded")?;
        let mut seen = super::lock(seen);
        for fact in &alert.evidence {
            if seen.sent.contains_key(&fact.record) {
                seen.alerted.entry(fact.record).or_insert(now);
            }
        }
    }
    Ok(())
}
