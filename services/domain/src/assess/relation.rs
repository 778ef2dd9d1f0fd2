//! Relations: enrolments as the rules read them.

use crate::date::{Day, Month};
use crate::division::{City, Division};
use crate::facts::{ContributionStatus, Enrolment, Facts};
use crate::horizon::Horizon;
use crate::ids::RecordId;
use crate::policy::Policy;
use crate::record::SourceRecord;
use crate::scheme::Scheme;
use std::collections::BTreeMap;

/// A relation (参保关系): one enrolment, under the scheme that continues it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relation<'a> {
    pub(super) record: RecordId,
    pub(super) scheme: Scheme,
    /// The city of its place; of the source where the place is in no city of the province.
    pub(super) city: City,
    pub(super) enrolment: &'a Enrolment,
}

/// How far a relation is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coverage {
    /// The last day it covers; `None` when nothing says that it ends.
    pub(super) until: Option<Day>,
    /// Whether it was suspended or ended then, so that nobody goes on paying.
    pub(super) stopped: bool,
}

/// The relations among members; a supplement (补充保险) is no enrolment.
pub(super) fn relations<'a>(members: &[&'a SourceRecord], policy: &Policy) -> Vec<Relation<'a>> {
    members
        .iter()
        .filter_map(|record| match &record.facts {
            Facts::Enrolment(enrolment) if enrolment.scheme != Scheme::Supplement => Some(Relation {
                record: record.id,
                scheme: policy.current_scheme(enrolment.scheme),
                city: city_of(enrolment.place, record),
                enrolment,
            }),
            _ => None,
        })
        .collect()
}

/// The city of a place a record states; of its source where the place is in no city of the province.
pub(super) fn city_of(place: Division, record: &SourceRecord) -> City {
    place.city().unwrap_or(record.source.city)
}

impl Relation<'_> {
    /// The first day, if the row states one.
    pub(super) fn start(&self) -> Option<Day> {
        self.enrolment.from.or(self.enrolment.first_month.map(Month::first_day))
    }

    /// Whether the relation has begun; one that does not say when has.
    pub(super) fn has_begun(&self, horizon: &Horizon) -> bool {
        self.start().is_none_or(|start| horizon.reached(start))
    }

    /// Whether the relation stands as paying on the business date.
    pub(super) fn is_paying(&self, horizon: &Horizon) -> bool {
        self.enrolment.status == ContributionStatus::Paying && self.enrolment.until.is_none_or(|until| !horizon.passed(until))
    }

    /// Whether the relation survives (存续): suspended ones do.
    pub(super) fn survives(&self, horizon: &Horizon) -> bool {
        match self.enrolment.status {
            ContributionStatus::Paying | ContributionStatus::Suspended => self.has_begun(horizon),
            ContributionStatus::Ended => false,
        }
    }

    /// How far the relation is paid. An approved deferral (缓缴) covers its months.
    pub(super) fn coverage(&self, horizon: &Horizon) -> Coverage {
        let enrolment = self.enrolment;
        let stopped = !self.is_paying(horizon);
        let paid = enrolment.paid_through.map(|month| self.covered_by(month));
        let until = if stopped {
            let last = paid.max(enrolment.until).or(self.start());
            // A relation that says neither when it stopped nor when it began covers nothing.
            Some(last.unwrap_or(Day(i32::MIN)))
        } else {
            paid
        };
        let deferred = enrolment.deferred_until.map(Month::last_day);
        Coverage {
            until: until.map(|until| deferred.map_or(until, |deferred| deferred.max(until))),
            stopped,
        }
    }

    /// The last day that a contribution for a month covers: a scheme paid by the year covers the year.
    fn covered_by(&self, month: Month) -> Day {
        if self.scheme.is_paid_by_year() {
            let december = Month::from_ym(month.year(), 12).unwrap_or(month);
            december.last_day()
        } else {
            month.last_day()
        }
    }

    /// The months in which the relation was paid or stands as paying: first and last, without an end while it is paid up to date.
    ///
    /// `None` when the row says too little, or the relation has not begun: nothing is claimed of it.
    pub(super) fn months(&self, policy: &Policy, horizon: &Horizon) -> Option<(Month, Option<Month>)> {
        let enrolment = self.enrolment;
        if !self.has_begun(horizon) {
            return None;
        }
        let last = if self.is_paying(horizon) {
            if !self.scheme.is_paid_by_year() && self.is_up_to_date(policy, horizon) {
                None
            } else {
                enrolment.paid_through
            }
        } else {
            let until = enrolment.until.map(Day::month);
            let last = match (enrolment.paid_through, until) {
                (Some(paid), Some(until)) => paid.min(until),
                (paid, until) => paid.or(until)?,
            };
            Some(last)
        };
        let first = self.start().map(Day::month).or(last)?;
        let sound = last.is_none_or(|last| first <= last) && horizon.reached(first.first_day());
        sound.then_some((first, last))
    }

    /// Whether a relation that stands as paying is really being paid: not behind by more than a lapse takes.
    pub(super) fn is_up_to_date(&self, policy: &Policy, horizon: &Horizon) -> bool {
        let coverage = self.coverage(horizon);
        !coverage.stopped && lapses_on(coverage, self.scheme, None, policy).is_none_or(|day| !horizon.reached(day))
    }
}

/// The first day on which what is covered no longer meets a duty to be in `scheme` that began on `duty`; `None` when it always will.
pub(super) fn lapses_on(coverage: Coverage, scheme: Scheme, duty: Option<Day>, policy: &Policy) -> Option<Day> {
    let until = coverage.until?;
    let rules = &policy.lapsed;
    if scheme.is_paid_by_year() {
        let unpaid = until.year().saturating_add(1);
        return Some(rules.closes(scheme, unpaid).unwrap_or(until));
    }
    if coverage.stopped {
        let stopped = duty.map_or(until, |duty| duty.max(until));
        return Some(stopped.plus(rules.stopped_days).plus(1));
    }
    // The last month that is paid, or in which nothing was due yet.
    let last = until.month();
    let last = duty.map_or(last, |duty| last.max(duty.month().add_months(-1)));
    Some(last.add_months(rules.months + 1).first_day())
}

/// The last day of the window in which a relation that is being transferred (转移接续) may still stand beside another one.
///
/// No source states when a transfer began. It cannot have begun before the relation stopped, nor before the newest relation of the
/// scheme, which it goes to, began: the later of the two counts. `None` when neither is stated: such a transfer has no end.
pub(super) fn transfer_ends(moving: &Relation<'_>, newest: &BTreeMap<Scheme, Day>, policy: &Policy) -> Option<Day> {
    let start = moving.enrolment.until.max(newest.get(&moving.scheme).copied())?;
    Some(policy.transfer_ends(start))
}

/// When the newest relation of each scheme began, where any says so.
pub(super) fn newest_starts(relations: &[Relation<'_>]) -> BTreeMap<Scheme, Day> {
    let mut newest: BTreeMap<Scheme, Day> = BTreeMap::new();
    for relation in relations {
        if let Some(start) = relation.start() {
            let known = newest.entry(relation.scheme).or_insert(start);
            *known = (*known).max(start);
        }
    }
    newest
}
