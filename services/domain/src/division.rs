//! Administrative divisions: codes through the years, cities, reporting units.

mod city;
mod reporting_unit;
mod table;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::date::Day;
use crate::text;

pub use city::{City, UnknownCity};
pub use reporting_unit::ReportingUnit;

/// Codes of six digits in one of twelve.
const COUNTY: u64 = 1_000_000;
/// Twelve digits that do not start with zero.
const CODES: std::ops::Range<u64> = 100_000_000_000..1_000_000_000_000;

/// A text or a number is no division code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a division code has 2, 4, 6, 9 or 12 digits and does not start with 0")]
pub struct DivisionError;

/// A division 行政区划 (GB/T 2260 for province, city, county; GB/T 10114 for street and village):
/// a code of twelve digits, zero below the level it names.
///
/// Any well-formed code is held, known or not: systems use codes of their own for development
/// zones, and hukou lies in every province.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Division(u64);

/// What became of a division, see [`Division::current`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Succession {
    /// In force: the division itself, or the county that took its place.
    Current(Division),
    /// Dissolved, and its area went to several places or nobody recorded where: keep the code and
    /// flag it, only an address can tell.
    Unresolved,
    /// Not among the codes of Jiangsu up to that day.
    Unknown,
}

impl Division {
    /// Reads 2, 4, 6, 9 or 12 digits: province, city, county, street, village.
    pub fn parse(raw: &str) -> Result<Self, DivisionError> {
        let code = text::clean(raw);
        let missing = match code.len() {
            length @ (2 | 4 | 6 | 9 | 12) => 12 - length,
            _ => return Err(DivisionError),
        };
        if !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DivisionError);
        }
        let digits: u64 = code.parse().map_err(|_| DivisionError)?;
        Self::try_from(digits * 10_u64.pow(missing as u32))
    }

    /// The division of a six-digit code; an error unless it has six digits.
    pub fn of_county(code: u32) -> Result<Self, DivisionError> {
        Self::try_from(u64::from(code) * COUNTY)
    }

    /// The twelve digits.
    #[must_use]
    pub const fn code(self) -> u64 {
        self.0
    }

    /// The first six digits: the county, or above it with zeros.
    #[must_use]
    pub const fn county(self) -> u32 {
        (self.0 / COUNTY) as u32
    }

    /// The city of Jiangsu named by the first four digits, or the provincial level for 3200.
    ///
    /// `None` for other provinces and for the first four digits that the province no longer uses
    /// (prefectures, 3290): take [`Division::current`] first.
    #[must_use]
    pub fn city(self) -> Option<City> {
        City::from_code((self.county() / 100) as u16)
    }

    /// The name of the county, city or province in the year of the day; `None` for divisions
    /// outside Jiangsu and when the code was not in force.
    #[must_use]
    pub fn name(self, as_of: Day) -> Option<&'static str> {
        table::in_force(self.county(), as_of.year()).map(|row| row.name)
    }

    /// Where a division lies on a day: follows new codes and merges, not splits.
    ///
    /// Streets and villages are kept while the county's code is; a new code drops them. A code
    /// given out a second time (320205, 320705) counts as the later place.
    #[must_use]
    pub fn current(self, as_of: Day) -> Succession {
        let year = as_of.year();
        let Some(mut row) = table::latest(self.county(), year) else {
            return Succession::Unknown;
        };
        while row.last_year < year {
            let next_year = row.last_year + 1;
            match row.successor.and_then(|code| table::in_force(code, next_year)) {
                Some(successor) => row = successor,
                None => return Succession::Unresolved,
            }
        }
        Succession::Current(if row.code == self.county() {
            self
        } else {
            Self(u64::from(row.code) * COUNTY)
        })
    }
}

impl fmt::Display for Division {
    /// The twelve digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Division {
    type Err = DivisionError;

    fn from_str(text: &str) -> Result<Self, DivisionError> {
        Self::parse(text)
    }
}

impl TryFrom<u64> for Division {
    type Error = DivisionError;

    /// The division of twelve digits.
    fn try_from(code: u64) -> Result<Self, DivisionError> {
        if CODES.contains(&code) {
            Ok(Self(code))
        } else {
            Err(DivisionError)
        }
    }
}

impl From<Division> for u64 {
    fn from(division: Division) -> Self {
        division.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn division(code: &str) -> Division {
        code.parse().expect("a code")
    }

    fn day(text: &str) -> Day {
        text.parse().expect("a day")
    }

    #[rstest]
    #[case("32", 320_000_000_000)]
    #[case("3201", 320_100_000_000)]
    #[case("320583", 320_583_000_000)]
    #[case("320583101", 320_583_101_000)]
    #[case("３２０５８３１０１２０１ ", 320_583_101_201)]
    fn reads(#[case] text: &str, #[case] code: u64) {
        assert_eq!(division(text).code(), code);
    }

    #[rstest]
    #[case("")]
    #[case("3")]
    #[case("32058")]
    #[case("3205831")]
    #[case("020583")]
    #[case("32058x")]
    #[case("+20583")]
    #[case("昆山")]
    fn refuses(#[case] text: &str) {
        assert_eq!(Division::parse(text), Err(DivisionError));
    }

    #[rstest]
    #[case("320502", "2011-12-31", "320502")]
    #[case("320502", "2026-01-01", "320508")]
    #[case("320503", "2026-01-01", "320508")]
    #[case("320504", "2026-01-01", "320508")]
    #[case("320202", "2026-01-01", "320213")]
    #[case("320602", "2026-01-01", "320613")]
    #[case("320611", "2026-01-01", "320613")]
    #[case("320584", "2026-01-01", "320509")]
    #[case("320803", "2010-01-01", "320803")]
    #[case("320803", "2026-01-01", "320803")]
    #[case("329012", "2026-01-01", "320583")]
    #[case("321025", "2026-01-01", "321283")]
    #[case("322224", "2026-01-01", "321322")] // three codes one after the other
    #[case("322224", "1990-01-01", "320823")]
    #[case("322324", "2026-01-01", "320924")]
    #[case("322724", "2026-01-01", "320581")]
    #[case("320583101201", "2026-01-01", "320583101201")]
    #[case("320502101", "2026-01-01", "320508")] // streets of a dead county are lost
    #[case("3208", "2026-01-01", "3208")]
    fn follows(#[case] code: &str, #[case] as_of: &str, #[case] expected: &str) {
        assert_eq!(division(code).current(day(as_of)), Succession::Current(division(expected)));
    }

    #[rstest]
    #[case("320586", Succession::Unresolved)] // 吴县市, split
    #[case("320524", Succession::Unresolved)] // 吴县, which became it
    #[case("3222", Succession::Unresolved)]
    #[case("110105", Succession::Unknown)]
    #[case("320571", Succession::Unknown)] // a development zone's own
    fn does_not_guess(#[case] code: &str, #[case] expected: Succession) {
        assert_eq!(division(code).current(day("2026-01-01")), expected);
    }

    #[rstest]
    #[case("320803", "2005-01-01", Some("楚州区"))]
    #[case("320803", "2011-01-01", Some("淮安区"))]
    #[case("3208", "1999-12-31", Some("淮阴市"))]
    #[case("3208", "2000-01-01", Some("淮安市"))]
    #[case("320508", "2011-12-31", None)]
    #[case("329012", "1990-01-01", Some("昆山市"))]
    #[case("320583101201", "2026-01-01", Some("昆山市"))]
    #[case("110105", "2026-01-01", None)]
    fn names(#[case] code: &str, #[case] as_of: &str, #[case] expected: Option<&str>) {
        assert_eq!(division(code).name(day(as_of)), expected);
    }

    #[test]
    fn cities() {
        assert_eq!(division("320583").city(), City::from_code(3205));
        assert_eq!(division("32").city(), Some(City::PROVINCE));
        assert_eq!(division("110105").city(), None);
        assert_eq!(division("329012").city(), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,13}|[0-9]{0,13}") {
            if let Ok(division) = Division::parse(&text) {
                prop_assert_eq!(Division::parse(&division.to_string()), Ok(division));
                let bytes = postcard::to_stdvec(&division).expect("serialises");
                prop_assert_eq!(postcard::from_bytes::<Division>(&bytes), Ok(division));
            }
        }

        #[test]
        fn where_a_division_lies_stays_in_force(code in 320_000..330_000_u32, days in 0..25_000_i32) {
            let division = Division::of_county(code).expect("six digits");
            if let Succession::Current(found) = division.current(Day(days)) {
                prop_assert!(found.name(Day(days)).is_some());
                prop_assert_eq!(found.current(Day(days)), Succession::Current(found));
            }
        }
    }
}
