//! Life stories: TOML files that an official can read, checked to the last key (`stories/README.md` explains the format).

use crate::policies;
use anyhow::{Context, bail, ensure};
use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::decision::Verdict;
use domain::facts::FactsKind;
use domain::finding::{FormReason, Overlap, Rule};
use domain::person::Standing;
use domain::scheme::Scheme;
use domain::source::Source;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A life story (人生故事).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// Its file name without extension: `NN-name`.
    #[serde(skip)]
    pub name: String,
    /// Chinese and English.
    pub title: String,
    /// The rule it shows, with its source.
    pub why: String,
    /// Who is in it, by alias.
    #[serde(default)]
    pub people: BTreeMap<String, Someone>,
    /// What the agencies' systems say, in order.
    #[serde(rename = "event")]
    pub events: Vec<Event>,
    /// What reviewers decided, in order.
    #[serde(default, rename = "decision")]
    pub decisions: Vec<Decided>,
    /// What changes in the policy, in order.
    #[serde(default, rename = "policy")]
    pub policies: Vec<policies::Change>,
    /// What the base must hold at the end of certain dates.
    #[serde(rename = "expect")]
    pub expectations: Vec<Expectation>,
    /// What subscribers must have been told by the end; nothing else.
    #[serde(default)]
    pub told: Vec<Told>,
    /// Its silence lies before a business date, and on real servers, where business dates are long past for the sources' own clocks,
    /// no source is silent then: what was told is not compared there.
    #[serde(default)]
    pub silent_by_date: bool,
}

/// Somebody as rows state them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Someone {
    /// Document number.
    pub number: Option<String>,
    /// Name.
    pub name: Option<String>,
}

/// What happens to a row or a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// Insert.
    Insert,
    /// Update: `row` holds what changes, the rest stays; the event carries the row before.
    Update,
    /// Read by a snapshot.
    Snapshot,
    /// Delete; the event carries the row.
    Delete,
    /// Delete; the event carries the key alone (no replica identity FULL).
    DeleteKeyOnly,
    /// Written like an update, or an insert where it is not there yet, in a message of which only the key can be read.
    Unreadable,
    /// An empty message for a key.
    Tombstone,
    /// The primary key changes: a delete of the old row, an insert of the new one.
    KeyChange,
    /// A full snapshot of the table begins.
    SnapshotBegin,
    /// The full snapshot of the table is complete.
    SnapshotComplete,
    /// The table is truncated; a story does so to a table of one source.
    Truncate,
    /// The load that followed is over: what it did not hold is gone.
    Loaded,
    /// The source falls silent: no completeness from here on.
    Silent,
    /// The source is heard again.
    Heard,
}

/// An event of a story.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The business date on which it arrives.
    #[serde(deserialize_with = "day")]
    pub on: Day,
    /// The system: `human-resources.3201`.
    #[serde(deserialize_with = "source")]
    pub source: Source,
    /// The table.
    #[serde(default)]
    pub table: String,
    /// What happens.
    pub op: Op,
    /// Whose number and name the row carries.
    pub who: Option<String>,
    /// Columns; dates are encoded as the source does.
    #[serde(default)]
    pub row: toml::Table,
    /// Columns that the row lacks, as if the source's table had lost them.
    #[serde(default)]
    pub absent: Vec<String>,
    /// The old key, for a change of key.
    #[serde(default)]
    pub key: toml::Table,
}

/// What a reviewer decided of two records.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// The business date.
    #[serde(deserialize_with = "day")]
    pub on: Day,
    /// `same` or `different`.
    #[serde(deserialize_with = "verdict")]
    pub verdict: Verdict,
    /// The two records: `["czrk:A1", "ac02:1"]`.
    pub records: [String; 2],
    /// For one person: the alias whose number they keep.
    pub keep: Option<String>,
    /// The date on which it is withdrawn.
    #[serde(default, deserialize_with = "some_day")]
    pub withdrawn: Option<Day>,
}

/// What the base must hold at the end of a date.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The date.
    #[serde(deserialize_with = "day")]
    pub on: Day,
    /// Every person; unstated: not checked.
    pub people: Option<Vec<Expected>>,
    /// Every open finding.
    pub open: Vec<Open>,
    /// Enrolments by person.
    #[serde(default)]
    pub enrolled: BTreeMap<String, usize>,
    /// Addresses by person: of the residence, else of the household register; empty where none is known.
    #[serde(default)]
    pub addresses: BTreeMap<String, String>,
}

/// A person to expect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// How they stand to their number.
    #[serde(deserialize_with = "standing")]
    pub is: Standing,
    /// The alias whose number they hold.
    pub who: Option<String>,
    /// Records, separated by spaces: `czrk:1 ac02:1`. Statements derived from images are left out.
    pub records: String,
    /// `lowest`: their id is that of a record although they hold a number, since it was somebody else's before.
    pub id: Option<String>,
}

/// Schemes of a finding: one, several, or `all-five`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schemes(pub Vec<Option<Scheme>>);

/// An open finding to expect, once per scheme.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// Whose: an alias (the person with the id of that number) or a record (the person with the id of that record).
    pub of: String,
    /// The rule.
    #[serde(deserialize_with = "rule")]
    pub rule: Rule,
    /// About which schemes; unstated: none.
    #[serde(default)]
    pub schemes: Schemes,
    /// Since when.
    #[serde(deserialize_with = "day")]
    pub since: Day,
    /// Places, as city codes.
    #[serde(default)]
    pub places: Vec<String>,
    /// Reason on the form.
    #[serde(default, deserialize_with = "reason")]
    pub reason: Option<FormReason>,
    /// Kind of double enrolment.
    #[serde(default, deserialize_with = "overlap")]
    pub overlap: Option<Overlap>,
}

/// What subscribers must have been told of a finding.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Whose.
    pub of: String,
    /// The rule.
    #[serde(deserialize_with = "rule")]
    pub rule: Rule,
    /// About which schemes.
    #[serde(default)]
    pub schemes: Schemes,
    /// Events in order: `open 3201`, `amend 3201`, `clear 3201`, `baseline 3201`; with ` moved` when the person moved.
    pub events: Vec<String>,
}

/// The schemes that an employee must be in.
pub const ALL_FIVE: [Scheme; 5] = [
    Scheme::EmployeePension,
    Scheme::Unemployment,
    Scheme::EmployeeMedical,
    Scheme::WorkInjury,
    Scheme::Maternity,
];

impl Schemes {
    /// The schemes; one `None` where a finding is about no scheme.
    pub fn each(&self) -> Vec<Option<Scheme>> {
        if self.0.is_empty() { vec![None] } else { self.0.clone() }
    }
}

impl<'de> Deserialize<'de> for Schemes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut schemes = Vec::new();
        for word in text.split_whitespace() {
            if word == "all-five" {
                schemes.extend(ALL_FIVE.map(Some));
            } else {
                schemes.push(Some(word.parse().map_err(serde::de::Error::custom)?));
            }
        }
        Ok(Self(schemes))
    }
}

fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Day, D::Error> {
    let date = toml::value::Datetime::deserialize(deserializer)?;
    day_of(&date).ok_or_else(|| serde::de::Error::custom("expected a date"))
}

/// The day of a TOML date without a time.
pub fn day_of(date: &toml::value::Datetime) -> Option<Day> {
    let day = date.date.filter(|_| date.time.is_none())?;
    Day::from_ymd(i32::from(day.year), u32::from(day.month), u32::from(day.day))
}

pub(crate) fn some_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Day>, D::Error> {
    day(deserializer).map(Some)
}

fn source<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Source, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parts = text
        .split_once('.')
        .and_then(|(agency, city)| Some((agency.parse().ok()?, city.parse().ok()?)));
    let (agency, city) = parts.ok_or_else(|| serde::de::Error::custom(format!("{text}: expected agency.city")))?;
    Ok(Source { agency, city })
}

macro_rules! by_name {
    ($($function:ident: $type:ty => $read:expr;)*) => {
        $(fn $function<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
            let text = String::deserialize(deserializer)?;
            let read: fn(&str) -> Option<$type> = $read;
            read(&text).ok_or_else(|| serde::de::Error::custom(format!("{text} is unknown")))
        })*
    };
}

by_name! {
    standing: Standing => Standing::from_name;
    verdict: Verdict => Verdict::from_name;
    rule: Rule => Rule::from_name;
    reason: Option<FormReason> => |text| FormReason::from_name(text).map(Some);
    overlap: Option<Overlap> => |text| Overlap::from_name(text).map(Some);
}

impl Story {
    /// Reads a story.
    ///
    /// # Errors
    /// When it is no TOML, has an unknown key, is out of order, or names somebody it does not introduce.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let mut story: Self = toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
        story.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        story.check().with_context(|| format!("{}", path.display()))?;
        Ok(story)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(self.title.contains(" · "), "the title is Chinese · English");
        ensure!(
            self.events.is_sorted_by_key(|event| event.on),
            "events are in the order of their dates"
        );
        ensure!(
            self.expectations.is_sorted_by_key(|expect| expect.on),
            "expectations are in the order of their dates"
        );
        ensure!(!self.expectations.is_empty(), "a story expects something");
        for who in self.events.iter().filter_map(|event| event.who.as_ref()) {
            ensure!(self.people.contains_key(who), "{who} is not introduced");
        }
        for keep in self.decisions.iter().filter_map(|decision| decision.keep.as_ref()) {
            ensure!(self.people.contains_key(keep), "{keep} is not introduced");
        }
        for (alias, someone) in &self.people {
            if let Some(number) = &someone.number
                && number.len() == 18
                && CitizenId::parse(number).is_err()
            {
                bail!("the number of {alias} has no valid checksum; the base would not group by it");
            }
        }
        Ok(())
    }

    /// Number of the story: the digits its name begins with.
    ///
    /// # Errors
    /// When it begins with none.
    pub fn ordinal(&self) -> anyhow::Result<u32> {
        let digits: String = self.name.chars().take_while(char::is_ascii_digit).collect();
        digits
            .parse()
            .with_context(|| format!("{}: a story's name begins with its number", self.name))
    }

    /// The last date the story speaks of.
    pub fn end(&self) -> Day {
        let decisions = self
            .decisions
            .iter()
            .flat_map(|decision| [Some(decision.on), decision.withdrawn]);
        let events = self.events.iter().map(|event| event.on).chain(decisions.flatten());
        let policies = self.policies.iter().filter_map(|change| change.on);
        events
            .chain(policies)
            .chain(self.expectations.iter().map(|expect| expect.on))
            .max()
            .unwrap_or(Day(0))
    }
}

/// Every story, in the order of their names.
///
/// # Errors
/// When one cannot be read.
pub fn all() -> anyhow::Result<Vec<Story>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files.iter().map(|path| Story::read(path)).collect()
}

/// Columns in which tables state whose a row is: document kind, number, name.
pub fn identity_columns(table: &str) -> Option<[&'static str; 2]> {
    Some(match table {
        "czrk" | "ldrk" => ["gmsfhm", "xm"],
        "sfhbg" => ["gmsfhm_new", "xm"],
        "funeral" | "marriage" | "hardship" | "fxry" => ["sfzh", "xm"],
        "ac01" | "ac21" | "ac60" | "az01" => ["aac147", "aac003"],
        "ac02" => ["aac002", "aac003"],
        "cb_grcbxx" => ["shbzh", "xm"],
        _ => return None,
    })
}

/// Whether a kind of facts is a statement about numbers rather than about a person.
pub fn is_statement(kind: FactsKind) -> bool {
    kind == FactsKind::Correction
}
