//! What the image before says of an update's fields that the image after does not.
//!
//! A value is taken from the same message only, so that a record is what its latest version says, whatever came earlier and in whichever order
//! (ARCHITECTURE.md, Versions).

use super::super::field::Field;
use super::super::shape::Reach;
use super::super::table::Table;
use super::{Image, Reader};
use crate::debezium::{Cell, NormaliseError, Row};
use std::cell::OnceCell;

/// The image before of an update, read when it is asked for.
pub(super) struct Last<'t, 'a> {
    json: Option<&'a str>,
    reader: OnceCell<Option<Box<Reader<'t, 'a>>>>,
}

impl<'a> Last<'_, 'a> {
    pub(super) fn new(json: Option<&'a str>) -> Self {
        Self {
            json,
            reader: OnceCell::new(),
        }
    }
}

/// Fills in what the connector did not know because it did not change: the image before has it, where that is complete.
pub(super) fn complete<'a>(table: &Table, cells: &mut [Cell<'a>], before: Option<&'a str>) {
    let is_unknown = |cell: &Cell<'_>| matches!(cell, Cell::Text(text) if table.unavailable.is(text));
    let Some(before) = before.filter(|_| cells.iter().any(is_unknown)) else {
        return;
    };
    let Ok(Row { cells: known, .. }) = Row::read(before, &table.columns) else {
        return;
    };
    for (cell, known) in cells.iter_mut().zip(known) {
        // What was not logged because it is large is not null: an image that says so has its key alone.
        if is_unknown(cell) && !matches!(known, Cell::Absent | Cell::Null) {
            *cell = known;
        }
    }
}

impl Reader<'_, '_> {
    /// What a field's rule makes of a value that cannot be read; `again` reads it of another image, and finds nothing where no rule keeps
    /// a value of its kind.
    pub(super) fn kept<'r, T>(
        &'r self,
        field: Field,
        read: Result<Option<T>, NormaliseError>,
        again: impl FnOnce(&'r Self) -> Option<T>,
    ) -> Result<Option<T>, NormaliseError> {
        let error = match read {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let reach = self.table.mapping(field).map_or(Reach::Row, |mapping| mapping.reach);
        let is_alone = match reach {
            Reach::Row => false,
            Reach::Alone | Reach::Keeps(_) => true,
            Reach::BesideNumber => self.states_number.get(),
        };
        if !is_alone {
            return Err(error);
        }
        self.flaws.borrow_mut().push(error);
        let Reach::Keeps(beside) = reach else { return Ok(None) };
        Ok(self.last(beside).and_then(again))
    }

    /// The image before, if it is of the same person and holds the same in the field `beside`.
    fn last(&self, beside: Option<Field>) -> Option<&Self> {
        let read = || Some(Box::new(Self::new(self.table, self.last.json?, Image::Before).ok()?));
        let last: &Self = self.last.reader.get_or_init(read).as_deref()?;
        let same = |field| self.is_same(last, field);
        let is_one_person = same(Field::Number) && (self.states_number.get() || same(Field::Name));
        (is_one_person && beside.is_none_or(same)).then_some(last)
    }

    /// Whether a field, if it is mapped, is stated alike by both images.
    fn is_same(&self, last: &Self, field: Field) -> bool {
        let cell = |image: &Self| {
            self.table
                .mapping(field)
                .map(|mapping| image.cells[image.column(mapping)].clone())
        };
        cell(self) == cell(last)
    }
}
