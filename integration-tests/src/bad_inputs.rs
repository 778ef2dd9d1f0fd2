//! Inputs that no source should send, by kinds: `integration-tests/bad-inputs/*.toml`, and those that are too large for a file.
//!
//! Each says what may become of it; [`outcome`] runs it through the normaliser's own function, and what that makes of it through the
//! log's codec and the function of the base.

mod files;
mod large;
pub mod rogue;

use crate::ground::Rules;
use anyhow::{Context, ensure};
use domain::date::{Day, Timestamp};
use domain::decision::Rulings;
use domain::facts::Facts;
use domain::input::Input;
use domain::limits;
use domain::record::Change;
use domain::shard::Shard;
use domain::source::Source;
use runtime::dialect::{Classified, SourceMessage, normalise};
use runtime::kafka::TopicNames;
use runtime::store::copy::CopyRows;
use runtime::store::person;
use schemas::codec::{decode_entry, encode_input};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a bad input is allowed to become, besides the class of a dead letter.
pub const UNDERSTOOD: &str = "understood";

/// A message that no source should send.
#[derive(Debug, Clone)]
pub struct BadInput {
    /// What is wrong with it.
    pub kind: String,
    /// Which of its kind it is.
    pub label: String,
    /// What it may become: [`UNDERSTOOD`], or classes of dead letters.
    pub expect: Vec<String>,
    /// The source topic.
    pub topic: String,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A contract example: what a source sends when nothing is wrong.
#[derive(Debug, Clone)]
struct Example {
    topic: String,
    key: Value,
    row: serde_json::Map<String, Value>,
}

impl Example {
    /// Reads `<agency>/<table>`.
    fn read(table: &str) -> anyhow::Result<Self> {
        let path = folder().join(format!("schemas/contracts/examples/{table}.create.json"));
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let example: Value = serde_json::from_str(&text)?;
        let row = example["value"]["after"].as_object().context("a row")?.clone();
        Ok(Self {
            topic: example["topic"].as_str().context("a topic")?.to_owned(),
            key: example["key"].clone(),
            row,
        })
    }

    /// The row as JSON, one column with another token; without the column when there is none.
    fn row_with(&self, column: &str, token: Option<&str>) -> String {
        let cell = |(name, value): (&String, &Value)| match token {
            _ if name != column => Some(format!("\"{name}\":{value}")),
            token => token.map(|token| format!("\"{name}\":{token}")),
        };
        format!("{{{}}}", self.row.iter().filter_map(cell).collect::<Vec<_>>().join(","))
    }

    fn row(&self) -> String {
        self.row_with("", None)
    }

    fn key(&self) -> Vec<u8> {
        self.key.to_string().into_bytes()
    }
}

/// A value that says a row was inserted.
fn insert(row: &str) -> Vec<u8> {
    format!("{{\"op\":\"c\",\"before\":null,\"after\":{row},\"source\":{{\"snapshot\":\"false\"}}}}").into_bytes()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every bad input, in a fixed order.
///
/// # Errors
/// When a file cannot be read.
pub fn all() -> anyhow::Result<Vec<BadInput>> {
    let mut inputs = files::cells()?;
    inputs.extend(files::messages()?);
    inputs.extend(large::all()?);
    Ok(inputs)
}

/// What became of a message, in words.
///
/// # Errors
/// When an input that the message gave does not survive its way into the base: that is a fault, whatever the message.
pub fn outcome(rules: &Rules, input: &BadInput) -> anyhow::Result<String> {
    let (source, table) = TopicNames::standard().table_of(&input.topic).context("a table's topic")?;
    let message = SourceMessage {
        source,
        table,
        partition: 1,
        offset: 5,
        epoch: 0,
        timestamp: Timestamp(1_795_484_900_000),
        key: input.key.as_deref(),
        value: input.value.as_deref(),
    };
    classify(rules, &message)
}

/// What becomes of any message, in words; see [`outcome`].
///
/// # Errors
/// When an input that it gave does not survive its way into the base.
pub fn classify(rules: &Rules, message: &SourceMessage<'_>) -> anyhow::Result<String> {
    Ok(match normalise(&rules.dialects, &rules.key, message) {
        Classified::Inputs(inputs) => {
            inputs.iter().try_for_each(|input| travels(rules, input))?;
            let kinds: Vec<&str> = inputs.iter().map(name).collect();
            format!("{UNDERSTOOD}: {}", kinds.join(", "))
        }
        Classified::Control(control) => format!("{UNDERSTOOD}: {control:?}"),
        Classified::DeadLetter { error, inputs } => {
            inputs.iter().try_for_each(|input| travels(rules, input))?;
            let is_unread = |input: &Input| matches!(input, Input::Change(Change::Unread(_)));
            let is_unreadable = |input: &Input| matches!(input, Input::Change(Change::Upsert(record)) if matches!(record.facts, Facts::Unreadable(_)));
            let person = match inputs.as_slice() {
                [] => "",
                inputs if inputs.iter().any(is_unread) => ", the record is unreadable",
                inputs if inputs.iter().any(is_unreadable) => ", the person is unreadable",
                _ => ", the rest of the row holds",
            };
            format!("{error}{person}")
        }
    })
}

fn name(input: &Input) -> &'static str {
    match input {
        Input::Change(Change::Upsert(_)) => "record",
        Input::Change(Change::Delete(_)) => "deletion",
        Input::Change(Change::Unread(_)) => "unread version",
        Input::Entity(_) => "entity",
        Input::Message(_) | Input::Control(_) => "what no source says",
    }
}

/// An input of a source reads back in the log of its shard, and survives there.
fn travels(rules: &Rules, input: &Input) -> anyhow::Result<()> {
    let shard = match input {
        Input::Change(change) => change.shard(),
        Input::Entity(entity) => entity.shard(),
        Input::Message(_) | Input::Control(_) => anyhow::bail!("a source makes no messages and no statements"),
    };
    let bytes = encode_input(input);
    ensure!(
        bytes.len() < runtime::limits::LARGEST_ENTRY,
        "an entry of {} bytes",
        bytes.len()
    );
    let read = decode_entry(shard, &bytes).context("what was written cannot be read")?;
    ensure!(read == *input, "it reads otherwise than it was written");
    survives(rules, shard, &read)
}

/// An entry that was decoded becomes rows that PostgreSQL takes.
///
/// # Errors
/// When it would not take them.
pub fn survives(rules: &Rules, shard: Shard, input: &Input) -> anyhow::Result<()> {
    let Input::Change(change) = input else { return Ok(()) };
    let dates = [*limits::BUSINESS_DATES.start(), 20_783, *limits::BUSINESS_DATES.end()];
    for today in dates.map(Day) {
        let base = domain::base::whole(
            [change],
            &[],
            &Rulings::default(),
            Some(rules.policy.policy()),
            today,
            &rules.key,
        );
        for ((at, anchor), described) in &base {
            for someone in &described.persons {
                let mut rows = CopyRows::new(person::PERSON.columns());
                let state = person::state(someone, Timestamp(0), &rules.key);
                ensure!(!schemas::event::encode(&state).is_empty(), "a state without bytes");
                person::put(&mut rows, *at, someone, 0);
                let mut enrolments = CopyRows::new(person::ENROLMENT.columns());
                for (record, enrolment) in &someone.enrolments {
                    person::put_enrolment(&mut enrolments, shard, *anchor, someone.id, *record, enrolment);
                }
                storable(someone)?;
            }
        }
    }
    Ok(())
}

/// What PostgreSQL refuses: a NUL, and dates beyond its own ends.
fn storable(person: &domain::base::Person) -> anyhow::Result<()> {
    let golden = &person.golden;
    let workplace = golden.workplace.as_ref().map(|place| &place.value);
    let texts = [
        golden.name.as_ref().map(|name| name.value.reveal()),
        golden.phone.as_ref().map(|phone| phone.value.reveal()),
        golden.residence_address.as_ref().map(|address| address.value.reveal()),
        golden.hukou_address.as_ref().map(|address| address.value.reveal()),
        golden.nationality.as_ref().map(|nationality| nationality.value.as_str()),
        workplace.and_then(|place| place.unit.as_deref()),
        workplace.and_then(|place| place.name.as_deref()),
    ];
    ensure!(
        texts.into_iter().flatten().all(|text| !limits::has_control(text)),
        "a text of the base holds control characters"
    );
    let days = [
        golden.birth.as_ref().map(|birth| birth.value),
        golden.death.as_ref().and_then(|death| death.value.date),
        person.next_due,
    ];
    for day in days.into_iter().flatten() {
        // As the registry binds it, which panics beyond the library's range.
        let bound = runtime::store::read::naive(day);
        ensure!(runtime::store::read::day(bound) == day, "a day does not read back");
    }
    Ok(())
}

/// The source of a bad input's topic.
///
/// # Errors
/// When it is no table's topic.
pub fn source_of(input: &BadInput) -> anyhow::Result<(Source, &str)> {
    TopicNames::standard().table_of(&input.topic).context("a table's topic")
}
