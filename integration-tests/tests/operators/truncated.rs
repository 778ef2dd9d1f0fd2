//! A table that is truncated by habit and loaded again: what a load did not hold goes when it is over; a load that broke off removes nobody
//! before somebody confirms it, by the very command that is printed.

use super::{EMPLOYER, PATIENCE, canbao, good, number};
use anyhow::{Context, ensure};
use integration_tests::policies;
use integration_tests::servers::Servers;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

const ENROLMENT: &str = "human-resources.3201.public.ac02";
/// Keys of the table's rows.
const ROWS: [u16; 4] = [0, 1, 2, 3];

/// The dialects of the services, with a table that its source truncates by habit.
pub fn dialects(servers: &mut Servers) -> anyhow::Result<()> {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
    let folder = servers.services.logs().join("dialects");
    std::fs::create_dir_all(&folder)?;
    let shipped = services.join("human-resources/dialects");
    std::fs::copy(shipped.join("jinbao-suzhou.toml"), folder.join("jinbao-suzhou.toml"))?;
    let habit = std::fs::read_to_string(shipped.join("jinbao.toml"))?
        .replace("revision = 3", "revision = 4")
        .replace("kind = \"enrolment\"", "kind = \"enrolment\"\ntruncation = \"reload\"");
    ensure!(
        habit.contains("revision = 4") && habit.contains("reload"),
        "the dialect has changed"
    );
    std::fs::write(folder.join("jinbao.toml"), habit)?;
    let others = ["civil-affairs", "public-security"].map(|agency| services.join(agency).join("dialects"));
    let all = [folder].into_iter().chain(others).map(|folder| folder.display().to_string());
    servers.services.share("CANBAO_DIALECTS", all.collect::<Vec<_>>().join(":"));
    Ok(())
}

/// Writes rows of the table.
fn load(servers: &Servers, keys: &[u16]) -> anyhow::Result<()> {
    for key in keys {
        let row = serde_json::json!({
            "baz001": key, "aac002": number(*key)?, "aac003": "龚晓峰", "aae140": "110", "aac031": "1", "aae030": 20_300, "aae031": null,
            "aac049": null, "aae003": 202_604, "aab001": "U1", "aab301": "320102", "aaz288": null, "aaz289": null,
        });
        let event = serde_json::to_vec(&serde_json::json!({ "op": "c", "before": null, "after": row }))?;
        servers.write(ENROLMENT, 0, format!(r#"{{"baz001":{key}}}"#).as_bytes(), Some(&event), None)?;
    }
    Ok(())
}

/// Truncates the table, and loads some rows again.
fn reload(servers: &Servers, keys: &[u16]) -> anyhow::Result<()> {
    let event = serde_json::to_vec(&serde_json::json!({ "op": "t", "before": null, "after": null }))?;
    servers.write(ENROLMENT, 0, b"null", Some(&event), None)?;
    load(servers, keys)
}

/// Waits until the table has so many rows in the base.
async fn rows(servers: &mut Servers, count: i64) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = enrolled(servers).await?;
        if found == count {
            return Ok(());
        }
        servers.services.check_alive()?;
        ensure!(Instant::now() < deadline, "{found} rows, not {count}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn enrolled(servers: &Servers) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from store.enrolment")
        .fetch_one(&servers.pool)
        .await?)
}

/// What `canbao source list` says of the table's rows.
fn kept(servers: &Servers) -> anyhow::Result<Option<String>> {
    let listed = good(servers, &["source", "list", "--format", "json"])?;
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    let mut topics = listed.as_array().context("topics")?.iter();
    let topic = topics.find(|topic| topic["topic"] == ENROLMENT).context("the topic")?;
    Ok(topic["keeps_rows"].as_str().map(str::to_owned))
}

/// Waits until something is said of the table's rows that holds some words.
async fn says(servers: &mut Servers, words: &str) -> anyhow::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = kept(servers)?;
        if let Some(said) = said.as_ref().filter(|said| said.contains(words)) {
            return Ok(said.clone());
        }
        servers.services.check_alive()?;
        ensure!(Instant::now() < deadline, "expected {words:?}, it says {said:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

pub async fn truncated(servers: &mut Servers) -> anyhow::Result<()> {
    let few = toml::Table::from_iter([
        ("release.removed_share".to_owned(), 0.5.into()),
        ("release.removed_rows".to_owned(), 1.into()),
    ]);
    let path = servers.services.logs().join("few.toml");
    let first = policies::embedded();
    std::fs::write(&path, policies::changed(&first, first.id().version + 1, &few)?.text())?;
    good(servers, &["policy", "adopt", path.to_str().context("a path")?])?;
    load(servers, &ROWS)?;
    servers.flush()?;
    rows(servers, 4).await?;
    servers.complete(&BTreeSet::new()).await?;
    // A load without one of the rows: it stands until the load is over, unsure.
    reload(servers, &[0, 1, 2])?;
    servers.flush()?;
    says(servers, "truncated at the source").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ensure!(enrolled(servers).await? == 4, "a row is gone before the load is over");
    good(servers, &["verify", "--wait", "60"])?;
    servers.complete(&BTreeSet::new()).await?;
    rows(servers, 3).await?;
    ensure!(kept(servers)?.is_none(), "still said");
    broken_off(servers).await
}

/// A load that broke off after its first row.
async fn broken_off(servers: &mut Servers) -> anyhow::Result<()> {
    let confirm =
        |source: &str, table: &str, why: &str| ["source", "confirm-removal", source, table, "--why", why].map(str::to_owned);
    let early = confirm(EMPLOYER, "ac02", "none");
    let (code, text) = canbao(servers, &early.each_ref().map(String::as_str))?;
    ensure!(code == Some(2) && text.contains("no removal"), "{code:?}: {text}");
    reload(servers, &[0])?;
    servers.complete(&BTreeSet::new()).await?;
    let said = says(servers, "confirm-removal").await?;
    ensure!(said.contains("2 of 3 rows"), "{said}");
    ensure!(enrolled(servers).await? == 3, "rows are gone unasked");
    let lag = good(servers, &["lag"])?;
    ensure!(lag.contains(&said), "{lag}");
    // As it says.
    let command = said.split('`').find(|part| part.starts_with("canbao source confirm-removal"));
    let command: Vec<&str> = command.context("a command")?.split_whitespace().skip(1).collect();
    let reason = ["the", "system", "was", "closed"].join(" ");
    let command: Vec<&str> = command
        .iter()
        .map(|word| if *word == "TEXT" { reason.as_str() } else { *word })
        .collect();
    good(servers, &command)?;
    rows(servers, 1).await?;
    let why: String =
        sqlx::query_scalar("select body ->> 'why' from store.statement where kind = 'confirm-removal' and refused is null")
            .fetch_one(&servers.pool)
            .await?;
    ensure!(why == reason, "{why}");
    ensure!(kept(servers)?.is_none(), "still said");
    Ok(())
}
