//! Keyed identifiers: what stands for a number, a record, a person, a finding or an event outside the base.

use crate::citizen_id::CitizenId;
use crate::name::Name;
use crate::source::{Source, TableName};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use std::str::FromStr;

macro_rules! id128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The sixteen bytes as stored.
            pub fn bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Reads stored bytes; `None` unless there are sixteen.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&digits(&self.0)).expect("digits are ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                hex(text).map(Self)
            }
        }
    };
}

id128! {
    /// A source record (来源记录): keyed hash of agency, city, table and key columns.
    RecordId
}
id128! {
    /// A person (人员): the latent id of their number, or else of their lowest record (ARCHITECTURE.md, Ids).
    PersonId
}
id128! {
    /// A neighbourhood: the latent id of a number, or the id of a record that has no usable number.
    AnchorId
}
id128! {
    /// A finding (疑点): keyed hash of person, rule and what it is about; stable while the finding opens and clears.
    FindingId
}
id128! {
    /// An alert event (预警事件): hash of finding and revision, so that a repeated publication has the same id.
    EventId
}

impl From<RecordId> for AnchorId {
    fn from(record: RecordId) -> Self {
        Self(record.0)
    }
}

impl From<RecordId> for PersonId {
    fn from(record: RecordId) -> Self {
        Self(record.0)
    }
}

impl From<AnchorId> for PersonId {
    fn from(anchor: AnchorId) -> Self {
        Self(anchor.0)
    }
}

/// A text is no identifier: not 32 hexadecimal digits, or a key that is not 64 of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal digits")]
pub struct IdError {
    /// How many digits were expected.
    pub expected: usize,
}

/// Every record's key and every finding's id is written in digits: formatting each byte by itself took a thirtieth of a batch.
fn digits(bytes: &[u8; 16]) -> [u8; 32] {
    let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
    std::array::from_fn(|at| digit(bytes[at / 2] >> (4 * (1 - at % 2)) & 0xf))
}

fn hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    let error = IdError { expected: 2 * N };
    if text.len() != 2 * N || !text.is_ascii() {
        return Err(error);
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| error)?;
    }
    Ok(bytes)
}

/// The secret that makes identifiers: who does not hold it cannot go from a number to an id by trying numbers.
///
/// The key's version is the first byte of every id, so that ids of an old key are recognised after a rotation.
#[derive(Clone)]
pub struct IdKey {
    version: u8,
    mac: Hmac<Sha256>,
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdKey {{ version: {}, secret: *** }}", self.version)
    }
}

impl IdKey {
    /// A key of a version (1 to 255) from 32 secret bytes.
    pub fn new(version: u8, secret: &[u8; 32]) -> Self {
        let mac = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Self { version, mac }
    }

    /// A key of version 1 from 64 hexadecimal digits, as configuration holds it.
    pub fn from_hex(text: &str) -> Result<Self, IdError> {
        Ok(Self::new(1, &hex(text)?))
    }

    fn id(&self, purpose: u8, parts: &[&[u8]]) -> [u8; 16] {
        let mut mac = self.mac.clone();
        mac.update(&[purpose]);
        for part in parts {
            // Lengths keep ("ab", "c") and ("a", "bc") apart.
            mac.update(&(part.len() as u32).to_be_bytes());
            mac.update(part);
        }
        let digest = mac.finalize().into_bytes();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        id[0] = self.version;
        id
    }

    /// The latent id of a number.
    pub fn number(&self, number: CitizenId) -> AnchorId {
        AnchorId(self.id(b'n', &[&number.digits().to_be_bytes()]))
    }

    /// The id of a source record; `key` is the canonical text of its key columns.
    pub fn record(&self, source: Source, table: &TableName, key: &str) -> RecordId {
        RecordId(self.id(
            b'r',
            &[
                &[source.agency.code()],
                &source.city.code().to_be_bytes(),
                table.as_str().as_bytes(),
                key.as_bytes(),
            ],
        ))
    }

    /// The id of the statement that `record` took the number `heir` in place of another (更正).
    pub fn taken(&self, record: RecordId, heir: CitizenId) -> RecordId {
        RecordId(self.id(b't', &[record.bytes(), &heir.digits().to_be_bytes()]))
    }

    /// The id of the statement that `record` gave up the number `former` (更正).
    pub fn correction(&self, record: RecordId, former: CitizenId) -> RecordId {
        RecordId(self.id(b'c', &[record.bytes(), &former.digits().to_be_bytes()]))
    }

    /// The id of the statement that `record` had the name `former` under the number `number` (更名).
    pub fn renamed(&self, record: RecordId, number: CitizenId, former: &Name) -> RecordId {
        let digits = number.digits().to_be_bytes();
        RecordId(self.id(b'a', &[record.bytes(), &digits, former.reveal().as_bytes()]))
    }

    /// The place where records without a number meet that are one person by decision; `lowest` names them.
    pub fn meeting(&self, lowest: RecordId) -> AnchorId {
        AnchorId(self.id(b'm', &[lowest.bytes()]))
    }

    /// The id of a finding about a person of a neighbourhood; `about` is the stable code of rule and scheme.
    pub fn finding(&self, person: PersonId, anchor: AnchorId, about: &[u8]) -> FindingId {
        FindingId(self.id(b'f', &[person.bytes(), anchor.bytes(), about]))
    }

    /// The id of the event that announces a revision of a finding.
    pub fn event(&self, finding: FindingId, revision: u32) -> EventId {
        EventId(self.id(b'e', &[finding.bytes(), &revision.to_be_bytes()]))
    }
}
