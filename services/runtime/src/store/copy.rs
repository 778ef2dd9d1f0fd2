//! Writes rows in PostgreSQL's binary COPY format: the cheapest way into a table (ARCHITECTURE.md, Layout of the store).

use domain::date::Day;
use sqlx::PgConnection;

/// Days between 1970-01-01 and 2000-01-01, where PostgreSQL's dates begin.
const POSTGRES_EPOCH_DAYS: i32 = 10_957;
/// Milliseconds between the same two days.
const POSTGRES_EPOCH_MILLIS: i64 = POSTGRES_EPOCH_DAYS as i64 * 86_400_000;
/// Object identifiers of the element types of array columns.
const OID_INT2: i32 = 21;
const OID_INT8: i32 = 20;
const OID_DATE: i32 = 1082;

/// Size at which a piece of rows is full: small enough for the allocator to hand out memory it has, instead of fresh pages that the
/// kernel must clear.
const PIECE: usize = 256 * 1024;

/// Rows to copy into one table.
#[derive(Debug)]
pub struct CopyRows {
    columns: i16,
    rows: usize,
    full: Vec<Vec<u8>>,
    bytes: Vec<u8>,
}

impl CopyRows {
    /// No rows yet, of so many columns.
    pub fn new(columns: i16) -> Self {
        let mut bytes = Vec::with_capacity(16 * 1024);
        bytes.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
        bytes.extend_from_slice(&[0; 8]);
        Self {
            columns,
            rows: 0,
            full: Vec::new(),
            bytes,
        }
    }

    /// How many rows were begun.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is nothing to copy.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Begins a row; its fields follow in the table's order.
    pub fn row(&mut self) -> Row<'_> {
        self.rows += 1;
        if self.bytes.len() >= PIECE {
            let next = Vec::with_capacity(PIECE + PIECE / 8);
            self.full.push(std::mem::replace(&mut self.bytes, next));
        }
        self.bytes.extend_from_slice(&self.columns.to_be_bytes());
        Row { bytes: &mut self.bytes }
    }

    /// Copies the rows; `statement` is a `COPY ... FROM STDIN (FORMAT binary)`.
    pub async fn send(mut self, connection: &mut PgConnection, statement: &str) -> sqlx::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.bytes.extend_from_slice(&(-1i16).to_be_bytes());
        let mut copy = connection.copy_in_raw(statement).await?;
        for piece in self.full {
            copy.send(piece).await?;
        }
        copy.send(self.bytes).await?;
        copy.finish().await?;
        Ok(())
    }
}

/// The fields of one row.
#[derive(Debug)]
pub struct Row<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Row<'_> {
    fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn null(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(&(-1i32).to_be_bytes());
        self
    }

    /// A `smallint`.
    pub fn int2(&mut self, value: impl Into<Option<i16>>) -> &mut Self {
        match value.into() {
            Some(value) => self.field(&value.to_be_bytes()),
            None => self.null(),
        }
    }

    /// An `integer`.
    pub fn int4(&mut self, value: impl Into<Option<i32>>) -> &mut Self {
        match value.into() {
            Some(value) => self.field(&value.to_be_bytes()),
            None => self.null(),
        }
    }

    /// A `bigint`.
    pub fn int8(&mut self, value: impl Into<Option<i64>>) -> &mut Self {
        match value.into() {
            Some(value) => self.field(&value.to_be_bytes()),
            None => self.null(),
        }
    }

    /// A `boolean`.
    pub fn bool(&mut self, value: impl Into<Option<bool>>) -> &mut Self {
        match value.into() {
            Some(value) => self.field(&[u8::from(value)]),
            None => self.null(),
        }
    }

    /// A `bytea`.
    pub fn bytes<'b>(&mut self, value: impl Into<Option<&'b [u8]>>) -> &mut Self {
        match value.into() {
            Some(value) => self.field(value),
            None => self.null(),
        }
    }

    /// A `text`; PostgreSQL has no NUL character, which no name or code has either.
    pub fn text<'b>(&mut self, value: impl Into<Option<&'b str>>) -> &mut Self {
        match value.into() {
            Some(value) if value.contains('\0') => self.field(value.replace('\0', "").as_bytes()),
            Some(value) => self.field(value.as_bytes()),
            None => self.null(),
        }
    }

    /// A `date`.
    pub fn date(&mut self, value: impl Into<Option<Day>>) -> &mut Self {
        match value.into() {
            Some(day) => self.field(&postgres_day(day).to_be_bytes()),
            None => self.null(),
        }
    }

    /// A `timestamptz`, from milliseconds since 1970.
    pub fn timestamp(&mut self, millis: i64) -> &mut Self {
        self.field(&((millis - POSTGRES_EPOCH_MILLIS) * 1000).to_be_bytes())
    }

    /// A `smallint[]`; null when empty.
    pub fn int2_array(&mut self, values: &[i16]) -> &mut Self {
        self.array(OID_INT2, values.iter().map(|value| value.to_be_bytes()))
    }

    /// A `bigint[]`; null when empty.
    pub fn int8_array(&mut self, values: &[i64]) -> &mut Self {
        self.array(OID_INT8, values.iter().map(|value| value.to_be_bytes()))
    }

    /// A `date[]`; null when empty.
    pub fn date_array(&mut self, values: &[Day]) -> &mut Self {
        self.array(OID_DATE, values.iter().map(|day| postgres_day(*day).to_be_bytes()))
    }

    fn array<const N: usize>(&mut self, oid: i32, values: impl ExactSizeIterator<Item = [u8; N]>) -> &mut Self {
        if values.len() == 0 {
            return self.null();
        }
        let mut array = Vec::with_capacity(20 + values.len() * (N + 4));
        // One dimension, no nulls, element type, length, lower bound 1.
        for word in [1, 0, oid, values.len() as i32, 1] {
            array.extend_from_slice(&word.to_be_bytes());
        }
        for value in values {
            array.extend_from_slice(&(N as i32).to_be_bytes());
            array.extend_from_slice(&value);
        }
        self.field(&array)
    }
}

fn postgres_day(day: Day) -> i32 {
    day.0 - POSTGRES_EPOCH_DAYS
}
