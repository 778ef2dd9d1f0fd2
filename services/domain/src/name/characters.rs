//! Characters of names: canonical forms, and folding for the match key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

use super::NameMatch;
use crate::text;

/// The dot of minority names in canonical form: U+00B7.
const DOT: char = '\u{b7}';

/// A stroke that is typed for the dot of minority names; as a character nobody bears it.
const STROKE: char = '丶';

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

/// A character that counts as another when names are compared.
#[derive(Debug, Clone, Copy)]
struct Forms {
    character: char,
    /// Its simplified form.
    simplified: char,
    /// The usual shape of that: of radicals and of shapes that Unicode keeps apart.
    shape: char,
    /// What stands for all characters that registers exchange with it.
    class: char,
}

/// Characters that are not their own forms, sorted; see `data/README.md`.
static FORMS: LazyLock<Vec<Forms>> = LazyLock::new(|| {
    let simplified: BTreeMap<char, char> = (include_str!("../../data/traditional.tsv").lines())
        .map(|line| pair(line, 1))
        .collect();
    let (mut shapes, mut classes) = (BTreeMap::new(), BTreeMap::new());
    for line in include_str!("../../data/variants.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (character, other) = pair(line, 3);
        let exchanged = line.contains('~');
        let table = if exchanged { &mut classes } else { &mut shapes };
        table.insert(character, other);
    }
    let of = |table: &BTreeMap<char, char>, c: char| table.get(&c).copied().unwrap_or(c);
    let characters: BTreeSet<char> = [&simplified, &shapes, &classes]
        .into_iter()
        .flat_map(BTreeMap::keys)
        .copied()
        .collect();
    let forms = characters.into_iter().map(|character| {
        let simplified = of(&simplified, character);
        let shape = of(&shapes, simplified);
        Forms {
            character,
            simplified,
            shape,
            class: of(&classes, shape),
        }
    });
    forms.collect()
});

/// The first character of a line and the one after `between` others.
fn pair(line: &str, between: usize) -> (char, char) {
    let mut characters = line.chars();
    (characters.next().zip(characters.nth(between))).expect("every line holds two characters")
}

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
    name.chars().all(|c| is_han(c) && c != STROKE)
}

/// How two characters of folded or canonical names relate.
pub(super) fn relate(one: char, other: char) -> NameMatch {
    if one == other {
        return NameMatch::Same;
    }
    let (one, other) = (forms(one), forms(other));
    if one.shape == other.shape {
        NameMatch::Same
    } else if one.class == other.class {
        NameMatch::Exchanged
    } else {
        NameMatch::Different
    }
}

/// How two names in Chinese characters alone relate.
pub(super) fn relate_all(one: &str, other: &str) -> NameMatch {
    if one == other {
        return NameMatch::Same;
    }
    let (mut left, mut right) = (one.chars(), other.chars());
    let mut found = NameMatch::Same;
    loop {
        match (left.next(), right.next()) {
            (Some(one), Some(other)) => match relate(one, other) {
                NameMatch::Same => {}
                NameMatch::Exchanged => found = NameMatch::Exchanged,
                different => return different,
            },
            (None, None) => return found,
            _ => return NameMatch::Different,
        }
    }
}

/// The class of a character in a key under which names are one.
pub(super) fn class(c: char) -> char {
    forms(c).class
}

/// Whether a character only parts a name: spaces, dots of every kind and what is typed for them, commas, hyphens, marks that are no
/// letters. What may stand for a character is none.
pub(super) fn is_separator(c: char) -> bool {
    match c {
        // Signs that Unicode calls letters: dots of Canadian syllabics, of sinologists, of old Korean; half a length mark; the long
        // vowel. Then what NFKC leaves of accents that were typed for dots.
        STROKE | '\u{1427}' | '\u{a78f}' | '\u{318d}' | '\u{119e}' | '\u{2d1}' | '\u{30fc}' | '\u{300}'..='\u{36f}' => true,
        // Of compositions and of characters: radicals and strokes are symbols to Unicode.
        '(' | ')' | '\u{2e80}'..='\u{2fdf}' | '\u{31c0}'..='\u{31ef}' => false,
        _ => !c.is_alphanumeric() && !is_han(c) && !is_mark(c) && !is_private_use(c),
    }
}

/// Marks that systems put for a character they lack; 〓 is the typesetters'.
pub(super) fn is_mark(c: char) -> bool {
    matches!(c, '?' | '*' | '□' | '■' | '〓' | '\u{fffd}')
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
    forms(c).simplified
}

fn forms(c: char) -> Forms {
    let found = FORMS.binary_search_by_key(&c, |forms| forms.character);
    found.map_or_else(
        |_| Forms {
            character: c,
            simplified: c,
            shape: c,
            class: plain(c),
        },
        |at| FORMS[at],
    )
}

/// The letter that is typed where the marks of a Latin one are not to be had (MÜLLER, MULLER).
fn plain(c: char) -> char {
    if c.is_ascii() || is_han(c) {
        return c;
    }
    // Three whose mark is part of the letter to Unicode.
    let base = match c {
        'Ø' => 'O',
        'Ł' => 'L',
        'Đ' => 'D',
        _ => std::iter::once(c).nfd().next().unwrap_or(c),
    };
    if base.is_ascii_alphabetic() { base } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_lead_to_their_end_in_one_step() {
        assert!(FORMS.len() > 6000);
        for of in FORMS.iter() {
            assert!(of.character != of.simplified || of.simplified != of.shape || of.shape != of.class);
            assert_eq!(simplified(of.simplified), of.simplified);
            let shape = forms(of.shape);
            assert_eq!((shape.simplified, shape.shape, shape.class), (of.shape, of.shape, of.class));
            let class = forms(of.class);
            assert_eq!((class.simplified, class.shape, class.class), (of.class, of.class, of.class));
            assert!(!is_han(of.character) || is_han(of.class));
            assert!(!is_separator(of.character));
        }
    }

    #[test]
    fn every_radical_that_unicode_gives_an_ideograph_is_that_ideograph() {
        // Whole blocks but for their gaps, and U+2E80, U+2E9A, which have none.
        for c in ('\u{2e81}'..='\u{2ef3}')
            .chain('\u{2f00}'..='\u{2fd5}')
            .filter(|c| *c != '\u{2e9a}')
        {
            assert!(is_han(forms(c).shape), "{:x}", u32::from(c));
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
