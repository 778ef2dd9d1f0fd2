//! Which sources a claim waits for before it is told.

use crate::division::City;
use crate::facts::coded;
use crate::finding::Rule;
use crate::source::{Agency, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

coded! {
    /// Which of an agency's sources may bring the fact that makes a claim untrue (等待范围).
    WaitsFor {
        /// Every one in scope.
        All = 1 "all",
        /// That of the city where the person counts, and the provincial level's.
        Own = 2 "own",
        /// None: what the agency states does not bear on the claim.
        None = 3 "none",
    }
}

/// Which sources claims wait for; every source in scope unless it was narrowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits {
    narrowed: BTreeMap<(Rule, Agency), WaitsFor>,
}

impl Waits {
    /// What the claims of a rule wait for of an agency.
    pub fn narrow(&mut self, rule: Rule, agency: Agency, to: WaitsFor) {
        self.narrowed.insert((rule, agency), to);
    }

    /// Whether a claim of `rule` about somebody who counts in `region` waits for `source`, whose rows it does not rest on.
    pub fn on(&self, rule: Rule, source: Source, region: Option<City>) -> bool {
        match self.narrowed.get(&(rule, source.agency)) {
            None | Some(WaitsFor::All) => true,
            // Who counts nowhere yet is told nowhere; until then nothing is known to be somebody else's.
            Some(WaitsFor::Own) => region.is_none_or(|region| source.city == region || source.city == City::PROVINCE),
            Some(WaitsFor::None) => false,
        }
    }
}
