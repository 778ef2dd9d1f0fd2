//! Units that report by themselves.

use std::sync::LazyLock;

use super::Division;
use crate::date::Day;

/// A unit that fills the monthly table 报表单位: the provincial level, a city, or one of the
/// counties that report by themselves (昆山, 泰兴, 沭阳, 射阳; notice 2014-253).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportingUnit {
    /// Six digits.
    pub code: u32,
    /// The Chinese name.
    pub name: &'static str,
    /// The English name.
    pub name_en: &'static str,
    /// First day of its registration pilot 试点.
    pub pilot_start: Day,
}

/// Sorted by code.
static UNITS: LazyLock<Vec<ReportingUnit>> = LazyLock::new(|| {
    let lines = include_str!("../../data/reporting-units.csv").lines().skip(1);
    lines
        .map(|line| unit(line).expect("the table of reporting units is well formed"))
        .collect()
});

fn unit(line: &'static str) -> Option<ReportingUnit> {
    let mut fields = line.split(',');
    Some(ReportingUnit {
        code: fields.next()?.parse().ok()?,
        name: fields.next()?,
        name_en: fields.next()?,
        pilot_start: fields.next()?.parse().ok()?,
    })
}

impl ReportingUnit {
    /// Every unit, by code.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &UNITS
    }

    /// The unit of a six-digit code.
    #[must_use]
    pub fn by_code(code: u32) -> Option<&'static Self> {
        let at = UNITS.binary_search_by_key(&code, |unit| unit.code).ok()?;
        UNITS.get(at)
    }

    /// The unit whose table a division counts in: its county's own, else its city's. Take
    /// [`Division::current`] first; `None` outside Jiangsu.
    #[must_use]
    pub fn of(division: Division) -> Option<&'static Self> {
        Self::by_code(division.county()).or_else(|| division.city().map(super::City::reporting_unit))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("320583101", Some(320_583))]
    #[case("320582", Some(320_500))]
    #[case("321283", Some(321_283))]
    #[case("321322", Some(321_322))]
    #[case("320924", Some(320_924))]
    #[case("32", Some(320_000))]
    #[case("110105", None)]
    fn a_division_counts_in_one_unit(#[case] division: &str, #[case] unit: Option<u32>) {
        let division = division.parse().expect("a code");
        assert_eq!(ReportingUnit::of(division).map(|unit| unit.code), unit);
    }

    #[test]
    fn units_are_sorted_and_named_as_the_divisions_are() {
        assert!(UNITS.is_sorted_by_key(|unit| unit.code));
        for unit in ReportingUnit::all().iter().filter(|unit| unit.code != 320_000) {
            let division = Division::of_county(unit.code).expect("six digits");
            assert_eq!(division.name(unit.pilot_start), Some(unit.name));
        }
    }
}
