//! Versions of source records as `person-record.avsc` and `entity-record.avsc` have them.

use crate::framing::Payload;
use crate::registry::Kind;
use crate::wire::{key, opt, plain, rank, remote};
use domain::date::Timestamp;
use domain::division::{City, Division};
use domain::facts::{EmployerKind, Facts};
use domain::ids::RecordId;
use domain::personal::Personal;
use domain::record::{Change, Deletion, Employer, EntityChange, Identity, SourceRecord};
use domain::shard::Shard;
use domain::source::{Agency, Source, TableName, Version};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

remote! {
    Version => VersionMirror,
    Employer => EmployerMirror,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Version", rename = "Version")]
struct VersionMirror {
    #[serde(with = "rank")]
    epoch: u16,
    partition: u16,
    #[serde(with = "plain")]
    offset: u64,
    #[serde(with = "rank")]
    mapping: u16,
}

/// A version of a source record about a person.
#[derive(Serialize, Deserialize)]
pub struct PersonRecord<'a> {
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
    change: Outcome<'a>,
}

/// In the order of the union.
#[derive(Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "lives on the stack for one conversion")]
enum Outcome<'a> {
    Upsert(Upsert<'a>),
    Delete(Delete),
}

#[derive(Serialize, Deserialize)]
struct Upsert<'a> {
    #[serde(with = "plain")]
    identity: Cow<'a, Identity>,
    #[serde(with = "plain")]
    facts: Cow<'a, Facts>,
}

#[derive(Serialize, Deserialize)]
struct Delete {
    #[serde(with = "opt")]
    home: Option<Shard>,
}

impl Payload for PersonRecord<'_> {
    const KIND: Kind = Kind::PersonRecord;
}

impl<'a> From<&'a SourceRecord> for PersonRecord<'a> {
    fn from(record: &'a SourceRecord) -> Self {
        let upsert = Upsert {
            identity: Cow::Borrowed(&record.identity),
            facts: Cow::Borrowed(&record.facts),
        };
        Self {
            id: record.id,
            agency: record.source.agency,
            city: record.source.city,
            table: Cow::Borrowed(&record.table),
            key: Cow::Borrowed(&record.key),
            version: record.version,
            appended_at: record.appended_at,
            change: Outcome::Upsert(upsert),
        }
    }
}

impl<'a> From<&'a Deletion> for PersonRecord<'a> {
    fn from(deletion: &'a Deletion) -> Self {
        Self {
            id: deletion.id,
            agency: deletion.source.agency,
            city: deletion.source.city,
            table: Cow::Borrowed(&deletion.table),
            key: Cow::Borrowed(&deletion.key),
            version: deletion.version,
            appended_at: deletion.appended_at,
            change: Outcome::Delete(Delete { home: deletion.home }),
        }
    }
}

impl From<PersonRecord<'_>> for Change {
    fn from(read: PersonRecord<'_>) -> Self {
        let source = Source {
            agency: read.agency,
            city: read.city,
        };
        let (id, table, key) = (read.id, read.table.into_owned(), read.key.into_owned());
        let (version, appended_at) = (read.version, read.appended_at);
        match read.change {
            Outcome::Upsert(upsert) => {
                let (identity, facts) = (upsert.identity.into_owned(), upsert.facts.into_owned());
                Self::Upsert(Arc::new(SourceRecord {
                    id,
                    source,
                    table,
                    key,
                    version,
                    appended_at,
                    identity,
                    facts,
                }))
            }
            Outcome::Delete(delete) => Self::Delete(Deletion {
                id,
                source,
                table,
                key,
                version,
                appended_at,
                home: delete.home,
            }),
        }
    }
}

/// A version of a source record about something that is no person.
#[derive(Serialize, Deserialize)]
pub struct EntityRecord<'a> {
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
    #[serde(with = "opt")]
    employer: Option<Cow<'a, Employer>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Employer", rename = "Employer")]
struct EmployerMirror {
    #[serde(with = "plain")]
    unit: String,
    #[serde(with = "opt")]
    code: Option<String>,
    #[serde(with = "plain")]
    name: String,
    #[serde(with = "plain")]
    kind: EmployerKind,
    #[serde(with = "opt")]
    place: Option<Division>,
}

impl Payload for EntityRecord<'_> {
    const KIND: Kind = Kind::EntityRecord;
}

impl<'a> From<&'a EntityChange> for EntityRecord<'a> {
    fn from(change: &'a EntityChange) -> Self {
        Self {
            id: change.id,
            agency: change.source.agency,
            city: change.source.city,
            table: Cow::Borrowed(&change.table),
            key: Cow::Borrowed(&change.key),
            version: change.version,
            appended_at: change.appended_at,
            employer: change.employer.as_ref().map(Cow::Borrowed),
        }
    }
}

impl From<EntityRecord<'_>> for EntityChange {
    fn from(read: EntityRecord<'_>) -> Self {
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
            employer: read.employer.map(Cow::into_owned),
        }
    }
}
