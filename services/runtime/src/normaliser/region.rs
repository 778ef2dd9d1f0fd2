//! One region's loop: read, classify, send, deliver, commit.
//!
//! | Step | Repeated after a crash? |
//! |---|---|
//! | 1. read a batch from the source topics | yes, from the committed offsets |
//! | 2. open each message's frames, classify it (pure) | yes: a schema never changes |
//! | 3. send inputs and dead letters | yes: an input that stands twice in a log is ignored by its version, a dead letter by its coordinates |
//! | 4. wait until all of them are delivered | yes |
//! | 5. commit the offsets | the end of the batch |
//!
//! A delivery that fails ends the loop: nothing after it may be committed, and who begins again repeats the batch (`station.rs`).

mod commit;
mod stages;

use super::Shared;
use super::emit::{Emitter, Pace};
use super::events::{Events, Outcome};
use super::hold::Hold;
use super::positions::Positions;
use super::share::DeadLetterShare;
use crate::framed;
use crate::kafka::offsets::{TopicPartition, is_transient};
use crate::store::session;
use anyhow::Context;
use commit::is_membership_change;
use domain::source::Source;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use stages::{Left, Stages};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an idle poll waits, and so how soon a request to end is noticed.
const IDLE: Duration = Duration::from_millis(100);
/// How long a batch is filled while rows wait in numbers: nobody's latency is lost by it, and every commit and every
/// small batch of a partition costs the broker as much as a large one.
const BACKLOG_FILL: Duration = Duration::from_secs(1);
/// Rows a batch must have read without a wait before its region counts as in backlog: more than a hiccup leaves behind.
const BACKLOG_ROWS: u32 = 100;

/// How long going back to a message may take: it only tells the client's own thread.
const SEEK: Duration = Duration::from_secs(10);

/// Offset of the next message, by topic and partition.
type Offsets = BTreeMap<String, BTreeMap<i32, i64>>;

/// What a batch has read.
#[derive(Default)]
struct Batch {
    rows: u32,
    /// Offset of the next message, by topic and partition.
    next: Offsets,
    /// Append time of the newest message, milliseconds since 1970.
    newest: i64,
    /// Some message was left to be read again.
    cut: bool,
    /// It had to wait for a row after its first, or no other waited.
    ran_dry: bool,
}

impl Batch {
    fn took(&mut self, message: &BorrowedMessage<'_>) {
        self.rows += 1;
        self.newest = self.newest.max(message.timestamp().to_millis().unwrap_or(0));
        let next = message.offset() + 1;
        if let Some(partitions) = self.next.get_mut(message.topic()) {
            partitions.insert(message.partition(), next);
        } else {
            self.next
                .insert(message.topic().to_owned(), BTreeMap::from([(message.partition(), next)]));
        }
    }

    fn partitions(&self) -> impl Iterator<Item = TopicPartition> {
        let of_topic = |(topic, partitions): (&String, &BTreeMap<i32, i64>)| {
            partitions
                .keys()
                .map(|partition| (topic.clone(), *partition))
                .collect::<Vec<_>>()
        };
        self.next.iter().flat_map(of_topic)
    }

    fn next(&self, topic: &str, partition: i32) -> Option<i64> {
        self.next.get(topic)?.get(&partition).copied()
    }

    /// How the next batch is sent.
    fn pace(&self) -> Pace {
        if self.rows >= BACKLOG_ROWS && !self.ran_dry {
            Pace::Backlog
        } else {
            Pace::Prompt
        }
    }
}

/// Messages that waited when partitions were assigned and are not read yet, at most: some offsets hold none.
///
/// Such a backlog begins at its pace: it would otherwise be preceded by a small batch, of a request for each of the 64 logs. When all that
/// waited is read, a fuller batch would only be a later one.
#[derive(Debug, Default, PartialEq, Eq)]
struct Waiting(u64);

impl Waiting {
    /// More partitions were assigned, in which so many wait; whether a backlog begins.
    fn given(&mut self, more: u64) -> bool {
        self.0 += more;
        more > 0 && self.0 >= u64::from(BACKLOG_ROWS)
    }

    /// A message was read; whether it was the last of those.
    fn took_the_last(&mut self) -> bool {
        let waited = self.0;
        self.0 = waited.saturating_sub(1);
        waited == 1
    }
}

/// A region's consumer with all it needs.
pub(super) struct Region {
    source: Source,
    consumer: BaseConsumer<Positions>,
    stages: Stages,
    shared: Arc<Shared>,
    refreshed: Instant,
    waiting: Waiting,
    /// Partitions with offsets that this process committed.
    committed: BTreeSet<TopicPartition>,
    /// Offsets whose commit was refused because the group was being rearranged.
    refused: Offsets,
}

impl Region {
    pub(super) fn new(source: Source, consumer: BaseConsumer<Positions>, emitter: Emitter, shared: Arc<Shared>) -> Self {
        let (share, events) = (DeadLetterShare::new(&shared.settings), Events::new(source));
        let stages = Stages {
            shared: shared.clone(),
            emitter,
            share,
            events,
            left: None,
        };
        Self {
            source,
            consumer,
            stages,
            shared,
            refreshed: Instant::now(),
            waiting: Waiting::default(),
            committed: BTreeSet::new(),
            refused: Offsets::new(),
        }
    }

    /// Runs until shutdown; the last batch is delivered and committed before it returns.
    ///
    /// # Errors
    /// Whatever must not be skipped: a failed delivery, a lost store, a fatal error of the client.
    pub(super) fn run(&mut self) -> anyhow::Result<()> {
        self.consumer.context().report();
        while !self.shared.shutdown.requested() {
            self.consumer
                .context()
                .watch()
                .begin("a batch is read, delivered and committed");
            self.turn().with_context(|| format!("normalising {}", self.source))?;
            self.consumer.context().watch().rest();
        }
        Ok(())
    }

    fn turn(&mut self) -> anyhow::Result<()> {
        self.follow_operator()?;
        self.consumer.context().joined()?;
        let mut batch = self.fill()?;
        self.take_up(&mut batch)?;
        if !batch.next.is_empty() {
            self.stages.emitter.delivered()?;
            crate::failpoint::reach("normaliser.flushed");
            // Only now: with all of a batch delivered, another producer cannot overtake it.
            self.stages.emitter.set_pace(batch.pace());
            self.commit(&batch)?;
            crate::failpoint::reach("normaliser.committed");
        }
        if batch.rows > 0 {
            self.stages.events.committed(batch.newest);
            self.consumer.context().watch().moved();
        }
        if batch.cut
            && let Some(excess) = self.stages.share.excess()
        {
            let reason = Hold::DeadLetters { excess: &excess }.reason(&self.source.to_string());
            self.consumer.context().hold_source(&self.consumer, &reason)?;
        }
        self.leave_closed()
    }

    /// Holds the topic of a message by whose schema nothing can be read, or has the message read again when the registry answers. The group
    /// is heard meanwhile, and what is not framed goes on.
    fn leave_closed(&mut self) -> anyhow::Result<()> {
        match self.stages.left.take() {
            None => Ok(()),
            Some(Left::NoSchema { topic, problem }) => {
                let (positions, cause) = (self.consumer.context(), Hold::Schema { problem: &problem });
                positions.hold(&topic, cause.reason(&topic))?;
                positions.pause_held(&self.consumer)?;
                positions.report();
                Ok(())
            }
            Some(Left::Away {
                topic,
                partition,
                offset,
                cause,
            }) => {
                self.consumer.context().watch().fail(cause);
                std::thread::sleep(framed::LOOK);
                self.consumer
                    .seek(&topic, partition, Offset::Offset(offset), SEEK)
                    .with_context(|| format!("going back in {topic}/{partition}"))
            }
        }
    }

    /// Reads and sends until the batch is full, old enough or cut.
    fn fill(&mut self) -> anyhow::Result<Batch> {
        let mut batch = Batch::default();
        let mut deadline = Instant::now() + IDLE;
        while batch.rows < self.shared.settings.batch_rows {
            // The client waits whole milliseconds and spins through what is left of one.
            let left = Duration::from_millis(deadline.saturating_duration_since(Instant::now()).as_millis() as u64);
            if left.is_zero() {
                break;
            }
            let polled = self.consumer.poll(Duration::ZERO).or_else(|| {
                batch.ran_dry = batch.rows > 0;
                self.consumer.poll(left)
            });
            self.consumer.context().take_failure()?;
            match polled {
                None => (),
                Some(Err(error)) => self.trouble(&error)?,
                Some(Ok(message)) => {
                    crate::failpoint::reach("normaliser.polled");
                    // Nothing that this region sent is under way before the first row.
                    if batch.rows == 0 && self.waiting.given(self.consumer.context().take_waiting()) {
                        self.stages.emitter.set_pace(Pace::Backlog);
                    }
                    let outcome = self.stages.take(self.consumer.context(), &message)?;
                    self.stages.events.took(outcome);
                    if outcome == Outcome::Held {
                        batch.cut = true;
                        break;
                    }
                    if batch.rows == 0 {
                        deadline = Instant::now() + self.longest_fill();
                    }
                    batch.took(&message);
                    self.shared.throttle();
                    if self.waiting.took_the_last() {
                        batch.ran_dry = true;
                        break;
                    }
                }
            }
        }
        if batch.ran_dry {
            self.waiting = Waiting::default();
        }
        Ok(batch)
    }

    /// How long a batch is filled after its first row.
    fn longest_fill(&self) -> Duration {
        let prompt = Duration::from_millis(self.shared.settings.batch_millis.into());
        match self.stages.emitter.pace() {
            Pace::Prompt => prompt,
            Pace::Backlog => prompt.max(BACKLOG_FILL),
        }
    }

    /// Reads what operators stated since; a store that does not answer is asked again later, the stream goes on.
    fn follow_operator(&mut self) -> anyhow::Result<()> {
        if self.refreshed.elapsed() < Duration::from_millis(self.shared.settings.accept_refresh_millis.into()) {
            return Ok(());
        }
        self.refreshed = Instant::now();
        match self.consumer.context().recorded() {
            Ok(topics) => {
                if self.consumer.context().follow(&self.consumer, &topics)? {
                    self.stages.share.clear();
                    self.shared.frames.forget_refusals();
                    self.committed.clear();
                }
            }
            Err(error) => {
                let cause = session::explain_any(&error);
                tracing::warn!(source = %self.source, cause, "statements of operators cannot be read");
                self.consumer.context().watch().fail(cause);
            }
        }
        Ok(())
    }

    /// An error instead of a message: waits out what passes, begins again or holds what the client has given up, ends on the rest.
    fn trouble(&self, error: &KafkaError) -> anyhow::Result<()> {
        use RDKafkaErrorCode as Code;
        let source = self.source;
        match error {
            // The last two: before a region has a topic, and where a broker does not serve a partition yet, which the client then gives up.
            KafkaError::MessageConsumption(
                Code::OffsetOutOfRange | Code::AutoOffsetReset | Code::UnknownTopicOrPartition | Code::UnknownPartition,
            ) => {
                tracing::debug!(%source, %error, "looking which partitions are read");
                self.consumer.context().recheck(&self.consumer)?;
            }
            _ if is_transient(error) || is_membership_change(error) => tracing::warn!(%source, %error, "waiting for the brokers"),
            // One was deleted.
            KafkaError::MessageConsumption(Code::UnknownTopic) => tracing::debug!(%source, %error, "waiting for topics"),
            // The group took the partitions away after a long wait; they come back with the next poll.
            KafkaError::MessageConsumption(Code::PollExceeded) => tracing::warn!(%source, %error, "joining again"),
            _ => return Err(error.clone()).context("reading source topics"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waited_is_a_backlog_until_its_last_message() {
        let mut waiting = Waiting::default();
        assert!(!waiting.given(0) && !waiting.given(99));
        assert!(waiting.given(1), "with what waits already");
        let ends: Vec<u64> = (1..=102).filter(|_| waiting.took_the_last()).collect();
        assert_eq!(ends, [100]);
        assert!(!waiting.given(0), "live rows are none");
    }
}
