//! How cells are read, and how far it reaches that one cannot be.

use super::super::{Classified, Dialects, SourceMessage, Survey, normalise};
use super::source;
use crate::debezium::ErrorClass;
use domain::date::{Day, Timestamp};
use domain::facts::Facts;
use domain::ids::IdKey;
use domain::input::Input;
use domain::record::{Change, SourceRecord, earliest_day};
use encoding_rs::GB18030;
use std::path::Path;
use std::sync::Arc;

pub(super) const REGISTER: &str = r#"
agency = "public-security"
name = "test"
revision = 1
cities = ["*"]
charset = "gb18030"
[codes.status]
map = { 1 = "registered", 2 = "dead" }
[codes.sex]
map = { 1 = "male", 2 = "female" }
[tables.t]
kind = "resident"
key = ["k"]
document = "resident-identity"
[tables.t.fields]
number = { column = "n", none = ["11111"] }
name = { column = "x" }
sex = { column = "sex", encoding = "bits", codes = "sex" }
birth = { column = "b", encoding = "date-days" }
ethnicity = { column = "e", encoding = "decimal-base64" }
status = { column = "s", codes = "status" }
death = { column = "d", encoding = "date-text", none = ["9999-12-31"] }
hukou-address = { column = "a", encoding = "gb18030-base64" }
phone = { column = "p", optional = true }
"#;

fn dialects() -> Dialects {
    under(REGISTER)
}

pub(super) fn under(dialect: &str) -> Dialects {
    let mut dialects = Dialects::default();
    dialects.add(Path::new("test.toml"), dialect).expect("a dialect");
    dialects
}

pub(super) fn message(bytes: &[u8]) -> SourceMessage<'_> {
    SourceMessage {
        source: source("public-security.3201"),
        table: "t",
        partition: 0,
        offset: 1,
        epoch: 0,
        timestamp: Timestamp(1_795_484_900_000),
        key: Some(b"{\"k\":\"1\"}"),
        value: Some(bytes),
    }
}

/// What a row becomes: its record, and what was complained of.
fn read(bytes: &[u8]) -> (Option<Arc<SourceRecord>>, Option<(ErrorClass, String)>) {
    read_under(&dialects(), bytes)
}

fn read_under(dialects: &Dialects, bytes: &[u8]) -> (Option<Arc<SourceRecord>>, Option<(ErrorClass, String)>) {
    let (inputs, error) = match normalise(dialects, &IdKey::new(1, &[7; 32]), &message(bytes)) {
        Classified::Inputs(inputs) => (inputs, None),
        Classified::DeadLetter { error, inputs } => (inputs, Some((error.class, error.column.unwrap_or_default()))),
        Classified::Control(control) => panic!("{control:?}"),
    };
    let record = inputs.into_iter().find_map(|input| match input {
        Input::Change(Change::Upsert(record)) => Some(record),
        _ => None,
    });
    (record, error)
}

const ROW: &str =
    r#""n":"320102198706300056","x":"贾十五","sex":"AQ==","b":6389,"e":"OA==","s":"1","d":null,"a":"xLPCtw==","p":null"#;

fn row(changed: &[(&str, &str)]) -> Vec<u8> {
    let row = changed.iter().fold(ROW.to_owned(), |row, (from, to)| {
        assert!(row.contains(from), "{from}");
        row.replace(from, to)
    });
    format!("{{\"op\":\"c\",\"before\":null,\"after\":{{{row}}}}}").into_bytes()
}

fn resident(record: Option<&Arc<SourceRecord>>) -> domain::facts::Resident {
    match record.map(|record| &record.facts) {
        Some(Facts::Resident(resident)) => resident.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_encoding_of_texts_and_numbers_is_read() {
    let (record, error) = read(&row(&[]));
    assert_eq!(error, None);
    let resident = resident(record.as_ref());
    assert_eq!(resident.ethnicity, Some(56));
    assert!(resident.hukou_address.is_some_and(|address| address.reveal() == "某路"));
    assert_eq!(record.and_then(|record| record.identity.sex), Some(domain::sex::Sex::Male));
    // The same message in the charset of the dialect.
    let text = String::from_utf8(row(&[])).expect("UTF-8");
    let (record, error) = read(&GB18030.encode(&text).0);
    assert_eq!(error, None);
    assert!(record.is_some_and(|record| record.identity.name.is_some()));
}

#[test]
fn a_field_from_which_nothing_follows_is_unknown_alone() {
    for (change, class, column) in [
        (("\"OA==\"", "\"/w==\""), ErrorClass::UnknownCode, "e"),
        (
            ("\"xLPCtw==\"", "\"__debezium_unavailable_value\""),
            ErrorClass::UnavailableValue,
            "a",
        ),
        (("\"xLPCtw==\"", "\"?\""), ErrorClass::WrongEncoding, "a"),
        ((",\"a\":\"xLPCtw==\"", ""), ErrorClass::AbsentColumn, "a"),
        // The number says birth and sex itself.
        (("6389", "\"?\""), ErrorClass::NotANumber, "b"),
        (("\"AQ==\"", "\"CQ==\""), ErrorClass::UnknownCode, "sex"),
        (("\"d\":null", "\"d\":\"1987-01-01\""), ErrorClass::Contradiction, "d"),
    ] {
        let (record, error) = read(&row(&[change]));
        assert_eq!(error, Some((class, column.to_owned())), "{change:?}");
        assert_eq!(resident(record.as_ref()).death, None, "{change:?}");
    }
}

#[test]
fn a_field_that_decides_makes_the_row_unreadable() {
    for (change, class, column) in [
        (("\"s\":\"1\"", "\"s\":\"7\""), ErrorClass::UnknownCode, "s"),
        (("\"d\":null", "\"d\":\"1987-13-01\""), ErrorClass::ImpossibleDate, "d"),
        ((",\"d\":null", ""), ErrorClass::AbsentColumn, "d"),
        (("\"贾十五\"", "\"贾\\ud842\""), ErrorClass::BrokenText, "x"),
    ] {
        let (record, error) = read(&row(&[change]));
        assert_eq!(error, Some((class, column.to_owned())), "{change:?}");
        let facts = record.map(|record| record.facts.clone());
        assert!(matches!(facts, Some(Facts::Unreadable(_))), "{change:?}");
    }
    // Without a usable number the birth date is all that tells namesakes apart.
    let (record, error) = read(&row(&[("320102198706300056", "11111"), ("6389", "\"?\"")]));
    assert_eq!(error, Some((ErrorClass::NotANumber, "b".to_owned())));
    assert!(record.is_some_and(|record| record.identity.document.is_none() && matches!(record.facts, Facts::Unreadable(_))));
}

#[test]
fn what_stands_for_none_and_what_may_be_absent_is_none() {
    let (record, error) = read(&row(&[("\"d\":null", "\"d\":\"9999-12-31\""), (",\"p\":null", "")]));
    assert_eq!((error, resident(record.as_ref()).death), (None, None));
    let (record, error) = read(&row(&[("320102198706300056", " 11111 ")]));
    assert_eq!(error, None);
    assert!(record.is_some_and(|record| record.identity.document.is_none()));
}

#[test]
fn a_renamed_column_is_read_under_the_names_it_had() {
    let renamed = under(&REGISTER.replace(
        "death = { column = \"d\",",
        "death = { column = \"died\", former = [\"dd\", \"d\"],",
    ));
    let table = renamed.find(source("public-security.3201"), "t").expect("a table");
    let mut survey = Survey::default();
    for (now, death) in [
        ("\"d\":\"2020-05-01\"", Some("2020-05-01")),
        ("\"died\":\"2020-05-02\"", Some("2020-05-02")),
        // While both are there the new one holds, also where it is null.
        ("\"d\":\"2020-05-01\",\"died\":null", None),
    ] {
        let bytes = row(&[("\"d\":null", now)]);
        let (record, error) = read_under(&renamed, &bytes);
        let found = resident(record.as_ref()).death.map(|day| day.to_string());
        assert_eq!((found.as_deref(), error), (death, None), "{now}");
        survey.note(&renamed, table, &message(&bytes));
    }
    let found = survey.result(table);
    assert!(found.is_good() && found.unmapped.is_empty(), "{found:?}");
    let (_, error) = read_under(&renamed, &row(&[(",\"d\":null", "")]));
    assert_eq!(error, Some((ErrorClass::AbsentColumn, "died".to_owned())));
}

/// As ByLogicalTableRouter adds it, which sends several tables to one topic.
#[test]
fn a_key_column_that_is_in_no_row_tells_rows_apart() {
    let routed = under(&REGISTER.replace("key = [\"k\"]", "key = [\"k\", \"__dbz__physicalTableIdentifier\"]"));
    let bytes = row(&[]);
    let [one, other] = ["hr.public.t_2024", "hr.public.t_2025"].map(|table| {
        let key = format!(r#"{{"k":"1","__dbz__physicalTableIdentifier":"{table}"}}"#);
        let message = SourceMessage {
            key: Some(key.as_bytes()),
            ..message(&bytes)
        };
        match normalise(&routed, &IdKey::new(1, &[7; 32]), &message) {
            Classified::Inputs(inputs) => match &inputs[..] {
                [Input::Change(Change::Upsert(record))] => record.id,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    });
    assert_ne!(one, other);
}

#[test]
fn a_sample_shows_what_the_mapping_does_not_fit() {
    let dialects = dialects();
    let table = dialects.find(source("public-security.3201"), "t").expect("a table");
    let mut survey = Survey::default();
    assert!(survey.result(table).is_good(), "an empty topic shows nothing");
    for changed in [
        &[(",\"a\":\"xLPCtw==\"", ",\"added\":1")][..],
        &[(",\"a\":\"xLPCtw==\"", ""), ("\"s\":\"1\"", "\"s\":\"7\"")],
        &[(",\"a\":\"xLPCtw==\"", ""), (",\"p\":null", "")],
    ] {
        survey.note(&dialects, table, &message(&row(changed)));
    }
    let found = survey.result(table);
    assert!(!found.is_good());
    assert_eq!(
        (found.rows, found.never_seen, found.unmapped),
        (3, vec!["a".to_owned()], vec!["added".to_owned()])
    );
    assert_eq!(found.codes, ["s=7"]);
    assert_eq!(found.unread, ["absent-column a: 2", "unknown-code s: 1"]);
}

#[test]
fn a_newborn_is_insured_from_the_beginning_of_the_year() {
    let born = Day::from_ymd(2025, 3, 10).expect("a day");
    assert_eq!(earliest_day(born, true), born);
    assert_eq!(Some(earliest_day(born, false)), Day::from_ymd(2025, 1, 1));
}

#[test]
fn a_month_in_another_encoding_is_refused_with_that_encoding() {
    let shipped = include_str!("../../../../human-resources/dialects/jinbao.toml");
    let decimal = shipped.replace(
        "{ column = \"aae003\",",
        "{ column = \"aae003\", encoding = \"decimal-base64\",",
    );
    // 202611 as a number, as a decimal, and as text; and what is no month either way.
    for (dialect, value, expected) in [
        (shipped, "202611", None),
        (shipped, "\"202611\"", None),
        (
            shipped,
            "\"Axdz\"",
            Some((ErrorClass::WrongEncoding, "encoding decimal-base64")),
        ),
        (shipped, "\"November\"", Some((ErrorClass::ImpossibleDate, "as yyyymm"))),
        (&decimal, "202611", None),
        (&decimal, "\"Axdz\"", None),
        (&decimal, "\"202611\"", Some((ErrorClass::WrongEncoding, "encoding yyyymm"))),
    ] {
        let row = format!(
            r#"{{"op":"c","before":null,"after":{{"baz001":1,"aac002":"320102198706300056","aac003":"A","aae140":"110","aac031":"1","aae030":null,
            "aae031":null,"aac049":null,"aae003":{value},"aaz288":null,"aaz289":null,"aab001":null,"aab301":"320102"}}}}"#
        );
        let message = SourceMessage {
            source: source("human-resources.3201"),
            table: "ac02",
            key: Some(b"{\"baz001\":1}"),
            ..message(row.as_bytes())
        };
        let found = match normalise(&under(dialect), &IdKey::new(1, &[7; 32]), &message) {
            Classified::DeadLetter { error, .. } => Some((error.class, error.expected.to_string())),
            _ => None,
        };
        assert_eq!(
            found.as_ref().map(|(class, _)| *class),
            expected.map(|(class, _)| class),
            "{value}"
        );
        let says = |(_, text): (_, &str)| found.as_ref().is_some_and(|(_, said)| said.ends_with(text));
        assert!(expected.is_none_or(says), "{value}: {found:?}");
    }
}
