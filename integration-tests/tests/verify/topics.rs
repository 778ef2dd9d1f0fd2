//! What is corrupted in the topics. A topic forgets nothing: it is made anew with what it held.

use super::cases::Case;
use anyhow::{Context, ensure};
use domain::ids::{EventId, FindingId};
use integration_tests::servers::Servers;
use rdkafka::message::{Message as _, OwnedHeaders, OwnedMessage};
use schemas::event::{self, AlertEvent, FindingState, PersonState};
use std::collections::{BTreeMap, BTreeSet};

/// The topics that are corrupted, as they were.
pub struct Topics {
    messages: Vec<OwnedMessage>,
    partitions: BTreeMap<String, u16>,
}

impl Topics {
    pub fn keep(servers: &Servers) -> anyhow::Result<Self> {
        let chosen =
            |topic: &str| ["findings", "person.registry", "publisher.positions"].contains(&topic) || topic.starts_with("alerts.");
        let messages = servers.read_all(chosen)?;
        let partitions = BTreeMap::from([
            ("findings".to_owned(), 16),
            ("person.registry".to_owned(), 16),
            ("publisher.positions".to_owned(), 1),
        ]);
        Ok(Self { messages, partitions })
    }

    pub async fn mend(&self, servers: &mut Servers) -> anyhow::Result<()> {
        let alerts: BTreeSet<&str> = self.messages.iter().map(rdkafka::Message::topic).collect();
        let alerts = alerts.into_iter().filter(|topic| topic.starts_with("alerts."));
        let all: Vec<(String, u16)> = alerts
            .map(|topic| (topic.to_owned(), 1))
            .chain(self.partitions.clone())
            .collect();
        for (topic, partitions) in all {
            servers.make_anew(&topic, partitions, &self.messages).await?;
        }
        Ok(())
    }

    /// The last messages of the keys of a topic, in order of the keys.
    fn last(&self, topic: &str) -> Vec<&OwnedMessage> {
        let of_topic = self.messages.iter().filter(|message| message.topic() == topic);
        let last: BTreeMap<&[u8], &OwnedMessage> = of_topic.map(|message| (message.key().unwrap_or_default(), message)).collect();
        last.into_values().filter(|message| message.payload().is_some()).collect()
    }
}

const fn named(name: &'static str, said: &'static [(&'static str, &'static str)]) -> Case {
    Case {
        name,
        corruption: "",
        said,
    }
}

/// Corrupts them, and says how each corruption must be named.
pub fn corrupt(servers: &Servers, kept: &Topics) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    findings(servers, kept, &mut cases)?;
    alerts(servers, kept, &mut cases)?;
    persons_and_positions(servers, kept, &mut cases)?;
    servers.flush()?;
    Ok(cases)
}

/// Writes a message once more, with another value.
fn again(servers: &Servers, message: &OwnedMessage, value: Option<&[u8]>) -> anyhow::Result<()> {
    let key = message.key().unwrap_or_default();
    servers.write(message.topic(), message.partition(), key, value, message.headers().cloned())
}

fn findings(servers: &Servers, kept: &Topics, cases: &mut Vec<Case>) -> anyhow::Result<()> {
    let findings = kept.last("findings");
    ensure!(findings.len() > 5, "too little was published to be corrupted");
    let state = |at: usize| -> anyhow::Result<FindingState> {
        Ok(event::decode(findings[at].payload().context("a state without a value")?)?)
    };
    let mut other = state(0)?;
    other.revision += 1;
    again(servers, findings[0], Some(&event::encode(&other)))?;
    cases.push(named("a state with another revision", &[("findings", "announced with")]));
    let mut other = state(1)?;
    other.since.0 -= 1;
    other.revision += 1;
    again(servers, findings[1], Some(&event::encode(&other)))?;
    again(servers, findings[1], findings[1].payload())?;
    cases.push(named("a state that goes back", &[("findings", "follows revision")]));
    again(servers, findings[2], None)?;
    cases.push(named("a finding taken back", &[("findings", "takes a finding back")]));
    cases.push(named(
        "a finding that subscribers lack",
        &[("findings", "announced, not told")],
    ));
    let mut other = state(3)?;
    other.finding_id = FindingId([9; 16]);
    let key = other.finding_id.to_string();
    servers.write("findings", 0, key.as_bytes(), Some(&event::encode(&other)), None)?;
    cases.push(named(
        "a finding that nobody announced",
        &[("findings", "told, not announced")],
    ));
    again(servers, findings[4], Some(b"garbage"))?;
    cases.push(named("a state that is none", &[("findings", "cannot be read")]));
    let mut other = state(5)?;
    other.since.0 -= 1;
    again(servers, findings[5], Some(&event::encode(&other)))?;
    cases.push(named(
        "a state that reads otherwise",
        &[("findings", "told otherwise than announced")],
    ));
    Ok(())
}

fn alerts(servers: &Servers, kept: &Topics, cases: &mut Vec<Case>) -> anyhow::Result<()> {
    let mut alerts = kept.messages.iter().filter(|message| message.topic().starts_with("alerts."));
    let alert = alerts.next().context("an alert")?;
    let told: AlertEvent = event::decode(alert.payload().context("an alert without a value")?)?;
    let twice = AlertEvent {
        event_id: EventId([9; 16]),
        ..told.clone()
    };
    again(servers, alert, Some(&event::encode(&twice)))?;
    cases.push(named("an alert told twice", &[("alerts", "was told twice")]));
    cases.push(named(
        "an alert with another event id",
        &[("alerts", "has an event id that is none")],
    ));
    let next = alerts.next().context("another alert")?;
    let mut more: AlertEvent = event::decode(next.payload().context("an alert without a value")?)?;
    more.revision = 99;
    let headers = OwnedHeaders::new();
    let value = event::encode(&more);
    servers.write(
        next.topic(),
        next.partition(),
        next.key().unwrap_or_default(),
        Some(&value),
        Some(headers),
    )?;
    cases.push(named(
        "an alert that nobody announced",
        &[("alerts", "told with revision 99")],
    ));
    Ok(())
}

fn persons_and_positions(servers: &Servers, kept: &Topics, cases: &mut Vec<Case>) -> anyhow::Result<()> {
    let persons = kept.last("person.registry");
    ensure!(persons.len() > 3, "too little was published to be corrupted");
    again(servers, persons[0], None)?;
    cases.push(named("a person removed", &[("person.registry", "missing")]));
    let mut other: PersonState = event::decode(persons[1].payload().context("a person without a value")?)?;
    other.alive = !other.alive;
    again(servers, persons[1], Some(&event::encode(&other)))?;
    cases.push(named("a person's state changed", &[("person.registry", "differs")]));
    let key = format!("{0}.9.{0}", FindingId([9; 16]));
    other.person.0 = [9; 16];
    servers.write("person.registry", 0, key.as_bytes(), Some(&event::encode(&other)), None)?;
    cases.push(named("a person invented", &[("person.registry", "unexpected")]));

    let positions = kept.last("publisher.positions");
    let position = positions.first().context("a position")?;
    again(servers, position, Some(br#"{"epoch":0,"next":1000000}"#))?;
    cases.push(named(
        "a position raised",
        &[("publisher.positions", "the next in the store gets")],
    ));
    let position = positions.last().context("a position")?;
    again(servers, position, Some(br#"{"epoch":0,"next":0}"#))?;
    cases.push(named(
        "a position lowered",
        &[("publisher.positions", "goes back from sequence")],
    ));
    Ok(())
}
