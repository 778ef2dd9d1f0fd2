//! What stands in a shard's log (输入日志): nothing else is an input of the base (ARCHITECTURE.md, Inputs).

use crate::date::{Day, Timestamp};
use crate::decision::Decision;
use crate::division::City;
use crate::ids::{AnchorId, IdKey, RecordId};
use crate::policy::Edition;
use crate::record::{Change, EntityChange, SourceRecord};
use crate::shard::Shard;
use crate::source::{Source, TableName, Version};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One entry of a shard's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A version of a source record about a person.
    Change(Change),
    /// A version of a source record about something else.
    Entity(EntityChange),
    /// A message from a shard.
    Message(Message),
    /// A statement of the clock or of an operator.
    Control(Control),
}

/// A message between shards (分片间消息), relayed from the sender's outbox.
///
/// Messages of one sender to one receiver arrive in order, perhaps repeatedly; `sequence` lets the receiver ignore repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The sending shard.
    pub from: Shard,
    /// The life of the base it was sent in, see [`Lives`](crate::lives::Lives).
    pub life: u32,
    /// Rises with every message of the sending shard, to whomever.
    pub sequence: u64,
    /// What it says.
    pub body: MessageBody,
}

/// What shards tell each other (ARCHITECTURE.md, Where a record lives).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageBody {
    /// Another shard claimed `record` with `version`: claim it back with the version you really hold at `anchor`, or drop it.
    ClaimOrDrop {
        /// The record.
        record: RecordId,
        /// Where the receiver held it when it was unseated.
        anchor: AnchorId,
        /// The version of the claim.
        version: Version,
        /// When the broker appended the version of the claim: what follows from dropping rests on it.
        appended_at: Timestamp,
    },
    /// Of a version of `record` only the key could be read: the copy that the receiver holds at `anchor` is unreadable if it is older.
    Unread {
        /// The record.
        record: RecordId,
        /// Where the receiver holds it.
        anchor: AnchorId,
        /// The version.
        version: Version,
        /// When the broker appended it.
        appended_at: Timestamp,
    },
    /// A copy of a record whose person lives at `to`.
    Guest {
        /// The neighbourhood that receives it.
        to: AnchorId,
        /// The copy.
        guest: Guest,
        /// When the broker appended the fact that sent it, such as the correction: it may be much younger than the copy.
        appended_at: Timestamp,
    },
    /// The copy of `record` that came from `from` no longer belongs at `to`.
    Withdraw {
        /// The neighbourhood that held it.
        to: AnchorId,
        /// The neighbourhood that sent it.
        from: AnchorId,
        /// The record.
        record: RecordId,
        /// When the broker appended the fact that caused the withdrawal.
        appended_at: Timestamp,
    },
    /// Findings that subscribers were told about a person who now lives at `to`: opening them there is no news
    /// (ARCHITECTURE.md, Findings and release).
    Carry {
        /// The neighbourhood the person went to.
        to: AnchorId,
        /// What the findings are about, see [`Finding::about`](crate::finding::Finding::about).
        about: Vec<[u8; 2]>,
    },
}

/// A guest copy (客居副本): counts for golden record, enrolments and findings, never as evidence for identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Guest {
    /// The neighbourhoods the copy came through, its home first; the last one sent it.
    pub path: Vec<AnchorId>,
    /// The copy.
    pub record: Arc<SourceRecord>,
}

/// A statement of the clock or of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// The business date (业务日期) has begun; only rises.
    BusinessDate(Day),
    /// Up to when each source is complete (完整性): every row a source committed before that time is in the base. Gates release only.
    Completeness(Vec<(Source, Timestamp)>),
    /// Announcing begins for a region (上线).
    GoLive(City),
    /// A full snapshot of a table is complete: rows whose latest version lies before its begin offsets are gone.
    Snapshot(SnapshotFloor),
    /// A table was truncated at its source (清空): nobody knows which of the rows whose latest version lies before these places were loaded
    /// again, until a [`Control::Snapshot`] says so.
    Truncated(SnapshotFloor),
    /// A reviewer decided on two records.
    Decide(Decision),
    /// A decision is withdrawn (撤销): as if it had never been. Names the statement that made it.
    Undecide(u64),
    /// A policy (政策) is in force from here on, unless a higher one is already.
    Policy(Arc<Edition>),
}

/// Places in the partitions of a table: where a complete full snapshot (全量快照) began, or where the table was truncated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFloor {
    /// The source.
    pub source: Source,
    /// The table.
    pub table: TableName,
    /// The epoch the offsets are of.
    pub epoch: u16,
    /// The place by partition, in order; where there are more partitions, 0.
    pub offsets: Vec<u64>,
}

impl SnapshotFloor {
    /// Whether a version lies before it: for a snapshot, its row is gone.
    pub fn retires(&self, version: &Version) -> bool {
        let begin = self.offsets.get(usize::from(version.partition)).copied().unwrap_or(0);
        (version.epoch, version.offset) < (self.epoch, begin)
    }

    /// The floor of two snapshots of one table: what either of them retires.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let (lower, upper) = if self.epoch <= other.epoch {
            (self, other)
        } else {
            (other, self)
        };
        let mut joined = upper.clone();
        // A later epoch retires whatever an earlier one does, in every partition.
        if lower.epoch == upper.epoch {
            joined.offsets.resize(upper.offsets.len().max(lower.offsets.len()), 0);
            for (begin, before) in joined.offsets.iter_mut().zip(&lower.offsets) {
                *begin = (*begin).max(*before);
            }
        }
        joined
    }

    /// Whether the row behind a record is gone. A correction that a row's images stated is no row of the table: it stays a fact
    /// when the row is read again (ARCHITECTURE.md, Versions).
    pub fn retires_record(&self, record: &SourceRecord, key: &IdKey) -> bool {
        let of_table = self.source == record.source && self.table == record.table;
        let is_row = || !record.is_statement() || record.id == key.record(record.source, &record.table, record.key.reveal());
        of_table && self.retires(&record.version) && is_row()
    }
}

impl Message {
    /// The neighbourhood it speaks to.
    pub fn anchor(&self) -> AnchorId {
        match &self.body {
            MessageBody::ClaimOrDrop { anchor, .. } | MessageBody::Unread { anchor, .. } => *anchor,
            MessageBody::Guest { to, .. } | MessageBody::Withdraw { to, .. } | MessageBody::Carry { to, .. } => *to,
        }
    }
}
