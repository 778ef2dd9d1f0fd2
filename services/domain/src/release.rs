//! Release (发布): when what is open may be told to subscribers, and as which events (ARCHITECTURE.md, Findings and release).
//!
//! Open is what the rules say; announced is what subscribers were told. An event is due when the two differ and every source
//! concerned is complete past the facts the difference rests on.

mod held;

use crate::date::{Day, Timestamp};
use crate::division::City;
use crate::facts::coded;
use crate::finding::{About, Finding};
use crate::ids::{AnchorId, EventId, FindingId, IdKey, PersonId, RecordId};
use crate::neighbourhood::{Member, Seat};
use crate::policy::ReleaseRules;
use crate::shard_state::ShardState;
use crate::source::Source;
use held::{Claim, held_back};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What subscribers were last told of a finding (已公布).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Whom it is about.
    pub person: PersonId,
    /// Revision of the last event; revisions are dense from 1.
    pub revision: u32,
    /// Whether it was told as open.
    pub open: bool,
    /// The region it was told to.
    pub region: City,
    /// The finding as told.
    pub finding: Finding,
}

coded! {
    /// What an event says.
    EventKind {
        /// The finding opened (新增).
        Open = 1 "open",
        /// It is still open but reads differently (变更).
        Amend = 2 "amend",
        /// It is no longer so (消除).
        Clear = 3 "clear",
    }
}

coded! {
    /// Why an event was made.
    Cause {
        /// Facts or time changed.
        News = 1 "news",
        /// The person moved to another region: the same finding, told elsewhere.
        Moved = 2 "moved",
        /// It was open at go-live: for work lists and counts, never an alert.
        Baseline = 3 "baseline",
    }
}

/// An event to publish (预警事件).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id: hash of finding and revision.
    pub id: EventId,
    /// The finding.
    pub finding_id: FindingId,
    /// What it says.
    pub kind: EventKind,
    /// Why.
    pub cause: Cause,
    /// What subscribers know after it.
    pub told: Told,
}

/// The open side of a release: a person as the base now has them, or nobody when they are gone.
#[derive(Debug, Clone, Copy)]
pub struct OpenSide<'a> {
    /// The person.
    pub person: PersonId,
    /// Their neighbourhood.
    pub anchor: AnchorId,
    /// Their region; findings without one cannot be told.
    pub region: Option<City>,
    /// Open findings.
    pub findings: &'a [Finding],
    /// The sources of the person's records.
    pub sources: &'a [Source],
    /// Their records of which only the person can be read, by id: nothing is told on a misreading.
    pub unreadable: &'a BTreeSet<RecordId>,
    /// Their records that may be gone, since their table was truncated and nobody knows yet what was loaded again.
    pub unsure: &'a BTreeSet<RecordId>,
    /// What findings are about that were told of this person elsewhere, before they came here: opening them is no news.
    pub arrived: &'a [About],
    /// The person is gone from here because their records belong to a person elsewhere: clearing is no news.
    pub left: bool,
}

/// What a release came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Released {
    /// Events, in the order to publish them.
    pub events: Vec<Event>,
    /// What differences still wait for, each for itself.
    pub waiting: BTreeMap<About, Waiting>,
}

/// What a difference waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// No source has stated completeness yet.
    ForCompleteness,
    /// This source is not complete past the facts.
    ForSource(Source),
    /// A row that the finding rests on, or rests on the absence of, cannot be read or may be gone: it stays as it was told, unsure (存疑).
    ForRow(RecordId),
}

/// The doubtful row that a finding rests on: as evidence, or because it claims an absence.
fn doubt(finding: &Finding, doubtful: &BTreeSet<RecordId>) -> Option<RecordId> {
    let evidence = finding.evidence.iter().map(|fact| fact.record);
    let rested = evidence.clone().find(|record| doubtful.contains(record));
    let absent = || doubtful.first().copied().filter(|_| finding.rule.claims_absence());
    rested.or_else(absent)
}

impl OpenSide<'_> {
    /// The row that keeps what was told open (`told`) from being told as it is `now`: what was told rests on it, or, of a row that may be
    /// gone, what would be told. One that cannot be read states nothing that could be told.
    fn doubt(&self, told: Option<&Told>, now: Option<&Finding>) -> Option<RecordId> {
        let changed = told.map(|told| &told.finding).filter(|told| Some(*told) != now);
        // Where somebody counts was read from rows too, and what is left of those may name another place.
        let moved = now.is_some() && told.is_some_and(|told| Some(told.region) != self.region);
        let rested = changed.and_then(|told| doubt(told, self.unreadable).or_else(|| doubt(told, self.unsure)));
        let unplaced = || self.unreadable.first().or(self.unsure.first()).copied().filter(|_| moved);
        rested
            .or_else(unplaced)
            .or_else(|| now.and_then(|finding| doubt(finding, self.unsure)))
    }
}

/// Compares what is open with what was told, and makes the events that may be told now.
///
/// `pending` names the differences to look at, with the append time of the newest fact behind each; `rules` are the policy's, without which
/// everything waits for every source.
pub fn release(
    open: &OpenSide<'_>,
    told: &[Told],
    state: &ShardState,
    pending: &BTreeMap<About, Timestamp>,
    rules: Option<&ReleaseRules>,
    key: &IdKey,
) -> Released {
    let mut released = Released::default();
    let live = open.region.filter(|region| state.is_live(*region, open.anchor));
    let cause = |moved: bool| if moved { Cause::Moved } else { Cause::News };
    for finding in open.findings {
        let about = finding.about();
        let Some(facts_at) = pending.get(&about).copied() else {
            continue;
        };
        let id = finding.id(open.person, open.anchor, key);
        let known = told.iter().find(|told| told.finding.about() == about);
        let steps = opening(finding, live, known, cause(open.arrived.contains(&about)));
        if steps.is_empty() {
            continue;
        }
        if let Some(record) = open.doubt(known.filter(|told| told.open), Some(finding)) {
            released.waiting.insert(about, Waiting::ForRow(record));
            continue;
        }
        // An amendment may come from a fact that went away, like a clearing.
        let sources = if known.is_some_and(|told| told.open) {
            &[]
        } else {
            open.sources
        };
        let claim = Claim {
            rule: finding.rule,
            region: open.region,
            sources,
            facts_at,
        };
        if let Some(waiting) = held_back(&claim, state, rules) {
            released.waiting.insert(about, waiting);
            continue;
        }
        let mut revision = known.map_or(0, |told| told.revision);
        for (kind, cause, region, finding) in steps {
            revision += 1;
            let told = Told {
                person: open.person,
                revision,
                open: kind != EventKind::Clear,
                region,
                finding: finding.clone(),
            };
            released.events.push(Event {
                id: key.event(id, revision),
                finding_id: id,
                kind,
                cause,
                told,
            });
        }
    }
    for known in told.iter().filter(|told| told.open) {
        let about = known.finding.about();
        let Some(facts_at) = pending.get(&about).copied() else {
            continue;
        };
        if open.findings.iter().any(|finding| finding.about() == about) {
            continue;
        }
        if let Some(record) = open.doubt(Some(known), None) {
            released.waiting.insert(about, Waiting::ForRow(record));
            continue;
        }
        // Which source may bring the fact back cannot be seen from the records that are left: all count.
        let claim = Claim {
            rule: known.finding.rule,
            region: Some(known.region),
            sources: &[],
            facts_at,
        };
        if let Some(waiting) = held_back(&claim, state, rules) {
            released.waiting.insert(about, waiting);
            continue;
        }
        let id = known.finding.id(known.person, open.anchor, key);
        let told = Told {
            revision: known.revision + 1,
            open: false,
            ..known.clone()
        };
        released.events.push(Event {
            id: key.event(id, told.revision),
            finding_id: id,
            kind: EventKind::Clear,
            cause: cause(open.left && known.finding.rule.travels()),
            told,
        });
    }
    released
}

type Step<'a> = (EventKind, Cause, City, &'a Finding);

/// The events that bring subscribers from what they know to an open finding.
fn opening<'a>(finding: &'a Finding, live: Option<City>, known: Option<&'a Told>, first: Cause) -> Vec<Step<'a>> {
    match (known.filter(|told| told.open), live) {
        (None, None) => Vec::new(),
        (None, Some(region)) => vec![(EventKind::Open, first, region, finding)],
        (Some(told), Some(region)) if told.region == region => {
            if told.finding == *finding {
                Vec::new()
            } else {
                vec![(EventKind::Amend, Cause::News, region, finding)]
            }
        }
        // Each region's topic folds by itself: it is cleared where they were and opened where they are, never as news.
        (Some(told), Some(region)) => vec![
            (EventKind::Clear, Cause::Moved, told.region, &told.finding),
            (EventKind::Open, Cause::Moved, region, finding),
        ],
        (Some(told), None) => vec![(EventKind::Clear, Cause::Moved, told.region, &told.finding)],
    }
}

/// At go-live everything open in the region becomes the baseline: revision 1, told to work lists and counts, not as alerts.
pub fn baseline(open: &OpenSide<'_>, told: &[Told], region: City, key: &IdKey) -> Vec<Event> {
    if open.region != Some(region) {
        return Vec::new();
    }
    open.findings
        .iter()
        .filter(|finding| !told.iter().any(|told| told.open && told.finding.about() == finding.about()))
        .map(|finding| {
            let id = finding.id(open.person, open.anchor, key);
            let revision = 1 + told
                .iter()
                .find(|told| told.finding.about() == finding.about())
                .map_or(0, |told| told.revision);
            let told = Told {
                person: open.person,
                revision,
                open: true,
                region,
                finding: finding.clone(),
            };
            Event {
                id: key.event(id, revision),
                finding_id: id,
                kind: EventKind::Open,
                cause: Cause::Baseline,
                told,
            }
        })
        .collect()
}

/// Where the findings told about persons who are gone from a neighbourhood carry over to: where its first record went.
pub fn heir<'a>(members: impl IntoIterator<Item = &'a Member>) -> Option<Seat> {
    let sent = members
        .into_iter()
        .filter_map(|member| Some((member.record.id, member.sent?)));
    sent.min_by_key(|(record, _)| *record).map(|(_, seat)| seat)
}

/// What a difference caused by a date rests on: everything before that day began.
pub fn facts_at_start_of(day: Day) -> Timestamp {
    day.start_in_shanghai()
}

#[cfg(test)]
mod tests;
