//! `alerts`: what subscribers are told, one line an alert, as a subscriber that reads committed sees it.

use crate::output::{Format, local_time, write_out};
use crate::reread::{Wanted, reread};
use crate::topics::{self, Reader};
use anyhow::Context;
use domain::division::City;
use domain::finding::{AlertKind, FormReason, Overlap};
use domain::scheme::Scheme;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use runtime::config::Settings;
use runtime::kafka::offsets::{self, TopicPartition};
use schemas::event::{self, AlertEvent, Evidence, Scope};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How often topics that appeared are looked for.
const LOOK: Duration = Duration::from_secs(5);

/// Which alerts, and for how long.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Go on for ever.
    pub follow: bool,
    /// Begin with what was told so far.
    pub from_beginning: bool,
    /// Kinds; all when empty.
    pub kinds: Vec<AlertKind>,
    /// Cities; all when empty.
    pub cities: Vec<City>,
}

impl Choice {
    /// Whether a topic's alerts are wanted: `alerts.<kind>.<city>`.
    fn wants(&self, topic: &str) -> bool {
        let mut parts = topic.strip_prefix("alerts.").into_iter().flat_map(|rest| rest.split('.'));
        let kind = parts.next().and_then(AlertKind::from_name);
        let city = parts.next().and_then(|city| city.parse::<City>().ok());
        let of = |kind: AlertKind, city: City| {
            (self.kinds.is_empty() || self.kinds.contains(&kind)) && (self.cities.is_empty() || self.cities.contains(&city))
        };
        parts.next().is_none() && kind.zip(city).is_some_and(|(kind, city)| of(kind, city))
    }
}

/// Prints alerts: all that was told so far, or for ever.
///
/// # Errors
/// When the brokers do not answer, or a value cannot be decoded.
pub fn print(settings: &Settings, choice: &Choice, format: Format) -> anyhow::Result<()> {
    let reading = Reading {
        consumer: topics::reader(settings)?,
        settings,
        choice,
        format,
    };
    if choice.follow { reading.follow() } else { reading.so_far() }
}

struct Reading<'a> {
    consumer: Reader,
    settings: &'a Settings,
    choice: &'a Choice,
    format: Format,
}

impl Reading<'_> {
    /// The partitions of the topics wanted.
    fn partitions(&self) -> anyhow::Result<Vec<TopicPartition>> {
        let failed = || topics::unreachable_brokers(self.settings);
        let names = offsets::topics_with_prefix(&self.consumer, "alerts.").with_context(failed)?;
        let mut found = Vec::new();
        for name in names.into_iter().filter(|name| self.choice.wants(name)) {
            let partitions = offsets::partitions(&self.consumer, &name).with_context(failed)?;
            found.extend(partitions.into_iter().map(|partition| (name.clone(), partition)));
        }
        Ok(found)
    }

    fn so_far(&self) -> anyhow::Result<()> {
        let partitions = self.partitions()?;
        anyhow::ensure!(
            !partitions.is_empty(),
            "there are no alert topics yet: the publisher makes them when it starts"
        );
        let mut wanted = Vec::new();
        for (topic, partition) in &partitions {
            let held = offsets::watermarks(&self.consumer, topic, *partition)
                .with_context(|| topics::unreachable_brokers(self.settings))?;
            wanted.push(Wanted {
                topic,
                partition: *partition,
                offsets: held.low..held.high,
            });
        }
        let mut printed = Ok(true);
        reread(&self.consumer, &wanted, |_, message| {
            if matches!(printed, Ok(true)) {
                printed = self.print(message);
            }
        })?;
        printed.map(|_| ())
    }

    fn follow(&self) -> anyhow::Result<()> {
        let mut known = BTreeSet::new();
        let mut start = if self.choice.from_beginning {
            Offset::Beginning
        } else {
            Offset::End
        };
        let mut next_look = Instant::now();
        loop {
            if Instant::now() >= next_look {
                self.assign_new(&mut known, start)?;
                // A topic that appears while following is read whole: all of it is news.
                start = Offset::Beginning;
                next_look = Instant::now() + LOOK;
            }
            match self.consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    if !self.print(&message)? {
                        return Ok(());
                    }
                }
                None | Some(Err(KafkaError::PartitionEOF(_))) => (),
                Some(Err(error)) if offsets::is_transient(&error) => tracing::warn!(%error, "reading alerts"),
                Some(Err(error)) => return Err(error).context("reading alerts"),
            }
        }
    }

    fn assign_new(&self, known: &mut BTreeSet<TopicPartition>, start: Offset) -> anyhow::Result<()> {
        let mut list = TopicPartitionList::new();
        for (topic, partition) in self.partitions()? {
            if known.insert((topic.clone(), partition)) {
                list.add_partition_offset(&topic, partition, start)?;
            }
        }
        if list.count() > 0 {
            self.consumer.incremental_assign(&list).context("assigning alert topics")?;
        }
        Ok(())
    }

    /// Prints one alert; `false` when the reader of standard output went away.
    fn print(&self, message: &BorrowedMessage<'_>) -> anyhow::Result<bool> {
        let Some(value) = message.payload() else { return Ok(true) };
        let place = || format!("decoding {}/{}@{}", message.topic(), message.partition(), message.offset());
        let alert: AlertEvent = event::decode(value).with_context(place)?;
        write_out(&line(&alert, self.format))
    }
}

fn line(alert: &AlertEvent, format: Format) -> String {
    match format {
        Format::Text => text_line(alert),
        Format::Json => format!("{}\n", json_line(alert)),
    }
}

/// Time, city, kind, action, rule, scheme, since, person, masked number, evidence.
fn text_line(alert: &AlertEvent) -> String {
    let cause = match alert.cause.as_str() {
        "news" => String::new(),
        cause => format!(" ({cause})"),
    };
    format!(
        "{} {:04} {:<15} {:<5}{cause} {:<17} {:<19} since {} {} {} {}\n",
        local_time(alert.announced_at),
        alert.city.code(),
        alert.kind.as_str(),
        alert.action.as_str(),
        alert.rule.as_str(),
        alert.scheme.map_or("-", Scheme::as_str),
        alert.since,
        alert.person,
        alert.masked_number.as_deref().unwrap_or("-"),
        evidence(&alert.evidence),
    )
}

/// `duty human-resources.3201.ac21, relation human-resources.3205.ac02 x2`.
fn evidence(facts: &[Evidence]) -> String {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for fact in facts {
        let text = format!(
            "{} {}.{:04}.{}",
            fact.role.as_str(),
            fact.agency,
            fact.city.code(),
            fact.table.as_str()
        );
        match counted.iter_mut().find(|(known, _)| *known == text) {
            Some((_, count)) => *count += 1,
            None => counted.push((text, 1)),
        }
    }
    let shown: Vec<String> = counted
        .into_iter()
        .map(|(text, count)| if count > 1 { format!("{text} x{count}") } else { text })
        .collect();
    shown.join(", ")
}

/// The fields of `alert-event.avsc`, dates as text.
fn json_line(alert: &AlertEvent) -> serde_json::Value {
    let fact = |fact: &Evidence| {
        json!({
            "role": fact.role.as_str(),
            "agency": fact.agency.as_str(),
            "city": fact.city.code(),
            "table": fact.table.as_str(),
            "record": fact.record.to_string(),
        })
    };
    json!({
        "event_id": alert.event_id.to_string(),
        "finding_id": alert.finding_id.to_string(),
        "revision": alert.revision,
        "action": alert.action.as_str(),
        "cause": alert.cause.as_str(),
        "kind": alert.kind.as_str(),
        "rule": alert.rule.as_str(),
        "scheme": alert.scheme.map(Scheme::as_str),
        "person": alert.person.to_string(),
        "masked_number": alert.masked_number,
        "city": alert.city.code(),
        "county": alert.county,
        "since": alert.since.to_string(),
        "business_date": alert.business_date.to_string(),
        "overlap": alert.overlap.map(Overlap::as_str),
        "reason": alert.reason.map(FormReason::as_str),
        "places": alert.places.iter().map(|city| city.code()).collect::<Vec<_>>(),
        "evidence": alert.evidence.iter().map(fact).collect::<Vec<_>>(),
        "remedy": alert.remedy.as_str(),
        "scope": alert.scope.map(Scope::as_str),
        "announced_at": alert.announced_at.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::date::Timestamp;
    use domain::finding::{EvidenceRole, Rule};
    use domain::ids::{EventId, FindingId, PersonId, RecordId};
    use domain::release::{Cause, EventKind};
    use domain::source::{Agency, TableName};
    use schemas::event::Remedy;

    fn alert() -> AlertEvent {
        let city: City = "3201".parse().expect("a city");
        let fact = |record| Evidence {
            role: EvidenceRole::Duty,
            agency: Agency::HUMAN_RESOURCES,
            city,
            table: TableName::new("ac21"),
            record: RecordId([record; 16]),
        };
        AlertEvent {
            event_id: EventId([1; 16]),
            finding_id: FindingId([2; 16]),
            revision: 1,
            action: EventKind::Open,
            cause: Cause::News,
            kind: AlertKind::Unenrolled,
            rule: Rule::NeverEnrolled,
            scheme: Some(Scheme::EmployeePension),
            person: PersonId([3; 16]),
            masked_number: Some("3201************12".into()),
            city,
            county: None,
            since: "2026-03-01".parse().expect("a day"),
            business_date: "2026-04-01".parse().expect("a day"),
            overlap: None,
            reason: None,
            places: Vec::new(),
            evidence: vec![fact(4), fact(5)],
            remedy: Remedy::EnrolOrEndDuty,
            scope: Some(Scope::NotFoundInProvince),
            announced_at: Timestamp(0),
        }
    }

    #[test]
    fn a_line_says_who_what_and_why() {
        let text = text_line(&alert());
        for part in [
            "1970-01-01 08:00",
            "3201 unenrolled",
            "open",
            "never-enrolled",
            "since 2026-03-01",
            "3201****",
            "human-resources.3201.ac21 x2",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let json = json_line(&alert());
        assert_eq!(
            (json["city"].as_u64(), json["scope"].as_str()),
            (Some(3201), Some("not-found-in-province"))
        );
    }

    #[test]
    fn topics_are_chosen_by_kind_and_city() {
        let choice = Choice {
            kinds: vec![AlertKind::Unenrolled],
            cities: vec!["3201".parse().expect("a city")],
            ..Choice::default()
        };
        assert!(choice.wants("alerts.unenrolled.3201"));
        for other in [
            "alerts.unenrolled.3202",
            "alerts.identity.3201",
            "alerts.unenrolled",
            "findings",
        ] {
            assert!(!choice.wants(other), "{other}");
        }
        assert!(Choice::default().wants("alerts.identity.3213"));
    }
}
