//! Receiving completeness rows.

use crate::Shared;
use crate::row::{self, CompletenessRow};
use anyhow::Context;
use domain::date::Timestamp;
use domain::source::Agency;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use runtime::dialect::{Dialects, Kind};
use runtime::kafka::group_consumer;
use runtime::kafka::offsets::is_transient;
use runtime::shutdown::Shutdown;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The clock's own group: where it stopped reading completeness rows.
const GROUP: &str = "canbao.clock";

/// A message of a completeness table.
pub(crate) struct Received {
    /// What it says; `None` for messages that state nothing.
    pub(crate) row: Option<CompletenessRow>,
    topic: String,
    partition: i32,
    offset: i64,
}

/// Messages as they arrive.
pub(crate) struct Rows {
    pub(crate) receiver: mpsc::Receiver<anyhow::Result<Received>>,
    consumer: Arc<BaseConsumer>,
}

impl Rows {
    /// Notes that what a message says is stored: it is not read again after a restart.
    pub(crate) fn done(&self, received: &Received) {
        // Fails for a partition that has just been given to another clock, which then reads it again.
        if let Err(error) = self.consumer.store_offset(&received.topic, received.partition, received.offset) {
            tracing::debug!(%error, topic = received.topic, "an offset could not be stored");
        }
    }
}

/// Subscribes to the completeness tables of every source and reads them on a thread of its own until shutdown.
pub(crate) fn start(shared: &Shared, shutdown: &Shutdown) -> anyhow::Result<Rows> {
    let pattern = pattern(&shared.dialects, shared).context("no dialect maps a completeness table: see `dialects`")?;
    let consumer: BaseConsumer = group_consumer(&shared.settings, "canbao-clock", GROUP)
        .set("enable.auto.commit", "true")
        // Rows that expired while nobody read are made good by the next one.
        .set("auto.offset.reset", "earliest")
        .set("topic.metadata.refresh.interval.ms", shared.settings.normaliser.topic_refresh_millis.to_string())
        .create()
        .context("making the consumer of completeness rows")?;
    consumer.subscribe(&[&pattern]).context("subscribing to completeness rows")?;
    let consumer = Arc::new(consumer);
    let (sender, receiver) = mpsc::channel(1024);
    let (reader, dialects, shutdown) = (consumer.clone(), shared.dialects.clone(), shutdown.clone());
    std::thread::Builder::new().name("completeness-rows".into()).spawn(move || read(&reader, &dialects, &sender, &shutdown))?;
    Ok(Rows { receiver, consumer })
}

/// Topics of completeness tables, as a subscription pattern.
fn pattern(dialects: &Dialects, shared: &Shared) -> Option<String> {
    let tables: BTreeSet<String> = shared
        .scope
        .iter()
        .flat_map(|source| dialects.tables(*source))
        .filter(|table| table.kind == Kind::Completeness)
        .map(|table| table.name.as_str().replace('.', r"\."))
        .collect();
    let agencies: Vec<&str> = Agency::ALL.iter().map(|agency| agency.as_str()).collect();
    let tables: Vec<String> = tables.into_iter().collect();
    (!tables.is_empty()).then(|| format!(r"^({})\.[0-9]+\.public\.({})$", agencies.join("|"), tables.join("|")))
}

fn read(consumer: &BaseConsumer, dialects: &Dialects, sender: &mpsc::Sender<anyhow::Result<Received>>, shutdown: &Shutdown) {
    while !shutdown.requested() {
        let received = match consumer.poll(Duration::from_millis(100)) {
            None => continue,
            Some(Err(error)) if is_transient(&error) => continue,
            Some(Err(error)) => Err(anyhow::Error::new(error).context("reading completeness rows")),
            Some(Ok(message)) => {
                let timestamp = Timestamp(message.timestamp().to_millis().unwrap_or(0));
                Ok(Received {
                    row: row::read(dialects, message.topic(), timestamp, message.key(), message.payload()),
                    topic: message.topic().to_owned(),
                    partition: message.partition(),
                    offset: message.offset(),
                })
            }
        };
        let failed = received.is_err();
        if sender.blocking_send(received).is_err() || failed {
            return;
        }
    }
}
