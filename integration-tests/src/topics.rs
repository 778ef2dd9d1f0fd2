//! Source topics in memory: offsets in the order of publishing, and what the normalisers make of each message.

use crate::encode::{Message, PARTITIONS};
use crate::ground::Rules;
use crate::traffic::Normalised;
use anyhow::Context;
use domain::date::Timestamp;
use domain::input::SnapshotFloor;
use domain::source::{Source, TableName};
use runtime::dialect::{Classified, SourceMessage, normalise};
use std::collections::BTreeMap;

/// Topics as they fill: what the normalisers make of each message, with its position.
pub(crate) struct Topics<'a> {
    rules: &'a Rules,
    /// Next offsets.
    ends: BTreeMap<(Source, String, u16), u64>,
    /// A number for each partition.
    partitions: BTreeMap<(Source, String, u16), usize>,
    /// Begin offsets of snapshots that are not complete.
    begun: BTreeMap<(Source, String), Vec<u64>>,
}

impl<'a> Topics<'a> {
    /// Empty topics.
    pub(crate) fn new(rules: &'a Rules) -> Self {
        Self {
            rules,
            ends: BTreeMap::new(),
            partitions: BTreeMap::new(),
            begun: BTreeMap::new(),
        }
    }

    /// Appends a message; the number of its partition, and what a normaliser makes of it.
    pub(crate) fn publish(&mut self, message: &Message, at: Timestamp) -> (usize, Normalised) {
        let place = (message.source, message.table.clone(), message.partition);
        let next = self.partitions.len();
        let partition = *self.partitions.entry(place.clone()).or_insert(next);
        let offset = self.ends.entry(place).or_insert(0);
        let classified = normalise(
            &self.rules.dialects,
            &self.rules.key,
            &SourceMessage {
                source: message.source,
                table: &message.table,
                partition: message.partition,
                offset: *offset,
                epoch: 0,
                timestamp: at,
                key: Some(&message.key),
                value: message.value.as_deref(),
            },
        );
        *offset += 1;
        let inputs = match classified {
            Classified::Inputs(inputs) | Classified::DeadLetter { inputs, .. } => inputs,
            Classified::Control(_) => Vec::new(),
        };
        (partition, (at, inputs))
    }

    /// A full snapshot of a table begins.
    pub(crate) fn begin(&mut self, source: Source, table: &str) {
        let end = |partition| self.ends.get(&(source, table.to_owned(), partition)).copied().unwrap_or(0);
        let offsets = (0..PARTITIONS).map(end).collect();
        self.begun.insert((source, table.to_owned()), offsets);
    }

    /// It is complete: its floor.
    ///
    /// # Errors
    /// When it never began.
    pub(crate) fn complete(&mut self, source: Source, table: &str) -> anyhow::Result<SnapshotFloor> {
        let offsets = self
            .begun
            .remove(&(source, table.to_owned()))
            .context("a snapshot is complete that never began")?;
        Ok(SnapshotFloor {
            source,
            table: TableName::new(table),
            epoch: 0,
            offsets,
        })
    }
}
