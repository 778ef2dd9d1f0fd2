//! Personal text that prints as `***`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Personal text (个人信息): an address, a phone number, a source key that may hold an identity number.
///
/// Its `Debug` output is `***` and it has no `Display`, so that it cannot reach a log, a metric, an error or a panic by accident
/// (PIPL art. 51). Read it on purpose with [`Personal::reveal`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Personal(String);

impl Personal {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: only for storing, sending to an authorised reader, and hashing.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::Personal;

    #[test]
    fn prints_nothing_personal() {
        assert_eq!(format!("{:?}", Personal::new("南京市某路1号")), "***");
    }
}
