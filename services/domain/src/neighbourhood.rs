//! Stratum 1 of identity: which records under one number are one person (design 3).
//!
//! A neighbourhood holds the records that share a number (homes), and copies of records whose person was found to live here
//! (guests). [`place`] decides, from the homes alone, who holds the number, who stands apart and who follows a correction to another
//! number. It is a function of a set: the order of arrival of records does not exist in it.

use crate::citizen_id::CitizenId;
use crate::facts::{Facts, FactsKind};
use crate::ids::{AnchorId, IdKey, PersonId, RecordId};
use crate::input::Guest;
use crate::name::{Name, NameMatch};
use crate::person::Standing;
use crate::record::SourceRecord;
use crate::source::Agency;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many corrections a copy follows at most; a longer chain is no history of a person but a broken register.
const MAX_HOPS: usize = 8;

/// A record in a neighbourhood.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// The record, or the copy of it.
    pub record: SourceRecord,
    /// Empty for a home record; for a guest the neighbourhoods it came through, its home first.
    pub path: Vec<AnchorId>,
}

impl Member {
    /// A record at home.
    pub fn home(record: SourceRecord) -> Self {
        Self {
            record,
            path: Vec::new(),
        }
    }

    /// Whether this is a guest copy.
    pub fn is_guest(&self) -> bool {
        !self.path.is_empty()
    }

    /// The slot it occupies: one per record and sender, so that copies from an old and a new home are told apart.
    pub fn slot(&self) -> (RecordId, Option<AnchorId>) {
        (self.record.id, self.path.last().copied())
    }
}

impl From<Guest> for Member {
    fn from(guest: Guest) -> Self {
        Self {
            record: guest.record,
            path: guest.path,
        }
    }
}

/// A person as placed: who they are, and which members are theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedPerson {
    /// The person's id.
    pub id: PersonId,
    /// Holder of the number, apart from it, or without one.
    pub standing: Standing,
    /// The number, for its holder.
    pub number: Option<CitizenId>,
    /// Indexes into the members, ascending.
    pub members: Vec<usize>,
    /// For a holder, the records that stand apart under the number.
    pub conflicting: Vec<RecordId>,
}

/// Where every member of a neighbourhood belongs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// The persons here, by id.
    pub persons: Vec<PlacedPerson>,
    /// Members whose person lives with another number: index and that number.
    pub away: Vec<(usize, CitizenId)>,
}

/// Places the members of the neighbourhood `here`.
///
/// Of several copies of one record only the newest counts; the others are on their way out (design 3: it appears before it disappears).
pub fn place(here: AnchorId, members: &[Member], key: &IdKey) -> Placement {
    let mut newest: BTreeMap<RecordId, usize> = BTreeMap::new();
    for (at, member) in members.iter().enumerate() {
        let best = newest.entry(member.record.id).or_insert(at);
        if rank(member) > rank(&members[*best]) {
            *best = at;
        }
    }
    let mut indexes: Vec<usize> = newest.into_values().collect();
    indexes.sort_unstable();

    let number = indexes
        .iter()
        .filter(|at| !members[**at].is_guest())
        .find_map(|at| members[*at].record.group_number());
    let mut ground = Ground::survey(members, &indexes, here, key);
    let mut placement = Placement::default();
    let mut holder: Vec<usize> = Vec::new();
    let mut apart: BTreeMap<Option<String>, Vec<usize>> = BTreeMap::new();
    let mut alone: Vec<usize> = Vec::new();
    let mut staying: Vec<usize> = Vec::new();

    for at in indexes {
        match ground.heir_of(&members[at]) {
            Some(heir) => placement.away.push((at, heir)),
            None => staying.push(at),
        }
    }
    if ground.authority.is_empty() {
        ground.settle_without_authority(members, &staying);
    }
    for at in staying {
        let member = &members[at];
        match &member.record.identity.name {
            _ if ground.fits_holder(member) => holder.push(at),
            Some(name) => apart.entry(Some(name.key())).or_default().push(at),
            None => alone.push(at),
        }
    }
    // A number nobody holds has no holder to join: guests and the nameless stand apart like the rest.
    if !holder.iter().any(|at| !members[*at].is_guest()) {
        alone.extend(holder.drain(..).filter(|at| match &members[*at].record.identity.name {
            Some(name) => {
                apart.entry(Some(name.key())).or_default().push(*at);
                false
            }
            None => true,
        }));
    }

    let groups: Vec<Vec<usize>> = apart.into_values().chain(alone.into_iter().map(|at| vec![at])).collect();
    let conflicting: Vec<RecordId> = {
        let mut records: Vec<RecordId> = groups.iter().flatten().map(|at| members[*at].record.id).collect();
        records.sort_unstable();
        records
    };
    for mut group in groups {
        group.sort_unstable();
        let numbered = number.is_some() || members[group[0]].is_guest();
        let standing = if numbered { Standing::Apart } else { Standing::Provisional };
        placement.persons.push(PlacedPerson {
            id: lowest(members, &group).into(),
            standing,
            number: None,
            members: group,
            conflicting: Vec::new(),
        });
    }
    if !holder.is_empty() {
        // A number that was somebody's before is no name for who holds it now (design 3, "Ids").
        let id = if ground.heirs.is_empty() {
            here.into()
        } else {
            lowest(members, &holder).into()
        };
        placement.persons.push(PlacedPerson {
            id,
            standing: Standing::Holder,
            number,
            members: holder,
            conflicting,
        });
    }
    placement.persons.sort_by_key(|person| person.id);
    placement
}

/// Which of two copies of one record counts: the newest version, a home before a guest, the shorter way, the lower path.
fn rank(member: &Member) -> (crate::source::Version, bool, std::cmp::Reverse<(usize, &[AnchorId])>) {
    (
        member.record.version,
        !member.is_guest(),
        std::cmp::Reverse((member.path.len(), &member.path)),
    )
}

/// The lowest record of a group, at home if any is.
fn lowest(members: &[Member], group: &[usize]) -> RecordId {
    group
        .iter()
        .map(|at| &members[*at])
        .min_by_key(|member| (member.is_guest(), member.record.id))
        .expect("a group has a member")
        .record
        .id
}

/// What the home records say about the number: the evidence everything here is compared with.
struct Ground<'a> {
    /// Public security's register rows for the number: they decide who holds it.
    authority: Vec<&'a SourceRecord>,
    /// Names that fit the holder; `None` when nobody holds the number.
    holder: Option<Vec<&'a Name>>,
    /// Corrections that retire the number: whose it was, and where they went.
    heirs: Vec<(RecordId, Option<&'a Name>, CitizenId)>,
    /// The neighbourhood itself.
    here: AnchorId,
    key: &'a IdKey,
}

impl<'a> Ground<'a> {
    fn survey(members: &'a [Member], indexes: &[usize], here: AnchorId, key: &'a IdKey) -> Self {
        let homes = || {
            indexes
                .iter()
                .map(|at| &members[*at])
                .filter(|member| !member.is_guest())
                .map(|member| &member.record)
        };
        let authority: Vec<&SourceRecord> = homes()
            .filter(|record| {
                record.source.agency == Agency::PublicSecurity
                    && record.facts.kind() == FactsKind::Resident
                    && record.group_number().is_some()
            })
            .collect();
        let mut heirs: Vec<(RecordId, Option<&Name>, CitizenId)> = homes()
            .filter_map(|record| match &record.facts {
                Facts::Correction(correction) if correction.heir != correction.former => {
                    Some((record.id, record.identity.name.as_ref(), correction.heir))
                }
                _ => None,
            })
            .collect();
        heirs.sort_unstable_by_key(|(record, _, heir)| (*heir, *record));
        let holder = if authority.is_empty() {
            None
        } else {
            one_name(authority.iter().copied())
        };
        Self {
            authority,
            holder,
            heirs,
            here,
            key,
        }
    }

    /// Without public security the holder is the one name that all who stay share.
    fn settle_without_authority(&mut self, members: &'a [Member], staying: &[usize]) {
        let homes: Vec<&SourceRecord> = staying
            .iter()
            .map(|at| &members[*at])
            .filter(|member| !member.is_guest() && member.record.facts.kind() != FactsKind::Correction)
            .map(|member| &member.record)
            .collect();
        let numbered = homes.iter().any(|record| record.group_number().is_some());
        self.holder = if numbered { one_name(homes.into_iter()) } else { None };
    }

    fn fits_holder(&self, member: &Member) -> bool {
        match (&self.holder, &member.record.identity.name) {
            (None, _) => false,
            // The number alone vouches for a row that states no name.
            (Some(_), None) => true,
            // Nobody under the number states a name: there is nothing to contradict a guest.
            (Some(names), Some(_)) if names.is_empty() => true,
            (Some(names), Some(name)) => names.iter().any(|holder| fits(holder, name)),
        }
    }

    /// Where a member's person went, if a correction says so and the holder does not claim the member.
    fn heir_of(&self, member: &Member) -> Option<CitizenId> {
        if self.heirs.is_empty()
            || member.path.len() >= MAX_HOPS
            || self.authority.iter().any(|record| record.id == member.record.id)
        {
            return None;
        }
        let own = self
            .heirs
            .iter()
            .filter(|(record, ..)| *record == member.record.id && !member.is_guest());
        let candidates: Vec<CitizenId> = if own.clone().next().is_some() {
            own.map(|(.., heir)| *heir).collect()
        } else {
            if !self.authority.is_empty() && self.fits_holder(member) {
                return None;
            }
            let stated = member.record.identity.name.as_ref();
            self.heirs
                .iter()
                .filter(|(_, name, _)| match (name, stated) {
                    (Some(name), Some(stated)) => fits(name, stated),
                    // The number alone vouches for a row without a name, as it does for a holder.
                    _ => true,
                })
                .map(|(.., heir)| *heir)
                .collect()
        };
        let heir = *candidates.first()?;
        // Two heirs that both fit are a question for a human; a way back would never end.
        let one = candidates.iter().all(|candidate| *candidate == heir);
        let target = self.key.number(heir);
        (one && target != self.here && !member.path.contains(&target)).then_some(heir)
    }
}

fn fits(name: &Name, other: &Name) -> bool {
    !matches!(name.compare(other), NameMatch::Different)
}

/// The one name some records share, with the former names they state; `None` when they state several.
fn one_name<'a>(records: impl Iterator<Item = &'a SourceRecord> + Clone) -> Option<Vec<&'a Name>> {
    let mut names: Vec<&Name> = records.clone().filter_map(|record| record.identity.name.as_ref()).collect();
    if names.iter().any(|name| name.key() != names[0].key()) {
        return None;
    }
    names.extend(records.filter_map(|record| match &record.facts {
        Facts::Resident(resident) => resident.former_name.as_ref(),
        _ => None,
    }));
    names.sort_unstable();
    names.dedup();
    Some(names)
}
