//! Lists in settings: TOML gives an array, environment and flags one text with separators; both mean the same.

use domain::division::City;
use domain::policy::Policy;
use domain::shard::{SHARDS, Shard};
use domain::source::Source;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// The word that stands for every member.
const ALL: &str = "all";

/// The items of an array, or of a text split at any of the separators.
struct Items<const COLON: bool>;

impl<'de, const COLON: bool> Visitor<'de> for Items<COLON> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if COLON {
            "an array, or paths separated by colons"
        } else {
            "an array, or items separated by commas"
        })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
        let separator = if COLON { ':' } else { ',' };
        Ok(text
            .split(separator)
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Vec<String>, E> {
        Ok(vec![number.to_string()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Vec<String>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = array.next_element::<String>()? {
            items.push(item);
        }
        Ok(items)
    }
}

/// Paths: an array, or one text separated by colons as in `PATH`.
pub(super) mod paths {
    use super::{Deserializer, Items, Serializer};
    use std::path::PathBuf;

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
        Ok(deserializer
            .deserialize_any(Items::<true>)?
            .into_iter()
            .map(PathBuf::from)
            .collect())
    }

    pub(in crate::config) fn serialize<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(paths)
    }
}

/// Agencies by name: an array, or one text separated by commas.
pub(super) mod agencies {
    use super::{Deserializer, Items, Serializer, de};
    use domain::source::Agency;

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Agency>, D::Error> {
        let items = deserializer.deserialize_any(Items::<false>)?;
        let agency = |item: String| {
            item.parse::<Agency>()
                .map_err(|error| de::Error::custom(format!("agencies: `{item}`: {error}")))
        };
        let mut agencies = items.into_iter().map(agency).collect::<Result<Vec<_>, _>>()?;
        agencies.sort_unstable();
        agencies.dedup();
        Ok(agencies)
    }

    pub(in crate::config) fn serialize<S: Serializer>(agencies: &[Agency], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(agencies.iter().map(|agency| agency.as_str()))
    }
}

/// The regions (统筹区, by city) a process serves: `all`, or city codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regions(Vec<City>);

impl Default for Regions {
    fn default() -> Self {
        Self(City::all().collect())
    }
}

impl Regions {
    /// The cities, each once, in order.
    pub fn cities(&self) -> &[City] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Regions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = deserializer.deserialize_any(Items::<false>)?;
        if items == [ALL] {
            return Ok(Self::default());
        }
        let city = |item: String| {
            item.parse::<City>()
                .map_err(|_| de::Error::custom(format!("regions: `{item}` is no city code 3200 to 3213")))
        };
        let mut cities = items.into_iter().map(city).collect::<Result<Vec<_>, _>>()?;
        cities.sort_unstable();
        cities.dedup();
        if cities.is_empty() {
            return Err(de::Error::custom("regions: expected `all` or city codes"));
        }
        Ok(Self(cities))
    }
}

impl Serialize for Regions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|city| city.code().to_string()))
    }
}

/// Shards a process serves: `all`, or numbers and ranges such as `0-31,40`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardSet(Vec<Shard>);

impl Default for ShardSet {
    fn default() -> Self {
        Self(Shard::all().collect())
    }
}

impl ShardSet {
    /// The shards, each once, in order.
    pub fn shards(&self) -> &[Shard] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ShardSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = deserializer.deserialize_any(Items::<false>)?;
        if items == [ALL] {
            return Ok(Self::default());
        }
        let mut shards = Vec::new();
        for item in &items {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let range = first.trim().parse::<u8>().ok().zip(last.trim().parse::<u8>().ok());
            let (first, last) = range.filter(|(first, last)| first <= last && *last < SHARDS).ok_or_else(|| {
                de::Error::custom(format!(
                    "shards: `{item}` is no shard 0 to {} and no range of them",
                    SHARDS - 1
                ))
            })?;
            shards.extend((first..=last).filter_map(Shard::new));
        }
        shards.sort_unstable();
        shards.dedup();
        if shards.is_empty() {
            return Err(de::Error::custom("shards: expected `all`, numbers or ranges"));
        }
        Ok(Self(shards))
    }
}

impl Serialize for ShardSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Shard::to_string))
    }
}

/// Sources in scope of completeness: those of the policy, or the listed ones (`human-resources.3201`).
///
/// Never "those that have sent anything": a source that is silent from the first day would otherwise not be missed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SourceScope {
    /// Those the policy's scope names.
    #[default]
    Policy,
    /// These.
    Listed(Vec<Source>),
}

impl SourceScope {
    /// The sources over which absence is claimed, in order: the listed ones, or those of the policy.
    pub fn under(&self, policy: &Policy) -> Vec<Source> {
        match self {
            Self::Listed(sources) => sources.clone(),
            Self::Policy => policy.scope(),
        }
    }
}

impl<'de> Deserialize<'de> for SourceScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = deserializer.deserialize_any(Items::<false>)?;
        if items == [ALL] {
            return Ok(Self::Policy);
        }
        let source = |item: String| {
            item.parse::<Source>()
                .map_err(|error| de::Error::custom(format!("sources: `{item}` is {error}")))
        };
        let mut sources = items.into_iter().map(source).collect::<Result<Vec<_>, _>>()?;
        sources.sort_unstable();
        sources.dedup();
        if sources.is_empty() {
            return Err(de::Error::custom(
                "sources: expected `all` or sources such as human-resources.3201",
            ));
        }
        Ok(Self::Listed(sources))
    }
}

impl Serialize for SourceScope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Policy => serializer.serialize_str(ALL),
            Self::Listed(sources) => serializer.collect_seq(sources.iter().map(Source::to_string)),
        }
    }
}
