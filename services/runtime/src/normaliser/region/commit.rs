//! Committing what a batch has read: only of partitions that are still ours, and again when a rebalance refused it.

use super::{Batch, IDLE, Region};
use crate::kafka::offsets::{TopicPartition, committed, is_transient};
use anyhow::Context;
use rdkafka::Offset;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long a commit that the coordinator cannot take right now is tried again.
const COMMIT_PATIENCE: Duration = Duration::from_secs(30);

/// The same while the process ends: the next owner repeats what was not committed, so it is no use to be cut off over it.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

impl Region {
    /// Adds to a batch what an earlier commit was refused for, of partitions that stayed ours: nobody reads them from their
    /// committed offsets again, and without another message nobody would ever commit them.
    pub(super) fn take_up(&mut self, batch: &mut Batch) -> anyhow::Result<()> {
        if self.refused.is_empty() {
            return Ok(());
        }
        let positions = self.consumer.position().context("reading positions")?;
        for (topic, partitions) in std::mem::take(&mut self.refused) {
            for (partition, next) in partitions {
                // A partition that was given away and came back is read from its committed offset.
                let stayed = positions.find_partition(&topic, partition).map(|element| element.offset());
                if stayed == Some(Offset::Offset(next)) {
                    let partitions = batch.next.entry(topic.clone()).or_default();
                    partitions.entry(partition).or_insert(next);
                }
            }
        }
        Ok(())
    }

    /// Commits what the batch has read. The list is taken from the consumer's positions, which carry the leader epoch, and so
    /// leaves out partitions that were given away meanwhile.
    pub(super) fn commit(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let forgotten = self.forgotten(batch)?;
        for topic in &forgotten {
            self.consumer.context().hold_forgotten(topic)?;
        }
        if !forgotten.is_empty() {
            self.consumer.context().pause_held(&self.consumer)?;
            self.consumer.context().report();
        }
        let positions = self.consumer.position().context("reading positions")?;
        let mut any = false;
        for mut element in positions.elements() {
            let (topic, partition) = (element.topic().to_owned(), element.partition());
            let under = self
                .consumer
                .context()
                .read_under(&topic)
                .filter(|_| !forgotten.contains(&topic));
            match batch.next(&topic, partition).zip(under) {
                None => element.set_offset(Offset::Invalid)?,
                Some((next, under)) => {
                    if element.offset() != Offset::Offset(next) {
                        element.set_offset(Offset::Offset(next))?;
                    }
                    element.set_metadata(under.metadata());
                    any = true;
                }
            }
        }
        if !any {
            return Ok(());
        }
        if self.send_commit(&positions)? {
            for topic in batch.next.keys().filter(|topic| !forgotten.contains(*topic)) {
                self.consumer.context().start(topic)?;
            }
            self.committed
                .extend(batch.partitions().filter(|(topic, _)| !forgotten.contains(topic)));
        } else {
            self.refused.clone_from(&batch.next);
        }
        Ok(())
    }

    /// Topics of the batch whose committed offsets are gone. Brokers forget them with the topic, so it was created anew while
    /// it was read, and what stood before our position in the new one was never seen; no other sign tells (topic ids are not
    /// visible here).
    fn forgotten(&self, batch: &Batch) -> anyhow::Result<BTreeSet<String>> {
        let known: Vec<TopicPartition> = batch
            .partitions()
            .filter(|partition| self.committed.contains(partition))
            .collect();
        let started = Instant::now();
        loop {
            match committed(&self.consumer, known.iter().cloned()) {
                Ok(offsets) => {
                    let gone = known.iter().filter(|partition| !offsets.contains_key(*partition));
                    return Ok(gone.map(|(topic, _)| topic.clone()).collect());
                }
                Err(error) if is_transient(&error) && started.elapsed() < self.patience() => std::thread::sleep(IDLE),
                Err(error) => return Err(error).context("reading committed offsets"),
            }
        }
    }

    fn patience(&self) -> Duration {
        if self.shared.shutdown.requested() {
            LAST_PATIENCE
        } else {
            COMMIT_PATIENCE
        }
    }

    /// `false` when the group changed, or the process ends and nobody takes the offsets.
    fn send_commit(&self, positions: &TopicPartitionList) -> anyhow::Result<bool> {
        let started = Instant::now();
        loop {
            match self.consumer.commit(positions, CommitMode::Sync) {
                Ok(()) => return Ok(true),
                Err(error) if is_membership_change(&error) => {
                    tracing::warn!(source = %self.source, %error, "offsets not committed: the group changed; a new owner repeats the batch, of partitions that stay they are committed again");
                    return Ok(false);
                }
                Err(error) if is_transient(&error) && started.elapsed() < self.patience() => {
                    tracing::warn!(source = %self.source, %error, "offsets not committed yet");
                    std::thread::sleep(IDLE);
                }
                Err(error) if is_transient(&error) && self.shared.shutdown.requested() => {
                    tracing::warn!(source = %self.source, %error, "offsets not committed before the end; the next owner repeats the batch");
                    return Ok(false);
                }
                Err(error) => return Err(error).context("committing offsets"),
            }
        }
    }
}

/// The group is being rearranged: the commit or poll no longer speaks for a member.
pub(super) fn is_membership_change(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let changes = [
        Code::IllegalGeneration,
        Code::UnknownMemberId,
        Code::RebalanceInProgress,
        Code::AssignmentLost,
        Code::NoOffset,
        Code::FencedMemberEpoch,
    ];
    error.rdkafka_error_code().is_some_and(|code| changes.contains(&code))
}
