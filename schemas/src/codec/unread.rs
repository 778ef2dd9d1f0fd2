//! Versions of which only the key could be read, as `unread-record.avsc` has them, and what shards tell each other of them, as
//! `unread-notice.avsc` does: beside the other changes and messages, whose unions are closed to their readers.

use crate::framing::Payload;
use crate::registry::Kind;
use crate::wire::{key, plain};
use domain::date::Timestamp;
use domain::division::City;
use domain::ids::{AnchorId, RecordId};
use domain::input::{Message, MessageBody};
use domain::personal::Personal;
use domain::record::Unread;
use domain::shard::Shard;
use domain::source::{Agency, Source, TableName, Version};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A version of a source record of which only the key could be read.
#[derive(Serialize, Deserialize)]
pub struct UnreadRecord<'a> {
    #[serde(with = "plain")]
    id: RecordId,
    #[serde(with = "plain")]
    agency: Agency,
    #[serde(with = "plain")]
    city: City,
    #[serde(with = "plain")]
    table: Cow<'a, TableName>,
    #[serde(with = "key")]
    key: Cow<'a, Personal>,
    #[serde(with = "plain")]
    version: Version,
    #[serde(with = "plain")]
    appended_at: Timestamp,
}

impl Payload for UnreadRecord<'_> {
    const KIND: Kind = Kind::UnreadRecord;
}

impl<'a> From<&'a Unread> for UnreadRecord<'a> {
    fn from(unread: &'a Unread) -> Self {
        Self {
            id: unread.id,
            agency: unread.source.agency,
            city: unread.source.city,
            table: Cow::Borrowed(&unread.table),
            key: Cow::Borrowed(&unread.key),
            version: unread.version,
            appended_at: unread.appended_at,
        }
    }
}

impl From<UnreadRecord<'_>> for Unread {
    fn from(read: UnreadRecord<'_>) -> Self {
        Self {
            id: read.id,
            source: Source {
                agency: read.agency,
                city: read.city,
            },
            table: read.table.into_owned(),
            key: read.key.into_owned(),
            version: read.version,
            appended_at: read.appended_at,
        }
    }
}

/// A message to whoever holds the record.
#[derive(Serialize, Deserialize)]
pub struct UnreadNotice {
    #[serde(with = "plain")]
    pub(super) from: Shard,
    #[serde(with = "plain")]
    pub(super) sequence: u64,
    pub(super) life: u32,
    #[serde(with = "plain")]
    pub(super) record: RecordId,
    #[serde(with = "plain")]
    pub(super) anchor: AnchorId,
    #[serde(with = "plain")]
    pub(super) version: Version,
    #[serde(with = "plain")]
    pub(super) appended_at: Timestamp,
}

impl Payload for UnreadNotice {
    const KIND: Kind = Kind::UnreadNotice;
}

impl From<UnreadNotice> for Message {
    fn from(read: UnreadNotice) -> Self {
        Self {
            from: read.from,
            life: read.life,
            sequence: read.sequence,
            body: MessageBody::Unread {
                record: read.record,
                anchor: read.anchor,
                version: read.version,
                appended_at: read.appended_at,
            },
        }
    }
}
