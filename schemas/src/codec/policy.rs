//! A policy that comes into force, as `policy.avsc` has it: beside the other statements, whose union is closed to their readers.

use crate::framing::Payload;
use crate::registry::Kind;
use apache_avro::serde::fixed;
use domain::policy::Edition;
use serde::{Deserialize, Serialize};

/// A policy.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Policy")]
pub struct PolicyRecord {
    version: i32,
    #[serde(with = "fixed")]
    digest: [u8; 32],
    text: String,
}

impl Payload for PolicyRecord {
    const KIND: Kind = Kind::Policy;
}

impl From<&Edition> for PolicyRecord {
    fn from(edition: &Edition) -> Self {
        let id = edition.id();
        Self {
            version: id.version as i32,
            digest: *id.digest.bytes(),
            text: edition.text().to_owned(),
        }
    }
}

impl PolicyRecord {
    /// The policy.
    ///
    /// # Errors
    /// Says what is wrong: a text that is no policy of this program, or not the one that is named.
    pub fn into_edition(self) -> Result<Edition, &'static str> {
        let edition = Edition::parse(self.text).map_err(|_| "policy")?;
        let id = edition.id();
        if i64::from(id.version) == i64::from(self.version) && *id.digest.bytes() == self.digest {
            Ok(edition)
        } else {
            Err("name of a policy")
        }
    }
}
