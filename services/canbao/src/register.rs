//! `register-schemas`: what this release ships, into the configured schema registry, so that services find its ids.

use crate::output::Table;
use runtime::config::{ConfigError, Settings};
use runtime::schema_ids::{Registered, SchemaRegistry};

/// Registers the shipped schemas that are missing, each after the registry's compatibility check; again is harmless.
///
/// # Errors
/// When no registry is configured, one does not answer, or it refuses a schema.
pub async fn register(settings: &Settings) -> anyhow::Result<Vec<Registered>> {
    let registry = SchemaRegistry::configured(settings)?.ok_or(ConfigError::Missing {
        key: "schema_registry",
        variable: "CANBAO_SCHEMA_REGISTRY",
    })?;
    Ok(registry.register().await?)
}

/// Per record: its id, and under how many subjects it stands.
pub fn render(registered: &[Registered]) -> String {
    let mut table = Table::new(["record", "version", "id", "subjects", "new"]);
    for of_record in registered.chunk_by(|one, other| (one.record, one.version) == (other.record, other.version)) {
        let Some(first) = of_record.first() else { continue };
        let new = of_record.iter().filter(|place| place.new).count();
        table.row([
            first.record.to_owned(),
            first.version.to_string(),
            first.id.to_string(),
            of_record.len().to_string(),
            new.to_string(),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_registry_must_be_configured() {
        let error = register(&Settings::default()).await.unwrap_err().to_string();
        assert!(error.contains("CANBAO_SCHEMA_REGISTRY"), "{error}");
    }

    #[test]
    fn a_record_is_a_line() {
        let place = |subject: &str, record, id, new| Registered {
            subject: subject.to_owned(),
            record,
            version: 1,
            id,
            new,
        };
        let text = render(&[
            place("a-value", "cn.canbao.AlertEvent", 41, false),
            place("b-value", "cn.canbao.AlertEvent", 41, true),
            place("findings-value", "cn.canbao.FindingState", 42, true),
        ]);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["cn.canbao.AlertEvent", "1", "41", "2", "1"]);
        assert_eq!(lines.len(), 3);
    }
}
