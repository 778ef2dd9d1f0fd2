//! Agencies that an installation adds by files (`services/agencies`): their registry, their dialects, and the examples of their contracts
//! through the normalisers' function.

#[path = "further_agencies/circumstances.rs"]
mod circumstances;
#[path = "contracts/example.rs"]
mod example;

use domain::source::{Agencies, Agency};
use example::{describe, examples_in, root};
use runtime::debezium::ErrorClass;
use runtime::dialect::{Classified, Dialects};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::LazyLock;

const AGENCIES: [&str; 3] = ["medical-insurance", "justice", "education"];

/// Those whose contracts have examples; medical insurance is taken from its topic to an alert on servers.
const WITH_EXAMPLES: [&str; 2] = ["justice", "education"];

/// A process has one registry: that of all of them, in one file.
static DIALECTS: LazyLock<Dialects> = LazyLock::new(|| {
    let stated = AGENCIES.map(|agency| std::fs::read_to_string(folder(agency).join("agencies.toml")).expect("a registry"));
    let agencies = Agencies::with(&stated.concat()).unwrap_or_else(|error| panic!("{error}"));
    agencies.establish().expect("the first one");
    Dialects::load(&AGENCIES.map(|agency| folder(agency).join("dialects"))).unwrap_or_else(|error| panic!("{error}"))
});

fn folder(agency: &str) -> PathBuf {
    root().join("services/agencies").join(agency)
}

/// One snapshot an agency. An example that is named after a class of dead letters is one of it, the others are read.
#[test]
fn examples_become() {
    for agency in WITH_EXAMPLES {
        let mut text = String::new();
        for (name, example) in examples_in(&folder(agency).join("examples")) {
            let (table, about) = name.split_once('.').expect("<table>.<what>.json");
            let is_of_table = example.topic.starts_with(agency) && example.topic.ends_with(&format!(".{table}"));
            assert!(is_of_table, "{name}: topic");
            let classified = example.classify(&DIALECTS).expect("a table's topic");
            let wanted = ErrorClass::ALL.iter().find(|class| class.as_str() == about);
            match (&classified, wanted) {
                (Classified::DeadLetter { error, .. }, Some(class)) => assert_eq!(error.class, *class, "{name}"),
                (Classified::DeadLetter { error, .. }, None) => panic!("{name}: {error}"),
                (_, Some(class)) => panic!("{name} is read, no {class}"),
                (_, None) => {}
            }
            let printed = format!("{classified:?}");
            for personal in ["19900307", "张三"] {
                assert!(!printed.contains(personal), "{name} prints {personal}");
            }
            write!(text, "{name}\n{}", describe(&classified)).expect("a string");
        }
        insta::assert_snapshot!(agency, text);
    }
}

/// Every table has a row that is read and one with a wrong value, and states what its agency may state.
#[test]
fn every_mapped_table_has_examples() {
    for agency in WITH_EXAMPLES {
        let examples = examples_in(&folder(agency).join("examples"));
        let wrong = |name: &str| ErrorClass::ALL.iter().any(|class| name.ends_with(class.as_str()));
        let of: BTreeSet<(&str, bool)> = examples
            .keys()
            .map(|name| (name.split('.').next().unwrap_or_default(), wrong(name)))
            .collect();
        LazyLock::force(&DIALECTS);
        let known: Agency = agency.parse().expect("a registered agency");
        let source = format!("{agency}.{}", known.cities()[0]).parse().expect("a source");
        for table in DIALECTS.tables(source) {
            let name = table.name.as_str();
            assert!(of.contains(&(name, false)) && of.contains(&(name, true)), "{agency}: {name}");
        }
    }
}
