//! Reads the cells of a row as a table's mapping says.

use super::calendar::{self, NoTime};
use super::codes::{Coded, Meaning};
use super::field::Field;
use super::shape::Encoding;
use super::table::{Mapping, Table};
use crate::debezium::decimal::padded_integer;
use crate::debezium::{Cell, ErrorClass, NormaliseError, Row, UNAVAILABLE};
use domain::date::{Day, Month, Timestamp};
use domain::division::Division;
use domain::limits::{self, LONGEST_TEXT};
use domain::personal::Personal;
use std::borrow::Cow;

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
        Encoding::TimestampMillis => "a time as milliseconds since 1970-01-01",
        Encoding::TimestampMicros => "a time as microseconds since 1970-01-01",
        Encoding::TimestampNanos => "a time as nanoseconds since 1970-01-01",
        Encoding::WallClockText => "a time as yyyy-mm-dd hh:mm:ss",
        _ => "a time as ISO 8601 text with its zone",
    }
}

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
            // Some connectors send numbers as text.
            (Encoding::Integer, Cell::Text(text)) => padded_integer(text)
                .map(|number| Cow::Owned(number.to_string()))
                .ok_or_else(|| self.error(ErrorClass::NotANumber, field, "an integer")),
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
        let clock = self.time(field, |encoding, text| match encoding {
            Encoding::DateText => calendar::day_of_text(text),
            Encoding::WallClockText => calendar::wall_clock_of_text(text).map(|(day, _)| day),
            _ => calendar::instant_of_text(text).and_then(|time| limits::day(time.day_in_shanghai().0.into())),
        });
        // A column without zone holds the wall clock: its day is the day, whatever the zone.
        Ok(clock?.map(|time| match time {
            Time::Counted((day, _)) | Time::Text(day) => day,
        }))
    }

    /// An instant.
    pub(super) fn instant(&self, field: Field) -> Result<Option<Timestamp>, NormaliseError> {
        let clock = self.time(field, |encoding, text| match encoding {
            Encoding::WallClockText => calendar::wall_clock_of_text(text).map(calendar::instant),
            _ => calendar::instant_of_text(text),
        });
        Ok(clock?.map(|time| match time {
            Time::Counted(clock) => calendar::instant(clock),
            Time::Text(instant) => instant,
        }))
    }

    /// A day or time: counted, or what `of_text` makes of text; nothing where the database says that there is none.
    fn time<T>(&self, field: Field, of_text: impl Fn(Encoding, &str) -> Option<T>) -> Result<Option<Time<T>>, NormaliseError> {
        let Some((mapping, cell)) = self.cell(field)? else {
            return Ok(None);
        };
        let encoding = mapping.encoding;
        let counts = matches!(
            encoding,
            Encoding::DateDays | Encoding::TimestampMillis | Encoding::TimestampMicros | Encoding::TimestampNanos
        );
        let expected = expected_time(encoding);
        let text = match cell {
            Cell::Integer(value) if counts => {
                return match calendar::wall_clock(encoding, *value) {
                    Ok(clock) => Ok(Some(Time::Counted(clock))),
                    Err(NoTime::Never) => Ok(None),
                    Err(NoTime::Impossible { likely }) => {
                        let hint = likely.map(|likely| format!("{expected}; as {} it would be a likely one", likely.as_str()));
                        let expected = hint.map_or(Cow::Borrowed(expected), Cow::Owned);
                        Err(self.error(ErrorClass::ImpossibleDate, field, expected))
                    }
                };
            }
            Cell::Text(text) if calendar::is_never(text) => return Ok(None),
            _ if counts => return Err(self.error(ErrorClass::NotANumber, field, expected)),
            Cell::Text(text) => Cow::Borrowed(text.trim()),
            // 20150701, also where it is a number.
            Cell::Integer(0) if encoding == Encoding::DateText => return Ok(None),
            Cell::Integer(number) if encoding == Encoding::DateText => Cow::Owned(number.to_string()),
            _ => return Err(self.error(ErrorClass::WrongEncoding, field, expected)),
        };
        let read = of_text(encoding, &text).map(|read| Some(Time::Text(read)));
        read.ok_or_else(|| self.error(ErrorClass::ImpossibleDate, field, expected))
    }

    /// A month; a month of zeros is none.
    pub(super) fn month(&self, field: Field) -> Result<Option<Month>, NormaliseError> {
        let Some((_, cell)) = self.cell(field)? else {
            return Ok(None);
        };
        let expected = "a month as yyyymm";
        let number = match cell {
            Cell::Integer(0) => return Ok(None),
            Cell::Integer(number) => i32::try_from(*number).ok(),
            Cell::Text(text) if text.trim().bytes().all(|byte| matches!(byte, b'0' | b'-')) => return Ok(None),
            Cell::Text(text) => calendar::year_month(text.trim()),
            _ => return Err(self.error(ErrorClass::NotANumber, field, expected)),
        };
        let month = number.and_then(Month::from_yyyymm);
        month
            .map(Some)
            .ok_or_else(|| self.error(ErrorClass::ImpossibleDate, field, expected))
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
