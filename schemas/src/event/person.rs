//! The state of persons.

use crate::framing::Payload;
use crate::registry::Kind;
use crate::wire::{hex, hex_list, opt, plain};
use domain::date::{Month, Timestamp};
use domain::division::{City, Division};
use domain::facts::ContributionStatus;
use domain::ids::{FindingId, PersonId};
use domain::person::Standing;
use domain::scheme::Scheme;
use serde::{Deserialize, Serialize};

/// The latest state of a person (人员); a gone one is a null value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonState {
    /// The person.
    #[serde(with = "hex")]
    pub person: PersonId,
    /// Their number, masked; `None` without a usable one.
    pub masked_number: Option<String>,
    /// How they stand to the number.
    #[serde(with = "plain")]
    pub standing: Standing,
    /// False once a source states the death.
    pub alive: bool,
    /// Their city.
    #[serde(with = "opt")]
    pub city: Option<City>,
    /// Their county, six digits.
    pub county: Option<i32>,
    /// Enrolments, the first ones of very many.
    pub enrolments: Vec<EnrolmentState>,
    /// How many there are besides.
    #[serde(default)]
    pub further_enrolments: i32,
    /// Findings announced and open.
    #[serde(with = "hex_list")]
    pub open_findings: Vec<FindingId>,
    /// The broker's time of the log entry that led to this state.
    #[serde(with = "plain")]
    pub recorded_at: Timestamp,
}

impl Payload for PersonState {
    const KIND: Kind = Kind::PersonState;
}

/// An enrolment of a person (参保).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolmentState {
    /// The scheme.
    #[serde(with = "plain")]
    pub scheme: Scheme,
    /// Place of enrolment.
    #[serde(with = "plain")]
    pub place: Division,
    /// Contribution status.
    #[serde(with = "plain")]
    pub status: ContributionStatus,
    /// Month paid through.
    #[serde(with = "opt")]
    pub paid_through: Option<Month>,
}
