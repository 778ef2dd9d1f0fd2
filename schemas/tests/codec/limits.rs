//! Whatever is decoded keeps the limits: it can be placed, described and stored. What does not is refused by the name of its kind.

use crate::inputs::input;
use domain::base::whole;
use domain::date::{Day, Timestamp};
use domain::decision::Rulings;
use domain::facts::Facts;
use domain::ids::{AnchorId, IdKey};
use domain::input::{Control, Guest, Input, MessageBody, SnapshotFloor};
use domain::limits::{self, DAYS, LARGEST_RANK, LONGEST_KEY, LONGEST_LIST, LONGEST_TEXT};
use domain::personal::Personal;
use domain::policy::Policy;
use domain::record::{Change, SourceRecord};
use domain::shard::Shard;
use domain::source::{TableName, Version};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use schemas::DecodeError;
use schemas::codec::{decode_entry, decode_input, encode_input};
use std::sync::Arc;

/// Values at and beyond the ends, for any place that takes one.
#[derive(Debug, Clone)]
struct Edges {
    days: i32,
    millis: i64,
    rank: u16,
    text: String,
    /// Which places of an input are replaced.
    places: u16,
}

fn edges() -> impl Strategy<Value = Edges> {
    let (first, last) = (*DAYS.start(), *DAYS.end());
    let days = prop_oneof![
        prop::sample::select(vec![i32::MIN, i32::MAX, first - 1, first, last, last + 1, 0]),
        any::<i32>()
    ];
    let millis = prop_oneof![prop::sample::select(vec![i64::MIN, i64::MAX, -1, 0]), any::<i64>()];
    let text = prop_oneof![
        prop::sample::select(vec![
            "\0".to_owned(),
            "a\u{1b}[2J".to_owned(),
            "a".repeat(LONGEST_TEXT),
            "a".repeat(LONGEST_KEY + 1),
            String::new(),
        ]),
        ".{0,20}"
    ];
    (days, millis, any::<u16>(), text, any::<u16>()).prop_map(|(days, millis, rank, text, places)| Edges {
        days,
        millis,
        rank,
        text,
        places,
    })
}

impl Edges {
    fn at(&self, place: u16) -> bool {
        self.places & (1 << place) != 0
    }

    fn record(&self, record: &mut SourceRecord) {
        let text = || Some(Personal::new(self.text.as_str()));
        let day = || Some(Day(self.days));
        if self.at(0) {
            record.identity.birth = day();
        }
        if self.at(1) {
            record.identity.document = None;
        }
        if self.at(2) {
            record.table = TableName::new(self.text.as_str());
        }
        if self.at(3) {
            record.key = Personal::new(self.text.as_str());
        }
        self.version(&mut record.version);
        self.time(&mut record.appended_at);
        match &mut record.facts {
            Facts::Resident(facts) if self.at(4) => (facts.death, facts.phone) = (day(), text()),
            Facts::TemporaryResident(facts) if self.at(4) => (facts.from, facts.residence_address) = (day(), text()),
            Facts::Funeral(facts) if self.at(4) => (facts.death, facts.cremation) = (day(), day()),
            Facts::Marriage(facts) if self.at(4) => facts.registered = day(),
            Facts::Hardship(facts) if self.at(4) => (facts.from, facts.until) = (day(), day()),
            Facts::Person(facts) if self.at(4) => (facts.nationality, facts.address) = (Some(self.text.clone()), text()),
            Facts::Employment(facts) if self.at(4) => (facts.from, facts.unit_name) = (Day(self.days), Some(self.text.clone())),
            Facts::Enrolment(facts) if self.at(4) => (facts.from, facts.unit) = (day(), Some(self.text.clone())),
            Facts::Benefit(facts) if self.at(4) => (facts.from, facts.until) = (day(), day()),
            Facts::Card(facts) if self.at(4) => facts.issued = day(),
            Facts::Circumstance(facts) if self.at(4) => (facts.from, facts.until) = (day(), day()),
            _ => (),
        }
    }

    fn version(&self, version: &mut Version) {
        if self.at(5) {
            (version.epoch, version.mapping) = (self.rank, self.rank);
        }
    }

    fn time(&self, time: &mut Timestamp) {
        if self.at(6) {
            *time = Timestamp(self.millis);
        }
    }

    fn put_into(&self, input: &mut Input) {
        match input {
            Input::Change(Change::Upsert(record)) => self.record(Arc::make_mut(record)),
            Input::Change(Change::Delete(deletion)) => {
                self.version(&mut deletion.version);
                self.time(&mut deletion.appended_at);
            }
            Input::Change(Change::Unread(unread)) => {
                if self.at(2) {
                    unread.table = TableName::new(self.text.as_str());
                }
                if self.at(3) {
                    unread.key = Personal::new(self.text.as_str());
                }
                self.version(&mut unread.version);
                self.time(&mut unread.appended_at);
            }
            Input::Entity(entity) => {
                self.version(&mut entity.version);
                if let Some(employer) = entity.employer.as_mut().filter(|_| self.at(4)) {
                    employer.name.clone_from(&self.text);
                }
            }
            Input::Message(message) => match &mut message.body {
                MessageBody::Guest { guest, appended_at, .. } => {
                    self.record(Arc::make_mut(&mut guest.record));
                    self.time(appended_at);
                }
                MessageBody::ClaimOrDrop {
                    version, appended_at, ..
                }
                | MessageBody::Unread {
                    version, appended_at, ..
                } => {
                    self.version(version);
                    self.time(appended_at);
                }
                MessageBody::Withdraw { appended_at, .. } => self.time(appended_at),
                MessageBody::Carry { about, .. } if self.at(4) => about.push(self.rank.to_be_bytes()),
                MessageBody::Carry { .. } => (),
            },
            Input::Control(Control::BusinessDate(day)) => *day = Day(self.days),
            Input::Control(Control::Completeness(sources)) => {
                for (_, until) in sources {
                    self.time(until);
                }
            }
            Input::Control(Control::Snapshot(floor) | Control::Truncated(floor)) => floor.epoch = self.rank,
            Input::Control(_) => (),
        }
    }
}

fn key() -> IdKey {
    IdKey::new(1, &[7; 32])
}

/// What an input that was decoded goes through on its way into the base, as far as no server is needed.
fn survives(input: &Input) {
    let today = match input {
        Input::Control(Control::BusinessDate(day)) => {
            assert!(limits::is_business_date(*day));
            *day
        }
        _ => Day::from_ymd(2026, 11, 26).expect("a day"),
    };
    let record = match input {
        Input::Change(Change::Upsert(record)) => record,
        Input::Message(message) => match &message.body {
            MessageBody::Guest { guest, .. } => &guest.record,
            _ => return,
        },
        _ => return,
    };
    let (home, anchor) = (record.home(), record.anchor(&key()));
    let policy = Policy::embedded();
    for today in [
        today,
        Day(*limits::BUSINESS_DATES.start()),
        Day(*limits::BUSINESS_DATES.end()),
    ] {
        let base = whole(
            [&Change::Upsert(record.clone())],
            &[],
            &Rulings::default(),
            Some(&policy),
            today,
            &key(),
        );
        // A correction sends its person on to the number that took the place of the former one.
        assert!(base.contains_key(&(home, anchor)));
        for person in base.values().flat_map(|described| &described.persons) {
            let golden = &person.golden;
            let texts = [
                golden.name.as_ref().map(|name| name.value.reveal()),
                golden.phone.as_ref().map(|phone| phone.value.reveal()),
                golden.residence_address.as_ref().map(|address| address.value.reveal()),
                golden.nationality.as_ref().map(|nationality| nationality.value.as_str()),
            ];
            assert!(texts.into_iter().flatten().all(|text| !limits::has_control(text)));
            let dates = [golden.birth.as_ref().map(|birth| birth.value), person.next_due];
            // PostgreSQL's own ends lie millions of days beyond.
            assert!(dates.into_iter().flatten().all(|day| day.0.abs() < 4_000_000));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_is_decoded_keeps_the_limits(input in input(), edges in edges()) {
        let mut rough = input;
        edges.put_into(&mut rough);
        if let Ok(decoded) = decode_input(&encode_input(&rough)) {
            prop_assert_eq!(&decoded, &rough);
            survives(&decoded);
        }
    }

    #[test]
    fn a_damaged_entry_that_decodes_keeps_the_limits(input in input(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = encode_input(&input);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(decoded) = decode_input(&bytes) {
            let again = decode_input(&encode_input(&decoded));
            prop_assert_eq!(again.as_ref(), Ok(&decoded));
            survives(&decoded);
        }
    }

    #[test]
    fn an_entry_stands_in_its_own_log(input in input()) {
        let bytes = encode_input(&input);
        let own = match &input {
            Input::Change(change) => Some(change.shard()),
            Input::Entity(entity) => Some(entity.shard()),
            Input::Message(_) | Input::Control(_) => None,
        };
        for shard in Shard::all() {
            match decode_entry(shard, &bytes) {
                Ok(decoded) => prop_assert!(own.is_none_or(|own| own == shard) && decoded == input),
                Err(error) => {
                    let own = own.expect("only records have a log of their own").number();
                    prop_assert_eq!(error, DecodeError::OtherShard { shard: shard.number(), own });
                }
            }
        }
    }
}

/// An input of a kind, the first of many drawn.
fn drawn<T>(pick: impl FnMut(Input) -> Option<T>) -> T {
    let mut runner = TestRunner::deterministic();
    let mut draw = || input().new_tree(&mut runner).expect("an input").current();
    std::iter::repeat_with(&mut draw).find_map(pick).expect("some input")
}

fn upsert() -> SourceRecord {
    drawn(|input| match input {
        Input::Change(Change::Upsert(record)) if matches!(record.facts, Facts::Resident(_)) => Some((*record).clone()),
        _ => None,
    })
}

fn refused(input: &Input) -> String {
    decode_input(&encode_input(input)).expect_err("beyond the limits").to_string()
}

fn changed(change: impl Fn(&mut SourceRecord)) -> String {
    let mut record = upsert();
    change(&mut record);
    refused(&Input::Change(Change::Upsert(Arc::new(record))))
}

#[test]
fn what_is_beyond_a_limit_is_named() {
    let of = |what: &str| format!("cn.canbao.PersonRecord: no valid {what}");
    for day in [i32::MAX, i32::MIN, DAYS.end() + 1, DAYS.start() - 1] {
        assert_eq!(changed(|record| record.identity.birth = Some(Day(day))), of("day"));
    }
    assert_eq!(changed(|record| record.appended_at = Timestamp(i64::MAX)), of("timestamp"));
    for table in ["cz\0rk", "a.b", "", &"t".repeat(5000)] {
        assert_eq!(changed(|record| record.table = TableName::new(table)), of("table"));
    }
    for key in ["\0", &"k".repeat(LONGEST_KEY + 1)] {
        assert_eq!(changed(|record| record.key = Personal::new(key)), of("key of a record"));
    }
    for text in ["a\0b", "\u{1b}[31m", &"a".repeat(LONGEST_TEXT + 1)] {
        let phone = |record: &mut SourceRecord| {
            if let Facts::Resident(facts) = &mut record.facts {
                facts.phone = Some(Personal::new(text));
            }
        };
        assert_eq!(changed(phone), of("personal text"));
    }
    assert_eq!(
        changed(|record| record.version.epoch = LARGEST_RANK + 1),
        of("epoch or mapping revision")
    );
    assert_eq!(
        changed(|record| record.version.mapping = u16::MAX),
        of("epoch or mapping revision")
    );
}

#[test]
fn statements_and_messages_beyond_a_limit_are_named() {
    for date in ["1899-12-31", "2200-01-01", "9999-12-31"] {
        let tick = Control::BusinessDate(date.parse().expect("a day"));
        assert_eq!(refused(&Input::Control(tick)), "cn.canbao.Control: no valid business date");
    }
    let record = upsert();
    let floor = SnapshotFloor {
        source: record.source,
        table: record.table.clone(),
        epoch: 0,
        offsets: vec![0; LONGEST_LIST + 1],
    };
    let too_long = "cn.canbao.Control: no valid list: it is too long";
    assert_eq!(refused(&Input::Control(Control::Snapshot(floor.clone()))), too_long);
    let too_long = "cn.canbao.Truncation: no valid list: it is too long";
    assert_eq!(refused(&Input::Control(Control::Truncated(floor))), too_long);
    let sources = vec![(record.source, Timestamp(0)); LONGEST_LIST + 1];
    assert_eq!(
        refused(&Input::Control(Control::Completeness(sources))),
        "cn.canbao.Control: no valid list of sources"
    );
    let message = drawn(|input| match input {
        Input::Message(message) => Some(message),
        _ => None,
    });
    let of = |body| {
        let mut message = message.clone();
        message.body = body;
        refused(&Input::Message(message))
    };
    let to = AnchorId([1; 16]);
    let about = vec![[u8::MAX, 0]];
    assert_eq!(
        of(MessageBody::Carry { to, about }),
        "cn.canbao.ShardMessage: no valid list of what findings are about"
    );
    let guest = Guest {
        path: vec![to; LONGEST_LIST + 1],
        record: Arc::new(record),
    };
    let appended_at = Timestamp(0);
    assert_eq!(
        of(MessageBody::Guest { to, guest, appended_at }),
        "cn.canbao.ShardMessage: no valid list: it is too long"
    );
}
