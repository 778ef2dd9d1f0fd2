//! Cleaning of typed text, shared by numbers, names and codes.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Unicode compatibility form (NFKC) without spaces, control and format characters.
///
/// Clean ASCII, nearly all of what the sources send, is borrowed as it is.
pub(crate) fn clean(raw: &str) -> Cow<'_, str> {
    if raw.bytes().all(|byte| byte.is_ascii_graphic()) {
        Cow::Borrowed(raw)
    } else {
        // Twice: what stood around a dropped character may compose.
        Cow::Owned(raw.nfkc().filter(|c| !is_ignorable(*c)).nfkc().collect())
    }
}

/// [`clean`], with Latin letters in upper case.
pub(crate) fn clean_upper(raw: &str) -> Cow<'_, str> {
    let mut cleaned = clean(raw);
    if cleaned.bytes().any(|byte| byte.is_ascii_lowercase()) {
        cleaned.to_mut().make_ascii_uppercase();
    }
    cleaned
}

/// Spaces, control characters, format characters (category Cf) and variation selectors: they
/// come with copied and converted text and carry nothing.
pub(crate) fn is_ignorable(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0001}' | '\u{e0020}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_what_copying_leaves_behind() {
        assert_eq!(clean("\u{feff}１２ 3\u{3000}\u{200b}x\t"), "123x");
        assert_eq!(clean_upper("ａb－1"), "AB-1");
        assert!(matches!(clean("A-1"), Cow::Borrowed(_)));
    }
}
