//! Source topics in memory: offsets in the order of publishing, and what the normalisers make of each message.

use crate::encode::{Message, PARTITIONS};
use crate::ground::Rules;
use crate::traffic::Normalised;
use anyhow::Context;
use domain::date::Timestamp;
use domain::input::{Control, SnapshotFloor};
use domain::source::{Source, TableName};
use runtime::dialect::{Classified, ControlKind, SourceMessage, normalise};
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
    /// Truncations that nobody was told of.
    truncated: Vec<SnapshotFloor>,
    /// Where tables were truncated, and whether a load has followed once: what is truncated is loaded again from then on.
    loads: BTreeMap<(Source, String), (SnapshotFloor, bool)>,
}

impl<'a> Topics<'a> {
    /// Empty topics.
    pub(crate) fn new(rules: &'a Rules) -> Self {
        Self {
            rules,
            ends: BTreeMap::new(),
            partitions: BTreeMap::new(),
            begun: BTreeMap::new(),
            truncated: Vec::new(),
            loads: BTreeMap::new(),
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
        let place = *offset;
        *offset += 1;
        let inputs = match classified {
            Classified::Inputs(inputs) | Classified::DeadLetter { inputs, .. } => inputs,
            Classified::Control(ControlKind::Truncated) => {
                let mut offsets = vec![0; usize::from(PARTITIONS)];
                offsets[usize::from(message.partition)] = place;
                let place = floor(message.source, &message.table, offsets);
                let known = self.loads.entry((message.source, message.table.clone()));
                let known = known.or_insert_with(|| (place.clone(), false));
                known.0 = known.0.join(&place);
                self.truncated.push(place);
                Vec::new()
            }
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
        Ok(floor(source, table, offsets))
    }

    /// What the clock says of tables that were truncated since it was asked last.
    pub(crate) fn truncated(&mut self) -> Vec<Control> {
        let truncated = self.truncated.drain(..);
        truncated.map(Control::Truncated).collect()
    }

    /// The load that followed a truncation is over.
    ///
    /// # Errors
    /// When the table was not truncated.
    pub(crate) fn loaded(&mut self, source: Source, table: &str) -> anyhow::Result<()> {
        let known = self.loads.get_mut(&(source, table.to_owned()));
        known.context("a load is over that followed no truncation")?.1 = true;
        Ok(())
    }

    /// What loads that are over did not hold is gone.
    pub(crate) fn settled(&self) -> Vec<SnapshotFloor> {
        let over = self.loads.values().filter(|(_, is_over)| *is_over);
        over.map(|(place, _)| place.clone()).collect()
    }
}

fn floor(source: Source, table: &str, offsets: Vec<u64>) -> SnapshotFloor {
    SnapshotFloor {
        source,
        table: TableName::new(table),
        epoch: 0,
        offsets,
    }
}
