//! Source records: what one row of an agency says about one person.

use crate::citizen_id::CitizenId;
use crate::date::{Day, Timestamp};
use crate::document::{Document, DocumentKind};
use crate::facts::{Correction, Facts, FactsKind};
use crate::ids::{AnchorId, IdKey, RecordId};
use crate::name::Name;
use crate::personal::Personal;
use crate::sex::Sex;
use crate::shard::{Shard, is_placeholder};
use crate::source::{Source, TableName, Version};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How a row identifies its person: each row stands alone and carries document number and name (ARCHITECTURE.md, Flow).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The document (证件) the row states, valid or not.
    pub document: Option<Document>,
    /// The name (姓名).
    pub name: Option<Name>,
    /// The stated birth date (出生日期); the number's own date wins over it.
    pub birth: Option<Day>,
    /// The stated sex (性别).
    pub sex: Option<Sex>,
}

impl Identity {
    /// The usable number, if the document holds one.
    pub fn number(&self) -> Option<CitizenId> {
        self.document.as_ref().and_then(Document::citizen_id)
    }

    /// The same identity with another number.
    #[must_use]
    pub fn carrying(mut self, number: CitizenId) -> Self {
        self.document = Document::parse(DocumentKind::ResidentIdentity, &number.text()).ok();
        self
    }

    /// The birth date for routing: the number's, else the stated one unless it is a placeholder.
    pub fn birth_date(&self) -> Option<Day> {
        self.number()
            .map(CitizenId::birth_date)
            .or(self.birth.filter(|day| !is_placeholder(*day)))
    }

    /// A row with neither number nor name is about nobody.
    pub fn is_empty(&self) -> bool {
        self.document.is_none() && self.name.is_none()
    }

    /// The shard of this identity; `None` when there is neither a birth date nor a name to route by.
    pub fn shard(&self) -> Option<Shard> {
        self.birth_date()
            .map(Shard::of_birth_date)
            .or(self.name.as_ref().map(Shard::of_name))
    }
}

/// The first day that a row can state of a person who was born on `born`: nobody dies before, while a newborn is insured from the beginning
/// of the year. What lies earlier contradicts the birth and is no fact.
#[must_use]
pub fn earliest_day(born: Day, is_of_death: bool) -> Day {
    if is_of_death {
        born
    } else {
        Day::from_ymd(born.year(), 1, 1).unwrap_or(born)
    }
}

/// A source record (来源记录): the latest reading of one source row, in the terms of the domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceRecord {
    /// Keyed hash of source, table and key.
    pub id: RecordId,
    /// The system it comes from.
    pub source: Source,
    /// The source table.
    pub table: TableName,
    /// Canonical JSON of the key columns; may hold an identity number.
    pub key: Personal,
    /// Position in the source topic.
    pub version: Version,
    /// When the broker appended the row's message.
    pub appended_at: Timestamp,
    /// Whom the row is about.
    pub identity: Identity,
    /// What the row says.
    pub facts: Facts,
}

impl SourceRecord {
    /// The number the record groups by.
    pub fn group_number(&self) -> Option<CitizenId> {
        self.identity.number()
    }

    /// A statement about numbers says nothing of a person by itself.
    pub fn is_statement(&self) -> bool {
        self.facts.kind() == FactsKind::Correction
    }

    /// The correction by which the number that the record stands with was given up.
    pub fn given_up(&self) -> Option<&Correction> {
        self.corrected(|correction| correction.former)
    }

    /// The correction by which the number that the record stands with was taken.
    pub fn taken(&self) -> Option<&Correction> {
        self.corrected(|correction| correction.heir)
    }

    /// The name that public security's row had before under the number it stands with (更名), if the record states one. Rows of
    /// correction tables that correct nothing look alike: they are read from no other row, see [`crate::neighbourhood`].
    pub fn renamed(&self) -> Option<&Name> {
        match &self.facts {
            Facts::Correction(correction) if correction.former == correction.heir => {
                let stands = self.identity.number() == Some(correction.heir);
                self.identity.name.as_ref().filter(|_| stands)
            }
            _ => None,
        }
    }

    fn corrected(&self, stands_with: fn(&Correction) -> CitizenId) -> Option<&Correction> {
        match &self.facts {
            Facts::Correction(correction) if correction.former != correction.heir => {
                (self.identity.number() == Some(stands_with(correction))).then_some(correction)
            }
            _ => None,
        }
    }

    /// The record's home (归属分片): it follows from what the record says.
    pub fn home(&self) -> Shard {
        match self.group_number() {
            Some(number) => Shard::of_birth_date(number.birth_date()),
            None => self.identity.shard().unwrap_or_else(|| Shard::of_record(self.id)),
        }
    }

    /// The neighbourhood the record belongs to.
    pub fn anchor(&self, key: &IdKey) -> AnchorId {
        self.group_number()
            .map_or_else(|| self.id.into(), |number| key.number(number))
    }
}

/// A version of a source record: a reading, or the statement that the row is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The row as it now is; shared with the members and copies made of it.
    Upsert(Arc<SourceRecord>),
    /// The row is gone; kept as a tombstone with its position.
    Delete(Deletion),
    /// The row was written, and only its key could be read: what it says now, and of whom, is unknown.
    Unread(Unread),
}

/// A version of a source row of which only the key could be read (不可读).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// The record.
    pub id: RecordId,
    /// The system it comes from.
    pub source: Source,
    /// The source table.
    pub table: TableName,
    /// Canonical JSON of the key columns.
    pub key: Personal,
    /// Position of the message.
    pub version: Version,
    /// When the broker appended it.
    pub appended_at: Timestamp,
}

/// A deleted source row (删除).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// The record that is gone.
    pub id: RecordId,
    /// The system it came from.
    pub source: Source,
    /// The source table.
    pub table: TableName,
    /// Canonical JSON of the key columns.
    pub key: Personal,
    /// Position of the delete.
    pub version: Version,
    /// When the broker appended the delete.
    pub appended_at: Timestamp,
    /// Where to look first: the shard the deleted content routed to, when the delete carried content.
    pub home: Option<Shard>,
}

impl Change {
    /// The record this is a version of.
    pub fn id(&self) -> RecordId {
        match self {
            Self::Upsert(record) => record.id,
            Self::Delete(deletion) => deletion.id,
            Self::Unread(unread) => unread.id,
        }
    }

    /// Its version.
    pub fn version(&self) -> Version {
        match self {
            Self::Upsert(record) => record.version,
            Self::Delete(deletion) => deletion.version,
            Self::Unread(unread) => unread.version,
        }
    }

    /// The system and table it comes from.
    pub fn origin(&self) -> (Source, &TableName) {
        match self {
            Self::Upsert(record) => (record.source, &record.table),
            Self::Delete(deletion) => (deletion.source, &deletion.table),
            Self::Unread(unread) => (unread.source, &unread.table),
        }
    }

    /// When the broker appended it.
    pub fn appended_at(&self) -> Timestamp {
        match self {
            Self::Upsert(record) => record.appended_at,
            Self::Delete(deletion) => deletion.appended_at,
            Self::Unread(unread) => unread.appended_at,
        }
    }

    /// The shard whose log receives it: what has no content is routed by its key.
    pub fn shard(&self) -> Shard {
        match self {
            Self::Upsert(record) => record.home(),
            Self::Delete(deletion) => deletion.home.unwrap_or_else(|| Shard::of_record(deletion.id)),
            Self::Unread(unread) => Shard::of_record(unread.id),
        }
    }
}

/// A record about something that is no person (实体), such as an employer; persons' findings never read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityChange {
    /// Keyed hash of source, table and key.
    pub id: RecordId,
    /// The system it comes from.
    pub source: Source,
    /// The source table.
    pub table: TableName,
    /// Canonical JSON of the key columns.
    pub key: Personal,
    /// Position in the source topic.
    pub version: Version,
    /// When the broker appended it.
    pub appended_at: Timestamp,
    /// The entity, or `None` when its row is gone.
    pub employer: Option<Employer>,
}

impl EntityChange {
    /// An entity's shard follows from its own key.
    pub fn shard(&self) -> Shard {
        Shard::of_record(self.id)
    }
}

/// An employer (用人单位) as a human-resources system registers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Employer {
    /// Internal unit number (单位编号, aab001).
    pub unit: String,
    /// Unified social credit code or organisation code (统一社会信用代码), as stated.
    pub code: Option<String>,
    /// Name of the unit (单位名称).
    pub name: String,
    /// Kind of unit, which decides the schemes its staff must be in.
    pub kind: crate::facts::EmployerKind,
    /// Where it is registered.
    pub place: Option<crate::division::Division>,
}
