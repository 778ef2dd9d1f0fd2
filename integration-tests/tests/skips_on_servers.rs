//! Entries that cannot be applied, on a real Kafka and PostgreSQL: the registry stays alive, the entry's shard waits and the others go on,
//! and the very command that readiness prints lets it go on.

use anyhow::{Context, ensure};
use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::shard::Shard;
use domain::source::{Agency, Source};
use integration_tests::faults::probe::Probes;
use integration_tests::on_demand::OnDemand;
use integration_tests::servers::Servers;
use runtime::kafka::topics::PERSON_RECORDS;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(90);
const REGISTRY: (&str, usize) = ("registry", 1);
/// Somebody of the shard that waits, and somebody of another.
const HERE: Day = Day(7_000);
const ELSEWHERE: Day = Day(9_500);

fn main() -> ExitCode {
    let test = OnDemand {
        name: "a_shard_goes_on_by_the_command_that_readiness_prints",
        part: "test",
        asked_by: &[],
    };
    test.main(skips)
}

async fn skips() -> anyhow::Result<String> {
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skips");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let probes = Probes::set(&mut servers)?;
    let source = Source {
        agency: Agency::PUBLIC_SECURITY,
        city: "3201".parse()?,
    };
    servers.begin(&BTreeSet::from([(source, "czrk".to_owned())])).await?;
    let ran = run(&mut servers, &probes).await;
    let ended = servers.services.stop();
    ran.with_context(|| format!("logs in {}", logs.display()))?;
    ended.context("services that end in order")?;
    Ok("each shard went on by the command that was printed, or by itself once the cause was mended".to_owned())
}

async fn run(servers: &mut Servers, probes: &Probes) -> anyhow::Result<()> {
    put(servers, HERE, "first street")?;
    lives(servers, HERE, "first street").await?;

    // Garbage of a plain producer.
    let shard = Shard::of_birth_date(HERE);
    servers.write(PERSON_RECORDS, i32::from(shard.number()), b"rogue", Some(b"garbage"), None)?;
    put(servers, HERE, "second street")?;
    let command = printed(servers, probes, shard).await?;
    put(servers, ELSEWHERE, "first street")?;
    lives(servers, ELSEWHERE, "first street").await?;
    ensure!(
        address(servers, HERE).await?.as_deref() == Some("first street"),
        "the shard did not wait"
    );
    // It waits also after a restart, and lives.
    servers.services.kill(REGISTRY)?;
    servers.services.start(REGISTRY)?;
    ensure!(
        printed(servers, probes, shard).await? == command,
        "another command after a restart"
    );
    skip(servers, &command, shard)?;
    lives(servers, HERE, "second street").await?;
    until(servers, "the registry is ready", || Ok(probes.is_ready("registry"))).await?;

    // What the database refuses for good, until its cause is mended: no word of an operator is needed.
    refuse(servers, shard, true).await?;
    put(servers, HERE, "third street")?;
    let mended = printed(servers, probes, shard).await?;
    ensure!(mended != command, "{mended}");
    refuse(servers, shard, false).await?;
    lives(servers, HERE, "third street").await?;

    // And what it goes on refusing.
    refuse(servers, shard, true).await?;
    put(servers, HERE, "a street that is stepped over")?;
    let command = printed(servers, probes, shard).await?;
    skip(servers, &command, shard)?;
    refuse(servers, shard, false).await?;
    servers.complete(&BTreeSet::new()).await?;
    ensure!(
        address(servers, HERE).await?.as_deref() == Some("third street"),
        "it was not stepped over"
    );
    verified(servers)?;

    // The base made anew from its log steps over the same.
    let working = ["publisher", "clock", "registry"];
    for service in working {
        servers.services.scale(service, 0)?;
    }
    ensure!(
        servers.services.canbao(&["restore", "--from-log"])?,
        "canbao restore failed, see canbao.log"
    );
    for service in working {
        servers.services.scale(service, 1)?;
    }
    lives(servers, HERE, "third street").await?;
    put(servers, HERE, "fourth street")?;
    lives(servers, HERE, "fourth street").await?;
    servers.complete(&BTreeSet::new()).await?;
    verified(servers)?;
    let skipped: Vec<(String, String)> =
        sqlx::query_as("select skipped_by, reason from store.refused_entry where skipped_at is not null")
            .fetch_all(&servers.pool)
            .await?;
    ensure!(
        skipped.len() == 2 && skipped.iter().all(|(by, reason)| !by.is_empty() && reason == "tried"),
        "{skipped:?}"
    );
    servers.services.check_alive()
}

fn verified(servers: &Servers) -> anyhow::Result<()> {
    let good = servers.services.canbao(&["verify", "--wait", "60"])?;
    ensure!(good, "canbao verify found a difference, see canbao.log");
    Ok(())
}

fn number(born: Day) -> anyhow::Result<CitizenId> {
    CitizenId::from_parts(320_102, born, 11).context("a number")
}

/// A row of the resident register; the last one of somebody wins.
fn put(servers: &Servers, born: Day, address: &str) -> anyhow::Result<()> {
    let key = format!("A{}", born.0);
    let row = serde_json::json!({
        "rybh": key, "gmsfhm": number(born)?.text(), "xm": "龚晓峰", "cym": null, "xb": null, "mz": null, "csrq": null, "hjdqh": "320102",
            "hjdz": address, "xzdqh": null, "xzdz": null, "swrq": null, "hkzt": "1", "lxdh": null,
    });
    let value = serde_json::json!({ "op": "c", "before": null, "after": row, "source": { "snapshot": "false" } });
    let key = format!(r#"{{"rybh":"{key}"}}"#);
    servers.write(
        "public-security.3201.public.czrk",
        0,
        key.as_bytes(),
        Some(value.to_string().as_bytes()),
        None,
    )?;
    servers.flush()
}

async fn address(servers: &Servers, born: Day) -> anyhow::Result<Option<String>> {
    let found = sqlx::query_scalar("select address from base.person where number = $1")
        .bind(number(born)?.text())
        .fetch_optional(&servers.pool)
        .await?;
    Ok(found.flatten())
}

/// Waits until the base shows an address of somebody.
async fn lives(servers: &mut Servers, born: Day, expected: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = address(servers, born).await?;
        if found.as_deref() == Some(expected) {
            return Ok(());
        }
        servers.services.check_alive()?;
        ensure!(Instant::now() < deadline, "{found:?}, not {expected}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn until(servers: &mut Servers, what: &str, holds: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds()? {
        servers.services.check_alive()?;
        ensure!(Instant::now() < deadline, "not after {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Waits until readiness says that a shard waits; the command that it prints.
async fn printed(servers: &mut Servers, probes: &Probes, shard: Shard) -> anyhow::Result<String> {
    let (waits, begins) = (format!("shard {shard} waits at offset "), format!("canbao skip {shard} "));
    until(servers, "readiness says that the shard waits", || {
        Ok(probes.problems("registry").contains(&waits))
    })
    .await?;
    let counted = probes.get("registry", "/metrics")?;
    ensure!(
        counted.contains("\ncanbao_registry_waiting_shards 1\n"),
        "the metrics do not count it"
    );
    let said = probes.problems("registry");
    let command = said.split('`').find(|part| part.starts_with(&begins));
    Ok(command.with_context(|| format!("no command in {said}"))?.to_owned())
}

/// Runs the printed command.
fn skip(servers: &Servers, command: &str, shard: Shard) -> anyhow::Result<()> {
    let words: Vec<&str> = command
        .split(' ')
        .skip(1)
        .map(|word| if word == "TEXT" { "tried" } else { word })
        .collect();
    ensure!(words.len() == 5 && words[1] == shard.to_string(), "{command}");
    ensure!(servers.services.canbao(&words)?, "`{command}` failed, see canbao.log");
    Ok(())
}

/// From now on the database refuses what a shard's log says, as with a broken trigger of somebody's; or no longer.
async fn refuse(servers: &Servers, shard: Shard, refused: bool) -> anyhow::Result<()> {
    let statements = if refused {
        vec![
            "create or replace function store.refuse() returns trigger language plpgsql as $$ begin raise exception 'refused by a test'; end $$"
                .to_owned(),
            format!(
                "create trigger refuse before insert on store.source_log for each row
                 when (new.shard = {shard} and new.kind = 1 and new.outcome <> 5) execute function store.refuse()"
            ),
        ]
    } else {
        vec!["drop trigger refuse on store.source_log".to_owned()]
    };
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&servers.pool).await?;
    }
    Ok(())
}
