//! Statements of the clock and of operators as `control.avsc` has them.

use super::policy::PolicyRecord;
use super::truncation::TruncationRecord;
use crate::framing::Payload;
use crate::registry::Kind;
use crate::wire::{list, opt, plain, rank};
use domain::citizen_id::CitizenId;
use domain::date::{Day, Timestamp};
use domain::decision::{Decision, Verdict};
use domain::division::City;
use domain::ids::RecordId;
use domain::input::{Control, SnapshotFloor};
use domain::limits;
use domain::source::{Agency, Source, TableName};
use serde::{Deserialize, Serialize};

/// A statement.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Control")]
pub struct ControlRecord {
    statement: Statement,
}

/// In the order of the union.
#[derive(Serialize, Deserialize)]
enum Statement {
    BusinessDate(BusinessDate),
    Completeness(Completeness),
    GoLive(GoLive),
    Snapshot(Snapshot),
    Decide(Decide),
    Undecide(Undecide),
}

#[derive(Serialize, Deserialize)]
struct BusinessDate {
    #[serde(with = "plain")]
    date: Day,
}

#[derive(Serialize, Deserialize)]
struct Completeness {
    sources: Vec<SourceCompleteness>,
}

#[derive(Serialize, Deserialize)]
struct SourceCompleteness {
    #[serde(with = "plain")]
    agency: Agency,
    #[serde(with = "plain")]
    city: City,
    #[serde(with = "plain")]
    complete_to: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct GoLive {
    #[serde(with = "plain")]
    city: City,
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
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

#[derive(Serialize, Deserialize)]
struct Decide {
    #[serde(with = "plain")]
    id: u64,
    #[serde(with = "plain")]
    verdict: Verdict,
    #[serde(with = "plain")]
    record: RecordId,
    #[serde(with = "plain")]
    other: RecordId,
    #[serde(with = "opt")]
    number: Option<CitizenId>,
}

#[derive(Serialize, Deserialize)]
struct Undecide {
    #[serde(with = "plain")]
    id: u64,
}

impl Payload for ControlRecord {
    const KIND: Kind = Kind::Control;
}

/// A statement as it is written: truncations and policies have schemas of their own.
pub enum Stated {
    /// Every other.
    Control(ControlRecord),
    /// A truncation.
    Truncation(TruncationRecord),
    /// A policy.
    Policy(PolicyRecord),
}

impl From<&Control> for Stated {
    fn from(control: &Control) -> Self {
        let statement = match control {
            Control::BusinessDate(date) => Statement::BusinessDate(BusinessDate { date: *date }),
            Control::Completeness(vector) => {
                let of = |(source, complete_to): &(Source, Timestamp)| SourceCompleteness {
                    agency: source.agency,
                    city: source.city,
                    complete_to: *complete_to,
                };
                Statement::Completeness(Completeness {
                    sources: vector.iter().map(of).collect(),
                })
            }
            Control::GoLive(city) => Statement::GoLive(GoLive { city: *city }),
            Control::Snapshot(floor) => Statement::Snapshot(Snapshot {
                agency: floor.source.agency,
                city: floor.source.city,
                table: floor.table.clone(),
                epoch: floor.epoch,
                offsets: floor.offsets.clone(),
            }),
            Control::Truncated(truncation) => return Self::Truncation(truncation.into()),
            Control::Decide(decision) => Statement::Decide(Decide {
                id: decision.id,
                verdict: decision.verdict,
                record: decision.record,
                other: decision.other,
                number: decision.number,
            }),
            Control::Undecide(id) => Statement::Undecide(Undecide { id: *id }),
            Control::Policy(edition) => return Self::Policy(PolicyRecord::from(&**edition)),
        };
        Self::Control(ControlRecord { statement })
    }
}

impl ControlRecord {
    /// The statement.
    ///
    /// # Errors
    /// Says what is wrong: a date that is no business date, more sources than there are.
    pub fn into_control(self) -> Result<Control, &'static str> {
        Ok(match self.statement {
            Statement::BusinessDate(statement) if !limits::is_business_date(statement.date) => return Err("business date"),
            Statement::BusinessDate(statement) => Control::BusinessDate(statement.date),
            Statement::Completeness(statement) if statement.sources.len() > limits::LONGEST_LIST => {
                return Err("list of sources");
            }
            Statement::Completeness(statement) => {
                let of = |read: SourceCompleteness| {
                    (
                        Source {
                            agency: read.agency,
                            city: read.city,
                        },
                        read.complete_to,
                    )
                };
                Control::Completeness(statement.sources.into_iter().map(of).collect())
            }
            Statement::GoLive(statement) => Control::GoLive(statement.city),
            Statement::Snapshot(Snapshot {
                agency,
                city,
                table,
                epoch,
                offsets,
            }) => Control::Snapshot(SnapshotFloor {
                source: Source { agency, city },
                table,
                epoch,
                offsets,
            }),
            Statement::Decide(Decide {
                id,
                verdict,
                record,
                other,
                number,
            }) => Control::Decide(Decision {
                id,
                verdict,
                record,
                other,
                number,
            }),
            Statement::Undecide(statement) => Control::Undecide(statement.id),
        })
    }
}
