//! `findings` and `alerts.*` against what the base has announced: per finding, dense revisions that alternate open, amend*, clear; the last
//! state as announced; each event once, under the id of its finding and revision (ARCHITECTURE.md, Findings and release).

mod check;

use super::announced::{Row as AnnouncedRow, announced_row};
use super::compare::{Problems, TableReport};
use super::expected::Sheet;
use super::published::{Record, Stage, alerts_of, digest, unreadable};
use crate::cursor::Cursor;
use anyhow::Context;
use check::{of_alerts, of_state};
use domain::date::{Day, Timestamp};
use domain::ids::{FindingId, IdKey};
use domain::release::{Cause, Event, EventKind, Told};
use runtime::kafka::topics::FINDINGS;
use schemas::event::{self, AlertEvent, FindingState, FindingStatus};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use std::collections::HashMap;

/// The states and the alerts that were published.
pub(super) const TABLES: &[&str] = &[
    "create temp table verify_state (finding bytea, stage smallint, revision int, open boolean, baseline boolean, told bytea, whole bytea)
     on commit drop",
    "create temp table verify_alert (finding bytea, stage smallint, revision int, action smallint, whole bytea) on commit drop",
];

type Digest = [u8; 16];

/// A message of `findings`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    stage: Stage,
    revision: u32,
    open: bool,
    baseline: bool,
    /// What the base keeps of it, see [`told_digest`].
    told: Digest,
    /// All of it.
    whole: Digest,
}

/// A message of `alerts.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Alert {
    stage: Stage,
    revision: u32,
    action: EventKind,
    /// The digest of the state that follows from it.
    whole: Digest,
}

/// What the base has announced.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    revision: u32,
    open: bool,
    told: Digest,
}

/// Both topics on their way into their tables. Of a partition of `findings` only the last state of each finding is kept.
pub(super) struct Sink<'a> {
    key: &'a IdKey,
    states: Sheet,
    alerts: Sheet,
    folded: HashMap<FindingId, State>,
    of_states: Problems,
    of_alerts: Problems,
}

impl<'a> Sink<'a> {
    pub(super) fn new(key: &'a IdKey, show: u32) -> Self {
        Self {
            key,
            states: Sheet::new("verify_state", 7),
            alerts: Sheet::new("verify_alert", 5),
            folded: HashMap::new(),
            of_states: Problems::new(FINDINGS, show),
            of_alerts: Problems::new("alerts", show),
        }
    }

    pub(super) fn sheets(&mut self) -> [&mut Sheet; 2] {
        [&mut self.states, &mut self.alerts]
    }

    /// Alerts are kept for ever: what is gone cannot be checked.
    pub(super) fn begins_late(&mut self, topic: &str, partition: i32, low: i64) {
        let problem = format!("begins at offset {low}: what was told before is gone");
        self.of_alerts.note(format!("{topic}/{partition}"), problem);
    }

    /// Takes a message of `findings`.
    pub(super) fn state(&mut self, record: &Record<'_>) {
        self.of_states.rows += 1;
        let Some(value) = record.value else {
            if let Some(finding) = id(record.key) {
                self.folded.remove(&finding);
            }
            return self.of_states.note(record.place(), "takes a finding back, which nobody does");
        };
        let Ok(found) = event::decode::<FindingState>(value) else {
            return unreadable(&mut self.of_states, record);
        };
        if id(record.key) != Some(found.finding_id) {
            return self.of_states.note(record.place(), "states another finding than its key");
        }
        let finding = found.finding_id;
        let state = State {
            stage: record.stage,
            revision: found.revision,
            open: found.state == FindingStatus::Open,
            baseline: found.cause == Cause::Baseline,
            told: told_digest(&found),
            whole: digest(&event::encode(&found)),
        };
        if record.stage != Stage::Before {
            return self.put(finding, &state);
        }
        if let Some(last) = self.folded.get(&finding)
            && last.revision >= state.revision
        {
            let problem = format!("revision {} follows revision {}", state.revision, last.revision);
            self.of_states.note(finding.to_string(), problem);
        }
        self.folded.insert(finding, state);
    }

    /// Takes an alert.
    pub(super) fn alert(&mut self, record: &Record<'_>) {
        self.of_alerts.rows += 1;
        let Some(Ok(alert)) = record.value.map(event::decode::<AlertEvent>) else {
            return unreadable(&mut self.of_alerts, record);
        };
        if let Some(problem) = misplaced(&alert, record, self.key) {
            self.of_alerts.note(record.place(), problem);
        }
        let (finding, revision, action) = (alert.finding_id, alert.revision, alert.action);
        let whole = digest(&event::encode(&FindingState::from(alert)));
        self.alerts
            .rows
            .row()
            .bytes(&finding.bytes()[..])
            .int2(record.stage as i16)
            .int4(revision as i32)
            .int2(i16::from(action.code()))
            .bytes(&whole[..]);
    }

    /// The partition has been read: what it folds to.
    pub(super) fn partition_ends(&mut self) {
        for (finding, state) in std::mem::take(&mut self.folded) {
            self.put(finding, &state);
        }
    }

    fn put(&mut self, finding: FindingId, state: &State) {
        self.states
            .rows
            .row()
            .bytes(&finding.bytes()[..])
            .int2(state.stage as i16)
            .int4(state.revision as i32)
            .bool(state.open)
            .bool(state.baseline)
            .bytes(&state.told[..])
            .bytes(&state.whole[..]);
    }

    /// Compares finding by finding.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn compare(mut self, connection: &mut PgConnection) -> anyhow::Result<Vec<TableReport>> {
        // A person without a number who came from another shard has left a row there: the newest is what was told last.
        let query = "select coalesce(a.finding, s.finding, e.finding) as finding, a.known, a.shard, a.anchor, a.person, a.about, a.revision, a.open,
                    a.region, a.body, s.stages, s.revisions, s.opens, s.baselines, s.tolds, s.wholes,
                    e.alert_stages, e.alert_revisions, e.actions, e.alert_wholes
             from (select distinct on (finding) *, true as known from store.announced order by finding, revision desc, open desc) a
             full join (select finding, array_agg(stage) as stages, array_agg(revision) as revisions, array_agg(open) as opens,
                               array_agg(baseline) as baselines, array_agg(told) as tolds, array_agg(whole) as wholes
                        from pg_temp.verify_state group by finding) s on s.finding = a.finding
             full join (select finding, array_agg(stage) as alert_stages, array_agg(revision) as alert_revisions,
                               array_agg(action) as actions, array_agg(whole) as alert_wholes
                        from pg_temp.verify_alert group by finding) e on e.finding = coalesce(a.finding, s.finding)";
        let cursor = Cursor::open(connection, "verify_told", "what was told", query).await?;
        loop {
            let rows = cursor.page(connection).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                self.compare_row(row)?;
            }
        }
        cursor.close(connection).await?;
        Ok(vec![self.of_states.report(), self.of_alerts.report()])
    }

    fn compare_row(&mut self, row: &PgRow) -> anyhow::Result<()> {
        let finding = match FindingId::from_slice(row.try_get("finding")?) {
            Some(finding) => finding.to_string(),
            None => "a stored id that is none".to_owned(),
        };
        let known = if row.try_get::<Option<bool>, _>("known")?.is_some() {
            match announced_row(row) {
                // Said where announcements are compared.
                Err(_) => return Ok(()),
                Ok(announced) => Some(known(&announced, self.key)),
            }
        } else {
            None
        };
        let (states, alerts) = (states(row)?, alerts(row)?);
        let newest = known.as_ref().map_or(0, |known| known.revision);
        // What was published since may be newer than the snapshot of the store.
        let counts = |stage: Stage, revision: u32| stage != Stage::Since || revision <= newest;
        let states: Vec<State> = states
            .into_iter()
            .filter(|state| counts(state.stage, state.revision))
            .collect();
        let alerts: Vec<Alert> = alerts
            .into_iter()
            .filter(|alert| counts(alert.stage, alert.revision))
            .collect();
        let last = states.iter().max_by_key(|state| state.revision);
        if let Some(problem) = of_state(known.as_ref(), last) {
            self.of_states.note(finding.clone(), problem);
        }
        if let Some(problem) = of_alerts(known.as_ref(), &states, &alerts) {
            self.of_alerts.note(finding, problem);
        }
        Ok(())
    }
}

fn id(key: &[u8]) -> Option<FindingId> {
    std::str::from_utf8(key).ok()?.parse().ok()
}

/// What of an alert does not go with where it stands, or with its own parts.
fn misplaced(alert: &AlertEvent, record: &Record<'_>, key: &IdKey) -> Option<&'static str> {
    let expected = runtime::outbox::decode(&runtime::outbox::headers(alert)).unwrap_or_default();
    let says = |(name, value): &(String, String)| {
        let found = record.headers.iter().find(|(other, _)| other == name);
        found.map_or(runtime::outbox::ADDED.contains(&name.as_str()), |(_, found)| found == value)
    };
    if alert.event_id != key.event(alert.finding_id, alert.revision) {
        Some("has an event id that is none of its finding and revision")
    } else if alerts_of(record.topic) != Some((alert.kind, alert.city)) {
        Some("belongs in another topic")
    } else if id(record.key) != Some(alert.finding_id) {
        Some("tells of another finding than its key")
    } else if !expected.iter().all(says) {
        Some("has headers that say something else")
    } else if alert.cause == Cause::Baseline {
        Some("is of the baseline, which is no news")
    } else {
        None
    }
}

/// What the base keeps of a state: the finding as told, without what was read from the base beside it when it was released.
fn told_digest(state: &FindingState) -> Digest {
    let bare = FindingState {
        cause: Cause::News,
        masked_number: None,
        county: None,
        business_date: Day(0),
        evidence: Vec::new(),
        announced_at: Timestamp(0),
        ..state.clone()
    };
    digest(&event::encode(&bare))
}

fn known(row: &AnnouncedRow, key: &IdKey) -> Known {
    Known {
        revision: row.told.revision,
        open: row.told.open,
        told: told_digest(&bare_state(&row.told, row.finding, key)),
    }
}

/// The state that subscribers have of what was told, as far as the base keeps it.
fn bare_state(told: &Told, finding_id: FindingId, key: &IdKey) -> FindingState {
    let event = Event {
        id: key.event(finding_id, told.revision),
        finding_id,
        kind: if told.open { EventKind::Open } else { EventKind::Clear },
        cause: Cause::News,
        told: told.clone(),
    };
    let context = event::Context {
        masked_number: None,
        region: None,
        business_date: Day(0),
        evidence: Vec::new(),
        announced_at: Timestamp(0),
    };
    FindingState::from(AlertEvent::new(&event, context))
}

fn states(row: &PgRow) -> anyhow::Result<Vec<State>> {
    let stages: Vec<i16> = row.try_get::<Option<_>, _>("stages")?.unwrap_or_default();
    let revisions: Vec<i32> = row.try_get::<Option<_>, _>("revisions")?.unwrap_or_default();
    let opens: Vec<bool> = row.try_get::<Option<_>, _>("opens")?.unwrap_or_default();
    let baselines: Vec<bool> = row.try_get::<Option<_>, _>("baselines")?.unwrap_or_default();
    let tolds: Vec<Vec<u8>> = row.try_get::<Option<_>, _>("tolds")?.unwrap_or_default();
    let wholes: Vec<Vec<u8>> = row.try_get::<Option<_>, _>("wholes")?.unwrap_or_default();
    let state = |at: usize| {
        Some(State {
            stage: Stage::of(stages[at])?,
            revision: revisions[at] as u32,
            open: opens[at],
            baseline: baselines[at],
            told: tolds[at].as_slice().try_into().ok()?,
            whole: wholes[at].as_slice().try_into().ok()?,
        })
    };
    let states = (0..stages.len()).map(state).collect::<Option<_>>();
    states.context("a temporary table holds what nobody wrote")
}

fn alerts(row: &PgRow) -> anyhow::Result<Vec<Alert>> {
    let stages: Vec<i16> = row.try_get::<Option<_>, _>("alert_stages")?.unwrap_or_default();
    let revisions: Vec<i32> = row.try_get::<Option<_>, _>("alert_revisions")?.unwrap_or_default();
    let actions: Vec<i16> = row.try_get::<Option<_>, _>("actions")?.unwrap_or_default();
    let wholes: Vec<Vec<u8>> = row.try_get::<Option<_>, _>("alert_wholes")?.unwrap_or_default();
    let alert = |at: usize| {
        let action = EventKind::ALL.iter().find(|kind| i16::from(kind.code()) == actions[at]);
        Some(Alert {
            stage: Stage::of(stages[at])?,
            revision: revisions[at] as u32,
            action: *action?,
            whole: wholes[at].as_slice().try_into().ok()?,
        })
    };
    let alerts = (0..stages.len()).map(alert).collect::<Option<_>>();
    alerts.context("a temporary table holds what nobody wrote")
}

#[cfg(test)]
mod tests;
