//! What the home records and the decisions say about a number: the evidence everything under it is compared with.

mod heirs;

use super::corrections::{Corrections, row_of};
use super::names::{Renamings, fit, one_name};
use super::{Member, Seat};
use crate::citizen_id::CitizenId;
use crate::decision::{Merged, Rulings};
use crate::facts::FactsKind;
use crate::ids::{AnchorId, IdKey, RecordId};
use crate::name::Name;
use crate::record::SourceRecord;
use crate::source::Authority;
use heirs::Heir;
use std::collections::{BTreeMap, BTreeSet};

/// How many corrections a copy follows at most; a longer chain is no history of a person but a broken register.
const MAX_HOPS: usize = 8;

/// The evidence of a neighbourhood.
pub(super) struct Ground<'a> {
    members: &'a [Member],
    rulings: &'a Rulings,
    key: &'a IdKey,
    here: AnchorId,
    /// What corrections at this number come to.
    corrections: Corrections<'a>,
    /// By which names register rows here were known before.
    renamings: Renamings<'a>,
    /// Public security's register rows for the number: they decide who holds it.
    authority: Vec<&'a SourceRecord>,
    /// Names that fit the holder; `None` when nobody holds the number.
    holder: Option<Vec<&'a Name>>,
    /// Names that fit the holder for guests: also those of guests that decisions call the holder.
    known_as: Vec<&'a Name>,
    /// Classes of the records that speak for the holder.
    holder_classes: BTreeSet<RecordId>,
    /// Who left the number, in the order of where they went.
    heirs: Vec<Heir<'a>>,
    /// By statement that the number was given up, where it goes itself: after its person, if the number was theirs.
    goes: BTreeMap<RecordId, Seat>,
    /// Members that were set apart from somebody here who comes first.
    set_apart: BTreeSet<usize>,
    /// The number that only guests carry: a correction led them to it, and no row of it is at home.
    inherited: Option<CitizenId>,
}

impl<'a> Ground<'a> {
    pub(super) fn survey(members: &'a [Member], indexes: &[usize], here: AnchorId, rulings: &'a Rulings, key: &'a IdKey) -> Self {
        let mut ground = Self {
            members,
            rulings,
            key,
            here,
            corrections: Corrections::judge(members, indexes, key),
            renamings: Renamings::find(members, indexes, key),
            authority: Vec::new(),
            holder: None,
            known_as: Vec::new(),
            holder_classes: BTreeSet::new(),
            heirs: Vec::new(),
            goes: BTreeMap::new(),
            set_apart: BTreeSet::new(),
            inherited: None,
        };
        let mut staying: Vec<usize> = Vec::new();
        for at in indexes.iter().copied() {
            let member = &members[at];
            let record = &member.record;
            if member.is_guest() {
                staying.push(at);
                continue;
            }
            match ground.meeting(member) {
                // A row without a name goes alone: nothing says who of the others would be its person.
                Some(seat) => ground.heirs.extend(record.identity.name.as_ref().map(|name| Heir {
                    record: record.id,
                    name: Some(name),
                    seat,
                    retires: is_authority(record),
                    goes: true,
                    by_name: false,
                })),
                None if record.is_statement() => {
                    let heirs = ground.heirs_by_correction(record);
                    ground.heirs.extend(heirs);
                }
                None => staying.push(at),
            }
        }
        ground.heirs.sort_unstable_by_key(|heir| (heir.seat.1, heir.record));
        let goes = ground.heirs.iter().rev().filter(|heir| heir.goes);
        ground.goes = goes.map(|heir| (heir.record, heir.seat)).collect();
        let contested = ground.set_apart(&staying);
        let speaking =
            |at: &&usize| !members[**at].is_guest() && is_authority(&members[**at].record) && !ground.set_apart.contains(at);
        ground.authority = staying.iter().filter(speaking).map(|at| &*members[*at].record).collect();
        if !ground.authority.is_empty() {
            ground.holder = one_name(&ground.authority, &ground.renamings, rulings).filter(|_| !contested);
            ground.learn_names(&staying);
        }
        ground
    }

    /// Once it is known who stays: without public security the holder is the one name that all of them share; where nobody is at home,
    /// whom corrections led here.
    pub(super) fn settle(&mut self, staying: &[usize]) {
        if self.authority.is_empty() {
            let rows = || {
                let rows = staying.iter().map(|at| (*at, &self.members[*at]));
                rows.filter(|(_, member)| !member.is_guest() && !member.record.is_statement())
            };
            let homes: Vec<&SourceRecord> = rows()
                .filter(|(at, _)| !self.set_apart.contains(at))
                .map(|(_, member)| &*member.record)
                .collect();
            let numbered = homes.iter().any(|record| record.group_number().is_some());
            self.holder = if numbered {
                one_name(&homes, &self.renamings, self.rulings)
            } else {
                None
            };
            if self.holder.is_some() {
                self.holder_classes = homes.iter().filter_map(|record| self.rulings.class(record.id)).collect();
            }
            if rows().next().is_none() {
                self.inherit(staying);
            }
        }
        if let Some(names) = &self.holder {
            // Guests are no evidence for a home record, but a decision may say that one of them is the holder by another name, and a
            // correction by which name the holder was known before.
            let guests = staying.iter().map(|at| &self.members[*at]).filter(|member| member.is_guest());
            let called = guests.filter(|member| self.is_of_holder(member.record.id) || self.was_holder(member, staying, names));
            self.known_as = names
                .iter()
                .copied()
                .chain(called.filter_map(|guest| guest.record.identity.name.as_ref()))
                .collect();
        }
    }

    /// Finds who holds a number under which no row is at home: whom the corrections name that led here. Public security said so in
    /// them, but they name nobody who has no record.
    fn inherit(&mut self, staying: &[usize]) {
        let guests = || staying.iter().map(|at| &self.members[*at]).filter(|member| member.is_guest());
        let takers: Vec<&SourceRecord> = self.corrections.takers().collect();
        let sent: Vec<&SourceRecord> = guests()
            .map(|member| &*member.record)
            .filter(|record| {
                record
                    .given_up()
                    .is_some_and(|correction| self.key.number(correction.heir) == self.here)
            })
            .collect();
        let words = if takers.is_empty() { &sent } else { &takers };
        let number = |record: &&SourceRecord| record.taken().or(record.given_up()).map(|correction| correction.heir);
        let Some(number) = words.iter().find_map(number) else { return };
        self.holder = one_name(words, &self.renamings, self.rulings);
        if self.holder.as_ref().is_some_and(Vec::is_empty) {
            let led: Vec<&SourceRecord> = guests().map(|member| &*member.record).collect();
            self.holder = one_name(&led, &self.renamings, self.rulings);
        }
        self.inherited = self.holder.is_some().then_some(number);
    }

    /// Whether a guest says by what name the holder was known before: the row that stated it is the holder's, or was when it took the
    /// number.
    fn was_holder(&self, guest: &Member, staying: &[usize], names: &[&Name]) -> bool {
        if guest.record.given_up().is_none() && guest.record.renamed().is_none() {
            return false;
        }
        let row = row_of(&guest.record, self.key);
        let is_held = |record: &SourceRecord| {
            record
                .identity
                .name
                .as_ref()
                .is_none_or(|name| names.iter().any(|known| fit(known, name)))
        };
        match self.home(row).filter(|at| staying.binary_search(at).is_ok()) {
            Some(at) => self.fits(at, names),
            None => self.corrections.taker(row).is_some_and(is_held),
        }
    }

    /// Where a record at home is among the members.
    fn home(&self, record: RecordId) -> Option<usize> {
        self.members.binary_search_by_key(&(record, None), Member::slot).ok()
    }

    /// The number that only guests carry, when they hold it.
    pub(super) fn inherited(&self) -> Option<CitizenId> {
        self.inherited
    }

    /// Whether a member that stays is nobody's here: a statement says nothing of a person by itself. One that was sent after its
    /// person is theirs, unless its row has gone on and others are registered here, or was here before and speaks of a detour. One of
    /// who took the number counts while nobody else speaks for them.
    pub(super) fn is_nobodys(&self, at: usize) -> bool {
        let member = &self.members[at];
        if !member.record.is_statement() {
            return false;
        }
        let row = row_of(&member.record, self.key);
        if member.is_guest() {
            let gone_on = || row != member.record.id && self.home(row).is_none();
            return self.corrections.has_left(row) || (!self.authority.is_empty() && gone_on());
        }
        self.inherited.is_none() || self.corrections.taker(row).is_none_or(|taker| taker.id != member.record.id)
    }

    /// Where a member's person lives, if it is not here: by decision, or after a correction unless the holder claims the member.
    pub(super) fn seat_elsewhere(&self, at: usize) -> Option<Seat> {
        let member = &self.members[at];
        if member.path.len() >= MAX_HOPS {
            return None;
        }
        let seat = self.meeting(member).or_else(|| {
            let at_home = !member.is_guest() && member.record.is_statement();
            if at_home {
                self.goes.get(&member.record.id).copied()
            } else {
                self.heir_of(at)
            }
        })?;
        // A way back would never end.
        (seat.1 != self.here && !member.path.contains(&seat.1)).then_some(seat)
    }

    /// Whether a member that stays is the holder's.
    pub(super) fn joins_holder(&self, at: usize) -> bool {
        let member = &self.members[at];
        self.holder.as_ref().is_some_and(|names| {
            let names = if member.is_guest() { &self.known_as } else { names };
            self.fits(at, names)
        })
    }

    /// Whether public security gave the number up as somebody's, and states it for nobody who always had it.
    pub(super) fn is_retired(&self) -> bool {
        let stated = || self.authority.iter().any(|record| !self.corrections.is_newcomer(record.id));
        self.heirs.iter().any(|heir| heir.retires) && !stated()
    }

    /// Those who stand apart, as persons: the records of one name are one, and those that decisions call one.
    pub(super) fn groups(&self, apart: &[usize]) -> Vec<Vec<usize>> {
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        enum Called {
            Class(RecordId),
            Name(String),
        }
        let mut one = Merged::default();
        let mut called = Vec::with_capacity(apart.len());
        for at in apart {
            let record = &self.members[*at].record;
            let class = Called::Class(self.rulings.called(record.id));
            let name = record.identity.name.as_ref().filter(|_| !self.set_apart.contains(at));
            if let Some(name) = name {
                let (key, parts) = name.match_keys();
                for key in [Some(key), parts].into_iter().flatten() {
                    one.unite(class.clone(), Called::Name(key));
                }
            }
            called.push(class);
        }
        let mut groups: BTreeMap<Called, Vec<usize>> = BTreeMap::new();
        for (at, called) in apart.iter().zip(called) {
            groups.entry(one.find(called)).or_default().push(*at);
        }
        groups.into_values().collect()
    }

    /// Where decisions have a member's person meet, unless it is here.
    fn meeting(&self, member: &Member) -> Option<Seat> {
        if self.rulings.is_empty() {
            return None;
        }
        let numbered = member.record.group_number().is_some();
        let seat = self.rulings.meeting(member.record.id, numbered, self.key)?;
        (seat.1 != self.here).then_some(seat)
    }

    /// Finds whom decisions set apart from somebody who comes first, and says whether public security's own rows are set apart from
    /// each other: then nobody holds the number.
    fn set_apart(&mut self, staying: &[usize]) -> bool {
        let record = |at: usize| &self.members[at].record;
        if staying.iter().all(|at| self.rulings.apart(record(*at).id).is_empty()) {
            return false;
        }
        // By class: whether public security's register has it, whether a home record is of it; then the lower name comes first.
        let mut standing: BTreeMap<RecordId, (bool, bool)> = BTreeMap::new();
        for at in staying {
            let member = &self.members[*at];
            let known = standing.entry(self.rulings.called(member.record.id)).or_default();
            known.0 |= !member.is_guest() && is_authority(&member.record);
            known.1 |= !member.is_guest();
        }
        let first = |class: RecordId| (std::cmp::Reverse(standing[&class]), class);
        let mut contested = false;
        for at in staying {
            let class = self.rulings.called(record(*at).id);
            for other in self.rulings.apart(class).iter().filter(|other| standing.contains_key(other)) {
                contested |= standing[&class].0 && standing[other].0;
                if first(*other) < first(class) {
                    self.set_apart.insert(*at);
                }
            }
        }
        contested
    }

    /// A holder whom decisions call one with other home records is known by their names too.
    fn learn_names(&mut self, staying: &[usize]) {
        self.holder_classes = self
            .authority
            .iter()
            .filter_map(|record| self.rulings.class(record.id))
            .collect();
        let homes = staying
            .iter()
            .map(|at| &self.members[*at])
            .filter(|member| !member.is_guest());
        let called = homes.filter(|member| self.is_of_holder(member.record.id));
        let names: Vec<&Name> = called.filter_map(|member| member.record.identity.name.as_ref()).collect();
        if let Some(holder) = &mut self.holder {
            holder.extend(names);
        }
    }

    fn is_of_holder(&self, record: RecordId) -> bool {
        !self.holder_classes.is_empty()
            && self
                .rulings
                .class(record)
                .is_some_and(|class| self.holder_classes.contains(&class))
    }

    fn fits(&self, at: usize, names: &[&Name]) -> bool {
        let record = &self.members[at].record;
        match &record.identity.name {
            _ if self.set_apart.contains(&at) => false,
            _ if self.is_of_holder(record.id) => true,
            // The number alone vouches for a row that states no name.
            None => true,
            // Nobody under the number states a name: there is nothing to contradict a guest.
            Some(_) if names.is_empty() => true,
            Some(name) => names.iter().any(|holder| fit(holder, name)),
        }
    }
}

/// Whether a record is the word that decides who holds a number: a row of public security's resident register.
pub(super) fn is_authority(record: &SourceRecord) -> bool {
    record.source.agency.decides(Authority::Number)
        && record.facts.kind() == FactsKind::Resident
        && record.group_number().is_some()
}
