//! Records for tests; the people are invented.

use domain::date::Timestamp;
use domain::facts::{Card, CardStatus, Facts};
use domain::ids::RecordId;
use domain::name::Name;
use domain::personal::Personal;
use domain::record::{Change, Deletion, Identity, SourceRecord, Unread};
use domain::source::{Source, TableName, Version};
use std::sync::Arc;

pub(crate) fn source() -> Source {
    "human-resources.3201".parse().expect("a source")
}

fn version(offset: u64) -> Version {
    Version {
        offset,
        ..Version::default()
    }
}

/// A card of a person known by name alone.
pub(crate) fn change(id: u8, offset: u64, name: &str) -> Change {
    let identity = Identity {
        name: Some(Name::parse(name).expect("a name")),
        ..Identity::default()
    };
    Change::Upsert(Arc::new(SourceRecord {
        id: RecordId([id; 16]),
        source: source(),
        table: TableName::new("az01"),
        key: Personal::new("{}"),
        version: version(offset),
        appended_at: Timestamp(0),
        identity,
        facts: Facts::Card(Card {
            status: CardStatus::Active,
            issued: None,
        }),
    }))
}

/// The delete of that row.
pub(crate) fn deletion(id: u8, offset: u64) -> Change {
    Change::Delete(Deletion {
        id: RecordId([id; 16]),
        source: source(),
        table: TableName::new("az01"),
        key: Personal::new("{}"),
        version: version(offset),
        appended_at: Timestamp(0),
        home: None,
    })
}

/// A version of that row of which only the key could be read.
pub(crate) fn unread(id: u8, offset: u64) -> Unread {
    Unread {
        id: RecordId([id; 16]),
        source: source(),
        table: TableName::new("az01"),
        key: Personal::new("{}"),
        version: version(offset),
        appended_at: Timestamp(0),
    }
}
