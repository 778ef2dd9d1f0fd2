//! The business date as the rules may read it: every comparison with it is noted.

use std::cell::Cell;

use crate::date::Day;

/// The horizon (期限) of an evaluation: the business date (业务日期), and the first later date on which an answer may differ.
///
/// Rules never see the date itself, they only ask whether a day has come. An evaluation is then a path through such questions, and it
/// stays the same path until the first day that was asked for and had not come. So [`Horizon::next`] is exact by construction: no
/// rule can forget to say when it wants to be asked again. Members must be visited in a canonical order, since which questions are
/// asked depends on the answers before.
#[derive(Debug)]
pub struct Horizon {
    today: Day,
    next: Cell<Option<Day>>,
}

impl Horizon {
    /// The horizon of a business date.
    pub fn new(today: Day) -> Self {
        Self {
            today,
            next: Cell::new(None),
        }
    }

    /// Whether the day has come: the business date is that day or later.
    pub fn reached(&self, day: Day) -> bool {
        let reached = self.today >= day;
        if !reached {
            self.note(day);
        }
        reached
    }

    /// Whether the day is over: the business date is later.
    pub fn passed(&self, day: Day) -> bool {
        // The last day there is will never be over, and must not count as over on itself.
        day.0 < i32::MAX && self.reached(day.plus(1))
    }

    /// Whether the business date lies in a period; an end that is missing is open.
    pub fn within(&self, from: Option<Day>, until: Option<Day>) -> bool {
        from.is_none_or(|from| self.reached(from)) && until.is_none_or(|until| !self.passed(until))
    }

    /// The calendar year of the business date.
    pub fn year(&self) -> i32 {
        let year = self.today.year();
        if let Some(new_year) = Day::from_ymd(year.saturating_add(1), 1, 1) {
            self.note(new_year);
        }
        year
    }

    /// Takes over the next date of another evaluation of the same business date.
    pub fn note(&self, day: Day) {
        if day > self.today && self.next.get().is_none_or(|next| day < next) {
            self.next.set(Some(day));
        }
    }

    /// The first date on which any answer so far may differ; `None` when none ever will.
    pub fn next(&self) -> Option<Day> {
        self.next.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_the_first_day_that_has_not_come() {
        let horizon = Horizon::new(Day(100));
        assert!(horizon.reached(Day(100)));
        assert!(horizon.passed(Day(99)));
        assert_eq!(horizon.next(), None);
        assert!(!horizon.reached(Day(120)));
        assert!(!horizon.passed(Day(110)));
        assert!(!horizon.reached(Day(130)));
        assert_eq!(horizon.next(), Some(Day(111)));
    }

    #[test]
    fn a_year_ends_on_new_year() {
        let day: Day = "2026-05-01".parse().expect("a day");
        let horizon = Horizon::new(day);
        assert_eq!(horizon.year(), 2026);
        assert_eq!(horizon.next(), "2027-01-01".parse().ok());
    }

    #[test]
    fn a_period_holds_both_its_ends() {
        for (today, inside) in [(9, false), (10, true), (20, true), (21, false)] {
            let horizon = Horizon::new(Day(today));
            assert_eq!(horizon.within(Some(Day(10)), Some(Day(20))), inside);
        }
        assert!(Horizon::new(Day(0)).within(None, None));
        assert!(!Horizon::new(Day(i32::MAX)).passed(Day(i32::MAX)));
    }
}
