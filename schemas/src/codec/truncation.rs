//! A table that was truncated, as `truncation.avsc` has it: beside the other statements, whose union is closed to their readers.

use crate::framing::Payload;
use crate::registry::Kind;
use crate::wire::{list, plain, rank};
use domain::division::City;
use domain::input::SnapshotFloor;
use domain::source::{Agency, Source, TableName};
use serde::{Deserialize, Serialize};

/// A truncation.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Truncation")]
pub struct TruncationRecord {
    #[serde(with = "plain")]
    agency: Agency,
    #[serde(with = "plain")]
    city: City,
    #[serde(with = "plain")]
    table: TableName,
    #[serde(with = "rank")]
    epoch: u16,
    #[serde(with = "list")]
    offsets: Vec<u64>,
}

impl Payload for TruncationRecord {
    const KIND: Kind = Kind::Truncation;
}

impl From<&SnapshotFloor> for TruncationRecord {
    fn from(places: &SnapshotFloor) -> Self {
        Self {
            agency: places.source.agency,
            city: places.source.city,
            table: places.table.clone(),
            epoch: places.epoch,
            offsets: places.offsets.clone(),
        }
    }
}

impl From<TruncationRecord> for SnapshotFloor {
    fn from(read: TruncationRecord) -> Self {
        Self {
            source: Source {
                agency: read.agency,
                city: read.city,
            },
            table: read.table,
            epoch: read.epoch,
            offsets: read.offsets,
        }
    }
}
