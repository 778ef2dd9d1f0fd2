//! What of a name counts when names are compared whose separators, or whose order of parts, differ from register to register.

use unicode_normalization::UnicodeNormalization;

use super::characters::{self, is_han, is_separator};
use crate::text;

/// The folded name without what only parts it, each character as its class. Empty when nothing else is in it.
pub(super) fn joined(folded: &str) -> String {
    folded.chars().filter(|c| !is_separator(*c)).map(characters::class).collect()
}

/// The parts of a name, each letter as its class.
pub(super) fn classes(parts: &str) -> String {
    let mut parts: Vec<String> = parts
        .split(' ')
        .map(|part| part.chars().map(characters::class).collect())
        .collect();
    // Letters of one class may have stood elsewhere in the order.
    parts.sort_unstable();
    parts.join(" ")
}

/// The parts of a name as it came, in upper case and sorted; `None` for names that hold a Chinese character, whose order says who is
/// who, and for those of one part.
///
/// Canonical names keep no spaces, so that only the name as it came tells where a foreigner's surname ends.
pub(super) fn sorted(raw: &str) -> Option<String> {
    if raw.chars().any(is_han) {
        return None;
    }
    // An apostrophe stands inside a part (O'Brien).
    let letters = raw.nfkc().filter(|c| !matches!(c, '\'' | '\u{2019}' | '`'));
    let letters: String = letters
        .filter(|c| c.is_whitespace() || !text::is_ignorable(*c))
        .flat_map(char::to_uppercase)
        .collect();
    let parts = letters.split(|c: char| c.is_whitespace() || is_separator(c));
    let mut parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    parts.sort_unstable();
    (parts.len() > 1).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("SMITH, JOHN", Some("JOHN SMITH"))]
    #[case("John Smith", Some("JOHN SMITH"))]
    #[case("Smith·John", Some("JOHN SMITH"))]
    #[case("ＪＯＨＮ\u{3000}ＳＭＩＴＨ", Some("JOHN SMITH"))]
    #[case("Jean-Paul O'Brien", Some("JEAN OBRIEN PAUL"))]
    #[case("JOHN", None)]
    #[case("阿不都 热合曼", None)]
    fn parts_of_foreign_names(#[case] raw: &str, #[case] parts: Option<&str>) {
        assert_eq!(sorted(raw).as_deref(), parts);
    }
}
