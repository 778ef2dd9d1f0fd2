//! What stands in a name for a character that a system could not write.

use super::characters::{is_han, is_mark, is_private_use, is_separator};

/// Longest pinyin of one character: zhuang, chuang, shuang.
const LONGEST_PINYIN: usize = 6;

/// One place of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// A character that can be read.
    Character(char),
    /// Some character, nobody knows which.
    Any,
}

impl Slot {
    /// Whether the place only parts the name.
    pub(super) fn is_separator(self) -> bool {
        matches!(self, Self::Character(c) if is_separator(c))
    }
}

/// The places of a folded name.
pub(super) fn slots(key: &str) -> Vec<Slot> {
    let characters: Vec<char> = key.chars().collect();
    // Letters are pinyin only beside Chinese characters: elsewhere they are a foreigner's name.
    let chinese = characters.iter().any(|c| is_han(*c));
    let mut slots = Vec::with_capacity(characters.len());
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        let pinyin = || {
            if chinese { pinyin(&characters, at) } else { None }
        };
        let mark = || (is_mark(rest[0]) || is_private_use(rest[0])).then_some(1);
        let placeholder = composition(rest).or_else(pinyin).or_else(mark);
        slots.push(if placeholder.is_some() {
            Slot::Any
        } else {
            Slot::Character(rest[0])
        });
        at += placeholder.unwrap_or(1);
    }
    slots
}

/// The length of the run of letters that starts at an index and may be one character's pinyin.
fn pinyin(characters: &[char], at: usize) -> Option<usize> {
    let starts = at == 0 || !is_letter(characters[at - 1]);
    let length = characters[at..].iter().take_while(|c| is_letter(**c)).count();
    (starts && (1..=LONGEST_PINYIN).contains(&length)).then_some(length)
}

/// The length of a composition such as `(吉加吉)` or `(吉+吉)` at the start of the characters.
fn composition(characters: &[char]) -> Option<usize> {
    if *characters.first()? != '(' {
        return None;
    }
    let end = characters.iter().position(|c| *c == ')')?;
    let inner = &characters[1..end];
    let mut parts = inner.split(|c| matches!(c, '加' | '+'));
    let composed = parts.clone().count() > 1 && parts.all(|part| !part.is_empty() && part.iter().all(|c| is_han(*c)));
    composed.then_some(end + 1)
}

/// A letter of pinyin in upper case, as folded names are.
fn is_letter(c: char) -> bool {
    c.is_ascii_uppercase() || c == 'Ü'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_composition_is_one_place() {
        assert_eq!(slots("张(吉加吉)"), [Slot::Character('张'), Slot::Any]);
        assert_eq!(slots("(吉加)张").len(), 5);
        assert_eq!(slots("(张").len(), 2);
    }

    #[test]
    fn letters_alone_are_a_name() {
        assert_eq!(slots("LI"), [Slot::Character('L'), Slot::Character('I')]);
        assert_eq!(slots("李LI"), [Slot::Character('李'), Slot::Any]);
    }
}
