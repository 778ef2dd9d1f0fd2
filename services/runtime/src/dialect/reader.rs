//! Reads the cells of a row as a table's mapping says.

use super::codes::{Coded, Meaning};
use super::field::Field;
use super::shape::Encoding;
use super::table::{Mapping, Table};
use crate::debezium::{Cell, ErrorClass, NormaliseError, Row, UNAVAILABLE};
use domain::date::{Day, Month, Timestamp};
use domain::division::Division;
use domain::limits::{self, LONGEST_TEXT};
use domain::personal::Personal;
use std::borrow::Cow;

const DAY_MICROS: i64 = 86_400_000_000;

/// Why a row yields no facts.
#[derive(Debug)]
pub(super) enum Unread {
    /// A column cannot be read.
    Error(NormaliseError),
    /// The row itself says that it does not hold.
    Void,
}

impl From<NormaliseError> for Unread {
    fn from(error: NormaliseError) -> Self {
        Self::Error(error)
    }
}

/// A row under its mapping.
pub(super) struct Reader<'t, 'a> {
    table: &'t Table,
    cells: Vec<Cell<'a>>,
}

impl<'t, 'a> Reader<'t, 'a> {
    /// Reads the table's columns from the JSON text of a row.
    pub(super) fn new(table: &'t Table, json: &'a str) -> Result<Self, NormaliseError> {
        Row::read(json, &table.columns).map(|row| Self { table, cells: row.cells })
    }

    /// The table whose mapping is applied.
    pub(super) fn table(&self) -> &'t Table {
        self.table
    }

    /// The cells of the key columns.
    pub(super) fn key(&self) -> &[Cell<'a>] {
        &self.cells[..self.table.key.len()]
    }

    /// A field's mapping and cell; `None` when it is not mapped, null, or text of nothing but spaces and control characters.
    fn cell(&self, field: Field) -> Result<Option<(&'t Mapping, &Cell<'a>)>, NormaliseError> {
        let Some(mapping) = self.table.mapping(field) else {
            return Ok(None);
        };
        let cell = &self.cells[mapping.column];
        match cell {
            Cell::Null => Ok(None),
            Cell::Text(text) if text == UNAVAILABLE => Err(self.error(
                ErrorClass::UnavailableValue,
                field,
                "the value: set replica identity FULL on the source table",
            )),
            Cell::Text(text) if text.len() > LONGEST_TEXT => {
                Err(self.error(ErrorClass::Oversized, field, format!("at most {LONGEST_TEXT} bytes")))
            }
            Cell::Text(text) if readable(text).is_empty() => Ok(None),
            _ => Ok(Some((mapping, cell))),
        }
    }

    /// An error about a field's column.
    pub(super) fn error(&self, class: ErrorClass, field: Field, expected: impl Into<Cow<'static, str>>) -> NormaliseError {
        NormaliseError::new(class, self.table.column(field), expected)
    }

    /// The value, or an error when there is none.
    pub(super) fn required<T>(&self, field: Field, value: Option<T>) -> Result<T, NormaliseError> {
        value.ok_or_else(|| self.error(ErrorClass::MissingValue, field, "a value"))
    }

    /// Text without surrounding spaces and without control characters, or the digits of an integer.
    pub(super) fn text(&self, field: Field) -> Result<Option<Cow<'_, str>>, NormaliseError> {
        let Some((mapping, cell)) = self.cell(field)? else {
            return Ok(None);
        };
        self.text_of(field, mapping.encoding, cell).map(Some)
    }

    fn text_of<'c>(&self, field: Field, encoding: Encoding, cell: &'c Cell<'a>) -> Result<Cow<'c, str>, NormaliseError> {
        match (encoding, cell) {
            (Encoding::Integer, Cell::Integer(number)) => Ok(Cow::Owned(number.to_string())),
            (Encoding::Integer, _) => Err(self.error(ErrorClass::NotANumber, field, "an integer")),
            (_, Cell::Text(text)) => Ok(readable(text)),
            _ => Err(self.error(ErrorClass::WrongEncoding, field, "text")),
        }
    }

    /// Text as an owned value.
    pub(super) fn string(&self, field: Field) -> Result<Option<String>, NormaliseError> {
        Ok(self.text(field)?.map(Cow::into_owned))
    }

    /// Personal text.
    pub(super) fn personal(&self, field: Field) -> Result<Option<Personal>, NormaliseError> {
        Ok(self.text(field)?.map(Personal::new))
    }

    /// The value of a code.
    pub(super) fn code<T: Coded>(&self, field: Field) -> Result<Option<T>, Unread> {
        let Some(mapping) = self.table.mapping(field) else {
            return Ok(None);
        };
        let codes = mapping
            .codes
            .as_ref()
            .expect("files without a code table for a code field are refused");
        let value = |position: u8| T::VALUES.get(usize::from(position)).copied();
        let null = || codes.null.and_then(value);
        let Some((_, cell)) = self.cell(field)? else {
            return Ok(null());
        };
        let code = self.text_of(field, mapping.encoding, cell)?;
        match codes.meaning(&code) {
            Some(Meaning::Value(position)) => Ok(value(position)),
            Some(Meaning::Unstated) => Ok(null()),
            Some(Meaning::Void) => Err(Unread::Void),
            None => {
                let expected = format!("a code of table {} in dialect {}", codes.name, self.table.dialect);
                Err(Unread::Error(
                    self.error(ErrorClass::UnknownCode, field, expected).with_code(&code),
                ))
            }
        }
    }

    /// A code that must be there.
    pub(super) fn required_code<T: Coded>(&self, field: Field) -> Result<T, Unread> {
        let value = self.code(field)?;
        Ok(self.required(field, value)?)
    }

    /// Yes or no; what is unstated is no.
    pub(super) fn flag(&self, field: Field) -> Result<bool, Unread> {
        match self.cell(field)? {
            Some((
                Mapping {
                    encoding: Encoding::Boolean,
                    ..
                },
                cell,
            )) => match cell {
                Cell::Boolean(value) => Ok(*value),
                _ => Err(Unread::Error(self.error(ErrorClass::WrongEncoding, field, "a boolean"))),
            },
            Some(_) => Ok(self.code(field)?.unwrap_or(false)),
            None => Ok(false),
        }
    }

    /// A calendar day.
    pub(super) fn day(&self, field: Field) -> Result<Option<Day>, NormaliseError> {
        let Some((mapping, cell)) = self.cell(field)? else {
            return Ok(None);
        };
        let expected = match mapping.encoding {
            Encoding::DateDays => "a calendar day as days since 1970-01-01",
            Encoding::DateText => "a calendar day as yyyy-mm-dd, yyyy/mm/dd or yyyymmdd",
            Encoding::TimestampMicros => "a time as microseconds since 1970-01-01",
            _ => "a time as ISO 8601 text with its zone",
        };
        let day = match (mapping.encoding, cell) {
            (Encoding::DateDays, Cell::Integer(days)) => limits::day(*days),
            // A column without zone holds the wall clock: its day is the day, whatever the zone.
            (Encoding::TimestampMicros, Cell::Integer(micros)) => limits::day(micros.div_euclid(DAY_MICROS)),
            (Encoding::DateDays | Encoding::TimestampMicros, _) => {
                return Err(self.error(ErrorClass::NotANumber, field, expected));
            }
            (Encoding::DateText, Cell::Text(text)) => day_of_text(text.trim()),
            (_, Cell::Text(text)) => instant_of_text(text.trim()).and_then(|time| limits::day(time.day_in_shanghai().0.into())),
            _ => return Err(self.error(ErrorClass::WrongEncoding, field, expected)),
        };
        day.map(Some)
            .ok_or_else(|| self.error(ErrorClass::ImpossibleDate, field, expected))
    }

    /// A month.
    pub(super) fn month(&self, field: Field) -> Result<Option<Month>, NormaliseError> {
        let Some((_, cell)) = self.cell(field)? else {
            return Ok(None);
        };
        let expected = "a month as yyyymm";
        let number = match cell {
            Cell::Integer(number) => i32::try_from(*number).ok(),
            Cell::Text(text) => year_month(text.trim()),
            _ => return Err(self.error(ErrorClass::NotANumber, field, expected)),
        };
        let month = number.and_then(Month::from_yyyymm);
        month
            .map(Some)
            .ok_or_else(|| self.error(ErrorClass::ImpossibleDate, field, expected))
    }

    /// An instant.
    pub(super) fn instant(&self, field: Field) -> Result<Option<Timestamp>, NormaliseError> {
        let Some((mapping, cell)) = self.cell(field)? else {
            return Ok(None);
        };
        let instant = match (mapping.encoding, cell) {
            (Encoding::TimestampMicros, Cell::Integer(micros)) => {
                let midnight = limits::day(micros.div_euclid(DAY_MICROS)).map(Day::start_in_shanghai);
                midnight.map(|start| Timestamp(start.0 + micros.rem_euclid(DAY_MICROS) / 1000))
            }
            (Encoding::TimestampMicros, _) => {
                return Err(self.error(ErrorClass::NotANumber, field, "a time as microseconds since 1970-01-01"));
            }
            (_, Cell::Text(text)) => instant_of_text(text.trim()),
            _ => {
                return Err(self.error(ErrorClass::WrongEncoding, field, "a time as ISO 8601 text with its zone"));
            }
        };
        instant
            .map(Some)
            .ok_or_else(|| self.error(ErrorClass::ImpossibleDate, field, "a time between the years 1 and 9999"))
    }

    /// A division.
    pub(super) fn division(&self, field: Field) -> Result<Option<Division>, NormaliseError> {
        let Some((_, cell)) = self.cell(field)? else {
            return Ok(None);
        };
        let division = match cell {
            Cell::Text(text) => Division::parse(text),
            Cell::Integer(number) => Division::parse(&number.to_string()),
            _ => {
                return Err(self.error(ErrorClass::WrongEncoding, field, "a division code as text or integer"));
            }
        };
        let expected = "a division code of 2, 4, 6, 9 or 12 digits";
        division
            .map(Some)
            .map_err(|_| self.error(ErrorClass::UnknownCode, field, expected))
    }

    /// The number of an ethnicity (GB/T 3304): 1 to 56, and 97 to 99 for the unrecognised, foreigners and unstated.
    pub(super) fn ethnicity(&self, field: Field) -> Result<Option<u8>, NormaliseError> {
        let Some(code) = self.text(field)? else {
            return Ok(None);
        };
        match code.parse() {
            Ok(number @ (1..=56 | 97..=99)) => Ok(Some(number)),
            _ => Err(self
                .error(ErrorClass::UnknownCode, field, "a GB/T 3304 number: 01 to 56, 97 to 99")
                .with_code(&code)),
        }
    }
}

/// Text as it can be kept: what copying and converting leave of control characters carries nothing, those that break lines or columns
/// stand for a space.
fn readable(text: &str) -> Cow<'_, str> {
    if !limits::has_control(text) {
        return Cow::Borrowed(text.trim());
    }
    let kept = |c: char| {
        if c.is_control() {
            c.is_whitespace().then_some(' ')
        } else {
            Some(c)
        }
    };
    let text: String = text.chars().filter_map(kept).collect();
    Cow::Owned(text.trim().to_owned())
}

fn day_of_text(text: &str) -> Option<Day> {
    if text.len() == 8 && text.is_ascii() {
        return format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]).parse().ok();
    }
    text.parse().or_else(|_| text.replace('/', "-").parse()).ok()
}

fn instant_of_text(text: &str) -> Option<Timestamp> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    limits::instant(time.timestamp_millis())
}

/// `yyyymm` or `yyyy-mm` as a number.
fn year_month(text: &str) -> Option<i32> {
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
    fn control_characters_are_no_text() {
        for (raw, text) in [
            ("某路\u{0}1号", "某路1号"),
            ("\u{1b}[31m某路\r\n1号\u{85}", "[31m某路  1号"),
            ("\0 \u{1}", ""),
            (" 某路 ", "某路"),
        ] {
            assert_eq!(readable(raw), text);
        }
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
}
