//! The section on release: what is told at once, and what waits for whom.

use super::super::{PolicyError, ReleaseRules, Waits, WaitsFor};
use super::{check, list, named, text};
use crate::finding::Rule;
use crate::source::Agency;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Release {
    at_once: Vec<String>,
    tolerance_millis: u32,
    /// Stands in texts of before, and nothing follows from it: the share at which a topic is held is a setting of the normalisers.
    #[serde(rename = "dead_letter_share")]
    _dead_letter_share: Option<f64>,
    /// Left out in texts of before, as the next one.
    removed_share: Option<f64>,
    removed_rows: Option<u64>,
    /// Left out in texts of before: every source in scope.
    #[serde(default)]
    waits: BTreeMap<String, BTreeMap<String, String>>,
}

/// Checks the section.
pub(super) fn rules(file: &Release) -> Result<ReleaseRules, PolicyError> {
    let at_once = list("release.at_once", &file.at_once, Rule::from_name)?;
    check(
        !at_once.iter().any(|rule| rule.claims_absence()),
        "release.at_once",
        "a claim of absence must wait for completeness",
    )?;
    let removed_share = file.removed_share.unwrap_or(0.1);
    check(
        (0.0..=1.0).contains(&removed_share),
        "release.removed_share",
        "must be 0 to 1",
    )?;
    Ok(ReleaseRules {
        at_once,
        waits: waits(&file.waits)?,
        tolerance_millis: file.tolerance_millis,
        removed_share,
        removed_rows: file.removed_rows.unwrap_or(100),
    })
}

fn waits(file: &BTreeMap<String, BTreeMap<String, String>>) -> Result<Waits, PolicyError> {
    let mut waits = Waits::default();
    for (name, agencies) in file {
        let key = format!("release.waits.{name}");
        let rule = named("release.waits", name, Rule::from_name)?;
        for (agency, cities) in agencies {
            let agency = named(&key, agency, text::<Agency>)?;
            waits.narrow(rule, agency, named(&key, cities, WaitsFor::from_name)?);
        }
    }
    Ok(waits)
}
