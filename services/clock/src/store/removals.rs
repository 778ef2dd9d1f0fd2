//! Truncations, and floors that are weighed before they are sent.

use super::{Result, Store};
use domain::date::Timestamp;
use domain::input::SnapshotFloor;
use domain::source::{Source, TableName};
use runtime::dialect::Kind;
use runtime::normaliser::source_topic::{self, SourceTopic, TruncatedAt};
use runtime::statements::Statement;
use runtime::store::read::ReadError;
use runtime::store::session;
use runtime::store::weight::{self, Weight};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

/// A truncation that a normaliser noted and that is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Truncation {
    /// The topic of the table.
    pub(crate) topic: String,
    /// Where it stands.
    pub(crate) at: TruncatedAt,
    /// Whether the shards are told which rows are unsure.
    pub(crate) stated: bool,
}

impl Truncation {
    /// What statements that follow from it are known by.
    pub(crate) fn name(&self) -> String {
        let TruncatedAt {
            epoch,
            partition,
            offset,
            ..
        } = self.at;
        format!("truncation/{}/{epoch}/{partition}/{offset}", self.topic)
    }
}

/// A floor that is neither sent nor refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenFloor {
    /// Its statement.
    pub(crate) id: i64,
    /// What it says.
    pub(crate) floor: SnapshotFloor,
    /// Why it is held; `None` while it is not weighed.
    pub(crate) held: Option<String>,
}

fn truncation(row: &PgRow) -> Result<Truncation> {
    let rank = |column: &str| -> Result<u16> { Ok(u16::try_from(row.try_get::<i32, _>(column)?).unwrap_or(u16::MAX)) };
    Ok(Truncation {
        topic: row.try_get("topic")?,
        at: TruncatedAt {
            epoch: rank("epoch")?,
            partition: rank("partition")?,
            offset: row.try_get::<i64, _>("offset")?.unsigned_abs(),
            appended_at: Timestamp(row.try_get("appended_at")?),
        },
        stated: row.try_get("stated")?,
    })
}

impl Store {
    /// Truncations that are not settled, the oldest of a topic first.
    pub(crate) async fn truncations(&self) -> Result<Vec<Truncation>> {
        let rows = sqlx::query(
            "select topic, epoch, partition, \"offset\", appended_at, stated from store.truncation where not settled
             order by topic, appended_at, epoch, \"offset\", partition",
        )
        .fetch_all(&self.pool)
        .await;
        self.told(rows)?.iter().map(truncation).collect()
    }

    /// Whether a truncation was noted that some shard has not heard of.
    pub(crate) async fn is_truncation_untold(&self) -> Result<bool> {
        let row = sqlx::query_scalar(
            "select exists (select from store.truncation where not stated)
                 or exists (select from store.statement where kind = 'truncated' and sent_at is null and refused is null)",
        )
        .fetch_one(&self.pool)
        .await;
        self.told(row)
    }

    /// Notes how far a truncation has come, after what follows from it was stated.
    pub(crate) async fn note_truncation(&self, of: &Truncation, settled: bool) -> Result<()> {
        let done = sqlx::query(
            "update store.truncation set stated = true, settled = settled or $5
             where topic = $1 and epoch = $2 and partition = $3 and \"offset\" = $4",
        )
        .bind(&of.topic)
        .bind(i32::from(of.at.epoch))
        .bind(i32::from(of.at.partition))
        .bind(of.at.offset as i64)
        .bind(settled)
        .execute(&self.pool)
        .await;
        self.told(done.map(|_| ()))
    }

    /// What is recorded of a topic.
    pub(crate) async fn source_topic(&self, topic: &str) -> anyhow::Result<Option<SourceTopic>> {
        let found = source_topic::find(&self.pool, topic).await;
        match &found {
            Ok(_) => self.check.pass(),
            Err(error) => self.check.fail(format!("PostgreSQL: {error:#}")),
        }
        found
    }

    /// Floors that are not weighed yet, or held, in the order they were stated. One that cannot be read is refused when it is to be sent.
    pub(crate) async fn open_floors(&self) -> Result<Vec<OpenFloor>> {
        let rows = sqlx::query(
            "select id, kind, body, held from store.statement
             where kind = 'snapshot' and sent_at is null and refused is null and (not weighed or held is not null) order by id",
        )
        .fetch_all(&self.pool)
        .await;
        let mut floors = Vec::new();
        for row in self.told(rows)? {
            let Json(body): Json<Value> = row.try_get("body")?;
            let (id, held) = (row.try_get("id")?, row.try_get("held")?);
            match Statement::parse(row.try_get("kind")?, &body) {
                Ok(Statement::Snapshot(floor)) => floors.push(OpenFloor { id, floor, held }),
                _ => self.weighed(id, None).await?,
            }
        }
        Ok(floors)
    }

    /// Notes that a floor was weighed; with a reason it is held.
    pub(crate) async fn weighed(&self, id: i64, held: Option<&str>) -> Result<()> {
        let done = sqlx::query("update store.statement set weighed = true, held = $2 where id = $1 and sent_at is null")
            .bind(id)
            .bind(held)
            .execute(&self.pool)
            .await;
        self.told(done.map(|_| ()))
    }

    /// Lets the held floors of a table be sent.
    pub(crate) async fn confirm_removal(&self, source: Source, table: &TableName) -> Result<()> {
        for floor in self.open_floors().await? {
            if floor.held.is_some() && (floor.floor.source, &floor.floor.table) == (source, table) {
                self.weighed(floor.id, None).await?;
            }
        }
        self.keep_rows_of(source, table, None).await
    }

    /// Notes of the topic that holds a table why its rows stand; `None` when nothing keeps them.
    pub(crate) async fn keep_rows_of(&self, source: Source, table: &TableName, why: Option<&str>) -> Result<()> {
        let done = sqlx::query(
            "update store.source_topic set keeps_rows = $4
             where agency = $1 and city = $2 and lower(\"table\") = lower($3) and replaced_by is null and waits is null",
        )
        .bind(i16::from(source.agency.code()))
        .bind(source.city.code() as i16)
        .bind(table.as_str())
        .bind(why)
        .execute(&self.pool)
        .await;
        self.told(done.map(|_| ()))
    }

    /// Up to which time of messages of a source's completeness rows its loads are over.
    pub(crate) async fn load_at(&self, source: Source) -> Result<Timestamp> {
        let at = sqlx::query_scalar("select load_at from store.completeness where agency = $1 and city = $2")
            .bind(i16::from(source.agency.code()))
            .bind(source.city.code() as i16)
            .fetch_optional(&self.pool)
            .await;
        Ok(Timestamp(self.told(at)?.unwrap_or(0)))
    }
}

impl Store {
    /// What floors would remove, each with the kind of its table.
    pub(crate) async fn weigh(&self, floors: &[(&SnapshotFloor, Kind)]) -> std::result::Result<Vec<Weight>, ReadError> {
        let weighed = weight::weigh(&self.pool, floors).await;
        match &weighed {
            Ok(_) => self.check.pass(),
            Err(ReadError::Database(error)) => self.check.fail(session::explain(error)),
            Err(error) => self.check.fail(error.to_string()),
        }
        weighed
    }
}
