//! Compares the store with the temporary tables, row by row and column by column, inside the database.
//!
//! Keys and names of columns are reported, never what stands in them: a report may be shown to people who must not see persons.

use anyhow::Context;
use indicatif::ProgressBar;
use serde::Serialize;
use sqlx::{PgConnection, Row};

/// A row that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Its key, parts separated by `/`.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What the comparison of a table came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// The table or view of the store.
    pub table: &'static str,
    /// Rows it has.
    pub rows: u64,
    /// Rows that differ, are missing or should not be there.
    pub differences: u64,
    /// Some of them.
    pub samples: Vec<Sample>,
}

/// Problems of a table or topic as they are found: all are counted, some are kept.
#[derive(Debug)]
pub(crate) struct Problems {
    table: &'static str,
    /// Rows or messages looked at.
    pub(crate) rows: u64,
    /// Problems so far.
    pub(crate) count: u64,
    show: usize,
    samples: Vec<Sample>,
}

impl Problems {
    /// None yet; `show` of them are kept.
    pub(crate) fn new(table: &'static str, show: u32) -> Self {
        Self {
            table,
            rows: 0,
            count: 0,
            show: show as usize,
            samples: Vec::new(),
        }
    }

    /// Notes one.
    pub(crate) fn note(&mut self, key: String, problem: impl Into<String>) {
        self.count += 1;
        let problem = problem.into();
        self.keep(Sample { key, problem });
    }

    /// Keeps a sample of what is counted already.
    pub(crate) fn keep(&mut self, sample: Sample) {
        if self.samples.len() < self.show {
            self.samples.push(sample);
        }
    }

    pub(crate) fn report(self) -> TableReport {
        TableReport {
            table: self.table,
            rows: self.rows,
            differences: self.count,
            samples: self.samples,
        }
    }
}

/// How a table is compared.
struct Plan {
    table: &'static str,
    keys: &'static [&'static str],
    /// Which rows of the store count.
    counted: &'static str,
}

const PLANS: [Plan; 7] = [
    Plan {
        table: "person",
        keys: &["shard", "anchor", "person"],
        counted: "true",
    },
    Plan {
        table: "member",
        keys: &["shard", "anchor", "person", "record", "sender"],
        counted: "true",
    },
    Plan {
        table: "enrolment",
        keys: &["shard", "anchor", "record"],
        counted: "true",
    },
    Plan {
        table: "due",
        keys: &["shard", "day", "anchor", "person"],
        counted: "true",
    },
    // A count that fell to nothing keeps its row.
    Plan {
        table: "counter",
        keys: &["shard", "county", "measure"],
        counted: "value <> 0",
    },
    Plan {
        table: "guest",
        keys: &["shard", "record", "anchor"],
        counted: "true",
    },
    Plan {
        table: "employer",
        keys: &["shard", "record"],
        counted: "true",
    },
];

/// The directory holds where a record was last claimed: its version may lag behind updates in place, a delete's may not, and neither may the
/// newest unread version. Of what a complete snapshot retired it has nothing, or a delete of any version.
const DIRECTORY: &str = "
    select encode(coalesce(s.record, e.record), 'hex') as key,
           case when s.record is null then 'missing'
                when e.record is null or (e.retired and not s.deleted) then 'unexpected'
                when not e.retired and s.deleted <> e.deleted then 'differs in deleted'
                when not e.retired and not e.deleted and (s.shard, s.anchor) is distinct from (e.shard, e.anchor) then 'seated elsewhere'
                when (s.unread_epoch, s.unread_partition, s.unread_offset, s.unread_mapping)
                     is distinct from (e.unread_epoch, e.unread_partition, e.unread_offset, e.unread_mapping)
                then 'differs in its unread version'
                else 'differs in version' end as problem,
           count(*) over () as total
    from store.directory s
    full join (select d.*, false as retired from pg_temp.verify_directory d
               union all select r.*, true from pg_temp.verify_retired r) e on s.record = e.record
    where (s.record is null and not (e.retired and e.unread_offset is null))
       or e.record is null
       or (e.retired and not s.deleted)
       or (s.unread_epoch, s.unread_partition, s.unread_offset, s.unread_mapping)
          is distinct from (e.unread_epoch, e.unread_partition, e.unread_offset, e.unread_mapping)
       or (not e.retired
           and (s.deleted <> e.deleted
                or (not e.deleted and ((s.shard, s.anchor) is distinct from (e.shard, e.anchor)
                                       or (s.epoch, s.\"offset\", s.mapping) > (e.epoch, e.\"offset\", e.mapping)))
                or (e.deleted and (s.epoch, s.\"offset\", s.mapping) <> (e.epoch, e.\"offset\", e.mapping))))
    limit $1";

/// Compares every table; shows at most `show` differences of each.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn tables(connection: &mut PgConnection, show: u32, progress: &ProgressBar) -> anyhow::Result<Vec<TableReport>> {
    progress.set_length(PLANS.len() as u64 + 1);
    let mut reports = Vec::new();
    for plan in &PLANS {
        let columns: Vec<String> = sqlx::query_scalar(
            "select attname::text from pg_attribute where attrelid = to_regclass($1) and attnum > 0 and not attisdropped order by attnum",
        )
        .bind(format!("store.{}", plan.table))
        .fetch_all(&mut *connection)
        .await
        .with_context(|| format!("reading the columns of store.{}", plan.table))?;
        let statement = statement(plan, &columns);
        let counted = format!("select count(*) from store.{} where {}", plan.table, plan.counted);
        reports.push(run(connection, plan.table, statement, counted, show).await?);
        progress.inc(1);
    }
    let counted = "select count(*) from store.directory".to_owned();
    reports.push(run(connection, "directory", DIRECTORY.to_owned(), counted, show).await?);
    Ok(reports)
}

async fn run(
    connection: &mut PgConnection,
    table: &'static str,
    statement: String,
    counted: String,
    show: u32,
) -> anyhow::Result<TableReport> {
    let failed = || format!("comparing store.{table}");
    let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(counted))
        .fetch_one(&mut *connection)
        .await
        .with_context(failed)?;
    // At least one, since the total stands in the rows.
    let found = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(i64::from(show.max(1)))
        .fetch_all(connection)
        .await
        .with_context(failed)?;
    let differences = found.first().map_or(Ok(0), |row| row.try_get::<i64, _>("total"))?;
    let sample = |row: &sqlx::postgres::PgRow| {
        Ok(Sample {
            key: row.try_get("key")?,
            problem: row.try_get("problem")?,
        })
    };
    let samples = found.iter().take(show as usize).map(sample).collect::<sqlx::Result<_>>()?;
    Ok(TableReport {
        table,
        rows: rows as u64,
        differences: differences as u64,
        samples,
    })
}

fn quoted(column: &str) -> String {
    format!("\"{}\"", column.replace('"', "\"\""))
}

/// A full join of the store and what is expected, by key, of the rows that differ.
fn statement(plan: &Plan, columns: &[String]) -> String {
    let values: Vec<String> = columns
        .iter()
        .filter(|column| !plan.keys.contains(&column.as_str()))
        .map(|column| quoted(column))
        .collect();
    let side = |side: &str| {
        values
            .iter()
            .map(|column| format!("{side}.{column}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let key = |key: &&str| match *key {
        "anchor" | "person" | "record" | "sender" => format!("encode(coalesce(s.{key}, e.{key}), 'hex')"),
        key => format!("coalesce(s.{key}, e.{key})::text"),
    };
    let keys = plan.keys.iter().map(key).collect::<Vec<_>>().join(", ");
    let joined = plan
        .keys
        .iter()
        .map(|key| format!("s.{key} = e.{key}"))
        .collect::<Vec<_>>()
        .join(" and ");
    let which = |column: &String| {
        let name = column.trim_matches('"').replace('\'', "''");
        format!("case when s.{column} is distinct from e.{column} then '{name}' end")
    };
    let named = values.iter().map(which).collect::<Vec<_>>().join(", ");
    let differs = if values.is_empty() {
        "false".to_owned()
    } else {
        format!("row({}) is distinct from row({})", side("s"), side("e"))
    };
    let named = if values.is_empty() {
        "''".to_owned()
    } else {
        format!("concat_ws(', ', {named})")
    };
    let (table, counted, first) = (plan.table, plan.counted, plan.keys[0]);
    format!(
        "select concat_ws('/', {keys}) as key,
                case when s.{first} is null then 'missing' when e.{first} is null then 'unexpected' else 'differs in ' || {named} end as problem,
                count(*) over () as total
         from (select * from store.{table} where {counted}) s full join pg_temp.verify_{table} e on {joined}
         where s.{first} is null or e.{first} is null or {differs}
         limit $1"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_join_and_the_rest_is_compared() {
        let columns = ["shard", "county", "measure", "value"].map(str::to_owned);
        let text = statement(&PLANS[4], &columns);
        assert!(
            text.contains("s.shard = e.shard and s.county = e.county and s.measure = e.measure"),
            "{text}"
        );
        assert!(text.contains("row(s.\"value\") is distinct from row(e.\"value\")"), "{text}");
        let keys_only = statement(&PLANS[3], &["shard", "day", "anchor", "person"].map(str::to_owned));
        assert!(keys_only.contains("or false"), "{keys_only}");
    }
}
