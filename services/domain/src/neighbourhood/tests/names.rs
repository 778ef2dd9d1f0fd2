//! One person under several names, and several persons under what is no number.

use super::{FANG, Rows, YUAN, identity};
use crate::document::{Document, DocumentKind};
use crate::facts::Facts;
use crate::name::Name;
use crate::record::{Change, Identity};
use proptest::prelude::*;
use rstest::rstest;
use std::sync::Arc;

#[rstest]
#[case("买合木提·吐尔逊", "买合木提.吐尔逊")]
#[case("买合木提·吐尔逊", "买合木提吐尔逊")]
#[case("买合木提 吐尔逊", "买合木提●吐尔逊")]
#[case("赵锺岳", "赵钟岳")]
#[case("趙鍾岳", "赵锺岳")]
#[case("孙昇", "孙升")]
#[case("髙⻢", "高马")]
#[case("MILLER, ANNA", "Anna Miller")]
fn one_name_written_in_two_ways_is_one_person(#[case] one: &str, #[case] other: &str) {
    for (registered, enrolled) in [(one, other), (other, one)] {
        let mut rows = Rows::default();
        rows.card("c", &identity(1, enrolled));
        rows.card("d", &identity(1, registered));
        assert_eq!(rows.persons(), ["1 held by 1 once []: c d"], "no register");
        rows.read("R", &identity(1, registered));
        assert_eq!(rows.persons(), ["1 held by 1 once []: R c d"]);
        rows.read("S", &identity(1, enrolled));
        assert_eq!(rows.persons(), ["1 held by 1 once []: R S c d"], "two registers");
    }
}

#[test]
fn strangers_of_one_name_stand_together() {
    let mut rows = Rows::default();
    rows.read("R", &identity(1, FANG));
    rows.card("c", &identity(1, "买合木提·吐尔逊"));
    rows.card("d", &identity(1, "买合木提吐尔逊"));
    rows.card("e", &identity(1, "吐尔逊"));
    assert_eq!(rows.persons(), ["1 held by 1 once []: R", "apart: c d", "apart: e"]);
}

/// Public security renamed its person: who still writes the former name means nobody else.
#[test]
fn a_renamed_person_keeps_what_is_under_the_former_name() {
    let (fang, yuan) = (identity(1, FANG), identity(1, YUAN));
    let mut rows = Rows::default();
    rows.read("R", &fang);
    rows.card("c", &fang);
    rows.update("R", &fang, &yuan);
    rows.card("d", &yuan);
    rows.card("e", &identity(1, "郝丙"));
    let expected = ["1 held by 1 once []: R c d", "apart: e"];
    assert_eq!(rows.persons(), expected);
    let base = rows.base();
    let holder = base
        .values()
        .flat_map(|described| &described.persons)
        .find(|person| person.number.is_some());
    let name = holder
        .and_then(|person| person.golden.name.as_ref())
        .map(|name| name.value.reveal().to_owned());
    assert_eq!(name.as_deref(), Some(YUAN));
    rows.read("R", &yuan);
    assert_eq!(rows.persons(), expected, "a snapshot forgets nothing");
    rows.update("R", &yuan, &identity(1, "方丁"));
    assert_eq!(rows.persons(), expected, "renamed again, both names are former ones");
    rows.strike_off("R", None);
    assert_eq!(
        rows.persons(),
        ["apart: c", "apart: d", "apart: e"],
        "without its row a renaming says nothing"
    );
}

#[test]
fn a_register_that_follows_later_is_one_person_too() {
    let (fang, yuan) = (identity(1, FANG), identity(1, YUAN));
    let mut rows = Rows::default();
    rows.read("R", &fang);
    rows.read("S", &fang);
    rows.card("c", &fang);
    rows.update("R", &fang, &yuan);
    assert_eq!(rows.persons(), ["1 held by 1 once []: R S c"]);
    rows.update("S", &fang, &identity(1, "郝丙"));
    assert_eq!(rows.persons(), ["1 held by 1 once []: R S c"], "both were it");
}

#[test]
fn a_stated_former_name_calls_two_registers_one() {
    let mut rows = Rows::default();
    rows.read("R", &identity(1, YUAN));
    rows.read("S", &identity(1, FANG));
    assert_eq!(rows.persons(), ["apart: R", "apart: S"]);
    let Some(Change::Upsert(record)) = rows.changes.first_mut() else {
        panic!("a row")
    };
    let Facts::Resident(resident) = &mut Arc::make_mut(record).facts else {
        panic!("a register's row")
    };
    resident.former_name = Name::parse(FANG).ok();
    assert_eq!(rows.persons(), ["1 held by 1 once []: R S"]);
}

#[test]
fn a_renamed_person_whose_number_is_corrected_takes_both_names_along() {
    let (fang, yuan, corrected) = (identity(1, FANG), identity(1, YUAN), identity(2, YUAN));
    let mut rows = Rows::default();
    rows.read("R", &fang);
    rows.card("c", &fang);
    rows.card("d", &yuan);
    rows.update("R", &fang, &yuan);
    rows.update("R", &yuan, &corrected);
    assert_eq!(rows.persons(), ["2 held by 2 once [1]: R c d"]);
}

#[test]
fn a_row_reused_for_somebody_else_renames_nobody() {
    let (fang, yuan) = (identity(1, FANG), identity(2, YUAN));
    let mut rows = Rows::default();
    rows.read("R", &fang);
    rows.read("S", &fang);
    rows.card("c", &fang);
    rows.card("d", &yuan);
    rows.update("R", &fang, &yuan);
    assert_eq!(rows.persons(), ["1 held by 1 once []: S c", "2 held by 2 once []: R d"]);
}

/// Namesakes under a number nobody has are strangers to each other.
#[rstest]
#[case("111111111111111")]
#[case("111111191111111112")]
#[case("32000019000101001")]
#[case("123456900307001")]
fn nobody_is_grouped_by_a_dummy(#[case] text: &str) {
    let stated = Identity {
        document: Document::parse(DocumentKind::ResidentIdentity, text).ok(),
        ..identity(1, FANG)
    };
    let mut rows = Rows::default();
    rows.card("c", &stated);
    rows.card("d", &stated);
    assert_eq!(rows.persons(), ["provisional: c", "provisional: d"]);
}

/// A number of 15 digits for a centenarian is the holder's who was born in the century before.
#[test]
fn fifteen_digits_of_a_centenarian_are_the_holders() {
    let of = |text: &str| Identity {
        document: Document::parse(DocumentKind::ResidentIdentity, text).ok(),
        ..identity(1, FANG)
    };
    let (registered, old) = (of("320501189003079982"), of("320501900307998"));
    assert!(registered.number().is_some());
    assert_eq!(registered.number(), old.number());
}

proptest! {
    /// Renamings are judged by the present: in whatever order a row's versions and statements are known, the base is the same.
    #[test]
    fn renamings_do_not_depend_on_the_order_of_arrival(
        steps in prop::collection::vec((0..2usize, 0..4usize), 1..8),
        seed in any::<u64>(),
    ) {
        const NAMES: [&str; 4] = [FANG, YUAN, "郝丙", "方丁"];
        let mut rows = Rows::default();
        let mut last: [Option<usize>; 2] = [None; 2];
        for (row, name) in steps {
            let (key, now) = (["R", "S"][row], identity(1, NAMES[name]));
            match last[row].replace(name) {
                Some(before) => rows.update(key, &identity(1, NAMES[before]), &now),
                None => rows.read(key, &now),
            }
        }
        for (at, name) in NAMES.iter().enumerate() {
            rows.card(&at.to_string(), &identity(1, name));
        }
        let told = rows.persons();
        let mut bits = seed;
        rows.changes.sort_by_cached_key(|_| {
            bits = crate::shard::mix(bits);
            bits
        });
        prop_assert_eq!(rows.persons(), told);
    }
}
