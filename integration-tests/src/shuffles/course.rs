//! A run on real servers: from the first message to a base at rest.

mod operator;

use super::dump::{self, Dump};
use super::plan::{BACKUP, LOSS, Plan};
use super::population::{Population, Row, RowKey, TODAY, parts, place};
use crate::encode::{Message, envelope};
use crate::servers::{Servers, topic_of};
use crate::traffic::Draw;
use anyhow::{bail, ensure};
use domain::date::Day;
use domain::input::SnapshotFloor;
use domain::source::{Source, TableName};
use runtime::normaliser::source_topic;
use runtime::statements::{self, GoLiveRegion, Outcome, Statement};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

/// The services that read the sources.
const NORMALISERS: [&str; 3] = ["public-security", "civil-affairs", "human-resources"];
/// How long a statement, or what follows from reading topics again, may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// Pieces in which messages are published, with a moment between them, so that sources overtake each other for real.
const PIECES: usize = 8;
/// That moment.
const MOMENT: Duration = Duration::from_millis(60);
/// Messages that a connector sends again at most.
const AGAIN: usize = 300;

/// Takes a run, perhaps the first on these servers, through them and writes down what the base then holds.
///
/// # Errors
/// When it is not what the function says, or a server does not answer.
pub(super) async fn run(
    servers: &mut Servers,
    population: &Population,
    plan: &Plan,
    first: bool,
    draw: &mut Draw,
) -> anyhow::Result<(Dump, Watch)> {
    let mut watch = Watch::start();
    // Servers that may be somebody else's are emptied only of what an earlier run has made; the first run takes them as they are.
    if !first || servers.private().is_some() {
        servers.reset(plan.partitions).await?;
    }
    watch.lap("reset");
    servers.services.scale("registry", plan.registries)?;
    for service in NORMALISERS {
        servers.services.scale(service, plan.normalisers)?;
        let settings = [("ACCEPT_REFRESH_MILLIS", "200"), ("TOPIC_REFRESH_MILLIS", "1000")];
        for (name, value) in settings {
            servers
                .services
                .set(service, &format!("CANBAO_NORMALISER__{name}"), Some(value));
        }
    }
    operator::begin_with_mapping(servers, plan.mapping)?;
    servers.begin(&population.tables).await?;
    watch.lap("begin");

    let mut course = Course {
        servers,
        plan,
        draw,
        standing: BTreeMap::new(),
        sent: BTreeMap::new(),
        tables: &population.tables,
        dropped: BTreeSet::new(),
        statements: Vec::new(),
        grown: None,
        reread: BTreeSet::new(),
    };
    if plan.live_first {
        course.go_live().await?;
        watch.lap("live");
    }
    course.publish_all(population).await?;
    watch.lap("publish");
    if !plan.live_first {
        course.go_live().await?;
        watch.lap("live");
    }
    course.statements_applied().await?;
    watch.lap("statements");
    let dump = course.settle(population).await?;
    watch.lap("settle");
    Ok((dump, watch))
}

/// How long each part of a run took.
pub(super) struct Watch {
    laps: Vec<(&'static str, Duration)>,
    since: Instant,
}

impl Watch {
    fn start() -> Self {
        Self {
            laps: Vec::new(),
            since: Instant::now(),
        }
    }

    fn lap(&mut self, what: &'static str) {
        self.laps.push((what, self.since.elapsed()));
        self.since = Instant::now();
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: Duration = self.laps.iter().map(|(_, took)| *took).sum();
        write!(f, "{:.1} s (", total.as_secs_f64())?;
        for (at, (what, took)) in self.laps.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{what} {:.1}", took.as_secs_f64())?;
        }
        f.write_str(")")
    }
}

struct Course<'a> {
    servers: &'a mut Servers,
    plan: &'a Plan,
    draw: &'a mut Draw,
    /// Rows as their sources have them.
    standing: BTreeMap<RowKey, Row>,
    /// What each connector has sent since its last snapshot began.
    sent: BTreeMap<Source, Vec<Message>>,
    /// Every topic.
    tables: &'a BTreeSet<(Source, String)>,
    /// Chains whose end is never told: the snapshot tells it.
    dropped: BTreeSet<String>,
    /// Statements that were made and not waited for.
    statements: Vec<i64>,
    /// The source whose topics have grown, until that is accepted.
    grown: Option<Source>,
    /// Sources that were to be read again since the backup.
    reread: BTreeSet<Source>,
}

impl Course<'_> {
    /// The business date, and news from here on: both need sources that are complete.
    async fn go_live(&mut self) -> anyhow::Result<()> {
        let day: Day = TODAY.parse()?;
        self.state(&Statement::BusinessDate { day, confirmed: false }).await?;
        self.servers.complete(&BTreeSet::new()).await?;
        self.state(&Statement::GoLive(GoLiveRegion::All)).await
    }

    async fn state(&mut self, statement: &Statement) -> anyhow::Result<()> {
        let id = statements::insert(&self.servers.pool, statement).await?;
        self.statements.push(id);
        Ok(())
    }

    async fn publish_all(&mut self, population: &Population) -> anyhow::Result<()> {
        let order = self.plan.order.arrange(&population.messages, self.draw);
        let length = order.len();
        let rewinds: BTreeSet<usize> = (0..self.plan.rewinds).map(|_| self.draw.below(length)).collect();
        let broken: BTreeSet<usize> = (0..self.plan.broken).map(|_| self.draw.below(length)).collect();
        let rereads: BTreeSet<usize> = (0..self.plan.rereads)
            .map(|_| length / 3 + self.draw.below(length / 2))
            .collect();
        let at_percent = |percent: usize| length * percent / 100;
        let snapshot = self.plan.snapshot.map(at_percent);
        let grows = self.plan.grows.map(at_percent);
        let policies = self.plan.policies.map(|policies| policies.map(at_percent));
        for (at, message) in order.iter().enumerate() {
            if let Some(nth) = policies.and_then(|policies| policies.iter().position(|place| *place == at)) {
                self.adopt_policy(nth).await?;
            }
            if at % (length / PIECES) == 0 {
                self.servers.flush()?;
                tokio::time::sleep(MOMENT).await;
                if grows != Some(at) {
                    self.accept_grown().await?;
                }
            }
            if let Some(restore) = self.plan.restore {
                if at == at_percent(BACKUP) {
                    self.back_up(restore)?;
                }
                if at == at_percent(LOSS) {
                    self.lose(restore).await?;
                }
            }
            if grows == Some(at) {
                self.grow().await?;
            }
            if rereads.contains(&at) {
                self.accept_again().await?;
            }
            if snapshot == Some(at) {
                self.snapshot(&order[at..]).await?;
            }
            if self.plan.mapping && at == length / 2 {
                self.accept_anew()?;
            }
            if self.dropped.contains(&message.chain) {
                continue;
            }
            if broken.contains(&at)
                && let Some(broken) = unreadable(message)?
            {
                self.publish(&broken)?;
            }
            self.publish(message)?;
            if rewinds.contains(&at) {
                self.rewind(message.source)?;
            }
        }
        if snapshot == Some(length) {
            self.snapshot(&[]).await?;
        }
        self.accept_grown().await?;
        self.servers.flush()
    }

    async fn statements_applied(&mut self) -> anyhow::Result<()> {
        for id in std::mem::take(&mut self.statements) {
            match statements::wait(&self.servers.pool, id, PATIENCE).await? {
                Some(Outcome::Applied) => {}
                Some(Outcome::Refused(reason)) => bail!("a statement was refused: {reason}"),
                None => bail!("a statement took longer than {PATIENCE:?}"),
            }
        }
        Ok(())
    }

    fn publish(&mut self, message: &Message) -> anyhow::Result<()> {
        self.servers.publish(message)?;
        self.sent.entry(message.source).or_default().push(message.clone());
        if let Some(parts) = parts(message)? {
            match parts.after {
                Some(after) => drop(self.standing.insert(place(message), after)),
                None => drop(self.standing.remove(&place(message))),
            }
        }
        Ok(())
    }

    /// A connector crashes, begins again at an earlier place and runs through.
    fn rewind(&mut self, source: Source) -> anyhow::Result<()> {
        let sent = self.sent.get(&source).map_or(&[][..], Vec::as_slice);
        let from = sent.len() - self.draw.below(AGAIN.min(sent.len()) + 1);
        sent[from..].iter().try_for_each(|message| self.servers.publish(message))
    }

    /// A connector reads its tables again, in whole. Some rows whose delete is all that is left to tell are gone before
    /// it is told: only the snapshot says so.
    async fn snapshot(&mut self, rest: &[&Message]) -> anyhow::Result<()> {
        // Rows in partitions that are not accepted yet are kept until the next snapshot: right, and another base than the function's.
        self.accept_grown().await?;
        let sources: Vec<Source> = self.sent.keys().copied().collect();
        let source = *self.draw.pick(&sources);
        let mut left: BTreeMap<&str, (bool, &Message)> = BTreeMap::new();
        for message in rest.iter().filter(|message| message.source == source) {
            let deletes = parts(message)?.is_none_or(|parts| parts.op == "d");
            left.entry(&message.chain).or_insert((true, message)).0 &= deletes;
        }
        for (chain, (_, message)) in left.into_iter().filter(|(_, (deletes, _))| *deletes) {
            // Employers are no records of persons: a snapshot says nothing of them.
            if message.table != "ab01" && self.draw.once_in(2) {
                self.dropped.insert(chain.to_owned());
                self.standing.remove(&place(message));
            }
        }
        let tables: BTreeSet<String> = self.sent[&source].iter().map(|sent| sent.table.clone()).collect();
        let mut floors = Vec::new();
        for table in tables {
            let offsets = self.servers.ends(source, &table)?;
            let recorded = source_topic::find(&self.servers.pool, &topic_of(source, &table)).await?;
            floors.push(SnapshotFloor {
                source,
                table: TableName::new(table.as_str()),
                epoch: recorded.map_or(0, |topic| topic.epochs.floor(&offsets)),
                offsets,
            });
        }
        self.sent.remove(&source);
        let read: Vec<(RowKey, Row)> = self
            .standing
            .iter()
            .filter(|((of, ..), _)| *of == source)
            .map(|(key, row)| (key.clone(), row.clone()))
            .collect();
        for ((source, table, key), row) in read {
            let value = serde_json::to_vec(&envelope("r", None, Some(&row)))?;
            let on = TODAY.parse()?;
            self.publish(&super::population::message(on, source, &table, key, Some(value)))?;
        }
        self.servers.flush()?;
        for floor in floors {
            self.state(&Statement::Snapshot(floor)).await?;
        }
        Ok(())
    }

    /// Waits until nothing is in flight, and compares with the function.
    async fn settle(self, population: &Population) -> anyhow::Result<Dump> {
        self.servers.complete(&BTreeSet::new()).await?;
        self.servers.worked_off().await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let dump = dump::dump(self.servers).await?;
            let differences = dump.function.differences(&population.expected);
            if differences.is_empty() {
                if self.plan.verify {
                    let verified = self.servers.services.canbao(&["verify", "--wait", "30"])?;
                    ensure!(verified, "canbao verify found a difference, see canbao.log");
                }
                self.servers.services.check_alive()?;
                return Ok(dump);
            }
            // Topics that are read again are behind for a while, and no statement of completeness speaks of that.
            let read_again =
                self.plan.mapping || self.plan.rereads > 0 || self.plan.grows.is_some() || self.plan.restore.is_some();
            if !read_again || Instant::now() > deadline {
                bail!(
                    "the base differs from what the function says in {} places:\n{}",
                    differences.len(),
                    differences.join("\n")
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// The same row, with a code or a date that nobody can read.
fn unreadable(message: &Message) -> anyhow::Result<Option<Message>> {
    let Some(mut parts) = parts(message)? else { return Ok(None) };
    let (Some(after), "ac02" | "ac21" | "czrk") = (&mut parts.after, message.table.as_str()) else {
        return Ok(None);
    };
    let column = match message.table.as_str() {
        "ac02" => "aac031",
        "ac21" => "aae030",
        _ => "swrq",
    };
    after.insert(column.to_owned(), Value::from("?"));
    // Not an update: a row that cannot be read corrects no number.
    let value = serde_json::to_vec(&envelope("r", None, Some(after)))?;
    Ok(Some(Message {
        value: Some(value),
        ..message.clone()
    }))
}
