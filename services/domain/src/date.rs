//! Calendar days, months and instants, as small integers.
//!
//! Only the proleptic Gregorian calendar is needed, so the conversions are the well-known
//! civil-from-days arithmetic over eras of 400 years instead of a date library.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Milliseconds of a day.
const DAY_MILLIS: i64 = 86_400_000;
/// Offset of China standard time from UTC. The zone has had no daylight saving since 1991 and
/// no source system holds instants older than that.
const SHANGHAI_OFFSET_MILLIS: i64 = 8 * 3_600_000;
/// Days from 0000-03-01, where the eras start, to 1970-01-01.
const EPOCH_FROM_ERA: i64 = 719_468;
/// Days of 400 Gregorian years.
const ERA_DAYS: i64 = 146_097;
/// Years that a text or a month code may name: four digits.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// A text that is no calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateError;

impl fmt::Display for DateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a calendar day of the form yyyy-mm-dd")
    }
}

impl std::error::Error for DateError {}

/// A calendar day 日期: days since 1970-01-01, which is also Debezium's encoding of `DATE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(pub i32);

impl Day {
    /// The day of a year (1 to 9999), month (1 to 12) and day of month; `None` when the calendar
    /// has no such day.
    #[must_use]
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        let valid = YEARS.contains(&year) && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        valid.then(|| days_from_civil(year, month, day))
    }

    /// Year, month (1 to 12) and day of month.
    #[must_use]
    pub fn ymd(self) -> (i32, u32, u32) {
        let since_era = i64::from(self.0) + EPOCH_FROM_ERA;
        let era = since_era.div_euclid(ERA_DAYS);
        let day_of_era = since_era.rem_euclid(ERA_DAYS);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Months counted from March, so that the leap day is the last of the year.
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (narrow(year), narrow(month).unsigned_abs(), narrow(day).unsigned_abs())
    }

    /// The month this day lies in.
    #[must_use]
    pub fn month(self) -> Month {
        let (year, month, _) = self.ymd();
        Month::from_zero_based(year, month - 1)
    }

    /// The year this day lies in.
    #[must_use]
    pub fn year(self) -> i32 {
        self.ymd().0
    }

    /// The day `days` later, or earlier when negative; stops at the ends of the range.
    #[must_use]
    pub const fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// The same day of the year `years` later.
    ///
    /// 29 February becomes 1 March in a year without it: an age is reached on the day after the
    /// last day of the year before, never earlier.
    #[must_use]
    pub fn add_years(self, years: i32) -> Self {
        let (year, month, day) = self.ymd();
        let year = year.saturating_add(years);
        if day > days_in_month(year, month) {
            days_from_civil(year, 3, 1)
        } else {
            days_from_civil(year, month, day)
        }
    }

    /// Whole years from this day (a birth date) to `as_of`: the age 周岁; negative before birth.
    #[must_use]
    pub fn age_at(self, as_of: Self) -> i32 {
        let years = as_of.year() - self.year();
        if self.add_years(years) > as_of { years - 1 } else { years }
    }

    /// Day of the week, 0 for Monday to 6 for Sunday.
    #[must_use]
    pub const fn weekday(self) -> i32 {
        // 1970-01-01 was a Thursday.
        (self.0.rem_euclid(7) + 3) % 7
    }

    /// The instant this day begins in China (UTC+8).
    #[must_use]
    pub const fn start_in_shanghai(self) -> Timestamp {
        Timestamp(self.0 as i64 * DAY_MILLIS - SHANGHAI_OFFSET_MILLIS)
    }
}

impl fmt::Display for Day {
    /// ISO 8601: `yyyy-mm-dd`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.ymd();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = DateError;

    /// Reads `yyyy-mm-dd`, nothing shorter or longer.
    fn from_str(text: &str) -> Result<Self, DateError> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return Err(DateError);
        }
        let year = digits(&bytes[..4]).ok_or(DateError)?;
        let month = digits(&bytes[5..7]).ok_or(DateError)?;
        let day = digits(&bytes[8..]).ok_or(DateError)?;
        Self::from_ymd(narrow(i64::from(year)), month, day).ok_or(DateError)
    }
}

/// A calendar month 月份: `year * 12 + month0` with January as 0, so that months subtract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Month(pub i32);

impl Month {
    /// The month of a year (1 to 9999) and a month of it (1 to 12).
    #[must_use]
    pub fn from_ym(year: i32, month: u32) -> Option<Self> {
        let valid = YEARS.contains(&year) && (1..=12).contains(&month);
        valid.then(|| Self::from_zero_based(year, month - 1))
    }

    /// The month of a `yyyymm` number as contribution tables hold it, e.g. 202605.
    #[must_use]
    pub fn from_yyyymm(code: i32) -> Option<Self> {
        let month = u32::try_from(code.rem_euclid(100)).ok()?;
        Self::from_ym(code.div_euclid(100), month)
    }

    /// The `yyyymm` number of this month.
    #[must_use]
    pub const fn yyyymm(self) -> i32 {
        self.year() * 100 + self.0.rem_euclid(12) + 1
    }

    /// The year this month lies in.
    #[must_use]
    pub const fn year(self) -> i32 {
        self.0.div_euclid(12)
    }

    /// Month of the year, 1 to 12.
    #[must_use]
    pub const fn month_of_year(self) -> u32 {
        self.0.rem_euclid(12).unsigned_abs() + 1
    }

    /// Its first day.
    #[must_use]
    pub fn first_day(self) -> Day {
        days_from_civil(self.year(), self.month_of_year(), 1)
    }

    /// Its last day.
    #[must_use]
    pub fn last_day(self) -> Day {
        self.add_months(1).first_day().plus(-1)
    }

    /// The month `months` later, or earlier when negative; stops at the ends of the range.
    #[must_use]
    pub const fn add_months(self, months: i32) -> Self {
        Self(self.0.saturating_add(months))
    }

    /// Months from `earlier` to this one; negative when this one is the earlier.
    #[must_use]
    pub const fn months_since(self, earlier: Self) -> i32 {
        self.0.saturating_sub(earlier.0)
    }

    fn from_zero_based(year: i32, month0: u32) -> Self {
        Self(narrow(i64::from(year) * 12 + i64::from(month0)))
    }
}

impl fmt::Display for Month {
    /// ISO 8601: `yyyy-mm`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year(), self.month_of_year())
    }
}

/// An instant 时刻: milliseconds since 1970-01-01T00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The calendar day of this instant in China (UTC+8); stops at the ends of [`Day`]'s range.
    #[must_use]
    pub fn day_in_shanghai(self) -> Day {
        let local = self.0.saturating_add(SHANGHAI_OFFSET_MILLIS);
        Day(narrow(local.div_euclid(DAY_MILLIS)))
    }
}

/// Days of a month of the year; month 1 to 12.
fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The day of a valid year, month and day of month of any era; see [`Day::ymd`] for the inverse.
fn days_from_civil(year: i32, month: u32, day: u32) -> Day {
    let shifted_year = i64::from(year) - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let shifted_month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Day(narrow(era * ERA_DAYS + day_of_era - EPOCH_FROM_ERA))
}

/// The number as `i32`, stopping at the ends of its range.
fn narrow(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
}

/// The number that a few ASCII digits spell; `None` when any byte is no digit.
fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0_u32, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        Some(number * 10 + digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn day(text: &str) -> Day {
        text.parse().expect("test date")
    }

    #[rstest]
    #[case("1970-01-01", 0)]
    #[case("1969-12-31", -1)]
    #[case("2000-02-29", 11_016)]
    #[case("2026-01-01", 20_454)]
    fn known_days(#[case] text: &str, #[case] days: i32) {
        assert_eq!(day(text), Day(days));
        assert_eq!(Day(days).to_string(), text);
    }

    #[rstest]
    #[case("1900-02-29")]
    #[case("2026-02-30")]
    #[case("2026-13-01")]
    #[case("2026-00-01")]
    #[case("2026-01-00")]
    #[case("0000-01-01")]
    #[case("2026-1-1")]
    #[case("20260101")]
    #[case("2026-01-1x")]
    #[case("２０２６")]
    fn no_days(#[case] text: &str) {
        assert_eq!(text.parse::<Day>(), Err(DateError));
    }

    #[rstest]
    #[case("2004-02-29", 16, "2020-02-29")]
    #[case("2004-02-29", 18, "2022-03-01")]
    #[case("1965-01-31", 60, "2025-01-31")]
    fn birthdays(#[case] birth: &str, #[case] years: i32, #[case] expected: &str) {
        assert_eq!(day(birth).add_years(years), day(expected));
        assert_eq!(day(birth).age_at(day(expected)), years);
        assert_eq!(day(birth).age_at(day(expected).plus(-1)), years - 1);
    }

    #[test]
    fn months() {
        let month = Month::from_yyyymm(202_412).expect("a month");
        assert_eq!(month.add_months(2).yyyymm(), 202_502);
        assert_eq!(month.add_months(2).last_day(), day("2025-02-28"));
        assert_eq!(month.first_day(), day("2024-12-01"));
        assert_eq!(month.to_string(), "2024-12");
        assert_eq!(month.add_months(13).months_since(month), 13);
        for bad in [202_400, 202_413, 12, -202_401, 0] {
            assert_eq!(Month::from_yyyymm(bad), None);
        }
    }

    #[test]
    fn weekdays() {
        assert_eq!(day("1970-01-01").weekday(), 3);
        assert_eq!(day("2026-01-05").weekday(), 0);
        assert_eq!(day("1969-12-28").weekday(), 6);
    }

    #[test]
    fn a_day_begins_at_four_in_the_afternoon_utc() {
        let midnight = day("2026-01-01").start_in_shanghai();
        assert_eq!(midnight, Timestamp(1_767_196_800_000));
        assert_eq!(Timestamp(midnight.0 - 1).day_in_shanghai(), day("2025-12-31"));
    }

    #[test]
    fn the_ends_do_not_panic() {
        for days in [i32::MIN, i32::MAX] {
            let end = Day(days);
            assert_eq!(end.plus(days.signum()), end);
            assert_eq!(end.start_in_shanghai().day_in_shanghai(), end);
            let (year, month, of_month) = end.ymd();
            assert_eq!(days_from_civil(year, month, of_month), end);
        }
        assert_eq!(Timestamp(i64::MAX).day_in_shanghai(), Day(i32::MAX));
        assert_eq!(Timestamp(i64::MIN).day_in_shanghai(), Day(i32::MIN));
    }

    proptest! {
        #[test]
        fn days_round_trip(days in -719_162..2_932_896_i32) {
            let (year, month, of_month) = Day(days).ymd();
            prop_assert_eq!(Day::from_ymd(year, month, of_month), Some(Day(days)));
            prop_assert_eq!(day(&Day(days).to_string()), Day(days));
            prop_assert!(Day(days).plus(1).ymd() > (year, month, of_month));
        }

        #[test]
        fn a_month_holds_its_days(days in -719_162..2_932_896_i32) {
            let month = Day(days).month();
            prop_assert!(month.first_day() <= Day(days) && Day(days) <= month.last_day());
            prop_assert_eq!(Month::from_yyyymm(month.yyyymm()), Some(month));
            prop_assert_eq!(month.add_months(1).first_day(), month.last_day().plus(1));
        }

        #[test]
        fn instants_lie_in_their_day(millis in -60_000_000_000_000..250_000_000_000_000_i64) {
            let day = Timestamp(millis).day_in_shanghai();
            prop_assert!(day.start_in_shanghai().0 <= millis);
            prop_assert!(millis < day.plus(1).start_in_shanghai().0);
        }

        #[test]
        fn any_text_is_refused_or_reads_back(text in "[0-9-]{0,11}") {
            if let Ok(day) = text.parse::<Day>() {
                prop_assert_eq!(day.to_string(), text);
            }
        }
    }
}
