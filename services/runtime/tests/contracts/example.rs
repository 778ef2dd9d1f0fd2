//! Examples of contracts, and what the normalisers' function makes of them in words that can be compared.

use domain::date::{Day, Month, Timestamp};
use domain::ids::IdKey;
use domain::input::Input;
use domain::record::{Change, SourceRecord};
use runtime::dialect::{Classified, ControlKind, Dialects, SourceMessage, normalise};
use runtime::kafka::TopicNames;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A message in the form of the captured files. A JSON string as key or value stands for its raw bytes.
#[derive(Deserialize)]
pub(crate) struct Example {
    pub(crate) topic: String,
    pub(crate) partition: u16,
    pub(crate) offset: u64,
    pub(crate) key: Value,
    pub(crate) value: Value,
}

impl Example {
    /// `None` when the topic is no table's.
    pub(crate) fn classify(&self, dialects: &Dialects) -> Option<Classified> {
        let (source, table) = TopicNames::standard().table_of(&self.topic)?;
        let (key, value) = (bytes(&self.key), bytes(&self.value));
        let message = SourceMessage {
            source,
            table,
            partition: self.partition,
            offset: self.offset,
            epoch: 1,
            timestamp: Timestamp(1_795_484_900_000),
            key: key.as_deref(),
            value: value.as_deref(),
        };
        Some(normalise(dialects, &IdKey::new(1, &[7; 32]), &message))
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => None,
        Value::String(raw) => Some(raw.clone().into_bytes()),
        json => Some(json.to_string().into_bytes()),
    }
}

/// The folder of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Examples of a folder by file name.
pub(crate) fn examples_in(folder: &Path) -> BTreeMap<String, Example> {
    let entries = std::fs::read_dir(folder).expect("examples");
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("an example");
        (
            name,
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        )
    };
    entries.map(|entry| read(entry.expect("an entry").path())).collect()
}

/// What is not personal of a classification, dates readable.
pub(crate) fn describe(classified: &Classified) -> String {
    match classified {
        Classified::Inputs(inputs) => inputs.iter().map(describe_input).collect(),
        Classified::Control(ControlKind::Completeness { time }) => {
            format!(
                "  control: complete up to {} + {} ms (UTC+8)\n",
                time.day_in_shanghai(),
                time.0 - time.day_in_shanghai().start_in_shanghai().0
            )
        }
        Classified::Control(control) => format!("  control: {control:?}\n"),
        Classified::DeadLetter { error, inputs } => {
            let read: String = inputs.iter().map(describe_input).collect();
            format!("  dead letter: {error}\n{read}")
        }
    }
}

fn describe_input(input: &Input) -> String {
    match input {
        Input::Change(change) => describe_change(change),
        Input::Entity(entity) => {
            let version = entity.version;
            readable(&format!(
                "  entity {} of {}/{} at {}:{} mapping {} shard {}\n    {:?}\n",
                entity.id,
                entity.source,
                entity.table.as_str(),
                version.partition,
                version.offset,
                version.mapping,
                entity.shard(),
                entity.employer,
            ))
        }
        other => panic!("a normaliser never makes {other:?}"),
    }
}

fn describe_change(change: &Change) -> String {
    let (source, table) = change.origin();
    let version = change.version();
    let what = match change {
        Change::Upsert(_) => "upsert",
        Change::Delete(_) => "delete",
        Change::Unread(_) => "unread",
    };
    let mut text = format!(
        "  {what} {} of {source}/{} at {}:{} mapping {} shard {}\n",
        change.id(),
        table.as_str(),
        version.partition,
        version.offset,
        version.mapping,
        change.shard()
    );
    match change {
        Change::Upsert(record) => text += &describe_record(record),
        Change::Delete(deletion) => {
            let home = deletion.home.map_or("unknown".into(), |home| home.to_string());
            writeln!(text, "    home {home}").expect("a string");
        }
        Change::Unread(_) => (),
    }
    text
}

fn describe_record(record: &SourceRecord) -> String {
    let identity = &record.identity;
    let number = match (&identity.document, identity.number()) {
        (Some(document), Some(number)) => format!("{} usable, born {}, {:?}", document.kind, number.birth_date(), number.sex()),
        (Some(document), None) => format!("{} not usable, {:?}", document.kind, document.check()),
        (None, _) => "none".to_owned(),
    };
    let name = if identity.name.is_some() { "***" } else { "none" };
    readable(&format!(
        "    document {number}; name {name}; birth {:?}; sex {:?}\n    {:?}\n",
        identity.birth, identity.sex, record.facts
    ))
}

/// Replaces the numbers of days and months by what they mean.
fn readable(text: &str) -> String {
    let day = |number: i32| Day(number).to_string();
    let month = |number: i32| Month(number).to_string();
    replace(&replace(text, "Day(", &day), "Month(", &month)
}

fn replace(text: &str, opening: &str, meaning: &dyn Fn(i32) -> String) -> String {
    let mut parts = text.split(opening);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_once(')').expect("Debug closes what it opens");
        result += &meaning(number.parse().expect("a number"));
        result += rest;
    }
    result
}
