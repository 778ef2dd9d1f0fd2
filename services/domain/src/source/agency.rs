//! An agency: a small code, whose name and standing are data ([`super::agencies`]).

use super::agencies::{Agencies, Entry, registered};
use crate::division::City;
use crate::facts::{FactsKind, coded};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

coded! {
    /// A field of which an agency's word decides (权威字段).
    Authority {
        /// Who holds an identity number: its rows of the resident register.
        Number = 1 "number",
        /// Birth date.
        Birth = 2 "birth",
        /// Sex.
        Sex = 3 "sex",
    }
}

/// An agency (部门) that publishes change streams. One exists only if it is registered, see [`Agencies`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Agency(u8);

impl Agency {
    /// Public security (公安), registered everywhere.
    pub const PUBLIC_SECURITY: Self = Self(1);
    /// Civil affairs (民政), registered everywhere.
    pub const CIVIL_AFFAIRS: Self = Self(2);
    /// Human resources and social security (人力资源社会保障), registered everywhere.
    pub const HUMAN_RESOURCES: Self = Self(3);

    /// Every registered agency, by code.
    pub fn all() -> impl Iterator<Item = Self> {
        registered().entries().map(|entry| Self(entry.code))
    }

    /// The agency of a stored code; `None` when none is registered under it.
    pub fn from_code(code: u8) -> Option<Self> {
        registered().get(code).map(|entry| Self(entry.code))
    }

    fn entry(self) -> &'static Entry {
        registered()
            .get(self.0)
            .expect("an agency is made of what is registered only")
    }

    /// The stored code, 1 to 127, never reused.
    pub fn code(self) -> u8 {
        self.0
    }

    /// The name used in topics, configuration and columns.
    pub fn as_str(self) -> &'static str {
        &self.entry().name
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        &self.entry().title
    }

    /// The cities whose systems there may be, the provincial level among them if it has one; sorted.
    pub fn cities(self) -> &'static [City] {
        &self.entry().cities
    }

    /// The kinds of facts that it may state.
    pub fn states(self) -> &'static [FactsKind] {
        &self.entry().states
    }

    /// The fields of which its word decides, in the order of their codes.
    pub fn authority(self) -> &'static [Authority] {
        &self.entry().authority
    }

    /// Whether its word decides.
    pub fn decides(self, field: Authority) -> bool {
        self.entry().authority.contains(&field)
    }
}

impl fmt::Display for Agency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Agency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text names no registered agency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown agency: expected {}; others are added by the setting `agencies`",
    Agencies::names()
)]
pub struct UnknownAgency;

impl FromStr for Agency {
    type Err = UnknownAgency;

    fn from_str(text: &str) -> Result<Self, UnknownAgency> {
        let found = registered().entries().find(|entry| entry.name == text);
        found.map(|entry| Self(entry.code)).ok_or(UnknownAgency)
    }
}

/// Stored as the code less one: what the first three were stored as while they were a list in the code.
impl Serialize for Agency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.0 - 1)
    }
}

impl<'de> Deserialize<'de> for Agency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = u8::deserialize(deserializer)?;
        let code = stored.checked_add(1);
        code.and_then(Self::from_code)
            .ok_or_else(|| de::Error::custom("no agency is registered under a stored code"))
    }
}
