//! Reads `person.records`: the group decides who reads which shard, PostgreSQL decides from where
//! (ARCHITECTURE.md, Exactly once).
//!
//! A thread of its own polls, because librdkafka calls back about rebalances from within a poll and those callbacks wait for the
//! database and for the writers.

use crate::entries::{Entry, Handed};
use crate::halts::Rereads;
use crate::owner;
use anyhow::{Context, ensure};
use domain::limits;
use domain::shard::Shard;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};
use runtime::health::Watch;
use runtime::kafka::admin;
use runtime::kafka::joining::Coordination;
use runtime::kafka::lag::{self, membership};
use runtime::kafka::trouble::{Trouble, is_transient};
use runtime::patience::Attempts;
use runtime::store::session;
use runtime::telemetry::UNKNOWN;
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

/// The topic whose partitions are the shards.
pub const TOPIC: &str = "person.records";
/// The broker does not have the offset where a shard goes on: the two are not of one time.
const CANNOT_READ_ON: &str = "person.records cannot be read on without a gap: where the brokers' end lies before the base's positions \
     (`select shard, position from store.shard`), they have lost entries. Stop the services, put back a backup of the database from before \
     that, run `canbao restore`, and start the services again";
/// How long the client may take to turn to another offset.
const SEEK: Duration = Duration::from_secs(10);
/// How long a revoked shard's entries in hand may take; after that the new owner cuts our connection off.
const DRAIN: Duration = Duration::from_secs(10);

/// Decides on rebalances; shared with the poll loop through the consumer.
struct Ownership {
    handle: Handle,
    pool: PgPool,
    writers: Vec<mpsc::Sender<Handed>>,
    failure: Mutex<Option<anyhow::Error>>,
    /// Where the reader stands in each shard's log.
    stands: Mutex<BTreeMap<Shard, i64>>,
    rereads: Rereads,
    watch: Watch,
    coordination: Coordination,
    stop: watch::Receiver<bool>,
}

/// `None` while it is not known.
fn show_lag(lag: Option<i64>) {
    metrics::gauge!("canbao_registry_lag_entries").set(lag.map_or(UNKNOWN, |lag| lag as f64));
}

impl ClientContext for Ownership {
    fn stats(&self, statistics: Statistics) {
        let member = membership(&statistics, lag::From::Taken);
        show_lag(member.lag);
        self.coordination.note(member.joining);
        self.watch.wait(match member {
            lag::Membership { joining: true, .. } => Some("joining its group"),
            lag::Membership { unread: true, .. } => Some("entries wait to be read"),
            _ => None,
        });
        if !member.joining && !member.unread {
            self.watch.moved();
        }
    }
}

impl ConsumerContext for Ownership {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let done = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, partitions),
            _ => self.revoke(consumer, partitions),
        };
        // However long that took, meanwhile no statistics were served: the group has answered.
        self.coordination.note(false);
        if let Err(error) = done {
            *self.failure.lock().expect("no panic holds this lock") = Some(error);
        }
    }
}

impl Ownership {
    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &mut TopicPartitionList) -> anyhow::Result<()> {
        let shards = shards_of(partitions);
        let positions = self.positions(&shards)?;
        let mut resumed = TopicPartitionList::new();
        for (shard, position) in positions {
            self.stands.lock().expect("no panic holds this lock").insert(shard, position);
            resumed.add_partition_offset(TOPIC, i32::from(shard.number()), Offset::Offset(position))?;
        }
        for (writer, shards) in self.split(&shards) {
            // A writer that has gone says why itself, see `consume`.
            let _ = writer.blocking_send(Handed::Assigned(shards));
        }
        tracing::info!(shards = shards.len(), "shards assigned");
        consumer
            .assign(&resumed)
            .context("the broker's assignment could not be taken")
    }

    /// Where the shards go on; waits for a database that is away.
    fn positions(&self, shards: &BTreeSet<Shard>) -> anyhow::Result<Vec<(Shard, i64)>> {
        let mut attempts = Attempts::new(Instant::now());
        loop {
            match self.handle.block_on(owner::positions(&self.pool, shards)) {
                Err(error) if session::is_passing(&error) && !*self.stop.borrow() => {
                    let cause = session::explain(&error);
                    if attempts.is_news(&cause, Instant::now()) {
                        tracing::warn!(cause, "the shards' positions cannot be read, trying again");
                    }
                    self.watch.fail(cause);
                    std::thread::sleep(attempts.pause());
                }
                read => {
                    let positions = read?;
                    self.watch.moved();
                    return Ok(positions);
                }
            }
        }
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) -> anyhow::Result<()> {
        let shards = shards_of(partitions);
        let mut finished = Vec::new();
        for (writer, shards) in self.split(&shards) {
            let (done, wait) = oneshot::channel();
            if writer.blocking_send(Handed::Revoked(shards, done)).is_ok() {
                finished.push(wait);
            }
        }
        self.handle.block_on(async {
            for wait in finished {
                if tokio::time::timeout(DRAIN, wait).await.is_err() {
                    tracing::warn!("entries in hand were not finished before the shards moved on; their new owner repeats them");
                }
            }
        });
        tracing::info!(shards = shards.len(), "shards revoked");
        show_lag(None);
        consumer.unassign().context("the assignment could not be given back")
    }

    /// Goes on behind the entry at `position`; says where the reader stood before it. What lies between holds nothing that can be read,
    /// such as the marker of a transaction: an offset that the broker no longer has is an error of its own.
    fn follow(&self, shard: Shard, position: i64) -> i64 {
        let mut stands = self.stands.lock().expect("no panic holds this lock");
        stands.insert(shard, position + 1).unwrap_or(position)
    }

    fn split<'a>(&'a self, shards: &BTreeSet<Shard>) -> impl Iterator<Item = (&'a mpsc::Sender<Handed>, BTreeSet<Shard>)> {
        let shards = shards.clone();
        let count = self.writers.len();
        self.writers.iter().enumerate().filter_map(move |(at, writer)| {
            let own: BTreeSet<Shard> = shards
                .iter()
                .copied()
                .filter(|shard| writer_of(*shard, count) == at)
                .collect();
            (!own.is_empty()).then_some((writer, own))
        })
    }
}

fn writer_of(shard: Shard, writers: usize) -> usize {
    usize::from(shard.number()) % writers
}

fn shards_of(partitions: &TopicPartitionList) -> BTreeSet<Shard> {
    partitions
        .elements()
        .iter()
        .filter_map(|element| u8::try_from(element.partition()).ok().and_then(Shard::new))
        .collect()
}

/// Polls until `stop` or a failure, or until a writer has gone, whose own error then says why; blocks its thread.
///
/// # Errors
/// When positions cannot be read, or the broker no longer has the offset where a shard must go on.
pub fn consume(
    mut config: ClientConfig,
    handle: Handle,
    pool: PgPool,
    writers: Vec<mpsc::Sender<Handed>>,
    rereads: Rereads,
    progress: &Watch,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    // Positions are PostgreSQL's; an offset that the broker no longer has must never be skipped.
    config
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("partition.assignment.strategy", "range")
        .set("max.poll.interval.ms", "600000")
        .set("statistics.interval.ms", "5000");
    metrics::describe_gauge!("canbao_registry_lag_entries", "Entries not yet taken; absent while not known");
    let count = writers.len();
    let servers = config.clone();
    let ownership = Ownership {
        handle,
        pool,
        writers,
        failure: Mutex::new(None),
        stands: Mutex::new(BTreeMap::new()),
        rereads,
        watch: progress.clone(),
        coordination: Coordination::default(),
        stop: stop.clone(),
    };
    let consumer: BaseConsumer<Ownership> = config
        .create_with_context(ownership)
        .context("the consumer could not be made")?;
    consumer
        .subscribe(&[TOPIC])
        .context("person.records could not be subscribed to")?;
    while !*stop.borrow() {
        if !read_again(&consumer, count)? {
            break;
        }
        let polled = consumer.poll(Duration::from_millis(50));
        if let Some(error) = consumer.context().failure.lock().expect("no panic holds this lock").take() {
            return Err(error);
        }
        consumer.context().coordination.check(&servers)?;
        let Some(message) = polled else { continue };
        progress.begin("an entry is handed to its writer");
        let message = match message {
            Ok(message) => message,
            Err(error) if is_fatal(&error) => return Err(error).context(CANNOT_READ_ON),
            Err(error) => {
                tracing::warn!(%error, "polling person.records");
                if !is_transient(&error) {
                    progress.fail(format!("person.records cannot be read: {error}"));
                }
                progress.rest();
                continue;
            }
        };
        let Some(shard) = u8::try_from(message.partition()).ok().and_then(Shard::new) else {
            progress.rest();
            continue; // More partitions than shards: an explicit partitioner never writes there.
        };
        runtime::failpoint::reach("registry.polled");
        let follows = consumer.context().follow(shard, message.offset());
        if follows < message.offset() {
            let Some(policy) = cleanup_policy(&servers, consumer.context())? else {
                break;
            };
            explain(&policy, shard, follows..message.offset())?;
        }
        let entry = Entry {
            shard,
            position: message.offset(),
            follows,
            // A producer's time, where the topic was not made by us, can be any number: a month's part of the log is made for it.
            logged_at: message.timestamp().to_millis().unwrap_or(0).clamp(0, *limits::INSTANTS.end()),
            body: message.payload().unwrap_or_default().to_vec(),
            is_skipped: false,
        };
        let writer = &consumer.context().writers[writer_of(shard, count)];
        if writer.blocking_send(Handed::Entry(entry)).is_err() {
            break;
        }
        progress.moved();
    }
    consumer.unsubscribe();
    Ok(())
}

/// Reads shards again from where their writers asked, and says so to them in the order of what they are handed; `false` when a writer has
/// gone.
///
/// # Errors
/// When the client refuses.
fn read_again(consumer: &BaseConsumer<Ownership>, writers: usize) -> anyhow::Result<bool> {
    let ownership = consumer.context();
    for (shard, position) in ownership.rereads.take() {
        let partition = i32::from(shard.number());
        let assigned = consumer.assignment().context("asking what is assigned")?;
        if assigned.find_partition(TOPIC, partition).is_none() {
            continue; // Whoever has it now reads on from the store's position.
        }
        match consumer.seek(TOPIC, partition, Offset::Offset(position), SEEK) {
            Err(error) if is_transient(&error) => {
                tracing::warn!(%shard, %error, "a shard is not read again yet");
                ownership.rereads.ask(shard, position);
                continue;
            }
            sought => sought.with_context(|| format!("reading shard {shard} again from {position}"))?,
        }
        ownership
            .stands
            .lock()
            .expect("no panic holds this lock")
            .insert(shard, position);
        if ownership.writers[writer_of(shard, writers)]
            .blocking_send(Handed::Again(shard))
            .is_err()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What the log's topic does with old entries, as its brokers say, however long that takes; `None` when asked to end meanwhile.
///
/// # Errors
/// When they refuse to say.
fn cleanup_policy(servers: &ClientConfig, ownership: &Ownership) -> anyhow::Result<Option<String>> {
    let mut attempts = Attempts::new(Instant::now());
    while !*ownership.stop.borrow() {
        let asked = admin::setting_in_force(servers, TOPIC, "cleanup.policy");
        match ownership.handle.block_on(asked) {
            Err(error) if Trouble::of_topic(&error) == Trouble::Transient => {
                ownership
                    .watch
                    .fail(format!("whether the log was compacted cannot be asked: {error}"));
                if attempts.is_news(&error.to_string(), Instant::now()) {
                    tracing::warn!(%error, "whether the log was compacted cannot be asked, trying again");
                }
                std::thread::sleep(attempts.pause());
            }
            said => return Ok(Some(said?.unwrap_or_else(|| "unknown".to_owned()))),
        }
    }
    Ok(None)
}

/// Offsets that a reader is not shown, though it read on from the one before, were never entries: they are markers of transactions and
/// what aborted ones had written, unless compaction took entries away.
///
/// # Errors
/// When the topic is compacted, or its settings are not known.
fn explain(policy: &str, shard: Shard, unread: Range<i64>) -> anyhow::Result<()> {
    let Range { start, end } = unread;
    ensure!(
        policy == "delete",
        "shard {shard}: the log has no entries from {start} to {end} and may have lost them, since the topic {TOPIC} has cleanup.policy={policy}: \
         nothing may be removed from it. Set the policy to delete, and restore the topic or build the base anew from the sources"
    );
    tracing::warn!(
        %shard,
        from = start,
        to = end,
        "these offsets hold no entries but markers of transactions: somebody else writes to person.records"
    );
    Ok(())
}

fn is_fatal(error: &rdkafka::error::KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::OffsetOutOfRange | Code::AutoOffsetReset | Code::Fatal | Code::TopicAuthorizationFailed)
    )
}
