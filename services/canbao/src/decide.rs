//! `decide`: what a reviewer decided of two source records, recorded, withdrawn and listed (复核决定).
//!
//! A decision is pinned to records, whose ids `canbao person` shows, and holds until it is withdrawn, whatever happens to the persons.

use crate::output::{Table, Verdict as Outcome};
use crate::person;
use anyhow::Context;
use domain::citizen_id::CitizenId;
use domain::decision::Verdict;
use domain::ids::RecordId;
use domain::shard::Shard;
use runtime::config::Settings;
use runtime::statements::Statement;
use runtime::store::decisions;
use serde::Serialize;
use sqlx::PgPool;

/// A decision in force.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Its number, for `decide withdraw`.
    pub decision: u64,
    /// `same` or `different`.
    pub verdict: &'static str,
    /// A record.
    pub record: String,
    /// The other.
    pub other: String,
    /// The number the person keeps, masked.
    pub number: Option<String>,
    /// It belongs to decisions that call the same records one person and two: none of them binds.
    pub contradicts: bool,
}

/// The statement of a decision. For one person it says which number they keep: the one that the person of `other` holds, else that of
/// the person of `record`.
///
/// # Errors
/// When a record is not in the base, or the store does not answer.
pub async fn statement(
    settings: &Settings,
    pool: &PgPool,
    verdict: Verdict,
    record: RecordId,
    other: RecordId,
) -> anyhow::Result<Statement> {
    let kept = number_of(settings, pool, other).await?;
    let own = number_of(settings, pool, record).await?;
    Ok(Statement::Decide {
        verdict,
        record,
        other,
        number: kept.or(own).filter(|_| verdict == Verdict::Same),
    })
}

async fn number_of(settings: &Settings, pool: &PgPool, record: RecordId) -> anyhow::Result<Option<CitizenId>> {
    let found = person::find(settings, pool, &record.to_string()).await?;
    let known = found.persons.first();
    let known = known.with_context(|| format!("no record {record} is in the base; `canbao person <number>` shows record ids"))?;
    let number = known.number.as_deref().map(CitizenId::parse).transpose();
    // The cause would repeat nothing of the number, but is no help either.
    number.map_err(|_| anyhow::anyhow!("the person of record {record} has a number that cannot be read"))
}

/// The decisions in force; a difference when some contradict each other.
///
/// # Errors
/// When the store does not answer.
pub async fn list(pool: &PgPool) -> anyhow::Result<(Vec<Listed>, Outcome)> {
    let mut connection = pool.acquire().await.context("taking a connection")?;
    let first = Shard::all().next().context("there are shards")?;
    let rulings = decisions::rulings(&mut connection, first)
        .await
        .context("reading the decisions: was `canbao migrate` run?")?;
    let in_case = |record: RecordId| rulings.cases().iter().any(|case| case.contains(&record));
    let standing = rulings.decisions().values().flatten();
    let listed: Vec<Listed> = standing
        .map(|decision| Listed {
            decision: decision.id,
            verdict: decision.verdict.as_str(),
            record: decision.record.to_string(),
            other: decision.other.to_string(),
            number: decision.number.map(CitizenId::masked),
            contradicts: in_case(decision.record) && in_case(decision.other),
        })
        .collect();
    let outcome = if rulings.cases().is_empty() {
        Outcome::Good
    } else {
        Outcome::Difference
    };
    Ok((listed, outcome))
}

/// The list as text.
pub fn render(listed: &[Listed]) -> String {
    let mut table = Table::new(["decision", "verdict", "record", "other record", "number", "binds"]);
    for decision in listed {
        table.row([
            decision.decision.to_string(),
            decision.verdict.to_owned(),
            decision.record.clone(),
            decision.other.clone(),
            decision.number.clone().unwrap_or_else(|| "-".to_owned()),
            if decision.contradicts {
                "no: contradicts others"
            } else {
                "yes"
            }
            .to_owned(),
        ]);
    }
    table.render()
}
