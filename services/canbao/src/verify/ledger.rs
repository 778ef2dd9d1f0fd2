//! The books of one source partition (对账): every message is accounted for, to the record. Pure.
//!
//! The unit is the message of the source topic; one message can become several records (a correction). A message is
//! - *applied* when any of its records was applied, else *superseded* when any was, else *repeated*;
//! - *skipped* when an operator had it stepped over ([`crate::skip`]);
//! - *dead-lettered* when its coordinates stand in the dead letters, and its record, if its person was readable, in the log;
//! - *control* when it carries no record: tombstones, completeness rows, truncations;
//! - *in flight* when a record of it still stands between the normaliser and the base;
//! - *missing* otherwise: that is a difference.
//!
//! A row of the log is a message's only if it has the epoch of the message's position: rows of the same offset in another epoch come from
//! a former topic, or were read before an operator stated where an epoch begins.
//!
//! A delivery that the normaliser repeated stands twice in the log and counts once here, as what its first copy came to.

use super::log::Logged;
use domain::epoch::Epochs;
use domain::ids::RecordId;
use runtime::store::log::SKIPPED;
use serde::Serialize;
use std::collections::HashSet;
use std::ops::AddAssign;

/// What the normaliser's function says a message becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nothing.
    Control,
    /// Versions of these records.
    Records(Vec<RecordId>),
    /// A dead letter; and versions of these records, of what could be read of it.
    DeadLetter(Vec<RecordId>),
}

/// What became of the messages of a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Page {
    /// Messages between the first held and the committed offset.
    pub read: u64,
    /// Of these, in the base or once there.
    pub applied: u64,
    /// Newer versions were there first.
    pub superseded: u64,
    /// The same versions were there first.
    pub repeated: u64,
    /// Stepped over, by an operator's statement.
    pub skipped: u64,
    /// In the dead letters.
    pub dead_lettered: u64,
    /// Without a record.
    pub control: u64,
    /// Between normaliser and base.
    pub in_flight: u64,
    /// Nowhere: a difference.
    pub missing: u64,
    /// Offsets that hold no message: markers of transactions, compacted ones.
    pub gaps: u64,
    /// Rows of the source log that no message explains: a difference.
    pub unexplained: u64,
    /// Messages not yet read.
    pub behind: u64,
}

impl Page {
    /// Every message is accounted for and nothing else is in the log.
    pub fn balances(&self) -> bool {
        let in_log = self.applied + self.superseded + self.repeated + self.skipped;
        let accounted = in_log + self.dead_lettered + self.control + self.in_flight;
        self.missing == 0 && self.unexplained == 0 && accounted == self.read
    }
}

impl AddAssign for Page {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.applied += other.applied;
        self.superseded += other.superseded;
        self.repeated += other.repeated;
        self.skipped += other.skipped;
        self.dead_lettered += other.dead_lettered;
        self.control += other.control;
        self.in_flight += other.in_flight;
        self.missing += other.missing;
        self.gaps += other.gaps;
        self.unexplained += other.unexplained;
        self.behind += other.behind;
    }
}

/// Where a record of a message was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    /// In the log, with the lowest outcome of its copies: 1 applied, 2 superseded, 3 repeated, 5 stepped over.
    Logged(i16),
    InFlight,
    Nowhere,
}

/// The accounts of one partition while it is read.
pub(crate) struct Ledger<'a> {
    /// By offset, then record.
    logged: &'a [Logged],
    explained: Vec<bool>,
    in_flight: &'a HashSet<(u64, RecordId)>,
    dead: &'a HashSet<u64>,
    epochs: &'a Epochs,
    partition: u16,
    page: Page,
    /// Offsets of some missing messages.
    missing: Vec<u64>,
}

/// How many missing offsets are kept to be shown.
const KEPT: usize = 10;

impl<'a> Ledger<'a> {
    /// Opens the accounts; `logged` is sorted.
    pub(crate) fn new(
        logged: &'a [Logged],
        in_flight: &'a HashSet<(u64, RecordId)>,
        dead: &'a HashSet<u64>,
        epochs: &'a Epochs,
        partition: u16,
    ) -> Self {
        Self {
            logged,
            explained: vec![false; logged.len()],
            in_flight,
            dead,
            epochs,
            partition,
            page: Page::default(),
            missing: Vec::new(),
        }
    }

    /// Accounts for a message.
    pub(crate) fn enter(&mut self, offset: u64, expected: &Expected) {
        self.page.read += 1;
        match expected {
            Expected::Control => self.page.control += 1,
            Expected::Records(records) => {
                let found = records.iter().map(|record| self.find(offset, *record)).collect::<Vec<_>>();
                match (found.iter().min(), found.iter().max()) {
                    (None, _) | (_, None) => self.page.control += 1,
                    // Read before its mapping was mended, or refused by the broker for its size.
                    (_, Some(Found::Nowhere)) if self.dead.contains(&offset) => self.page.dead_lettered += 1,
                    (_, Some(Found::Nowhere)) => self.miss(offset),
                    (_, Some(Found::InFlight)) => self.page.in_flight += 1,
                    (Some(Found::Logged(outcome)), _) => self.book(*outcome),
                    (Some(_), _) => self.miss(offset),
                }
            }
            Expected::DeadLetter(records) => self.enter_dead_letter(offset, records),
        }
    }

    fn enter_dead_letter(&mut self, offset: u64, records: &[RecordId]) {
        let found: Vec<Found> = records.iter().map(|record| self.find(offset, *record)).collect();
        if self.dead.contains(&offset) {
            if found.contains(&Found::Nowhere) {
                self.miss(offset);
            } else if found.contains(&Found::InFlight) {
                self.page.in_flight += 1;
            } else {
                self.page.dead_lettered += 1;
            }
            return;
        }
        // A mapping of before could read it.
        match self.any(offset) {
            Some(outcome) => self.book(outcome),
            None => self.miss(offset),
        }
    }

    /// Closes the accounts of the offsets `from..to`; the log's rows there, of the offsets' epochs, must all be explained.
    pub(crate) fn close(mut self, from: u64, to: u64) -> (Page, Vec<u64>) {
        let in_range = |logged: &Logged| (from..to).contains(&logged.offset) && logged.epoch == self.epoch(logged.offset);
        let unexplained = self
            .logged
            .iter()
            .zip(&self.explained)
            .filter(|(logged, explained)| !**explained && in_range(logged));
        self.page.unexplained = unexplained.count() as u64;
        self.page.gaps = to.saturating_sub(from).saturating_sub(self.page.read);
        (self.page, self.missing)
    }

    fn book(&mut self, outcome: i16) {
        match outcome {
            1 => self.page.applied += 1,
            2 => self.page.superseded += 1,
            SKIPPED => self.page.skipped += 1,
            _ => self.page.repeated += 1,
        }
    }

    fn miss(&mut self, offset: u64) {
        self.page.missing += 1;
        if self.missing.len() < KEPT {
            self.missing.push(offset);
        }
    }

    fn epoch(&self, offset: u64) -> i16 {
        self.epochs.at(self.partition, offset) as i16
    }

    fn find(&mut self, offset: u64, record: RecordId) -> Found {
        let from = self
            .logged
            .partition_point(|logged| (logged.offset, logged.record) < (offset, record));
        match self.explain(from, |logged| (logged.offset, logged.record) == (offset, record)) {
            Some(outcome) => Found::Logged(outcome),
            None if self.in_flight.contains(&(offset, record)) => Found::InFlight,
            None => Found::Nowhere,
        }
    }

    /// The lowest outcome of whatever came from an offset.
    fn any(&mut self, offset: u64) -> Option<i16> {
        let from = self.logged.partition_point(|logged| logged.offset < offset);
        self.explain(from, |logged| logged.offset == offset)
    }

    /// Explains the rows from a place on that `belong` to a message; the lowest outcome of them.
    fn explain(&mut self, from: usize, belong: impl Fn(&Logged) -> bool) -> Option<i16> {
        let logged = self.logged;
        let rows = logged.iter().enumerate().skip(from).take_while(|(_, logged)| belong(logged));
        let mut lowest = None;
        for (at, row) in rows {
            if row.epoch == self.epoch(row.offset) {
                self.explained[at] = true;
                lowest = Some(lowest.map_or(row.outcome, |lowest: i16| lowest.min(row.outcome)));
            }
        }
        lowest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u8) -> RecordId {
        RecordId([number; 16])
    }

    fn logged(offset: u64, number: u8, outcome: i16) -> Logged {
        Logged {
            offset,
            record: record(number),
            epoch: 0,
            outcome,
        }
    }

    fn page(rows: &[Logged], in_flight: &[(u64, u8)], dead: &[u64], messages: &[(u64, Expected)], to: u64) -> (Page, Vec<u64>) {
        let in_flight = in_flight.iter().map(|(offset, number)| (*offset, record(*number))).collect();
        let dead = dead.iter().copied().collect();
        let epochs = Epochs::default();
        let mut ledger = Ledger::new(rows, &in_flight, &dead, &epochs, 0);
        for (offset, expected) in messages {
            ledger.enter(*offset, expected);
        }
        ledger.close(0, to)
    }

    #[test]
    fn every_message_is_accounted_for_once() {
        let rows = [
            logged(0, 1, 1),
            // Delivered twice.
            logged(1, 2, 2),
            logged(1, 2, 3),
            // A correction: the row itself came too late, what it states did not.
            logged(2, 3, 2),
            logged(2, 4, 1),
            logged(2, 5, 1),
            logged(4, 6, 1),
            logged(7, 8, SKIPPED),
            // Its repetition was applied.
            logged(8, 9, 1),
            logged(8, 9, SKIPPED),
        ];
        let messages = [
            (0, Expected::Records(vec![record(1)])),
            (1, Expected::Records(vec![record(2)])),
            (2, Expected::Records(vec![record(3), record(4), record(5)])),
            (3, Expected::Control),
            (4, Expected::DeadLetter(vec![record(6)])),
            (5, Expected::DeadLetter(Vec::new())),
            (6, Expected::Records(vec![record(7)])),
            (7, Expected::Records(vec![record(8)])),
            (8, Expected::Records(vec![record(9)])),
        ];
        let (page, missing) = page(&rows, &[(6, 7)], &[4, 5], &messages, 10);
        let expected = Page {
            read: 9,
            applied: 3,
            superseded: 1,
            skipped: 1,
            control: 1,
            dead_lettered: 2,
            in_flight: 1,
            gaps: 1,
            ..Page::default()
        };
        assert_eq!(page, expected);
        assert!(page.balances() && missing.is_empty());
    }

    #[test]
    fn what_is_nowhere_is_missing() {
        let rows = [logged(1, 2, 1)];
        let messages = [
            (0, Expected::Records(vec![record(1)])),
            // Half of it arrived.
            (1, Expected::Records(vec![record(2), record(3)])),
            (2, Expected::DeadLetter(Vec::new())),
            // In the dead letters, but the person it is about was not told.
            (3, Expected::DeadLetter(vec![record(4)])),
        ];
        let (page, missing) = page(&rows, &[], &[3], &messages, 4);
        assert_eq!((page.missing, missing), (4, vec![0, 1, 2, 3]));
        assert!(!page.balances());
    }

    #[test]
    fn a_row_that_nothing_explains_is_a_difference() {
        let rows = [
            logged(0, 1, 1),
            logged(1, 9, 1),
            Logged {
                epoch: 1,
                ..logged(2, 9, 1)
            },
            logged(7, 9, 1),
        ];
        let messages = [
            (0, Expected::Records(vec![record(1)])),
            (1, Expected::Control),
            (2, Expected::Control),
        ];
        let (page, _) = page(&rows, &[], &[], &messages, 3);
        assert_eq!(
            page.unexplained, 1,
            "another epoch, and offsets not yet committed, are not asked about"
        );
        assert!(!page.balances());
    }

    #[test]
    fn a_row_of_another_epoch_is_not_the_message() {
        let rows = [Logged {
            epoch: 1,
            ..logged(0, 1, 1)
        }];
        let (page, missing) = page(&rows, &[], &[], &[(0, Expected::Records(vec![record(1)]))], 1);
        assert_eq!((page.missing, missing), (1, vec![0]), "it was read of a topic that is gone");
    }

    #[test]
    fn a_mapping_that_changed_since_explains_what_it_did() {
        let rows = [logged(0, 1, 1)];
        let messages = [(0, Expected::DeadLetter(Vec::new())), (1, Expected::Records(vec![record(2)]))];
        let (page, _) = page(&rows, &[], &[1], &messages, 2);
        assert_eq!((page.applied, page.dead_lettered), (1, 1));
        assert!(page.balances());
    }

    #[test]
    fn pages_add_up() {
        let mut sum = Page {
            read: 1,
            applied: 1,
            ..Page::default()
        };
        sum += Page {
            read: 2,
            control: 2,
            behind: 5,
            ..Page::default()
        };
        assert_eq!(
            sum,
            Page {
                read: 3,
                applied: 1,
                control: 2,
                behind: 5,
                ..Page::default()
            }
        );
        assert!(sum.balances());
    }
}
