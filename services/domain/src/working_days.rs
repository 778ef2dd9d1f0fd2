//! Working days.

use crate::date::Day;

impl Day {
    /// The day on which `days` working days 工作日 have passed since this one, which itself does
    /// not count: Monday to Friday without the holidays given.
    ///
    /// Weekends that a year's holiday notice makes working days (调休) do not count: a term then
    /// ends some days late, never early.
    #[must_use]
    pub fn plus_working_days(self, days: u32, holidays: &[Self]) -> Self {
        let mut end = self;
        let mut left = days;
        while left > 0 && end < Self(i32::MAX) {
            end = end.plus(1);
            if end.weekday() < 5 && !holidays.contains(&end) {
                left -= 1;
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn day(text: &str) -> Day {
        text.parse().expect("a day")
    }

    #[rstest]
    #[case("2026-01-05", 0, "2026-01-05")]
    #[case("2026-01-05", 4, "2026-01-09")]
    #[case("2026-01-05", 5, "2026-01-12")]
    #[case("2026-01-09", 1, "2026-01-12")]
    #[case("2026-01-10", 1, "2026-01-12")] // from a Saturday
    #[case("2026-01-05", 45, "2026-03-09")]
    fn weekends_do_not_count(#[case] from: &str, #[case] days: u32, #[case] end: &str) {
        assert_eq!(day(from).plus_working_days(days, &[]), day(end));
    }

    #[test]
    fn holidays_do_not_count() {
        let holidays = [day("2026-01-06"), day("2026-01-10"), day("2026-01-07")];
        assert_eq!(day("2026-01-05").plus_working_days(2, &holidays), day("2026-01-09"));
    }

    proptest! {
        #[test]
        fn terms_add_up(from in 0..30_000_i32, one in 0..50_u32, two in 0..50_u32) {
            let end = Day(from).plus_working_days(one, &[]);
            prop_assert_eq!(end.plus_working_days(two, &[]), Day(from).plus_working_days(one + two, &[]));
            prop_assert!(one == 0 || end.weekday() < 5);
        }
    }
}
