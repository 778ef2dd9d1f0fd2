//! The people of every run, and everything that the agencies write about them, row by row.

use super::cases;
use super::dump::{self, Function};
use crate::encode::Message;
use crate::ground::Rules;
use anyhow::{Context, ensure};
use clap::Parser;
use domain::base::whole;
use domain::date::{Day, Timestamp};
use domain::decision::Rulings;
use domain::input::Input;
use domain::record::Change;
use domain::shard::Shard;
use domain::source::Source;
use runtime::dialect::{Classified, SourceMessage, normalise};
use runtime::kafka::TopicNames;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The business date.
pub(super) const TODAY: &str = "2025-03-03";
/// Tables that say something of their source, and of nobody.
const CONTROL: [&str; 2] = ["heartbeat", "batch_control"];
/// What the simulator makes: a province of which the sources of two cities and of the provincial level are heard, so that some hundreds
/// of people appear in them, most with rows in several.
const SIMULATED: [&str; 11] = [
    "simulator",
    "--seed",
    "11",
    "--residents",
    "1600",
    "--cities",
    "3200,3201,3205",
    "--changes",
    "4000",
    "--today",
    TODAY,
];

/// Columns of a row.
pub(super) type Row = Map<String, Value>;
/// A row's place: its source, table and key.
pub(super) type RowKey = (Source, String, Vec<u8>);

/// The people, as messages.
pub(super) struct Population {
    /// In the order in which they were written.
    pub(super) messages: Vec<Message>,
    /// Where they go.
    pub(super) tables: BTreeSet<(Source, String)>,
    /// What the function makes of them.
    pub(super) expected: Function,
    counts: BTreeMap<&'static str, usize>,
}

impl fmt::Display for Population {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages in {} topics", self.messages.len(), self.tables.len())?;
        self.counts.iter().try_for_each(|(what, count)| write!(f, ", {count} {what}"))
    }
}

impl Population {
    /// Draws them: always the same.
    ///
    /// # Errors
    /// When something that the runs are about does not occur.
    pub(super) fn draw(rules: &Rules) -> anyhow::Result<Self> {
        let today: Day = TODAY.parse()?;
        let mut messages = Vec::new();
        for recorded in simulator::record(&simulator::Args::try_parse_from(SIMULATED)?)? {
            let (source, table) = TopicNames::standard()
                .table_of(&recorded.topic)
                .context("a topic of a table")?;
            if !CONTROL.contains(&table) {
                messages.push(message(today, source, table, recorded.key, recorded.value));
            }
        }
        messages.extend(cases::messages(today, &messages)?);
        let changes = changes(rules, &messages);
        let base = whole(
            &changes,
            &[],
            &Rulings::default(),
            Some(rules.policy.policy()),
            today,
            &rules.key,
        );
        let mut counts = count(&messages, &changes)?;
        let persons = base.values().flat_map(|described| &described.persons);
        let records = base
            .values()
            .flat_map(|described| &described.persons)
            .flat_map(|person| &person.members);
        counts.insert("persons", persons.clone().count());
        counts.insert("open findings", persons.map(|person| person.findings.len()).sum());
        counts.insert("guest copies", records.clone().filter(|member| member.is_guest()).count());
        counts.insert(
            "guest copies over two corrections",
            records.filter(|member| member.path.len() > 1).count(),
        );
        for (what, count) in &counts {
            ensure!(*count > 0, "the population has no {what}");
        }
        Ok(Self {
            tables: messages
                .iter()
                .map(|message| (message.source, message.table.clone()))
                .collect(),
            expected: dump::function(&base)?,
            messages,
            counts,
        })
    }
}

/// A message, in the chain of its row.
pub(super) fn message(on: Day, source: Source, table: &str, key: Vec<u8>, value: Option<Vec<u8>>) -> Message {
    Message {
        on,
        source,
        table: table.to_owned(),
        partition: 0,
        chain: format!("{source} {table} {}", String::from_utf8_lossy(&key)),
        key,
        value,
    }
}

/// The parts of an envelope: operation, images before and after.
pub(super) struct Parts {
    pub(super) op: String,
    pub(super) before: Option<Row>,
    pub(super) after: Option<Row>,
}

/// Takes an envelope apart; `None` for a tombstone.
pub(super) fn parts(message: &Message) -> anyhow::Result<Option<Parts>> {
    let Some(value) = &message.value else { return Ok(None) };
    let mut envelope: Row = serde_json::from_slice(value)?;
    let mut side = |name: &str| match envelope.remove(name) {
        Some(Value::Object(row)) => Some(row),
        _ => None,
    };
    let (before, after) = (side("before"), side("after"));
    let op = envelope.get("op").and_then(Value::as_str).context("an operation")?.to_owned();
    Ok(Some(Parts { op, before, after }))
}

/// A row's place.
pub(super) fn place(message: &Message) -> RowKey {
    (message.source, message.table.clone(), message.key.clone())
}

/// What the normalisers make of all messages; offsets rise from one to the next.
fn changes(rules: &Rules, messages: &[Message]) -> Vec<Change> {
    let mut all = Vec::new();
    for (offset, message) in (0..).zip(messages) {
        let source = SourceMessage {
            source: message.source,
            table: &message.table,
            partition: 0,
            offset,
            epoch: 0,
            timestamp: Timestamp(0),
            key: Some(&message.key),
            value: message.value.as_deref(),
        };
        let inputs = match normalise(&rules.dialects, &rules.key, &source) {
            Classified::Inputs(inputs) | Classified::DeadLetter { inputs, .. } => inputs,
            Classified::Control(_) => Vec::new(),
        };
        all.extend(inputs.into_iter().filter_map(|input| match input {
            Input::Change(change) => Some(change),
            _ => None,
        }));
    }
    all
}

/// How often everything occurs that the runs are about.
fn count(messages: &[Message], changes: &[Change]) -> anyhow::Result<BTreeMap<&'static str, usize>> {
    let mut counts = BTreeMap::new();
    let mut note = |what, how_often| *counts.entry(what).or_insert(0) += how_often;
    let mut homes: BTreeMap<_, Vec<Shard>> = BTreeMap::new();
    let mut corrected: BTreeMap<RowKey, Vec<(Value, Value)>> = BTreeMap::new();
    for change in changes {
        match change {
            Change::Upsert(record) => {
                if let Some(correction) = record.given_up() {
                    let moved = correction.former.birth_date() != correction.heir.birth_date();
                    note("corrections of numbers", 1);
                    note("corrections to another birth date", usize::from(moved));
                }
                homes.entry(record.id).or_default().push(record.home());
            }
            Change::Delete(deletion) => note("deletes by key alone", usize::from(deletion.home.is_none())),
            Change::Unread(_) => note("versions of which only the key could be read", 1),
        }
    }
    for message in messages {
        let Some(parts) = parts(message)? else { continue };
        if let ("czrk", Some(before), Some(after)) = (message.table.as_str(), &parts.before, &parts.after)
            && before["gmsfhm"] != after["gmsfhm"]
        {
            let pair = (before["gmsfhm"].clone(), after["gmsfhm"].clone());
            corrected.entry(place(message)).or_default().push(pair);
        }
        note("deleted rows", usize::from(parts.op == "d"));
    }
    for mut shards in homes.into_values() {
        shards.dedup();
        note("records that move", usize::from(shards.len() > 1));
        note(
            "records that move and come back",
            usize::from(shards.len() > 2 && shards.first() == shards.last()),
        );
    }
    for steps in corrected.into_values() {
        note("numbers corrected twice", usize::from(steps.len() > 1));
        let back = steps.first().map(|step| &step.0) == steps.last().map(|step| &step.1);
        note("numbers corrected there and back", usize::from(back));
    }
    Ok(counts)
}
