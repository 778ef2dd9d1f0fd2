//! What operators ask and state, on a real Kafka and PostgreSQL: a decision that never was is not withdrawn, who has open findings is
//! told one line a person, a silent source is waived until a day, rows that a truncation would remove go when somebody confirms it, and those
//! that a snapshot did not repeat when somebody states that it has passed.

mod passed;
mod truncated;

use anyhow::{Context, ensure};
use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::source::Source;
use integration_tests::on_demand::OnDemand;
use integration_tests::servers::Servers;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

const SOURCE: &str = "public-security.3201";
const TOPIC: &str = "public-security.3201.public.czrk";
const EMPLOYER: &str = "human-resources.3201";
const EMPLOYMENT: &str = "human-resources.3201.public.ac21";
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let test = OnDemand {
        name: "operators_are_told_and_refused",
        part: "test",
        asked_by: &[],
    };
    test.main(operators)
}

async fn operators() -> anyhow::Result<String> {
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("operators");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let (register, employer): (Source, Source) = (SOURCE.parse()?, EMPLOYER.parse()?);
    truncated::dialects(&mut servers)?;
    let tables = [
        (register, "czrk"),
        (employer, "ac21"),
        (employer, "ac02"),
        (passed::SOURCE.parse()?, passed::TABLE),
    ];
    let tables = tables.map(|(source, table)| (source, table.to_owned()));
    servers.begin(&BTreeSet::from(tables)).await?;
    let ran = run(&mut servers).await;
    let ended = servers.services.stop();
    ran.with_context(|| format!("logs in {}", logs.display()))?;
    ended.context("services that end in order")?;
    Ok("nothing was withdrawn that never was, and nobody was named".to_owned())
}

/// Exit code of a command, and what it prints.
fn canbao(servers: &Servers, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let mut command = servers.services.command("canbao", "canbao")?;
    let output = command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8(text)?))
}

/// What a command prints that must go well.
fn good(servers: &Servers, arguments: &[&str]) -> anyhow::Result<String> {
    let (code, text) = canbao(servers, arguments)?;
    ensure!(code == Some(0), "`canbao {}`: {code:?}: {text}", arguments.join(" "));
    Ok(text)
}

fn number(key: u16) -> anyhow::Result<String> {
    let number = CitizenId::from_parts(320_102, Day(7_000 + i32::from(key) * 50), 11);
    Ok(number.context("a number")?.text())
}

/// Puts somebody into the register who has been employed for long, and whom nobody has enrolled.
fn put(servers: &Servers, key: u16) -> anyhow::Result<()> {
    let row = serde_json::json!({
        "rybh": format!("A{key}"), "gmsfhm": number(key)?, "xm": "龚晓峰", "cym": null, "xb": null, "mz": null, "csrq": null, "hjdqh": "320102",
        "hjdz": null, "xzdqh": null, "xzdz": null, "swrq": null, "hkzt": "1", "lxdh": null,
    });
    let event = serde_json::to_vec(&serde_json::json!({ "op": "c", "before": null, "after": row }))?;
    servers.write(TOPIC, 0, format!(r#"{{"rybh":"A{key}"}}"#).as_bytes(), Some(&event), None)?;
    let row = serde_json::json!({
        "bac001": key, "aac058": "01", "aac147": number(key)?, "aac003": "龚晓峰", "aac006": null, "aab001": "U1", "aab004": null,
        "aab019": "10", "aac013": "1", "aae030": 20_300, "aae031": null, "aab301": "320102",
    });
    let event = serde_json::to_vec(&serde_json::json!({ "op": "c", "before": null, "after": row }))?;
    servers.write(EMPLOYMENT, 0, format!(r#"{{"bac001":{key}}}"#).as_bytes(), Some(&event), None)
}

/// Waits until so many persons are in the base.
async fn persons(servers: &mut Servers, count: i64) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found: i64 = sqlx::query_scalar("select count(*) from base.person")
            .fetch_one(&servers.pool)
            .await?;
        if found == count {
            return Ok(());
        }
        servers.services.check_alive()?;
        ensure!(Instant::now() < deadline, "{found} persons, not {count}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn run(servers: &mut Servers) -> anyhow::Result<()> {
    good(servers, &["business-date", "2026-05-01"])?;
    for key in 0..3 {
        put(servers, key)?;
    }
    servers.flush()?;
    persons(servers, 3).await?;
    withdrawn(servers).await?;
    findings(servers)?;
    waived(servers).await?;
    truncated::truncated(servers).await?;
    passed::passed(servers).await?;
    good(servers, &["verify", "--wait", "60"]).map(|_| ())
}

/// Persons of whom subscribers were told that they are not enrolled.
async fn told(servers: &Servers) -> anyhow::Result<i64> {
    Ok(
        sqlx::query_scalar("select count(distinct person) from store.announced where open")
            .fetch_one(&servers.pool)
            .await?,
    )
}

/// Waits until so many are told of.
async fn tells(servers: &mut Servers, count: i64) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while told(servers).await? != count {
        servers.services.check_alive()?;
        ensure!(Instant::now() < deadline, "{} are told of, not {count}", told(servers).await?);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// The same while all sources but a silent one speak: nobody is told of.
async fn tells_nobody_else(servers: &mut Servers, silent: &BTreeSet<Source>, count: i64) -> anyhow::Result<()> {
    servers.complete(silent).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ensure!(told(servers).await? == count, "told although a source is silent");
    Ok(())
}

/// A source falls silent: nobody's absence is told, until it is waived; and again once the waiver is over.
async fn waived(servers: &mut Servers) -> anyhow::Result<()> {
    let silent = "human-resources.3213";
    let others: BTreeSet<Source> = BTreeSet::from([silent.parse()?]);
    let today = chrono::Utc::now() + chrono::Duration::hours(8);
    let [today, later] = [0, 30].map(|days| (today + chrono::Duration::days(days)).format("%Y-%m-%d").to_string());
    let waive = |until: &str| ["source", "waive", silent, "--until", until, "--why", "the line is cut"].map(str::to_owned);
    let refused = |servers: &Servers, until: &str, part: &str| {
        let arguments = waive(until);
        let (code, text) = canbao(servers, &arguments.each_ref().map(String::as_str))?;
        ensure!(code == Some(2) && text.contains(part), "{code:?}: {text}");
        anyhow::Ok(())
    };
    refused(servers, &later, "never complete")?;
    servers.complete(&BTreeSet::new()).await?;
    good(servers, &["go-live", "--region", "all"])?;
    servers.worked_off().await?;
    tells(servers, 3).await?;
    refused(servers, "2020-01-01", "within 92 days")?;
    put(servers, 3)?;
    servers.flush()?;
    persons(servers, 4).await?;
    tells_nobody_else(servers, &others, 3).await?;
    good(servers, &waive(&today).each_ref().map(String::as_str))?;
    tells(servers, 4).await?;
    for shown in [&["lag"][..], &["source", "list"]] {
        let text = good(servers, shown)?;
        ensure!(
            text.contains(&format!("waived until {today} by ")) && text.contains("the line is cut"),
            "{text}"
        );
    }
    // Who works on what was told without it sees so.
    let text = good(servers, &["person", &number(3)?])?;
    ensure!(
        text.contains(&format!(
            "claimed without the word of {silent}, which is waived until {today} by "
        )),
        "{text}"
    );
    // What holds for as long as nobody takes it back ends by its day: as if that had come.
    sqlx::query("update store.completeness set waived_until = waived_until - 1 where waived_until is not null")
        .execute(&servers.pool)
        .await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    put(servers, 4)?;
    servers.flush()?;
    persons(servers, 5).await?;
    tells_nobody_else(servers, &others, 4).await?;
    good(servers, &waive(&later).each_ref().map(String::as_str))?;
    tells(servers, 5).await?;
    good(servers, &["source", "waive", silent, "--end", "--why", "the line is mended"])?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    put(servers, 5)?;
    servers.flush()?;
    persons(servers, 6).await?;
    tells_nobody_else(servers, &others, 5).await?;
    // It speaks again.
    servers.complete(&BTreeSet::new()).await?;
    tells(servers, 6).await
}

async fn statements(servers: &Servers) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from store.statement")
        .fetch_one(&servers.pool)
        .await?)
}

/// The record of a person, as `canbao person` shows it.
fn record(servers: &Servers, key: u16) -> anyhow::Result<String> {
    let found = good(servers, &["person", &number(key)?, "--format", "json"])?;
    let found: serde_json::Value = serde_json::from_str(&found)?;
    let record = found["persons"][0]["members"][0]["record"].as_str();
    Ok(record.context("a record")?.to_owned())
}

async fn withdrawn(servers: &Servers) -> anyhow::Result<()> {
    let before = statements(servers).await?;
    let (code, text) = canbao(servers, &["decide", "withdraw", "4711"])?;
    ensure!(
        code == Some(2) && text.contains("there never was a decision 4711"),
        "{code:?}: {text}"
    );
    ensure!(statements(servers).await? == before, "something was stated");
    // As the refusal says.
    good(servers, &["decide", "list"])?;
    let (one, other) = (record(servers, 0)?, record(servers, 1)?);
    let stated = good(servers, &["decide", "different", &one, &other, "--format", "json"])?;
    let stated: serde_json::Value = serde_json::from_str(&stated)?;
    let decision = stated["id"].as_i64().context("a number")?.to_string();
    good(servers, &["decide", "withdraw", &decision])?;
    let before = statements(servers).await?;
    let (code, text) = canbao(servers, &["decide", "withdraw", &decision])?;
    ensure!(code == Some(2) && text.contains("withdrawn already"), "{code:?}: {text}");
    ensure!(statements(servers).await? == before, "something was stated");
    Ok(())
}

fn findings(servers: &Servers) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let csv = loop {
        let csv = good(servers, &["findings", "--csv"])?;
        if csv.lines().count() == 4 || Instant::now() > deadline {
            break csv;
        }
    };
    let lines: Vec<&str> = csv.lines().collect();
    ensure!(lines.len() == 4, "a heading and three persons: {csv}");
    ensure!(lines[0] == "person,number,city,kinds,findings,since,told", "{csv}");
    for line in &lines[1..] {
        ensure!(line.contains(",3201,unenrolled,") && line.contains("****"), "{line}");
        let person = line.split(',').next().unwrap_or_default();
        good(servers, &["person", person])?;
    }
    ensure!(!csv.contains(&number(0)?), "somebody is named: {csv}");
    let of = |arguments: &[&str]| good(servers, &[&["findings"], arguments].concat()).map(|text| text.lines().count());
    ensure!(of(&["--city", "3201", "--kind", "unenrolled"])? == 3, "all of them");
    ensure!(
        of(&["--city", "3202"])? == 0 && of(&["--kind", "identity"])? == 0,
        "none of them"
    );
    let json = good(servers, &["findings", "--format", "json"])?;
    for line in json.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        ensure!(line["kinds"][0] == "unenrolled", "{line}");
    }
    Ok(())
}
