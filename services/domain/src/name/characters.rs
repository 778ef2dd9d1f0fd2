//! Characters of names: canonical forms, and folding for the match key.

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

use crate::text;

/// The dot of minority names in canonical form: U+00B7.
const DOT: char = '\u{b7}';

/// First private-use code point that GBK's FE50 to FEA0 (without FE7F) were read as.
const GBK_PRIVATE_USE: char = '\u{e815}';

/// The characters of GBK's FE50 to FEA0 in their Unicode places, as GB 18030-2022 has them.
#[rustfmt::skip]
const GBK_CHARACTERS: [char; 80] = [
    '\u{2e81}', '\u{20087}', '\u{20089}', '\u{200cc}', '\u{2e84}', '\u{3473}', '\u{3447}', '\u{2e88}',
    '\u{2e8b}', '\u{9fb4}', '\u{359e}', '\u{361a}', '\u{360e}', '\u{2e8c}', '\u{2e97}', '\u{396e}',
    '\u{3918}', '\u{9fb5}', '\u{39cf}', '\u{39df}', '\u{3a73}', '\u{39d0}', '\u{9fb6}', '\u{9fb7}',
    '\u{3b4e}', '\u{3c6e}', '\u{3ce0}', '\u{2ea7}', '\u{215d7}', '\u{9fb8}', '\u{2eaa}', '\u{4056}',
    '\u{415f}', '\u{2eae}', '\u{4337}', '\u{2eb3}', '\u{2eb6}', '\u{2eb7}', '\u{2298f}', '\u{43b1}',
    '\u{43ac}', '\u{2ebb}', '\u{43dd}', '\u{44d6}', '\u{4661}', '\u{464c}', '\u{9fb9}', '\u{4723}',
    '\u{4729}', '\u{477c}', '\u{478d}', '\u{2eca}', '\u{4947}', '\u{497a}', '\u{497d}', '\u{4982}',
    '\u{4983}', '\u{4985}', '\u{4986}', '\u{499f}', '\u{499b}', '\u{49b7}', '\u{49b6}', '\u{9fba}',
    '\u{241fe}', '\u{4ca3}', '\u{4c9f}', '\u{4ca0}', '\u{4ca1}', '\u{4c77}', '\u{4ca2}', '\u{4d13}',
    '\u{4d14}', '\u{4d15}', '\u{4d16}', '\u{4d17}', '\u{4d18}', '\u{4d19}', '\u{4dae}', '\u{9fbb}',
];

/// Traditional and variant characters with their simplified form, sorted; see `data/README.md`.
static SIMPLIFIED: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let lines = include_str!("../../data/traditional.tsv").lines();
    let pair = |line: &str| {
        let mut characters = line.chars();
        (characters.next().zip(characters.nth(1))).expect("every line holds two characters")
    };
    lines.map(pair).collect()
});

/// The canonical form of a name, see [`super::Name`].
pub(super) fn canonical(raw: &str) -> String {
    // Nearly all names: nothing below changes a unified ideograph of the basic plane.
    if raw.chars().all(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)) {
        return raw.to_owned();
    }
    // Before NFKC, which would turn the full-width dot into a full stop.
    let mapped = raw.chars().map(|c| if c == '\u{ff0e}' { DOT } else { restored(c) });
    let mut cleaned: Vec<char> = mapped.nfkc().filter(|c| !text::is_ignorable(*c)).map(unified_dot).collect();
    for at in 1..cleaned.len().saturating_sub(1) {
        if cleaned[at] == '.' && is_han(cleaned[at - 1]) && is_han(cleaned[at + 1]) {
            cleaned[at] = DOT;
        }
    }
    // Again: what stood around a dropped character may compose.
    cleaned.into_iter().nfkc().collect()
}

/// The match key of a canonical name: simplified, upper case.
pub(super) fn fold(canonical: &str) -> String {
    canonical.chars().map(simplified).flat_map(char::to_uppercase).collect()
}

/// Whether a character is Chinese writing: unified ideographs of every plane, and 〇.
pub(super) fn is_han(c: char) -> bool {
    matches!(c,
        '\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Whether a name is written in Chinese characters only.
pub(super) fn is_all_han(name: &str) -> bool {
    name.chars().all(is_han)
}

/// Whether two names in Chinese characters have the same match key.
pub(super) fn are_same(one: &str, other: &str) -> bool {
    one == other || one.chars().map(simplified).eq(other.chars().map(simplified))
}

/// Whether a character is private use: its meaning is a vendor's secret.
pub(super) fn is_private_use(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}')
}

fn restored(c: char) -> char {
    let index = u32::from(c).checked_sub(u32::from(GBK_PRIVATE_USE));
    index
        .and_then(|index| GBK_CHARACTERS.get(index as usize))
        .copied()
        .unwrap_or(c)
}

fn unified_dot(c: char) -> char {
    match c {
        '\u{2022}' | '\u{2027}' | '\u{30fb}' | '\u{ff65}' | '\u{2219}' | '\u{22c5}' => DOT,
        _ => c,
    }
}

fn simplified(c: char) -> char {
    let found = SIMPLIFIED.binary_search_by_key(&c, |(traditional, _)| *traditional);
    found.map_or(c, |at| SIMPLIFIED[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folding_table_is_sorted_and_folds_in_one_step() {
        assert!(SIMPLIFIED.len() > 3000);
        assert!(SIMPLIFIED.is_sorted_by(|one, two| one.0 < two.0));
        for (traditional, folded) in SIMPLIFIED.iter() {
            assert_ne!(traditional, folded);
            assert_eq!(simplified(*folded), *folded);
            assert!(!is_han(*traditional) || is_han(*folded));
        }
    }

    #[test]
    fn the_listed_private_use_points_are_restored() {
        let listed = [
            ('\u{e863}', '\u{4dae}'),
            ('\u{e816}', '\u{20087}'),
            ('\u{e817}', '\u{20089}'),
            ('\u{e818}', '\u{200cc}'),
            ('\u{e831}', '\u{215d7}'),
            ('\u{e83b}', '\u{2298f}'),
            ('\u{e855}', '\u{241fe}'),
            ('\u{e81e}', '\u{9fb4}'),
            ('\u{e826}', '\u{9fb5}'),
            ('\u{e82b}', '\u{9fb6}'),
            ('\u{e82c}', '\u{9fb7}'),
            ('\u{e832}', '\u{9fb8}'),
            ('\u{e843}', '\u{9fb9}'),
            ('\u{e854}', '\u{9fba}'),
            ('\u{e864}', '\u{9fbb}'),
        ];
        for (private, public) in listed {
            assert_eq!(restored(private), public);
        }
        assert_eq!(restored('\u{e814}'), '\u{e814}');
        assert_eq!(restored('\u{e865}'), '\u{e865}');
        assert!(GBK_CHARACTERS.iter().all(|c| !is_private_use(*c)));
    }
}
