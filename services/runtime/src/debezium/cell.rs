//! Cells and rows: the columns of a row that somebody asked for.

use super::decimal;
use super::error::{ErrorClass, NormaliseError};
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// A column's value in JSON. Has no `Debug`: it is personal.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Cell<'a> {
    /// The row has no such column, which is another thing than a null: an image of a key alone, or a table that was changed.
    #[default]
    Absent,
    /// SQL null.
    Null,
    /// A boolean.
    Boolean(bool),
    /// An integer: numbers, days, microseconds; also where a connector writes it as `1.0` or as a decimal with its scale.
    Integer(i128),
    /// Text, borrowed unless it holds escapes.
    Text(Cow<'a, str>),
    /// What no encoding uses: fractions, numbers beyond 128 bits, arrays, objects.
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Cell<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CellVisitor)
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Cell::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Cell::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Cell::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Cell::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(decimal::of_float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Cell::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // A decimal with its scale is the only object that is a value.
        let (mut scale, mut unscaled, mut other) = (None, None, false);
        while let Some(name) = map.next_key::<Part>()? {
            match name {
                Part::Scale => scale = Some(map.next_value::<Cell<'de>>()?),
                Part::Value => unscaled = Some(map.next_value::<Cell<'de>>()?),
                Part::Other => {
                    map.next_value::<IgnoredAny>()?;
                    other = true;
                }
            }
        }
        Ok(match (scale, unscaled, other) {
            (Some(Cell::Integer(scale)), Some(Cell::Text(base64)), false) => {
                decimal::integer(&base64, scale).map_or(Cell::Other, Cell::Integer)
            }
            _ => Cell::Other,
        })
    }
}

/// A part of an object in a cell.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Part {
    Scale,
    Value,
    #[serde(other)]
    Other,
}

/// Chosen columns of a row.
pub struct Row<'a> {
    /// The cells, in the order of the columns asked for.
    pub cells: Vec<Cell<'a>>,
    /// How many columns the row has beside those: a source may add columns at any time.
    pub unnamed: usize,
}

impl<'a> Row<'a> {
    /// Reads the columns from the JSON text of a row; what the row does not have is [`Cell::Absent`].
    pub fn read(json: &'a str, columns: &[impl AsRef<str>]) -> Result<Self, NormaliseError> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let mut row = RowSeed { columns }.deserialize(&mut deserializer).map_err(|error| {
            let class = if error.is_data() {
                ErrorClass::WrongEnvelope
            } else {
                ErrorClass::NotJson
            };
            NormaliseError::new(class, None, "a row as a JSON object from column to value")
        })?;
        if row.cells.contains(&Cell::Other) {
            exact(json, columns, &mut row.cells);
        }
        Ok(row)
    }
}

/// Reads integers that became fractions on the way, being beyond 64 bits, such as serial numbers of twenty digits.
fn exact(json: &str, columns: &[impl AsRef<str>], cells: &mut [Cell<'_>]) {
    let Ok(values) = serde_json::from_str::<HashMap<Cow<'_, str>, &RawValue>>(json) else {
        return;
    };
    for (column, cell) in columns.iter().zip(cells).filter(|(_, cell)| **cell == Cell::Other) {
        let value = values.get(column.as_ref());
        if let Some(number) = value.and_then(|value| decimal::plain_integer(value.get())) {
            *cell = Cell::Integer(number);
        }
    }
}

struct RowSeed<'c, C> {
    columns: &'c [C],
}

impl<'de, C: AsRef<str>> DeserializeSeed<'de> for RowSeed<'_, C> {
    type Value = Row<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Row<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, C: AsRef<str>> Visitor<'de> for RowSeed<'_, C> {
    type Value = Row<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row<'de>, A::Error> {
        let mut row = Row {
            cells: vec![Cell::Absent; self.columns.len()],
            unnamed: 0,
        };
        let mut next = 0;
        while let Some(place) = map.next_key_seed(ColumnSeed {
            columns: self.columns,
            next,
        })? {
            if let Some(place) = place {
                row.cells[place] = map.next_value()?;
                next = place + 1;
            } else {
                map.next_value::<IgnoredAny>()?;
                row.unnamed += 1;
            }
        }
        Ok(row)
    }
}

/// Finds a column's place without copying its name. Rows of a table mostly have their columns in one order, so the search
/// starts after the last hit.
struct ColumnSeed<'c, C> {
    columns: &'c [C],
    next: usize,
}

impl<'de, C: AsRef<str>> DeserializeSeed<'de> for ColumnSeed<'_, C> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<C: AsRef<str>> Visitor<'_> for ColumnSeed<'_, C> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let start = self.next.min(self.columns.len());
        let after = self.columns[start..]
            .iter()
            .position(|column| column.as_ref() == name)
            .map(|at| at + start);
        Ok(after.or_else(|| self.columns[..start].iter().position(|column| column.as_ref() == name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_columns_asked_for_in_any_order() {
        let columns = ["a", "b", "c", "d", "e", "f"].map(String::from);
        let row = Row::read(
            r#"{"x":[{"y":1}],"e":2.5,"c":true,"b":null,"a":"\u4e00","d":-7,"z":{}}"#,
            &columns,
        );
        let Ok(row) = row else { panic!("a row") };
        let expected = [
            Cell::Text("一".into()),
            Cell::Null,
            Cell::Boolean(true),
            Cell::Integer(-7),
            Cell::Other,
            Cell::Absent,
        ];
        assert!(row.cells == expected);
        assert_eq!(row.unnamed, 2);
    }

    #[test]
    fn huge_numbers_arrays_and_objects_are_of_no_use() {
        let columns = ["a", "b", "c", "d"].map(String::from);
        let row = Row::read(
            r#"{"a":340282366920938463463374607431768211456,"b":[1,[2]],"c":{"d":{}},"d":1e30}"#,
            &columns,
        );
        assert!(row.is_ok_and(|row| row.cells.iter().all(|cell| *cell == Cell::Other)));
        let row = Row::read(r#"{"a":18446744073709551616,"b":[]}"#, &columns[..2]);
        assert!(row.is_ok_and(|row| row.cells == [Cell::Integer(1 << 64), Cell::Other]));
    }

    #[test]
    fn decimals_that_are_whole_are_integers() {
        let columns = ["a", "b", "c", "d"].map(String::from);
        let row = Row::read(
            r#"{"a":{"scale":0,"value":"AQ=="},"b":{"value":"ZA==","scale":2},"c":7.0,"d":{"scale":1,"value":"AQ=="}}"#,
            &columns,
        );
        let expected = [Cell::Integer(1), Cell::Integer(1), Cell::Integer(7), Cell::Other];
        assert!(row.is_ok_and(|row| row.cells == expected));
    }

    #[test]
    fn no_rows() {
        for (json, class) in [
            ("[]", ErrorClass::WrongEnvelope),
            ("\"a\"", ErrorClass::WrongEnvelope),
            ("{", ErrorClass::NotJson),
        ] {
            assert_eq!(Row::read(json, &[""; 0]).err().map(|error| error.class), Some(class));
        }
    }
}
