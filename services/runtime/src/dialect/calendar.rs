//! Days and times as columns write them, and what a value would be under another encoding.
//!
//! Times without a zone are those of a wall clock in China, whatever unit they are counted in.

use super::shape::Encoding;
use chrono::Offset;
use domain::date::{Day, Timestamp};
use domain::limits;

const MILLIS_OF_DAY: i64 = 86_400_000;
/// Days from 1900-01-01 to 2100-12-31: what nearly every date of a register is.
const LIKELY: std::ops::RangeInclusive<i32> = -25_567..=47_846;
/// So near to the zero of its count, a time that is no whole day is most likely one in another unit.
const NEAR_ZERO: i64 = 30;

/// Why a value gives no day or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoTime {
    /// The database's way to say that there is none, or no end: `infinity`, a date of zeros.
    Never,
    /// No calendar has it, or it is hardly meant.
    Impossible {
        /// The encoding under which it would be a likely one.
        likely: Option<Encoding>,
    },
}

/// Units of an encoding that counts from 1970 in a day; `None` for those that do not count.
pub(super) fn units_of_day(encoding: Encoding) -> Option<i64> {
    match encoding {
        Encoding::DateDays => Some(1),
        Encoding::TimestampMillis | Encoding::InstantMillis => Some(MILLIS_OF_DAY),
        Encoding::TimestampMicros | Encoding::InstantMicros => Some(MILLIS_OF_DAY * 1_000),
        Encoding::TimestampNanos => Some(MILLIS_OF_DAY * 1_000_000),
        _ => None,
    }
}

/// PostgreSQL's `infinity` in a count: the ends of its types, as connectors convert them, be it to the unit of another column.
fn is_infinity(units: i64, value: i64) -> bool {
    const SECONDS: u64 = 9_223_372_036;
    let is_end_of_days = units == 1 && (value == i64::from(i32::MAX) || value == i64::from(i32::MIN));
    let is_end_in = |fraction: u64| value.unsigned_abs() / fraction == SECONDS;
    is_end_of_days || [1_000, 1_000_000, 1_000_000_000].into_iter().any(is_end_in)
}

/// Whether a count near its zero is rather one of seconds, which no encoding counts but programs write: 1577836800 is midnight of
/// 2020-01-01, and hardly the last millisecond of some minute of January 1970.
fn counts_seconds(units: i64, value: i64) -> bool {
    const YEAR: u64 = 365 * 86_400;
    let is_likely = i32::try_from(value.div_euclid(86_400)).is_ok_and(|day| LIKELY.contains(&day));
    let is_whole_minute = value % (units / 1_440).max(1) == 0;
    value.unsigned_abs() >= YEAR && is_likely && (value % 86_400 == 0 || !is_whole_minute)
}

/// The day of a count, unless the count is hardly meant.
fn counted(units: i64, value: i64) -> Option<Day> {
    let is_whole = value % units == 0;
    let is_near = value.unsigned_abs() < units.unsigned_abs().saturating_mul(NEAR_ZERO as u64);
    if is_near && !is_whole {
        return None;
    }
    limits::day(value.div_euclid(units))
}

/// The encoding under which a number would be a likely day.
fn likely(declared: Encoding, value: i64) -> Option<Encoding> {
    let encodings = [
        Encoding::DateDays,
        Encoding::TimestampMillis,
        Encoding::TimestampMicros,
        Encoding::TimestampNanos,
    ];
    let fits = |encoding: &Encoding| {
        let day = units_of_day(*encoding).and_then(|units| counted(units, value));
        *encoding != declared && day.is_some_and(|day| LIKELY.contains(&day.0))
    };
    let is_text = || day_of_text(&value.to_string()).is_some_and(|day| LIKELY.contains(&day.0));
    let of_digits = Some(Encoding::DateText).filter(|_| declared != Encoding::DateText && is_text());
    of_digits.or_else(|| encodings.into_iter().find(fits))
}

/// The encoding of a column that holds instants, where its unit is that of another one.
fn of_instants(encoding: Encoding) -> Encoding {
    match encoding {
        Encoding::TimestampMillis => Encoding::InstantMillis,
        Encoding::TimestampMicros => Encoding::InstantMicros,
        other => other,
    }
}

/// The wall clock of a number under an encoding that counts: the day, and milliseconds since its midnight.
pub(super) fn wall_clock(encoding: Encoding, value: i64) -> Result<(Day, i64), NoTime> {
    let units = units_of_day(encoding).unwrap_or(1);
    if is_infinity(units, value) {
        return Err(NoTime::Never);
    }
    let is_instant = matches!(encoding, Encoding::InstantMillis | Encoding::InstantMicros);
    let stated = value;
    let value = if is_instant { in_china(units, value) } else { value };
    let hint = || likely(encoding, stated).map(|likely| if is_instant { of_instants(likely) } else { likely });
    let refused = || NoTime::Impossible { likely: hint() };
    // Near zero and not whole: taken as it is where nothing else is likelier.
    let is_other = || counts_seconds(units, value) || hint().is_some();
    let as_it_is = || limits::day(value.div_euclid(units)).filter(|_| !is_other());
    let day = counted(units, value).or_else(as_it_is).ok_or_else(refused)?;
    Ok((day, value.rem_euclid(units) / (units / MILLIS_OF_DAY).max(1)))
}

/// The count of the wall clock in China at an instant's count.
fn in_china(units: i64, value: i64) -> i64 {
    let per_second = units / 86_400;
    let time = chrono::DateTime::from_timestamp(value.div_euclid(per_second), 0);
    let offset = time.map(|time| {
        time.with_timezone(&chrono_tz::Asia::Shanghai)
            .offset()
            .fix()
            .local_minus_utc()
    });
    value.saturating_add(i64::from(offset.unwrap_or_default()) * per_second)
}

/// The instant of a wall clock in China.
pub(super) fn instant((day, millis): (Day, i64)) -> Timestamp {
    Timestamp(day.start_in_shanghai().0 + millis)
}

/// Whether a text is the database's way to say that there is no date: PostgreSQL's `infinity`, MySQL's `0000-00-00`, the ends of a type, as
/// `+292278994-08-16T23:00:00Z`, and the last day of the calendar, which a zone may put behind it.
pub(super) fn is_never(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let year = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    // A sign or six digits: a year of five without one is a slip of the hand.
    let is_far = year > 5 || (year > 4 && unsigned.len() < text.len());
    let is_beyond = is_far && unsigned[year..].starts_with('-');
    let is_zeros = ["0000-00-00", "0000/00/00"].iter().any(|zeros| text.starts_with(zeros)) || text == "00000000";
    unsigned.eq_ignore_ascii_case("infinity") || is_zeros || is_beyond || text.starts_with("9999-12-31")
}

/// What a day beyond all likely ones is: the database's way to say that there is no end (`2999-12-31`, `9999-01-01`), or hardly meant.
pub(super) fn beyond(day: Day) -> Option<NoTime> {
    let (_, month, of_month) = day.ymd();
    let is_end = matches!((month, of_month), (12, 31) | (1, 1));
    (day.0 > *LIKELY.end()).then_some(if is_end {
        NoTime::Never
    } else {
        NoTime::Impossible { likely: None }
    })
}

/// A day of `yyyy-mm-dd`, `yyyy/mm/dd` or `yyyymmdd`.
pub(super) fn day_of_text(text: &str) -> Option<Day> {
    if text.len() == 8 && text.is_ascii() {
        return format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]).parse().ok();
    }
    text.parse().or_else(|_| text.replace('/', "-").parse()).ok()
}

/// A wall clock of `yyyy-mm-dd hh:mm:ss`, with a space or a `T`, and perhaps a fraction.
pub(super) fn wall_clock_of_text(text: &str) -> Option<(Day, i64)> {
    let time = text.replacen(' ', "T", 1);
    let time: chrono::NaiveDateTime = time.parse().ok()?;
    let millis = time.and_utc().timestamp_millis();
    Some((
        limits::day(millis.div_euclid(MILLIS_OF_DAY))?,
        millis.rem_euclid(MILLIS_OF_DAY),
    ))
}

/// An instant of ISO 8601 text with its zone.
pub(super) fn instant_of_text(text: &str) -> Option<Timestamp> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    limits::instant(time.timestamp_millis())
}

/// The day in China of ISO 8601 text with its zone, by the clocks of its time: there was summer time in the 1940s and from 1986 to 1991, and
/// local mean time before 1901, so that midnight, which is how a date becomes an instant, was not always at 16:00 UTC.
pub(super) fn day_of_instant_text(text: &str) -> Option<Day> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    limits::instant(time.timestamp_millis())?;
    let date = time.with_timezone(&chrono_tz::Asia::Shanghai).date_naive();
    limits::day(date.signed_duration_since(chrono::NaiveDate::default()).num_days())
}

/// `yyyymm` or `yyyy-mm` as a number.
pub(super) fn year_month(text: &str) -> Option<i32> {
    let digits = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse().ok())
            .flatten()
    };
    match text.split_once('-') {
        Some((year, month)) if year.len() == 4 && month.len() == 2 => Some(digits(year)? * 100 + digits(month)?),
        None if text.len() == 6 => digits(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Encoding::{DateDays, DateText, TimestampMicros, TimestampMillis, TimestampNanos};

    #[test]
    fn texts_of_days_and_months() {
        let day = Day::from_ymd(2015, 7, 1);
        for text in ["2015-07-01", "2015/07/01", "20150701"] {
            assert_eq!(day_of_text(text), day, "{text}");
        }
        for text in [
            "2015-02-30",
            "20150230",
            "2015-7-1",
            "1.7.2015",
            "二〇一五年七月",
            "2015-07-01 00:00:00",
        ] {
            assert_eq!(day_of_text(text), None, "{text}");
        }
        assert_eq!(year_month("201507"), Some(201_507));
        assert_eq!(year_month("2015-07"), Some(201_507));
        assert_eq!([year_month("2015-7"), year_month("20150"), year_month("+20150")], [None; 3]);
    }

    #[test]
    fn times_keep_their_zone() {
        assert_eq!(
            instant_of_text("2026-10-01T00:30:15.123456Z"),
            Some(Timestamp(1_790_814_615_123))
        );
        assert_eq!(
            instant_of_text("2026-10-01T08:30:15.123456+08:00"),
            Some(Timestamp(1_790_814_615_123))
        );
        for none in ["2026-10-01 08:30:15", "0000-01-01T00:00:00Z", "+10000-01-01T00:00:00Z"] {
            assert_eq!(instant_of_text(none), None, "{none}");
        }
    }

    #[test]
    fn midnight_is_where_the_clocks_of_the_time_had_it() {
        for (text, day) in [
            ("1988-04-30T15:00:00Z", (1988, 5, 1)),
            ("1991-07-31T15:00:00Z", (1991, 8, 1)),
            ("1986-05-03T16:00:00Z", (1986, 5, 4)),
            ("1995-06-30T16:00:00Z", (1995, 7, 1)),
            ("1940-06-30T15:00:00Z", (1940, 7, 1)),
            ("1900-06-14T15:54:17Z", (1900, 6, 15)),
            ("1988-05-01T00:00:00+09:00", (1988, 5, 1)),
        ] {
            assert_eq!(day_of_instant_text(text), Day::from_ymd(day.0, day.1, day.2), "{text}");
        }
    }

    #[test]
    fn a_wall_clock_is_one_in_every_unit() {
        let clock = wall_clock_of_text("2026-10-01 08:30:15.123456").expect("a time");
        assert_eq!(instant(clock), Timestamp(1_790_814_615_123));
        assert_eq!(wall_clock_of_text("2026-10-01T08:30:15"), Some((clock.0, 30_615_000)));
        for none in ["2026-10-01", "2026-10-01T08:30:15Z", "2026-02-30 00:00:00", ""] {
            assert_eq!(wall_clock_of_text(none), None, "{none}");
        }
        let millis = 1_790_843_415_123;
        for (encoding, value) in [
            (TimestampMillis, millis),
            (TimestampMicros, millis * 1_000 + 456),
            (TimestampNanos, millis * 1_000_000 + 456_789),
        ] {
            assert_eq!(wall_clock(encoding, value), Ok(clock), "{encoding:?}");
        }
        // Before 1970, and the first days of it.
        for (value, day) in [(-1, (1969, 12, 31)), (0, (1970, 1, 1)), (18, (1970, 1, 19))] {
            let day = Day::from_ymd(day.0, day.1, day.2).expect("a day");
            for (encoding, units) in [
                (DateDays, 1),
                (TimestampMillis, 86_400_000),
                (TimestampMicros, 86_400_000_000),
            ] {
                assert_eq!(wall_clock(encoding, value * units), Ok((day, 0)), "{value} {encoding:?}");
            }
        }
    }

    #[test]
    fn another_unit_is_no_day_of_1970() {
        let day = 18_262; // 2020-01-01
        let (millis, micros, nanos) = (day * 86_400_000, day * 86_400_000_000, day * 86_400_000_000_000);
        for (declared, value, likely) in [
            (TimestampMicros, millis, TimestampMillis),
            (TimestampNanos, micros, TimestampMicros),
            (TimestampNanos, millis, TimestampMillis),
            (TimestampMillis, micros, TimestampMicros),
            (TimestampMicros, nanos, TimestampNanos),
            (TimestampMillis, day, DateDays),
            (TimestampMicros, day, DateDays),
            (DateDays, millis, TimestampMillis),
            (DateDays, micros, TimestampMicros),
            (DateDays, 20_200_101, DateText),
        ] {
            let likely = Some(likely);
            assert_eq!(
                wall_clock(declared, value),
                Err(NoTime::Impossible { likely }),
                "{declared:?} {value}"
            );
        }
    }

    #[test]
    fn a_count_of_an_instant_is_the_day_that_the_clocks_showed() {
        for (text, day) in [
            ("1988-04-30T15:00:00Z", (1988, 5, 1)),
            ("1995-06-30T16:00:00Z", (1995, 7, 1)),
            ("1940-06-30T15:00:00Z", (1940, 7, 1)),
            ("1900-06-14T15:54:17Z", (1900, 6, 15)),
            ("1970-01-04T16:00:00Z", (1970, 1, 5)),
        ] {
            let day = Day::from_ymd(day.0, day.1, day.2).expect("a day");
            let millis = instant_of_text(text).expect("a time").0;
            assert_eq!(wall_clock(Encoding::InstantMillis, millis), Ok((day, 0)), "{text}");
            assert_eq!(wall_clock(Encoding::InstantMicros, millis * 1_000), Ok((day, 0)), "{text}");
        }
        assert_eq!(
            wall_clock(Encoding::InstantMicros, 9_223_372_036_825_200_000),
            Err(NoTime::Never)
        );
    }

    #[test]
    fn seconds_are_no_days_of_1970() {
        for (declared, value) in [
            (TimestampMillis, 1_577_836_800),
            (TimestampMicros, 1_577_836_800),
            (TimestampNanos, 1_577_836_800),
            (TimestampMicros, 1_577_840_461),
            (TimestampMicros, -1_577_836_800),
        ] {
            assert_eq!(
                wall_clock(declared, value),
                Err(NoTime::Impossible { likely: None }),
                "{declared:?} {value}"
            );
        }
        // Half past eight on 1970-01-10 is a time of birth.
        assert!(wall_clock(TimestampMillis, 808_200_000).is_ok());
    }

    #[test]
    fn infinity_and_zeros_are_never() {
        for (encoding, value) in [
            (DateDays, 2_147_483_647),
            (DateDays, -2_147_483_648),
            (TimestampMillis, 9_223_372_036_825_200),
            (TimestampMicros, 9_223_372_036_825_200_000),
            (TimestampMicros, -9_223_372_036_832_400_000),
            (TimestampNanos, i64::MAX),
            // As another column's unit has it.
            (TimestampMillis, 9_223_372_036_825_200_000),
            (TimestampMicros, 9_223_372_036_854_775),
            (DateDays, 9_223_372_036_825_200),
        ] {
            assert_eq!(wall_clock(encoding, value), Err(NoTime::Never), "{encoding:?} {value}");
        }
        for text in [
            "infinity",
            "-infinity",
            "Infinity",
            "0000-00-00",
            "0000-00-00 00:00:00",
            "00000000",
            "0000/00/00",
            "+292278994-08-16T23:00:00Z",
            "-292275055-05-16T23:00:00Z",
            "294276-12-31",
            "9999-12-31T23:59:59Z",
        ] {
            assert!(is_never(text), "{text}");
        }
        assert!(!is_never("1900-01-01") && !is_never("") && !is_never("000"));
        assert!(!is_never("20250-03-01"), "a slip of the hand");
    }
}
