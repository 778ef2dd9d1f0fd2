//! From one source message to inputs of the base, a control statement or a dead letter.

use super::facts::{self, ReadIdentity};
use super::field::Kind;
use super::reader::{Image, Reader, Unread};
use super::{Dialects, Table, TableUse};
use crate::debezium::{Cell, Envelope, ErrorClass, Key, NormaliseError, Operation, Rows, looks_flattened, repaired};
use domain::correction::{self, Statement};
use domain::date::Timestamp;
use domain::facts::{Facts, FactsKind, Resident};
use domain::ids::{IdKey, RecordId};
use domain::input::Input;
use domain::limits;
use domain::personal::Personal;
use domain::record::{self, Change, Deletion, EntityChange, Identity, SourceRecord};
use domain::shard::Shard;
use domain::source::{Source, Version};
use std::sync::Arc;

/// A message of a source topic as it was consumed.
#[derive(Clone, Copy)]
pub struct SourceMessage<'a> {
    /// The system it comes from.
    pub source: Source,
    /// The table, as the topic or its dialect names it.
    pub table: &'a str,
    /// Partition of the topic.
    pub partition: u16,
    /// Offset in the partition.
    pub offset: u64,
    /// Epoch of the topic's positions.
    pub epoch: u16,
    /// When the broker appended it.
    pub timestamp: Timestamp,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes.
    pub value: Option<&'a [u8]>,
}

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classified {
    /// Versions of records or entities, in this order.
    Inputs(Vec<Input>),
    /// Nothing for the base.
    Control(ControlKind),
    /// It cannot be read.
    DeadLetter {
        /// Why.
        error: NormaliseError,
        /// What travels on all the same, so that an absence is not taken for a fact (ARCHITECTURE.md, Versions): the row without the
        /// fields that cannot be read, where nothing follows from those; else, when its person is known, the record as unreadable
        /// ([`Facts::Unreadable`]); else, when its key is, that the record was not read ([`Change::Unread`]).
        inputs: Vec<Input>,
    },
}

/// Messages that carry no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlKind {
    /// No value: the delete before it said it all.
    Tombstone,
    /// The source is complete up to a time: every row it committed before stands before this message or in another
    /// partition of its topics.
    Completeness {
        /// Up to when.
        time: Timestamp,
    },
    /// All rows of the table are gone at the source; what that means is said by [`Table::truncation`].
    Truncated,
    /// Nothing that concerns the base.
    Ignored {
        /// Why not.
        reason: &'static str,
    },
}

/// Classifies a message. Pure: the same message under the same dialects and key always gives the same answer.
///
/// - Insert, update and snapshot rows are [`Change::Upsert`]; deletes are [`Change::Delete`], routed by what they carry.
/// - A resident row whose usable number changed also states a correction (更正), where the number before is and where the number
///   after is, if it is about the same person; else it withdraws what it said of the number before. One that is deleted with a number
///   withdraws that it ever gave that number up. See [`domain::correction`].
/// - A row that came alone ([`Rows::Flattened`]) has no image before, so no correction is seen from it.
/// - A row with a void code is a delete: it says of itself that it does not hold.
pub fn normalise(dialects: &Dialects, key: &IdKey, message: &SourceMessage<'_>) -> Classified {
    let error = match classify(dialects, key, message) {
        Ok(classified) => return classified,
        Err(error) if error.class != ErrorClass::NotJson => return unread(error, dialects, key, message),
        Err(error) => error,
    };
    let charset = dialects.find(message.source, message.table).map(|table| table.charset);
    let mended = |bytes: Option<&[u8]>| bytes.and_then(|bytes| repaired(bytes, charset.unwrap_or_default()));
    match (mended(message.key), mended(message.value)) {
        (None, None) => unread(error, dialects, key, message),
        (key_bytes, value) => {
            let mended = SourceMessage {
                key: key_bytes.as_deref().or(message.key),
                value: value.as_deref().or(message.value),
                ..*message
            };
            classify(dialects, key, &mended).unwrap_or_else(|error| unread(error, dialects, key, &mended))
        }
    }
}

/// The dead letter of a message of which not even the person can be read. Where its key can be, and names a row about a person, the record
/// is no longer what its former version says. Not so of a statement about numbers, which stays a fact whatever becomes of its row.
fn unread(error: NormaliseError, dialects: &Dialects, id_key: &IdKey, message: &SourceMessage<'_>) -> Classified {
    let of_persons = |table: &&Table| table.kind.facts_kind().is_some_and(|kind| kind != FactsKind::Correction);
    let table = dialects.find(message.source, message.table).filter(of_persons);
    let named = table.and_then(|table| Some((table, Key::parse(message.key, table.key_columns()).ok()?)));
    let inputs = named.map(|(table, key)| Origin::new(message, table, key.text, id_key).unread());
    Classified::DeadLetter {
        error,
        inputs: inputs.into_iter().collect(),
    }
}

fn classify(dialects: &Dialects, id_key: &IdKey, message: &SourceMessage<'_>) -> Result<Classified, NormaliseError> {
    let ignored = |reason| Ok(Classified::Control(ControlKind::Ignored { reason }));
    let table = match dialects.use_of(message.source, message.table) {
        TableUse::Ignored => return ignored("a table that nobody needs"),
        TableUse::Mapped(table) => Some(table),
        TableUse::Undeclared => None,
    };
    let rows = table.map_or(Rows::Envelope, |table| table.rows);
    let event = rows
        .parse(message.value)
        .map_err(|error| unwrapped(error, table, message.value))?;
    let Some(envelope) = event else {
        return Ok(Classified::Control(ControlKind::Tombstone));
    };
    let table =
        table.ok_or_else(|| NormaliseError::new(ErrorClass::UnknownTable, None, "a table that a dialect of the agency maps"))?;
    let (row, image) = match envelope.operation {
        Operation::Truncate => return Ok(Classified::Control(ControlKind::Truncated)),
        Operation::Message => return ignored("logical message"),
        Operation::Delete => (envelope.before, Image::Before),
        Operation::Create | Operation::Update | Operation::Read => (envelope.after, Image::Whole),
    };
    let reader = row.map(|row| Reader::beside(table, row.get(), image, envelope.replaced()));
    let reader = reader.transpose()?;
    if table.kind == Kind::Completeness {
        return match reader.filter(|_| envelope.operation != Operation::Delete) {
            None => ignored("completeness row deleted"),
            // Taken for a streamed one, it would show that a snapshot is over which may be under way.
            Some(_) if !envelope.states_its_origin() => {
                let expected = "__op or __source_snapshot in a row alone: set add.fields=op,source.snapshot of the transform";
                Err(NormaliseError::new(ErrorClass::WrongEnvelope, None, expected))
            }
            Some(reader) => match facts::completeness(&reader)? {
                Some(time) => Ok(Classified::Control(ControlKind::Completeness { time })),
                None => ignored("batch not finished"),
            },
        };
    }
    let row_key = Key::parse(message.key, table.key_columns())?;
    if let Some(reader) = &reader {
        check_key(table, &row_key.cells, reader)?;
    }
    let origin = Origin::new(message, table, row_key.text, id_key);
    let deleted = envelope.operation == Operation::Delete;
    if table.kind == Kind::Employer {
        return origin.entity(reader.filter(|_| !deleted).as_ref());
    }
    match reader {
        Some(reader) if !deleted => origin.row(&reader, &envelope, id_key),
        reader => Ok(origin.delete(reader.as_ref(), id_key)),
    }
}

/// Says what to do where a row came alone and the dialect does not say so.
fn unwrapped(error: NormaliseError, table: Option<&Table>, value: Option<&[u8]>) -> NormaliseError {
    let of = |table: &&Table| table.rows == Rows::Envelope && looks_flattened(value, table.key_columns());
    match table.filter(|_| error.class == ErrorClass::WrongEnvelope).filter(of) {
        None => error,
        Some(table) => {
            let expected = format!(
                "an envelope with op, before and after: this is a row alone, so remove the connector's transform ExtractNewRecordState, or \
                 declare rows = \"flattened\" for table {} in dialect {} and raise its revision",
                table.name.as_str(),
                table.dialect
            );
            NormaliseError::new(ErrorClass::WrongEnvelope, None, expected)
        }
    }
}

/// A row's key columns must hold what the message's key holds; columns that the row does not carry are not compared.
fn check_key(table: &Table, key: &[Cell<'_>], reader: &Reader<'_, '_>) -> Result<(), NormaliseError> {
    let columns = table.key_columns();
    let differs = |at: &usize| {
        let (of_key, of_row) = (&key[*at], &reader.key()[*at]);
        !matches!(of_row, Cell::Null | Cell::Absent) && columns[*at].kind.value(of_key) != columns[*at].kind.value(of_row)
    };
    match (0..columns.len()).find(differs) {
        None => Ok(()),
        Some(at) => {
            let column = Some(columns[at].name.as_str());
            Err(NormaliseError::new(
                ErrorClass::KeyMismatch,
                column,
                "the same value in the row and in the message key",
            ))
        }
    }
}

/// Whom a deleted row was about and where it lived, as far as its last image tells.
fn last_identity(reader: &Reader<'_, '_>) -> Option<Identity> {
    let ReadIdentity { identity, .. } = facts::identity(reader).ok()?;
    if reader.table().kind != Kind::NumberCorrection {
        return Some(identity);
    }
    let former = facts::former_number(reader).ok()?;
    Some(match former {
        Some(former) => identity.carrying(former),
        None => identity,
    })
}

/// Where a record comes from: what its versions share.
struct Origin<'a> {
    message: &'a SourceMessage<'a>,
    table: &'a Table,
    id: RecordId,
    key: String,
}

impl<'a> Origin<'a> {
    fn new(message: &'a SourceMessage<'a>, table: &'a Table, key: String, id_key: &IdKey) -> Self {
        Self {
            message,
            table,
            id: id_key.record(message.source, &table.name, &key),
            key,
        }
    }

    fn version(&self) -> Version {
        let SourceMessage {
            epoch,
            partition,
            offset,
            ..
        } = *self.message;
        Version {
            epoch,
            partition,
            offset,
            mapping: self.table.revision,
        }
    }

    /// When the broker appended the message. Where a topic keeps its producers' times, that may be any number.
    fn appended_at(&self) -> Timestamp {
        limits::nearest_instant(self.message.timestamp.0)
    }

    fn upsert(&self, id: RecordId, identity: Identity, facts: Facts) -> Change {
        Change::Upsert(Arc::new(SourceRecord {
            id,
            source: self.message.source,
            table: self.table.name.clone(),
            key: Personal::new(self.key.as_str()),
            version: self.version(),
            appended_at: self.appended_at(),
            identity,
            facts,
        }))
    }

    fn deletion(&self, id: RecordId, home: Option<Shard>) -> Input {
        Input::Change(Change::Delete(Deletion {
            id,
            source: self.message.source,
            table: self.table.name.clone(),
            key: Personal::new(self.key.as_str()),
            version: self.version(),
            appended_at: self.appended_at(),
            home,
        }))
    }

    fn unread(&self) -> Input {
        Input::Change(Change::Unread(record::Unread {
            id: self.id,
            source: self.message.source,
            table: self.table.name.clone(),
            key: Personal::new(self.key.as_str()),
            version: self.version(),
            appended_at: self.appended_at(),
        }))
    }

    fn delete(&self, reader: Option<&Reader<'_, '_>>, id_key: &IdKey) -> Classified {
        let last = reader.and_then(last_identity);
        let mut inputs = vec![self.deletion(self.id, last.as_ref().and_then(Identity::shard))];
        if self.table.kind == Kind::Resident {
            let stated = last.and_then(|last| correction::of_delete(self.id, &last, id_key));
            inputs.extend(stated.map(|statement| self.state(statement)));
        }
        Classified::Inputs(inputs)
    }

    fn state(&self, statement: Statement) -> Input {
        match statement {
            Statement::Made {
                id,
                identity,
                correction,
            } => Input::Change(self.upsert(id, identity, Facts::Correction(correction))),
            Statement::Withdrawn { id, home } => self.deletion(id, Some(home)),
        }
    }

    /// A row about a person.
    fn row(&self, reader: &Reader<'_, '_>, envelope: &Envelope<'_>, id_key: &IdKey) -> Result<Classified, NormaliseError> {
        let ReadIdentity { identity, flaw } = facts::identity(reader)?;
        if identity.is_empty() {
            let expected = "a document number or a name: each row stands alone";
            return Err(NormaliseError::new(ErrorClass::NoIdentity, None, expected));
        }
        let read = match (facts::facts(reader, &identity, self.message.source.city), flaw) {
            (Ok(_), Some(flaw)) => Err(Unread::Error(flaw)),
            (read, _) => read,
        };
        let facts = match read {
            Ok(facts) => facts,
            Err(Unread::Void) => return Ok(self.delete(Some(reader), id_key)),
            Err(Unread::Error(error)) => {
                let all = std::iter::once(error.clone()).chain(reader.flaws());
                let error = NormaliseError::of_all(all.collect()).unwrap_or(error);
                let unreadable = self.table.kind.facts_kind().map(Facts::Unreadable);
                let record = unreadable.map(|facts| Input::Change(self.upsert(self.id, identity, facts)));
                return Ok(Classified::DeadLetter {
                    error,
                    inputs: record.into_iter().collect(),
                });
            }
        };
        let (identity, stated) = match &facts {
            Facts::Resident(resident) => {
                let stated = self.corrections(envelope, &identity, resident, id_key);
                (identity, stated)
            }
            // A correction table's row carries the number after, and says something of the one before.
            Facts::Correction(correction) => (identity.carrying(correction.former), Vec::new()),
            _ => (identity, Vec::new()),
        };
        let mut inputs = vec![Input::Change(self.upsert(self.id, identity, facts))];
        inputs.extend(stated.into_iter().map(|statement| self.state(statement)));
        Ok(flawed(reader.flaws(), inputs))
    }

    /// What an update of a resident's row states by its images before and after.
    fn corrections(&self, envelope: &Envelope<'_>, after: &Identity, resident: &Resident, id_key: &IdKey) -> Vec<Statement> {
        let before = || {
            let before = Reader::new(self.table, envelope.replaced()?, Image::Before).ok()?;
            Some(facts::identity(&before).ok()?.identity)
        };
        before().map_or_else(Vec::new, |before| {
            correction::of_update(self.id, &before, after, resident.former_name.as_ref(), id_key)
        })
    }

    /// A row about an employer; `None` when it is gone.
    fn entity(&self, reader: Option<&Reader<'_, '_>>) -> Result<Classified, NormaliseError> {
        let employer = match reader.map(facts::employer).transpose() {
            Ok(employer) => employer,
            Err(Unread::Void) => None,
            Err(Unread::Error(error)) => return Err(error),
        };
        let flaws = reader.map(Reader::flaws).unwrap_or_default();
        let change = EntityChange {
            id: self.id,
            source: self.message.source,
            table: self.table.name.clone(),
            key: Personal::new(self.key.as_str()),
            version: self.version(),
            appended_at: self.appended_at(),
            employer,
        };
        Ok(flawed(flaws, vec![Input::Entity(change)]))
    }
}

/// What a row becomes whose fields could not all be read, if nothing follows from those.
fn flawed(flaws: Vec<NormaliseError>, inputs: Vec<Input>) -> Classified {
    match NormaliseError::of_all(flaws) {
        None => Classified::Inputs(inputs),
        Some(error) => Classified::DeadLetter { error, inputs },
    }
}
