//! What connectors write for a large column that did not change, where the database did not log it.
//!
//! Debezium's `unavailable.value.placeholder`; a column of bytes holds it as its encoding makes it, a hstore as a map from it to itself
//! (<https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-toasted-values>). Arrays hold it too, but no
//! field is one.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

/// The placeholder when nothing else is configured.
const DEFAULT: &str = "__debezium_unavailable_value";

/// A placeholder, in every form that a column of text, JSON or bytes may hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    forms: [String; 4],
    /// The digits may be written large.
    hexadecimal: String,
}

impl Default for Unavailable {
    fn default() -> Self {
        Self::of_bytes(DEFAULT.as_bytes())
    }
}

impl Unavailable {
    /// Reads a placeholder as connectors are configured with it: text, or `hex:` and the hexadecimal digits of its bytes. `None` when there
    /// is nothing in it, or what should be such digits are none.
    pub fn parse(written: &str) -> Option<Self> {
        let bytes = match written.strip_prefix("hex:") {
            Some(digits) => octets(digits)?,
            None => written.as_bytes().to_vec(),
        };
        (!bytes.is_empty()).then(|| Self::of_bytes(&bytes))
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let quoted = serde_json::Value::String(text.clone());
        Self {
            forms: [
                BASE64_STANDARD.encode(bytes),
                BASE64_URL_SAFE.encode(bytes),
                format!("{{{quoted}:{quoted}}}"),
                text,
            ],
            hexadecimal: digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect(),
        }
    }

    /// Whether a text stands for a value that the connector does not know.
    pub fn is(&self, text: &str) -> bool {
        self.forms.iter().any(|form| form == text) || self.hexadecimal.eq_ignore_ascii_case(text)
    }
}

/// The bytes of hexadecimal digits, two each.
fn octets(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits
        .chars()
        .map(|c| c.to_digit(16)?.try_into().ok())
        .collect::<Option<_>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high * 16 + low),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_placeholder_is_known() {
        for written in [DEFAULT, "hex:5F5f646562657a69756d5f756e617661696c61626c655f76616c7565"] {
            let placeholder = Unavailable::parse(written).expect("a placeholder");
            for form in [
                "__debezium_unavailable_value",
                "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
                "5f5f646562657a69756d5f756e617661696c61626c655f76616c7565",
                "5F5F646562657A69756D5F756E617661696C61626C655F76616C7565",
                r#"{"__debezium_unavailable_value":"__debezium_unavailable_value"}"#,
            ] {
                assert!(placeholder.is(form), "{form}");
            }
            assert_eq!(placeholder, Unavailable::default());
            assert!(!placeholder.is("某路1号") && !placeholder.is(""));
        }
        let own = Unavailable::parse("未变").expect("a placeholder");
        assert!(own.is("未变") && !own.is(DEFAULT));
    }

    #[test]
    fn what_is_no_placeholder_is_refused() {
        for written in ["", "hex:", "hex:5", "hex:5g"] {
            assert_eq!(Unavailable::parse(written), None, "{written}");
        }
    }
}
