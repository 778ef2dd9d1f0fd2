//! Every input survives its encoding; no bytes whatever panic the decoder or make it print what it read.

mod inputs;
mod limits;

use domain::facts::{Facts, FactsKind};
use domain::input::{Control, Input};
use domain::policy::Edition;
use domain::record::{Change, SourceRecord};
use inputs::{circumstance, enrolment, input, record};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use schemas::codec::{decode_input, encode_input};
use schemas::{Codec, DecodeError, registry};
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn an_input_is_read_as_written(input in input()) {
        prop_assert_eq!(decode_input(&encode_input(&input)), Ok(input));
    }

    #[test]
    fn a_truncated_input_is_refused(input in input(), at: prop::sample::Index) {
        let bytes = encode_input(&input);
        prop_assert!(decode_input(&bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn an_input_with_more_bytes_is_refused(input in input(), more in prop::collection::vec(any::<u8>(), 1..9)) {
        let mut bytes = encode_input(&input);
        bytes.extend(more);
        let trailing = matches!(decode_input(&bytes), Err(DecodeError::Trailing { .. }));
        prop_assert!(trailing);
    }

    #[test]
    fn a_damaged_input_does_not_panic(input in input(), at: prop::sample::Index, byte: u8) {
        let mut bytes = encode_input(&input);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode_input(&bytes);
    }

    #[test]
    fn any_bytes_do_not_panic(id in 0..17_u8, datum in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes: Vec<u8> = [0, 0, 0, 0, id].into_iter().chain(datum).collect();
        let _ = decode_input(&bytes);
    }
}

#[test]
fn what_is_no_frame_is_refused() {
    assert_eq!(decode_input(&[]), Err(DecodeError::Empty));
    assert_eq!(decode_input(&[0]), Err(DecodeError::Frame));
    assert_eq!(decode_input(b"{\"a\":1}"), Err(DecodeError::Frame));
    assert_eq!(decode_input(&[0, 0, 0, 4, 210, 1]), Err(DecodeError::UnknownSchema(1234)));
    let alert = registry::newest(registry::Kind::AlertEvent).id as u8;
    assert_eq!(
        decode_input(&[0, 0, 0, 0, alert]),
        Err(DecodeError::Unexpected {
            record: "cn.canbao.AlertEvent"
        })
    );
}

#[test]
fn a_policy_is_the_text_that_is_named() {
    let edition = Arc::new(Edition::embedded());
    let bytes = encode_input(&Input::Control(Control::Policy(edition)));
    let changed = |from: &str, to: &str| {
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes());
        let at = at.expect("it is in the text");
        [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
    };
    for (damaged, what) in [
        (changed("grace_days = 30", "grace_days = 60"), "name of a policy"),
        (changed("grace_days = 30", "grace_days = xx"), "policy"),
    ] {
        let record = "cn.canbao.Policy";
        assert_eq!(decode_input(&damaged), Err(DecodeError::Value { record, what }));
    }
}

#[test]
fn an_unknown_code_is_named_by_its_set_and_not_quoted() {
    let mut runner = TestRunner::deterministic();
    let record = record(enrolment()).new_tree(&mut runner).expect("a record").current();
    let agency = record.source.agency.as_str();
    let bytes = encode_input(&Input::Change(Change::Upsert(record.into())));
    let at = bytes
        .windows(agency.len())
        .position(|window| window == agency.as_bytes())
        .expect("the agency is text");
    let mut damaged = bytes;
    damaged[at] = b'X';
    let error = decode_input(&damaged).expect_err("no such agency");
    assert_eq!(error.to_string(), "cn.canbao.PersonRecord: no valid agency");
}

/// The branch of unreadable rows says a circumstance too, and only beside its own kind. What was written before it could is read as it was.
#[test]
fn a_circumstance_stands_in_the_branch_of_unreadable_rows() {
    let mut runner = TestRunner::deterministic();
    let said = record(circumstance()).new_tree(&mut runner).expect("a record").current();
    let with = |facts: Facts| {
        let record = SourceRecord { facts, ..said.clone() };
        Input::Change(Change::Upsert(record.into()))
    };
    let unread = with(Facts::Unreadable(FactsKind::Circumstance));
    let bytes = encode_input(&unread);
    assert_eq!(decode_input(&bytes), Ok(unread));

    let bytes = encode_input(&with(said.facts.clone()));
    let name = FactsKind::Circumstance.as_str().as_bytes();
    let at = bytes.windows(name.len()).position(|window| window == name).expect("the kind");
    // A kind's name is as long as its zigzag number says, which stands before it.
    let other = [&bytes[..at - 1], &[8], b"card", &bytes[at + name.len()..]].concat();
    let record = "cn.canbao.PersonRecord";
    let what = "kind of a row with a circumstance";
    assert_eq!(decode_input(&other), Err(DecodeError::Value { record, what }));

    let unread = with(Facts::Unreadable(FactsKind::Card));
    let mut former = encode_input(&unread);
    // Version 1 ends with the kind: no null of the field that came later behind it.
    assert_eq!(former.pop(), Some(0));
    former[4] = 1;
    assert_eq!(decode_input(&former), Ok(unread));
}

#[test]
fn another_registry_gives_other_ids() {
    let mut runner = TestRunner::deterministic();
    let input = input().new_tree(&mut runner).expect("an input").current();
    let codec = Codec::with_ids(|version| version.id + 70_000);
    let bytes = codec.encode_input(&input);
    assert_eq!(bytes[..3], [0, 0, 1]);
    assert_eq!(codec.decode_input(&bytes), Ok(input));
    assert!(matches!(decode_input(&bytes), Err(DecodeError::UnknownSchema(_))));
}
