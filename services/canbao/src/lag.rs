//! `lag`: how far each agency and region is behind, from the brokers' ends to the outbox, and what nobody reads.
//!
//! Answers while everything is at work: what the brokers know is asked of all partitions at once, of all groups at the same time.

mod brokers;
mod completeness;
mod holds;
mod text;

use crate::output::now;
use anyhow::Context;
use brokers::{Brokers, Position, unread};
use completeness::Completeness;
use domain::date::Timestamp;
use domain::source::Source;
use holds::Holds;
use runtime::config::Settings;
use runtime::store::policies;
use runtime::store::read::ReadError;
use runtime::store::refused::{self, Waiting};
use serde::Serialize;
use sqlx::{PgPool, Row};
use std::collections::{BTreeMap, BTreeSet};
pub use text::render;

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
    /// Offsets that its normaliser has yet to pass, in the partitions that it reads or has read; `None` when it reads none.
    pub behind: Option<i64>,
    /// Partitions that nobody reads: assigned to no normaliser, or of a topic that none subscribes to.
    pub unread: usize,
    /// Claims of absence wait for it (`clock.sources`, or `[scope]` of the policy): otherwise it is never complete.
    pub in_scope: bool,
    /// The first full snapshot has passed.
    pub snapshot_passed: bool,
    /// Complete up to this instant, ms; `None` before.
    pub complete_until: Option<i64>,
    /// Seconds since then.
    pub age_seconds: Option<i64>,
    /// What keeps it from being complete further on, with the command to run.
    pub waits: Option<String>,
    /// Until when claims of absence do not wait for it, who stated that and why.
    pub waived: Option<String>,
    /// Findings that may not be told before it is complete further on, by rule.
    pub holds_back: Holds,
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

/// A shard that waits at an entry which cannot be applied.
#[derive(Debug, Serialize)]
pub struct WaitingShard {
    /// The shard.
    pub shard: u8,
    /// The entry's offset in `person.records`.
    pub offset: i64,
    /// Since when, ms.
    pub since: i64,
    /// Why, with the command to run.
    pub why: String,
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
    /// Why the business date does not follow the wall clock, with the command to run.
    pub date_held: Option<String>,
    /// Rows of tables that a truncation or a full snapshot would remove, so many that it is held, with the command to run.
    pub removals_held: Vec<String>,
    /// Shards that wait at an entry which cannot be applied.
    pub waiting: Vec<WaitingShard>,
}

/// Measures.
///
/// # Errors
/// When the brokers or the store do not answer.
pub async fn measure(settings: &Settings, pool: &PgPool) -> anyhow::Result<Lag> {
    let asked = settings.clone();
    let replaced = sqlx::query_scalar("select topic from store.source_topic where replaced_by is not null");
    let replaced: Vec<String> = replaced
        .fetch_all(pool)
        .await
        .context("reading replaced topics: was `canbao migrate` run?")?;
    let replaced = replaced.into_iter().collect();
    // Positions first: an entry appended between the two questions then counts as behind, never as ahead.
    let shards = sqlx::query("select shard, position, owner from store.shard order by shard")
        .fetch_all(pool)
        .await
        .context("reading positions: was `canbao migrate` run?")?;
    let (brokers, stored) = tokio::join!(
        tokio::task::spawn_blocking(move || Brokers::ask(&asked, &replaced)),
        Stored::read(settings, pool)
    );
    let (brokers, stored) = (brokers.context("asking the brokers")??, stored?);
    let mut registry = RegistryLag {
        behind: 0,
        shards_behind: 0,
        shards_without_owner: 0,
    };
    for row in &shards {
        let shard: i16 = row.try_get("shard")?;
        let end = brokers.records.get(&i32::from(shard)).copied().unwrap_or(0);
        let behind = (end - row.try_get::<i64, _>("position")?).max(0);
        registry.behind += behind;
        registry.shards_behind += usize::from(behind > 0);
        registry.shards_without_owner += usize::from(row.try_get::<Option<i32>, _>("owner")?.is_none());
    }
    Ok(Lag {
        sources: sources(&brokers.sources, &stored, now()),
        registry,
        messages: stored.messages,
        outbox: stored.outbox,
        pending: stored.pending,
        date_held: stored.date_held,
        removals_held: stored.removals_held,
        waiting: stored.waiting.into_iter().map(WaitingShard::from).collect(),
    })
}

/// What the store says.
#[derive(Default)]
struct Stored {
    /// Sources in scope; `None` before the first policy.
    scope: Option<BTreeSet<Source>>,
    completeness: BTreeMap<Source, Completeness>,
    /// Topics that are not read, and why.
    held: BTreeMap<String, String>,
    messages: i64,
    outbox: i64,
    pending: i64,
    date_held: Option<String>,
    removals_held: Vec<String>,
    waiting: Vec<Waiting>,
}

impl Stored {
    async fn read(settings: &Settings, pool: &PgPool) -> anyhow::Result<Self> {
        let completeness = completeness::read(pool).await?;
        let held: Vec<(String, String)> = sqlx::query_as(
            "select topic, coalesce(held, waits) from store.source_topic where coalesce(held, waits) is not null and replaced_by is null",
        )
        .fetch_all(pool)
        .await
        .context("reading held topics")?;
        let counts = sqlx::query(
            "select (select count(*) from store.outbox) as outbox, (select count(*) from store.message) as messages,
                    (select count(*) from store.pending) as pending, (select date_held from store.clock) as date_held",
        )
        .fetch_one(pool)
        .await
        .context("counting what waits in the store")?;
        let removals_held = sqlx::query_scalar(
            "select held from store.statement where held is not null and sent_at is null and refused is null order by id",
        )
        .fetch_all(pool)
        .await
        .context("reading which removals are held: was `canbao migrate` run?")?;
        let mut connection = pool.acquire().await.context("taking a connection")?;
        let waiting = refused::waiting(&mut connection).await.context("reading which shards wait")?;
        // Whoever looks when something is wrong sees the rest.
        let policy = match policies::newest(&mut connection, None).await {
            Err(error @ ReadError::Database(_)) => return Err(error).context("reading the policy"),
            read => read.ok().flatten(),
        };
        Ok(Self {
            scope: policy.map(|policy| settings.clock.sources.under(policy.policy()).into_iter().collect()),
            waiting,
            completeness,
            held: held.into_iter().collect(),
            messages: counts.try_get("messages")?,
            outbox: counts.try_get("outbox")?,
            pending: counts.try_get("pending")?,
            date_held: counts.try_get("date_held")?,
            removals_held,
        })
    }
}

impl From<Waiting> for WaitingShard {
    fn from(waiting: Waiting) -> Self {
        let (shard, position) = (waiting.shard, waiting.position);
        Self {
            shard: shard.number(),
            offset: position,
            since: waiting.since,
            why: if waiting.is_stated {
                format!("shard {shard} is to step over offset {position} of person.records: is the registry running?")
            } else {
                refused::explain(shard, position, &waiting.cause)
            },
        }
    }
}

fn sources(
    positions: &BTreeMap<Source, Position>,
    Stored {
        scope,
        held,
        completeness,
        ..
    }: &Stored,
    now: Timestamp,
) -> Vec<SourceLag> {
    let known: BTreeSet<Source> = positions.keys().chain(completeness.keys()).copied().collect();
    known
        .into_iter()
        .map(|source| {
            let position = positions.get(&source).cloned().unwrap_or_default();
            let state = completeness.get(&source).cloned().unwrap_or_default();
            let until = Some(state.until).filter(|until| *until > 0);
            let mut reasons = position.topics.iter().filter_map(|topic| held.get(topic));
            let waits = reasons.next().cloned().or(state.waits).or_else(|| unread(source, &position));
            SourceLag {
                agency: source.agency.as_str(),
                city: source.city.code(),
                topics: position.topics.len(),
                held: position.topics.iter().filter(|topic| held.contains_key(*topic)).count(),
                behind: position.behind,
                unread: position.unread.len(),
                in_scope: scope.as_ref().is_none_or(|scope| scope.contains(&source)),
                snapshot_passed: state.passed,
                complete_until: until,
                age_seconds: until.map(|until| (now.0 - until).max(0) / 1000),
                waits,
                waived: state.waived,
                holds_back: state.holds_back,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        "human-resources.3201".parse().expect("a source")
    }

    fn partition(table: &str) -> (String, i32) {
        (format!("human-resources.3201.{table}"), 0)
    }

    #[test]
    fn a_source_shows_its_age() {
        let position = Position {
            topics: BTreeSet::from([partition("public.ac02").0]),
            behind: Some(7),
            ..Position::default()
        };
        let state = Completeness {
            passed: true,
            until: 5_000,
            waits: None,
            waived: Some("waived until then".to_owned()),
            ..Completeness::default()
        };
        let stored = Stored {
            held: BTreeMap::from([(partition("public.ac02").0, "why".to_owned())]),
            completeness: BTreeMap::from([(source(), state)]),
            ..Stored::default()
        };
        let lag = sources(&BTreeMap::from([(source(), position)]), &stored, Timestamp(65_000));
        assert_eq!((lag[0].behind, lag[0].held, lag[0].age_seconds), (Some(7), 1, Some(60)));
        assert_eq!(lag[0].waits.as_deref(), Some("why"));
        assert_eq!(lag[0].waived.as_deref(), Some("waived until then"));
    }

    #[test]
    fn what_nobody_reads_is_shown_as_unread() {
        let alone = Position {
            unread: BTreeSet::from([partition("public.ac02")]),
            ..Position::default()
        };
        let lag = sources(&BTreeMap::from([(source(), alone)]), &Stored::default(), Timestamp(0));
        let text = rendered(lag);
        assert!(text.contains("unread") && text.contains("2 of 3 rows"), "{text}");
        assert!(
            text.contains("human-resources.3201 is not complete further on: nobody reads"),
            "{text}"
        );
    }

    #[test]
    fn a_source_that_nothing_waits_for_is_shown_as_such() {
        let of = |scope: Option<&[Source]>| {
            let stored = Stored {
                scope: scope.map(|scope| scope.iter().copied().collect()),
                ..Stored::default()
            };
            rendered(sources(
                &BTreeMap::from([(source(), Position::default())]),
                &stored,
                Timestamp(0),
            ))
        };
        assert!(of(Some(&[])).contains("not in scope"), "{}", of(Some(&[])));
        for in_scope in [of(Some(&[source()])), of(None)] {
            assert!(in_scope.contains("no full snapshot yet"), "{in_scope}");
        }
    }

    fn rendered(sources: Vec<SourceLag>) -> String {
        render(&Lag {
            sources,
            registry: RegistryLag {
                behind: 0,
                shards_behind: 0,
                shards_without_owner: 0,
            },
            messages: 0,
            outbox: 0,
            pending: 0,
            date_held: None,
            removals_held: vec!["2 of 3 rows".to_owned()],
            waiting: Vec::new(),
        })
    }
}
