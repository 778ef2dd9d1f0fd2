//! Strata 0 and 1 of identity: which records under one number are one person (ARCHITECTURE.md, Identity).
//!
//! A neighbourhood holds the records that share a number (homes), and copies of records whose person was found to live here
//! (guests). [`place`] decides, from the homes and the decisions alone, who holds the number, who stands apart and who goes to
//! another number, by a correction or by a decision. It is a function of a set: the order of arrival of records does not exist in it.

mod corrections;
mod ground;
mod names;
#[cfg(test)]
mod tests;

use crate::citizen_id::CitizenId;
use crate::decision::Rulings;
use crate::facts::Facts;
use crate::ids::{AnchorId, IdKey, PersonId, RecordId};
use crate::input::Guest;
use crate::person::Standing;
use crate::record::SourceRecord;
use crate::shard::Shard;
use crate::source::Version;
use ground::Ground;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A record in a neighbourhood.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// The record as it counts, or the copy of it: its facts are unreadable where a newer version of its row was `unread`. Shared: a batch
    /// holds each one as loaded, as changed and as part of a person.
    pub record: Arc<SourceRecord>,
    /// Empty for a home record; for a guest the neighbourhoods it came through, its home first.
    pub path: Vec<AnchorId>,
    /// For a guest, the shard that sent it: rows without a number keep their neighbourhood's name when they move to another shard.
    pub from: Option<Shard>,
    /// Where a guest copy of it was sent, when its person lives elsewhere.
    pub sent: Option<(Shard, AnchorId)>,
    /// For a home record, a newer version of its row of which only the key could be read: an update in place asks no directory, and may be
    /// older than that one.
    pub unread: Option<Version>,
}

impl Member {
    /// A record at home.
    pub fn home(record: Arc<SourceRecord>) -> Self {
        Self {
            record,
            path: Vec::new(),
            from: None,
            sent: None,
            unread: None,
        }
    }

    /// A record at home as it was read; `unread` is the newest version of its row of which only the key could be.
    pub fn read(record: &Arc<SourceRecord>, unread: Option<Version>) -> Self {
        let home = Self::home(Arc::clone(record));
        match unread {
            Some(unread) => home.marked(unread),
            None => home,
        }
    }

    /// A home record once a version of its row was seen of which only the key could be read: the same, unless that one is newer.
    #[must_use]
    pub fn marked(&self, unread: Version) -> Self {
        let mut member = self.clone();
        if unread > self.record.version {
            let facts = Facts::Unreadable(self.record.facts.kind());
            if self.record.facts != facts {
                Arc::make_mut(&mut member.record).facts = facts;
            }
            member.unread = self.unread.max(Some(unread));
        }
        member
    }

    /// A copy that a shard sent.
    pub fn guest(from: Shard, guest: Guest) -> Self {
        Self {
            record: guest.record,
            path: guest.path,
            from: Some(from),
            sent: None,
            unread: None,
        }
    }

    /// Whether this is a guest copy.
    pub fn is_guest(&self) -> bool {
        !self.path.is_empty()
    }

    /// The slot it occupies: one per record and sender, so that copies from an old and a new home are told apart.
    pub fn slot(&self) -> Slot {
        (self.record.id, self.from.zip(self.path.last().copied()))
    }
}

/// A record, and the neighbourhood that sent it, for a guest.
pub type Slot = (RecordId, Option<Seat>);

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
    /// Members whose person lives elsewhere: index, and where.
    pub away: Vec<(usize, Seat)>,
}

/// A neighbourhood of a shard.
pub type Seat = (Shard, AnchorId);

/// Places the members of the neighbourhood `here`, given in the order of their slots.
///
/// Of several copies of one record only the newest counts; the others are on their way out
/// (ARCHITECTURE.md, Where a record lives).
pub fn place(here: AnchorId, members: &[Member], rulings: &Rulings, key: &IdKey) -> Placement {
    debug_assert!(members.is_sorted_by_key(Member::slot), "members in the order of their slots");
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
    let mut ground = Ground::survey(members, &indexes, here, rulings, key);
    let mut placement = Placement::default();
    let mut staying: Vec<usize> = Vec::new();
    for at in indexes {
        match ground.seat_elsewhere(at) {
            Some(seat) => placement.away.push((at, seat)),
            None => staying.push(at),
        }
    }
    ground.settle(&staying);
    staying.retain(|at| !ground.is_nobodys(*at));
    let (mut holder, mut apart): (Vec<usize>, Vec<usize>) = staying.iter().partition(|at| ground.joins_holder(**at));
    // A number nobody holds has no holder to join: guests and the nameless stand apart like the rest. Guests alone hold a number that
    // a correction led them to.
    let speaks = |at: &usize| !members[*at].record.is_statement() && (!members[*at].is_guest() || ground.inherited().is_some());
    if !holder.iter().any(speaks) {
        apart.append(&mut holder);
        apart.sort_unstable();
    }

    let is_row = |at: &usize| !members[*at].record.is_statement();
    let mut conflicting: Vec<RecordId> = apart
        .iter()
        .filter(|at| is_row(at))
        .map(|at| members[*at].record.id)
        .collect();
    conflicting.sort_unstable();
    // Statements alone are no person.
    for group in ground.groups(&apart).into_iter().filter(|group| group.iter().any(is_row)) {
        let numbered = number.is_some() || members[group[0]].record.group_number().is_some();
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
        // A number that was somebody's before is no name for who holds it now (ARCHITECTURE.md, Ids).
        let id = if ground.is_retired() {
            lowest(members, &holder).into()
        } else {
            here.into()
        };
        placement.persons.push(PlacedPerson {
            id,
            standing: Standing::Holder,
            number: number.or(ground.inherited()),
            members: holder,
            conflicting,
        });
    }
    placement.persons.sort_by_key(|person| person.id);
    placement
}

/// Which of two copies of one record counts: the newest version, a home before a guest, the shorter way, the lower path.
fn rank(member: &Member) -> (Version, bool, std::cmp::Reverse<(usize, &[AnchorId])>) {
    (
        member.record.version,
        !member.is_guest(),
        std::cmp::Reverse((member.path.len(), &member.path)),
    )
}

/// The lowest record of a group, at home if any is; statements name nobody.
fn lowest(members: &[Member], group: &[usize]) -> RecordId {
    group
        .iter()
        .map(|at| &members[*at])
        .min_by_key(|member| (member.record.is_statement(), member.is_guest(), member.record.id))
        .expect("a group has a member")
        .record
        .id
}
