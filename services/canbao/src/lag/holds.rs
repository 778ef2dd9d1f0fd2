//! Which source holds back what: findings that may not be told before it is complete past the facts they rest on.

use domain::finding::Rule;
use domain::source::Source;
use runtime::store::waivers;
use serde::Serialize;
use sqlx::{PgPool, Row};
use std::collections::BTreeMap;
use std::fmt;

/// Findings by rule.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Holds(BTreeMap<&'static str, i64>);

impl Holds {
    /// None are held back.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<String> = self.0.iter().map(|(rule, findings)| format!("{findings} {rule}")).collect();
        f.write_str(&rules.join(", "))
    }
}

/// What each source holds back: of several that a finding waits for, the first is known.
///
/// # Errors
/// When the store does not answer, or holds a source or a rule that this program does not know.
pub(super) async fn read(pool: &PgPool) -> anyhow::Result<BTreeMap<Source, Holds>> {
    let rows = sqlx::query(
        "select agency, city, (about / 256)::smallint as rule, count(*) as findings from store.pending where agency is not null group by 1, 2, 3",
    )
    .fetch_all(pool)
    .await?;
    let mut held: BTreeMap<Source, Holds> = BTreeMap::new();
    for row in &rows {
        let source = waivers::source(row.try_get("agency")?, row.try_get("city")?)?;
        let code = row.try_get::<i16, _>("rule")?;
        let rule = Rule::ALL.iter().find(|rule| i16::from(rule.code()) == code);
        let rule = rule.ok_or_else(|| anyhow::anyhow!("a waiting finding is of a rule that this program does not know"))?;
        held.entry(source)
            .or_default()
            .0
            .insert(rule.as_str(), row.try_get("findings")?);
    }
    Ok(held)
}
