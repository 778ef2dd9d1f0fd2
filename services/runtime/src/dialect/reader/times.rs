//! Days, instants and months of a row.

use super::super::calendar::{self, NoTime};
use super::super::field::Field;
use super::super::sentinel::Sentinel;
use super::super::shape::Encoding;
use super::{Reader, readable};
use crate::debezium::decimal::integer;
use crate::debezium::{Cell, ErrorClass, NormaliseError};
use domain::date::{Day, Month, Timestamp};
use std::borrow::Cow;

/// What is written where there is no month, or no end, beside zeros.
const NO_MONTH: i32 = 999_999;

/// A day or time that was read.
enum Time<T> {
    /// Counted from 1970 on a wall clock.
    Counted((Day, i64)),
    /// Of a text.
    Text(T),
}

/// What a column of days or times should hold.
fn expected_time(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::DateDays => "a calendar day as days since 1970-01-01",
        Encoding::DateText => "a calendar day as yyyy-mm-dd, yyyy/mm/dd or yyyymmdd",
        Encoding::TimestampMillis | Encoding::InstantMillis => "a time as milliseconds since 1970-01-01",
        Encoding::TimestampMicros | Encoding::InstantMicros => "a time as microseconds since 1970-01-01",
        Encoding::TimestampNanos => "a time as nanoseconds since 1970-01-01",
        Encoding::WallClockText => "a time as yyyy-mm-dd hh:mm:ss",
        _ => "a time as ISO 8601 text with its zone",
    }
}

impl Reader<'_, '_> {
    /// A calendar day.
    pub(in super::super) fn day(&self, field: Field) -> Result<Option<Day>, NormaliseError> {
        let clock = self.time(field, |encoding, text| match encoding {
            Encoding::DateText => calendar::day_of_text(text),
            Encoding::WallClockText => calendar::wall_clock_of_text(text).map(|(day, _)| day),
            _ => calendar::day_of_instant_text(text),
        });
        // A column without zone holds the wall clock: its day is the day, whatever the zone.
        let read = clock.map(|time| {
            let day = time.map(|time| match time {
                Time::Counted((day, _)) | Time::Text(day) => day,
            });
            day.filter(|day| !self.stands_for_none(field, &Sentinel::Day(*day)))
        });
        let read = read.and_then(|day| self.within_reach(field, day));
        let day = self.kept(field, read, |_| None)?;
        Ok(self.since_birth(field, day))
    }

    /// A day, unless it lies beyond all that is likely: then there is none, or it is hardly meant.
    fn within_reach(&self, field: Field, day: Option<Day>) -> Result<Option<Day>, NormaliseError> {
        // A load that names a day to come is complete up to its loading at most: whoever counts it knows.
        let beyond = day.filter(|_| field != Field::DataDate).and_then(calendar::beyond);
        match beyond {
            None => Ok(day),
            Some(NoTime::Never) => Ok(None),
            // An end so far off is none, whichever day it names.
            Some(NoTime::Impossible { .. }) if field == Field::Until => Ok(None),
            Some(NoTime::Impossible { .. }) => {
                let expected = "a day before 2101; what stands for none is the first or last day of a year, or listed in the dialect under `none`";
                Err(self.error(ErrorClass::ImpossibleDate, field, expected))
            }
        }
    }

    /// An instant.
    pub(in super::super) fn instant(&self, field: Field) -> Result<Option<Timestamp>, NormaliseError> {
        let clock = self.time(field, |encoding, text| match encoding {
            Encoding::WallClockText => calendar::wall_clock_of_text(text).map(calendar::instant),
            _ => calendar::instant_of_text(text),
        });
        let instant = clock?.map(|time| match time {
            Time::Counted(clock) => calendar::instant(clock),
            Time::Text(instant) => instant,
        });
        Ok(instant.filter(|time| !self.stands_for_none(field, &Sentinel::Day(time.day_in_shanghai()))))
    }

    fn stands_for_none(&self, field: Field, value: &Sentinel) -> bool {
        self.table.mapping(field).is_some_and(|mapping| mapping.none.contains(value))
    }

    /// A day or time: counted, or what `of_text` makes of text; nothing where the database says that there is none.
    fn time<T>(&self, field: Field, of_text: impl Fn(Encoding, &str) -> Option<T>) -> Result<Option<Time<T>>, NormaliseError> {
        let Some((mapping, cell)) = self.cell(field)? else {
            return Ok(None);
        };
        let encoding = mapping.encoding;
        let counts = calendar::units_of_day(encoding).is_some();
        let expected = expected_time(encoding);
        let text = match cell {
            Cell::Integer(value) if counts => {
                let counted = i64::try_from(*value).map_err(|_| NoTime::Impossible { likely: None });
                return match counted.and_then(|value| calendar::wall_clock(encoding, value)) {
                    Ok(clock) => Ok(Some(Time::Counted(clock))),
                    Err(NoTime::Never) => Ok(None),
                    Err(NoTime::Impossible { likely }) => {
                        let hint = likely.map(|likely| format!("{expected}; as {} it would be a likely one", likely.as_str()));
                        let expected = hint.map_or(Cow::Borrowed(expected), Cow::Owned);
                        Err(self.error(ErrorClass::ImpossibleDate, field, expected))
                    }
                };
            }
            Cell::Text(text) if calendar::is_never(&readable(text)) => return Ok(None),
            _ if counts => return Err(self.error(ErrorClass::NotANumber, field, expected)),
            Cell::Text(text) => readable(text),
            // 20150701, also where it is a number.
            Cell::Integer(0) if encoding == Encoding::DateText => return Ok(None),
            Cell::Integer(number) if encoding == Encoding::DateText => Cow::Owned(number.to_string()),
            _ => return Err(self.error(ErrorClass::WrongEncoding, field, expected)),
        };
        let read = of_text(encoding, &text).map(|read| Some(Time::Text(read)));
        read.ok_or_else(|| self.error(ErrorClass::ImpossibleDate, field, expected))
    }

    /// A month; one of zeros or of nines is none.
    pub(in super::super) fn month(&self, field: Field) -> Result<Option<Month>, NormaliseError> {
        let read = self.month_of(field);
        let month = self.kept(field, read, |_| None)?;
        Ok(month.filter(|month| !self.stands_for_none(field, &Sentinel::Month(*month))))
    }

    fn month_of(&self, field: Field) -> Result<Option<Month>, NormaliseError> {
        let Some((mapping, cell)) = self.cell(field)? else {
            return Ok(None);
        };
        let expected = "a month as yyyymm";
        let number = match cell {
            Cell::Integer(number) => i32::try_from(*number).ok(),
            Cell::Text(text) => {
                let text = readable(text);
                if text.bytes().all(|byte| matches!(byte, b'0' | b'-')) {
                    return Ok(None);
                }
                match mapping.encoding {
                    Encoding::Base64 => integer(&text, 0).and_then(|number| i32::try_from(number).ok()),
                    _ => calendar::year_month(&text),
                }
            }
            _ => return Err(self.error(ErrorClass::NotANumber, field, expected)),
        };
        if matches!(number, Some(0 | NO_MONTH)) {
            return Ok(None);
        }
        let month = number.and_then(Month::from_yyyymm);
        month.map(Some).ok_or_else(|| match likely_month(mapping.encoding, cell) {
            // The column became a decimal, or the connector writes decimals otherwise (`decimal.handling.mode`).
            Some(likely) => self.error(
                ErrorClass::WrongEncoding,
                field,
                format!("{expected}; it would be one under encoding {}", likely.as_str()),
            ),
            None => self.error(ErrorClass::ImpossibleDate, field, expected),
        })
    }
}

/// The encoding under which a text that is no month would be one.
fn likely_month(declared: Encoding, cell: &Cell<'_>) -> Option<Encoding> {
    let Cell::Text(text) = cell else { return None };
    let (other, number) = if declared == Encoding::Base64 {
        (Encoding::YearMonth, calendar::year_month(text.trim()))
    } else {
        (
            Encoding::Base64,
            integer(text, 0).and_then(|number| i32::try_from(number).ok()),
        )
    };
    number.and_then(Month::from_yyyymm).map(|_| other)
}
