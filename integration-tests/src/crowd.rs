//! Very many records under one number: what a placeholder that a whole city types comes to, or one number that is everybody's.

use crate::encode::{Message, envelope, partition_of};
use crate::policies;
use anyhow::Context;
use domain::batch::{Entry, Said};
use domain::citizen_id::CitizenId;
use domain::date::{Day, Month, Timestamp};
use domain::division::{City, Division};
use domain::document::{Document, DocumentKind};
use domain::facts::{ContributionStatus, Enrolment, Facts};
use domain::ids::IdKey;
use domain::input::{Control, Input};
use domain::name::Name;
use domain::personal::Personal;
use domain::record::{Change, Identity, SourceRecord};
use domain::scheme::Scheme;
use domain::source::{Agency, Source, TableName, Version};
use serde_json::json;
use std::sync::Arc;

/// The table of the crowd.
pub const TABLE: &str = "ac02";
/// The places of its enrolments, and their schemes by code.
const PLACES: [u32; 4] = [320_102, 320_205, 320_508, 320_302];
const SCHEMES: [u8; 4] = [11, 17, 31, 39];

/// How the records of a crowd are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// All by one name: they are one person.
    One,
    /// Each by a name of its own: nobody holds the number.
    Apart,
}

impl Names {
    /// The name that the record at a place states.
    pub fn of(self, at: usize) -> String {
        let han = |at: usize| char::from_u32(0x4e00 + (at % 5_000) as u32).expect("a character");
        match self {
            Self::One => "众一".to_owned(),
            Self::Apart => [han(at), han(at / 5_000 + 7), han(at % 131 + 40)].iter().collect(),
        }
    }
}

/// The source of the crowd.
///
/// # Panics
/// Never: the city is one.
pub fn source() -> Source {
    Source {
        agency: Agency::HUMAN_RESOURCES,
        city: City::from_code(3201).expect("a city"),
    }
}

/// The number of a crowd.
///
/// # Panics
/// Never: the parts are those of a number.
pub fn number(names: Names) -> CitizenId {
    let birth = Day::from_ymd(1980, 1, 1).expect("a date");
    CitizenId::from_parts(320_102, birth, 555 + names as u16).expect("a number")
}

/// Key of the row at a place.
fn row(at: usize, names: Names) -> serde_json::Value {
    json!({ "baz001": at * 2 + names as usize })
}

/// The record at a place of a crowd: an enrolment in one of four schemes and four places.
///
/// # Panics
/// Never: the values are those of an enrolment.
pub fn record(key: &IdKey, at: usize, names: Names) -> SourceRecord {
    let (table, row) = (TableName::new(TABLE), row(at, names).to_string());
    SourceRecord {
        id: key.record(source(), &table, &row),
        source: source(),
        table,
        key: Personal::new(row),
        version: Version {
            offset: at as u64,
            ..Version::default()
        },
        appended_at: Timestamp(1_740_000_000_000),
        identity: Identity {
            document: Document::parse(DocumentKind::ResidentIdentity, &number(names).text()).ok(),
            name: Name::parse(&names.of(at)).ok(),
            birth: None,
            sex: None,
        },
        facts: Facts::Enrolment(Enrolment {
            scheme: Scheme::from_code(SCHEMES[at % 4]).expect("a scheme"),
            status: ContributionStatus::Paying,
            from: Day::from_ymd(2024, 1, 1),
            until: None,
            first_month: Month::from_yyyymm(202_401),
            paid_through: Month::from_yyyymm(202_502),
            deferred_until: None,
            transferring: false,
            unit: None,
            place: Division::of_county(PLACES[at / 4 % 4]).expect("a county"),
        }),
    }
}

/// The first entry of the crowd's log: the policy in force.
///
/// # Panics
/// Never: somebody is first.
pub fn opening(key: &IdKey) -> Entry {
    Entry {
        position: 0,
        follows: 0,
        said: Said::Input(Input::Control(Control::Policy(policies::embedded()))),
        ..entry(key, 0, Names::One)
    }
}

/// The log entry that brings the record at a place, as the shard's log has them one after the other, behind its [opening].
///
/// # Panics
/// Never: positions count from nought.
pub fn entry(key: &IdKey, at: usize, names: Names) -> Entry {
    let record = Arc::new(record(key, at, names));
    let position = 1 + i64::try_from(at).expect("a position");
    Entry {
        shard: record.home(),
        position,
        follows: position,
        logged_at: record.appended_at,
        said: Said::Input(Input::Change(Change::Upsert(record))),
    }
}

/// The same as a connector sends it.
///
/// # Errors
/// Never: the row is an object.
pub fn message(at: usize, names: Names) -> anyhow::Result<Message> {
    let key = row(at, names);
    let row = json!({
        "baz001": key["baz001"],
        "aac002": number(names).text(),
        "aac003": names.of(at),
        "aae140": format!("{}0", SCHEMES[at % 4]),
        "aac031": "1",
        "aae030": 19_723,
        "aae031": null,
        "aac049": 202_401,
        "aae003": 202_502,
        "aaz288": null,
        "aaz289": null,
        "aab001": null,
        "aab301": PLACES[at / 4 % 4].to_string(),
    });
    let key = serde_json::to_vec(&key)?;
    Ok(Message {
        on: Day::from_ymd(2025, 3, 1).context("a date")?,
        source: source(),
        table: TABLE.to_owned(),
        partition: partition_of(&key, crate::encode::PARTITIONS),
        chain: String::new(),
        value: Some(serde_json::to_vec(&envelope("c", None, row.as_object()))?),
        key,
    })
}
