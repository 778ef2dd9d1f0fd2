//! Full snapshots that nobody notified: rows that they did not repeat stand until somebody states that they have passed, which is refused
//! where the topic shows none, and waits to be confirmed where too much would go.

use super::{canbao, good, number, persons};
use anyhow::{Context, ensure};
use domain::date::Timestamp;
use domain::source::TableName;
use integration_tests::servers::Servers;
use runtime::statements::{PassedTable, Statement};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

pub const SOURCE: &str = "human-resources.3202";
pub const TABLE: &str = "ac21";
const TOPIC: &str = "human-resources.3202.public.ac21";
/// Keys of the table's rows, of persons that no other table names.
const ROWS: [u16; 6] = [20, 21, 22, 23, 24, 25];
/// Persons of the parts of the test before this one.
const OTHERS: i64 = 6;

/// Writes rows of the table as messages of a time.
fn write(servers: &Servers, keys: &[u16], operation: &str, at: i64) -> anyhow::Result<()> {
    for key in keys {
        let row = serde_json::json!({
            "bac001": key, "aac058": "01", "aac147": number(*key)?, "aac003": "龚晓峰", "aac006": null, "aab001": "U1", "aab004": null,
            "aab019": "10", "aac013": "1", "aae030": 20_300, "aae031": null, "aab301": "320202",
        });
        let snapshot = if operation == "r" { "true" } else { "false" };
        let event = serde_json::json!({ "op": operation, "source": { "snapshot": snapshot }, "before": null, "after": row });
        let key = format!(r#"{{"bac001":{key}}}"#);
        servers.write_at(TOPIC, key.as_bytes(), &serde_json::to_vec(&event)?, at)?;
    }
    servers.flush()
}

fn time(at: i64) -> anyhow::Result<String> {
    Ok(chrono::DateTime::from_timestamp_millis(at).context("a time")?.to_rfc3339())
}

/// Exit code of the statement that a snapshot of a table has passed which began at a time, and what it prints.
fn state(servers: &Servers, table: &str, since: i64) -> anyhow::Result<(Option<i32>, String)> {
    let (since, why) = (time(since)?, "the connector sends no notifications");
    canbao(
        servers,
        &[
            "source",
            "snapshot-passed",
            SOURCE,
            "--table",
            table,
            "--since",
            &since,
            "--why",
            why,
        ],
    )
}

fn refused(servers: &Servers, table: &str, since: i64, words: &str) -> anyhow::Result<()> {
    let (code, text) = state(servers, table, since)?;
    ensure!(
        code == Some(2) && text.contains(words),
        "expected {words:?}: {code:?}: {text}"
    );
    Ok(())
}

pub async fn passed(servers: &mut Servers) -> anyhow::Result<()> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let ago = |seconds: i64| now - seconds * 1000;
    write(servers, &ROWS, "c", ago(600))?;
    persons(servers, OTHERS + 6).await?;
    refused(servers, TABLE, ago(300), "none that a snapshot read")?;
    refused(servers, "ac99", ago(300), "`canbao source list`")?;
    refused(servers, TABLE, ago(-3600), "lies ahead of the clock")?;
    // The clock looks itself, whoever made the statement.
    let statement = Statement::SnapshotPassed {
        source: SOURCE.parse()?,
        of: Some(PassedTable {
            table: TableName::new(TABLE),
            since: Timestamp(ago(-3600)),
            who: "somebody".to_owned(),
            why: "a slip".to_owned(),
        }),
    };
    let why = servers.state(&statement).await.err().context("a time to come was believed")?;
    ensure!(format!("{why:#}").contains("lies ahead of the clock"), "{why:#}");
    // A row was deleted while the connector was down, which then takes a full snapshot.
    write(servers, &ROWS[..5], "r", ago(120))?;
    servers.complete(&BTreeSet::new()).await?;
    persons(servers, OTHERS + 6).await?;
    let (code, text) = state(servers, TABLE, ago(180))?;
    ensure!(code == Some(0), "{code:?}: {text}");
    for part in [
        "5 rows since, 5 of a snapshot or load, of 5 keys",
        "of 6 records",
        "all but 1\n",
        "every shard knows that these are gone",
    ] {
        ensure!(text.contains(part), "expected {part:?}: {text}");
    }
    persons(servers, OTHERS + 5).await?;
    good(servers, &["verify", "--wait", "60"])?;
    nearly_all(servers, now).await
}

/// A snapshot that found one row: the others stand until that is confirmed, by the very command that is printed.
async fn nearly_all(servers: &mut Servers, now: i64) -> anyhow::Result<()> {
    write(servers, &ROWS[..1], "r", now - 20_000)?;
    servers.complete(&BTreeSet::new()).await?;
    let (code, text) = state(servers, TABLE, now - 30_000)?;
    ensure!(code == Some(1) && text.contains("4 of 5 rows"), "{code:?}: {text}");
    persons(servers, OTHERS + 5).await?;
    let command = text.split('`').find(|part| part.starts_with("canbao source confirm-removal"));
    let command: Vec<&str> = command.context("a command")?.split_whitespace().skip(1).collect();
    good(servers, &command)?;
    persons(servers, OTHERS + 1).await?;
    // While its rows come, a snapshot has not passed.
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    write(servers, &ROWS[..2], "r", now)?;
    refused(servers, TABLE, now - 30_000, "still coming")?;
    persons(servers, OTHERS + 2).await
}
