//! `check-config` and `print-config`: what the settings say, without changing anything.

use runtime::config::Settings;
use runtime::dialect::Dialects;
use runtime::schema_ids::SchemaRegistry;
use serde::Serialize;

/// What `check-config` found usable.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Directories of dialects that were read.
    pub dialects: usize,
    /// The configured schema registry's ids of the shipped schemas; `None` when the embedded registry is in force.
    pub schema_ids: Option<Vec<u32>>,
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
        "the configuration is usable: {} directories of dialects, {schemas}\n",
        checked.dialects
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_problem_is_named_at_once() {
        let settings = Settings {
            // Nobody listens on the port of "discard".
            schema_registry: Some("http://127.0.0.1:9".into()),
            ..Settings::default()
        };
        let text = check(&settings).await.unwrap_err().to_string();
        for word in ["CANBAO_DATABASE_URL", "CANBAO_ID_KEY", "CANBAO_DIALECTS", "schema registry"] {
            assert!(text.contains(word), "{text}");
        }
    }
}
