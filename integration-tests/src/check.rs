//! Compares what stories expect with what is, in the words of the stories.

use crate::encode::Encoded;
use crate::story::{Expectation, Story, is_statement};
use anyhow::bail;
use domain::base::{Base, Person};
use domain::citizen_id::CitizenId;
use domain::finding::Finding;
use domain::ids::{FindingId, IdKey, PersonId, RecordId};
use domain::person::Standing;
use domain::release::{Cause, Event};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A person in the words of a story: what every driver, real servers included, can say of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// Their id.
    pub id: PersonId,
    /// How they stand to their number.
    pub standing: &'static str,
    /// Whether they hold a number.
    pub number: Option<CitizenId>,
    /// Their records, without statements derived from images.
    pub records: Vec<RecordId>,
    /// Enrolments.
    pub enrolled: usize,
    /// Address of the residence, else of the household register.
    pub address: Option<String>,
    /// Open findings, each as [`line`] writes it.
    pub findings: Vec<String>,
}

/// The names of a story: persons by alias or record.
pub struct Names<'a> {
    labels: &'a BTreeMap<RecordId, String>,
    numbers: BTreeMap<PersonId, &'a str>,
}

impl<'a> Names<'a> {
    /// The names of a story.
    pub fn new(story: &'a Story, encoded: &'a Encoded, key: &IdKey) -> Self {
        let number = |(alias, someone): (&'a String, &'a crate::story::Someone)| {
            let number = CitizenId::parse(someone.number.as_ref()?).ok()?;
            Some((key.number(number).into(), alias.as_str()))
        };
        Self {
            labels: &encoded.labels,
            numbers: story.people.iter().filter_map(number).collect(),
        }
    }

    /// An alias, a record's label, or `?`.
    pub fn person(&self, id: PersonId) -> String {
        let record = || self.labels.get(&RecordId(id.0)).cloned();
        self.numbers
            .get(&id)
            .map(|alias| (*alias).to_owned())
            .or_else(record)
            .unwrap_or_else(|| format!("?{id}"))
    }

    /// Whether a person is meant by an alias (they have the id of its number) or by one of several labels (`ac02:1|czrk:A1`).
    fn is(&self, story: &Story, id: PersonId, name: &str, key: &IdKey) -> bool {
        let number = story
            .people
            .get(name)
            .and_then(|someone| CitizenId::parse(someone.number.as_ref()?).ok());
        match number {
            Some(number) => PersonId::from(key.number(number)) == id,
            None => self
                .labels
                .get(&RecordId(id.0))
                .is_some_and(|label| name.split('|').any(|name| name == label)),
        }
    }

    fn records(&self, records: &[RecordId]) -> Vec<String> {
        let mut labels: Vec<String> = records
            .iter()
            .map(|record| self.labels.get(record).cloned().unwrap_or_else(|| format!("?{record}")))
            .collect();
        labels.sort_unstable();
        labels
    }
}

/// A finding in a line, without whose it is.
pub fn line(finding: &Finding) -> String {
    let scheme = finding.scheme.map_or("-", domain::scheme::Scheme::as_str);
    let places: Vec<String> = finding.places.iter().map(ToString::to_string).collect();
    finding_line(
        finding.rule.as_str(),
        scheme,
        &finding.since.to_string(),
        &places.join(","),
        finding.reason.map_or("-", domain::finding::FormReason::as_str),
        finding.overlap.map_or("-", domain::finding::Overlap::as_str),
    )
}

/// The same of its parts.
pub fn finding_line(rule: &str, scheme: &str, since: &str, places: &str, reason: &str, overlap: &str) -> String {
    format!("{rule} {scheme} since {since} in [{places}] reason {reason} overlap {overlap}")
}

/// A person of the base in the words of a story.
pub fn seen(person: &Person) -> Seen {
    let members = person.members.iter().map(|member| &member.record);
    let rows = members.filter(|record| !is_statement(record.facts.kind()) || record.table.as_str() == "sfhbg");
    let mut records: Vec<RecordId> = rows.map(|record| record.id).collect();
    records.sort_unstable();
    records.dedup();
    let golden = &person.golden;
    let address = golden.residence_address.as_ref().or(golden.hukou_address.as_ref());
    Seen {
        id: person.id,
        standing: person.standing.as_str(),
        number: person.number,
        records,
        enrolled: person.enrolments.len(),
        address: address.map(|address| address.value.reveal().to_owned()),
        findings: person.findings.iter().map(line).collect(),
    }
}

/// Compares a base with an expectation.
///
/// # Errors
/// Says what differs.
pub fn base(story: &Story, encoded: &Encoded, expectation: &Expectation, base: &Base, key: &IdKey) -> anyhow::Result<()> {
    let all: Vec<Seen> = base
        .values()
        .flat_map(|described| described.persons.iter().map(seen))
        .collect();
    persons(story, encoded, expectation, &all, key)
}

/// Compares persons, however they were seen, with an expectation.
///
/// # Errors
/// Says what differs.
pub fn persons(story: &Story, encoded: &Encoded, expectation: &Expectation, all: &[Seen], key: &IdKey) -> anyhow::Result<()> {
    let names = Names::new(story, encoded, key);
    let mut wrong = String::new();
    if let Some(expected) = &expectation.people {
        let mut left: Vec<&Seen> = all.iter().filter(|seen| !seen.records.is_empty()).collect();
        for person in expected {
            let mut records: Vec<&str> = person.records.split_whitespace().collect();
            records.sort_unstable();
            let number = person
                .who
                .as_ref()
                .and_then(|who| CitizenId::parse(story.people.get(who)?.number.as_ref()?).ok());
            let right_id = |seen: &Seen| match (number, &person.id) {
                (Some(number), None) => seen.id == key.number(number).into(),
                _ => seen.records.contains(&RecordId(seen.id.0)),
            };
            let fits = |seen: &&Seen| {
                names.records(&seen.records) == records
                    && seen.standing == person.is.as_str()
                    && right_id(seen)
                    && (person.is != Standing::Holder || seen.number == number)
            };
            match left.iter().position(fits) {
                Some(at) => drop(left.swap_remove(at)),
                None => writeln!(
                    wrong,
                    "  missing: {} {} of {:?}",
                    person.is.as_str(),
                    person.records,
                    person.who
                )?,
            }
        }
        for seen in left {
            let id = names.person(seen.id);
            writeln!(
                wrong,
                "  unexpected: {} {}, id of {id}",
                seen.standing,
                names.records(&seen.records).join(" ")
            )?;
        }
    }
    let mut open: Vec<(PersonId, &str)> = all
        .iter()
        .flat_map(|seen| seen.findings.iter().map(|line| (seen.id, line.as_str())))
        .collect();
    for expected in &expectation.open {
        for scheme in expected.schemes.each() {
            let line = finding_line(
                expected.rule.as_str(),
                scheme.map_or("-", domain::scheme::Scheme::as_str),
                &expected.since.to_string(),
                &expected.places.join(","),
                expected.reason.map_or("-", domain::finding::FormReason::as_str),
                expected.overlap.map_or("-", domain::finding::Overlap::as_str),
            );
            match open
                .iter()
                .position(|(id, found)| *found == line && names.is(story, *id, &expected.of, key))
            {
                Some(at) => drop(open.swap_remove(at)),
                None => writeln!(wrong, "  not open: {} {line}", expected.of)?,
            }
        }
    }
    open.sort_unstable();
    for (id, line) in open {
        writeln!(wrong, "  open and not expected: {} {line}", names.person(id))?;
    }
    for (who, count) in &expectation.enrolled {
        let found: usize = all
            .iter()
            .filter(|seen| names.is(story, seen.id, who, key))
            .map(|seen| seen.enrolled)
            .sum();
        if found != *count {
            writeln!(wrong, "  {who} has {found} enrolments, not {count}")?;
        }
    }
    for (who, address) in &expectation.addresses {
        let known = all.iter().find(|seen| names.is(story, seen.id, who, key));
        let known = known.and_then(|seen| seen.address.as_deref()).unwrap_or_default();
        if known != address {
            writeln!(wrong, "  {who} has the address {known:?}, not {address:?}")?;
        }
    }
    if !wrong.is_empty() {
        bail!("{} at the end of {}:\n{wrong}", story.name, expectation.on);
    }
    Ok(())
}

/// An event in the words of a story: `open 3201`, `clear 3201 moved`, `baseline 3201`.
pub fn event_text(kind: &str, cause: Cause, region: &str) -> String {
    match cause {
        Cause::Baseline => format!("baseline {region}"),
        Cause::News => format!("{kind} {region}"),
        Cause::Moved => format!("{kind} {region} moved"),
    }
}

/// What was told of each finding: whose, rule, scheme, and the events in order.
pub type ToldLines = BTreeMap<(PersonId, &'static str, &'static str, FindingId), Vec<String>>;

/// What events tell, by finding.
pub fn told_lines<'a>(events: impl IntoIterator<Item = &'a Event>) -> ToldLines {
    let mut lines = ToldLines::new();
    for event in events {
        let finding = &event.told.finding;
        let scheme = finding.scheme.map_or("-", domain::scheme::Scheme::as_str);
        let line = event_text(event.kind.as_str(), event.cause, &event.told.region.to_string());
        lines
            .entry((event.told.person, finding.rule.as_str(), scheme, event.finding_id))
            .or_default()
            .push(line);
    }
    lines
}

/// Compares everything that was told with what the story says.
///
/// # Errors
/// Says what differs.
pub fn told(story: &Story, encoded: &Encoded, mut heard: ToldLines, key: &IdKey) -> anyhow::Result<()> {
    let names = Names::new(story, encoded, key);
    let mut wrong = String::new();
    for told in &story.told {
        for scheme in told.schemes.each() {
            let scheme = scheme.map_or("-", domain::scheme::Scheme::as_str);
            let is_it = |(person, rule, about, _): &(PersonId, &str, &str, FindingId)| {
                *rule == told.rule.as_str() && *about == scheme && names.is(story, *person, &told.of, key)
            };
            let exact = heard
                .iter()
                .find(|(found, events)| is_it(found) && **events == told.events)
                .map(|(found, _)| *found);
            match exact {
                Some(found) => drop(heard.remove(&found)),
                None => writeln!(
                    wrong,
                    "  not told: {} {} {scheme} {:?}",
                    told.of,
                    told.rule.as_str(),
                    told.events
                )?,
            }
        }
    }
    for ((person, rule, scheme, _), events) in heard {
        writeln!(
            wrong,
            "  told and not expected: {} {rule} {scheme} {events:?}",
            names.person(person)
        )?;
    }
    if !wrong.is_empty() {
        bail!("{}, what subscribers were told:\n{wrong}", story.name);
    }
    Ok(())
}

/// Where two bases differ, in few words.
pub fn outline(found: &Base, expected: &Base) -> String {
    let text = |base: &Base, place| {
        let described = base.get(place);
        let persons = described.map_or(&[][..], |described| described.persons.as_slice());
        let away = described.map_or(0, |described| described.away.len());
        format!("{:?} and {away} away", persons.iter().map(seen).collect::<Vec<_>>())
    };
    let places = found
        .keys()
        .chain(expected.keys())
        .filter(|place| found.get(place) != expected.get(place));
    let lines = places.map(|place| {
        format!(
            "\n  {place:?}: found {}, expected {}",
            text(found, place),
            text(expected, place)
        )
    });
    lines.collect::<Vec<_>>().concat()
}
