//! What the client calls back: errors and statistics, and partitions that the group gives and takes.

use super::{Positions, partitions_of};
use crate::kafka::joining::Joining;
use crate::kafka::lag::{self, membership};
use anyhow::Context;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use std::time::Instant;

impl ClientContext for Positions {
    /// What a poll returns as well is told there; a region without topics yet is no error.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(source = %self.source, %error, reason, "client event");
    }

    fn stats(&self, mut statistics: Statistics) {
        let state = self.state();
        let is_counted = |topic: &String| state.topics.get(topic).is_some_and(|topic| topic.replaced_by.is_none());
        statistics.topics.retain(|topic, _| is_counted(topic));
        drop(state);
        let member = membership(&statistics, lag::From::Committed);
        self.state().joining.note(member.joining, Instant::now());
        self.show_lag(member.lag);
        self.watch.wait(match member {
            lag::Membership { joining: true, .. } => Some("joining its group"),
            lag::Membership { unread: true, .. } => Some("messages wait to be read"),
            _ => None,
        });
        if !member.joining && !member.unread {
            self.watch.moved();
        }
    }
}

impl ConsumerContext for Positions {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let result = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assign(consumer, list)
        } else {
            // What the last batch read of these partitions is not committed any more: the next owner repeats it, harmlessly.
            tracing::info!(source = %self.source, partitions = list.count(), "partitions revoked");
            // Until the next statistics nothing is claimed, also of what stays.
            self.show_lag(None);
            let given = partitions_of(list);
            let mut state = self.state();
            state.assigned.retain(|partition| !given.contains(partition));
            state.waiting = 0;
            drop(state);
            self.report();
            consumer.incremental_unassign(list).context("giving partitions back")
        };
        let mut state = self.state();
        // However long that took, meanwhile no statistics were served: the group has answered.
        state.joining = Joining::default();
        if let Err(error) = result {
            state.failed.get_or_insert(error);
        }
    }
}
