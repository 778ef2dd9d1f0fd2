//! Templates as settings write them: a text, or a table with a text and what it leaves open.
//!
//! TOML gives an array. The environment gives one text: templates separated by commas, or the same array as in TOML, in brackets.

use super::{Holds, KEY, TopicNames};
use domain::division::City;
use domain::source::Agency;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A template as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) topic: String,
    pub(super) agency: Option<Agency>,
    pub(super) city: Option<City>,
    pub(super) table: Option<String>,
}

impl Written {
    /// Whether it is stated beside the name.
    pub(super) fn states(&self, holds: Holds) -> bool {
        match holds {
            Holds::Agency => self.agency.is_some(),
            Holds::City => self.city.is_some(),
            Holds::Table => self.table.is_some(),
        }
    }

    pub(super) fn of(topic: &str) -> Self {
        Self {
            topic: topic.trim().to_owned(),
            ..Self::default()
        }
    }
}

/// A city's code, as text or as a number.
struct Code(City);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CodeVisitor;
        impl Visitor<'_> for CodeVisitor {
            type Value = Code;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a city code from 3200 to 3213")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Code, E> {
                let city = text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self));
                city.map(Code)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Code, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Code, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(CodeVisitor)
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TemplateVisitor;
        impl<'de> Visitor<'de> for TemplateVisitor {
            type Value = Written;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a template of topic names, or a table with topic, agency, city and table")
            }
            fn visit_str<E>(self, topic: &str) -> Result<Written, E> {
                Ok(Written::of(topic))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Written, A::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Long {
                    topic: String,
                    agency: Option<String>,
                    city: Option<Code>,
                    table: Option<String>,
                }
                let long = Long::deserialize(MapAccessDeserializer::new(map))?;
                let agency = long.agency.map(|agency| agency.parse()).transpose();
                Ok(Written {
                    topic: long.topic,
                    agency: agency.map_err(|error| de::Error::custom(format!("agency: {error}")))?,
                    city: long.city.map(|code| code.0),
                    table: long.table,
                })
            }
        }
        deserializer.deserialize_any(TemplateVisitor)
    }
}

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            topic,
            agency,
            city,
            table,
        } = self;
        if agency.is_none() && city.is_none() && table.is_none() {
            return serializer.serialize_str(topic);
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("topic", topic)?;
        let agency = agency.map(|agency| agency.to_string());
        let city = city.map(|city| city.code().to_string());
        for (key, value) in [("agency", &agency), ("city", &city), ("table", table)] {
            if let Some(value) = value {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

pub(super) struct Templates;

impl<'de> Visitor<'de> for Templates {
    type Value = Vec<Written>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of templates, or templates separated by commas")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        #[derive(Deserialize)]
        struct Array {
            sources: Vec<Written>,
        }
        if text.trim_start().starts_with('[') {
            let array: Result<Array, _> = toml::from_str(&format!("sources = {text}"));
            return array.map(|array| array.sources).map_err(E::custom);
        }
        Ok(text
            .split(',')
            .filter(|item| !item.trim().is_empty())
            .map(Written::of)
            .collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut templates = Vec::new();
        while let Some(template) = array.next_element()? {
            templates.push(template);
        }
        Ok(templates)
    }
}

impl<'de> Deserialize<'de> for TopicNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let failed = |error| de::Error::custom(format!("{KEY}: {error}"));
        let written = deserializer.deserialize_any(Templates).map_err(failed)?;
        Self::compile(KEY, written).map_err(de::Error::custom)
    }
}

impl Serialize for TopicNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|template| &template.written))
    }
}
