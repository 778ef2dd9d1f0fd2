//! `check-config` and `print-config`: what the settings say, without changing anything.

use anyhow::Context;
use domain::policy::Policy;
use runtime::config::Settings;
use runtime::dialect::Dialects;
use runtime::schema_ids::SchemaRegistry;
use serde::Serialize;

/// What `check-config` found usable.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Directories of dialects that were read.
    pub dialects: usize,
    /// Version of the policy.
    pub policy_version: u32,
    /// First business date the policy is meant for.
    pub policy_valid_from: String,
    /// The configured schema registry's ids of the shipped schemas; `None` when the embedded registry is in force.
    pub schema_ids: Option<Vec<u32>>,
}

/// The policy in force: the configured file, else the one this program carries.
///
/// # Errors
/// When the file cannot be read or is no policy.
pub fn policy(settings: &Settings) -> anyhow::Result<Policy> {
    let Some(file) = &settings.policy else {
        return Ok(Policy::embedded());
    };
    let text = std::fs::read_to_string(file).with_context(|| format!("reading policy {}", file.display()))?;
    Policy::parse(&text).with_context(|| format!("policy {}", file.display()))
}

/// The dialects in force.
///
/// # Errors
/// When none is configured or a file is wrong; the message names file and key.
pub fn dialects(settings: &Settings) -> anyhow::Result<Dialects> {
    anyhow::ensure!(
        !settings.dialects.is_empty(),
        "setting `dialects` is missing: set CANBAO_DIALECTS to the directories of the agencies' mappings, separated by colons"
    );
    Ok(Dialects::load(&settings.dialects)?)
}

/// Checks what every service would check before it touches anything, and reports all problems at once.
///
/// # Errors
/// The problems, one a line.
pub async fn check(settings: &Settings) -> anyhow::Result<Checked> {
    let mut problems = Vec::new();
    let mut note = |problem: Option<anyhow::Error>| problems.extend(problem.map(|problem| format!("{problem:#}")));
    note(settings.database_url().err().map(Into::into));
    note(settings.id_key().err().map(Into::into));
    note(dialects(settings).err());
    let policy = policy(settings);
    let (version, valid_from) = policy
        .as_ref()
        .map_or((0, String::new()), |policy| (policy.version, policy.valid_from.to_string()));
    note(policy.err());
    let schema_ids = schema_ids(settings).await;
    let (schema_ids, problem) = schema_ids.map_or_else(|problem| (None, Some(problem)), |ids| (ids, None));
    note(problem);
    anyhow::ensure!(
        problems.is_empty(),
        "the configuration is not usable:\n  {}",
        problems.join("\n  ")
    );
    Ok(Checked {
        dialects: settings.dialects.len(),
        policy_version: version,
        policy_valid_from: valid_from,
        schema_ids,
    })
}

async fn schema_ids(settings: &Settings) -> anyhow::Result<Option<Vec<u32>>> {
    match SchemaRegistry::configured(settings)? {
        Some(registry) => Ok(Some(registry.ids().await?)),
        None => Ok(None),
    }
}

/// The checked settings as text.
pub fn render(checked: &Checked) -> String {
    let schemas = match &checked.schema_ids {
        Some(ids) => format!("the configured registry's schema ids {ids:?}"),
        None => "the embedded schema ids".to_owned(),
    };
    format!(
        "the configuration is usable: {} directories of dialects, policy version {} from {}, {schemas}\n",
        checked.dialects, checked.policy_version, checked.policy_valid_from
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_problem_is_named_at_once() {
        let settings = Settings {
            policy: Some("missing.toml".into()),
            // Nobody listens on the port of "discard".
            schema_registry: Some("http://127.0.0.1:9".into()),
            ..Settings::default()
        };
        let text = check(&settings).await.unwrap_err().to_string();
        for word in [
            "CANBAO_DATABASE_URL",
            "CANBAO_ID_KEY",
            "CANBAO_DIALECTS",
            "missing.toml",
            "schema registry",
        ] {
            assert!(text.contains(word), "{text}");
        }
    }
}
