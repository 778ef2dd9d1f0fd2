//! The contracts of `schemas/contracts`: every example and every captured message runs through the normalisers' function.

#[path = "contracts/captured.rs"]
mod captured;

use domain::citizen_id::CitizenId;
use domain::date::{Day, Month, Timestamp};
use domain::facts::Correction;
use domain::ids::IdKey;
use domain::input::Input;
use domain::record::{Change, SourceRecord};
use domain::shard::Shard;
use runtime::debezium::ErrorClass;
use runtime::dialect::{Classified, ControlKind, Dialects, Field, Kind, SourceMessage, normalise};
use runtime::kafka::TopicNames;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const AGENCIES: [&str; 3] = ["public-security", "civil-affairs", "human-resources"];

/// A message in the form of the captured files. A JSON string as key or value stands for its raw bytes.
#[derive(Deserialize)]
struct Example {
    topic: String,
    partition: u16,
    offset: u64,
    key: Value,
    value: Value,
}

impl Example {
    /// `None` when the topic is no table's.
    fn classify(&self, dialects: &Dialects) -> Option<Classified> {
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn dialects() -> Dialects {
    let dirs = AGENCIES.map(|agency| root().join("services").join(agency).join("dialects"));
    Dialects::load(&dirs).unwrap_or_else(|error| panic!("{error}"))
}

/// Examples of a folder by file name.
fn examples(folder: &str) -> BTreeMap<String, Example> {
    let entries = std::fs::read_dir(root().join("schemas/contracts/examples").join(folder)).expect("examples");
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
fn describe(classified: &Classified) -> String {
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

/// One snapshot a table: what each of its examples becomes.
#[test]
fn examples_become() {
    let dialects = dialects();
    for agency in AGENCIES {
        let mut tables: BTreeMap<String, String> = BTreeMap::new();
        for (name, example) in examples(agency) {
            let (table, operation) = name.split_once('.').expect("<table>.<operation>.json");
            assert!(
                example.topic.starts_with(agency) && example.topic.ends_with(&format!(".{table}")),
                "{name}: topic"
            );
            let classified = example.classify(&dialects).expect("a table's topic");
            assert!(
                !matches!(classified, Classified::DeadLetter { .. }),
                "{agency}/{name}: {classified:?}"
            );
            let text = tables.entry(table.to_owned()).or_default();
            write!(text, "{operation}\n{}", describe(&classified)).expect("a string");
        }
        for (table, text) in tables {
            insta::assert_snapshot!(format!("{agency}.{table}"), text);
        }
    }
}

/// Every bad example ends in a dead letter of the class its name begins with, and every class has one.
#[test]
fn bad_examples_become_dead_letters() {
    let dialects = dialects();
    let mut seen = BTreeSet::new();
    let mut text = String::new();
    for (name, example) in examples("bad") {
        let classified = example.classify(&dialects).expect("a table's topic");
        let Classified::DeadLetter { error, .. } = &classified else {
            panic!("{name}: {classified:?}")
        };
        assert!(name.starts_with(error.class.as_str()), "{name}: {error}");
        seen.insert(error.class);
        writeln!(text, "{name}\n{}", describe(&classified).trim_end()).expect("a string");
    }
    assert_eq!(seen, ErrorClass::ALL.iter().copied().collect());
    insta::assert_snapshot!("bad", text);
}

/// No number, name, address or phone of the examples appears in what may reach a log.
#[test]
fn nothing_personal_is_printed() {
    let dialects = dialects();
    let personal = [
        "19900307",
        "900307001",
        "张三",
        "阿卜杜拉",
        "Erika",
        "陈大文",
        "王五",
        "某路",
        "某街",
        "02500000000",
        "19991231",
        "C01X00T47",
    ];
    for folder in AGENCIES.into_iter().chain(["bad"]) {
        for (name, example) in examples(folder) {
            let classified = example.classify(&dialects).expect("a table's topic");
            let printed = format!("{classified:?}");
            for text in personal {
                assert!(!printed.contains(text), "{folder}/{name} prints {text}");
            }
        }
    }
}

/// Every mapped table has an example of each common operation, so that the contract cannot lag behind the dialects.
#[test]
fn every_mapped_table_has_examples() {
    let dialects = dialects();
    let operations = [
        "create",
        "update",
        "delete",
        "snapshot",
        "tombstone",
        "with-schema",
        "delete-default-identity",
        "key-change-1-delete",
        "key-change-2-tombstone",
        "key-change-3-create",
    ];
    for agency in AGENCIES {
        let examples = examples(agency);
        for city in [3201, 3205] {
            let source = format!("{agency}.{city}").parse().expect("a source");
            for table in dialects.tables(source) {
                let missing = operations.map(|operation| format!("{}.{operation}", table.name.as_str()));
                let missing: Vec<_> = missing.iter().filter(|name| !examples.contains_key(*name)).collect();
                assert!(missing.is_empty(), "{agency}: {missing:?}");
            }
        }
    }
}

/// With and without schema are the same message.
#[test]
fn a_schema_changes_nothing() {
    let dialects = dialects();
    for agency in AGENCIES {
        let examples = examples(agency);
        for (name, with) in examples.iter().filter(|(name, _)| name.ends_with(".with-schema")) {
            let mut without = Example {
                key: with.key["payload"].clone(),
                value: with.value["payload"].clone(),
                topic: with.topic.clone(),
                ..*with
            };
            assert_eq!(with.classify(&dialects), without.classify(&dialects), "{name}");
            without.value = serde_json::json!({"schema": {"type": "struct", "optional": true}, "payload": null});
            assert_eq!(
                without.classify(&dialects),
                Some(Classified::Control(ControlKind::Tombstone)),
                "{name}"
            );
        }
    }
}

/// The exchange tables of the brief are all mapped.
#[test]
fn the_default_dialects_map_every_table() {
    let dialects = dialects();
    let kinds = |source: &str| -> BTreeSet<Kind> {
        let source = source.parse().expect("a source");
        dialects.tables(source).map(|table| table.kind).collect()
    };
    let sources = ["public-security.3201", "civil-affairs.3201", "human-resources.3200"];
    let all: BTreeSet<Kind> = sources.into_iter().flat_map(kinds).collect();
    assert_eq!(all, Kind::ALL.iter().copied().collect());
    let suzhou = "human-resources.3205".parse().expect("a source");
    let own = dialects.find(suzhou, "cb_grcbxx").expect("Suzhou's own table");
    assert_eq!(
        (own.dialect.as_str(), own.column(Field::Status)),
        ("jinbao-suzhou", Some("cbzt"))
    );
    assert_eq!(
        dialects.find(suzhou, "ac01").map(|table| table.dialect.as_str()),
        Some("jinbao")
    );
}

/// A resident's number that changes leaves two statements behind: where it was given up, and where the other was taken.
#[test]
fn a_changed_number_states_a_correction() {
    let dialects = dialects();
    let classified = examples("public-security")["czrk.number-change"].classify(&dialects);
    let Some(Classified::Inputs(inputs)) = classified else {
        panic!("{classified:?}")
    };
    let [
        Input::Change(Change::Upsert(row)),
        Input::Change(Change::Upsert(given_up)),
        Input::Change(Change::Upsert(taken)),
    ] = &inputs[..]
    else {
        panic!("{inputs:?}");
    };
    let Some(Correction { former, heir }) = given_up.given_up() else {
        panic!("{given_up:?}")
    };
    assert_eq!(
        (former.text().as_str(), heir.text().as_str()),
        ("320501199003100015", "320501199003070012")
    );
    let key = IdKey::new(1, &[7; 32]);
    assert_eq!(
        (given_up.id, taken.id),
        (key.correction(row.id, *former), key.taken(row.id, *heir))
    );
    assert_eq!(taken.taken(), given_up.given_up());
    assert_eq!(
        (&taken.identity, taken.version, &taken.key),
        (&row.identity, row.version, &row.key)
    );
    assert_eq!((given_up.version, &given_up.key), (row.version, &row.key));
    assert_eq!(given_up.home(), Shard::of_birth_date(former.birth_date()));
    assert_eq!(taken.home(), row.home());
    let table = examples("public-security")["sfhbg.create"].classify(&dialects);
    let Some(Classified::Inputs(inputs)) = table else {
        panic!("{table:?}")
    };
    let [Input::Change(Change::Upsert(of_table))] = &inputs[..] else {
        panic!("{inputs:?}")
    };
    assert_eq!(of_table.given_up(), given_up.given_up());
}

/// A row that is overwritten with somebody else is no correction, and one that is deleted gave no number up.
#[test]
fn a_reused_row_and_a_deleted_one_withdraw_what_they_said() {
    let dialects = dialects();
    for example in ["czrk.number-change-reused", "czrk.delete"] {
        let classified = examples("public-security")[example].classify(&dialects);
        let Some(Classified::Inputs(inputs)) = classified else {
            panic!("{example}: {classified:?}")
        };
        let [Input::Change(row), Input::Change(Change::Delete(withdrawn))] = &inputs[..] else {
            panic!("{example}: {inputs:?}");
        };
        let ids = ["320501199003100015", "320501199003070012"].map(|number| {
            let number = CitizenId::parse(number).expect("a number");
            IdKey::new(1, &[7; 32]).correction(row.id(), number)
        });
        assert!(ids.contains(&withdrawn.id), "{example}");
        assert!(withdrawn.home.is_some(), "{example}");
    }
}
