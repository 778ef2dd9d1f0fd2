//! One simulated city, published as its topics would be, and through real databases (PostgreSQL, MariaDB) and Debezium's connectors: the
//! base, its ids, what is open and what was told must be the same.

use super::rig::{self, CITY, Connectors, PATIENCE, ROUND, now};
use anyhow::{Context, ensure};
use domain::date::{Day, Timestamp};
use domain::source::Source;
use integration_tests::on_demand::number;
use integration_tests::servers::Servers;
use rdkafka::message::Message as _;
use runtime::statements::{GoLiveRegion, Statement};
use schemas::event::{AlertEvent, decode};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The city, published directly and through connectors; what was compared.
///
/// # Errors
/// Says what differs.
pub async fn one_base_by_both_ways() -> anyhow::Result<String> {
    let residents = number("DEBEZIUM")?.context("residents of the province")?;
    let (servers, sources) = rig::servers("debezium").await?;
    let connectors = Connectors::new(&servers)?;
    let mut city = City {
        servers,
        sources,
        residents,
        // A batch is complete to the end of its day at most. One day for both, also where midnight lies between them.
        today: now()?.day_in_shanghai(),
    };

    // Whoever was here before has left topics.
    city.servers.reset(1).await?;
    let directly = city.live(None).await.context("published directly")?;
    city.servers.reset(1).await?;
    let connected = city.live(Some(&connectors)).await.context("through connectors")?;
    let ended = city.servers.services.stop();
    connectors.remove()?;
    ended?;
    let told: usize = directly.lines.iter().filter(|line| line.starts_with("alert ")).count();
    ensure!(told > 0, "nothing was told: {residents} residents are too few");
    compare(&directly, &connected)?;
    Ok(format!(
        "{} lines of two bases are the same, {told} of them alerts",
        directly.lines.len()
    ))
}

/// What a base holds and what was told, a line each, without positions and times.
struct Outcome {
    lines: BTreeSet<String>,
}

fn compare(one: &Outcome, other: &Outcome) -> anyhow::Result<()> {
    let differ: Vec<&String> = one.lines.symmetric_difference(&other.lines).collect();
    // Everybody here is invented.
    let shown: Vec<String> = differ
        .iter()
        .take(6)
        .map(|line| {
            format!(
                "{} {line}",
                if one.lines.contains(*line) {
                    "directly:"
                } else {
                    "through connectors:"
                }
            )
        })
        .collect();
    ensure!(
        differ.is_empty(),
        "{} lines differ, the first:\n{}",
        differ.len(),
        shown.join("\n")
    );
    Ok(())
}

struct City {
    servers: Servers,
    sources: Vec<Source>,
    residents: u64,
    today: Day,
}

impl City {
    /// A first load, go-live, changes; what it came to.
    async fn live(&mut self, connectors: Option<&Connectors>) -> anyhow::Result<Outcome> {
        let databases = connectors.map_or_else(|| Ok(Vec::new()), Connectors::start)?;
        self.simulate(&databases, &["--snapshot-only"])?;
        if let Some(connectors) = connectors {
            connectors.connect()?;
        }
        self.servers.begin_services().await?;
        let day = self.today;
        self.servers.state(&Statement::BusinessDate { day, confirmed: true }).await?;
        self.state_completeness(&databases, 0).await.context("the first load")?;
        self.servers.state(&Statement::GoLive(GoLiveRegion::All)).await?;
        self.simulate(&databases, &["--resume-after=0", "--changes=4000", "--changes-per-second=0"])?;
        if let Some(connectors) = connectors {
            // A worker that dies repeats what it had not noted, whatever of it was delivered.
            connectors.disconnect(true)?;
            self.simulate(
                &databases,
                &["--resume-after=4000", "--changes=2000", "--changes-per-second=0"],
            )?;
            connectors.connect()?;
        } else {
            self.simulate(
                &databases,
                &["--resume-after=4000", "--changes=2000", "--changes-per-second=0"],
            )?;
        }
        self.settle(&databases).await?;
        ensure!(
            self.servers.services.canbao(&["verify", "--wait", "60"])?,
            "canbao verify found a difference, see canbao.log"
        );
        self.outcome().await
    }

    fn simulate(&self, databases: &[String], further: &[&str]) -> anyhow::Result<()> {
        let mut command = self.servers.services.command("simulator", "simulator")?;
        let kafka = std::env::var("CANBAO_KAFKA")?;
        command.args([
            "--kafka",
            &kafka,
            "--cities",
            CITY,
            "--today",
            &self.today.to_string(),
            "--residents",
            &self.residents.to_string(),
        ]);
        let ended = command.args(databases).args(further).status()?;
        ensure!(ended.success(), "the simulation {further:?} failed, see simulator.log");
        Ok(())
    }

    /// Lets rows of completeness follow what has come so far until every shard has heard of every source that it is complete up to now.
    async fn state_completeness(&mut self, databases: &[String], changes: u32) -> anyhow::Result<()> {
        // Less what the policy tolerates of their clocks.
        let until = Timestamp(now()?.0 - 500);
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.simulate(databases, &[&format!("--resume-after={changes}"), "--changes=0"])?;
            let again = Instant::now() + ROUND;
            let mut missing = self.sources.clone();
            while !missing.is_empty() && Instant::now() < again {
                self.servers.services.check_alive()?;
                tokio::time::sleep(Duration::from_millis(200)).await;
                missing = rig::incomplete(&self.servers, &self.sources, until).await?;
            }
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                anyhow::bail!("not complete: {}", self.servers.why(&missing).await?);
            }
        }
    }

    /// Waits until nothing is left to be told. Facts are timed by their append to `person.records`: what came there behind a row of
    /// completeness waits for the next one.
    async fn settle(&mut self, databases: &[String]) -> anyhow::Result<()> {
        self.state_completeness(databases, 6000).await.context("the changes")?;
        self.servers.worked_off().await?;
        let deadline = Instant::now() + PATIENCE;
        let left = "select (select count(*) from store.outbox) + (select count(*) from store.pending)";
        while sqlx::query_scalar::<_, i64>(left).fetch_one(&self.servers.pool).await? > 0 {
            ensure!(Instant::now() < deadline, "something waits to be told or sent");
            self.state_completeness(databases, 6000).await?;
        }
        Ok(())
    }

    async fn outcome(&self) -> anyhow::Result<Outcome> {
        let mut lines = BTreeSet::new();
        for view in ["person", "enrolment", "finding", "alias"] {
            let rows = format!("select '{view} ' || (to_jsonb(v) - 'revision')::text from base.{view} v");
            let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(rows))
                .fetch_all(&self.servers.pool)
                .await?;
            ensure!(view == "alias" || !rows.is_empty(), "base.{view} is empty");
            lines.extend(rows);
        }
        // What happened between two rows of completeness is told as it stood at the second: how often depends on when those came. The
        // last word on each finding does not.
        let mut last: BTreeMap<String, (u32, String)> = BTreeMap::new();
        for message in self.servers.read_all(|topic| topic.starts_with("alerts."))? {
            let alert: AlertEvent = decode(message.payload().context("an alert without a value")?)?;
            let state = if alert.action.as_str() == "clear" { "cleared" } else { "open" };
            let word = format!("alert {} {} {}: {state}", alert.finding_id, alert.rule.as_str(), alert.city);
            let known = last.entry(alert.finding_id.to_string()).or_insert((0, String::new()));
            if alert.revision >= known.0 {
                *known = (alert.revision, word);
            }
        }
        lines.extend(
            last.into_values()
                .map(|(_, word)| word)
                .filter(|word| word.ends_with(": open")),
        );
        Ok(Outcome { lines })
    }
}
