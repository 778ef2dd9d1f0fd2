//! What statements of corrections come to at a number, judged by what its home records are now.
//!
//! A register row makes two statements when its person's number is corrected: that it gave one up, and that it took the other. Each
//! stays where its number is, so that a number knows by itself who came, who left, and who came back:
//! - a row that is here, or that took the number after it gave it up, has not given it up: its statement is void;
//! - a number that a row took and gave back was never its person's: somebody mistyped it. Who copied the mistake follows the name, and
//!   nothing else is left of it;
//! - a number that public security states for somebody now is theirs, and nobody's former number, unless they too came by a
//!   correction: numbers that were exchanged are former numbers of both.
//!
//! Rows of correction tables make one statement and are no register rows: only the last applies to them, and what they say was
//! registered by itself, so that it is told of their person all the same.

use super::Member;
use super::ground::is_authority;
use crate::citizen_id::CitizenId;
use crate::ids::{IdKey, RecordId};
use crate::record::SourceRecord;
use crate::source::Version;
use std::collections::{BTreeMap, BTreeSet};

/// What a statement that the number was given up comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// The number is its person's former one: it is retired, and what nobody else claims follows.
    Retires,
    /// The number is somebody else's, as a correction table says: the statement and what states their name follow.
    Parts,
    /// The number is not theirs and never was: only what states their name follows.
    Leads,
    /// It no longer says anything.
    Void,
}

/// The statements that stand with a number.
#[derive(Default)]
pub(super) struct Corrections<'a> {
    /// By row: when it took the number, in place of which, and the statement.
    taken: BTreeMap<RecordId, (Version, CitizenId, &'a SourceRecord)>,
    /// By row: when it gave the number up.
    given_up: BTreeMap<RecordId, Version>,
    /// By statement that the number was given up.
    judged: BTreeMap<RecordId, Judgement>,
}

impl<'a> Corrections<'a> {
    /// Judges the home statements among the members at `indexes`.
    pub(super) fn judge(members: &'a [Member], indexes: &[usize], key: &IdKey) -> Self {
        let homes = || indexes.iter().map(|at| &members[*at]).filter(|member| !member.is_guest());
        let mut corrections = Self::default();
        let mut left: Vec<(RecordId, &SourceRecord)> = Vec::new();
        for record in homes().map(|member| &*member.record).filter(|record| record.is_statement()) {
            let row = row_of(record, key);
            if let Some(correction) = record.taken() {
                corrections.taken.insert(row, (record.version, correction.former, record));
            } else if record.given_up().is_some() {
                if row != record.id {
                    corrections.given_up.insert(row, record.version);
                }
                left.push((row, record));
            }
        }
        if left.is_empty() {
            return corrections;
        }
        let rows = || homes().map(|member| &*member.record).filter(|record| !record.is_statement());
        let here: BTreeSet<RecordId> = rows().map(|record| record.id).collect();
        let stated = rows().any(|record| is_authority(record) && !corrections.is_newcomer(record.id));
        let judged = left.into_iter().map(|(row, record)| {
            let taken = corrections.taken.get(&row).filter(|_| row != record.id);
            let heir = record.given_up().map(|correction| correction.heir);
            let judgement = match taken {
                _ if row != record.id && here.contains(&row) => Judgement::Void,
                Some((taken, ..)) if *taken > record.version => Judgement::Void,
                Some((_, from, _)) if Some(*from) == heir => Judgement::Leads,
                _ if stated && row == record.id => Judgement::Parts,
                _ if stated => Judgement::Leads,
                _ => Judgement::Retires,
            };
            (record.id, judgement)
        });
        corrections.judged = judged.collect();
        corrections
    }

    /// What a statement here comes to; `None` unless it says that the number was given up.
    pub(super) fn judgement(&self, statement: RecordId) -> Option<Judgement> {
        self.judged.get(&statement).copied()
    }

    /// Whether a register row came by a correction and was not here before.
    pub(super) fn is_newcomer(&self, row: RecordId) -> bool {
        self.taken.contains_key(&row) && !self.given_up.contains_key(&row)
    }

    /// Whether a row gave the number up at some time, perhaps to take it again.
    pub(super) fn has_left(&self, row: RecordId) -> bool {
        self.given_up.contains_key(&row)
    }

    /// The statement by which a row took the number, unless the row gave it up since.
    pub(super) fn taker(&self, row: RecordId) -> Option<&'a SourceRecord> {
        let (taken, _, record) = self.taken.get(&row)?;
        let stays = self.given_up.get(&row).is_none_or(|left| left < taken);
        stays.then_some(*record)
    }

    /// Statements that say whose the number is: rows took it and did not give it up since. The row itself may be gone.
    pub(super) fn takers(&self) -> impl Iterator<Item = &'a SourceRecord> + '_ {
        self.taken.keys().filter_map(|row| self.taker(*row))
    }
}

/// The row that a statement was read from.
pub(super) fn row_of(statement: &SourceRecord, key: &IdKey) -> RecordId {
    key.record(statement.source, &statement.table, statement.key.reveal())
}
