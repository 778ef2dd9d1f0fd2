//! What sources write where they have no value, or none that anybody meant, under the dialects that the services carry.

use super::super::{Classified, Dialects, SourceMessage, normalise};
use super::source;
use crate::debezium::ErrorClass;
use domain::date::Timestamp;
use domain::facts::Facts;
use domain::ids::IdKey;
use domain::input::Input;
use domain::record::Change;
use std::path::Path;

const ENROLMENTS: &str = include_str!("../../../../human-resources/dialects/jinbao.toml");
const OF_SUZHOU: &str = include_str!("../../../../human-resources/dialects/jinbao-suzhou.toml");
const REGISTER: &str = include_str!("../../../../public-security/dialects/ga.toml");

const ENROLMENT: &str = r#"{"baz001":1,"aac002":"320102195506300058","aac003":"A","aae140":"110","aac031":"1","aae030":18262,"aae031":null,
    "aac049":202001,"aae003":202611,"aaz288":null,"aaz289":null,"aab001":null,"aab301":"320102"}"#;
const INSURED: &str = r#"{"grbh":"1","xzlx":310,"shbzh":"320102195506300058","xm":"A","csrq":"1955-06-30","cbzt":"1","ksrq":"2020-01-01","zzrq":null,
    "scjfny":"202001","jfzny":"202611","hjzny":null,"zyjx":"N","dwbh":"D","cbd":"320502"}"#;
const RESIDENT: &str = r#"{"rybh":"1","gmsfhm":"320102195506300058","xm":"A","cym":null,"xb":"1","mz":"01","csrq":-5299,"hjdqh":"320102","hjdz":"B",
    "xzdqh":null,"xzdz":null,"swrq":null,"hkzt":"1","lxdh":null}"#;

/// A column's value, and what the row's days and months become, or the class and column of what is said.
type Case<'a> = (&'a str, &'a str, Result<&'a str, (ErrorClass, &'a str)>);

/// What becomes of a row in which one column holds another value.
fn check(dialect: &str, table: &str, key: &str, row: &str, show: fn(&Facts) -> String, cases: &[Case<'_>]) {
    let mut dialects = Dialects::default();
    dialects.add(Path::new("shipped.toml"), dialect).expect("a dialect");
    let agency = if dialect == REGISTER {
        "public-security.3205"
    } else {
        "human-resources.3205"
    };
    for (column, value, expected) in cases {
        let (before, behind) = row.split_once(&format!("\"{column}\":")).expect("a column");
        let end = behind.find([',', '}']).expect("a value");
        let event = format!("{{\"op\":\"c\",\"after\":{before}\"{column}\":{value}{}}}", &behind[end..]);
        let message = SourceMessage {
            source: source(agency),
            table,
            partition: 0,
            offset: 1,
            epoch: 0,
            timestamp: Timestamp(1_795_484_900_000),
            key: Some(key.as_bytes()),
            value: Some(event.as_bytes()),
        };
        let (inputs, error) = match normalise(&dialects, &IdKey::new(1, &[7; 32]), &message) {
            Classified::Inputs(inputs) => (inputs, None),
            Classified::DeadLetter { error, inputs } => (inputs, Some(error)),
            Classified::Control(control) => panic!("{control:?}"),
        };
        let shown = inputs.iter().find_map(|input| match input {
            Input::Change(Change::Upsert(record)) => Some(show(&record.facts)),
            _ => None,
        });
        let found = match &error {
            None => Ok(shown.as_deref().unwrap_or_default()),
            Some(error) => Err((error.class, error.column.as_deref().unwrap_or_default())),
        };
        assert_eq!(found, *expected, "{column} {value}");
    }
}

fn enrolment(facts: &Facts) -> String {
    let Facts::Enrolment(row) = facts else {
        return format!("{:?}", facts.kind());
    };
    let day = |day: Option<domain::date::Day>| day.map_or_else(|| "-".to_owned(), |day| day.to_string());
    let month = |month: Option<domain::date::Month>| month.map_or_else(|| "-".to_owned(), |month| month.to_string());
    let (first, paid, deferred) = (month(row.first_month), month(row.paid_through), month(row.deferred_until));
    format!("{} {} {first} {paid} {deferred}", day(row.from), day(row.until))
}

fn death(facts: &Facts) -> String {
    match facts {
        Facts::Resident(row) => row.death.map_or_else(|| "-".to_owned(), |day| day.to_string()),
        _ => format!("{:?}", facts.kind()),
    }
}

const KEY: &str = r#"{"baz001":1}"#;
const OPEN: Result<&str, (ErrorClass, &str)> = Ok("2020-01-01 - 2020-01 2026-11 -");

#[test]
fn an_end_that_is_none_is_open() {
    let from_first_month = Ok("- - 2020-01 2026-11 -");
    let hardly = |column| Err((ErrorClass::ImpossibleDate, column));
    check(
        ENROLMENTS,
        "ac02",
        KEY,
        ENROLMENT,
        enrolment,
        &[
            // 1970-01-01, 1900-01-01; 9999-12-31, 2999-12-31, 9999-01-01; infinity as days and as what other units have of it.
            ("aae031", "0", OPEN),
            ("aae031", "-25567", OPEN),
            ("aae031", "2932896", OPEN),
            ("aae031", "376199", OPEN),
            ("aae031", "2932532", OPEN),
            ("aae031", "2147483647", OPEN),
            ("aae031", "9223372036825200", OPEN),
            ("aae031", "9223372036825200000", OPEN),
            ("aae031", "9223372036854775807", OPEN),
            ("aae031", "\"infinity\"", OPEN),
            ("aae030", "0", from_first_month),
            ("aae030", "2932896", from_first_month),
            // An end in the year 7445 is none; a beginning in it is hardly meant.
            ("aae031", "2000000", OPEN),
            ("aae030", "2000000", hardly("aae030")),
            ("aae031", "1577836800", hardly("aae031")),
        ],
    );
}

#[test]
fn a_month_that_is_none_is_none() {
    check(
        ENROLMENTS,
        "ac02",
        KEY,
        ENROLMENT,
        enrolment,
        &[
            ("aae003", "0", Ok("2020-01-01 - 2020-01 - -")),
            ("aae003", "\"000000\"", Ok("2020-01-01 - 2020-01 - -")),
            ("aae003", "\"0000-00\"", Ok("2020-01-01 - 2020-01 - -")),
            ("aae003", "999912", Ok("2020-01-01 - 2020-01 - -")),
            ("aae003", "999999", Ok("2020-01-01 - 2020-01 - -")),
            ("aae003", "\"9999-99\"", Ok("2020-01-01 - 2020-01 - -")),
            ("aae003", "197001", Ok("2020-01-01 - 2020-01 - -")),
            ("aac049", "999912", Ok("2020-01-01 - - 2026-11 -")),
            ("aac049", "190001", Ok("2020-01-01 - - 2026-11 -")),
            ("aaz288", "999999", OPEN),
            ("aaz288", "0", OPEN),
            ("aae003", "13", Err((ErrorClass::ImpossibleDate, "aae003"))),
            ("aae003", "202613", Err((ErrorClass::ImpossibleDate, "aae003"))),
        ],
    );
}

#[test]
fn control_characters_are_left_out_of_days_months_and_numbers_too() {
    let key = r#"{"grbh":"1","xzlx":310}"#;
    check(
        OF_SUZHOU,
        "cb_grcbxx",
        key,
        INSURED,
        enrolment,
        &[
            ("csrq", "\"1955-06-30\\u0000\"", OPEN),
            ("ksrq", "\"2020-01-01\\u0000\\u0000\"", OPEN),
            ("ksrq", "\"\\u00012020-01-01\"", OPEN),
            ("zzrq", "\"\\u0000\"", OPEN),
            ("zzrq", "\"infinity\\u0000\"", OPEN),
            ("jfzny", "\"202611\\u0000\"", OPEN),
            ("hjzny", "\"000000\\u001a\"", OPEN),
            ("xzlx", "\"310\\u0000\"", OPEN),
        ],
    );
}

#[test]
fn a_placeholder_for_a_death_is_no_death() {
    let contradicts = Err((ErrorClass::Contradiction, "swrq"));
    check(
        REGISTER,
        "czrk",
        r#"{"rybh":"1"}"#,
        RESIDENT,
        death,
        &[
            ("swrq", "0", Ok("-")),
            ("swrq", "-25567", Ok("-")),
            ("swrq", "2932896", Ok("-")),
            ("swrq", "376199", Ok("-")),
            ("swrq", "2147483647", Ok("-")),
            ("swrq", "\"-infinity\"", Ok("-")),
            // 1753-01-01 of SQL Server, 1899-12-30 of spreadsheets, 0001-01-01.
            ("swrq", "-79257", contradicts),
            ("swrq", "-25569", contradicts),
            ("swrq", "-719162", contradicts),
            // A day of death that is one.
            ("swrq", "20000", Ok("2024-10-04")),
        ],
    );
    for placeholder in ["X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==", "__debezium_unavailable_value"] {
        let unknown = Err((ErrorClass::UnavailableValue, "hjdz"));
        let value = format!("\"{placeholder}\"");
        check(
            REGISTER,
            "czrk",
            r#"{"rybh":"1"}"#,
            RESIDENT,
            death,
            &[("hjdz", &value, unknown)],
        );
    }
}

#[test]
fn a_key_that_came_to_be_written_otherwise_is_no_second_row() {
    let mut dialects = Dialects::default();
    dialects.add(Path::new("shipped.toml"), ENROLMENTS).expect("a dialect");
    let row = |key: &str| dialects.row_of(source("human-resources.3201"), "ac02", Some(key.as_bytes()));
    let one = row(r#"{"baz001":990004301}"#);
    assert!(one.is_some());
    for key in [
        r#"{"baz001":"990004301"}"#,
        r#"{"baz001":"0990004301"}"#,
        r#"{"baz001":"990004301.00"}"#,
        r#"{"baz001":9.90004301E8}"#,
        r#"{"baz001":{"scale":0,"value":"OwJETQ=="}}"#,
        r#"{"schema":null,"payload":{"baz001":990004301}}"#,
    ] {
        assert_eq!(row(key), one, "{key}");
    }
    // Base64 without its scale is no number: it is refused, and with all rows of a table so the topic is held.
    assert_eq!(row(r#"{"baz001":"OwJETQ=="}"#), None);
}
