//! From what follows a frame to the JSON that Debezium's JsonConverter would have written of the same event. Pure.
//!
//! Read straight into text and strictly: the Avro crate takes an end of the bytes within a union, a text or a boolean for null, so that a row
//! cut short would come out as one that states less.

use super::schema::{Form, Node, ParsedSchema};
use crate::debezium::{ErrorClass, NormaliseError};
use crate::limits::LARGEST_MESSAGE;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// Why a datum was not read.
enum Unfit {
    /// The bytes are no datum of the schema.
    Bytes,
    /// The JSON would be larger than any message that is read. It bounds the work, too: whatever is read writes something.
    Large,
}

/// The JSON text of a datum, the bytes behind the frame.
///
/// Records become objects and unions what they hold; bytes become base64, numbers that are none texts, as in JsonConverter.
///
/// # Errors
/// [`ErrorClass::WrongFrame`] when the bytes are no datum of the schema, [`ErrorClass::Oversized`] when the JSON is too long.
pub fn to_json<'a>(schema: &ParsedSchema, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, NormaliseError> {
    let Form::Avro(node) = &schema.0 else {
        return Ok(Cow::Borrowed(bytes));
    };
    let mut writer = Writer {
        left: bytes,
        out: Vec::with_capacity(bytes.len() * 4),
    };
    let read = match writer.value(node) {
        Ok(()) if !writer.left.is_empty() => Err(Unfit::Bytes),
        read => read,
    };
    match read {
        Ok(()) => Ok(Cow::Owned(writer.out)),
        Err(Unfit::Bytes) => Err(NormaliseError::new(
            ErrorClass::WrongFrame,
            None,
            "bytes that the schema of their frame describes: does the converter write to this registry?",
        )),
        Err(Unfit::Large) => {
            let expected = format!("a message of at most {LARGEST_MESSAGE} bytes as JSON");
            Err(NormaliseError::new(ErrorClass::Oversized, None, expected))
        }
    }
}

struct Writer<'a> {
    left: &'a [u8],
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn value(&mut self, node: &Node) -> Result<(), Unfit> {
        match node {
            Node::Null => self.put("null"),
            Node::Boolean => match self.take(1)? {
                [0] => self.put("false"),
                [1] => self.put("true"),
                _ => return Err(Unfit::Bytes),
            },
            Node::Int => {
                let number = i32::try_from(self.long()?).map_err(|_| Unfit::Bytes)?;
                self.put(&number.to_string());
            }
            Node::Long => {
                let number = self.long()?;
                self.put(&number.to_string());
            }
            Node::Float => {
                let number = f32::from_le_bytes(self.array()?);
                self.number(number.is_finite(), f64::from(number), |out| {
                    serde_json::to_writer(out, &number)
                });
            }
            Node::Double => {
                let number = f64::from_le_bytes(self.array()?);
                self.number(number.is_finite(), number, |out| serde_json::to_writer(out, &number));
            }
            Node::Bytes => {
                let bytes = self.block()?;
                self.base64(bytes);
            }
            Node::Fixed(size) => {
                let bytes = self.take(*size)?;
                self.base64(bytes);
            }
            Node::String => self.text()?,
            Node::Enum(symbols) => {
                let symbol = usize::try_from(self.long()?).ok().and_then(|at| symbols.get(at));
                self.put(symbol.ok_or(Unfit::Bytes)?);
            }
            Node::Union(branches) => {
                let branch = usize::try_from(self.long()?).ok().and_then(|at| branches.get(at));
                self.value(branch.ok_or(Unfit::Bytes)?)?;
            }
            Node::Array(items) => self.series(*b"[]", |writer| writer.value(items))?,
            Node::Map(values) => self.series(*b"{}", |writer| {
                writer.text()?;
                writer.put(":");
                writer.value(values)
            })?,
            Node::Record(fields) => {
                for (at, (name, kind)) in fields.iter().enumerate() {
                    self.put(if at == 0 { "{" } else { "," });
                    self.put(name);
                    self.value(kind)?;
                }
                self.put(if fields.is_empty() { "{}" } else { "}" });
            }
        }
        if self.out.len() > LARGEST_MESSAGE {
            return Err(Unfit::Large);
        }
        Ok(())
    }

    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// JSON has no word for what is not finite; JsonConverter writes texts.
    fn number(&mut self, finite: bool, number: f64, write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>) {
        match (finite, number.is_nan()) {
            (true, _) => write(&mut self.out).expect("numbers are written to memory"),
            (false, true) => self.put("\"NaN\""),
            (false, false) => self.put(if number > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }),
        }
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.put("\"");
        self.put(&STANDARD.encode(bytes));
        self.put("\"");
    }

    fn text(&mut self) -> Result<(), Unfit> {
        let text = std::str::from_utf8(self.block()?).map_err(|_| Unfit::Bytes)?;
        serde_json::to_writer(&mut self.out, text).expect("text is written to memory");
        Ok(())
    }

    /// Blocks of so many items each, until an empty one; a negative count is followed by the block's size.
    fn series(&mut self, [open, close]: [u8; 2], mut item: impl FnMut(&mut Self) -> Result<(), Unfit>) -> Result<(), Unfit> {
        self.out.push(open);
        let mut first = true;
        loop {
            let count = self.long()?;
            if count == 0 {
                break;
            }
            if count < 0 {
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                if !std::mem::take(&mut first) {
                    self.out.push(b',');
                }
                item(self)?;
            }
        }
        self.out.push(close);
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Unfit> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(Unfit::Bytes)?;
        self.left = left;
        Ok(taken)
    }

    fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Unfit> {
        self.take(SIZE)?.try_into().map_err(|_| Unfit::Bytes)
    }

    /// Bytes behind their number.
    fn block(&mut self) -> Result<&'a [u8], Unfit> {
        let count = usize::try_from(self.long()?).map_err(|_| Unfit::Bytes)?;
        self.take(count)
    }

    /// A number in zigzag order, seven bits a byte, the lowest first.
    fn long(&mut self) -> Result<i64, Unfit> {
        let mut number: u64 = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err(Unfit::Bytes)
    }
}

#[cfg(test)]
mod tests;
