//! How large and how early or late a value may be: one place, so that what a normaliser writes, what a decoder accepts, what the rules
//! compute with and what PostgreSQL stores are the same.
//!
//! Whatever lies inside can be added to, compared, shown and stored without a further look. Sizes of messages on the broker are in
//! `runtime::limits`.

use crate::date::{Day, Timestamp};
use std::ops::RangeInclusive;

/// Days of the years 1 to 9999: what ISO 8601 and the sources' calendars can say, well inside PostgreSQL's `date` (4713 BC to 5874897).
pub const DAYS: RangeInclusive<i32> = -719_162..=2_932_896;

/// Business dates: from before the first fact of any living person to long after this program. A date beyond them is a slip of a clock
/// or of a hand, and since the date only rises, it could never be taken back.
pub const BUSINESS_DATES: RangeInclusive<i32> = -25_567..=84_005;

/// Milliseconds since 1970 of the instants of [`DAYS`] in every zone: a broker's append time, or what a source states.
pub const INSTANTS: RangeInclusive<i64> = -62_135_683_200_000..=253_402_387_199_999;

/// Longest text of a row that is read, in bytes; the longest addresses have some hundred characters.
pub const LONGEST_TEXT: usize = 2048;

/// Longest key of a source record in its canonical form, in bytes: several columns of text, and far below what a topic takes.
pub const LONGEST_KEY: usize = 4096;

/// Longest name of a table, in bytes: a topic's name has 249 at most, and the table is its last part.
pub const LONGEST_TABLE: usize = 249;

/// Longest name of an agency, in bytes: topics, groups and sessions hold it.
pub const LONGEST_AGENCY: usize = 32;

/// Longest title of an agency, in bytes.
pub const LONGEST_TITLE: usize = 120;

/// Most things in a list of a log entry: partitions of a snapshot, neighbourhoods that a copy has passed.
pub const LONGEST_LIST: usize = 16_384;

/// Longest text of a policy, in bytes: many times the one that is carried, and far below what a topic takes.
pub const LONGEST_POLICY: usize = 1 << 18;

/// Largest epoch and mapping revision: they are compared in the database as `smallint`.
pub const LARGEST_RANK: u16 = i16::MAX as u16;

/// The day of a number of days since 1970-01-01; `None` outside [`DAYS`].
pub fn day(days: i64) -> Option<Day> {
    let days = i32::try_from(days).ok()?;
    DAYS.contains(&days).then_some(Day(days))
}

/// The instant of milliseconds since 1970; `None` outside [`INSTANTS`].
pub fn instant(millis: i64) -> Option<Timestamp> {
    INSTANTS.contains(&millis).then_some(Timestamp(millis))
}

/// The nearest instant inside [`INSTANTS`]: for times that order and date something, but are nobody's fact.
#[must_use]
pub fn nearest_instant(millis: i64) -> Timestamp {
    Timestamp(millis.clamp(*INSTANTS.start(), *INSTANTS.end()))
}

/// Whether a day can be a business date.
#[must_use]
pub fn is_business_date(day: Day) -> bool {
    BUSINESS_DATES.contains(&day.0)
}

/// Whether a text can be stored and shown: no control characters (PostgreSQL has no NUL, and a terminal obeys an escape), not too long.
#[must_use]
pub fn is_text(text: &str, longest: usize) -> bool {
    text.len() <= longest && !has_control(text)
}

/// Whether a text holds a control character (category Cc).
#[must_use]
pub fn has_control(text: &str) -> bool {
    // In UTF-8 those above ASCII begin with the byte C2.
    let suspect = |byte: u8| byte < b' ' || byte == 0x7f || byte == 0xc2;
    text.bytes().any(suspect) && text.chars().any(char::is_control)
}

/// Whether a text of several lines can be stored and shown: of the control characters it has line ends and tabs only.
#[must_use]
pub fn is_text_of_lines(text: &str) -> bool {
    !has_control(text)
        || !text
            .chars()
            .any(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t'))
}

/// Whether a text can be the name of a table: the characters that Kafka allows in the last part of a topic's name.
#[must_use]
pub fn is_table(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=LONGEST_TABLE).contains(&name.len()) && name.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_instants_end_with_the_calendar() {
        assert_eq!(day((*DAYS.start()).into()), Day::from_ymd(1, 1, 1));
        assert_eq!(day((*DAYS.end()).into()), Day::from_ymd(9999, 12, 31));
        for beyond in [i64::from(*DAYS.start()) - 1, i64::from(*DAYS.end()) + 1, i64::MIN, i64::MAX] {
            assert_eq!(day(beyond), None);
        }
        // A day and a bit around them, for the zones.
        for end in [*DAYS.start(), *DAYS.end()] {
            assert!(INSTANTS.contains(&Day(end).start_in_shanghai().0));
        }
        assert_eq!([instant(i64::MIN), instant(i64::MAX)], [None; 2]);
        assert_eq!(nearest_instant(i64::MAX), Timestamp(*INSTANTS.end()));
        assert_eq!(nearest_instant(0), Timestamp(0));
    }

    #[test]
    fn business_dates_are_those_of_three_centuries() {
        let ends = [*BUSINESS_DATES.start(), *BUSINESS_DATES.end()].map(|days| Day(days).to_string());
        assert_eq!(ends, ["1900-01-01", "2199-12-31"]);
    }

    #[test]
    fn texts_hold_no_control_characters() {
        for text in ["", "南京市某路1号", "a\u{a0}b", "\u{200b}"] {
            assert!(is_text(text, LONGEST_TEXT), "{text:?}");
        }
        for text in ["\0", "a\u{1b}[31m", "\u{7f}", "\u{85}", "a\nb"] {
            assert!(!is_text(text, LONGEST_TEXT), "{text:?}");
        }
        assert!(is_text(&"a".repeat(LONGEST_TEXT), LONGEST_TEXT) && !is_text(&"a".repeat(LONGEST_TEXT + 1), LONGEST_TEXT));
    }

    #[test]
    fn tables_are_named_as_topics_are() {
        assert!(["ac02", "cb_grcbxx", "A-1"].into_iter().all(is_table));
        assert!(!["", "a.b", "cz\0rk", "表", &"t".repeat(250)].into_iter().any(is_table));
    }
}
