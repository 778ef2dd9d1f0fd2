//! Names of persons.

mod characters;
mod placeholder;

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
    /// The same, but for traditional and simplified forms and upper and lower case.
    Same,
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

    /// The name as it came: for the audit of a value, never for matching.
    #[must_use]
    pub fn reveal_raw(&self) -> &str {
        self.raw.as_deref().unwrap_or(&self.canonical)
    }

    /// The match key: simplified, upper case. Names with one key are [`NameMatch::Same`] unless
    /// they hold placeholders. Personal, like the name.
    #[must_use]
    pub fn key(&self) -> String {
        characters::fold(&self.canonical)
    }

    /// Compares two names character by character.
    ///
    /// A placeholder stands for exactly one character: `?`, `*`, `□` and their like, a vendor's
    /// private-use character, pinyin in place of one character (`王zhe`), a composition
    /// (`王(吉加吉)`). Placeholders alone match nothing: one character at least must be equal.
    /// Two equal texts with a placeholder match as [`NameMatch::Wildcard`], since nobody knows
    /// what either stands for.
    #[must_use]
    pub fn compare(&self, other: &Self) -> NameMatch {
        // Nearly all names: Chinese characters alone hold no placeholder, and need no slots to be compared.
        if characters::is_all_han(&self.canonical) && characters::is_all_han(&other.canonical) {
            return if characters::are_same(&self.canonical, &other.canonical) {
                NameMatch::Same
            } else {
                NameMatch::Different
            };
        }
        let one = placeholder::slots(&self.key());
        let two = placeholder::slots(&other.key());
        if one.len() != two.len() {
            return NameMatch::Different;
        }
        let (mut equal, mut wild) = (false, false);
        for pair in one.iter().zip(&two) {
            match pair {
                (Slot::Character(one), Slot::Character(two)) if one == two => equal = true,
                (Slot::Character(_), Slot::Character(_)) => return NameMatch::Different,
                _ => wild = true,
            }
        }
        match (equal, wild) {
            (true, false) => NameMatch::Same,
            (true, true) => NameMatch::Wildcard,
            (false, _) => NameMatch::Different,
        }
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

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use NameMatch::{Different, Same, Wildcard};

    fn name(raw: &str) -> Name {
        Name::parse(raw).expect("a name")
    }

    #[rstest]
    #[case("张 三", "张三")]
    #[case("\u{3000}张\u{200b}三\u{feff}", "张三")]
    #[case("迪丽热巴•买买提", "迪丽热巴·买买提")]
    #[case("迪丽热巴‧买买提", "迪丽热巴·买买提")]
    #[case("迪丽热巴・买买提", "迪丽热巴·买买提")]
    #[case("迪丽热巴･买买提", "迪丽热巴·买买提")]
    #[case("迪丽热巴∙买买提", "迪丽热巴·买买提")]
    #[case("迪丽热巴⋅买买提", "迪丽热巴·买买提")]
    #[case("迪丽热巴．买买提", "迪丽热巴·买买提")]
    #[case("迪丽热巴 . 买买提", "迪丽热巴·买买提")]
    #[case("J.SMITH", "J.SMITH")]
    #[case("王\u{e863}", "王\u{4dae}")]
    #[case("王\u{e816}", "王\u{20087}")]
    #[case("王\u{e81e}\u{e864}", "王\u{9fb4}\u{9fbb}")]
    #[case("王\u{e900}", "王\u{e900}")] // a vendor's own
    #[case("ＪＯＨＮ", "JOHN")]
    fn canonical_form(#[case] raw: &str, #[case] canonical: &str) {
        let name = name(raw);
        assert_eq!(name.reveal(), canonical);
        assert_eq!(name.reveal_raw(), raw);
        assert_eq!(name.raw.is_none(), raw == canonical);
    }

    #[rstest]
    #[case("张三", "张三", Same)]
    #[case("張三丰", "张三丰", Same)]
    #[case("劉鍾傑", "刘钟杰", Same)]
    #[case("john", "JOHN", Same)]
    #[case("张三", "张四", Different)]
    #[case("张三", "张三丰", Different)]
    #[case("张乾", "张干", Different)] // both are simplified
    #[case("张?", "张喆", Wildcard)]
    #[case("张？", "张喆", Wildcard)]
    #[case("张□丰", "张三丰", Wildcard)]
    #[case("張■丰", "张三丰", Wildcard)]
    #[case("张*", "张三丰", Different)] // exactly one character
    #[case("张\u{e900}", "张喆", Wildcard)]
    #[case("张\u{e900}", "张\u{e900}", Wildcard)]
    #[case("张zhe", "张喆", Wildcard)]
    #[case("张ＺＨＥ丰", "张喆丰", Wildcard)]
    #[case("张lü", "张吕", Wildcard)]
    #[case("张sanfeng", "张三丰", Different)]
    #[case("张（吉加吉）", "张喆", Wildcard)]
    #[case("张(吉+吉)丰", "张喆丰", Wildcard)]
    #[case("张(吉)丰", "张喆丰", Different)]
    #[case("??", "张三", Different)]
    #[case("?三", "张四", Different)]
    #[case("JOHN?", "JOHNS", Wildcard)]
    #[case("zhang", "张", Different)]
    fn comparison(#[case] one: &str, #[case] two: &str, #[case] expected: NameMatch) {
        assert_eq!(name(one).compare(&name(two)), expected);
        assert_eq!(name(two).compare(&name(one)), expected);
    }

    #[rstest]
    #[case("张小伟", "张晓伟", true)]
    #[case("张伟", "张小伟", true)]
    #[case("張偉", "张伟", true)]
    #[case("张?伟", "张小伟", true)]
    #[case("李娜", "李那", true)]
    #[case("张小伟", "张大为", false)]
    #[case("张三", "李四", false)]
    #[case("张", "李", false)]
    #[case("张张", "张张张", true)]
    fn near(#[case] one: &str, #[case] two: &str, #[case] expected: bool) {
        assert_eq!(name(one).is_near(&name(two)), expected);
        assert_eq!(name(two).is_near(&name(one)), expected);
    }

    #[rstest]
    #[case("", NameError::Empty)]
    #[case(" \u{3000}\u{200b}", NameError::Empty)]
    #[case(&"王".repeat(101), NameError::TooLong)]
    fn no_names(#[case] raw: &str, #[case] error: NameError) {
        assert_eq!(Name::parse(raw), Err(error));
    }

    #[test]
    fn prints_nothing_personal() {
        assert_eq!(format!("{:?}", name("张 三")), "***");
    }

    proptest! {
        #[test]
        fn canonical_form_is_stable(raw in "[张張.．•·a-zé ()加?\u{e815}-\u{e864}]{0,8}|\\PC{0,12}") {
            if let Ok(name) = Name::parse(&raw) {
                let again = Name::parse(name.reveal()).expect("a canonical name is a name");
                prop_assert_eq!(again.reveal(), name.reveal());
                prop_assert!(again.raw.is_none());
                prop_assert_eq!(again.key(), name.key());
                prop_assert_eq!(name.compare(&again), name.compare(&name));
            }
        }

        #[test]
        fn comparison_is_symmetric(one in "[张張三?（）加a-c]{1,6}", two in "[张張三?（）加a-c]{1,6}") {
            let (one, two) = (name(&one), name(&two));
            prop_assert_eq!(one.compare(&two), two.compare(&one));
            prop_assert!(one.compare(&two) != Same || one.key() == two.key());
        }
    }
}
