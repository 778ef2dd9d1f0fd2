//! The columns of a source table and how Kafka Connect's JSON converter writes them.
//!
//! Text goes straight into a buffer: a tree of values per message would cost more than all the rest of a row.

use std::borrow::Cow;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::date::{Day, Timestamp};

/// A nullable text column.
pub(crate) type Text = Option<Cow<'static, str>>;
/// A text column that is the table's key.
pub(crate) type Key = Cow<'static, str>;

/// A decimal with two places (`numeric(12,2)`), in hundredths.
#[derive(Clone, Copy, PartialEq, Default)]
pub(crate) struct Cents(pub(crate) i64);

/// A `timestamp` without zone: microseconds since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Default)]
pub(crate) struct Micros(pub(crate) i64);

/// A `timestamptz`: microseconds since 1970-01-01 UTC, written as ISO text.
#[derive(Clone, Copy, PartialEq, Default)]
pub(crate) struct Zoned(pub(crate) i64);

/// A column's type: its Kafka Connect schema and its JSON.
pub(crate) trait Column {
    /// The primitive type of the schema.
    const TYPE: &'static str;
    /// The rest of the schema, between `optional` and `field`: name, version, parameters.
    const LOGICAL: &'static str = "";
    /// Whether the column may be null.
    const OPTIONAL: bool = false;

    /// Writes the value.
    fn write(&self, out: &mut Vec<u8>);
}

impl<T: Column> Column for Option<T> {
    const TYPE: &'static str = T::TYPE;
    const LOGICAL: &'static str = T::LOGICAL;
    const OPTIONAL: bool = true;

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl Column for Cow<'static, str> {
    const TYPE: &'static str = "string";

    fn write(&self, out: &mut Vec<u8>) {
        text(out, self);
    }
}

impl Column for i64 {
    const TYPE: &'static str = "int64";

    fn write(&self, out: &mut Vec<u8>) {
        number(out, *self);
    }
}

impl Column for i32 {
    const TYPE: &'static str = "int32";

    fn write(&self, out: &mut Vec<u8>) {
        number(out, i64::from(*self));
    }
}

impl Column for bool {
    const TYPE: &'static str = "boolean";

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl Column for Day {
    const TYPE: &'static str = "int32";
    const LOGICAL: &'static str = r#""name":"io.debezium.time.Date","version":1,"#;

    fn write(&self, out: &mut Vec<u8>) {
        number(out, i64::from(self.0));
    }
}

impl Column for Cents {
    const TYPE: &'static str = "bytes";
    const LOGICAL: &'static str = r#""name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"12"},"#;

    /// Base64 of the unscaled value's shortest big-endian two's complement.
    fn write(&self, out: &mut Vec<u8>) {
        let bytes = self.0.to_be_bytes();
        let sign = if self.0 < 0 { 0xff } else { 0 };
        let spare = bytes
            .windows(2)
            .take_while(|pair| pair[0] == sign && (pair[1] ^ sign) < 0x80)
            .count();
        let mut encoded = [0_u8; 12];
        let length = STANDARD
            .encode_slice(&bytes[spare..], &mut encoded)
            .expect("8 bytes make 12 characters");
        out.push(b'"');
        out.extend_from_slice(&encoded[..length]);
        out.push(b'"');
    }
}

impl Column for Micros {
    const TYPE: &'static str = "int64";
    const LOGICAL: &'static str = r#""name":"io.debezium.time.MicroTimestamp","version":1,"#;

    fn write(&self, out: &mut Vec<u8>) {
        number(out, self.0);
    }
}

impl Column for Zoned {
    const TYPE: &'static str = "string";
    const LOGICAL: &'static str = r#""name":"io.debezium.time.ZonedTimestamp","version":1,"#;

    fn write(&self, out: &mut Vec<u8>) {
        // The day in UTC, by taking the zone's eight hours off again.
        let day = Timestamp((self.0 / 1000).saturating_sub(8 * 3_600_000)).day_in_shanghai();
        let rest = self.0.rem_euclid(86_400_000_000);
        let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(out, "\"{day}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z\"").expect("a vector takes all");
    }
}

/// Writes an integer.
pub(crate) fn number(out: &mut Vec<u8>, value: i64) {
    write!(out, "{value}").expect("a vector takes all");
}

/// Writes a quoted text; what JSON forbids inside quotes is escaped.
pub(crate) fn text(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => write!(out, "\\u{byte:04x}").expect("a vector takes all"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(column: &impl Column) -> String {
        let mut out = Vec::new();
        column.write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn encodings_are_the_captured_ones() {
        assert_eq!(written(&Some(Cents(550_050))), "\"CGSi\"");
        assert_eq!(written(&Cents(1_234_567)), "\"EtaH\"");
        assert_eq!(written(&Cents(0)), "\"AA==\"");
        assert_eq!(written(&Cents(128)), "\"AIA=\"");
        assert_eq!(written(&Day(16_617)), "16617");
        assert_eq!(written(&Micros(1_790_843_415_123_456)), "1790843415123456");
        assert_eq!(written(&Zoned(1_790_814_615_123_456)), "\"2026-10-01T00:30:15.123456Z\"");
        assert_eq!(written(&None::<bool>), "null");
    }

    #[test]
    fn texts_survive() {
        for value in ["张三", "阿卜杜拉·买买提", "a\"b\\c\n\u{1}", "𠮷"] {
            let json = written(&Some(Cow::Borrowed(value)));
            let back: String = serde_json::from_str(&json).expect("JSON");
            assert!(back == value);
        }
    }
}
