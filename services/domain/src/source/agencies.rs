//! The registry of agencies: data that a process reads once, before anything else.
//!
//! `services/domain/data/agencies.toml` holds the three that the notice of 2014 names; an installation adds others in a file of that form.
//! It is one for the whole process: names and codes are part of topics, ids and stored values, so that two registries in one process would
//! be two languages.

use super::agency::Authority;
use crate::division::City;
use crate::facts::FactsKind;
use crate::limits;
use serde::Deserialize;
use std::sync::OnceLock;

/// The agencies that the crate carries.
const EMBEDDED: &str = include_str!("../../data/agencies.toml");

/// The highest code: what is stored is one byte, of which the upper half is kept free.
const LARGEST_CODE: u8 = 127;

static REGISTERED: OnceLock<Agencies> = OnceLock::new();

/// Why a text is no registry of agencies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgencyError {
    /// Not TOML, or a key is missing, unknown or of the wrong kind.
    #[error("the agencies cannot be read: {0}")]
    Toml(String),
    /// A value does not fit.
    #[error("agency `{agency}`: {key}: {problem}")]
    Value {
        /// Its name as written.
        agency: String,
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Asked for too late.
    #[error("the agencies were read before, with other content: a process has one registry")]
    Settled,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    agency: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    code: u8,
    name: String,
    title: String,
    cities: Vec<String>,
    states: Vec<String>,
    #[serde(default)]
    authority: Vec<String>,
}

/// A registered agency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) code: u8,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) cities: Vec<City>,
    pub(super) states: Vec<FactsKind>,
    pub(super) authority: Vec<Authority>,
}

/// A registry of agencies (部门目录).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agencies {
    /// By code.
    entries: Vec<Entry>,
    /// Where the entry of a code stands, plus one; this is asked for with every record.
    places: [u8; LARGEST_CODE as usize + 1],
}

/// The process's registry; the embedded one unless another was established before.
pub(super) fn registered() -> &'static Agencies {
    REGISTERED.get_or_init(Agencies::embedded)
}

impl Agencies {
    /// Those that the crate carries.
    ///
    /// # Panics
    /// Never: a test holds that the embedded file is a registry.
    pub fn embedded() -> Self {
        Self::of(Vec::new(), EMBEDDED).expect("the embedded agencies are checked by a test")
    }

    /// Those that the crate carries, and those of a file.
    ///
    /// # Errors
    /// [`AgencyError`] that names the agency and the key.
    pub fn with(file: &str) -> Result<Self, AgencyError> {
        Self::of(Self::embedded().entries, file)
    }

    /// Makes this the process's registry.
    ///
    /// # Errors
    /// [`AgencyError::Settled`] when another is in use already.
    pub fn establish(self) -> Result<(), AgencyError> {
        if *REGISTERED.get_or_init(|| self.clone()) == self {
            Ok(())
        } else {
            Err(AgencyError::Settled)
        }
    }

    /// The names of the process's registry, for messages.
    pub(super) fn names() -> String {
        let names: Vec<&str> = registered().entries().map(|entry| entry.name.as_str()).collect();
        names.join(", ")
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn get(&self, code: u8) -> Option<&Entry> {
        let place = self.places.get(usize::from(code)).copied().unwrap_or(0);
        self.entries.get(usize::from(place).checked_sub(1)?)
    }

    fn of(mut entries: Vec<Entry>, text: &str) -> Result<Self, AgencyError> {
        let file: File = toml::from_str(text).map_err(|error| AgencyError::Toml(error.to_string()))?;
        for written in file.agency {
            let entry = entry(&written)?;
            let taken = |key, problem: &str| wrong(&written.name, key, problem);
            if entries.iter().any(|other| other.code == entry.code) {
                return Err(taken("code", "another agency has this code"));
            }
            if entries.iter().any(|other| other.name == entry.name) {
                return Err(taken("name", "this agency is stated already"));
            }
            entries.push(entry);
        }
        entries.sort_unstable_by_key(|entry| entry.code);
        let mut places = [0; LARGEST_CODE as usize + 1];
        for (place, entry) in (1..).zip(&entries) {
            places[usize::from(entry.code)] = place;
        }
        Ok(Self { entries, places })
    }
}

fn wrong(agency: &str, key: &'static str, problem: impl Into<String>) -> AgencyError {
    AgencyError::Value {
        agency: agency.to_owned(),
        key,
        problem: problem.into(),
    }
}

fn entry(written: &Written) -> Result<Entry, AgencyError> {
    let name = written.name.as_str();
    if !(1..=LARGEST_CODE).contains(&written.code) {
        return Err(wrong(name, "code", format!("must be 1 to {LARGEST_CODE}")));
    }
    // Part of topics, of groups and of database sessions' names.
    let spelled = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
    };
    if name.len() > limits::LONGEST_AGENCY || !name.split('-').all(spelled) {
        let problem = format!(
            "expected small letters and digits, words joined by -, at most {} characters",
            limits::LONGEST_AGENCY
        );
        return Err(wrong(name, "name", problem));
    }
    let is_title = !written.title.is_empty() && written.title.chars().all(|letter| !letter.is_control());
    if !is_title || written.title.len() > limits::LONGEST_TITLE {
        return Err(wrong(
            name,
            "title",
            format!("must be a line of 1 to {} bytes", limits::LONGEST_TITLE),
        ));
    }
    let states = named(name, "states", &written.states, FactsKind::from_name)?;
    if states.is_empty() {
        return Err(wrong(name, "states", "an agency states one kind of facts at least"));
    }
    let mut authority = named(name, "authority", &written.authority, Authority::from_name)?;
    authority.sort_unstable();
    if authority.contains(&Authority::Number) && !states.contains(&FactsKind::Resident) {
        let problem = "`number` is decided by rows of the resident register, which the agency does not state (states)";
        return Err(wrong(name, "authority", problem));
    }
    Ok(Entry {
        code: written.code,
        name: name.to_owned(),
        title: written.title.clone(),
        cities: cities(name, &written.cities)?,
        states,
        authority,
    })
}

fn cities(agency: &str, written: &[String]) -> Result<Vec<City>, AgencyError> {
    let mut cities = Vec::new();
    for text in written {
        if text == "*" {
            cities.extend(City::all().filter(|city| *city != City::PROVINCE));
        } else {
            let problem = || {
                wrong(
                    agency,
                    "cities",
                    format!("`{text}` is no city: expected * or codes from 3200 to 3213"),
                )
            };
            cities.push(text.parse().map_err(|_| problem())?);
        }
    }
    cities.sort_unstable();
    cities.dedup();
    if cities.is_empty() {
        return Err(wrong(agency, "cities", "an agency has a system in one city at least"));
    }
    Ok(cities)
}

fn named<T: PartialEq>(
    agency: &str,
    key: &'static str,
    names: &[String],
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, AgencyError> {
    let mut values = Vec::new();
    for name in names {
        let value = read(name).ok_or_else(|| wrong(agency, key, format!("unknown value `{name}`")))?;
        if values.contains(&value) {
            return Err(wrong(agency, key, format!("`{name}` is there twice")));
        }
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
