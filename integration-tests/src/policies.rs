//! Policies of the tests: the embedded one, read once, and what stories change in it.

use anyhow::{Context, ensure};
use domain::date::Day;
use domain::policy::Edition;
use serde::Deserialize;
use std::sync::{Arc, OnceLock};

/// What a story changes in the policy: from its start, or from a date on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The business date on which it comes into force; none for the story's own policy from the start.
    #[serde(default, deserialize_with = "crate::story::some_day")]
    pub on: Option<Day>,
    /// Keys of the policy file, dotted, with what they hold instead of what the policy before held.
    pub set: toml::Table,
}

/// The policy that is carried; reading it takes longer than a run does.
///
/// # Panics
/// Never: it is a policy.
pub fn embedded() -> Arc<Edition> {
    static EMBEDDED: OnceLock<Arc<Edition>> = OnceLock::new();
    Arc::clone(EMBEDDED.get_or_init(|| Arc::new(Edition::embedded())))
}

/// The policies of a story with the dates they come into force, the first without one. Versions rise from 1.
///
/// # Errors
/// When a change makes no policy, or comes before an earlier one.
pub fn of(changes: &[Change]) -> anyhow::Result<Vec<(Option<Day>, Arc<Edition>)>> {
    let mut policies = vec![(None, embedded())];
    for change in changes {
        let (before, last) = policies.last().context("there is a first one")?;
        ensure!(
            before.is_none() || change.on > *before,
            "policies are in the order of their dates, the one from the start first"
        );
        let version = last.id().version + u32::from(change.on.is_some());
        let edition = Arc::new(changed(last, version, &change.set)?);
        if change.on.is_none() {
            policies.clear();
        }
        policies.push((change.on, edition));
    }
    Ok(policies)
}

/// A policy with another version, and other values of some keys.
///
/// # Errors
/// When it is no policy.
pub fn changed(policy: &Edition, version: u32, set: &toml::Table) -> anyhow::Result<Edition> {
    let mut file: toml::Table = policy.text().parse().context("a policy is TOML")?;
    file.insert("version".to_owned(), i64::from(version).into());
    for (key, value) in set {
        let unknown = || format!("a policy has no {key}");
        let (section, name) = key.rsplit_once('.').with_context(unknown)?;
        let mut table = &mut file;
        for part in section.split('.') {
            table = table
                .get_mut(part)
                .and_then(toml::Value::as_table_mut)
                .with_context(unknown)?;
        }
        *table.get_mut(name).with_context(unknown)? = value.clone();
    }
    Ok(Edition::parse(toml::to_string(&file)?)?)
}
