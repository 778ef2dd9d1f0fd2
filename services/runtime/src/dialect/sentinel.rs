//! Values that a source writes where it has none: 1900-01-01 for an unknown day, 9999-12-31 for no end, numbers of all ones.
//!
//! They look like any other value, so a dialect lists them, column by column (`none = [...]`).

use super::calendar::{day_of_text, year_month};
use super::shape::Content;
use domain::date::{Day, Month};

/// A value that stands for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sentinel {
    /// A calendar day, in whatever encoding; of an instant, its day in China.
    Day(Day),
    /// A month.
    Month(Month),
    /// Text, the digits of an integer, or a code, as the source writes it but for surrounding spaces.
    Text(String),
}

impl Sentinel {
    /// Reads a value as a dialect file writes it; an error is what was expected.
    pub(super) fn parse(content: Content, written: &str) -> Result<Self, &'static str> {
        match content {
            Content::Day | Content::Instant => day_of_text(written).map(Self::Day).ok_or("a day as yyyy-mm-dd"),
            Content::Month => year_month(written)
                .and_then(Month::from_yyyymm)
                .map(Self::Month)
                .ok_or("a month as yyyymm"),
            Content::Text | Content::Code(_) | Content::Flag | Content::Division | Content::Ethnicity => {
                let written = written.trim();
                (!written.is_empty()).then(|| Self::Text(written.to_owned())).ok_or("a value")
            }
        }
    }
}
