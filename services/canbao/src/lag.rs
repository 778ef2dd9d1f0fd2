//! `lag`: how far each agency and region is behind, from the brokers' ends to the outbox.

use crate::output::{Table, local_time, now, or_dash};
use crate::topics::{self, SourceTopic};
use anyhow::Context;
use domain::date::Timestamp;
use domain::division::City;
use domain::source::{Agency, Source};
use runtime::config::Settings;
use runtime::kafka::offsets;
use runtime::kafka::topics::PERSON_RECORDS;
use serde::Serialize;
use sqlx::{PgPool, Row};
use std::collections::{BTreeMap, BTreeSet};

/// One agency in one region.
#[derive(Debug, Serialize)]
pub struct SourceLag {
    /// The agency.
    pub agency: &'static str,
    /// The region: four digits.
    pub city: u16,
    /// Its topics.
    pub topics: usize,
    /// Topics that are held.
    pub held: usize,
    /// Rows that no normaliser has taken.
    pub behind: i64,
    /// The first full snapshot has passed.
    pub snapshot_passed: bool,
    /// Complete up to this instant, ms; `None` before.
    pub complete_until: Option<i64>,
    /// Seconds since then.
    pub age_seconds: Option<i64>,
}

/// The registry's side.
#[derive(Debug, Serialize)]
pub struct RegistryLag {
    /// Entries of `person.records` not yet applied.
    pub behind: i64,
    /// Shards that are behind.
    pub shards_behind: usize,
    /// Shards that no registry has taken.
    pub shards_without_owner: usize,
}

/// How far everything is behind.
#[derive(Debug, Serialize)]
pub struct Lag {
    /// By agency and region.
    pub sources: Vec<SourceLag>,
    /// The registry.
    pub registry: RegistryLag,
    /// Messages between shards that are not relayed.
    pub messages: i64,
    /// Events that are not published.
    pub outbox: i64,
    /// Persons whose findings wait for a source to be complete.
    pub pending: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Completeness {
    passed: bool,
    until: i64,
}

/// Measures.
///
/// # Errors
/// When the brokers or the store do not answer.
pub async fn measure(settings: &Settings, pool: &PgPool) -> anyhow::Result<Lag> {
    let completeness = completeness(pool)
        .await
        .context("reading completeness: was `canbao migrate` run?")?;
    let held: Vec<String> = sqlx::query_scalar("select topic from store.source_topic where held is not null")
        .fetch_all(pool)
        .await
        .context("reading held topics")?;
    // Positions first: an entry appended between the two questions then counts as behind, never as ahead.
    let shards = sqlx::query("select shard, position, owner from store.shard order by shard")
        .fetch_all(pool)
        .await
        .context("reading positions")?;
    let (topics, behind, ends) = tokio::task::block_in_place(|| -> anyhow::Result<_> {
        let topics = topics::source_topics(settings)?;
        let behind = behind_by_source(settings, &topics)?;
        let ends = offsets::end_offsets(&topics::reader(settings)?, &[PERSON_RECORDS.to_owned()])
            .context("reading the ends of person.records")?;
        Ok((topics, behind, ends))
    })?;
    let mut registry = RegistryLag {
        behind: 0,
        shards_behind: 0,
        shards_without_owner: 0,
    };
    for row in &shards {
        let shard: i16 = row.try_get("shard")?;
        let end = ends.get(&(PERSON_RECORDS.to_owned(), i32::from(shard))).copied().unwrap_or(0);
        let behind = (end - row.try_get::<i64, _>("position")?).max(0);
        registry.behind += behind;
        registry.shards_behind += usize::from(behind > 0);
        registry.shards_without_owner += usize::from(row.try_get::<Option<i32>, _>("owner")?.is_none());
    }
    let counts = sqlx::query(
        "select (select count(*) from store.outbox) as outbox, (select count(*) from store.message) as messages,
                (select count(*) from store.pending) as pending",
    )
    .fetch_one(pool)
    .await
    .context("counting what waits in the store")?;
    Ok(Lag {
        sources: sources(&topics, &held, &behind, &completeness, now()),
        registry,
        messages: counts.try_get("messages")?,
        outbox: counts.try_get("outbox")?,
        pending: counts.try_get("pending")?,
    })
}

async fn completeness(pool: &PgPool) -> sqlx::Result<BTreeMap<Source, Completeness>> {
    let rows = sqlx::query("select agency, city, snapshot_passed, until from store.completeness")
        .fetch_all(pool)
        .await?;
    let mut known = BTreeMap::new();
    for row in &rows {
        let agency = u8::try_from(row.try_get::<i16, _>("agency")?)
            .ok()
            .and_then(Agency::from_code);
        let city = City::from_code(row.try_get::<i16, _>("city")? as u16);
        if let Some((agency, city)) = agency.zip(city) {
            let passed = row.try_get("snapshot_passed")?;
            known.insert(
                Source { agency, city },
                Completeness {
                    passed,
                    until: row.try_get("until")?,
                },
            );
        }
    }
    Ok(known)
}

/// Rows between what each source's group has committed and the ends of its topics.
fn behind_by_source(settings: &Settings, found: &[SourceTopic]) -> anyhow::Result<BTreeMap<Source, i64>> {
    let mut behind = BTreeMap::new();
    for group in found.chunk_by(|one, two| one.source == two.source) {
        let source = group[0].source;
        let consumer = topics::group_reader(settings, source)?;
        let mut ends = Vec::new();
        for topic in group {
            for partition in 0..topic.partitions as i32 {
                let held = offsets::watermarks(&consumer, &topic.name, partition)
                    .with_context(|| format!("reading the end of {}/{partition}", topic.name))?;
                ends.push(((topic.name.clone(), partition), held));
            }
        }
        let committed = offsets::committed(&consumer, ends.iter().map(|(partition, _)| partition.clone()))
            .with_context(|| format!("reading what the normaliser of {source} has committed"))?;
        let rows = ends
            .iter()
            .map(|(partition, held)| (held.high - committed.get(partition).copied().unwrap_or(held.low)).max(0))
            .sum();
        behind.insert(source, rows);
    }
    Ok(behind)
}

fn sources(
    topics: &[SourceTopic],
    held: &[String],
    behind: &BTreeMap<Source, i64>,
    completeness: &BTreeMap<Source, Completeness>,
    now: Timestamp,
) -> Vec<SourceLag> {
    let known: BTreeSet<Source> = topics
        .iter()
        .map(|topic| topic.source)
        .chain(completeness.keys().copied())
        .collect();
    known
        .into_iter()
        .map(|source| {
            let of_source: Vec<&SourceTopic> = topics.iter().filter(|topic| topic.source == source).collect();
            let state = completeness.get(&source).copied().unwrap_or_default();
            let until = Some(state.until).filter(|until| *until > 0);
            SourceLag {
                agency: source.agency.as_str(),
                city: source.city.code(),
                topics: of_source.len(),
                held: of_source.iter().filter(|topic| held.contains(&topic.name)).count(),
                behind: behind.get(&source).copied().unwrap_or(0),
                snapshot_passed: state.passed,
                complete_until: until,
                age_seconds: until.map(|until| (now.0 - until).max(0) / 1000),
            }
        })
        .collect()
}

/// The report as text.
pub fn render(lag: &Lag) -> String {
    let mut table = Table::new(["agency", "city", "topics", "held", "behind", "complete until", "age s"]);
    for source in &lag.sources {
        let until = match source.complete_until {
            Some(until) => local_time(Timestamp(until)),
            None if source.snapshot_passed => "snapshot passed".to_owned(),
            None => "no full snapshot yet".to_owned(),
        };
        table.row([
            source.agency.to_owned(),
            source.city.to_string(),
            source.topics.to_string(),
            source.held.to_string(),
            source.behind.to_string(),
            until,
            or_dash(source.age_seconds),
        ]);
    }
    let mut text = table.render();
    let registry = &lag.registry;
    let mut totals = Table::new(["", "rows"]);
    totals.row(["person.records behind".into(), registry.behind.to_string()]);
    totals.row(["shards behind".into(), registry.shards_behind.to_string()]);
    totals.row(["shards without an owner".into(), registry.shards_without_owner.to_string()]);
    totals.row(["messages between shards".into(), lag.messages.to_string()]);
    totals.row(["events not published".into(), lag.outbox.to_string()]);
    totals.row(["persons waiting for completeness".into(), lag.pending.to_string()]);
    text.push('\n');
    text.push_str(&totals.render());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_shows_its_age() {
        let source = runtime::kafka::topics::parse_source("human-resources.3201").expect("a source");
        let topic = SourceTopic {
            source,
            table: "ac02".into(),
            name: "human-resources.3201.public.ac02".into(),
            partitions: 1,
        };
        let held = vec![topic.name.clone()];
        let completeness = BTreeMap::from([(
            source,
            Completeness {
                passed: true,
                until: 5_000,
            },
        )]);
        let lag = sources(
            &[topic],
            &held,
            &BTreeMap::from([(source, 7)]),
            &completeness,
            Timestamp(65_000),
        );
        assert_eq!((lag[0].behind, lag[0].held, lag[0].age_seconds), (7, 1, Some(60)));
    }
}
