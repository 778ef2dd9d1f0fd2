//! From a story's events to messages as Debezium writes them: JSON keys and envelopes in the topics of each source.

mod image;
mod stated;

pub use image::envelope;

use crate::story::{Event, Op, Story, identity_columns};
use anyhow::{Context, ensure};
use domain::date::Day;
use domain::decision::Decision;
use domain::ids::{IdKey, RecordId};
use domain::policy::Edition;
use domain::source::{Source, TableName};
use image::{json, truncation, whole, without};
use runtime::debezium::{Key, KeyColumn};
use runtime::dialect::{Dialects, Table};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Partitions of a source topic in memory.
pub const PARTITIONS: u16 = 3;

/// A message for a source topic.
#[derive(Debug, Clone)]
pub struct Message {
    /// The business date on which it arrives.
    pub on: Day,
    /// The system.
    pub source: Source,
    /// The table.
    pub table: String,
    /// Partition, by hash of the key.
    pub partition: u16,
    /// Key bytes.
    pub key: Vec<u8>,
    /// Value bytes; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Messages of one chain keep their order when everything else is shuffled.
    pub chain: String,
}

impl Message {
    /// Whether it says that its table was truncated.
    pub fn truncates(&self) -> bool {
        self.value.as_deref() == Some(truncation().to_string().as_bytes())
    }
}

/// What a story's telling consists of.
#[derive(Debug, Clone)]
pub enum Step {
    /// A message is published.
    Publish(Message),
    /// A full snapshot of a table begins, or is complete.
    Snapshot {
        /// The date.
        on: Day,
        /// The system.
        source: Source,
        /// The table.
        table: String,
        /// Whether it is complete.
        complete: bool,
    },
    /// The load of a table that followed its truncation is over.
    Loaded {
        /// The date.
        on: Day,
        /// The system.
        source: Source,
        /// The table.
        table: String,
    },
    /// A source falls silent, or is heard again.
    Silence {
        /// The date.
        on: Day,
        /// The system.
        source: Source,
        /// Whether it is heard again.
        heard: bool,
    },
    /// A reviewer decides; the decision's number is its place in the story.
    Decide {
        /// The date.
        on: Day,
        /// What was decided.
        decision: Decision,
    },
    /// The decision of that number is withdrawn.
    Undecide {
        /// The date.
        on: Day,
        /// Its number.
        decision: u64,
    },
    /// A policy comes into force.
    Policy {
        /// The date; the first one is there before anything happens.
        on: Day,
        /// The policy.
        edition: Arc<Edition>,
    },
}

impl Step {
    /// Its date.
    pub fn on(&self) -> Day {
        match self {
            Self::Publish(message) => message.on,
            Self::Snapshot { on, .. }
            | Self::Loaded { on, .. }
            | Self::Silence { on, .. }
            | Self::Decide { on, .. }
            | Self::Undecide { on, .. }
            | Self::Policy { on, .. } => *on,
        }
    }
}

/// A story as messages, with the names of its records.
#[derive(Debug)]
pub struct Encoded {
    /// In order.
    pub steps: Vec<Step>,
    /// Labels (`ac02:1`) of the records.
    pub labels: BTreeMap<RecordId, String>,
}

type Row = Map<String, Value>;

/// Encodes a story. Keys are made different from those of any other story, so that all can run in one base.
///
/// # Errors
/// When an event names an unknown table, lacks its key, or updates a row that is not there.
pub fn encode(story: &Story, dialects: &Dialects, key: &IdKey) -> anyhow::Result<Encoded> {
    let mut encoder = Encoder {
        story,
        dialects,
        key,
        rows: BTreeMap::new(),
        stated: BTreeSet::new(),
        encoded: Encoded {
            steps: Vec::new(),
            labels: BTreeMap::new(),
        },
    };
    for (at, event) in story.events.iter().enumerate() {
        encoder
            .event(event)
            .with_context(|| format!("{}, event {}", story.name, at + 1))?;
    }
    encoder.decisions()?;
    encoder.policies()?;
    let Encoded { mut steps, labels } = encoder.encoded;
    // A table with a snapshot or a truncation keeps its order as a whole: what came before it stays before it.
    let snapshots: Vec<(Source, String)> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Snapshot { source, table, .. } | Step::Loaded { source, table, .. } => Some((*source, table.clone())),
            Step::Publish(message) if message.truncates() => Some((message.source, message.table.clone())),
            _ => None,
        })
        .collect();
    for step in &mut steps {
        if let Step::Publish(message) = step
            && snapshots.contains(&(message.source, message.table.clone()))
        {
            message.chain = format!("{} {}", message.source, message.table);
        }
    }
    Ok(Encoded { steps, labels })
}

struct Encoder<'a> {
    story: &'a Story,
    dialects: &'a Dialects,
    key: &'a IdKey,
    /// Rows as they are now, by label.
    rows: BTreeMap<String, Row>,
    /// Which row ever stated which number, by label.
    stated: BTreeSet<(String, String)>,
    encoded: Encoded,
}

/// A row's key: its label, and the columns as the source has them.
struct RowKey {
    label: String,
    columns: Row,
}

impl Encoder<'_> {
    fn event(&mut self, event: &Event) -> anyhow::Result<()> {
        let (on, source) = (event.on, event.source);
        match event.op {
            Op::Silent | Op::Heard => {
                self.encoded.steps.push(Step::Silence {
                    on,
                    source,
                    heard: event.op == Op::Heard,
                });
                return Ok(());
            }
            Op::SnapshotBegin | Op::SnapshotComplete => {
                let complete = event.op == Op::SnapshotComplete;
                self.encoded.steps.push(Step::Snapshot {
                    on,
                    source,
                    table: event.table.clone(),
                    complete,
                });
                return Ok(());
            }
            Op::Truncate => return self.truncate(event),
            Op::Loaded => {
                let table = event.table.clone();
                self.encoded.steps.push(Step::Loaded { on, source, table });
                return Ok(());
            }
            _ => {}
        }
        let key = self.row_key(event, &event.row)?;
        let stated = self.row(event, &key)?;
        let number = event.who.as_ref().and_then(|who| self.story.people[who].number.clone());
        self.stated.extend(number.map(|number| (key.label.clone(), number)));
        let before = self.rows.get(&key.label).cloned();
        match event.op {
            Op::Insert | Op::Snapshot => {
                ensure!(event.op == Op::Snapshot || before.is_none(), "{} exists already", key.label);
                let code = if event.op == Op::Insert { "c" } else { "r" };
                let row = whole(self.table(event)?, stated);
                self.publish(event, &key, Some(envelope(code, None, Some(&without(&row, &event.absent)))))?;
                self.rows.insert(key.label.clone(), row);
            }
            Op::Update => {
                let before = before.with_context(|| format!("{} does not exist", key.label))?;
                let mut after = before.clone();
                after.extend(stated);
                let image = without(&after, &event.absent);
                self.publish(event, &key, Some(envelope("u", Some(&before), Some(&image))))?;
                self.rows.insert(key.label.clone(), after);
            }
            Op::Unreadable => {
                self.publish(event, &key, Some(Value::from("no event")))?;
                let after = before.into_iter().flatten().chain(stated).collect();
                let row = whole(self.table(event)?, after);
                self.rows.insert(key.label.clone(), row);
            }
            Op::Delete | Op::DeleteKeyOnly => {
                let before = before.with_context(|| format!("{} does not exist", key.label))?;
                let image = if event.op == Op::Delete { &before } else { &key.columns };
                self.publish(event, &key, Some(envelope("d", Some(image), None)))?;
                self.publish(event, &key, None)?;
                self.rows.remove(&key.label);
            }
            Op::Tombstone => self.publish(event, &key, None)?,
            Op::KeyChange => {
                let old = self.row_key(event, &event.key)?;
                let mut row = self
                    .rows
                    .remove(&old.label)
                    .with_context(|| format!("{} does not exist", old.label))?;
                self.publish(event, &old, Some(envelope("d", Some(&row), None)))?;
                self.publish(event, &old, None)?;
                row.extend(stated);
                self.publish(event, &key, Some(envelope("c", None, Some(&row))))?;
                self.rows.insert(key.label.clone(), row);
            }
            Op::SnapshotBegin | Op::SnapshotComplete | Op::Truncate | Op::Loaded | Op::Silent | Op::Heard => {}
        }
        Ok(())
    }

    /// A message in each partition says so, as if a connector had found each place out for itself: in one alone, what other partitions held
    /// within a minute before would stay.
    fn truncate(&mut self, event: &Event) -> anyhow::Result<()> {
        self.rows.retain(|label, _| !label.starts_with(&format!("{}:", event.table)));
        let value = truncation().to_string().into_bytes();
        for partition in 0..PARTITIONS {
            let mut keys = (0..u32::MAX).map(|number| number.to_be_bytes().to_vec());
            let key = keys.find(|key| partition_of(key, PARTITIONS) == partition);
            self.encoded.steps.push(Step::Publish(Message {
                on: event.on,
                source: event.source,
                table: event.table.clone(),
                partition,
                key: key.context("every partition has keys")?,
                value: Some(value.clone()),
                chain: String::new(),
            }));
        }
        Ok(())
    }

    fn table(&self, event: &Event) -> anyhow::Result<&Table> {
        let table = self.dialects.find(event.source, &event.table);
        table.with_context(|| format!("no table {}", event.table))
    }

    fn row_key(&mut self, event: &Event, stated: &toml::Table) -> anyhow::Result<RowKey> {
        let table = self.table(event)?;
        let mut columns = Row::new();
        let mut label = Vec::new();
        for KeyColumn { name: column, .. } in table.key_columns() {
            let value = stated.get(column).with_context(|| format!("no key column {column}"))?;
            label.push(plain(value));
            columns.insert(column.clone(), self.key_value(&event.table, column, value)?);
        }
        let label = format!("{}:{}", event.table, label.join("/"));
        let bytes = serde_json::to_vec(&columns)?;
        let text = Key::parse(Some(&bytes), table.key_columns())?.text;
        let record = self.key.record(event.source, &TableName::new(event.table.as_str()), &text);
        let known = self
            .encoded
            .labels
            .iter()
            .find(|(_, known)| **known == label)
            .map(|(record, _)| *record);
        ensure!(
            known.is_none_or(|known| known == record),
            "{label} stands in two sources: use different keys"
        );
        self.encoded.labels.insert(record, label.clone());
        Ok(RowKey { label, columns })
    }

    /// Keys are unique among all stories; the scheme in the key of Suzhou's enrolments stays what it is.
    fn key_value(&self, table: &str, column: &str, value: &toml::Value) -> anyhow::Result<Value> {
        let ordinal = self.story.ordinal()?;
        Ok(match value {
            toml::Value::Integer(number) if (table, column) != ("cb_grcbxx", "xzlx") => {
                ensure!((0..1000).contains(number), "keys of stories are below 1000");
                Value::from(i64::from(ordinal) * 1000 + number)
            }
            toml::Value::String(text) => Value::from(format!("{ordinal:02}-{text}")),
            other => json(other)?,
        })
    }

    fn row(&self, event: &Event, key: &RowKey) -> anyhow::Result<Row> {
        let mut row = Row::new();
        if let Some(who) = &event.who {
            let [number, name] = identity_columns(&event.table).context("the table is about nobody")?;
            let someone = &self.story.people[who];
            row.insert(number.to_owned(), someone.number.clone().map_or(Value::Null, Value::from));
            row.insert(name.to_owned(), someone.name.clone().map_or(Value::Null, Value::from));
            if matches!(event.table.as_str(), "ac01" | "ac21") {
                row.insert("aac058".to_owned(), Value::from("01"));
            }
        }
        for (column, value) in &event.row {
            row.insert(column.clone(), json(value)?);
        }
        row.extend(key.columns.clone());
        Ok(row)
    }

    fn publish(&mut self, event: &Event, key: &RowKey, value: Option<Value>) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec(&key.columns)?;
        self.encoded.steps.push(Step::Publish(Message {
            on: event.on,
            source: event.source,
            table: event.table.clone(),
            partition: partition_of(&bytes, PARTITIONS),
            key: bytes,
            value: value.map(|value| serde_json::to_vec(&value)).transpose()?,
            chain: key.label.clone(),
        }));
        Ok(())
    }
}

/// The partition of a key among so many: one key, one partition.
pub fn partition_of(key: &[u8], partitions: u16) -> u16 {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash >> 32) % u64::from(partitions)) as u16
}

fn plain(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
