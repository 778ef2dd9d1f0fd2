//! Alerts, and the state of findings that they fold to.

use crate::event::codes::{FindingStatus, Remedy, Scope};
use crate::framing::Payload;
use crate::registry::Kind;
use crate::wire::{hex, list, opt, plain};
use domain::date::{Day, Timestamp};
use domain::division::{City, Division};
use domain::finding::{AlertKind, EvidenceRole, Finding, FormReason, Overlap, Rule};
use domain::ids::{EventId, FindingId, PersonId, RecordId};
use domain::release::{Cause, Event, EventKind, Told};
use domain::scheme::Scheme;
use domain::source::{Agency, Source, TableName};
use serde::{Deserialize, Serialize};

/// A fact a finding rests on, with its source (证据).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it does.
    #[serde(with = "plain")]
    pub role: EvidenceRole,
    /// Agency that states it.
    #[serde(with = "plain")]
    pub agency: Agency,
    /// City of the source.
    #[serde(with = "plain")]
    pub city: City,
    /// Source table.
    #[serde(with = "plain")]
    pub table: TableName,
    /// The source record.
    #[serde(with = "hex")]
    pub record: RecordId,
}

impl Evidence {
    /// A fact of a finding, with the source and table of its record.
    pub fn new(fact: &domain::finding::Evidence, source: Source, table: TableName) -> Self {
        Self {
            role: fact.role,
            agency: source.agency,
            city: source.city,
            table,
            record: fact.record,
        }
    }
}

/// An alert (预警事件).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// Hash of finding and revision.
    #[serde(with = "hex")]
    pub event_id: EventId,
    /// The finding.
    #[serde(with = "hex")]
    pub finding_id: FindingId,
    /// Its revision, 1 or more.
    pub revision: u32,
    /// What happened to it.
    #[serde(with = "plain")]
    pub action: EventKind,
    /// Why.
    #[serde(with = "plain")]
    pub cause: Cause,
    /// The topic family.
    #[serde(with = "plain")]
    pub kind: AlertKind,
    /// The rule.
    #[serde(with = "plain")]
    pub rule: Rule,
    /// The scheme it is about; `None` for identity.
    #[serde(with = "opt")]
    pub scheme: Option<Scheme>,
    /// The person.
    #[serde(with = "hex")]
    pub person: PersonId,
    /// Their number, masked; `None` without a usable one.
    pub masked_number: Option<String>,
    /// The city that is told.
    #[serde(with = "plain")]
    pub city: City,
    /// County of the person, six digits.
    pub county: Option<i32>,
    /// Since when it is so, by the facts.
    #[serde(with = "plain")]
    pub since: Day,
    /// Business date of the judgement.
    #[serde(with = "plain")]
    pub business_date: Day,
    /// How a double enrolment is to be read.
    #[serde(with = "opt")]
    pub overlap: Option<Overlap>,
    /// Reason on the form, for unenrolled people.
    #[serde(with = "opt")]
    pub reason: Option<FormReason>,
    /// Cities where the relations concerned are.
    #[serde(with = "list")]
    pub places: Vec<City>,
    /// The facts.
    pub evidence: Vec<Evidence>,
    /// What would clear it.
    #[serde(with = "plain")]
    pub remedy: Remedy,
    /// What an absence was compared with.
    #[serde(with = "opt")]
    pub scope: Option<Scope>,
    /// The broker's time of the log entry that released it.
    #[serde(with = "plain")]
    pub announced_at: Timestamp,
}

impl Payload for AlertEvent {
    const KIND: Kind = Kind::AlertEvent;
}

/// What an event says beside the finding itself: read from the base when it is released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The person's number, masked; `None` without a usable one.
    pub masked_number: Option<String>,
    /// Where the person counts; its county is told.
    pub region: Option<Division>,
    /// The business date of the release.
    pub business_date: Day,
    /// The finding's facts with their sources, in the finding's order.
    pub evidence: Vec<Evidence>,
    /// The broker's time of the log entry that released it.
    pub announced_at: Timestamp,
}

impl AlertEvent {
    /// The event as subscribers receive it.
    pub fn new(event: &Event, context: Context) -> Self {
        let finding = &event.told.finding;
        Self {
            event_id: event.id,
            finding_id: event.finding_id,
            revision: event.told.revision,
            action: event.kind,
            cause: event.cause,
            kind: finding.rule.alert_kind(),
            rule: finding.rule,
            scheme: finding.scheme,
            person: event.told.person,
            masked_number: context.masked_number,
            city: event.told.region,
            county: context.region.map(|place| place.county() as i32),
            since: finding.since,
            business_date: context.business_date,
            overlap: finding.overlap,
            reason: finding.reason,
            places: finding.places.clone(),
            evidence: context.evidence,
            remedy: Remedy::of(finding.rule, finding.overlap),
            scope: Scope::of(finding.rule),
            announced_at: context.announced_at,
        }
    }
}

/// The latest announced state of a finding (疑点); the fields are those of [`AlertEvent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented at AlertEvent")]
pub struct FindingState {
    #[serde(with = "hex")]
    pub finding_id: FindingId,
    pub revision: u32,
    /// Whether subscribers are told that it stands.
    #[serde(with = "plain")]
    pub state: FindingStatus,
    #[serde(with = "plain")]
    pub cause: Cause,
    #[serde(with = "plain")]
    pub kind: AlertKind,
    #[serde(with = "plain")]
    pub rule: Rule,
    #[serde(with = "opt")]
    pub scheme: Option<Scheme>,
    #[serde(with = "hex")]
    pub person: PersonId,
    pub masked_number: Option<String>,
    #[serde(with = "plain")]
    pub city: City,
    pub county: Option<i32>,
    #[serde(with = "plain")]
    pub since: Day,
    #[serde(with = "plain")]
    pub business_date: Day,
    #[serde(with = "opt")]
    pub overlap: Option<Overlap>,
    #[serde(with = "opt")]
    pub reason: Option<FormReason>,
    #[serde(with = "list")]
    pub places: Vec<City>,
    pub evidence: Vec<Evidence>,
    #[serde(with = "plain")]
    pub remedy: Remedy,
    #[serde(with = "opt")]
    pub scope: Option<Scope>,
    #[serde(with = "plain")]
    pub announced_at: Timestamp,
}

impl FindingState {
    /// What subscribers know by it. Of a cleared finding, facts may be missing that were not known any more when it was cleared.
    pub fn told(&self) -> Told {
        let evidence = self.evidence.iter().map(|fact| domain::finding::Evidence {
            role: fact.role,
            record: fact.record,
        });
        Told {
            person: self.person,
            revision: self.revision,
            open: self.state == FindingStatus::Open,
            region: self.city,
            finding: Finding {
                rule: self.rule,
                scheme: self.scheme,
                since: self.since,
                overlap: self.overlap,
                reason: self.reason,
                places: self.places.clone(),
                evidence: evidence.collect(),
            },
        }
    }
}

impl Payload for FindingState {
    const KIND: Kind = Kind::FindingState;
}

impl From<AlertEvent> for FindingState {
    /// The state after an event, a baseline included.
    fn from(event: AlertEvent) -> Self {
        Self {
            finding_id: event.finding_id,
            revision: event.revision,
            state: if event.action == EventKind::Clear {
                FindingStatus::Cleared
            } else {
                FindingStatus::Open
            },
            cause: event.cause,
            kind: event.kind,
            rule: event.rule,
            scheme: event.scheme,
            person: event.person,
            masked_number: event.masked_number,
            city: event.city,
            county: event.county,
            since: event.since,
            business_date: event.business_date,
            overlap: event.overlap,
            reason: event.reason,
            places: event.places,
            evidence: event.evidence,
            remedy: event.remedy,
            scope: event.scope,
            announced_at: event.announced_at,
        }
    }
}
