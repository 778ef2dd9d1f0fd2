//! Where records come from: agencies, sources, tables, versions.

mod agencies;
mod agency;

pub use agencies::{Agencies, AgencyError};
pub use agency::{Agency, Authority, UnknownAgency};

use crate::division::City;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A source (来源系统): one agency's system in one city, or at the provincial level (3200).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Source {
    /// The agency.
    pub agency: Agency,
    /// The city that runs the system.
    pub city: City,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:04}", self.agency, self.city.code())
    }
}

/// A text names no source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no source: expected <agency>.<city>, such as human-resources.3201")]
pub struct UnknownSource;

impl FromStr for Source {
    type Err = UnknownSource;

    /// Reads what [`Source`] displays as.
    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        let (agency, city) = text.split_once('.').ok_or(UnknownSource)?;
        Ok(Self {
            agency: agency.parse().map_err(|_| UnknownSource)?,
            city: city.parse().map_err(|_| UnknownSource)?,
        })
    }
}

/// The name of a source table, as its dialect spells it (`ac02`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName(String);

impl TableName {
    /// Wraps a name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A record's version (版本): its position in the source topic (ARCHITECTURE.md, Versions).
///
/// Versions compare within one record only: epoch, then offset, then mapping revision. The partition is carried for the books
/// and does not compare: one key stays in one partition within an epoch. The epoch follows from the position and from what operators
/// stated of the topic, see [`crate::epoch`], never from when the row was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub struct Version {
    /// Raised only by an operator's recorded statement that positions stopped being comparable.
    pub epoch: u16,
    /// Partition of the source topic.
    pub partition: u16,
    /// Offset in that partition.
    pub offset: u64,
    /// Revision of the mapping (dialect) that read the row, raised when a row is read anew.
    pub mapping: u16,
}

/// Versions of one record each that stand in two partitions within an epoch (散键), by source and table.
pub type Strays = BTreeMap<(Source, TableName), Vec<[Version; 2]>>;

impl Version {
    fn rank(&self) -> (u16, u64, u16) {
        (self.epoch, self.offset, self.mapping)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank()).then(self.partition.cmp(&other.partition))
    }
}
