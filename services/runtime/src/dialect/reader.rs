//! Reads the cells of a row as a table's mapping says.
//!
//! What cannot be read reaches as far as the field's rule says ([`Reach`]): the row, or the field alone, which is then noted as a flaw.

mod last;
mod times;

use super::codes::{Coded, Meaning};
use super::field::Field;
use super::sentinel::Sentinel;
use super::shape::Encoding;
use super::table::{Mapping, Table};
use crate::debezium::decimal::{integer, padded_integer};
use crate::debezium::{BROKEN, Cell, ErrorClass, NormaliseError, Row};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::division::Division;
use domain::limits::{self, LONGEST_TEXT};
use domain::personal::Personal;
use domain::record::earliest_day;
use encoding_rs::GB18030;
use last::Last;
use std::borrow::Cow;
use std::cell::{Cell as Flag, RefCell};

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

/// Which image of a row is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Image {
    /// The row as it now is: it has all columns of its table.
    Whole,
    /// The row as it was: depending on the replica identity, its key alone.
    Before,
}

/// A row under its mapping.
pub(super) struct Reader<'t, 'a> {
    table: &'t Table,
    cells: Vec<Cell<'a>>,
    image: Image,
    /// Whether the row states a usable citizen number, and the person's birth as far as the row tells, once that was read.
    states_number: Flag<bool>,
    born: Flag<Option<Day>>,
    /// What could not be read, and concerns its field alone.
    flaws: RefCell<Vec<NormaliseError>>,
    /// The image before of the same update.
    last: Last<'t, 'a>,
}

impl<'t, 'a> Reader<'t, 'a> {
    /// Reads the table's columns from the JSON text of a row.
    pub(super) fn new(table: &'t Table, json: &'a str, image: Image) -> Result<Self, NormaliseError> {
        Self::beside(table, json, image, None)
    }

    /// As [`Reader::new`], where the JSON text of the row as it was stands beside it: what the connector did not know since it did not change
    /// is read from there, and fields that keep their last value have it from there.
    pub(super) fn beside(table: &'t Table, json: &'a str, image: Image, before: Option<&'a str>) -> Result<Self, NormaliseError> {
        let mut cells = Row::read(json, &table.columns)?.cells;
        last::complete(table, &mut cells, before);
        Ok(Self {
            table,
            cells,
            image,
            states_number: Flag::default(),
            born: Flag::default(),
            flaws: RefCell::default(),
            last: Last::new(before),
        })
    }

    /// States whom the row is about, as far as that was read: what follows is read in its light.
    pub(super) fn is_about(&self, number: Option<CitizenId>, born: Option<Day>) {
        self.states_number.set(number.is_some());
        self.born.set(born);
    }

    /// What could not be read so far, and concerns its field alone.
    pub(super) fn flaws(&self) -> Vec<NormaliseError> {
        self.flaws.borrow().clone()
    }

    /// A day, unless it contradicts the person's birth, see [`earliest_day`].
    fn since_birth(&self, field: Field, day: Option<Day>) -> Option<Day> {
        let is_death = matches!(field, Field::Death | Field::Cremation);
        let contradicts = field != Field::Birth
            && day
                .zip(self.born.get())
                .is_some_and(|(day, born)| day < earliest_day(born, is_death));
        if contradicts {
            let expected = "a day that is not before the person's birth; a value that stands for none is listed under `none`";
            self.flaws
                .borrow_mut()
                .push(self.error(ErrorClass::Contradiction, field, expected));
        }
        day.filter(|_| !contradicts)
    }

    /// The table whose mapping is applied.
    pub(super) fn table(&self) -> &'t Table {
        self.table
    }

    /// The cells of the key columns.
    pub(super) fn key(&self) -> &[Cell<'a>] {
        &self.cells[..self.table.key.len()]
    }

    /// Where the row has a field: in its column, or in one that was the field's before.
    fn column(&self, mapping: &Mapping) -> usize {
        let named = |at: &usize| !matches!(self.cells[*at], Cell::Absent);
        let mut columns = std::iter::once(mapping.column).chain(mapping.former.iter().copied());
        columns.find(named).unwrap_or(mapping.column)
    }

    /// A field's mapping and cell; `None` when it is not mapped, null, or text of nothing but spaces and control characters.
    fn cell(&self, field: Field) -> Result<Option<(&'t Mapping, &Cell<'a>)>, NormaliseError> {
        let Some(mapping) = self.table.mapping(field) else {
            return Ok(None);
        };
        let cell = &self.cells[self.column(mapping)];
        match cell {
            Cell::Null => Ok(None),
            Cell::Absent if self.image == Image::Before || mapping.is_optional => Ok(None),
            Cell::Absent => Err(self.error(
                ErrorClass::AbsentColumn,
                field,
                "a column of this name: map the table as it now is, a renamed column with its old name under `former`; or say that the \
                 column is optional",
            )),
            Cell::Text(text) if text.contains(BROKEN) => Err(self.error(
                ErrorClass::BrokenText,
                field,
                "whole characters: half a surrogate pair, or bytes that are no UTF-8; of a source in GB 18030 the dialect says so",
            )),
            Cell::Text(text) if self.table.unavailable.is(text) => Err(self.error(
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
        let read = self.cell(field).and_then(|found| self.text_of(field, found));
        self.kept(field, read, |last| last.text(field).ok().flatten())
    }

    /// The text of a cell; nothing where it stands for none.
    fn text_of<'c>(
        &self,
        field: Field,
        found: Option<(&'t Mapping, &'c Cell<'a>)>,
    ) -> Result<Option<Cow<'c, str>>, NormaliseError> {
        let Some((mapping, cell)) = found else {
            return Ok(None);
        };
        let no_integer = || self.error(ErrorClass::NotANumber, field, "an integer");
        let digits = |number: Option<i128>| number.map(|number| Cow::Owned(number.to_string())).ok_or_else(no_integer);
        let text = match (mapping.encoding, cell) {
            (Encoding::Integer | Encoding::Base64 | Encoding::Division, Cell::Integer(number)) => digits(Some(*number))?,
            // Some connectors send numbers as text.
            (Encoding::Integer, Cell::Text(text)) => digits(padded_integer(&readable(text)))?,
            (Encoding::Base64, Cell::Text(text)) => digits(integer(&readable(text), 0))?,
            (Encoding::Bits, Cell::Text(text)) => digits(bits(&readable(text)))?,
            (Encoding::Bits, Cell::Boolean(bit)) => Cow::Borrowed(if *bit { "1" } else { "0" }),
            (Encoding::Integer | Encoding::Base64 | Encoding::Bits, _) => return Err(no_integer()),
            (Encoding::Gb18030, Cell::Text(text)) => Cow::Owned(
                gb18030(&readable(text))
                    .ok_or_else(|| self.error(ErrorClass::WrongEncoding, field, "text in GB 18030, its bytes in base64"))?,
            ),
            (_, Cell::Text(text)) => readable(text),
            _ => return Err(self.error(ErrorClass::WrongEncoding, field, "text")),
        };
        let is_none = mapping
            .none
            .iter()
            .any(|sentinel| matches!(sentinel, Sentinel::Text(none) if *none == text));
        Ok(Some(text).filter(|text| !is_none && !text.is_empty()))
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
        match self.code_of(field) {
            Err(Unread::Error(error)) => Ok(self.kept(field, Err(error), |_| None)?),
            read => read,
        }
    }

    fn code_of<T: Coded>(&self, field: Field) -> Result<Option<T>, Unread> {
        let value = |position: u8| T::VALUES.get(usize::from(position)).copied();
        if let Some(position) = self.table.fixed(field) {
            return Ok(value(position));
        }
        let Some(mapping) = self.table.mapping(field) else {
            return Ok(None);
        };
        let codes = mapping
            .codes
            .as_ref()
            .expect("files without a code table for a code field are refused");
        let null = || codes.null.and_then(value);
        let Some(code) = self.text_of(field, self.cell(field)?)? else {
            return Ok(null());
        };
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
            Some((mapping, cell)) if mapping.encoding == Encoding::Boolean => match cell {
                Cell::Boolean(value) => Ok(*value),
                // What MySQL's connectors make of BOOLEAN, which is TINYINT(1) there.
                Cell::Integer(number @ (0 | 1)) => Ok(*number == 1),
                _ => Err(Unread::Error(self.error(ErrorClass::WrongEncoding, field, "a boolean"))),
            },
            Some(_) => Ok(self.code(field)?.unwrap_or(false)),
            None => Ok(false),
        }
    }

    /// A division.
    pub(super) fn division(&self, field: Field) -> Result<Option<Division>, NormaliseError> {
        let expected = "a division code of 2, 4, 6, 9 or 12 digits";
        let parsed = |text: Option<Cow<'_, str>>| {
            let division = text.map(|text| Division::parse(&text)).transpose();
            division.map_err(|_| self.error(ErrorClass::UnknownCode, field, expected))
        };
        let read = self.cell(field).and_then(|found| self.text_of(field, found)).and_then(parsed);
        self.kept(field, read, |_| None)
    }

    /// The number of an ethnicity (GB/T 3304): 1 to 56, and 97 to 99 for the unrecognised, foreigners and unstated.
    pub(super) fn ethnicity(&self, field: Field) -> Result<Option<u8>, NormaliseError> {
        let expected = "a GB/T 3304 number: 01 to 56, 97 to 99";
        let parsed = |text: Option<Cow<'_, str>>| match text.as_deref().map(|code| (code, code.parse())) {
            None => Ok(None),
            Some((_, Ok(number @ (1..=56 | 97..=99)))) => Ok(Some(number)),
            Some((code, _)) => Err(self.error(ErrorClass::UnknownCode, field, expected).with_code(code)),
        };
        let read = self.cell(field).and_then(|found| self.text_of(field, found)).and_then(parsed);
        self.kept(field, read, |last| last.ethnicity(field).ok().flatten())
    }
}

/// The number of a bit string (`io.debezium.data.Bits`): its bytes in base64, the lowest first.
fn bits(base64: &str) -> Option<i128> {
    let bytes = BASE64_STANDARD.decode(base64).ok()?;
    let number = bytes
        .iter()
        .rev()
        .try_fold(0_i128, |number, byte| number.checked_mul(256)?.checked_add((*byte).into()));
    number.filter(|_| !bytes.is_empty())
}

/// Text whose bytes, in base64, are GB 18030, which GBK and GB 2312 are parts of.
fn gb18030(base64: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(base64).ok()?;
    let text = GB18030.decode_without_bom_handling_and_without_replacement(&bytes)?;
    Some(readable(&text).into_owned())
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
