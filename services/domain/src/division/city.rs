//! Cities of Jiangsu.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ReportingUnit;

/// A city of Jiangsu 设区市 (3201 to 3213), or the provincial level 省本级 (3200), which runs
/// systems and reports like one: the first four digits of a division code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct City(u16);

/// A text or a number is no city of Jiangsu.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown city: expected 3201 to 3213, or 3200 for the provincial level")]
pub struct UnknownCity;

impl City {
    /// The provincial level 省本级.
    pub const PROVINCE: Self = Self(3200);

    /// The city of four digits, 3200 to 3213.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        (3200..=3213).contains(&code).then_some(Self(code))
    }

    /// The provincial level and the thirteen cities, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (3200..=3213).map(Self)
    }

    /// The four digits.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The Chinese name: `南京市`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.reporting_unit().name
    }

    /// The English name: `Nanjing`.
    #[must_use]
    pub fn name_en(self) -> &'static str {
        self.reporting_unit().name_en
    }

    /// The unit that reports for the city, but for the counties that report by themselves.
    ///
    /// # Panics
    ///
    /// Never: every city is in the embedded table, which a test holds.
    #[must_use]
    pub fn reporting_unit(self) -> &'static ReportingUnit {
        ReportingUnit::by_code(u32::from(self.0) * 100).expect("every city is a reporting unit")
    }
}

impl fmt::Display for City {
    /// The four digits, as in topic names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for City {
    type Err = UnknownCity;

    /// Reads exactly four digits.
    fn from_str(text: &str) -> Result<Self, UnknownCity> {
        let digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        let code = if digits { text.parse().ok() } else { None };
        code.and_then(Self::from_code).ok_or(UnknownCity)
    }
}

impl TryFrom<u16> for City {
    type Error = UnknownCity;

    fn try_from(code: u16) -> Result<Self, UnknownCity> {
        Self::from_code(code).ok_or(UnknownCity)
    }
}

impl From<City> for u16 {
    fn from(city: City) -> Self {
        city.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_city_has_a_code_and_names() {
        assert_eq!(City::all().count(), 14);
        for city in City::all() {
            assert_eq!(city.to_string().parse(), Ok(city));
            assert_eq!(City::try_from(u16::from(city)), Ok(city));
            assert!(!city.name().is_empty() && city.name_en().is_ascii());
        }
        assert_eq!(City::PROVINCE.name(), "省本级");
        assert_eq!(City::from_code(3206).map(City::name_en), Some("Nantong"));
    }

    #[test]
    fn others_are_refused() {
        for text in ["", "3214", "3199", "1101", "+320", "32010", "南京"] {
            assert_eq!(text.parse::<City>(), Err(UnknownCity));
        }
    }
}
