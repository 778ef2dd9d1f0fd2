//! All stories at once on real servers: one calendar, one base, each story with its own people.

use crate::check::{self, Seen, ToldLines, event_text, finding_line, line};
use crate::drive::dates;
use crate::encode::{Encoded, Message, Step, encode};
use crate::ground::{Rules, go_live};
use crate::policies;
use crate::servers::Servers;
use crate::story::{Story, is_statement};
use crate::traffic::Draw;
use anyhow::{Context, bail, ensure};
use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::ids::{FindingId, PersonId, RecordId};
use domain::input::SnapshotFloor;
use domain::release::Cause;
use domain::shard::Shard;
use domain::source::{Source, TableName};
use rdkafka::message::Message as _;
use runtime::statements::{GoLiveRegion, Statement};
use runtime::store::read;
use schemas::event::{AlertEvent, FindingState, decode};
use sqlx::Row;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Runs every story in one base, in the order that a seed draws within each date, and checks what the base and the topics hold.
///
/// # Errors
/// The first expectation that does not hold, or the first server that does not answer.
pub async fn run(servers: &mut Servers, rules: &Rules, stories: &[Story], seed: u64) -> anyhow::Result<()> {
    let encoded: Vec<Encoded> = stories
        .iter()
        .map(|story| encode(story, &rules.dialects, &rules.key))
        .collect::<anyhow::Result<_>>()?;
    let tables = encoded
        .iter()
        .flat_map(|encoded| &encoded.steps)
        .filter_map(|step| match step {
            Step::Publish(message) => Some((message.source, message.table.clone())),
            _ => None,
        });
    servers.begin(&tables.collect()).await?;
    let mut run = Run {
        servers,
        draw: Draw::new(seed),
        silent: BTreeSet::new(),
        begun: BTreeMap::new(),
        sent: BTreeMap::new(),
        decided: BTreeMap::new(),
    };
    let calendar: BTreeSet<Day> = stories.iter().flat_map(dates).collect();
    let mut failures = Vec::new();
    let midway = calendar.iter().copied().nth(calendar.len() / 2);
    for day in calendar {
        // A base has one policy: a story of other policies is alone in its own.
        if Some(day) == midway && stories.iter().all(|story| story.policies.is_empty()) {
            adopt_policy(run.servers)?;
        }
        run.day(day, &encoded).await.with_context(|| format!("on {day}"))?;
        let persons = persons(run.servers).await?;
        for (story, encoded) in stories.iter().zip(&encoded) {
            let own = |(seen, _): &&(Seen, _)| seen.records.iter().any(|record| encoded.labels.contains_key(record));
            let seen: Vec<Seen> = persons.iter().filter(own).map(|(seen, _)| seen.clone()).collect();
            for expectation in story.expectations.iter().filter(|expectation| expectation.on == day) {
                failures.extend(check::persons(story, encoded, expectation, &seen, &rules.key).err());
            }
        }
    }
    if !run.servers.services.canbao(&["verify", "--wait", "60"])? {
        failures.push(anyhow::anyhow!("canbao verify found a difference, see canbao.log"));
    }
    let told = told(run.servers)?;
    let persons = persons(run.servers).await?;
    for (story, encoded) in stories.iter().zip(&encoded).filter(|(story, _)| !story.silent_by_date) {
        let ids = ids(story, encoded, rules);
        // The calendar goes on after a story's end, and so does what is told of its people.
        let by_the_end = |events: &Vec<(Day, String)>| -> Vec<String> {
            events
                .iter()
                .filter(|(day, _)| *day <= story.end())
                .map(|(_, event)| event.clone())
                .collect()
        };
        let own = told.iter().filter(|((person, ..), _)| ids.contains(person));
        let own = own.map(|(finding, events)| (*finding, by_the_end(events)));
        let own: ToldLines = own.filter(|(_, events)| !events.is_empty()).collect();
        failures.extend(check::told(story, encoded, own, &rules.key).err());
    }
    let announced: usize = told
        .values()
        .filter(|events| events.last().is_some_and(|(_, event)| !event.starts_with("clear")))
        .count();
    let open: usize = persons
        .iter()
        .filter(|(_, region)| region.is_some())
        .map(|(seen, _)| seen.findings.len())
        .sum();
    ensure!(announced == open, "{announced} findings are announced and {open} are open");
    if !failures.is_empty() {
        let failures: Vec<String> = failures.iter().map(|failure| format!("{failure:#}")).collect();
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

/// A newer policy that says the same comes into force: everybody is described anew, and nobody is told anything. A changed one under the
/// same version is refused.
fn adopt_policy(servers: &Servers) -> anyhow::Result<()> {
    let first = policies::embedded();
    let path = servers.services.logs().join("policy.toml");
    let file = path.to_str().context("a path that can be written down")?;
    let longer = toml::Table::from_iter([("never_enrolled.grace_days".to_owned(), 60.into())]);
    let known = first.id().version;
    for (version, set, is_taken) in [(known, longer, false), (known + 1, toml::Table::new(), true)] {
        std::fs::write(&path, policies::changed(&first, version, &set)?.text())?;
        let taken = servers.services.canbao(&["policy", "adopt", file])?;
        ensure!(
            taken == is_taken,
            "policy version {version}: taken is {taken}, see canbao.log"
        );
    }
    Ok(())
}

struct Run<'a> {
    servers: &'a mut Servers,
    draw: Draw,
    silent: BTreeSet<Source>,
    /// Where snapshots began, and tables were truncated.
    begun: BTreeMap<(Source, String), Vec<u64>>,
    /// What each connector has sent since then: it never goes back behind that.
    sent: BTreeMap<Source, Vec<Message>>,
    /// Statements by story and the decision's number there.
    decided: BTreeMap<(usize, u64), u64>,
}

impl Run<'_> {
    /// The tick, then the day's events in a drawn order, then completeness; some connectors send again, some services crash.
    async fn day(&mut self, day: Day, stories: &[Encoded]) -> anyhow::Result<()> {
        // Stories leave weeks out in which nothing happens.
        self.servers.state(&Statement::BusinessDate { day, confirmed: true }).await?;
        self.servers.complete(&self.silent).await?;
        if day == go_live() {
            self.servers.state(&Statement::GoLive(GoLiveRegion::All)).await?;
        }
        let mut chains: BTreeMap<(usize, String), std::collections::VecDeque<(usize, &Step)>> = BTreeMap::new();
        for (at, encoded) in stories.iter().enumerate() {
            for step in encoded.steps.iter().filter(|step| step.on() == day) {
                let chain = match step {
                    Step::Publish(message) => message.chain.clone(),
                    Step::Snapshot { source, table, .. } | Step::Loaded { source, table, .. } => format!("{source} {table}"),
                    Step::Silence { .. } | Step::Decide { .. } | Step::Undecide { .. } | Step::Policy { .. } => String::new(),
                };
                chains.entry((at, chain)).or_default().push_back((at, step));
            }
        }
        let mut chains: Vec<_> = chains.into_values().collect();
        while !chains.is_empty() {
            let at = self.draw.below(chains.len());
            match chains[at].pop_front() {
                Some((story, step)) => self.step(story, step).await?,
                None => drop(chains.swap_remove(at)),
            }
            if self.draw.once_in(60) {
                let name = *self.draw.pick(&crate::servers::SERVICES);
                self.servers.services.crash((name, 1))?;
            }
        }
        // A connector that crashed sends some rows again and runs through to the end.
        let again: Vec<&Vec<Message>> = self.sent.values().collect();
        if !again.is_empty() && self.draw.once_in(3) {
            let messages = *self.draw.pick(&again);
            let from = self.draw.below(messages.len());
            messages[from..]
                .iter()
                .try_for_each(|message| self.servers.publish(message))?;
        }
        self.servers.complete(&self.silent).await
    }

    async fn step(&mut self, story: usize, step: &Step) -> anyhow::Result<()> {
        match step {
            Step::Publish(message) => {
                if message.truncates() {
                    self.sent.remove(&message.source);
                    let ends = self.servers.ends(message.source, &message.table)?;
                    self.begun.insert((message.source, message.table.clone()), ends);
                }
                self.servers.publish(message)?;
                self.sent.entry(message.source).or_default().push(message.clone());
            }
            Step::Snapshot {
                source, table, complete, ..
            } if !complete => {
                self.sent.remove(source);
                self.begun
                    .insert((*source, table.clone()), self.servers.ends(*source, table)?);
            }
            Step::Snapshot { source, table, .. } | Step::Loaded { source, table, .. } => {
                self.servers.flush()?;
                let offsets = self
                    .begun
                    .remove(&(*source, table.clone()))
                    .context("a snapshot is complete that never began")?;
                let floor = SnapshotFloor {
                    source: *source,
                    table: TableName::new(table.as_str()),
                    epoch: 0,
                    offsets,
                };
                self.servers.state(&Statement::Snapshot(floor)).await?;
            }
            Step::Silence { source, heard, .. } if *heard => drop(self.silent.remove(source)),
            Step::Silence { source, .. } => drop(self.silent.insert(*source)),
            Step::Decide { decision, .. } => {
                let statement = Statement::Decide {
                    verdict: decision.verdict,
                    record: decision.record,
                    other: decision.other,
                    number: decision.number,
                };
                let id = self.servers.state(&statement).await?;
                self.decided.insert((story, decision.id), id);
            }
            Step::Undecide { decision, .. } => {
                let id = self.decided[&(story, *decision)];
                self.servers.state(&Statement::Undecide(id)).await?;
            }
            Step::Policy { edition, .. } => drop(self.servers.state(&Statement::Policy(Arc::clone(edition))).await?),
        }
        Ok(())
    }
}

/// The persons of the base: members and findings from the store, the rest from the views that others read. Both must agree.
async fn persons(servers: &Servers) -> anyhow::Result<Vec<(Seen, Option<String>)>> {
    let mut connection = servers.pool.acquire().await?;
    let mut viewed: BTreeMap<String, (String, Option<String>, Option<String>)> = BTreeMap::new();
    for row in sqlx::query("select person_id, standing, number, address from base.person")
        .fetch_all(&mut *connection)
        .await?
    {
        let shown = (row.try_get("standing")?, row.try_get("number")?, row.try_get("address")?);
        viewed.insert(row.try_get("person_id")?, shown);
    }
    let mut enrolled: BTreeMap<String, usize> = BTreeMap::new();
    for row in sqlx::query("select person_id from base.enrolment")
        .fetch_all(&mut *connection)
        .await?
    {
        *enrolled.entry(row.try_get("person_id")?).or_default() += 1;
    }
    let mut open: BTreeSet<String> = BTreeSet::new();
    let findings = "select person_id, rule, coalesce(scheme, '-') as scheme, since::text as since from base.finding";
    for row in sqlx::query(findings).fetch_all(&mut *connection).await? {
        let text = |column: &str| row.try_get::<String, _>(column);
        open.insert(format!(
            "{} {} {} since {}",
            text("person_id")?,
            text("rule")?,
            text("scheme")?,
            text("since")?
        ));
    }
    let mut persons = Vec::new();
    for shard in Shard::all() {
        for stored in read::slice(&mut connection, shard, None, i64::MAX as usize).await?.0 {
            let id = stored.person.to_string();
            let Some((standing, number, address)) = viewed.remove(&id) else {
                continue;
            };
            let number = number.map(|number| CitizenId::parse(&number)).transpose()?;
            ensure!(
                number == stored.number,
                "base.person shows another number of {id} than is stored"
            );
            let rows = stored.members.iter().map(|member| &member.record);
            let rows = rows.filter(|record| !is_statement(record.facts.kind()) || record.table.as_str() == "sfhbg");
            let records: BTreeSet<RecordId> = rows.map(|record| record.id).collect();
            for finding in &stored.findings {
                let scheme = finding.scheme.map_or("-", domain::scheme::Scheme::as_str);
                let shown = format!("{id} {} {scheme} since {}", finding.rule.as_str(), finding.since);
                ensure!(open.remove(&shown), "base.finding does not show {shown}");
            }
            let seen = Seen {
                id: stored.person,
                standing: standing_name(&standing)?,
                number,
                records: records.into_iter().collect(),
                enrolled: enrolled.remove(&id).unwrap_or(0),
                address,
                findings: stored.findings.iter().map(line).collect(),
            };
            persons.push((seen, stored.region.map(|city| city.to_string())));
        }
    }
    ensure!(
        viewed.is_empty(),
        "base.person shows {} persons that are not stored",
        viewed.len()
    );
    ensure!(open.is_empty(), "base.finding shows findings that are not stored: {open:?}");
    ensure!(
        enrolled.is_empty(),
        "base.enrolment shows enrolments of {} persons that are not stored",
        enrolled.len()
    );
    Ok(persons)
}

fn standing_name(name: &str) -> anyhow::Result<&'static str> {
    let standing = domain::person::Standing::from_name(name).with_context(|| format!("base.person shows the standing {name}"))?;
    Ok(standing.as_str())
}

/// Whose, rule, scheme, and the finding itself.
type FindingKey = (PersonId, &'static str, &'static str, FindingId);
/// The events of each finding in order, each with its business date.
type Heard = BTreeMap<FindingKey, Vec<(Day, String)>>;

/// What the topics tell of each finding: alerts, and the baseline from the states of findings. Both must fold to the same.
fn told(servers: &Servers) -> anyhow::Result<Heard> {
    let mut events: BTreeMap<FindingKey, BTreeMap<u32, (Day, String)>> = BTreeMap::new();
    let mut open: BTreeMap<FindingId, String> = BTreeMap::new();
    for message in servers.read_all(|topic| topic.starts_with("alerts."))? {
        let alert: AlertEvent = decode(message.payload().context("an alert without a value")?)?;
        let topic = schemas::registry::alert_topic(alert.kind, alert.city);
        ensure!(message.topic() == topic, "an alert for {topic} stands in {}", message.topic());
        let scheme = alert.scheme.map_or("-", domain::scheme::Scheme::as_str);
        let text = event_text(alert.action.as_str(), alert.cause, &alert.city.to_string());
        let of = events
            .entry((alert.person, alert.rule.as_str(), scheme, alert.finding_id))
            .or_default();
        ensure!(
            of.insert(alert.revision, (alert.business_date, text)).is_none(),
            "revision {} of a finding was told twice",
            alert.revision
        );
    }
    for message in servers.read_all(|topic| topic == "findings")? {
        let state: FindingState = decode(message.payload().context("a finding without a value")?)?;
        let scheme = state.scheme.map_or("-", domain::scheme::Scheme::as_str);
        if state.cause == Cause::Baseline {
            let text = event_text("open", Cause::Baseline, &state.city.to_string());
            let of = events
                .entry((state.person, state.rule.as_str(), scheme, state.finding_id))
                .or_default();
            ensure!(
                of.insert(state.revision, (state.business_date, text)).is_none(),
                "revision {} of a finding was told twice",
                state.revision
            );
        }
        let places: Vec<String> = state.places.iter().map(ToString::to_string).collect();
        let line = finding_line(
            state.rule.as_str(),
            scheme,
            &state.since.to_string(),
            &places.join(","),
            "",
            "",
        );
        open.insert(state.finding_id, format!("{} {line}", state.revision));
    }
    ensure!(
        open.len() == events.len(),
        "{} findings have a state and {} have events",
        open.len(),
        events.len()
    );
    let mut lines = Heard::new();
    for (key, revisions) in events {
        let dense = (1..).zip(revisions.keys()).all(|(due, revision)| due == *revision);
        ensure!(dense, "the revisions of a finding are not dense: {:?}", revisions.keys());
        let last = revisions.keys().last().map(ToString::to_string).unwrap_or_default();
        ensure!(
            open.get(&key.3).is_some_and(|state| state.starts_with(&format!("{last} "))),
            "a finding's state is not its last event"
        );
        lines.insert(key, revisions.into_values().collect());
    }
    Ok(lines)
}

/// Every id that a person of a story may have.
fn ids(story: &Story, encoded: &Encoded, rules: &Rules) -> BTreeSet<PersonId> {
    let numbers = story
        .people
        .values()
        .filter_map(|someone| CitizenId::parse(someone.number.as_ref()?).ok());
    let of_numbers = numbers.map(|number| rules.key.number(number).into());
    of_numbers
        .chain(encoded.labels.keys().map(|record| PersonId::from(*record)))
        .collect()
}
