//! The source log: every input of every shard, appended; and the books that count what became of it.

use super::copy::CopyRows;
use super::read::ReadError;
use domain::engine::Outcome;
use domain::input::Input;
use domain::record::Change;
use domain::shard::Shard;
use domain::source::{Source, Version};
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeMap;

/// Columns of `store.source_log`.
pub const COLUMNS: [&str; 13] = [
    "shard",
    "position",
    "logged_at",
    "kind",
    "outcome",
    "record",
    "agency",
    "city",
    "\"table\"",
    "epoch",
    "partition",
    "\"offset\"",
    "body",
];

/// A row of the source log.
#[derive(Debug)]
pub struct LogRow<'a> {
    /// The shard.
    pub shard: Shard,
    /// Offset in `person.records`.
    pub position: i64,
    /// When the broker appended it, ms.
    pub logged_at: i64,
    /// What it says, also when it was stepped over; `None` when it cannot be decoded.
    pub input: Option<&'a Input>,
    /// What it came to; `None` when it was stepped over.
    pub outcome: Option<Outcome>,
    /// The message as framed.
    pub body: &'a [u8],
}

/// The stored code of what was stepped over by an operator's statement ([`super::refused`]).
pub const SKIPPED: i16 = 5;

/// What the books count by: shard, source, table, partition and outcome.
pub type BookKey = (Shard, Source, String, u16, i16);

/// The stored code of an outcome.
pub fn outcome_code(outcome: Option<Outcome>) -> i16 {
    match outcome {
        Some(Outcome::Applied) => 1,
        Some(Outcome::Superseded) => 2,
        Some(Outcome::Repeated) => 3,
        Some(Outcome::Control) => 4,
        None => SKIPPED,
    }
}

impl LogRow<'_> {
    /// Where it came from, when it is a version of a source record.
    pub fn origin(&self) -> Option<(Source, &str, Version)> {
        match self.input? {
            Input::Change(change) => {
                let (source, table) = change.origin();
                Some((source, table.as_str(), change.version()))
            }
            Input::Entity(entity) => Some((entity.source, entity.table.as_str(), entity.version)),
            Input::Message(_) | Input::Control(_) => None,
        }
    }

    /// The record, when it is a version of one.
    pub fn record(&self) -> Option<&[u8]> {
        match self.input? {
            Input::Change(Change::Upsert(record)) => Some(record.id.bytes()),
            Input::Change(Change::Delete(deletion)) => Some(deletion.id.bytes()),
            Input::Change(Change::Unread(unread)) => Some(unread.id.bytes()),
            Input::Entity(entity) => Some(entity.id.bytes()),
            Input::Message(_) | Input::Control(_) => None,
        }
    }

    /// The stored code of what it is; 0 for what cannot be decoded.
    pub fn kind(&self) -> i16 {
        match self.input {
            Some(Input::Change(_)) => 1,
            Some(Input::Entity(_)) => 2,
            Some(Input::Message(_)) => 3,
            Some(Input::Control(_)) => 4,
            None => 0,
        }
    }

    /// Where the books count it, when it is a version of a source record.
    pub fn book(&self) -> Option<BookKey> {
        let (source, table, version) = self.origin()?;
        Some((
            self.shard,
            source,
            table.to_owned(),
            version.partition,
            outcome_code(self.outcome),
        ))
    }
}

/// Adds a row.
pub fn put(rows: &mut CopyRows, log: &LogRow<'_>) {
    let origin = log.origin();
    let version = origin.map(|(_, _, version)| version);
    rows.row()
        .int2(i16::from(log.shard.number()))
        .int8(log.position)
        .timestamp(log.logged_at)
        .int2(log.kind())
        .int2(outcome_code(log.outcome))
        .bytes(log.record())
        .int2(origin.map(|(source, ..)| i16::from(source.agency.code())))
        .int2(origin.map(|(source, ..)| source.city.code() as i16))
        .text(origin.map(|(_, table, _)| table))
        .int2(version.map(|version| version.epoch as i16))
        .int2(version.map(|version| version.partition as i16))
        .int8(version.map(|version| version.offset as i64))
        .bytes(log.body);
}

/// Adds to the books.
pub async fn add_to_books(connection: &mut PgConnection, books: &BTreeMap<BookKey, i64>) -> sqlx::Result<()> {
    if books.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&BookKey) -> i16| books.keys().map(of).collect::<Vec<i16>>();
    sqlx::query(
        "insert into store.books as b (shard, agency, city, \"table\", partition, outcome, value)
         select shard, agency, city, \"table\", partition, outcome, value
         from unnest($1::smallint[], $2::smallint[], $3::smallint[], $4::text[], $5::smallint[], $6::smallint[], $7::bigint[])
              as k(shard, agency, city, \"table\", partition, outcome, value)
         on conflict (shard, agency, city, \"table\", partition, outcome) do update set value = b.value + excluded.value",
    )
    .bind(column(|(shard, ..)| i16::from(shard.number())))
    .bind(column(|(_, source, ..)| i16::from(source.agency.code())))
    .bind(column(|(_, source, ..)| source.city.code() as i16))
    .bind(books.keys().map(|(_, _, table, ..)| table.clone()).collect::<Vec<String>>())
    .bind(column(|(_, _, _, partition, _)| *partition as i16))
    .bind(column(|(.., outcome)| *outcome))
    .bind(books.values().copied().collect::<Vec<i64>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Creates the month's part of the log. Apart from the batches' transactions, because creating a table locks its parent.
pub async fn ensure_month(pool: &PgPool, logged_at: i64) -> Result<(), ReadError> {
    // The next month too: creating a part waits for whoever reads the log, and should not have to on the first of a month.
    for ahead in ["0 months", "1 month"] {
        sqlx::query("select store.ensure_source_log(((to_timestamp($1::double precision / 1000) at time zone 'UTC') + $2::interval)::date)")
            .bind(logged_at as f64)
            .bind(ahead)
            .execute(pool)
            .await?;
    }
    Ok(())
}
