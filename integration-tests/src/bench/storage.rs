//! What PostgreSQL wrote, and how large it is: rows, index entries, write-ahead log, bytes by table.

use anyhow::{Context, ensure};
use serde::Serialize;
use sqlx::{PgPool, Row};
use std::collections::BTreeMap;

/// Counters of one table since the server began to count.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Written {
    /// Rows inserted.
    pub inserted: i64,
    /// Rows updated.
    pub updated: i64,
    /// Of those, without touching an index (heap-only tuples).
    pub hot: i64,
    /// Rows deleted.
    pub deleted: i64,
    /// Index entries made: one per index for each insert and each update that was not heap-only.
    pub index_entries: i64,
}

/// Everything that rises with work.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// By table of schema `store`; partitions count for their parent.
    pub tables: BTreeMap<String, Written>,
    /// Position in the write-ahead log, bytes.
    pub wal: i64,
    /// Full page images in it.
    pub full_pages: i64,
}

/// Fails unless commits are durable.
///
/// # Errors
/// Names the setting.
pub async fn assert_durable(pool: &PgPool) -> anyhow::Result<()> {
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(pool)
            .await?;
        ensure!(value == "on", "{setting} is {value}: figures count only with durable commits");
    }
    Ok(())
}

/// Reads the counters. Tables' counters arrive a second after the work, or when the connection that did it ends.
///
/// # Errors
/// When the database does not answer.
pub async fn counters(pool: &PgPool) -> anyhow::Result<Counters> {
    let rows = sqlx::query(
        "select coalesce(p.relname, c.relname)::text as name, s.n_tup_ins, s.n_tup_upd, s.n_tup_hot_upd, s.n_tup_del,
                (select count(*) from pg_index x where x.indrelid = c.oid) as indexes
         from pg_stat_user_tables s join pg_class c on c.oid = s.relid
         left join pg_inherits i on i.inhrelid = c.oid left join pg_class p on p.oid = i.inhparent
         where s.schemaname = 'store'",
    )
    .fetch_all(pool)
    .await
    .context("reading the counters of tables")?;
    let mut counters = Counters::default();
    for row in &rows {
        let (inserted, updated, hot): (i64, i64, i64) = (
            row.try_get("n_tup_ins")?,
            row.try_get("n_tup_upd")?,
            row.try_get("n_tup_hot_upd")?,
        );
        let sum = counters.tables.entry(row.try_get("name")?).or_default();
        sum.inserted += inserted;
        sum.updated += updated;
        sum.hot += hot;
        sum.deleted += row.try_get::<i64, _>("n_tup_del")?;
        sum.index_entries += (inserted + updated - hot) * row.try_get::<i64, _>("indexes")?;
    }
    let wal = sqlx::query("select (pg_current_wal_insert_lsn() - '0/0')::bigint as wal, wal_fpi from pg_stat_wal")
        .fetch_one(pool)
        .await?;
    counters.wal = wal.try_get("wal")?;
    counters.full_pages = wal.try_get("wal_fpi")?;
    Ok(counters)
}

impl Counters {
    /// What was written since `before`; tables without any change are left out.
    pub fn since(&self, before: &Self) -> Self {
        let tables = self.tables.iter().filter_map(|(name, now)| {
            let then = before.tables.get(name).copied().unwrap_or_default();
            let change = Written {
                inserted: now.inserted - then.inserted,
                updated: now.updated - then.updated,
                hot: now.hot - then.hot,
                deleted: now.deleted - then.deleted,
                index_entries: now.index_entries - then.index_entries,
            };
            (change.inserted + change.updated + change.deleted > 0).then(|| (name.clone(), change))
        });
        Self {
            tables: tables.collect(),
            wal: self.wal - before.wal,
            full_pages: self.full_pages - before.full_pages,
        }
    }
}

/// How large the base is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Sizes {
    /// Bytes by table with its indexes and TOAST.
    pub tables: BTreeMap<String, i64>,
    /// Live source records.
    pub records: i64,
    /// Persons.
    pub persons: i64,
}

impl Sizes {
    /// Measures after the server has written and trimmed what it had to.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn measure(pool: &PgPool) -> anyhow::Result<Self> {
        let rows = sqlx::query(
            "select coalesce(p.relname, c.relname)::text as name, sum(pg_total_relation_size(c.oid))::bigint as bytes
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             left join pg_inherits i on i.inhrelid = c.oid left join pg_class p on p.oid = i.inhparent
             where n.nspname = 'store' and c.relkind = 'r' group by 1",
        )
        .fetch_all(pool)
        .await?;
        let mut tables = BTreeMap::new();
        for row in &rows {
            tables.insert(row.try_get("name")?, row.try_get("bytes")?);
        }
        let counts = sqlx::query(
            "select (select count(*) from store.directory where not deleted)
                  + (select count(*) from store.employer where not deleted) as records,
                    (select count(*) from store.person where standing > 0) as persons",
        )
        .fetch_one(pool)
        .await?;
        Ok(Self {
            tables,
            records: counts.try_get("records")?,
            persons: counts.try_get("persons")?,
        })
    }

    /// All tables and indexes, bytes.
    pub fn total(&self) -> i64 {
        self.tables.values().sum()
    }

    /// Bytes for each live source record, of tables chosen by name.
    pub fn per_record(&self, chosen: impl Fn(&str) -> bool) -> f64 {
        let bytes: i64 = self
            .tables
            .iter()
            .filter(|(name, _)| chosen(name))
            .map(|(_, bytes)| bytes)
            .sum();
        bytes as f64 / self.records.max(1) as f64
    }
}
