//! What an update keeps of its image before.

use super::super::{Classified, normalise};
use super::reading::{REGISTER, message, under};
use crate::debezium::ErrorClass;
use domain::facts::{Facts, Resident};
use domain::ids::IdKey;
use domain::input::Input;
use domain::personal::Personal;
use domain::record::Change;
use proptest::prelude::*;

/// The columns of a register row, each with a value and another one.
const COLUMNS: [(&str, &str, &str); 12] = [
    ("n", "\"320102198706300056\"", "\"320102198706290054\""),
    ("x", "\"贾十五\"", "\"贾十四\""),
    ("sex", "\"AQ==\"", "\"Ag==\""),
    ("b", "6389", "6388"),
    ("e", "\"OA==\"", "\"AQ==\""),
    ("s", "\"1\"", "\"2\""),
    ("d", "null", "\"2020-05-01\""),
    ("h", "\"320102\"", "\"320105\""),
    ("a", "\"xLPCtw==\"", "\"xLO91g==\""),
    ("r", "\"320102\"", "\"320105\""),
    ("ra", "\"某街\"", "\"某巷\""),
    ("p", "\"1\"", "\"2\""),
];

fn dialect() -> String {
    let more = "hukou = \"h\"\nresidence = \"r\"\nresidence-address = \"ra\"\n";
    REGISTER.replace("phone = {", &format!("{more}phone = {{"))
}

/// A row with some columns changed, or without those of which nothing is said.
fn row(changed: &[(&str, &str)]) -> String {
    let cells = COLUMNS.iter().filter_map(|(column, value, _)| {
        let changed = changed.iter().find(|(of, _)| of == column).map(|(_, value)| *value);
        let value = changed.unwrap_or(value);
        (!value.is_empty()).then(|| format!("\"{column}\":{value}"))
    });
    format!("{{{}}}", cells.collect::<Vec<_>>().join(","))
}

fn classify(dialect: &str, op: &str, before: &str, after: &str) -> Classified {
    let value = format!("{{\"op\":\"{op}\",\"before\":{before},\"after\":{after}}}");
    normalise(&under(dialect), &IdKey::new(1, &[7; 32]), &message(value.as_bytes()))
}

/// What an update becomes: the register row, and the columns that could not be read.
fn read(before: &str, after: &str) -> (Option<Resident>, Vec<(ErrorClass, String)>) {
    let (inputs, found) = match classify(&dialect(), "u", before, after) {
        Classified::Inputs(inputs) => (inputs, Vec::new()),
        Classified::DeadLetter { error, inputs } => (inputs, vec![(error.class, error.column.unwrap_or_default())]),
        Classified::Control(control) => panic!("{control:?}"),
    };
    let resident = inputs.into_iter().find_map(|input| match input {
        Input::Change(Change::Upsert(record)) => match &record.facts {
            Facts::Resident(resident) => Some(resident.clone()),
            _ => None,
        },
        _ => None,
    });
    (resident, found)
}

const PLACEHOLDERS: [&str; 3] = [
    "\"__debezium_unavailable_value\"",
    "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"",
    "\"5f5f646562657a69756d5f756e617661696c61626c655f76616c7565\"",
];

#[test]
fn a_field_that_cannot_be_read_keeps_its_last_value_where_that_is_safe() {
    let text = |field: Option<Personal>| field.map(|text| text.reveal().to_owned());
    let broken = "\"\\ud842\"";
    for (before, after, kept) in [
        (row(&[]), row(&[("ra", broken)]), true),
        // Renamed, but one person: the number says so.
        (row(&[]), row(&[("ra", broken), ("x", "\"贾十四\"")]), true),
        // Of another place, of another person, of a key alone, of an image that cannot be read either, of no image.
        (row(&[]), row(&[("ra", broken), ("r", "\"320105\"")]), false),
        (row(&[]), row(&[("ra", broken), ("n", "\"320102198706290054\"")]), false),
        ("{\"k\":\"1\"}".to_owned(), row(&[("ra", broken)]), false),
        (row(&[("ra", broken)]), row(&[("ra", broken)]), false),
        (row(&[("ra", "null")]), row(&[("ra", broken)]), false),
        ("null".to_owned(), row(&[("ra", broken)]), false),
        // Without a number the name has to be the same.
        (row(&[("n", "null")]), row(&[("n", "null"), ("ra", broken)]), true),
        (
            row(&[("n", "null")]),
            row(&[("n", "null"), ("x", "\"贾\""), ("ra", broken)]),
            false,
        ),
    ] {
        let (resident, found) = read(&before, &after);
        let address = text(resident.expect("a readable row").residence_address);
        assert_eq!(address.as_deref(), kept.then_some("某街"), "{before} {after}");
        assert_eq!(found, [(ErrorClass::BrokenText, "ra".to_owned())]);
    }
    let (resident, found) = read(&row(&[]), &row(&[("e", "\"Yw==\""), ("p", "[1]")]));
    let resident = resident.expect("a readable row");
    assert_eq!((resident.ethnicity, text(resident.phone).as_deref()), (Some(99), Some("1")));
    assert_eq!(found, [(ErrorClass::WrongEncoding, "p".to_owned())]);
    let (resident, _) = read(&row(&[]), &row(&[("e", "\"OQ==\"")]));
    assert_eq!(resident.expect("a readable row").ethnicity, Some(56), "57 is no ethnicity");
}

#[test]
fn what_decides_is_never_kept() {
    for (column, unreadable) in [("s", "\"7\""), ("d", "\"1987-13-01\""), ("h", "\"3\""), ("x", "\"\\ud842\"")] {
        let (resident, found) = read(&row(&[]), &row(&[(column, unreadable)]));
        assert!(resident.is_none(), "{column}");
        assert_eq!(found.len(), 1, "{column}");
    }
}

#[test]
fn another_placeholder_is_stated_in_the_dialect() {
    let own = dialect().replace("charset", "unavailable = \"hex:2d2d\"\ncharset");
    let letter = |dialect: &str, cell: &str| match classify(dialect, "u", "null", &row(&[("ra", cell)])) {
        Classified::DeadLetter { error, .. } => Some(error.class),
        _ => None,
    };
    for cell in ["\"--\"", "\"LS0=\"", "\"2d2d\"", "\"{\\\"--\\\":\\\"--\\\"}\""] {
        assert_eq!(letter(&own, cell), Some(ErrorClass::UnavailableValue), "{cell}");
        assert_eq!(letter(&dialect(), cell), None, "{cell}");
    }
    assert_eq!(letter(&own, PLACEHOLDERS[0]), None);
    for wrong in ["unavailable = \"\"", "unavailable = \"hex:2\""] {
        let text = dialect().replace("charset", &format!("{wrong}\ncharset"));
        let error = super::add(&text).expect_err("no placeholder");
        assert_eq!(error.key, "unavailable");
    }
}

proptest! {
    /// A value that did not change is what the image before says: whichever columns the connector did not know, the message means what it
    /// would have meant with them, and nothing is complained of.
    #[test]
    fn what_the_connector_did_not_know_is_read_from_before(
        unknown in prop::collection::vec(prop::option::of(0..PLACEHOLDERS.len()), COLUMNS.len()),
        changed in prop::collection::vec(any::<bool>(), COLUMNS.len()),
    ) {
        let (mut known, mut sent) = (Vec::new(), Vec::new());
        // Of what is not there nothing is left out.
        let unknown = COLUMNS.iter().zip(unknown).map(|((_, value, _), unknown)| unknown.filter(|_| *value != "null"));
        for ((column, value, other), (unknown, changed)) in COLUMNS.iter().zip(unknown.into_iter().zip(changed)) {
            if let Some(form) = unknown {
                sent.push((*column, PLACEHOLDERS[form]));
            } else {
                let value = if changed { *other } else { *value };
                sent.push((*column, value));
                known.push((*column, value));
            }
        }
        let before = row(&[]);
        let expected = classify(&dialect(), "u", &before, &row(&known));
        prop_assert_eq!(classify(&dialect(), "u", &before, &row(&sent)), expected);
    }

    /// Nothing but the message decides: what is kept never comes from another one, and never from an insert or a snapshot.
    #[test]
    fn without_an_update_nothing_is_kept(op in prop::sample::select(vec!["c", "r"]), form in 0..PLACEHOLDERS.len()) {
        let after = row(&[("ra", PLACEHOLDERS[form])]);
        prop_assert_eq!(classify(&dialect(), op, &row(&[]), &after), classify(&dialect(), op, "null", &after));
    }
}
