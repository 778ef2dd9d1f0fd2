//! Source messages: key and value as a connector, or anybody else, wrote them.

use super::Report;
use super::mutate::{self, Random};
use crate::bad_inputs;
use crate::ground::Rules;
use anyhow::Context;
use domain::date::Timestamp;
use runtime::debezium::Envelope;
use runtime::dialect::SourceMessage;
use runtime::kafka::TopicNames;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// A message to begin with, or one made of it.
#[derive(Debug, Clone)]
pub(super) struct Seed {
    pub(super) topic: String,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) timestamp: i64,
}

/// Contract examples, captured messages, and the bad inputs that are not large.
pub(super) fn seeds() -> anyhow::Result<Vec<Seed>> {
    let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/contracts");
    let mut texts = Vec::new();
    for folder in ["bad", "public-security", "civil-affairs", "human-resources"] {
        for entry in std::fs::read_dir(contracts.join("examples").join(folder))? {
            texts.push(std::fs::read_to_string(entry?.path())?);
        }
    }
    // The order of a folder is the file system's; the same seed must draw the same inputs.
    texts.sort();
    for file in ["postgres-schemaless.jsonl", "postgres-with-schema.jsonl"] {
        let captured = std::fs::read_to_string(contracts.join("captured").join(file))?;
        texts.extend(captured.lines().map(str::to_owned));
    }
    let mut seeds = Vec::new();
    for text in &texts {
        let message: Value = serde_json::from_str(text)?;
        let bytes = |part: &Value| match part {
            Value::Null => None,
            Value::String(raw) => Some(raw.clone().into_bytes()),
            json => Some(json.to_string().into_bytes()),
        };
        let topic = message["topic"].as_str().context("a topic")?.to_owned();
        if TopicNames::standard().table_of(&topic).is_some() {
            let (key, value) = (bytes(&message["key"]), bytes(&message["value"]));
            seeds.push(Seed {
                topic,
                key,
                value,
                timestamp: 0,
            });
        }
    }
    let small = |input: &bad_inputs::BadInput| input.value.as_ref().is_none_or(|value| value.len() < 10_000);
    seeds.extend(bad_inputs::all()?.into_iter().filter(small).map(|input| Seed {
        topic: input.topic,
        key: input.key.filter(|key| key.len() < 10_000),
        value: input.value,
        timestamp: 0,
    }));
    Ok(seeds)
}

impl Seed {
    /// Another message like it.
    fn mutated(&self, random: &mut Random, other: &Self) -> Self {
        let mut seed = self.clone();
        let lent = |part: &Option<Vec<u8>>| part.clone().unwrap_or_default();
        match random.below(10) {
            0 => {
                if let Some(key) = &mut seed.key {
                    mutate::bytes(random, key, &lent(&other.key));
                }
            }
            1 => seed.key.clone_from(&other.key),
            2 => seed.value.clone_from(&other.value),
            3..=5 => {
                if let Some(value) = &mut seed.value {
                    mutate::bytes(random, value, &lent(&other.value));
                }
            }
            _ => {
                for part in [&mut seed.value, &mut seed.key] {
                    let parsed = part.as_deref().and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
                    if let Some(mut json) = parsed {
                        for _ in 0..=random.below(3) {
                            mutate::json(random, &mut json);
                        }
                        *part = Some(json.to_string().into_bytes());
                    }
                    if !random.one_in(3) {
                        break;
                    }
                }
            }
        }
        if random.one_in(50) {
            seed.key = None;
        }
        seed.timestamp = *random.of(&[1_795_484_900_000, 1_795_484_900_000, 0, -1, i64::MAX, i64::MIN]);
        seed
    }

    fn run(&self, rules: &Rules) -> anyhow::Result<String> {
        let (source, table) = TopicNames::standard().table_of(&self.topic).context("a table's topic")?;
        if let Ok(Some(envelope)) = Envelope::parse(self.value.as_deref()) {
            let _ = envelope.snapshot();
        }
        let message = SourceMessage {
            source,
            table,
            partition: 1,
            offset: 5,
            epoch: 0,
            timestamp: Timestamp(self.timestamp),
            key: self.key.as_deref(),
            value: self.value.as_deref(),
        };
        let became = bad_inputs::classify(rules, &message)?;
        Ok(became.split([':', ' ']).next().unwrap_or_default().to_owned())
    }
}

/// Tries source messages for some time.
///
/// # Errors
/// When the examples cannot be read.
pub fn messages(rules: &Rules, seed: u64, time: Duration) -> anyhow::Result<Report> {
    let seeds = seeds()?;
    Ok(Report::collect(
        seed,
        time,
        |random| {
            let (one, other) = (random.below(seeds.len()), random.below(seeds.len()));
            seeds[one].mutated(random, &seeds[other])
        },
        |seed| {
            vec![
                seed.key.as_deref().unwrap_or_default(),
                seed.value.as_deref().unwrap_or_default(),
            ]
        },
        |seed| seed.run(rules),
    ))
}
