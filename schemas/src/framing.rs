//! Confluent frames: a zero byte, the schema's id as four bytes big-endian, the Avro datum.

use crate::registry::{self, Kind, SchemaVersion};
use crate::wire::REFUSED;
use apache_avro::error::Details;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::util::max_allocation_bytes;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{LazyLock, OnceLock};

/// Bytes before the datum.
const FRAME: usize = 5;
/// The most a decoder allocates for one text: a corrupt length must not take the memory of the process. No broker passes larger values.
const LARGEST: usize = 64 << 20;

/// The id in the frame of a value; `None` when it has no frame.
pub fn schema_id(value: &[u8]) -> Option<u32> {
    match value {
        [0, id @ ..] => id.first_chunk().copied().map(u32::from_be_bytes),
        _ => None,
    }
}

/// A value that has a schema.
pub trait Payload: Serialize {
    /// Which.
    const KIND: Kind;
}

/// Why bytes could not be decoded. Carries names of schemas and code sets, never content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No Confluent frame.
    #[error("not framed: expected a zero byte and a schema id of four bytes")]
    Frame,
    /// The id is none of ours.
    #[error("unknown schema id {0}")]
    UnknownSchema(u32),
    /// The value is well-known but does not belong here.
    #[error("{record} does not belong in this topic")]
    Unexpected {
        /// Full name of the record found.
        record: &'static str,
    },
    /// The datum ends early or breaks the encoding.
    #[error("{record}: the bytes do not follow the schema")]
    Malformed {
        /// Full name of the record.
        record: &'static str,
    },
    /// The datum follows the schema, but a value is none that the domain knows.
    #[error("{record}: no valid {what}")]
    Value {
        /// Full name of the record.
        record: &'static str,
        /// What it should have been.
        what: &'static str,
    },
    /// A record in the log of another shard than the one that its content names.
    #[error("the record stands in the log of shard {shard} and belongs to shard {own}")]
    OtherShard {
        /// The shard whose log it stands in.
        shard: u8,
        /// The shard that its content names.
        own: u8,
    },
    /// No bytes at all: the place of a transaction's marker, or a message without a value.
    #[error("no value: the marker of a transaction, or a message without one")]
    Empty,
    /// More bytes than the datum has.
    #[error("{record}: bytes follow the value")]
    Trailing {
        /// Full name of the record.
        record: &'static str,
    },
}

/// Ids were chosen after values had been encoded or decoded under others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("values were already encoded or decoded under other schema ids")]
pub struct OtherIdsInUse;

/// Encodes and decodes values under the schema ids of one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    /// In the order of [`registry::all`].
    ids: Vec<u32>,
}

struct Engine {
    reader: GenericDatumReader<'static>,
    writer: GenericDatumWriter<'static>,
}

/// In the order of [`registry::all`].
static ENGINES: LazyLock<Vec<Engine>> = LazyLock::new(|| {
    max_allocation_bytes(LARGEST);
    let engine = |version: &'static SchemaVersion| Engine {
        reader: GenericDatumReader::builder(&version.schema)
            .human_readable(false)
            .build()
            .expect("the shipped schemas resolve"),
        writer: GenericDatumWriter::builder(&version.schema)
            .human_readable(false)
            .build()
            .expect("the shipped schemas resolve"),
    };
    registry::all().iter().map(engine).collect()
});

static EMBEDDED: LazyLock<Codec> = LazyLock::new(|| Codec::with_ids(|version| version.id));

/// Set once: values of two registries in one process could not be told apart.
static CURRENT: OnceLock<Codec> = OnceLock::new();

impl Codec {
    /// The codec with the ids of the embedded registry.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// The codec of this process: the one installed, else the embedded one, which from then on stays.
    pub fn current() -> &'static Self {
        CURRENT.get_or_init(|| EMBEDDED.clone())
    }

    /// Makes this the codec of the process, before any value is encoded or decoded. Again with the same ids is harmless.
    ///
    /// # Errors
    /// When other ids are in use already.
    pub fn install(self) -> Result<(), OtherIdsInUse> {
        if CURRENT.get_or_init(|| self.clone()) == &self {
            Ok(())
        } else {
            Err(OtherIdsInUse)
        }
    }

    /// A codec with the ids that another registry gave to the shipped versions.
    pub fn with_ids(id: impl FnMut(&SchemaVersion) -> u32) -> Self {
        Self {
            ids: registry::all().iter().map(id).collect(),
        }
    }

    /// Encodes a value under the newest version of its schema.
    ///
    /// # Panics
    /// When a wire type does not follow its shipped schema, which tests rule out.
    pub fn encode<T: Payload>(&self, value: &T) -> Vec<u8> {
        let at = registry::all()
            .iter()
            .rposition(|version| version.kind == T::KIND)
            .expect("every kind is shipped");
        let mut bytes = Vec::with_capacity(512);
        bytes.push(0);
        bytes.extend(self.ids[at].to_be_bytes());
        ENGINES[at]
            .writer
            .write_ser(&mut bytes, value)
            .expect("wire types follow the shipped schemas: tests encode each");
        bytes
    }

    /// Decodes a value that any version of its schema wrote.
    ///
    /// # Errors
    /// When the bytes are no such value. Never panics, whatever the bytes.
    pub fn decode<T: Payload + DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, DecodeError> {
        let (at, mut datum) = self.unframe(bytes)?;
        let version = &registry::all()[at];
        let record = version.kind.record_name();
        if version.kind != T::KIND {
            return Err(DecodeError::Unexpected { record });
        }
        let value = ENGINES[at]
            .reader
            .read_deser(&mut datum)
            .map_err(|error| match error.details() {
                // The text of the error is compared with the known ones, since it might quote what was read.
                Details::DeserializeValue(text) => match REFUSED.iter().find(|what| *what == text) {
                    Some(what) => DecodeError::Value { record, what },
                    None => DecodeError::Malformed { record },
                },
                _ => DecodeError::Malformed { record },
            })?;
        if datum.is_empty() {
            Ok(value)
        } else {
            Err(DecodeError::Trailing { record })
        }
    }

    /// The schema version that a framed value names.
    pub fn version_of(&self, bytes: &[u8]) -> Result<&'static SchemaVersion, DecodeError> {
        self.unframe(bytes).map(|(at, _)| &registry::all()[at])
    }

    fn unframe<'a>(&self, bytes: &'a [u8]) -> Result<(usize, &'a [u8]), DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError::Empty);
        }
        let (frame, datum) = bytes.split_at_checked(FRAME).ok_or(DecodeError::Frame)?;
        let [0, id @ ..] = frame else { return Err(DecodeError::Frame) };
        let id = u32::from_be_bytes(id.try_into().map_err(|_| DecodeError::Frame)?);
        let at = self
            .ids
            .iter()
            .position(|known| *known == id)
            .ok_or(DecodeError::UnknownSchema(id))?;
        Ok((at, datum))
    }
}
