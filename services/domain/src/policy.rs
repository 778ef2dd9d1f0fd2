//! Policy: what a province decides, as dated data.
//!
//! `services/domain/data/policy.toml` holds the values with their sources; [`Policy::parse`] reads and checks such a file, so that
//! a province changes a threshold, an exemption or the mandatory matrix without a release.

mod edition;
mod file;
mod retirement;
mod waits;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::date::Day;
use crate::division::City;
use crate::facts::{BenefitKind, CircumstanceKind, HukouStatus, coded};
use crate::finding::Rule;
use crate::limits::LONGEST_POLICY;
use crate::population::Population;
use crate::scheme::Scheme;
use crate::source::{Agency, Source};

pub use edition::{Edition, NotNewer, PolicyDigest, PolicyId};
pub use retirement::{RetirementPath, RetirementRules};
pub use waits::{Waits, WaitsFor};

/// The policy that the crate carries.
const EMBEDDED: &str = include_str!("../data/policy.toml");

coded! {
    /// What a population owes to a scheme (参保义务).
    Duty {
        /// Need not be in it.
        None = 0 "none",
        /// May be in it (自愿参保): absence is a lead for outreach at most.
        May = 1 "may",
        /// Must be in it (应保).
        Must = 2 "must",
        /// Is covered otherwise (视同参保): nothing is claimed, whatever else the person is.
        Satisfied = 3 "satisfied",
    }
}

coded! {
    /// What can decide where a person counts (属地).
    RegionBasis {
        /// Usual residence (常住地).
        Residence = 1 "residence",
        /// Household-register place (户籍地).
        Hukou = 2 "hukou",
        /// Place of enrolment (参保地), the lowest of several.
        Enrolment = 3 "enrolment",
    }
}

/// Why a text is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not TOML, or a key is missing, unknown or of the wrong kind.
    #[error("the policy cannot be read")]
    Toml(#[from] toml::de::Error),
    /// Longer than a log's entry takes.
    #[error("the policy has {bytes} bytes, and at most {LONGEST_POLICY} are taken")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Holds a control character other than line ends and tabs.
    #[error("the policy holds a control character")]
    Control,
    /// A value does not fit.
    #[error("policy: {key}: {problem}")]
    Value {
        /// The key, dotted.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// When a relation counts as lapsed (断保口径).
#[derive(Debug, Clone, PartialEq)]
pub struct LapsedRules {
    /// Full months unpaid while the relation stands as paying.
    pub months: i32,
    /// Days after a suspension or an end, or after a new duty began.
    pub stopped_days: i32,
    /// For schemes paid by the year: the last month (1 to 12) in which a year's contribution can still be paid.
    paid_until: BTreeMap<Scheme, u32>,
}

impl LapsedRules {
    /// For a scheme paid by the year, the first day on which the contribution of `year` can be paid no more.
    pub fn closes(&self, scheme: Scheme, year: i32) -> Option<Day> {
        let last_month = *self.paid_until.get(&scheme)?;
        let month = crate::date::Month::from_ym(year, last_month)?;
        Some(month.add_months(1).first_day())
    }
}

/// What counts as enrolled twice (重复参保口径).
#[derive(Debug, Clone, PartialEq)]
pub struct DoubleRules {
    /// Pension schemes that count.
    pub pension: Vec<Scheme>,
    /// Medical schemes that count.
    pub medical: Vec<Scheme>,
    /// Age from which a man's first relation outside his hukou is a temporary account.
    pub temporary_men: i32,
    /// The same for women.
    pub temporary_women: i32,
}

/// What counts as enrolled after death (死亡后参保口径).
#[derive(Debug, Clone, PartialEq)]
pub struct AfterDeathRules {
    /// Months after the month of death in which a relation may still stand as paying.
    pub grace_months: i32,
    /// Benefits that end with the life of who draws them.
    pub benefits: Vec<BenefitKind>,
}

/// What releases an alert (发布口径); used by the services, not by the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseRules {
    /// Presence claims that are told without waiting for completeness.
    pub at_once: Vec<Rule>,
    /// Which sources a claim waits for.
    pub waits: Waits,
    /// How far a source's clock may be ahead of ours, in milliseconds.
    pub tolerance_millis: u32,
    /// Share of a table's rows (0 to 1) that a truncation or a full snapshot may remove without being confirmed.
    pub removed_share: f64,
    /// So many rows it may remove whatever their share.
    pub removed_rows: u64,
}

/// A policy (政策).
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Rises with every change.
    pub version: u32,
    /// The first business date it is meant for.
    pub valid_from: Day,
    /// What decides where a person counts, the first that names a city.
    pub region: Vec<RegionBasis>,
    /// The age from which a resident may join the resident pension.
    pub adult_age: i32,
    /// The age at which the resident pension is drawn.
    pub resident_pension_age: i32,
    /// Retirement ages.
    pub retirement: RetirementRules,
    /// Days after a duty began in which enrolment is in time.
    pub grace_days: i32,
    /// When a relation counts as lapsed.
    pub lapsed: LapsedRules,
    /// States of the household registration that exempt, and circumstances that say the same ([`Policy::exempts`]).
    pub exempt: Vec<HukouStatus>,
    /// Schemes that a treaty waives, by nationality.
    treaties: BTreeMap<String, Vec<Scheme>>,
    /// Working days that a transfer of a relation may take.
    pub transfer_working_days: u32,
    succession: BTreeMap<Scheme, Scheme>,
    satisfied_by: BTreeMap<Scheme, Vec<Scheme>>,
    /// What counts as enrolled twice.
    pub double: DoubleRules,
    /// What counts as enrolled after death.
    pub after_death: AfterDeathRules,
    /// Whom to believe first where several agencies state a field; see [`crate::golden`].
    pub survivorship: Vec<Agency>,
    scope_agencies: Vec<Agency>,
    scope_cities: Vec<City>,
    /// What releases an alert.
    pub release: ReleaseRules,
    matrix: BTreeMap<Population, Vec<(Scheme, Duty)>>,
    holidays: Vec<Day>,
}

impl Policy {
    /// Reads and checks a policy file.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        file::parse(text)
    }

    /// The policy that the crate carries.
    ///
    /// # Panics
    ///
    /// Never: a test holds that the embedded file is a policy.
    pub fn embedded() -> Self {
        Self::parse(EMBEDDED).expect("the embedded policy is checked by a test")
    }

    /// What a population owes to the schemes that concern it; every other scheme is [`Duty::None`].
    pub fn duties(&self, population: Population) -> &[(Scheme, Duty)] {
        self.matrix.get(&population).map_or(&[], Vec::as_slice)
    }

    /// What a population owes to a scheme.
    pub fn duty(&self, population: Population, scheme: Scheme) -> Duty {
        let found = self.duties(population).iter().find(|(owed, _)| *owed == scheme);
        found.map_or(Duty::None, |(_, duty)| *duty)
    }

    /// The scheme that continues a scheme, or the scheme itself.
    pub fn current_scheme(&self, scheme: Scheme) -> Scheme {
        self.succession.get(&scheme).copied().unwrap_or(scheme)
    }

    /// Whether a relation in `held` meets the duty to be in `scheme`.
    pub fn satisfies(&self, held: Scheme, scheme: Scheme) -> bool {
        let other = || self.satisfied_by.get(&scheme).is_some_and(|by| by.contains(&held));
        self.current_scheme(held) == self.current_scheme(scheme) || other()
    }

    /// Whether a treaty waives a scheme for a nationality.
    pub fn is_waived(&self, nationality: &str, scheme: Scheme) -> bool {
        self.treaties.get(nationality).is_some_and(|waived| waived.contains(&scheme))
    }

    /// Whether nothing is claimed absent while a circumstance of a kind is in force: as in the state of the household registration that says
    /// the same.
    pub fn exempts(&self, kind: CircumstanceKind) -> bool {
        kind.as_hukou().is_some_and(|status| self.exempt.contains(&status))
    }

    /// The sources that absence is claimed over, sorted: those of the agencies in scope, in the cities where the agencies have systems.
    pub fn scope(&self) -> Vec<Source> {
        let of_agency = |agency: &Agency| {
            let agency = *agency;
            agency.cities().iter().map(move |city| Source { agency, city: *city })
        };
        let wanted = |source: &Source| self.scope_cities.is_empty() || self.scope_cities.contains(&source.city);
        let mut sources: Vec<Source> = self.scope_agencies.iter().flat_map(of_agency).filter(wanted).collect();
        sources.sort_unstable();
        sources
    }

    /// The last day of the window in which a transfer that began on `start` may be under way.
    pub fn transfer_ends(&self, start: Day) -> Day {
        start.plus_working_days(self.transfer_working_days, &self.holidays)
    }
}

#[cfg(test)]
mod tests;
