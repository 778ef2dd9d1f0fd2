//! Texts that were cut or converted in the midst of a character: what is whole around them is read all the same.
//!
//! Half a surrogate pair (`\ud842` alone), a VARCHAR cut at its last byte, CESU-8 (what Oracle calls UTF8), or a source that writes GB 18030
//! make a whole message no JSON. Here each broken place becomes a [`BROKEN`] with the digits of what stood there behind it, so that only the text
//! that holds it cannot be read, and two keys that were broken in one place stay two.

use encoding_rs::GB18030;
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt::Write;

/// Stands where a character was broken: a code point that is no character and that no text holds.
pub const BROKEN: char = '\u{ffff}';

/// How a source writes the text of its messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Charset {
    /// UTF-8, as JSON must.
    #[default]
    Utf8,
    /// GB 18030, which GBK and GB 2312 are parts of: what hand-written publishers of old databases send.
    Gb18030,
}

/// The message part with its broken characters marked; `None` when there is none, so that it is no JSON for another reason.
pub fn repaired(bytes: &[u8], charset: Charset) -> Option<Vec<u8>> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) if charset == Charset::Gb18030 => GB18030.decode_without_bom_handling_and_without_replacement(bytes)?,
        Err(_) => Cow::Owned(marked(bytes)),
    };
    let text = match without_halves(&text) {
        Some(text) => Cow::Owned(text),
        None => text,
    };
    (text.as_bytes() != bytes).then(|| text.into_owned().into_bytes())
}

/// UTF-8 with what is none marked; pairs of surrogates that were encoded one by one are joined.
fn marked(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        if let Some((unit, behind)) = surrogate(rest) {
            let pair = surrogate(behind).and_then(|(low, behind)| Some((joined(unit, low)?, behind)));
            if let Some((c, behind)) = pair {
                text.push(c);
                rest = behind;
            } else {
                write!(text, "{BROKEN}{unit:04x}").expect("a string");
                rest = behind;
            }
            continue;
        }
        let valid = match std::str::from_utf8(rest) {
            Ok(valid) => valid.len(),
            Err(error) => error.valid_up_to(),
        };
        text.push_str(std::str::from_utf8(&rest[..valid]).unwrap_or_default());
        rest = &rest[valid..];
        if let (false, None) = (rest.is_empty(), surrogate(rest)) {
            text.push(BROKEN);
            // The rest of a cut character belongs to it.
            let continued = rest[1..].iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
            let (cut, behind) = rest.split_at(1 + continued);
            for byte in cut {
                write!(text, "{byte:02x}").expect("a string");
            }
            rest = behind;
        }
    }
    text
}

/// A surrogate encoded as if it were a character, and what follows it.
fn surrogate(bytes: &[u8]) -> Option<(u16, &[u8])> {
    match bytes {
        [0xed, high @ 0xa0..=0xbf, low @ 0x80..=0xbf, behind @ ..] => {
            let unit = 0xd000 | u16::from(high & 0x3f) << 6 | u16::from(low & 0x3f);
            Some((unit, behind))
        }
        _ => None,
    }
}

/// The character of two surrogates; `None` when they are no pair.
fn joined(high: u16, low: u16) -> Option<char> {
    char::decode_utf16([high, low])
        .next()?
        .ok()
        .filter(|c| u32::from(*c) > 0xffff)
}

/// The JSON text with escapes of half a surrogate pair marked; `None` when it has none.
fn without_halves(json: &str) -> Option<String> {
    let mut text = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = json[at..].find('\\') {
        at += found;
        let Some(unit) = escaped_unit(&json[at..]) else {
            // An escaped backslash must not be taken for the beginning of the next escape.
            at += 1 + json[at + 1..].chars().next().map_or(0, char::len_utf8);
            continue;
        };
        let is_half = (0xd800..=0xdfff).contains(&unit);
        let is_pair = is_half && escaped_unit(&json[at + 6..]).is_some_and(|low| joined(unit, low).is_some());
        if is_half && !is_pair {
            text.push_str(&json[copied..at]);
            write!(text, "{BROKEN}{unit:04x}").expect("a string");
            copied = at + 6;
        }
        at += if is_pair { 12 } else { 6 };
    }
    (copied > 0).then(|| text + &json[copied..])
}

/// The UTF-16 unit of an escape of four digits that a text begins with.
fn escaped_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utf8(bytes: &[u8]) -> Option<String> {
        repaired(bytes, Charset::Utf8).map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
    }

    #[test]
    fn halves_of_pairs_are_marked_and_pairs_are_not() {
        for (json, expected) in [
            (r#"{"a":"\ud842"}"#, Some("{\"a\":\"\u{ffff}d842\"}")),
            (r#"{"a":"\udfb7\ud842"}"#, Some("{\"a\":\"\u{ffff}dfb7\u{ffff}d842\"}")),
            (
                r#"{"a":"\ud842\ud842\udfb7"}"#,
                Some("{\"a\":\"\u{ffff}d842\\ud842\\udfb7\"}"),
            ),
            (r#"{"a":"\ud842\u4e00"}"#, Some("{\"a\":\"\u{ffff}d842\\u4e00\"}")),
            (r#"{"a":"\\ud842"}"#, None),
            (r#"{"a":"\ud842\udfb7"}"#, None),
            (r#"{"a":"\u4e"#, None),
            (r#"{"a":"\"#, None),
        ] {
            assert_eq!(utf8(json.as_bytes()).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_marked_and_cesu8_is_joined() {
        // The second: 张 cut after its second byte; the last: U+20BB7 as two surrogates of three bytes each.
        for (bytes, expected) in [
            (&b"{\"a\":\"\xed\xa1\x82\"}"[..], "{\"a\":\"\u{ffff}d842\"}"),
            (b"{\"a\":\"x\xe5\xbc\"}", "{\"a\":\"x\u{ffff}e5bc\"}"),
            (b"\"\xed\xa1\x82\xed\xbe\xb7\"", "\"\u{20bb7}\""),
        ] {
            assert_eq!(utf8(bytes).as_deref(), Some(expected));
        }
        assert_eq!(utf8("{\"a\":\"张\"".as_bytes()), None);
    }

    #[test]
    fn gb18030_is_read_where_it_is_declared() {
        let (bytes, ..) = GB18030.encode("{\"xm\":\"镕\u{3400}\"}");
        let read = repaired(&bytes, Charset::Gb18030).map(String::from_utf8);
        assert_eq!(read, Some(Ok("{\"xm\":\"镕\u{3400}\"}".to_owned())));
        assert!(utf8(&bytes).is_some_and(|text| text.contains(BROKEN)));
    }

    proptest! {
        #[test]
        fn what_is_whole_stays_and_whatever_comes_becomes_text(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "\\PC{0,20}") {
            prop_assert_eq!(repaired(serde_json::Value::from(text.as_str()).to_string().as_bytes(), Charset::Utf8), None);
            let read = repaired(&bytes, Charset::Utf8);
            prop_assert!(std::str::from_utf8(read.as_deref().unwrap_or(&bytes)).is_ok());
        }
    }
}
