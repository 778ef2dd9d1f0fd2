//! Entries of the log: what stands in a partition of `person.records`, whoever wrote it.

use super::mutate::{self, Random};
use super::{Report, source};
use crate::bad_inputs::survives;
use crate::ground::Rules;
use crate::policies;
use anyhow::{Context, ensure};
use domain::date::{Day, Timestamp};
use domain::decision::{Decision, Rulings, Verdict};
use domain::division::City;
use domain::ids::{AnchorId, RecordId};
use domain::input::{Control, Guest, Input, Message, MessageBody, SnapshotFloor};
use domain::limits;
use domain::policy::Edition;
use domain::record::{Change, SourceRecord};
use domain::shard::Shard;
use runtime::dialect::{Classified, SourceMessage, normalise};
use runtime::kafka::TopicNames;
use runtime::store::members::{decode_members, encode_members};
use schemas::codec::{decode_entry, decode_input, encode_input};
use schemas::event::{AlertEvent, DeadLetter, PersonState};
use schemas::{Codec, DecodeError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a Confluent frame before the datum.
const FRAME: usize = 5;

/// What the examples become, and one of each kind of message and statement about them.
fn seeds(rules: &Rules) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut inputs = Vec::new();
    for seed in source::seeds()? {
        let (source, table) = TopicNames::standard().table_of(&seed.topic).context("a table's topic")?;
        let message = SourceMessage {
            source,
            table,
            partition: 1,
            offset: 5,
            epoch: 0,
            timestamp: Timestamp(1_795_484_900_000),
            key: seed.key.as_deref(),
            value: seed.value.as_deref(),
        };
        match normalise(&rules.dialects, &rules.key, &message) {
            Classified::Inputs(made) | Classified::DeadLetter { inputs: made, .. } => inputs.extend(made),
            Classified::Control(_) => (),
        }
    }
    let records: Vec<Arc<SourceRecord>> = inputs
        .iter()
        .filter_map(|input| match input {
            Input::Change(Change::Upsert(record)) => Some(record.clone()),
            _ => None,
        })
        .collect();
    for (at, record) in records.iter().enumerate() {
        inputs.extend(about(at, record));
    }
    Ok(inputs.iter().map(encode_input).collect())
}

fn about(at: usize, record: &Arc<SourceRecord>) -> Vec<Input> {
    let (anchor, other) = (AnchorId([1; 16]), AnchorId([2; 16]));
    let appended_at = Timestamp(5);
    let bodies = [
        MessageBody::Guest {
            to: anchor,
            guest: Guest {
                path: vec![anchor, other],
                record: record.clone(),
            },
            appended_at,
        },
        MessageBody::ClaimOrDrop {
            record: record.id,
            anchor,
            version: record.version,
            appended_at,
        },
        MessageBody::Unread {
            record: record.id,
            anchor,
            version: record.version,
            appended_at,
        },
        MessageBody::Withdraw {
            to: anchor,
            from: other,
            record: record.id,
            appended_at,
        },
        MessageBody::Carry {
            to: anchor,
            about: vec![[1, 11], [2, 31]],
        },
    ];
    let messages = bodies.into_iter().enumerate().map(|(body, content)| Message {
        from: Shard::all().nth(at % 64).expect("a shard"),
        life: (at % 3) as u32,
        sequence: (at * 5 + body) as u64,
        body: content,
    });
    let decision = Decision {
        id: at as u64,
        verdict: Verdict::Same,
        record: record.id,
        other: RecordId([3; 16]),
        number: record.identity.number(),
    };
    let floor = SnapshotFloor {
        source: record.source,
        table: record.table.clone(),
        epoch: 0,
        offsets: vec![1, 2, 3],
    };
    let controls = [
        Control::BusinessDate(Day(20_000 + at as i32)),
        Control::Completeness(vec![(record.source, Timestamp(77))]),
        Control::GoLive(City::PROVINCE),
        Control::Truncated(floor.clone()),
        Control::Snapshot(floor),
        Control::Decide(decision),
        Control::Undecide(at as u64),
        Control::Policy(policies::embedded()),
    ];
    messages.map(Input::Message).chain(controls.map(Input::Control)).collect()
}

fn run(rules: &Rules, bytes: &[u8]) -> anyhow::Result<String> {
    // The other values that somebody reads back.
    let codec = Codec::current();
    let _ = (
        codec.decode::<DeadLetter>(bytes),
        codec.decode::<PersonState>(bytes),
        codec.decode::<AlertEvent>(bytes),
    );
    let input = match decode_input(bytes) {
        Ok(input) => input,
        Err(error) => return Ok(format!("refused: {}", kind(error))),
    };
    let again = decode_input(&encode_input(&input)).context("an entry does not read back")?;
    ensure!(again == input, "an entry reads otherwise than it was written");
    Ok(match &input {
        Input::Change(change) => {
            let shard = change.shard();
            ensure!(
                decode_entry(shard, bytes).as_ref() == Ok(&input),
                "a record is not at home where it lives"
            );
            survives(rules, shard, &input)?;
            if let Change::Upsert(record) = change {
                let _ = record.anchor(&rules.key);
            }
            "record"
        }
        Input::Entity(_) => "entity",
        Input::Message(message) => {
            if let MessageBody::Guest { guest, .. } = &message.body {
                let copy = domain::neighbourhood::Member::guest(message.from, guest.clone());
                let stored = encode_members(std::slice::from_ref(&copy));
                let read = decode_members(&stored)?;
                ensure!(read == [copy], "a stored copy does not read back");
                survives(rules, message.from, &Input::Change(Change::Upsert(guest.record.clone())))?;
            }
            "message"
        }
        Input::Control(control) => {
            statement(control)?;
            "statement"
        }
    }
    .to_owned())
}

fn statement(control: &Control) -> anyhow::Result<()> {
    match control {
        Control::BusinessDate(day) => {
            let bound = runtime::store::read::naive(*day);
            ensure!(runtime::store::read::day(bound) == *day, "a day does not read back");
            let began = domain::release::facts_at_start_of(*day);
            ensure!(limits::INSTANTS.contains(&began.0), "a date begins outside the calendar");
        }
        Control::Decide(decision) => {
            let rulings = Rulings::new(BTreeMap::from([(decision.id, Some(decision.clone()))]));
            let _ = (rulings.digest(), rulings.cases().len());
        }
        Control::Policy(edition) => {
            ensure!(Edition::parse(edition.text())? == **edition, "a policy does not read back");
        }
        Control::Completeness(_) | Control::GoLive(_) | Control::Snapshot(_) | Control::Truncated(_) | Control::Undecide(_) => (),
    }
    Ok(())
}

fn kind(error: DecodeError) -> String {
    match error {
        DecodeError::Value { what, .. } => format!("no valid {what}"),
        DecodeError::Malformed { .. } => "malformed".to_owned(),
        DecodeError::UnknownSchema(_) => "unknown schema".to_owned(),
        DecodeError::Unexpected { .. } => "does not belong here".to_owned(),
        DecodeError::Trailing { .. } => "more bytes".to_owned(),
        DecodeError::Frame | DecodeError::Empty => "no frame".to_owned(),
        DecodeError::OtherShard { .. } => "another shard's".to_owned(),
    }
}

/// Tries entries of the log for some time.
///
/// # Errors
/// When the examples cannot be read.
pub fn entries(rules: &Rules, seed: u64, time: Duration) -> anyhow::Result<Report> {
    let seeds = seeds(rules)?;
    Ok(Report::collect(
        seed,
        time,
        |random: &mut Random| {
            let mut bytes = random.of(&seeds).clone();
            let other = random.of(&seeds);
            if random.one_in(5) {
                mutate::bytes(random, &mut bytes, other);
            } else {
                // Past the frame: otherwise most would be refused before anything is read.
                let mut datum = bytes.split_off(FRAME);
                mutate::bytes(random, &mut datum, &other[FRAME..]);
                bytes.extend(datum);
            }
            bytes
        },
        |bytes| vec![bytes.as_slice()],
        |bytes| run(rules, bytes),
    ))
}
