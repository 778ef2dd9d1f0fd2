//! The contracts of `schemas/contracts`: every example and every captured message runs through the normalisers' function.

#[path = "contracts/captured.rs"]
mod captured;
#[path = "contracts/example.rs"]
mod example;

use domain::citizen_id::CitizenId;
use domain::facts::Correction;
use domain::ids::IdKey;
use domain::input::Input;
use domain::record::Change;
use domain::shard::Shard;
use example::{Example, describe, examples_in, root};
use runtime::debezium::ErrorClass;
use runtime::dialect::{Classified, ControlKind, Dialects, Field, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const AGENCIES: [&str; 3] = ["public-security", "civil-affairs", "human-resources"];

fn dialects() -> Dialects {
    let dirs = AGENCIES.map(|agency| root().join("services").join(agency).join("dialects"));
    Dialects::load(&dirs).unwrap_or_else(|error| panic!("{error}"))
}

/// Examples of a folder by file name.
fn examples(folder: &str) -> BTreeMap<String, Example> {
    examples_in(&root().join("schemas/contracts/examples").join(folder))
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
    // What further agencies state is in their own folders.
    let of_the_brief = |kind: &Kind| *kind != Kind::Circumstance;
    assert_eq!(all, Kind::ALL.iter().copied().filter(of_the_brief).collect());
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
