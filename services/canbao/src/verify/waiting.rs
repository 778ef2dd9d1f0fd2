//! What waits to be told: for a source that is not complete past its facts, and not for ever.

use super::announced::PersonKey;
use anyhow::Context;
use domain::date::Timestamp;
use domain::finding::About;
use domain::ids::AnchorId;
use domain::shard::Shard;
use domain::source::Source;
use runtime::store::read::StoredShard;
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashSet};

/// Brokers' clocks may differ by so much, in ms.
const SKEW: i64 = 10 * 60 * 1000;

/// A row of `store.pending`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub facts_at: Timestamp,
    pub waits_for: Option<Source>,
}

/// What is needed to judge what waits.
pub(super) struct Patience<'a> {
    /// When the newest entry of any log was appended.
    pub newest: Timestamp,
    /// How long a difference may wait, in days.
    pub days: u32,
    /// What arrived by message with persons who were told of elsewhere.
    pub carried: &'a HashSet<(Shard, AnchorId, About)>,
    /// Persons of whom a row cannot be read: what was told of them waits for that row, whatever is complete.
    pub unreadable: &'a BTreeSet<PersonKey>,
}

impl Patience<'_> {
    /// What is wrong with facts of a time, whatever waits on them.
    fn aged(&self, at: Timestamp, latest: Timestamp) -> Option<String> {
        let waited = self.newest.0.saturating_sub(at.0) / 86_400_000;
        if at.0 > latest.0.saturating_add(SKEW) {
            Some("rests on facts later than anything that was logged".to_owned())
        } else if waited > i64::from(self.days) {
            Some(format!("waits for {waited} days, longer than {} (--longest-wait)", self.days))
        } else {
            None
        }
    }
}

/// Why something may not wait any more; names the source it waits for.
pub(super) fn overdue(waits: &Waiting, shard: &StoredShard, patience: &Patience<'_>) -> Option<String> {
    let complete = &shard.state.complete;
    let passed = match waits.waits_for {
        Some(source) => complete.get(&source).is_none_or(|until| *until >= waits.facts_at),
        None => complete.values().min().is_some_and(|until| *until >= waits.facts_at),
    };
    let whom = match waits.waits_for {
        Some(source) => source.to_string(),
        // The one that is furthest behind.
        None => complete
            .iter()
            .min_by_key(|(_, until)| **until)
            .map_or_else(|| "any completeness".to_owned(), |(source, _)| source.to_string()),
    };
    if passed {
        return Some(format!("waits for {whom}, which is complete past its facts"));
    }
    let latest = patience.newest.max(shard.state.business_date().start_in_shanghai());
    let aged = patience.aged(waits.facts_at, latest)?;
    Some(format!("{aged}, for {whom}"))
}

/// How many rows wait although every source concerned is complete past their facts: until the next vector, or wrongly.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn count_overdue(connection: &mut PgConnection, shards: &[StoredShard]) -> anyhow::Result<u64> {
    let (mut numbers, mut agencies, mut cities, mut untils) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for shard in shards {
        for (source, until) in &shard.state.complete {
            numbers.push(i16::from(shard.shard.number()));
            agencies.push(i16::from(source.agency.code()));
            cities.push(source.city.code() as i16);
            untils.push(until.0);
        }
    }
    let count: i64 = sqlx::query_scalar(
        "with vector as materialized (
             select * from unnest($1::smallint[], $2::smallint[], $3::smallint[], $4::bigint[]) as v(shard, agency, city, until)
         ), lowest as materialized (select shard, min(until) as until from vector group by shard)
         select (select count(*) from store.pending p join vector v on v.shard = p.shard and v.agency = p.agency and v.city = p.city
                 where v.until >= p.facts_at)
              + (select count(*) from store.pending p join lowest l on l.shard = p.shard where p.agency is null and l.until >= p.facts_at)
              + (select count(*) from store.carried c join lowest l on l.shard = c.shard where l.until >= c.arrived_at)",
    )
    .bind(numbers)
    .bind(agencies)
    .bind(cities)
    .bind(untils)
    .fetch_one(connection)
    .await
    .context("counting what waits for nothing")?;
    Ok(count as u64)
}
