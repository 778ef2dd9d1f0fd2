//! How an agency sees a person: not always as they are.

use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::source::Agency;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::json::Text;
use crate::names;
use crate::random::{Purpose, chance, stream};
use crate::tables::{code, owned};
use crate::world::Person;

/// How often something is wrong, each per person and source unless stated otherwise.
///
/// The defaults follow what clean-ups of the national registers have found (RULES.md, Dirty data): about one wrong number in a
/// hundred persons, one dead in six hundred not struck off, half a percent of names spelt in several ways.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// No document number (缺号).
    pub missing_number: f64,
    /// One digit wrong (错号).
    pub wrong_number: f64,
    /// A 15-digit number, for births before 2000.
    pub fifteen_digits: f64,
    /// A lower-case x, of the numbers that end with X.
    pub lower_case_x: f64,
    /// Full-width digits or spaces in number or name.
    pub untidy: f64,
    /// Another dot, of the names with a dot.
    pub other_dot: f64,
    /// A character nobody could type replaced by a question mark, of the names with a rare one.
    pub unwritable: f64,
    /// A wrong character in the name.
    pub name_typo: f64,
    /// A placeholder birth date (1900-01-01).
    pub placeholder_birth: f64,
    /// A wrong birth date.
    pub wrong_birth: f64,
    /// Sex unknown.
    pub unknown_sex: f64,
    /// Phone and address of years ago.
    pub stale: f64,
    /// Dead not struck off by public security, of the dead whose funeral is known.
    pub not_struck_off: f64,
    /// A code that no table knows, per enrolment row.
    pub unknown_code: f64,
    /// A change that the connector sends twice, per change.
    pub repeated: f64,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            missing_number: 0.002,
            wrong_number: 0.003,
            fifteen_digits: 0.01,
            lower_case_x: 0.1,
            untidy: 0.001,
            other_dot: 0.4,
            unwritable: 0.4,
            name_typo: 0.001,
            placeholder_birth: 0.002,
            wrong_birth: 0.003,
            unknown_sex: 0.005,
            stale: 0.2,
            not_struck_off: 0.12,
            unknown_code: 0.000_05,
            repeated: 0.002,
        }
    }
}

impl Rates {
    /// All rates times a factor; 0 gives a perfect view.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        Self {
            missing_number: self.missing_number * factor,
            wrong_number: self.wrong_number * factor,
            fifteen_digits: self.fifteen_digits * factor,
            lower_case_x: self.lower_case_x * factor,
            untidy: self.untidy * factor,
            other_dot: self.other_dot * factor,
            unwritable: self.unwritable * factor,
            name_typo: self.name_typo * factor,
            placeholder_birth: self.placeholder_birth * factor,
            wrong_birth: self.wrong_birth * factor,
            unknown_sex: self.unknown_sex * factor,
            stale: self.stale * factor,
            not_struck_off: self.not_struck_off * factor,
            unknown_code: self.unknown_code * factor,
            repeated: self.repeated * factor,
        }
    }
}

/// A person in the eyes of one source. Personal: has no `Debug`.
#[derive(Clone)]
pub(crate) struct Seen {
    /// Document number.
    pub(crate) number: Text,
    /// Name.
    pub(crate) name: Text,
    /// Birth date.
    pub(crate) birth: Option<Day>,
    /// Sex, GB/T 2261.1.
    pub(crate) sex: Text,
    /// Phone.
    pub(crate) phone: Text,
    /// Whether what changes with time is of years ago.
    pub(crate) stale: bool,
}

/// What the source of an agency and a city holds of a person whose number it was told.
pub(crate) fn seen(seed: u64, rates: &Rates, person: &Person, told: CitizenId, agency: Agency, city: u16) -> Seen {
    let source = u64::from(agency.code()) * 16 + u64::from(city - 3200);
    let mut rng = stream(seed, Purpose::Lens, person.index * 64 + source);
    // Public security makes the numbers and knows them best; civil affairs copies them from paper.
    let factor = match agency {
        Agency::PUBLIC_SECURITY => 0.05,
        Agency::CIVIL_AFFAIRS => 2.0,
        _ => 1.0,
    };
    let mut once = |rate: f64| chance(&mut rng, rate * factor);
    let stale = once(rates.stale);
    let birth = if once(rates.placeholder_birth) {
        Day::from_ymd(1900, 1, 1)
    } else if once(rates.wrong_birth) {
        Some(person.birth.plus(10))
    } else {
        Some(person.birth)
    };
    let sex = match (once(rates.unknown_sex), person.male) {
        (true, _) => "0",
        (false, true) => "1",
        (false, false) => "2",
    };
    let phone = if stale {
        3_000_000_000 + person.phone % 1_000_000_007
    } else {
        person.phone
    };
    Seen {
        number: number(&mut rng, rates, factor, told),
        name: owned(name(&mut rng, rates, factor, &person.name)),
        birth,
        sex: code(sex),
        phone: owned(format!("1{phone}")),
        stale,
    }
}

/// A number as a source holds it.
fn number(rng: &mut SmallRng, rates: &Rates, factor: f64, told: CitizenId) -> Text {
    let mut once = |rate: f64| chance(rng, rate * factor);
    if once(rates.missing_number) {
        return None;
    }
    let mut text = told.text();
    if once(rates.wrong_number) {
        let at = rng.random_range(6..17);
        let digit = (text.as_bytes()[at] - b'0' + rng.random_range(1..10)) % 10;
        text.replace_range(at..=at, &digit.to_string());
        return owned(text);
    }
    if &text[6..8] == "19" && once(rates.fifteen_digits) {
        return owned(format!("{}{}", &text[..6], &text[8..17]));
    }
    if text.ends_with('X') && once(rates.lower_case_x) {
        text = text.to_lowercase();
    }
    if once(rates.untidy) {
        text = if rng.random() {
            full_width(&text)
        } else {
            format!(" {} {}", &text[..6], &text[6..])
        };
    }
    owned(text)
}

/// A name as a source holds it.
fn name(rng: &mut SmallRng, rates: &Rates, factor: f64, name: &str) -> String {
    let mut once = |rate: f64| chance(rng, rate * factor);
    if name.contains('·') && once(rates.other_dot) {
        const DOTS: [&str; 5] = ["\u{2022}", "\u{2027}", "\u{30fb}", "\u{ff0e}", "."];
        return name.replace('·', DOTS[rng.random_range(0..DOTS.len())]);
    }
    if name.contains(names::RARE) && once(rates.unwritable) {
        return name.replace(names::RARE, ["?", "□"][rng.random_range(0..2)]);
    }
    if once(rates.name_typo) {
        let last = name.char_indices().last().map_or(0, |(at, _)| at);
        return format!("{}{}", &name[..last], ["民", "芬", "志"][rng.random_range(0..3)]);
    }
    if once(rates.untidy) {
        return name.chars().flat_map(|character| [character, '\u{3000}']).collect();
    }
    name.to_owned()
}

/// ASCII as full-width characters, as typed with a Chinese input method.
fn full_width(text: &str) -> String {
    text.chars()
        .map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    #[test]
    fn dirt_comes_at_its_rate() {
        let world = World::new(3, 20_000, Day(20_781));
        let rates = Rates::default();
        let (mut missing, mut invalid, mut short, mut total) = (0, 0, 0, 0);
        for person in (0..world.blocks()).flat_map(|block| world.block(block)) {
            let seen = seen(3, &rates, &person, person.number, Agency::HUMAN_RESOURCES, 3201);
            total += 1;
            match seen.number {
                None => missing += 1,
                Some(text) if text.len() == 15 => short += 1,
                Some(text) => invalid += usize::from(CitizenId::parse(&text).is_err()),
            }
        }
        assert_eq!(total, 20_000);
        assert!((20..70).contains(&missing), "{missing}");
        assert!((30..100).contains(&invalid), "{invalid}");
        assert!((80..220).contains(&short), "{short}");
    }

    #[test]
    fn a_perfect_view_is_the_truth() {
        let world = World::new(3, 800, Day(20_781));
        let rates = Rates::default().scaled(0.0);
        for person in (0..world.blocks()).flat_map(|block| world.block(block)) {
            let seen = seen(3, &rates, &person, person.number, Agency::CIVIL_AFFAIRS, 3201);
            assert!(seen.number.as_deref() == Some(&*person.number.text()));
            assert!(seen.name.as_deref() == Some(&*person.name));
            assert!(seen.birth == Some(person.birth));
        }
    }
}
