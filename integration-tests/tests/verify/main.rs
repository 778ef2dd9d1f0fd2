//! A checker that would notice: one thing of every table of the store and of every topic is corrupted, and `canbao verify` names it; what
//! was corrupted is mended, and it finds nothing.
//!
//! The base is that of some life stories, at rest and with the services stopped, so that nobody mends or publishes a corruption.
//! Corruptions that do not touch each other are made together, and each must be named by words of its own.

mod cases;
mod topics;

use anyhow::{Context, ensure};
use cases::{Case, GROUPS};
use integration_tests::ground::Rules;
use integration_tests::on_demand::OnDemand;
use integration_tests::servers::Servers;
use integration_tests::{on_servers, story};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{ExitCode, Stdio};

/// The stories whose base is corrupted: of each kind of finding one, corrections, decisions, unread versions and a
/// truncation, some still open in the end.
const STORIES: [&str; 19] = [
    "01", "03", "04", "05", "06", "07", "09", "10", "12", "14", "32", "34", "40", "41", "42", "43", "44", "61", "62",
];

fn main() -> ExitCode {
    let test = OnDemand {
        name: "whatever_is_corrupted_is_named",
        part: "verify",
        asked_by: &["VERIFY"],
    };
    test.main(corrupt)
}

async fn corrupt() -> anyhow::Result<String> {
    let rules = Rules::load().context("the dialects of the services")?;
    let mut stories = story::all().context("stories that can be read")?;
    stories.retain(|story| STORIES.iter().any(|number| story.name.starts_with(number)));
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verify");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let ran = run(&mut servers, &rules, &stories).await;
    ran.with_context(|| format!("logs in {}", logs.display()))
}

async fn run(servers: &mut Servers, rules: &Rules, stories: &[story::Story]) -> anyhow::Result<String> {
    on_servers::run(servers, rules, stories, 7).await?;
    servers.services.stop()?;
    let mut found = Vec::new();
    let (_, good) = verify(servers)?;
    ensure!(
        good,
        "nothing is corrupted yet, and canbao verify found a difference, see canbao.log"
    );
    let tables = Tables::keep(servers).await?;
    for cases in GROUPS {
        for case in *cases {
            let done = sqlx::query(case.corruption).execute(&servers.pool).await;
            let rows = done.with_context(|| format!("corrupting: {}", case.name))?.rows_affected();
            ensure!(rows > 0, "nothing was there to corrupt: {}", case.name);
        }
        let (report, good) = verify(servers)?;
        found.extend(named(&report, good, cases));
        tables.mend(servers).await?;
    }
    let (_, good) = verify(servers)?;
    ensure!(
        good,
        "every table was mended, and canbao verify found a difference, see canbao.log"
    );
    let kept = topics::Topics::keep(servers)?;
    let cases = topics::corrupt(servers, &kept)?;
    let (report, good) = verify(servers)?;
    found.extend(named(&report, good, &cases));
    kept.mend(servers).await?;
    let (_, good) = verify(servers)?;
    ensure!(
        good,
        "every topic was mended, and canbao verify found a difference, see canbao.log"
    );
    ensure!(found.is_empty(), "not noticed:\n  {}", found.join("\n  "));
    let count: usize = GROUPS.iter().map(|cases| cases.len()).sum();
    Ok(format!("{} corruptions, each of them named", count + cases.len()))
}

/// What `canbao verify` reports, and whether its exit code was 0.
fn verify(servers: &Servers) -> anyhow::Result<(Value, bool)> {
    let mut command = servers.services.command("canbao", "canbao")?;
    let output = command
        .args(["--format", "json", "verify", "--wait", "0", "--show", "1000"])
        .stdout(Stdio::piped())
        .output()?;
    let code = output.status.code();
    ensure!(
        code == Some(0) || code == Some(1),
        "canbao verify could not run ({}), see canbao.log",
        output.status
    );
    std::fs::write(servers.services.logs().join("verify.json"), &output.stdout)?;
    Ok((serde_json::from_slice(&output.stdout)?, code == Some(0)))
}

/// The corruptions that a report does not name.
fn named(report: &Value, good: bool, cases: &[Case]) -> Vec<String> {
    let samples = samples(report);
    let says = |table: &str, words: &str| samples.iter().any(|(of, problem)| of == table && problem.contains(words));
    let mut missing = Vec::new();
    for case in cases {
        for (table, words) in case.said.iter().filter(|(table, words)| good || !says(table, words)) {
            let said: BTreeSet<&str> = samples
                .iter()
                .filter(|(of, _)| of == table)
                .map(|(_, problem)| problem.as_str())
                .collect();
            missing.push(format!("{}: expected {words:?} of {table}, it says {said:?}", case.name));
        }
    }
    missing
}

/// Every sample of a report: of which table or topic, and what is wrong.
fn samples(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |path: &str| {
        let found = report.pointer(path).and_then(Value::as_array);
        found.map_or(&[][..], Vec::as_slice)
    };
    let of_tables = list("/base/tables").iter().chain(list("/topics"));
    let mut found: Vec<(String, String)> = of_tables
        .flat_map(|table| {
            let samples = table["samples"].as_array().map_or(&[][..], Vec::as_slice);
            samples
                .iter()
                .map(move |sample| (text(&table["table"]), text(&sample["problem"])))
        })
        .collect();
    let told = list("/announced/samples").iter();
    found.extend(told.map(|sample| ("open".to_owned(), text(&sample["problem"]))));
    found
}

/// The tables as they were.
struct Tables(Vec<String>);

impl Tables {
    async fn keep(servers: &Servers) -> anyhow::Result<Self> {
        let names: Vec<String> = sqlx::query_scalar(
            "select relname::text from pg_class where relnamespace = 'store'::regnamespace and relkind in ('r', 'p') and not relispartition",
        )
        .fetch_all(&servers.pool)
        .await?;
        sqlx::query("create schema kept").execute(&servers.pool).await?;
        for name in &names {
            let statement = format!("create table kept.{name} as select * from store.{name}");
            sqlx::query(AssertSqlSafe(statement)).execute(&servers.pool).await?;
        }
        Ok(Self(names))
    }

    async fn mend(&self, servers: &Servers) -> anyhow::Result<()> {
        let mut transaction = servers.pool.begin().await?;
        // Rows of other tables must not go with those that are put back.
        sqlx::query("set local session_replication_role = replica")
            .execute(&mut *transaction)
            .await?;
        for name in &self.0 {
            for statement in [
                format!("delete from store.{name}"),
                format!("insert into store.{name} overriding system value select * from kept.{name}"),
            ] {
                sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
            }
        }
        Ok(transaction.commit().await?)
    }
}
