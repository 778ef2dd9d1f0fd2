//! Source topics whose positions stop being comparable, on a real Kafka and PostgreSQL: each cause holds its topic, and the very command
//! that the hold prints lets it be read on, with nothing lost and nothing doubled.

mod register;
mod tables;

use anyhow::Context;
use integration_tests::on_demand::OnDemand;
use integration_tests::servers::Servers;
use register::Register;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The service under test; the rows are those of its resident register.
const SERVICE: &str = "public-security";

fn main() -> ExitCode {
    let test = OnDemand {
        name: "every_hold_prints_the_command_that_lets_its_topic_be_read_on",
        part: "test",
        asked_by: &[],
    };
    test.main(holds)
}

async fn holds() -> anyhow::Result<String> {
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("epochs");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    for (name, value) in [
        ("CANBAO_NORMALISER__ACCEPT_REFRESH_MILLIS", "200"),
        ("CANBAO_NORMALISER__DEAD_LETTER_SHARE", "0.05"),
        ("CANBAO_NORMALISER__DEAD_LETTER_MINIMUM", "3"),
    ] {
        servers.services.set(SERVICE, name, Some(value));
    }
    servers.begin(&BTreeSet::new()).await.context("services that start")?;
    let ran = run(&mut servers).await;
    let ended = servers.services.stop();
    ran.with_context(|| format!("logs in {}", logs.display()))?;
    ended.context("services that end in order")?;
    Ok("every hold was lifted by the command it printed".to_owned())
}

async fn run(servers: &mut Servers) -> anyhow::Result<()> {
    partitions_added(servers).await?;
    key_in_a_second_partition(servers).await?;
    keys_written_otherwise(servers).await?;
    created_anew(servers, 3203, 2).await?;
    created_anew(servers, 3204, 9).await?;
    dead_letters(servers).await?;
    offsets_out_of_range(servers).await?;
    tables::second_topic_replaces_the_first(servers).await?;
    tables::settings_name_tables(servers).await?;
    anyhow::ensure!(
        servers.services.canbao(&["verify", "--wait", "60"])?,
        "canbao verify found a difference, see canbao.log"
    );
    anyhow::ensure!(servers.services.canbao(&["source", "list"])?, "a topic is still held");
    a_dialect_changes(servers).await
}

/// A dialect that says something else under a known revision is refused; with the revision that is printed, rows are read anew.
async fn a_dialect_changes(servers: &mut Servers) -> anyhow::Result<()> {
    let register = Register::make(servers, 3208, 1).await?;
    register.put(0, 0, "street")?;
    register.is(servers, &[(0, Some("street"))]).await?;
    servers.services.scale(SERVICE, 0)?;
    let folder = servers.services.logs().join("dialects");
    std::fs::create_dir_all(&folder)?;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../services")
        .join(SERVICE)
        .join("dialects/ga.toml");
    // From now on the address is in another column.
    let changed = std::fs::read_to_string(shipped)?.replace("hukou-address = \"hjdz\"", "hukou-address = \"hjdz2\"");
    let file = folder.join("ga.toml");
    std::fs::write(&file, &changed)?;
    servers.services.set(SERVICE, "CANBAO_DIALECTS", folder.to_str());
    servers.services.plan(SERVICE, 1);
    servers.services.start((SERVICE, 1))?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while servers.services.runs((SERVICE, 1))? {
        anyhow::ensure!(Instant::now() < deadline, "a changed dialect was not refused");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    servers.services.ended()?;
    let log = std::fs::read_to_string(servers.services.logs().join(format!("{SERVICE}-1.log")))?;
    let line = log
        .lines()
        .find(|line| line.contains("says something else"))
        .unwrap_or_default();
    let printed: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
    anyhow::ensure!(
        printed == ["revision = 4", "canbao source accept public-security.<city> --reread"],
        "{line}"
    );
    std::fs::write(&file, changed.replace("revision = 3", printed[0]))?;
    servers.services.start((SERVICE, 1))?;
    Register::run_printed(servers, &format!("`{}`", printed[1].replace("<city>", "3208")), "--reread")?;
    register.is(servers, &[(0, Some("no address"))]).await
}

/// Partitions are raised; before it is accepted keys move to the new one, and between old ones. Then everything is read again, each way.
async fn partitions_added(servers: &mut Servers) -> anyhow::Result<()> {
    let register = Register::make(servers, 3201, 2).await?;
    for key in 0..6 {
        register.put(0, key, "old street")?;
    }
    register.put(1, 6, "old street")?;
    register
        .is(servers, &(0..7).map(|key| (key, Some("old street"))).collect::<Vec<_>>())
        .await?;
    register.raise(3).await?;
    register.put(2, 0, "new street")?;
    register.delete(2, 1)?;
    let held = register.held(servers).await?;
    anyhow::ensure!(held.contains("3 partitions and 2 are recorded"), "{held}");
    register.put(1, 2, "new street")?;
    Register::run_printed(servers, &held, "")?;
    let after = [
        (0, Some("new street")),
        (1, None),
        (2, Some("new street")),
        (3, Some("old street")),
        (6, Some("old street")),
    ];
    register.is(servers, &after).await?;
    for option in ["--reread", "--restart", "--reread", "--restart", "--repartitioned"] {
        register.accept(servers, option)?;
        register.rest(servers).await?;
        register.is(servers, &after).await?;
    }
    register.put(0, 3, "new street")?;
    register.is(servers, &[(3, Some("new street"))]).await
}

/// The count stays, and yet a key comes in another partition, at a lower offset.
async fn key_in_a_second_partition(servers: &mut Servers) -> anyhow::Result<()> {
    let register = Register::make(servers, 3202, 2).await?;
    for key in 0..6 {
        register.put(0, key, "old street")?;
    }
    register.is(servers, &[(5, Some("old street"))]).await?;
    register.put(1, 5, "new street")?;
    let held = register.held(servers).await?;
    anyhow::ensure!(held.contains("in a second partition"), "{held}");
    Register::run_printed(servers, &held, "--repartitioned")?;
    register
        .is(servers, &[(5, Some("new street")), (0, Some("old street"))])
        .await?;
    register.put(1, 4, "new street")?;
    register.is(servers, &[(4, Some("new street"))]).await
}

/// A connector is set up anew with another converter: every key has other bytes, and with them another partition.
async fn keys_written_otherwise(servers: &mut Servers) -> anyhow::Result<()> {
    let register = Register::make(servers, 3212, 3).await?;
    for key in 0..6 {
        register.put(i32::from(key % 3), key, "old street")?;
    }
    register.is(servers, &[(5, Some("old street"))]).await?;
    for key in 0..5 {
        register.put_with_schema(i32::from((key + 1) % 3), key, "new street")?;
    }
    let held = register.held(servers).await?;
    anyhow::ensure!(held.contains("in a second partition"), "{held}");
    Register::run_printed(servers, &held, "--repartitioned")?;
    register.rest(servers).await?;
    let after: Vec<(u16, Option<&str>)> = (0..6)
        .map(|key| (key, Some(if key < 5 { "new street" } else { "old street" })))
        .collect();
    register.is(servers, &after).await
}

/// The topic is deleted and made again under the running normaliser, with fewer or more messages than it had read.
async fn created_anew(servers: &mut Servers, city: u16, messages: u16) -> anyhow::Result<()> {
    let mut register = Register::make(servers, city, 1).await?;
    for key in 0..5 {
        register.put(0, key, "old street")?;
    }
    register
        .is(servers, &[(0, Some("old street")), (4, Some("old street"))])
        .await?;
    register.rest(servers).await?;
    register.make_again(1).await?;
    for key in 0..messages {
        register.put(0, key, "new street")?;
    }
    let held = register.held(servers).await?;
    Register::run_printed(servers, &held, "--restart")?;
    let after: Vec<(u16, Option<&str>)> = (0..messages.max(5))
        .map(|key| (key, Some(if key < messages { "new street" } else { "old street" })))
        .collect();
    register.is(servers, &after).await?;
    register.put(0, 0, "newest street")?;
    register.is(servers, &[(0, Some("newest street"))]).await?;
    anyhow::ensure!(servers.services.runs((SERVICE, 1))?, "the normaliser had to be restarted");
    Ok(())
}

/// More rows than policy tolerates cannot be read; what stands there is accepted once, what comes after is counted anew.
async fn dead_letters(servers: &mut Servers) -> anyhow::Result<()> {
    let register = Register::make(servers, 3205, 1).await?;
    for key in 0..20 {
        register.spoil(0, key)?;
    }
    register.put(0, 20, "street")?;
    let held = register.held(servers).await?;
    anyhow::ensure!(held.contains("could not be read"), "{held}");
    Register::run_printed(servers, &held, "")?;
    register.is(servers, &[(20, Some("street"))]).await?;
    register.rest(servers).await?;
    anyhow::ensure!(
        register.dead_letters(servers)? == 20,
        "each unreadable row is one dead letter"
    );
    Ok(())
}

/// What is committed is no longer there, or not there yet.
async fn offsets_out_of_range(servers: &mut Servers) -> anyhow::Result<()> {
    let (expired, ahead) = (
        Register::make(servers, 3206, 1).await?,
        Register::make(servers, 3207, 1).await?,
    );
    for register in [&expired, &ahead] {
        for key in 0..4 {
            register.put(0, key, "old street")?;
        }
        register.rest(servers).await?;
    }
    servers.services.scale(SERVICE, 0)?;
    for key in 0..4 {
        expired.put(0, key, "new street")?;
    }
    expired.remove_below(0, 6).await?;
    ahead.commit(0, 99)?;
    servers.services.scale(SERVICE, 1)?;
    let held = expired.held(servers).await?;
    Register::run_printed(servers, &held, "--reread")?;
    expired
        .is(
            servers,
            &[(1, Some("old street")), (2, Some("new street")), (3, Some("new street"))],
        )
        .await?;
    let held = ahead.held(servers).await?;
    Register::run_printed(servers, &held, "--restart")?;
    ahead.put(0, 0, "new street")?;
    ahead.is(servers, &[(0, Some("new street")), (3, Some("old street"))]).await
}
