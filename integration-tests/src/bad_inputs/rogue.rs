//! What only somebody else's program writes: headers that no client of ours can make, entries in the log that no service of ours wrote.

use crate::ground::Rules;
use anyhow::{Context, ensure};
use domain::date::{Day, Timestamp};
use domain::document::{Document, DocumentKind};
use domain::facts::{Card, CardStatus, Facts};
use domain::ids::RecordId;
use domain::input::{Control, Input};
use domain::name::Name;
use domain::personal::Personal;
use domain::record::{Change, Identity, SourceRecord};
use domain::source::{Source, TableName, Version};
use schemas::codec::encode_input;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// Values that must not stop a registry, each with its name.
///
/// # Panics
/// Never: the constants in it are well formed.
pub fn entries(source: Source) -> Vec<(&'static str, Vec<u8>)> {
    let record = SourceRecord {
        id: RecordId([9; 16]),
        source,
        table: TableName::new("az01"),
        key: Personal::new("{\"aaz500\":9}"),
        version: Version {
            epoch: 0,
            partition: 0,
            offset: 1,
            mapping: 1,
        },
        appended_at: Timestamp(1_795_484_900_000),
        identity: Identity {
            document: Document::parse(DocumentKind::Other, "ROGUE9").ok(),
            name: Name::parse("张三").ok(),
            birth: Day::from_ymd(1990, 3, 7),
            sex: None,
        },
        facts: Facts::Card(Card {
            status: CardStatus::Active,
            issued: None,
        }),
    };
    let changed = |change: &dyn Fn(&mut SourceRecord)| {
        let mut record = record.clone();
        change(&mut record);
        encode_input(&Input::Change(Change::Upsert(Arc::new(record))))
    };
    let tick = |days| encode_input(&Input::Control(Control::BusinessDate(Day(days))));
    let whole = changed(&|_| ());
    vec![
        ("nothing", Vec::new()),
        ("garbage", b"garbage".to_vec()),
        ("a zero byte", vec![0]),
        ("a schema of nobody", [&[0, 0, 0, 0x27, 0x0f], &whole[5..]].concat()),
        ("cut short", whole[..whole.len() - 1].to_vec()),
        ("bytes behind it", [&whole[..], b"x"].concat()),
        (
            "a table with a NUL",
            changed(&|record| record.table = TableName::new("cz\0rk")),
        ),
        (
            "a table of 5,000 letters",
            changed(&|record| record.table = TableName::new("t".repeat(5000))),
        ),
        ("a key with a NUL", changed(&|record| record.key = Personal::new("\0"))),
        (
            "a birth at the end of an int32",
            changed(&|record| record.identity.birth = Some(Day(i32::MAX))),
        ),
        (
            "a birth at its beginning",
            changed(&|record| record.identity.birth = Some(Day(i32::MIN))),
        ),
        (
            "a time at the end of an int64",
            changed(&|record| record.appended_at = Timestamp(i64::MAX)),
        ),
        ("an epoch beyond smallint", changed(&|record| record.version.epoch = u16::MAX)),
        ("a tick in the year 9999", tick(2_932_896)),
        ("a tick at the end of an int32", tick(i32::MAX)),
        ("a tick at its beginning", tick(i32::MIN)),
    ]
}

/// A row that is read like any other, under a key of its own.
///
/// # Errors
/// When the contract example cannot be read.
pub fn good_row(rules: &Rules, table: &str, column: &str, key: &str) -> anyhow::Result<super::BadInput> {
    let example = super::Example::read(table)?;
    let input = super::BadInput {
        kind: "good".to_owned(),
        label: key.to_owned(),
        expect: vec![super::UNDERSTOOD.to_owned()],
        topic: example.topic.clone(),
        key: Some(format!("{{\"{column}\":\"{key}\"}}").into_bytes()),
        value: Some(super::insert(&example.row_with(column, Some(&format!("\"{key}\""))))),
        headers: Vec::new(),
    };
    let became = super::outcome(rules, &input)?;
    ensure!(became.starts_with(super::UNDERSTOOD), "{became}");
    Ok(input)
}

/// Sends one message whose only header has a name of any bytes, by the protocol itself: every client checks them before.
///
/// # Errors
/// When the broker does not take it.
pub fn send_with_header(
    broker: &str,
    topic: &str,
    partition: i32,
    key: &[u8],
    value: &[u8],
    header: &[u8],
) -> anyhow::Result<()> {
    let batch = record_batch(key, value, header);
    let mut request = Vec::new();
    // Produce, version 3; correlation 1; client "rogue".
    for word in [0_i16, 3, 0, 1, 5] {
        request.extend(word.to_be_bytes());
    }
    request.extend(b"rogue");
    request.extend((-1_i16).to_be_bytes()); // no transaction
    request.extend((-1_i16).to_be_bytes()); // all replicas
    request.extend(10_000_i32.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend((topic.len() as i16).to_be_bytes());
    request.extend(topic.as_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(partition.to_be_bytes());
    request.extend((batch.len() as i32).to_be_bytes());
    request.extend(&batch);
    let mut stream = TcpStream::connect(broker)?;
    stream.write_all(&(request.len() as i32).to_be_bytes())?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; i32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    // Correlation, count of topics, name, count of partitions, partition, error.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    let error = answer.get(at..at + 2).context("the broker's answer is cut short")?;
    ensure!(error == [0, 0], "the broker refused the message: {error:?}");
    Ok(())
}

/// A batch of the protocol's format 2 with one record.
fn record_batch(key: &[u8], value: &[u8], header: &[u8]) -> Vec<u8> {
    let mut record = vec![0]; // attributes
    for number in [0, 0] {
        varint(&mut record, number); // deltas of time and offset
    }
    for part in [key, value] {
        varint(&mut record, part.len() as i64);
        record.extend(part);
    }
    varint(&mut record, 1);
    varint(&mut record, header.len() as i64);
    record.extend(header);
    varint(&mut record, 1);
    record.push(b'1');
    let mut records = Vec::new();
    varint(&mut records, record.len() as i64);
    records.extend(record);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64);
    let mut body = Vec::new();
    body.extend(0_i16.to_be_bytes()); // attributes
    body.extend(0_i32.to_be_bytes()); // last offset delta
    body.extend(now.to_be_bytes());
    body.extend(now.to_be_bytes());
    body.extend((-1_i64).to_be_bytes()); // producer id, epoch, sequence: none
    body.extend((-1_i16).to_be_bytes());
    body.extend((-1_i32).to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend(records);
    let mut batch = Vec::new();
    batch.extend(0_i64.to_be_bytes()); // base offset
    batch.extend((body.len() as i32 + 9).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes()); // leader epoch
    batch.push(2);
    batch.extend(crc32c(&body).to_be_bytes());
    batch.extend(body);
    batch
}

fn varint(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest > 0x7f {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_protocol() {
        // The check value of CRC-32C (Castagnoli).
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
