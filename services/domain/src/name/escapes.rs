//! Characters that passed through a page or a program on their way and came out as what stood for them there: `&#183;`, `&middot;`,
//! `\u00b7`.

use std::borrow::Cow;

/// Longest body of a reference, in characters.
const LONGEST: usize = 14;

/// The folded name with each reference as the character that it stands for; what is none stays.
pub(super) fn resolved(folded: &str) -> Cow<'_, str> {
    if !folded.contains(['&', '\\']) {
        return Cow::Borrowed(folded);
    }
    let (mut text, mut rest) = (String::with_capacity(folded.len()), folded);
    while let Some(first) = rest.chars().next() {
        let (c, behind) = reference(rest)
            .or_else(|| escape(rest))
            .unwrap_or((first, &rest[first.len_utf8()..]));
        text.push(c);
        rest = behind;
    }
    Cow::Owned(super::characters::fold(&text))
}

/// A character reference of HTML that a text begins with, and what follows it. Of the named ones those of dots and spaces.
fn reference(text: &str) -> Option<(char, &str)> {
    let (body, behind) = text.strip_prefix('&')?.split_once(';')?;
    let number = |digits: &str, radix| char::from_u32(u32::from_str_radix(digits, radix).ok()?);
    let c = match body.strip_prefix('#') {
        _ if body.len() > LONGEST => None,
        Some(code) => match code.strip_prefix('X') {
            Some(digits) => number(digits, 16),
            None => number(code, 10),
        },
        None => matches!(body, "MIDDOT" | "CENTERDOT" | "PERIODCENTERED" | "BULL" | "SDOT" | "NBSP").then_some('\u{b7}'),
    };
    Some((c?, behind))
}

/// An escape of four hexadecimal digits that a text begins with, and what follows it.
fn escape(text: &str) -> Option<(char, &str)> {
    let rest = text.strip_prefix("\\U")?;
    let digits = rest.get(..4)?;
    let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
    Some((c, &rest[4..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_are_what_they_stand_for() {
        for (folded, read) in [
            ("阿不都&#183;热合曼", "阿不都·热合曼"),
            ("阿不都&#XB7;热合曼", "阿不都·热合曼"),
            ("阿不都&MIDDOT;热合曼", "阿不都·热合曼"),
            ("阿不都\\U00B7热合曼", "阿不都·热合曼"),
            ("陶&#21894;", "陶喆"),
            ("A&B", "A&B"),
            ("A&B;C", "A&B;C"),
            ("A&#1114112;", "A&#1114112;"),
            ("\\UD842", "\\UD842"),
            ("\\U四", "\\U四"),
        ] {
            assert_eq!(resolved(folded), read);
        }
    }

    proptest! {
        #[test]
        fn nothing_else_changes(text in "[^&\\\\]{0,12}", any in "\\PC{0,16}") {
            prop_assert_eq!(resolved(&text), text.as_str());
            prop_assert!(resolved(&any).chars().count() <= any.chars().flat_map(char::to_uppercase).count());
        }
    }
}
