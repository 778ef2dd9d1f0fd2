//! Years of a connector's life, one event after the other, on real databases with real connectors and Canbao's services. After each event
//! whoever is concerned does what compose/connect/README.md and Canbao itself say; then the base must be what the tables say, and no more
//! was told than follows from them.

mod columns;
mod loads;
mod logs;
mod reading;
mod remedies;
mod rows;
mod topics;

use super::rig::{self, CITY, Connectors, Database, PATIENCE, ROUND, now};
use anyhow::{Context, ensure};
use domain::date::{Day, Timestamp};
use domain::ids::EventId;
use domain::source::Source;
use integration_tests::on_demand::number;
use integration_tests::servers::Servers;
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message as _;
use reading::{Held, Open, Reading};
use runtime::statements::{GoLiveRegion, Statement};
use schemas::event::{AlertEvent, decode};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(200);

/// Every event; what was seen.
///
/// # Errors
/// Says which event went otherwise.
pub async fn every_event_of_a_life() -> anyhow::Result<String> {
    let mut life = Life::begin().await?;
    let ran = events(&mut life).await;
    let ended = life.servers.services.stop();
    life.connectors.remove()?;
    let logs = life.servers.services.logs().display().to_string();
    ran.with_context(|| format!("after {:?}; logs in {logs}", life.past))?;
    ended?;
    let told: usize = life.told.len();
    Ok(format!(
        "{} events, {told} alerts, all of them as the tables say",
        life.past.len()
    ))
}

async fn events(life: &mut Life) -> anyhow::Result<()> {
    loads::a_first_snapshot_is_interrupted(life).await?;
    life.go_live().await?;
    rows::rows_change(life).await?;
    rows::keys_change(life).await?;
    rows::replica_identity_changes(life).await?;
    columns::columns_are_added_and_widened(life).await?;
    loads::a_table_is_truncated_and_loaded(life).await?;
    loads::a_signal_asks_for_rows(life).await?;
    columns::a_column_is_renamed(life).await?;
    columns::a_column_is_dropped(life).await?;
    columns::decimals_come_otherwise(life).await?;
    topics::partitions_are_added(life).await?;
    logs::slot_and_log_are_lost(life).await?;
    logs::databases_are_put_back(life).await
}

/// The rig, and what is known of what happened.
pub struct Life {
    servers: Servers,
    sources: Vec<Source>,
    connectors: Connectors,
    day: Day,
    reading: Reading,
    /// The dialects in force, a folder each agency.
    dialects: PathBuf,
    /// What the tables came to after the last event.
    known: Option<Held>,
    /// Alerts told so far.
    told: BTreeSet<EventId>,
    /// Rows of completeness that civil affairs has written.
    batches: u32,
    past: Vec<&'static str>,
}

impl Life {
    /// The databases with a first load, and the servers; neither connectors nor services run.
    async fn begin() -> anyhow::Result<Self> {
        let (mut servers, sources) = rig::servers("debezium-life").await?;
        servers.reset(1).await?;
        let connectors = Connectors::new(&servers)?;
        // A batch is complete to the end of its day at most. One day for all, also where midnight lies between.
        let day = now()?.day_in_shanghai();
        let databases = connectors.start()?;
        let mut simulator = servers.services.command("simulator", "simulator")?;
        simulator.args([
            "--kafka",
            &std::env::var("CANBAO_KAFKA")?,
            "--cities",
            CITY,
            "--today",
            &day.to_string(),
        ]);
        simulator.args([
            "--residents",
            &number("DEBEZIUM")?.context("residents of the province")?.to_string(),
        ]);
        ensure!(
            simulator.args(&databases).arg("--snapshot-only").status()?.success(),
            "the simulation failed, see simulator.log"
        );
        let dialects = servers.services.logs().join("dialects");
        let mut life = Self {
            servers,
            sources,
            connectors,
            day,
            reading: Reading::new(day)?,
            dialects,
            known: None,
            told: BTreeSet::new(),
            batches: 0,
            past: Vec::new(),
        };
        life.copy_dialects()?;
        life.make_signal_topics().await?;
        Ok(life)
    }

    /// The operators' own copies of the dialects, which they will change.
    fn copy_dialects(&mut self) -> anyhow::Result<()> {
        let services = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../services");
        let mut folders = Vec::new();
        for of in [Database::Ga, Database::Mz, Database::Hr] {
            let folder = self.dialects.join(of.agency());
            std::fs::create_dir_all(&folder)?;
            for file in std::fs::read_dir(services.join(of.agency()).join("dialects"))? {
                let file = file?;
                std::fs::copy(file.path(), folder.join(file.file_name()))?;
            }
            folders.push(folder.display().to_string());
        }
        self.servers.services.share("CANBAO_DIALECTS", folders.join(":"));
        for (name, value) in [
            ("CANBAO_NORMALISER__ACCEPT_REFRESH_MILLIS", "200"),
            // As delivered, but for the number of rows below which nothing is held: these tables are small.
            ("CANBAO_NORMALISER__DEAD_LETTER_SHARE", "0.05"),
            ("CANBAO_NORMALISER__DEAD_LETTER_MINIMUM", "3"),
        ] {
            self.servers.services.share(name, value.to_owned());
        }
        Ok(())
    }

    /// A topic of one partition for each connector's signals.
    async fn make_signal_topics(&self) -> anyhow::Result<()> {
        let topics: Vec<String> = self
            .sources
            .iter()
            .map(|source| format!("connect.signals.{source}"))
            .collect();
        let new: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|topic| NewTopic::new(topic, 1, TopicReplication::Fixed(1)))
            .collect();
        for made in topics::admin()?.create_topics(&new, &AdminOptions::new()).await? {
            // Of an earlier run.
            made.or_else(|(topic, error)| match error {
                RDKafkaErrorCode::TopicAlreadyExists => Ok(topic),
                _ => Err(anyhow::anyhow!("{topic}: {error}")),
            })?;
        }
        Ok(())
    }

    /// How many enrolments the holder of a number has in the base.
    async fn enrolments(&self, number: &str) -> anyhow::Result<i64> {
        let count = "select count(*) from base.enrolment join base.person using (person_id) where number = $1";
        Ok(sqlx::query_scalar(count).bind(number).fetch_one(&self.servers.pool).await?)
    }

    async fn go_live(&mut self) -> anyhow::Result<()> {
        self.servers.state(&Statement::GoLive(GoLiveRegion::All)).await?;
        self.is_as_tables("go-live").await
    }

    fn sql(&self, of: Database, statements: &str) -> anyhow::Result<Vec<String>> {
        self.connectors.sql(of, statements)
    }

    /// The number of messages in a topic of a source.
    fn messages(&self, topic: &str) -> anyhow::Result<usize> {
        Ok(self.servers.read_all(|name| name == topic)?.len())
    }

    /// Waits until a condition holds.
    async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self)? {
            ensure!(Instant::now() < deadline, "waited in vain: {what}");
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Civil affairs writes the row that closes a load.
    fn close_batch(&mut self) -> anyhow::Result<()> {
        self.batches += 1;
        let (id, day) = (1_000_000 + self.batches, self.day);
        let row = format!("insert into batch_control values ({id}, '{day}', 0, now(6))");
        self.sql(Database::Mz, &row).map(drop)
    }

    /// Waits until every source is complete up to now, nothing waits to be told and nothing is under way.
    async fn rest(&mut self) -> anyhow::Result<()> {
        let left = "select (select count(*) from store.outbox) + (select count(*) from store.pending) + (select count(*) from store.pass)";
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.complete(deadline).await?;
            if sqlx::query_scalar::<_, i64>(left).fetch_one(&self.servers.pool).await? == 0 {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "something waits to be told or sent");
        }
    }

    async fn complete(&mut self, deadline: Instant) -> anyhow::Result<()> {
        // Less what the policy tolerates of their clocks.
        let until = Timestamp(now()?.0 - 500);
        loop {
            self.close_batch()?;
            let again = Instant::now() + ROUND;
            let mut missing = self.sources.clone();
            while !missing.is_empty() && Instant::now() < again {
                self.servers.services.check_alive()?;
                tokio::time::sleep(LOOK).await;
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

    /// Waits until the base is what the tables say. What was told since the last event must be what changed in them.
    async fn is_as_tables(&mut self, event: &'static str) -> anyhow::Result<()> {
        let began = Instant::now();
        let deadline = began + PATIENCE;
        let expected = loop {
            self.rest().await.context(event)?;
            let expected = self.reading.held(&self.connectors)?;
            let rows = sqlx::query_scalar::<_, String>(reading::IN_BASE).fetch_all(&self.servers.pool);
            let found: BTreeSet<String> = rows.await?.into_iter().collect();
            let differ: Vec<&String> = found.symmetric_difference(&expected.lines).collect();
            if differ.is_empty() {
                break expected;
            }
            ensure!(Instant::now() < deadline, "{event}: {}", shown(&differ, &found));
        };
        self.is_justified(event, &expected)?;
        self.known = Some(expected);
        ensure!(
            self.servers.services.canbao(&["verify", "--wait", "60"])?,
            "{event}: canbao verify found a difference, see canbao.log"
        );
        self.past.push(event);
        writeln_now(&format!("{event}: {} s", began.elapsed().as_secs()))
    }

    /// Nothing was told since the last event.
    fn is_silent(&mut self, event: &str) -> anyhow::Result<()> {
        let known = self.known.take().context("an event before")?;
        let silent = self.is_justified_by(event, &known.open, &known.open);
        self.known = Some(known);
        silent
    }

    /// What was told since the last event: openings of what is open now and was not, clearings of what was open and is not.
    fn is_justified(&mut self, event: &str, now: &Held) -> anyhow::Result<()> {
        // Before go-live nothing is told, whatever is open.
        let before = self
            .known
            .as_ref()
            .map_or_else(|| now.open.clone(), |known| known.open.clone());
        self.is_justified_by(event, &before, &now.open)
    }

    fn is_justified_by(&mut self, event: &str, before: &Open, now: &Open) -> anyhow::Result<()> {
        let mut heard: BTreeMap<&str, usize> = BTreeMap::new();
        for message in self.servers.read_all(|topic| topic.starts_with("alerts."))? {
            let alert: AlertEvent = decode(message.payload().context("an alert without a value")?)?;
            if !self.told.insert(alert.event_id) {
                continue;
            }
            let (was, is) = (before.contains_key(&alert.finding_id), now.contains_key(&alert.finding_id));
            let justified = match alert.action.as_str() {
                "clear" => was && !is,
                "open" => is && !was,
                _ => is && was,
            };
            let (action, rule) = (alert.action.as_str(), alert.rule.as_str());
            ensure!(
                justified,
                "{event}: told wrongly: {action} {rule} (open before: {was}, open now: {is})"
            );
            *heard.entry(action).or_default() += 1;
        }
        let differs = |one: &Open, other: &Open| one.keys().filter(|id| !other.contains_key(*id)).count();
        let told = |action| heard.get(action).copied().unwrap_or(0);
        ensure!(
            (told("open"), told("clear")) == (differs(now, before), differs(before, now)),
            "{event}: {} were opened and {} cleared, told was {heard:?}",
            differs(now, before),
            differs(before, now)
        );
        Ok(())
    }
}

/// Where they differ. Everybody here is invented.
fn shown(differ: &[&String], found: &BTreeSet<String>) -> String {
    let line = |line: &&&String| {
        format!(
            "{} {line}",
            if found.contains(**line) {
                "in the base:"
            } else {
                "in the tables:"
            }
        )
    };
    // Some hold large values.
    let cut = |line: String| line.chars().take(240).collect::<String>();
    let lines: Vec<String> = differ.iter().take(6).map(|differing| cut(line(&differing))).collect();
    format!("{} lines differ, the first:\n{}", differ.len(), lines.join("\n"))
}

/// Says at once how far it has come: it takes long.
fn writeln_now(line: &str) -> anyhow::Result<()> {
    use std::io::Write;
    Ok(writeln!(std::io::stdout(), "  {line}")?)
}
