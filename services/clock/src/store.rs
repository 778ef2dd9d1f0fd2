//! The clock's tables in Postgres, and the registry's positions.

mod removals;

pub(crate) use removals::{OpenFloor, Truncation};

use crate::decide::Waiver;
use crate::pass::ShardView;
use anyhow::Context;
use domain::date::{Day, Timestamp};
use domain::policy::Edition;
use domain::source::Source;
use runtime::config::Settings;
use runtime::health::Check;
use runtime::normaliser::source_topic::{self, SourceTopic};
use runtime::shutdown::Shutdown;
use runtime::statements::{Statement, UnknownStatement};
use runtime::store::read::ReadError;
use runtime::store::{agencies, policies, session, waivers};
use serde_json::Value;
use sqlx::types::Json;
use sqlx::types::chrono::NaiveDate;
use sqlx::{PgPool, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Result<T> = std::result::Result<T, sqlx::Error>;

/// How far a source has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The operator stated that the first full snapshot has passed.
    pub(crate) snapshot_passed: bool,
    /// Newest time counted; 0 before the first.
    pub(crate) seen: Timestamp,
    /// Newest time claimed: beyond `until` it is still to be worked off.
    pub(crate) claim: Timestamp,
    /// Newest time of a row that a snapshot read, to be claimed when that is stated to have ended; 0 for none.
    pub(crate) read: Timestamp,
    /// Complete until; 0 for not at all.
    pub(crate) until: Timestamp,
    /// Time of the message of the newest row that counted and may end a load.
    pub(crate) row_at: Timestamp,
    /// Everything that the source sent before a message of this time has arrived: a load that followed a truncation before it is over.
    pub(crate) load_at: Timestamp,
}

impl Progress {
    /// Of a source that has shown nothing yet.
    pub(crate) const NONE: Self = Self {
        snapshot_passed: false,
        seen: Timestamp(0),
        claim: Timestamp(0),
        read: Timestamp(0),
        until: Timestamp(0),
        row_at: Timestamp(0),
        load_at: Timestamp(0),
    };
}

/// A statement that is neither sent nor refused.
#[derive(Debug)]
pub(crate) struct OpenStatement {
    pub(crate) id: i64,
    pub(crate) statement: std::result::Result<Statement, UnknownStatement>,
}

/// The database. Cheap to clone; every call tells the health check how it went.
#[derive(Clone)]
pub(crate) struct Store {
    pool: PgPool,
    check: Check,
}

impl Store {
    /// Connects, as soon as the database lets us in; `None` when asked to end before that.
    pub(crate) async fn connect(settings: &Settings, check: Check, shutdown: &mut Shutdown) -> anyhow::Result<Option<Self>> {
        let options = session::options(settings, "canbao-clock")?;
        let pool = session::pool(&options, 4, &check, shutdown).await;
        let Some(pool) = pool.context("connecting to PostgreSQL")? else {
            return Ok(None);
        };
        let agreed = agencies::agree(&pool, shutdown).await?;
        Ok(agreed.then_some(Self { pool, check }))
    }

    fn told<T>(&self, result: Result<T>) -> Result<T> {
        match &result {
            Ok(_) => self.check.pass(),
            // A row that says something unknown is no sign of an unreachable database; the message holds no values.
            Err(error) => self.check.fail(session::explain(error)),
        }
        result
    }

    /// Progress of every source known.
    pub(crate) async fn progress(&self) -> Result<BTreeMap<Source, Progress>> {
        let rows = sqlx::query(
            "select agency, city, snapshot_passed, seen, claim, read, until, row_at, load_at from store.completeness",
        )
        .fetch_all(&self.pool)
        .await;
        let mut all = BTreeMap::new();
        for row in self.told(rows)? {
            let source = waivers::source(row.try_get("agency")?, row.try_get("city")?)?;
            let progress = Progress {
                snapshot_passed: row.try_get("snapshot_passed")?,
                seen: Timestamp(row.try_get("seen")?),
                claim: Timestamp(row.try_get("claim")?),
                read: Timestamp(row.try_get("read")?),
                until: Timestamp(row.try_get("until")?),
                row_at: Timestamp(row.try_get("row_at")?),
                load_at: Timestamp(row.try_get("load_at")?),
            };
            all.insert(source, progress);
        }
        Ok(all)
    }

    /// Saves how far sources have come; nothing but `read` ever falls.
    pub(crate) async fn save_progress(&self, progress: &BTreeMap<Source, Progress>) -> Result<()> {
        let column = |value: fn(&Source, &Progress) -> i64| -> Vec<i64> {
            progress.iter().map(|(source, of)| value(source, of)).collect()
        };
        let done = sqlx::query(
            "insert into store.completeness as c (agency, city, seen, claim, read, until, row_at, load_at)
             select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
             on conflict (agency, city) do update set seen = greatest(c.seen, excluded.seen), claim = greatest(c.claim, excluded.claim),
                                                      read = case when excluded.read > c.claim then excluded.read else 0 end,
                                                      until = greatest(c.until, excluded.until),
                                                      row_at = greatest(c.row_at, excluded.row_at),
                                                      load_at = greatest(c.load_at, excluded.load_at)",
        )
        .bind(column(|source, _| i64::from(source.agency.code())))
        .bind(column(|source, _| i64::from(source.city.code())))
        .bind(column(|_, progress| progress.seen.0))
        .bind(column(|_, progress| progress.claim.0))
        .bind(column(|_, progress| progress.read.0))
        .bind(column(|_, progress| progress.until.0))
        .bind(column(|_, progress| progress.row_at.0))
        .bind(column(|_, progress| progress.load_at.0))
        .execute(&self.pool)
        .await;
        self.told(done.map(|_| ()))
    }

    /// Writes what keeps sources from being complete further on, for `canbao lag`.
    pub(crate) async fn save_waits(&self, waits: &BTreeMap<Source, Option<String>>) -> Result<()> {
        let column = |value: fn(&Source) -> i16| -> Vec<i16> { waits.keys().map(value).collect() };
        let done = sqlx::query(
            "insert into store.completeness as c (agency, city, waits) select * from unnest($1::smallint[], $2::smallint[], $3::text[])
             on conflict (agency, city) do update set waits = excluded.waits where c.waits is distinct from excluded.waits",
        )
        .bind(column(|source| i16::from(source.agency.code())))
        .bind(column(|source| source.city.code() as i16))
        .bind(waits.values().cloned().collect::<Vec<_>>())
        .execute(&self.pool)
        .await;
        self.told(done.map(|_| ()))
    }

    /// Writes why the business date does not follow the wall clock, for `canbao lag`; `None` when it does. Whether that is new.
    pub(crate) async fn save_date_held(&self, why: Option<&str>) -> Result<bool> {
        let done = sqlx::query("update store.clock set date_held = $1 where date_held is distinct from $1")
            .bind(why)
            .execute(&self.pool)
            .await;
        self.told(done.map(|done| done.rows_affected() > 0))
    }

    /// Notes that a source's first full snapshot has passed, by the operator's statement or the connector's notification.
    pub(crate) async fn note_snapshot_passed(&self, source: Source) -> Result<()> {
        let done = sqlx::query(
            "insert into store.completeness as c (agency, city, snapshot_passed) values ($1, $2, true)
             on conflict (agency, city) do update set snapshot_passed = true, seen = greatest(c.seen, c.read),
                                                      claim = greatest(c.claim, c.read), read = 0",
        )
        .bind(i16::from(source.agency.code()))
        .bind(source.city.code() as i16)
        .execute(&self.pool)
        .await;
        self.told(done.map(|_| ()))
    }

    /// Notes until when a source is waived; without a day that it is not any more.
    pub(crate) async fn note_waiver(&self, waiver: &Waiver) -> Result<()> {
        let done = sqlx::query(
            "insert into store.completeness as c (agency, city, waived_until, waived_by, waived_why)
             values ($1, $2, date '1970-01-01' + $3::integer, $4, $5) on conflict (agency, city) do update
             set waived_until = excluded.waived_until, waived_by = excluded.waived_by, waived_why = excluded.waived_why",
        )
        .bind(i16::from(waiver.source.agency.code()))
        .bind(waiver.source.city.code() as i16)
        .bind(waiver.until.map(|until| until.0))
        .bind(&waiver.who)
        .bind(&waiver.why)
        .execute(&self.pool)
        .await;
        self.told(done.map(|_| ()))
    }

    /// The sources that are waived on a day.
    pub(crate) async fn waived(&self, today: Day) -> Result<BTreeSet<Source>> {
        let waivers = waivers::standing(&self.pool, today).await;
        Ok(self.told(waivers)?.into_keys().collect())
    }

    /// Position and message outbox of every shard, in order of the shards.
    pub(crate) async fn shards(&self) -> Result<Vec<ShardView>> {
        let rows = sqlx::query(
            "select s.position, s.messages, m.lowest, m.highest from store.shard s
             cross join lateral (select min(sequence) as lowest, max(sequence) as highest from store.message where shard = s.shard) as m
             order by s.shard",
        )
        .fetch_all(&self.pool)
        .await;
        self.told(rows)?
            .iter()
            .map(|row| {
                let (lowest, highest): (Option<i64>, Option<i64>) = (row.try_get("lowest")?, row.try_get("highest")?);
                Ok(ShardView {
                    position: row.try_get("position")?,
                    sent: row.try_get("messages")?,
                    messages: lowest.zip(highest),
                })
            })
            .collect()
    }

    /// The last business date that every shard's log holds.
    pub(crate) async fn business_date(&self) -> Result<Option<Day>> {
        let row = sqlx::query("select business_date from store.clock")
            .fetch_one(&self.pool)
            .await;
        let date: Option<NaiveDate> = self.told(row)?.try_get("business_date")?;
        Ok(date.map(runtime::store::read::day))
    }

    /// Saves a business date; it never falls.
    pub(crate) async fn save_business_date(&self, day: Day) -> Result<()> {
        let done = sqlx::query("update store.clock set business_date = greatest(business_date, date '1970-01-01' + $1::integer)")
            .bind(day.0)
            .execute(&self.pool)
            .await;
        self.told(done.map(|_| ()))
    }

    /// Statements that are to be sent or refused, in the order they were made.
    pub(crate) async fn open_statements(&self) -> Result<Vec<OpenStatement>> {
        let rows =
            sqlx::query("select id, kind, body from store.statement where sent_at is null and refused is null and weighed and held is null order by id")
                .fetch_all(&self.pool)
                .await;
        self.told(rows)?
            .iter()
            .map(|row| {
                let Json(body): Json<Value> = row.try_get("body")?;
                Ok(OpenStatement {
                    id: row.try_get("id")?,
                    statement: Statement::parse(row.try_get("kind")?, &body),
                })
            })
            .collect()
    }

    /// The newest policy that is in force or was stated, before a statement if one is given.
    pub(crate) async fn policy(&self, before: Option<i64>) -> std::result::Result<Option<Arc<Edition>>, ReadError> {
        let mut connection = self.told(self.pool.acquire().await)?;
        policies::newest(&mut connection, before).await
    }

    /// Notes that every shard has applied some statements.
    pub(crate) async fn mark_sent(&self, ids: &[i64]) -> Result<()> {
        let done = sqlx::query("update store.statement set sent_at = now() where id = any($1) and sent_at is null")
            .bind(ids)
            .execute(&self.pool)
            .await;
        self.told(done.map(|_| ()))
    }

    /// Notes why a statement is not sent.
    pub(crate) async fn refuse(&self, id: i64, reason: &str) -> Result<()> {
        let done = sqlx::query("update store.statement set refused = $2 where id = $1 and sent_at is null")
            .bind(id)
            .bind(reason)
            .execute(&self.pool)
            .await;
        self.told(done.map(|_| ()))
    }

    /// Whether statements were made of a connector's notification before.
    pub(crate) async fn is_noticed(&self, notification: &str) -> Result<bool> {
        let row = sqlx::query("select exists (select from store.statement where starts_with(noticed, $1)) as known")
            .bind(format!("{notification}/"))
            .fetch_one(&self.pool)
            .await;
        self.told(row)?.try_get("known")
    }

    /// Records statements made of a connector's notification or of a truncation, all or none; those known already are left as they are. Floors
    /// are weighed before they are sent.
    pub(crate) async fn notice(&self, notification: &str, statements: &[(String, Statement)]) -> Result<()> {
        let keys: Vec<String> = statements.iter().map(|(part, _)| format!("{notification}/{part}")).collect();
        let done = sqlx::query(
            "insert into store.statement (kind, body, noticed, weighed)
             select kind, body, noticed, kind <> 'snapshot' from unnest($1::text[], $2::jsonb[], $3::text[]) as s(kind, body, noticed)
             on conflict do nothing",
        )
        .bind(statements.iter().map(|(_, statement)| statement.kind()).collect::<Vec<_>>())
        .bind(
            statements
                .iter()
                .map(|(_, statement)| Json(statement.body()))
                .collect::<Vec<_>>(),
        )
        .bind(keys)
        .execute(&self.pool)
        .await;
        self.told(done.map(|_| ()))
    }

    /// What is recorded of a source's topics.
    pub(crate) async fn source_topics(&self, source: Source) -> anyhow::Result<Vec<SourceTopic>> {
        let found = source_topic::of_source(&self.pool, source).await;
        match &found {
            Ok(_) => self.check.pass(),
            Err(error) => self.check.fail(format!("PostgreSQL: {error:#}")),
        }
        found
    }

    /// Topics whose tables others hold since: nobody reads them, and nobody has to.
    pub(crate) async fn replaced_topics(&self) -> Result<BTreeSet<String>> {
        let found = sqlx::query_scalar("select topic from store.source_topic where replaced_by is not null")
            .fetch_all(&self.pool)
            .await;
        self.told(found.map(|topics: Vec<String>| topics.into_iter().collect()))
    }

    /// Notes why the last full snapshot removed none of a topic's rows; `None` when it did what it is for.
    pub(crate) async fn keep_rows(&self, topic: &str, why: Option<&str>) -> Result<()> {
        let done = sqlx::query("update store.source_topic set keeps_rows = $2 where topic = $1")
            .bind(topic)
            .bind(why)
            .execute(&self.pool)
            .await;
        self.told(done.map(|_| ()))
    }

    /// Whether an operator stated since a time that a topic was created anew.
    pub(crate) async fn is_restarted_since(&self, topic: &str, time: Timestamp) -> Result<bool> {
        self.told(source_topic::is_restarted_since(&self.pool, topic, time).await)
    }
}
