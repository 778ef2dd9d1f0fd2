//! What the clock, the operators and the normalisers have recorded, against the logs and the brokers.

use super::agreed::Agreed;
use super::compare::{Problems, TableReport};
use super::log::SourceLog;
use crate::topics::SourceTopic;
use anyhow::Context;
use domain::date::{Day, Timestamp};
use domain::decision::Decision;
use domain::division::City;
use domain::input::{Control, Input, SnapshotFloor};
use domain::source::{Agency, Source};
use runtime::statements::Statement;
use runtime::store::read::{self, StoredShard, day};
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};

/// Compares `store.agency`, `store.clock`, `store.completeness`, `store.statement`, `store.source_topic`, `store.truncation` and
/// `store.refused_entry`.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn compare(
    connection: &mut PgConnection,
    shards: &[StoredShard],
    log: &SourceLog,
    agreed: &Agreed,
    topics: &[SourceTopic],
    show: u32,
) -> anyhow::Result<Vec<TableReport>> {
    Ok(vec![
        agencies(connection, show).await?,
        clock(connection, agreed, show).await?,
        completeness(connection, shards, show).await?,
        statements(connection, log, agreed, show).await?,
        source_topics(connection, topics, show).await?,
        truncations(connection, agreed, show).await?,
        refused_entries(connection, shards, log, show).await?,
    ])
}

async fn agencies(connection: &mut PgConnection, show: u32) -> anyhow::Result<TableReport> {
    let mut problems = Problems::new("agency", show);
    problems.rows = Agency::all().count() as u64;
    for (agency, problem) in runtime::store::agencies::differences(connection).await? {
        problems.note(agency, problem);
    }
    Ok(problems.report())
}

async fn business_date(connection: &mut PgConnection) -> anyhow::Result<Option<Day>> {
    let date: Option<chrono::NaiveDate> = sqlx::query("select business_date from store.clock")
        .fetch_one(connection)
        .await
        .context("reading the clock's date")?
        .try_get("business_date")?;
    Ok(date.map(day))
}

/// Whether the clock has another date than the shards: for a moment it may.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn is_clock_apart(connection: &mut PgConnection, shards: &[StoredShard]) -> anyhow::Result<bool> {
    let date = business_date(connection).await?;
    Ok(date != shards.iter().filter_map(|shard| shard.state.today).max())
}

async fn clock(connection: &mut PgConnection, agreed: &Agreed, show: u32) -> anyhow::Result<TableReport> {
    let mut problems = Problems::new("clock", show);
    problems.rows = 1;
    let stated = business_date(connection).await?;
    if stated != agreed.today {
        let text = |day: Option<Day>| day.map_or_else(|| "none".to_owned(), |day| day.to_string());
        let problem = format!("is {}, the logs have {}", text(stated), text(agreed.today));
        problems.note("business date".to_owned(), problem);
    }
    Ok(problems.report())
}

/// The clock saves how far a source is complete before it tells the shards.
async fn completeness(connection: &mut PgConnection, shards: &[StoredShard], show: u32) -> anyhow::Result<TableReport> {
    let rows = sqlx::query("select agency, city, until from store.completeness")
        .fetch_all(connection)
        .await
        .context("reading completeness")?;
    let mut problems = Problems::new("completeness", show);
    problems.rows = rows.len() as u64;
    let mut stated: BTreeMap<Source, Timestamp> = BTreeMap::new();
    for row in &rows {
        let (agency, city): (i16, i16) = (row.try_get("agency")?, row.try_get("city")?);
        let source = u8::try_from(agency)
            .ok()
            .and_then(Agency::from_code)
            .zip(City::from_code(city as u16));
        match source {
            Some((agency, city)) => drop(stated.insert(Source { agency, city }, Timestamp(row.try_get("until")?))),
            None => problems.note(format!("{agency}/{city}"), "is no source"),
        }
    }
    for shard in shards {
        for (source, until) in &shard.state.complete {
            let known = stated.get(source).copied().unwrap_or(Timestamp(0));
            if *until > known {
                let problem = format!("shard {} knows more of it than the clock has stated", shard.shard);
                problems.note(source.to_string(), problem);
            }
        }
    }
    Ok(problems.report())
}

/// Statements that were sent stand in the logs, and decisions in the logs were stated.
async fn statements(connection: &mut PgConnection, log: &SourceLog, agreed: &Agreed, show: u32) -> anyhow::Result<TableReport> {
    let rows = sqlx::query(
        "select id, kind, body, sent_at is not null as sent, refused is not null as refused from store.statement order by id",
    )
    .fetch_all(connection)
    .await
    .context("reading the statements")?;
    let mut problems = Problems::new("statement", show);
    problems.rows = rows.len() as u64;
    let mut decided = BTreeSet::new();
    let live: BTreeSet<City> = log.shards.iter().flat_map(|shard| shard.live.iter().copied()).collect();
    for row in &rows {
        let id: i64 = row.try_get("id")?;
        let Json(body): Json<Value> = row.try_get("body")?;
        let statement = Statement::parse(row.try_get("kind")?, &body);
        let refused: bool = row.try_get("refused")?;
        if let Ok(Statement::Decide { .. }) = &statement
            && !refused
        {
            decided.insert(id as u64);
        }
        if refused || !row.try_get::<bool, _>("sent")? {
            continue;
        }
        match statement {
            Err(_) => problems.note(id.to_string(), "was sent, and states nothing"),
            Ok(statement) if !is_logged(id as u64, &statement, agreed, &live) => {
                problems.note(
                    id.to_string(),
                    format!("was sent ({}), and the logs lack it", statement.kind()),
                );
            }
            Ok(_) => (),
        }
    }
    for id in agreed.decisions.keys().filter(|id| !decided.contains(id)) {
        problems.note(id.to_string(), "stands in the logs as a decision, and was never stated");
    }
    Ok(problems.report())
}

fn is_logged(id: u64, statement: &Statement, agreed: &Agreed, live: &BTreeSet<City>) -> bool {
    match statement {
        Statement::BusinessDate { day, .. } => agreed.today >= Some(*day),
        Statement::GoLive(region) => region.cities().iter().all(|city| live.contains(city)),
        Statement::Snapshot(floor) => agreed.floors.contains(floor),
        Statement::Truncated(truncation) => agreed.truncations.contains(truncation),
        // The clock keeps these: it leaves a waived source out of what it sends, and sends a floor that was held or that follows.
        Statement::SnapshotPassed { .. } | Statement::Waive { .. } | Statement::ConfirmRemoval { .. } => true,
        Statement::Decide {
            verdict,
            record,
            other,
            number,
        } => match agreed.decisions.get(&id) {
            // Withdrawn since.
            Some(None) => true,
            Some(Some(logged)) => {
                *logged
                    == Decision {
                        id,
                        verdict: *verdict,
                        record: *record,
                        other: *other,
                        number: *number,
                    }
            }
            None => false,
        },
        Statement::Undecide(decision) => agreed.decisions.get(decision) == Some(&None),
        Statement::Policy(stated) => agreed.policy.as_ref().is_some_and(|policy| policy.id() >= stated.id()),
    }
}

/// Topics as recorded and as they are; a topic that grew, or appeared, is noticed by its normaliser.
async fn source_topics(connection: &mut PgConnection, topics: &[SourceTopic], show: u32) -> anyhow::Result<TableReport> {
    let rows = sqlx::query(
        "select topic, partitions, coalesce(held, waits, replaced_by) as held from store.source_topic order by topic",
    )
    .fetch_all(connection)
    .await
    .context("reading the recorded topics")?;
    let mut problems = Problems::new("source_topic", show);
    problems.rows = rows.len() as u64;
    for row in &rows {
        let name: &str = row.try_get("topic")?;
        // What is held is said where held topics are listed, with the command to run, and so is what waits; what was replaced may go.
        if row.try_get::<Option<&str>, _>("held")?.is_some() {
            continue;
        }
        let recorded: i32 = row.try_get("partitions")?;
        match topics.iter().find(|topic| topic.name == name) {
            None => problems.note(name.to_owned(), "is recorded, and the brokers have no such topic"),
            Some(topic) if (topic.partitions as i64) < i64::from(recorded) => {
                let problem = format!("has {} partitions, {recorded} are recorded", topic.partitions);
                problems.note(name.to_owned(), problem);
            }
            Some(_) => (),
        }
    }
    Ok(problems.report())
}

/// A truncation that was stated stands in the logs. One that is settled may have been left unstated: of a topic that is gone, or of a table
/// without rows of persons.
async fn truncations(connection: &mut PgConnection, agreed: &Agreed, show: u32) -> anyhow::Result<TableReport> {
    let rows = sqlx::query(
        "select n.topic, n.epoch, n.partition, n.\"offset\", n.stated and not n.settled as stands, t.agency, t.city, lower(t.\"table\") as name
         from store.truncation n join store.source_topic t on t.topic = n.topic order by 1, 2, 3, 4",
    )
    .fetch_all(connection)
    .await
    .context("reading truncations: was `canbao migrate` run?")?;
    let mut problems = Problems::new("truncation", show);
    problems.rows = rows.len() as u64;
    for row in &rows {
        let of = (
            row.try_get::<i16, _>("agency")?,
            row.try_get::<i16, _>("city")?,
            row.try_get::<String, _>("name")?,
        );
        let at = (row.try_get::<i32, _>("partition")?, row.try_get::<i64, _>("offset")?);
        let is_stated = agreed
            .truncations
            .iter()
            .any(|place| named(place) == of && offset(place, at.0) == Some(at.1));
        if row.try_get::<bool, _>("stands")? && !is_stated {
            let key = format!("{}/{}/{}", row.try_get::<&str, _>("topic")?, at.0, at.1);
            problems.note(key, "was stated, and the logs lack it");
        }
    }
    Ok(problems.report())
}

/// The table of some places, as it is stored.
fn named(places: &SnapshotFloor) -> (i16, i16, String) {
    let Source { agency, city } = places.source;
    (
        i16::from(agency.code()),
        city.code() as i16,
        places.table.as_str().to_ascii_lowercase(),
    )
}

fn offset(places: &SnapshotFloor, partition: i32) -> Option<i64> {
    let of = places.offsets.get(usize::try_from(partition).ok()?)?;
    Some(*of as i64)
}

/// What was stepped over was stated, and what was stated was stepped over once the shard was there.
async fn refused_entries(
    connection: &mut PgConnection,
    shards: &[StoredShard],
    log: &SourceLog,
    show: u32,
) -> anyhow::Result<TableReport> {
    let rows =
        sqlx::query("select shard, position, body, skipped_at is not null as stated from store.refused_entry order by 1, 2")
            .fetch_all(connection)
            .await
            .context("reading what could not be applied: was `canbao migrate` run?")?;
    let mut problems = Problems::new("refused_entry", show);
    problems.rows = rows.len() as u64;
    let mut unstated = log.skipped.clone();
    for row in &rows {
        let (shard, position): (_, i64) = (read::shard(row)?, row.try_get("position")?);
        if !row.try_get::<bool, _>("stated")? {
            continue;
        }
        let is_logged = unstated.remove(&(shard, position));
        let is_passed = shards
            .iter()
            .any(|stored| stored.shard == shard && stored.position > position);
        // Vectors of completeness are never logged.
        let is_vector = || {
            let said = row
                .try_get::<&[u8], _>("body")
                .ok()
                .map(|body| schemas::codec::decode_entry(shard, body));
            matches!(said, Some(Ok(Input::Control(Control::Completeness(_)))))
        };
        if is_passed && !is_logged && !is_vector() {
            problems.note(
                format!("{shard}/{position}"),
                "is stated to be stepped over, and the source log has it otherwise",
            );
        }
    }
    for (shard, position) in unstated {
        problems.note(format!("{shard}/{position}"), "was stepped over, and nobody stated it");
    }
    Ok(problems.report())
}
