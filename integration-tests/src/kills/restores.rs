//! Restores under load: an older backup, and the source log alone. The command is the one that the refusing service prints.

use super::crew::Crew;
use super::{VOLUME, begin, rest};
use crate::servers::Servers;
use crate::shuffles::dump::{Dump, dump};
use anyhow::{Context, ensure};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a service may take to notice that it must not work.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long changes go on between two steps.
const CHANGES: Duration = Duration::from_secs(4);

/// Restores in three ways and compares what they end in; returns a summary in a line.
///
/// # Errors
/// The first thing that does not hold.
pub async fn restore(servers: &mut Servers, seed: u64) -> anyhow::Result<String> {
    let load = begin(servers, VOLUME, seed).await?;
    let backup = servers.services.logs().join("backup");
    let mut crew = Crew::new(servers);
    crew.wait(CHANGES).await?;
    crew.servers.worked_off().await?;
    crew.servers.back_up(&backup)?;
    crew.say("backed up; changes go on");
    crew.wait(CHANGES).await?;
    ensure!(
        !crew.servers.services.canbao(&["restore"])?,
        "canbao restore must refuse while services run"
    );
    put_back(&mut crew, &backup).await?;
    crew.wait(CHANGES).await?;
    load.finish()?;
    let under_load = at_rest(&mut crew).await?;

    crew.say("the same backup once more, which does not know of the restore");
    put_back(&mut crew, &backup).await?;
    let from_backup = at_rest(&mut crew).await?;
    same(&from_backup, &under_load).context("restored from the backup again")?;

    crew.say("from the source log alone");
    stop(&mut crew)?;
    ensure!(
        crew.servers.services.canbao(&["restore", "--from-log"])?,
        "canbao restore --from-log failed, see canbao.log"
    );
    let from_log = at_rest(&mut crew).await?;
    same(&from_log, &under_load).context("made anew from the source log")?;
    let checked = rest::check(&mut crew).await?;
    Ok(format!(
        "3 restores: zero differences, one base; {} log rows, {} persons, {} findings open and announced, {} alerts, each once",
        checked.log, checked.persons, checked.open, checked.alerts
    ))
}

fn stop(crew: &mut Crew<'_>) -> anyhow::Result<()> {
    for replica in crew.servers.services.all() {
        crew.servers.services.kill(replica)?;
    }
    Ok(())
}

/// Loses the database and puts the backup back; runs what the registry then says is to be run.
async fn put_back(crew: &mut Crew<'_>, backup: &Path) -> anyhow::Result<()> {
    stop(crew)?;
    crew.servers.put_back(backup).await?;
    let registry = ("registry", 1);
    crew.last_words(registry);
    crew.servers.services.start(registry)?;
    let deadline = Instant::now() + PATIENCE;
    while crew.servers.services.runs(registry)? {
        ensure!(Instant::now() < deadline, "the registry works on a base that is behind");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    crew.servers.services.ended()?;
    let said = crew.last_words(registry);
    let command = said.split('`').find_map(|words| words.strip_prefix("canbao "));
    let command = command.with_context(|| format!("the registry names no command: {said}"))?;
    crew.say(&format!("the registry refuses: {said}"));
    let arguments: Vec<&str> = command.split(' ').collect();
    ensure!(
        crew.servers.services.canbao(&arguments)?,
        "`canbao {command}` failed, see canbao.log"
    );
    crew.say(&format!("`canbao {command}`; the services start"));
    Ok(())
}

async fn at_rest(crew: &mut Crew<'_>) -> anyhow::Result<Dump> {
    rest::come(crew).await?;
    // Who is published again is worked off behind the logs.
    crew.servers.worked_off().await?;
    rest::come(crew).await?;
    ensure!(
        crew.servers.services.canbao(&["verify", "--wait", "90"])?,
        "canbao verify found a difference, see canbao.log"
    );
    dump(crew.servers).await
}

fn same(found: &Dump, expected: &Dump) -> anyhow::Result<()> {
    let differences = found.differences(expected);
    ensure!(differences.is_empty(), "the base differs: {differences:?}");
    Ok(())
}
