//! Who left a number, and who goes after them.

use super::super::Seat;
use super::super::corrections::{Judgement, row_of};
use super::super::names::fit;
use super::{Ground, is_authority};
use crate::ids::RecordId;
use crate::name::Name;
use crate::record::SourceRecord;
use crate::shard::Shard;

/// Someone whose number this was, and where they went: by a correction, or because a decision says so.
#[derive(Clone, Copy)]
pub(super) struct Heir<'a> {
    /// The statement, or the record that was decided on.
    pub(super) record: RecordId,
    /// Whose number it was; `None` where the statement names nobody.
    pub(super) name: Option<&'a Name>,
    pub(super) seat: Seat,
    /// Public security itself gave the number up: it names nobody any more.
    pub(super) retires: bool,
    /// The statement itself goes there too.
    pub(super) goes: bool,
    /// Only what states the name follows: the number itself vouches for nobody.
    pub(super) by_name: bool,
}

impl<'a> Ground<'a> {
    /// Who gave the number up by a correction that is not void: under the name they had, and under those they had before.
    pub(super) fn heirs_by_correction(&self, statement: &'a SourceRecord) -> Vec<Heir<'a>> {
        let judgement = self.corrections.judgement(statement.id);
        let Some((judgement, correction)) = judgement.filter(|found| *found != Judgement::Void).zip(statement.given_up()) else {
            return Vec::new();
        };
        let heir = Heir {
            record: statement.id,
            name: statement.identity.name.as_ref(),
            seat: (
                Shard::of_birth_date(correction.heir.birth_date()),
                self.key.number(correction.heir),
            ),
            retires: judgement == Judgement::Retires,
            goes: judgement != Judgement::Leads,
            by_name: judgement != Judgement::Retires,
        };
        let renamings = self.renamings.of(row_of(statement, self.key));
        let formerly = renamings.map(|renaming| Heir {
            record: renaming.id,
            name: renaming.renamed(),
            retires: false,
            by_name: true,
            ..heir
        });
        let mut heirs: Vec<Heir<'_>> = formerly.collect();
        heirs.push(heir);
        heirs
    }

    /// Where a member's person went after those who left the number, if the holder does not claim the member.
    pub(super) fn heir_of(&self, at: usize) -> Option<Seat> {
        let member = &self.members[at];
        if self.heirs.is_empty() || (!member.is_guest() && is_authority(&member.record)) {
            return None;
        }
        let holder = self.holder.as_ref().filter(|_| !self.authority.is_empty());
        if holder.is_some_and(|names| self.fits(at, names)) {
            return None;
        }
        let stated = member.record.identity.name.as_ref();
        let fits = |heir: &Heir<'_>| match (heir.name, stated) {
            (Some(name), Some(stated)) => fit(name, stated),
            // The number alone vouches for a row without a name, as it does for a holder.
            _ => !heir.by_name,
        };
        let led = |heir: &&Heir<'_>| self.decided(member.record.id, heir.record).unwrap_or_else(|| fits(heir));
        let candidates: Vec<Seat> = self.heirs.iter().filter(led).map(|heir| heir.seat).collect();
        // Two heirs that both fit are a question for a human.
        let seat = *candidates.first()?;
        candidates.iter().all(|candidate| *candidate == seat).then_some(seat)
    }

    /// Whether decisions call a record's person the one behind an heir, which is a row itself or was read from one.
    fn decided(&self, record: RecordId, heir: RecordId) -> Option<bool> {
        let (class, apart) = (self.rulings.class(record), self.rulings.apart(record));
        if class.is_none() && apart.is_empty() {
            return None;
        }
        let stated = self
            .members
            .iter()
            .map(|member| &member.record)
            .find(|stated| stated.id == heir)?;
        let row = self.key.record(stated.source, &stated.table, stated.key.reveal());
        let called = [heir, row].map(|id| self.rulings.called(id));
        if called.iter().any(|name| apart.contains(name)) {
            return Some(false);
        }
        called.iter().any(|name| Some(*name) == class).then_some(true)
    }
}
