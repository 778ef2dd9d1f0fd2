//! The outbox in Postgres: reading rows in order, deleting what is published.

use anyhow::Context;
use domain::shard::Shard;
use runtime::config::Settings;
use runtime::health::Check;
use runtime::outbox::position::Book;
use runtime::shutdown::Shutdown;
use runtime::store::session;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use std::collections::BTreeMap;

/// A row of `store.outbox`.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The shard whose row it is.
    pub shard: Shard,
    /// Its sequence within the shard.
    pub sequence: u64,
    /// Topic to publish to.
    pub topic: String,
    /// Message key.
    pub key: Vec<u8>,
    /// CloudEvents attributes, by header name.
    pub headers: Vec<(String, String)>,
    /// Message value; none is a tombstone of a compacted topic.
    pub value: Option<Vec<u8>>,
}

/// What one look at the outbox finds.
pub struct Fetched {
    /// Rows; of each shard a gapless run in order of sequence.
    pub events: Vec<Event>,
    /// Epoch of the outbox.
    pub epoch: u32,
    /// Some shard's outbox ends before the sequence it was to be read from: the database went back.
    pub went_back: bool,
}

/// The outbox. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    pool: PgPool,
    /// Where subscribers ask for schemas.
    schemas: Option<String>,
}

impl Outbox {
    /// Connects, as soon as the database lets us in; `None` when asked to end before that.
    ///
    /// # Errors
    /// When no waiting helps; the address is not repeated, it holds a password.
    pub async fn connect(settings: &Settings, check: &Check, shutdown: &mut Shutdown) -> anyhow::Result<Option<Self>> {
        let options = session::options(settings, "canbao-publisher")?
            // We only delete what the positions say is published: a deletion lost in a crash is made again.
            .options([("synchronous_commit", "off")]);
        let pool = session::pool(&options, 2, check, shutdown).await;
        let schemas = settings.schemas_address();
        Ok(pool.context("connecting to PostgreSQL")?.map(|pool| Self { pool, schemas }))
    }

    /// What the database says of the outboxes of some shards.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn book(&self, shards: &[Shard]) -> Result<Book, sqlx::Error> {
        let row = sqlx::query("select outbox_epoch as epoch, remaking from store.publisher")
            .fetch_one(&self.pool)
            .await?;
        let epoch: i32 = row.try_get("epoch")?;
        let rows = sqlx::query(
            "select s.shard, s.outbox_next,
                    (select o.sequence from store.outbox o where o.shard = s.shard order by o.sequence limit 1) as first
             from store.shard s where s.shard = any($1)",
        )
        .bind(numbers(shards.iter()))
        .fetch_all(&self.pool)
        .await?;
        let mut book = Book {
            epoch: epoch.unsigned_abs(),
            remaking: row.try_get("remaking")?,
            ..Book::default()
        };
        for row in &rows {
            let shard = shard_of(row)?;
            book.ends.insert(shard, row.try_get::<i64, _>("outbox_next")?.unsigned_abs());
            if let Some(first) = row.try_get::<Option<i64>, _>("first")? {
                book.firsts.insert(shard, first.unsigned_abs());
            }
        }
        Ok(book)
    }

    /// Rows from the given sequences on, at most `limit`, and where the database stands at that moment.
    ///
    /// Shards come in the order given: one that the limit cuts off must come first the next time.
    ///
    /// # Errors
    /// When the database does not answer, or a row is not readable.
    pub async fn fetch(&self, from: &[(Shard, u64)], limit: u32) -> Result<Fetched, sqlx::Error> {
        let limit = i64::from(limit);
        // The inner limit keeps the planner on the primary key of each shard, whatever the statistics say.
        let rows = sqlx::query(
            "select b.epoch, b.went_back, o.* from (
                 select (select outbox_epoch from store.publisher) as epoch,
                        exists (select from unnest($1::smallint[], $2::bigint[]) as p(shard, next)
                                join store.shard s on s.shard = p.shard where s.outbox_next < p.next) as went_back
             ) as b
             left join (
                 select r.* from unnest($1::smallint[], $2::bigint[]) as p(shard, next)
                 cross join lateral (
                     select shard, sequence, topic, key, headers, value from store.outbox
                     where shard = p.shard and sequence >= p.next order by sequence limit $3
                 ) as r
                 limit $3
             ) as o on true",
        )
        .bind(numbers(from.iter().map(|(shard, _)| shard)))
        .bind(from.iter().map(|(_, next)| *next as i64).collect::<Vec<i64>>())
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let stands = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let is_event = |row: &&PgRow| row.try_get::<Option<i16>, _>("shard").is_ok_and(|shard| shard.is_some());
        Ok(Fetched {
            epoch: stands.try_get::<i32, _>("epoch")?.unsigned_abs(),
            went_back: stands.try_get("went_back")?,
            events: rows
                .iter()
                .filter(is_event)
                .map(|row| self.event(row))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Deletes what lies below the given sequences.
    ///
    /// # Errors
    /// When the database does not answer; nothing is lost then, the next call deletes it.
    pub async fn delete_below(&self, published: &BTreeMap<Shard, u64>) -> Result<u64, sqlx::Error> {
        let done = sqlx::query(
            "delete from store.outbox o using unnest($1::smallint[], $2::bigint[]) as p(shard, next)
             where o.shard = p.shard and o.sequence < p.next",
        )
        .bind(numbers(published.keys()))
        .bind(published.values().map(|next| *next as i64).collect::<Vec<i64>>())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    fn event(&self, row: &PgRow) -> Result<Event, sqlx::Error> {
        let stored: Option<&[u8]> = row.try_get("headers")?;
        let Ok(headers) = stored.map(runtime::outbox::decode).transpose() else {
            return Err(sqlx::Error::Decode(
                "the headers of an outbox row are no list of texts".into(),
            ));
        };
        let mut headers = headers.unwrap_or_default();
        let value: Option<Vec<u8>> = row.try_get("value")?;
        // Alerts are CloudEvents; what stands in compacted topics is state.
        if runtime::outbox::is_cloud_event(&headers) {
            let framed = self.schemas.as_deref().zip(value.as_deref());
            headers.extend(framed.and_then(|(registry, value)| runtime::outbox::data_schema(registry, value)));
        }
        Ok(Event {
            shard: shard_of(row)?,
            sequence: row.try_get::<i64, _>("sequence")?.unsigned_abs(),
            topic: row.try_get("topic")?,
            key: row.try_get("key")?,
            headers,
            value,
        })
    }
}

fn numbers<'a>(shards: impl Iterator<Item = &'a Shard>) -> Vec<i16> {
    shards.map(|shard| i16::from(shard.number())).collect()
}

fn shard_of(row: &PgRow) -> Result<Shard, sqlx::Error> {
    let number: i16 = row.try_get("shard")?;
    let shard = u8::try_from(number).ok().and_then(Shard::new);
    shard.ok_or_else(|| sqlx::Error::Decode(format!("shard {number} is not 0 to 63").into()))
}
