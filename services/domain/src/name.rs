//! Names of persons.

mod characters;
mod escapes;
mod parts;
mod placeholder;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use placeholder::Slot;

/// Longest name kept, in characters; the longest minority names have some thirty.
const LONGEST: usize = 100;

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NameError {
    /// Nothing but spaces and format characters.
    #[error("the name is empty")]
    Empty,
    /// More than 100 characters.
    #[error("the name is longer than 100 characters")]
    TooLong,
}

/// How two names relate, see [`Name::compare`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NameMatch {
    /// The same, but for separators, traditional and simplified forms, shapes of one character, upper and lower case; of foreign
    /// names the same parts in any order.
    Same,
    /// The same, but for characters that registers exchange (昇 and 升, 锺 and 钟), or marks of Latin letters (MÜLLER and MULLER): of low
    /// confidence.
    Exchanged,
    /// The same where both are readable, and a placeholder elsewhere: of low confidence.
    Wildcard,
    /// Different.
    Different,
}

/// A person's name 姓名, in canonical form and, where that differs, as it came.
///
/// Canonical: NFKC, no spaces or format characters, every dot of minority names as U+00B7 `·`,
/// private-use characters of GBK in their Unicode places. Traditional characters stay: they are
/// folded for matching only. Personal: `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    canonical: String,
    raw: Option<String>,
}

impl Name {
    /// Reads a name.
    pub fn parse(raw: &str) -> Result<Self, NameError> {
        let canonical = characters::canonical(raw);
        if canonical.is_empty() {
            Err(NameError::Empty)
        } else if raw.chars().nth(LONGEST).is_some() || canonical.chars().nth(LONGEST).is_some() {
            Err(NameError::TooLong)
        } else {
            let raw = (canonical != raw).then(|| raw.to_owned());
            Ok(Self { canonical, raw })
        }
    }

    /// The canonical form: only for storing and for readers authorised to see it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.canonical
    }

    /// The name as it came: for the audit of a value, and to tell the parts of foreign names.
    #[must_use]
    pub fn reveal_raw(&self) -> &str {
        self.raw.as_deref().unwrap_or(&self.canonical)
    }

    /// The key that names are routed by: simplified, upper case. Every base was dealt to shards by it, so it never changes. Personal,
    /// like the name.
    #[must_use]
    pub fn key(&self) -> String {
        characters::fold(&self.canonical)
    }

    /// What is compared: the key, with each character that came as a reference to it.
    fn read(&self) -> String {
        let key = self.key();
        match escapes::resolved(&key) {
            Cow::Borrowed(_) => key,
            Cow::Owned(read) => read,
        }
    }

    /// The match keys: names that share one are [`NameMatch::Same`] or [`NameMatch::Exchanged`] unless they hold placeholders. One
    /// for every name; a second for the parts of a foreign name, whatever their order. Personal, like the name.
    #[must_use]
    pub fn match_keys(&self) -> (String, Option<String>) {
        let key = self.read();
        let joined = parts::joined(&key);
        let key = if joined.is_empty() { key } else { joined };
        (key, parts::sorted(self.reveal_raw()).map(|parts| parts::classes(&parts)))
    }

    /// Compares two names of one number character by character.
    ///
    /// Separators do not count: one register writes the dot of a minority name, another some other sign, a space or nothing, and what
    /// is left is as much evidence as before, so that this is [`NameMatch::Same`]. Foreign names are compared by their parts too
    /// (`SMITH, JOHN` is `John Smith`); a missing part makes them different.
    ///
    /// A placeholder stands for exactly one character: `?`, `*`, `□` and their like, a vendor's
    /// private-use character, pinyin in place of one character (`王zhe`), a composition
    /// (`王(吉加吉)`). It may stand for a separator as well. Placeholders alone match nothing: one character at least must be equal.
    /// Two equal texts with a placeholder match as [`NameMatch::Wildcard`], since nobody knows
    /// what either stands for.
    #[must_use]
    pub fn compare(&self, other: &Self) -> NameMatch {
        // Nearly all names: Chinese characters alone hold no placeholder, and need no slots to be compared.
        if characters::is_all_han(&self.canonical) && characters::is_all_han(&other.canonical) {
            return characters::relate_all(&self.canonical, &other.canonical);
        }
        let [one, two] = [self, other].map(|name| placeholder::slots(&name.read()));
        let found = aligned(one.iter().copied(), two.iter().copied());
        if found != NameMatch::Different {
            return found;
        }
        let written = |slot: &Slot| !slot.is_separator();
        let found = aligned(one.iter().copied().filter(written), two.iter().copied().filter(written));
        if found != NameMatch::Different {
            return found;
        }
        let [Some(left), Some(right)] = [self, other].map(|name| parts::sorted(name.reveal_raw())) else {
            return NameMatch::Different;
        };
        let (same, wild) = (left == right, one.contains(&Slot::Any));
        match (same || parts::classes(&left) == parts::classes(&right), same, wild) {
            (false, ..) => NameMatch::Different,
            (true, _, true) => NameMatch::Wildcard,
            (true, true, false) => NameMatch::Same,
            (true, false, false) => NameMatch::Exchanged,
        }
    }

    /// Of two names that match as [`NameMatch::Exchanged`], the characters that stand for each other, place by place; empty where the names
    /// have their parts in another order. Personal, like the names.
    #[must_use]
    pub fn exchanged(&self, other: &Self) -> Vec<(char, char)> {
        let [one, two] = [self, other].map(|name| {
            let written = name.canonical.chars().filter(|c| !characters::is_separator(*c));
            written.collect::<Vec<char>>()
        });
        let pairs = || one.iter().copied().zip(two.iter().copied());
        let exchanged = |(one, two): &(char, char)| characters::relate(*one, *two) == NameMatch::Exchanged;
        let is_aligned = one.len() == two.len() && self.compare(other) == NameMatch::Exchanged;
        pairs().filter(|pair| is_aligned && exchanged(pair)).collect()
    }

    /// Whether two names are one but for a slip of the pen: one character written otherwise, left out or added. Says nothing by
    /// itself, twins' names are near too.
    #[must_use]
    pub fn is_near(&self, other: &Self) -> bool {
        let [one, two] = [self.key(), other.key()].map(|key| key.chars().collect::<Vec<char>>());
        let common = |pairs: &mut dyn Iterator<Item = (&char, &char)>| pairs.take_while(|(one, two)| one == two).count();
        let head = common(&mut one.iter().zip(&two));
        let shorter = one.len().min(two.len());
        let tail = common(&mut one.iter().rev().zip(two.iter().rev())).min(shorter - head);
        let equal = head + tail;
        (equal > 0 && equal + 1 >= one.len().max(two.len())) || self.compare(other) != NameMatch::Different
    }
}

/// Compares two names place by place.
fn aligned(mut one: impl Iterator<Item = Slot>, mut two: impl Iterator<Item = Slot>) -> NameMatch {
    let (mut equal, mut wild, mut exchanged) = (false, false, false);
    loop {
        match (one.next(), two.next()) {
            (Some(Slot::Character(one)), Some(Slot::Character(two))) => match characters::relate(one, two) {
                NameMatch::Different => return NameMatch::Different,
                NameMatch::Exchanged => exchanged = true,
                _ => equal |= !characters::is_separator(one),
            },
            (Some(_), Some(_)) => wild = true,
            (None, None) => break,
            _ => return NameMatch::Different,
        }
    }
    match (equal, wild) {
        (true, true) => NameMatch::Wildcard,
        (_, false) if exchanged => NameMatch::Exchanged,
        (true, false) => NameMatch::Same,
        (false, _) => NameMatch::Different,
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
