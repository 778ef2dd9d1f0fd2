//! What must hold at rest, whatever was killed on the way there.

use super::crew::Crew;
use crate::servers::{Servers, TESTER};
use anyhow::{Context, bail, ensure};
use domain::ids::FindingId;
use domain::release::{Cause, EventKind};
use rdkafka::message::Message as _;
use schemas::event::{AlertEvent, FindingState, FindingStatus, decode};
use sqlx::Row;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long the way to rest may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often a source repeats that it is complete: the clock may have been away.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What was checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checked {
    /// Rows of the source log.
    pub(crate) log: u64,
    /// Persons recomputed.
    pub(crate) persons: u64,
    /// Findings open, and announced as open.
    pub(crate) open: u64,
    /// Alerts that subscribers read.
    pub(crate) alerts: usize,
}

/// Waits until every source is complete, under supervision.
pub(crate) async fn come(crew: &mut Crew<'_>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let silent = BTreeSet::new();
    loop {
        let wanted = crew.servers.heartbeat(&silent)?;
        crew.servers.flush()?;
        let again = Instant::now() + HEARTBEAT;
        while Instant::now() < again {
            let missing = crew.servers.incomplete(&silent, wanted).await?;
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("not complete after {PATIENCE:?}: {}", crew.servers.why(&missing).await?);
            }
            crew.wait(Duration::from_millis(100)).await?;
        }
    }
}

/// Checks everything that is promised at rest; stops the services.
pub(crate) async fn check(crew: &mut Crew<'_>) -> anyhow::Result<Checked> {
    let checked = verify(crew.servers)?;
    nothing_waits(crew.servers).await?;
    let alerts = told(crew.servers).await?;
    crew.servers.services.stop()?;
    nothing_is_left(crew.servers).await?;
    Ok(Checked { alerts, ..checked })
}

fn verify(servers: &Servers) -> anyhow::Result<Checked> {
    let mut command = servers.services.command("canbao", "canbao")?;
    let output = command
        .args(["--format", "json", "verify", "--wait", "90"])
        .stdout(std::process::Stdio::piped())
        .output()?;
    std::fs::write(servers.services.logs().join("verify.json"), &output.stdout)?;
    ensure!(
        output.status.success(),
        "canbao verify: {}, see verify.json and canbao.log",
        output.status
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).context("the report of canbao verify")?;
    let number = |path: &str| {
        let value = report.pointer(path).and_then(serde_json::Value::as_u64);
        value.with_context(|| format!("the report lacks {path}"))
    };
    for path in [
        "/rest/messages",
        "/rest/due",
        "/rest/outbox",
        "/rest/pending",
        "/announced/waiting",
    ] {
        ensure!(number(path)? == 0, "at rest, verify says of {path}: {}", number(path)?);
    }
    let (open, told) = (number("/announced/open")?, number("/announced/told")?);
    ensure!(
        open == told,
        "{open} findings are open in live regions and {told} are announced"
    );
    Ok(Checked {
        log: number("/base/log_rows")?,
        persons: number("/base/persons")?,
        open,
        alerts: 0,
    })
}

/// With the services at work, but at rest.
async fn nothing_waits(servers: &Servers) -> anyhow::Result<()> {
    for (what, query) in [
        (
            "transactions that are idle",
            "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'
               and state_change < now() - interval '3 seconds'",
        ),
        ("locks that are waited for", "select count(*) from pg_locks where not granted"),
        ("messages between shards", "select count(*) from store.message"),
        ("rows in the outbox", "select count(*) from store.outbox"),
    ] {
        let count: i64 = sqlx::query_scalar(query).fetch_one(&servers.pool).await?;
        ensure!(count == 0, "at rest, and {count} {what}");
    }
    Ok(())
}

/// With the services gone.
async fn nothing_is_left(servers: &Servers) -> anyhow::Result<()> {
    let others = "select count(*) from pg_stat_activity
                  where datname = current_database() and backend_type = 'client backend' and application_name <> $1";
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let sessions: i64 = sqlx::query_scalar(others).bind(TESTER).fetch_one(&servers.pool).await?;
        if sessions == 0 {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "the services have gone, and {sessions} sessions of theirs have not"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for (what, query) in [
        ("prepared transactions", "select count(*) from pg_prepared_xacts"),
        (
            "locks of others",
            "select count(*) from pg_locks l join pg_stat_activity a using (pid)
             where l.database = (select oid from pg_database where datname = current_database())
               and a.backend_type = 'client backend' and a.application_name <> 'canbao-tests'",
        ),
    ] {
        let count: i64 = sqlx::query_scalar(query).fetch_one(&servers.pool).await?;
        ensure!(count == 0, "the services have gone, and {count} {what} are left");
    }
    Ok(())
}

/// What subscribers know of a finding.
type Known = BTreeMap<FindingId, (u32, bool)>;

/// Alerts and findings against what the base has announced; how many alerts there are.
async fn told(servers: &Servers) -> anyhow::Result<usize> {
    let mut alerts: BTreeMap<FindingId, BTreeMap<u32, EventKind>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for message in servers.read_all(|topic| topic.starts_with("alerts."))? {
        let alert: AlertEvent = decode(message.payload().context("an alert without a value")?)?;
        ensure!(ids.insert(alert.event_id), "event {} was told twice", alert.event_id);
        ensure!(alert.cause != Cause::Baseline, "a baseline was told as an alert");
        let revisions = alerts.entry(alert.finding_id).or_default();
        ensure!(
            revisions.insert(alert.revision, alert.action).is_none(),
            "revision {} of {} was told twice",
            alert.revision,
            alert.finding_id
        );
    }
    let (mut folded, mut baseline) = (Known::new(), BTreeSet::new());
    for message in servers.read_all(|topic| topic == "findings")? {
        let state: FindingState = decode(message.payload().context("a finding without a value")?)?;
        if state.cause == Cause::Baseline {
            baseline.insert(state.finding_id);
        }
        let last = folded.insert(state.finding_id, (state.revision, state.state == FindingStatus::Open));
        ensure!(
            last.is_none_or(|(revision, _)| revision + 1 == state.revision),
            "`findings` tells revision {} of {} after {last:?}",
            state.revision,
            state.finding_id
        );
    }
    for (finding, revisions) in &alerts {
        alternates(revisions, baseline.contains(finding)).with_context(|| format!("what was told of {finding}"))?;
        let last = revisions.last_key_value();
        let state = last.map(|(revision, kind)| (*revision, *kind != EventKind::Clear));
        ensure!(
            folded.get(finding).copied() == state,
            "`findings` says {:?} of {finding}, the last alert {state:?}",
            folded.get(finding)
        );
    }
    let only_state = folded
        .keys()
        .find(|finding| !alerts.contains_key(finding) && !baseline.contains(finding));
    ensure!(only_state.is_none(), "{only_state:?} has a state and was never told");
    let announced = announced(servers).await?;
    if folded != announced {
        let differs = |finding: &&FindingId| folded.get(finding) != announced.get(finding);
        let some: Vec<String> = folded
            .keys()
            .chain(announced.keys())
            .filter(differs)
            .take(5)
            .map(|finding| format!("{finding}: {:?} and {:?}", folded.get(finding), announced.get(finding)))
            .collect();
        bail!("`findings` folds to something else than the base has announced: {some:?}");
    }
    Ok(ids.len())
}

/// Dense revisions; open, amend*, clear, and so on.
fn alternates(revisions: &BTreeMap<u32, EventKind>, baseline: bool) -> anyhow::Result<()> {
    let mut open = baseline;
    for (due, (revision, kind)) in (if baseline { 2 } else { 1 }..).zip(revisions) {
        ensure!(due == *revision, "revision {revision} follows where {due} is due");
        ensure!(
            open == (*kind != EventKind::Open),
            "revision {revision} says {}",
            kind.as_str()
        );
        open = *kind != EventKind::Clear;
    }
    Ok(())
}

async fn announced(servers: &Servers) -> anyhow::Result<Known> {
    let mut known = Known::new();
    for row in sqlx::query("select finding, revision, open from store.announced")
        .fetch_all(&servers.pool)
        .await?
    {
        let finding = FindingId::from_slice(row.try_get("finding")?).context("a finding's id")?;
        let revision = u32::try_from(row.try_get::<i32, _>("revision")?)?;
        let state = (revision, row.try_get("open")?);
        // A person who came from another shard has left a row there; the newest is what was told last.
        known
            .entry(finding)
            .and_modify(|known: &mut (u32, bool)| *known = (*known).max(state))
            .or_insert(state);
    }
    Ok(known)
}
