//! Statements of operators (操作声明): rows that the clock turns into inputs of every shard.
//!
//! Who makes one inserts a row into `store.statement` and may wait; the clock sends it, or refuses it with a reason, and notes
//! when every shard has applied it. `canbao` and the clock share these functions, since a service never imports a service.

mod bodies;

use bodies::{ConfirmationBody, DecisionBody, FloorBody, PassedBody, WaiverBody};
use domain::citizen_id::CitizenId;
use domain::date::{Day, Timestamp};
use domain::decision::Verdict;
use domain::division::City;
use domain::ids::RecordId;
use domain::input::SnapshotFloor;
use domain::policy::Edition;
use domain::source::{Source, TableName};
use serde::Deserialize;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgPool, Row};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// The kind of statement that states a policy.
pub const POLICY: &str = "policy";

/// The body of a snapshot and of a truncation.
const PLACES: &str = r#"{"source": "human-resources.3201", "table": "ac02", "epoch": 0, "offsets": [0]}"#;

/// How often a waiting caller looks.
const LOOK: Duration = Duration::from_millis(50);

/// Regions that go live together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoLiveRegion {
    /// Every city and the provincial level.
    All,
    /// One of them.
    City(City),
}

impl GoLiveRegion {
    /// The cities it stands for.
    pub fn cities(self) -> Vec<City> {
        match self {
            Self::All => City::all().collect(),
            Self::City(city) => vec![city],
        }
    }
}

impl fmt::Display for GoLiveRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::City(city) => write!(f, "{city}"),
        }
    }
}

impl FromStr for GoLiveRegion {
    type Err = domain::division::UnknownCity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            Ok(Self::All)
        } else {
            text.parse().map(Self::City)
        }
    }
}

/// What an operator, or a connector's notification, states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// The business date (业务日期) moves to a day, where the clock's `business_date` is `manual`.
    BusinessDate {
        /// The day.
        day: Day,
        /// Also when that is further ahead than the clock believes unasked; where it follows the wall clock, up to that.
        confirmed: bool,
    },
    /// Announcing begins for a region (上线).
    GoLive(GoLiveRegion),
    /// A full snapshot (全量快照) of a table is complete.
    Snapshot(SnapshotFloor),
    /// A table was truncated at its source (清空).
    Truncated(SnapshotFloor),
    /// Rows that a truncation or a full snapshot would remove, so many that it is held, are gone indeed (确认).
    ConfirmRemoval {
        /// The source.
        source: Source,
        /// The table.
        table: TableName,
        /// The operator's account.
        who: String,
        /// Why, for whoever asks later.
        why: String,
    },
    /// A snapshot has passed, though neither a row nor a notification can prove it.
    SnapshotPassed {
        /// The source.
        source: Source,
        /// The one table that it read; `None` for the source's first full load.
        of: Option<PassedTable>,
    },
    /// Claims of absence do not wait for a silent source (豁免).
    Waive {
        /// The source.
        source: Source,
        /// Up to and with this day of the wall clock in China; `None` takes a waiver back.
        until: Option<Day>,
        /// The operator's account.
        who: String,
        /// Why, for whoever asks later.
        why: String,
    },
    /// A reviewer decided on two records (复核决定); the number of the statement is the decision's.
    Decide {
        /// One person or two.
        verdict: Verdict,
        /// A record.
        record: RecordId,
        /// The other; of two numbers, the one its person holds stays.
        other: RecordId,
        /// For one person: the number they keep.
        number: Option<CitizenId>,
    },
    /// The decision of an earlier statement is withdrawn (撤销).
    Undecide(u64),
    /// A policy (政策) comes into force.
    Policy(Arc<Edition>),
}

/// A table of which a full snapshot, or a load of the whole of it, is stated to have ended: rows that it did not repeat are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedTable {
    /// The table.
    pub table: TableName,
    /// When it began, or before.
    pub since: Timestamp,
    /// The operator's account.
    pub who: String,
    /// Why, for whoever asks later.
    pub why: String,
}

impl PassedTable {
    /// What the floor that follows from such a statement is known by, before its table.
    pub fn noticed(id: i64) -> String {
        format!("statement/{id}")
    }
}

/// Why a row of `store.statement` states nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownStatement {
    /// No such kind.
    #[error(
        "unknown kind of statement: expected business-date, go-live, snapshot, truncated, confirm-removal, snapshot-passed, waive, decide, undecide or \
         policy"
    )]
    Kind,
    /// The body lacks something or holds something else.
    #[error("the body must be {0}")]
    Body(&'static str),
}

impl Statement {
    /// The kind as stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BusinessDate { .. } => "business-date",
            Self::GoLive(_) => "go-live",
            Self::Snapshot(_) => "snapshot",
            Self::Truncated(_) => "truncated",
            Self::ConfirmRemoval { .. } => "confirm-removal",
            Self::SnapshotPassed { .. } => "snapshot-passed",
            Self::Waive { .. } => "waive",
            Self::Decide { .. } => "decide",
            Self::Undecide(_) => "undecide",
            Self::Policy(_) => POLICY,
        }
    }

    /// The body as stored; [`Statement::parse`] reads it back.
    pub fn body(&self) -> Value {
        match self {
            Self::BusinessDate { day, confirmed } => serde_json::json!({ "day": day.to_string(), "confirmed": confirmed }),
            Self::GoLive(region) => serde_json::json!({ "region": region.to_string() }),
            Self::Snapshot(floor) | Self::Truncated(floor) => serde_json::json!({
                "source": floor.source.to_string(),
                "table": floor.table.as_str(),
                "epoch": floor.epoch,
                "offsets": floor.offsets,
            }),
            Self::ConfirmRemoval { source, table, who, why } => serde_json::json!({
                "source": source.to_string(), "table": table.as_str(), "who": who, "why": why,
            }),
            Self::SnapshotPassed { source, of: None } => serde_json::json!({ "source": source.to_string() }),
            Self::SnapshotPassed { source, of: Some(of) } => serde_json::json!({
                "source": source.to_string(), "table": of.table.as_str(), "since": of.since.0, "who": of.who, "why": of.why,
            }),
            Self::Waive { source, until, who, why } => serde_json::json!({
                "source": source.to_string(), "until": until.map(|day| day.to_string()), "who": who, "why": why,
            }),
            Self::Decide {
                verdict,
                record,
                other,
                number,
            } => serde_json::json!({
                "verdict": verdict.as_str(),
                "record": record.to_string(),
                "other": other.to_string(),
                "number": number.map(CitizenId::digits),
            }),
            Self::Undecide(decision) => serde_json::json!({ "decision": decision }),
            Self::Policy(edition) => serde_json::json!({ "text": edition.text() }),
        }
    }

    /// Reads a stored row.
    ///
    /// # Errors
    /// [`UnknownStatement`].
    pub fn parse(kind: &str, body: &Value) -> Result<Self, UnknownStatement> {
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        match kind {
            "business-date" => text("day")
                .and_then(|day| day.parse().ok())
                .map(|day| Self::BusinessDate {
                    day,
                    confirmed: body.get("confirmed").and_then(Value::as_bool).unwrap_or(false),
                })
                .ok_or(UnknownStatement::Body(r#"{"day": "yyyy-mm-dd", "confirmed": false}"#)),
            "go-live" => text("region")
                .and_then(|region| region.parse().ok())
                .map(Self::GoLive)
                .ok_or(UnknownStatement::Body(r#"{"region": "3200" to "3213" or "all"}"#)),
            "snapshot" => FloorBody::read(body).map(Self::Snapshot).ok_or(UnknownStatement::Body(PLACES)),
            "truncated" => FloorBody::read(body)
                .map(Self::Truncated)
                .ok_or(UnknownStatement::Body(PLACES)),
            "confirm-removal" => ConfirmationBody::deserialize(body)
                .ok()
                .and_then(ConfirmationBody::read)
                .ok_or(UnknownStatement::Body(
                    r#"{"source": "human-resources.3201", "table": "ac02", "who": "account", "why": "text"}"#,
                )),
            "snapshot-passed" => PassedBody::deserialize(body)
                .ok()
                .and_then(PassedBody::read)
                .ok_or(UnknownStatement::Body(
                    r#"{"source": "human-resources.3201"}, of one table with "table": "ac02", "since": milliseconds, "who": "account", "why": "text""#,
                )),
            "waive" => WaiverBody::deserialize(body)
                .ok()
                .and_then(WaiverBody::read)
                .ok_or(UnknownStatement::Body(
                    r#"{"source": "human-resources.3201", "until": "yyyy-mm-dd" or null, "who": "account", "why": "text"}"#,
                )),
            "decide" => DecisionBody::deserialize(body)
                .ok()
                .and_then(DecisionBody::read)
                .ok_or(UnknownStatement::Body(
                    r#"{"verdict": "same" or "different", "record": "32 hexadecimal digits", "other": "likewise", "number": null}"#,
                )),
            "undecide" => body
                .get("decision")
                .and_then(Value::as_u64)
                .map(Self::Undecide)
                .ok_or(UnknownStatement::Body(r#"{"decision": 7}"#)),
            POLICY => text("text")
                .and_then(|text| Edition::parse(text).ok())
                .map(|edition| Self::Policy(Arc::new(edition)))
                .ok_or(UnknownStatement::Body(r#"{"text": "a policy of this program, as TOML"}"#)),
            _ => Err(UnknownStatement::Kind),
        }
    }
}

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every shard has applied it.
    Applied,
    /// It was not sent; the reason.
    Refused(String),
}

/// Records a statement and returns its id, for [`wait`].
///
/// # Errors
/// When the database does not answer.
pub async fn insert(pool: &PgPool, statement: &Statement) -> Result<i64, sqlx::Error> {
    sqlx::query("insert into store.statement (kind, body) values ($1, $2) returning id")
        .bind(statement.kind())
        .bind(Json(statement.body()))
        .fetch_one(pool)
        .await?
        .try_get("id")
}

/// What became of a statement so far; `None` while the clock is at work on it, or does not run.
///
/// # Errors
/// When the database does not answer, or there is no such statement.
pub async fn outcome(pool: &PgPool, id: i64) -> Result<Option<Outcome>, sqlx::Error> {
    let row = sqlx::query("select sent_at is not null as sent, refused from store.statement where id = $1")
        .bind(id)
        .fetch_one(pool)
        .await?;
    if let Some(reason) = row.try_get::<Option<String>, _>("refused")? {
        return Ok(Some(Outcome::Refused(reason)));
    }
    Ok(row.try_get::<bool, _>("sent")?.then_some(Outcome::Applied))
}

/// Waits until every shard has applied a statement or the clock refused it; `None` when that took longer than `patience`.
///
/// # Errors
/// When the database does not answer, or there is no such statement.
pub async fn wait(pool: &PgPool, id: i64, patience: Duration) -> Result<Option<Outcome>, sqlx::Error> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let outcome = outcome(pool, id).await?;
        if outcome.is_some() || tokio::time::Instant::now() >= deadline {
            return Ok(outcome);
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests;
