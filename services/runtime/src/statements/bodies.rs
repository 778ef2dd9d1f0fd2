//! The bodies of statements as they are stored.

use super::{PassedTable, Statement};
use domain::citizen_id::CitizenId;
use domain::date::Timestamp;
use domain::decision::Verdict;
use domain::input::SnapshotFloor;
use domain::source::TableName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize)]
pub(super) struct FloorBody {
    source: String,
    table: String,
    epoch: u16,
    offsets: Vec<u64>,
}

impl FloorBody {
    pub(super) fn read(body: &Value) -> Option<SnapshotFloor> {
        let floor = Self::deserialize(body).ok()?;
        Some(SnapshotFloor {
            source: floor.source.parse().ok()?,
            table: TableName::new(floor.table),
            epoch: floor.epoch,
            offsets: floor.offsets,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct ConfirmationBody {
    source: String,
    table: String,
    who: String,
    why: String,
}

impl ConfirmationBody {
    pub(super) fn read(self) -> Option<Statement> {
        Some(Statement::ConfirmRemoval {
            source: self.source.parse().ok()?,
            table: TableName::new(self.table),
            who: self.who,
            why: self.why,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct DecisionBody {
    verdict: String,
    record: String,
    other: String,
    /// The 17 digits before the check character.
    number: Option<u64>,
}

impl DecisionBody {
    pub(super) fn read(self) -> Option<Statement> {
        Some(Statement::Decide {
            verdict: Verdict::from_name(&self.verdict)?,
            record: self.record.parse().ok()?,
            other: self.other.parse().ok()?,
            number: self.number.map(CitizenId::from_digits).transpose().ok()?,
        })
    }
}

/// A statement of before there were tables holds the source alone.
#[derive(Deserialize)]
pub(super) struct PassedBody {
    source: String,
    table: Option<String>,
    /// Milliseconds since 1970.
    since: Option<i64>,
    who: Option<String>,
    why: Option<String>,
}

impl PassedBody {
    pub(super) fn read(self) -> Option<Statement> {
        let of = match self.table {
            None => None,
            Some(table) => Some(PassedTable {
                table: TableName::new(table),
                since: Timestamp(self.since?),
                who: self.who?,
                why: self.why?,
            }),
        };
        Some(Statement::SnapshotPassed {
            source: self.source.parse().ok()?,
            of,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct WaiverBody {
    source: String,
    until: Option<String>,
    who: String,
    why: String,
}

impl WaiverBody {
    pub(super) fn read(self) -> Option<Statement> {
        Some(Statement::Waive {
            source: self.source.parse().ok()?,
            until: self.until.map(|day| day.parse()).transpose().ok()?,
            who: self.who,
            why: self.why,
        })
    }
}
