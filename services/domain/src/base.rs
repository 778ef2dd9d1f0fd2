//! The base as a function: what a neighbourhood's members come to, and the whole base at once (ARCHITECTURE.md, The function).
//!
//! [`describe`] is the one function behind the registry (incremental), `canbao verify` and the tests; [`whole`] applies it to the
//! latest version of every record at once, without shards, messages or order.

use crate::assess::{assess, unjudged};
use crate::citizen_id::CitizenId;
use crate::date::Day;
use crate::decision::Rulings;
use crate::division::City;
use crate::engine::send_away;
use crate::facts::{ContributionStatus, Enrolment, Facts};
use crate::finding::Finding;
use crate::golden::{Golden, golden};
use crate::ids::{AnchorId, IdKey, PersonId, RecordId};
use crate::input::SnapshotFloor;
use crate::neighbourhood::{Member, place};
use crate::person::{PersonView, Standing};
use crate::policy::Policy;
use crate::record::{Change, SourceRecord};
use crate::region::region;
use crate::shard::Shard;
use crate::source::Version;
use std::collections::BTreeMap;

/// A person of the base (参保登记人员), with everything derived from the member records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their id.
    pub id: PersonId,
    /// The neighbourhood they are in.
    pub anchor: AnchorId,
    /// Holder of the number, apart from it, or without one.
    pub standing: Standing,
    /// The number, for its holder.
    pub number: Option<CitizenId>,
    /// Numbers that were theirs before a correction.
    pub former_numbers: Vec<CitizenId>,
    /// What is known of them, and from whom.
    pub golden: Golden,
    /// Where they count (属地), by policy the usual residence; `None` when nothing says.
    pub region: Option<City>,
    /// Their enrolments, one per source record, in order.
    pub enrolments: Vec<(RecordId, Enrolment)>,
    /// Open findings.
    pub findings: Vec<Finding>,
    /// The next date on which the findings may change by themselves.
    pub next_due: Option<Day>,
    /// Their records.
    pub members: Vec<Member>,
}

/// Enrolments that `person.registry` lists of a person at most: a number that everybody uses has thousands.
const MOST_PUBLISHED: usize = 64;

impl Person {
    /// The enrolments that are published of them, the ones of the lowest records, and how many there are besides.
    pub fn published_enrolments(&self) -> (&[(RecordId, Enrolment)], usize) {
        let (said, further) = self.enrolments.split_at(self.enrolments.len().min(MOST_PUBLISHED));
        (said, further.len())
    }

    /// Relations that exist (存续): an ended one does not count as enrolled.
    pub fn surviving(&self) -> impl Iterator<Item = &Enrolment> {
        self.enrolments
            .iter()
            .map(|(_, enrolment)| enrolment)
            .filter(|enrolment| enrolment.status != ContributionStatus::Ended)
    }
}

/// The persons of a neighbourhood, and the members that belong to none of them here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// The persons, by id.
    pub persons: Vec<Person>,
    /// Members whose person lives elsewhere, and superseded copies on their way out.
    pub away: Vec<Member>,
}

/// Derives the persons of a neighbourhood on a date, under the policy in force; before the first one nobody owes anything, and nobody counts
/// anywhere.
pub fn describe(
    anchor: AnchorId,
    members: &[Member],
    rulings: &Rulings,
    policy: Option<&Policy>,
    today: Day,
    key: &IdKey,
) -> Described {
    let survivorship = policy.map_or(&[][..], |policy| &policy.survivorship);
    let placement = place(anchor, members, rulings, key);
    let mut here = vec![false; members.len()];
    let persons = placement
        .persons
        .into_iter()
        .map(|placed| {
            placed.members.iter().for_each(|at| here[*at] = true);
            let records: Vec<&SourceRecord> = placed.members.iter().map(|at| &*members[*at].record).collect();
            let golden = golden(&records, placed.number, survivorship, today);
            let view = PersonView {
                standing: placed.standing,
                golden: &golden,
                members: &records,
                conflicting: &placed.conflicting,
            };
            let assessment = policy.map_or_else(|| unjudged(&golden, today), |policy| assess(&view, policy, today));
            let mut enrolments: Vec<(RecordId, Enrolment)> = records
                .iter()
                .filter_map(|record| match &record.facts {
                    Facts::Enrolment(enrolment) => Some((record.id, enrolment.clone())),
                    _ => None,
                })
                .collect();
            enrolments.sort_unstable_by_key(|(record, _)| *record);
            let former_numbers = former_numbers(placed.members.iter().map(|at| &members[*at]), placed.number, rulings);
            let stated = enrolments.iter().map(|(_, enrolment)| enrolment);
            let region = policy.and_then(|policy| region(&golden, stated, policy));
            Person {
                id: placed.id,
                anchor,
                standing: placed.standing,
                number: placed.number,
                former_numbers,
                region,
                enrolments,
                findings: assessment.open,
                next_due: assessment.next_due,
                golden,
                members: placed.members.iter().map(|at| members[*at].clone()).collect(),
            }
        })
        .collect();
    let away = members
        .iter()
        .zip(&here)
        .filter(|(_, here)| !**here)
        .map(|(member, _)| member.clone())
        .collect();
    Described { persons, away }
}

/// Numbers that lead to a person besides their own: those that were corrected, and those of records that decisions brought here.
fn former_numbers<'a>(members: impl Iterator<Item = &'a Member>, number: Option<CitizenId>, rulings: &Rulings) -> Vec<CitizenId> {
    let former = |member: &Member| match &member.record.facts {
        Facts::Correction(_) => member.record.given_up().map(|correction| correction.former),
        _ if member.is_guest() && rulings.class(member.record.id).is_some() => member.record.group_number(),
        _ => None,
    };
    let mut numbers: Vec<CitizenId> = members.filter_map(former).filter(|former| Some(*former) != number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// The whole base: every neighbourhood by shard and anchor.
pub type Base = BTreeMap<(Shard, AnchorId), Described>;

/// Computes the base from every version of every record, in any order, on a date.
pub fn whole<'a>(
    changes: impl IntoIterator<Item = &'a Change>,
    floors: &[SnapshotFloor],
    rulings: &Rulings,
    policy: Option<&Policy>,
    today: Day,
    key: &IdKey,
) -> Base {
    neighbourhoods(changes, floors, rulings, key)
        .into_iter()
        .map(|((shard, anchor), members)| ((shard, anchor), describe(anchor, &members, rulings, policy, today, key)))
        .collect()
}

/// The members of every neighbourhood, guests included, by shard and anchor. Of a record counts the newest version that could be read; a
/// newer one of which only the key could be makes it unreadable.
pub fn neighbourhoods<'a>(
    changes: impl IntoIterator<Item = &'a Change>,
    floors: &[SnapshotFloor],
    rulings: &Rulings,
    key: &IdKey,
) -> BTreeMap<(Shard, AnchorId), Vec<Member>> {
    let mut latest: BTreeMap<RecordId, &Change> = BTreeMap::new();
    let mut unread: BTreeMap<RecordId, Version> = BTreeMap::new();
    for change in changes {
        if let Change::Unread(of) = change {
            let known = unread.entry(of.id).or_insert(of.version);
            *known = of.version.max(*known);
            continue;
        }
        let known = latest.entry(change.id()).or_insert(change);
        if change.version() > known.version() {
            *known = change;
        }
    }
    let mut base: BTreeMap<(Shard, AnchorId), Vec<Member>> = BTreeMap::new();
    for change in latest.into_values() {
        let Change::Upsert(record) = change else { continue };
        let retired = floors.iter().any(|floor| floor.retires_record(record, key));
        if !retired {
            base.entry((record.home(), record.anchor(key)))
                .or_default()
                .push(Member::read(record, unread.get(&record.id).copied()));
        }
    }
    let mut waiting: Vec<(Shard, AnchorId)> = base.keys().copied().collect();
    for members in base.values_mut() {
        members.sort_by_key(Member::slot);
    }
    // Guests are no evidence for identity: where a copy goes depends on home records and on the copy alone, so each goes its way once.
    while let Some(place) = waiting.pop() {
        let Some(members) = base.get_mut(&place) else { continue };
        for (_, (to_shard, to), guest) in send_away(place.1, members, rulings, key) {
            let guest = Member::guest(place.0, guest);
            let target = base.entry((to_shard, to)).or_default();
            match target.binary_search_by_key(&guest.slot(), Member::slot) {
                Ok(found) if target[found].record == guest.record && target[found].path == guest.path => continue,
                Ok(found) => target[found] = guest,
                Err(at) => target.insert(at, guest),
            }
            waiting.push((to_shard, to));
        }
    }
    base
}
