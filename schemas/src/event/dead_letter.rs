//! Messages that could not be read.

use crate::framing::Payload;
use crate::registry::Kind;
use crate::wire::plain;
use domain::date::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A message that could not be read (死信), with its original bytes. `Debug` does not print them: they hold personal data.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Topic of the original message.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    #[serde(with = "plain")]
    pub offset: u64,
    /// Its append time at the broker.
    #[serde(with = "plain")]
    pub timestamp: Timestamp,
    /// Class of the error.
    pub error_class: String,
    /// What was wrong; never quotes a value.
    pub message: String,
    /// Which attempt to read it failed, 1 for the first.
    pub attempt: u16,
    /// Service that gave up on it.
    pub service: String,
    /// Version of that service.
    pub service_version: String,
    /// Key of the original message.
    #[serde(with = "apache_avro::serde::bytes_opt")]
    pub key: Option<Vec<u8>>,
    /// Value of the original message; `None` for a tombstone.
    #[serde(with = "apache_avro::serde::bytes_opt")]
    pub value: Option<Vec<u8>>,
    /// Headers of the original message.
    pub headers: Vec<Header>,
}

impl Payload for DeadLetter {
    const KIND: Kind = Kind::DeadLetter;
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic,
            partition,
            offset,
            error_class,
            attempt,
            ..
        } = self;
        write!(
            f,
            "DeadLetter {{ {topic}/{partition}@{offset}: {error_class}, attempt {attempt}, *** }}"
        )
    }
}

/// A header of a message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(with = "apache_avro::serde::bytes_opt")]
    pub value: Option<Vec<u8>>,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header {{ {}: *** }}", self.name)
    }
}
