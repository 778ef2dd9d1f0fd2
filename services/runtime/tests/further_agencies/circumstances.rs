//! Circumstances, whose kind is a code or the same in every row of a table, and what becomes of a row that cannot be read.

use super::DIALECTS;
use domain::date::{Day, Timestamp};
use domain::facts::{Circumstance, CircumstanceKind, Facts, FactsKind};
use domain::ids::IdKey;
use domain::input::Input;
use domain::record::Change;
use runtime::dialect::{Classified, DialectError, Dialects, SourceMessage, normalise};
use std::path::Path;
use std::sync::LazyLock;

const CUSTODY: &str = r#"
agency = "justice"
name = "test"
revision = 1
cities = ["*"]
[tables.t]
kind = "circumstance"
key = ["k"]
document = "resident-identity"
[tables.t.fields]
number = "n"
name = "x"
circumstance = { value = "sentenced" }
from = { column = "f", encoding = "date-days" }
until = { column = "u", encoding = "date-days", none = ["9999-12-31"] }
place = "d"
"#;

const BY_CODE: &str = "circumstance = { column = \"c\", codes = \"kind\" }\n";

fn add(text: &str) -> Result<Dialects, DialectError> {
    // The registry comes before any dialect.
    LazyLock::force(&DIALECTS);
    let mut dialects = Dialects::default();
    dialects.add(Path::new("test.toml"), text)?;
    Ok(dialects)
}

fn under(text: &str) -> Dialects {
    add(text).expect("a dialect")
}

/// The same table with its kind in a column.
fn coded() -> Dialects {
    let codes = "[codes.kind]\nmap = { 1 = \"student\", 2 = \"soldier\", 3 = \"abroad\", 4 = \"sentenced\" }\nvoid = [\"0\"]\n[tables.t]\n";
    let text = CUSTODY.replace("[tables.t]\n", codes);
    under(&text.replace("circumstance = { value = \"sentenced\" }\n", BY_CODE))
}

fn row(columns: &str) -> String {
    format!(r#"{{"op":"c","before":null,"after":{{"n":"320102198706300056","x":"贾十五",{columns}}}}}"#)
}

/// What a row says, whether it is a dead letter or not; nothing where it does not hold.
fn says(dialects: &Dialects, columns: &str) -> (Option<Facts>, bool) {
    let bytes = row(columns).into_bytes();
    let message = SourceMessage {
        source: "justice.3200".parse().expect("a source"),
        table: "t",
        partition: 0,
        offset: 1,
        epoch: 0,
        timestamp: Timestamp(1_795_484_900_000),
        key: Some(b"{\"k\":\"1\"}"),
        value: Some(&bytes),
    };
    let (inputs, dead) = match normalise(dialects, &IdKey::new(1, &[7; 32]), &message) {
        Classified::Inputs(inputs) => (inputs, false),
        Classified::DeadLetter { inputs, .. } => (inputs, true),
        Classified::Control(control) => panic!("{control:?}"),
    };
    let facts = inputs.into_iter().find_map(|input| match input {
        Input::Change(Change::Upsert(record)) => Some(record.facts.clone()),
        _ => None,
    });
    (facts, dead)
}

fn circumstance(kind: CircumstanceKind, from: Option<i32>, until: Option<i32>) -> Facts {
    Facts::Circumstance(Circumstance {
        kind,
        from: from.map(Day),
        until: until.map(Day),
        place: None,
    })
}

#[test]
fn a_table_of_one_kind_has_no_column_for_it() {
    let dialects = under(CUSTODY);
    let said = says(&dialects, r#""f":20454,"u":20818,"d":null"#);
    assert_eq!(
        said,
        (
            Some(circumstance(CircumstanceKind::Sentenced, Some(20_454), Some(20_818))),
            false
        )
    );
    let open = says(&dialects, r#""f":20454,"u":null,"d":null"#);
    assert_eq!(
        open,
        (Some(circumstance(CircumstanceKind::Sentenced, Some(20_454), None)), false)
    );
}

#[test]
fn a_code_says_which_kind_it_is_or_that_the_row_does_not_hold() {
    let dialects = coded();
    for (code, kind) in (1..).zip(CircumstanceKind::ALL) {
        let said = says(&dialects, &format!(r#""c":"{code}","f":null,"u":null,"d":null"#));
        assert_eq!(said, (Some(circumstance(*kind, None, None)), false));
    }
    assert_eq!(says(&dialects, r#""c":"0","f":null,"u":null,"d":null"#), (None, false));
}

/// Neither a kind nor a day nor a place is guessed: the row is unreadable, which ends no exemption.
#[test]
fn what_cannot_be_read_leaves_the_row_unreadable() {
    let dialects = coded();
    for columns in [
        r#""c":"9","f":null,"u":null,"d":null"#,
        r#""c":null,"f":null,"u":null,"d":null"#,
        r#""c":"4","f":"soon","u":null,"d":null"#,
        r#""c":"4","f":20454,"u":"soon","d":null"#,
        r#""c":"4","f":20454,"d":null"#,
        r#""c":"4","f":20454,"u":null,"d":"nowhere""#,
    ] {
        let unreadable = Some(Facts::Unreadable(FactsKind::Circumstance));
        assert_eq!(says(&dialects, columns), (unreadable, true), "{columns}");
    }
    // A day before birth says nothing of the end: the sentence stands.
    let contradicting = says(&dialects, r#""c":"4","f":20454,"u":10,"d":null"#);
    assert_eq!(
        contradicting,
        (Some(circumstance(CircumstanceKind::Sentenced, Some(20_454), None)), true)
    );
}

#[test]
fn one_value_stands_alone_and_for_a_code() {
    for (from, to, key, problem) in [
        (
            "value = \"sentenced\"",
            "value = \"jailed\"",
            "circumstance",
            "unknown name jailed; expected one of student",
        ),
        (
            "value = \"sentenced\"",
            "value = \"sentenced\", column = \"c\"",
            "circumstance",
            "nothing else beside it",
        ),
        (
            "value = \"sentenced\"",
            "value = \"sentenced\", optional = true",
            "circumstance",
            "nothing else beside it",
        ),
        (
            "place = \"d\"",
            "place = { value = \"320102\" }",
            "place",
            "only a code field",
        ),
    ] {
        assert!(CUSTODY.contains(from), "{from}");
        let error = add(&CUSTODY.replace(from, to)).expect_err("a problem");
        assert_eq!(error.key, format!("tables.t.fields.{key}.value"), "{error}");
        assert!(error.problem.contains(problem), "{error}");
    }
    let none = add(&CUSTODY.replace("{ value = \"sentenced\" }", "{ encoding = \"text\" }")).expect_err("a problem");
    assert_eq!(none.key, "tables.t.fields.circumstance");
    let missing = add(&CUSTODY.replace("circumstance = { value = \"sentenced\" }\n", "")).expect_err("a problem");
    assert!(missing.problem.contains("field circumstance is mandatory"), "{missing}");
}
