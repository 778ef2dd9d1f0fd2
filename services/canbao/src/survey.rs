//! `check-config --topics`: a sample of every mapped topic against its mapping.

use crate::output::Table;
use crate::reread::{Wanted, reread};
use crate::topics;
use anyhow::Context;
use domain::date::Timestamp;
use rdkafka::message::Message;
use runtime::config::Settings;
use runtime::dialect::{Dialects, SourceMessage, Survey, Surveyed};
use runtime::framed::Frames;
use runtime::kafka::offsets;
use serde::Serialize;
use tokio::runtime::Handle;

/// Messages that are read of each partition: its last ones.
const SAMPLE: i64 = 200;

/// What a topic's sample came to.
#[derive(Debug, Serialize)]
pub struct Sampled {
    /// The topic.
    pub topic: String,
    /// The dialect that maps its table; `None` when none does, so that nothing else is known.
    pub dialect: Option<String>,
    /// What was found.
    #[serde(flatten)]
    pub found: Option<Surveyed>,
}

/// Reads a sample of every source topic. Blocks.
///
/// # Errors
/// When the brokers do not answer.
pub fn survey(settings: &Settings, dialects: &Dialects) -> anyhow::Result<Vec<Sampled>> {
    let known = topics::source_topics(settings)?;
    let frames = Frames::configured(settings, Handle::current())?;
    let consumer = topics::reader(settings)?;
    let mapped: Vec<_> = known
        .iter()
        .filter_map(|topic| Some((topic, dialects.find(topic.source, &topic.table)?)))
        .collect();
    let partitions: Vec<(String, i32)> = mapped
        .iter()
        .flat_map(|(topic, _)| (0..topic.partitions as i32).map(|partition| (topic.name.clone(), partition)))
        .collect();
    let held = offsets::watermarks_of(&consumer, &partitions).context("asking what the topics hold")?;
    let (mut wanted, mut of) = (Vec::new(), Vec::new());
    for (at, (topic, _)) in mapped.iter().enumerate() {
        for partition in 0..topic.partitions as i32 {
            let Some(held) = held.get(&(topic.name.clone(), partition)) else {
                continue;
            };
            let offsets = held.low.max(held.high - SAMPLE)..held.high;
            wanted.push(Wanted {
                topic: &topic.name,
                partition,
                offsets,
            });
            of.push(at);
        }
    }
    let mut surveys: Vec<Survey> = mapped.iter().map(|_| Survey::default()).collect();
    reread(&consumer, &wanted, |stretch, message| {
        let (topic, table) = mapped[of[stretch]];
        let framed = SourceMessage {
            source: topic.source,
            table: &topic.table,
            partition: message.partition().max(0) as u16,
            offset: message.offset().max(0) as u64,
            epoch: 0,
            timestamp: Timestamp(message.timestamp().to_millis().unwrap_or(0)),
            key: message.key(),
            value: message.payload(),
        };
        // What cannot be opened is what the normaliser holds its topic for; here it is a row that cannot be read.
        match frames.open_in_time(message.key(), message.payload()) {
            Ok(opened) => surveys[of[stretch]].note(dialects, table, &opened.of(&framed)),
            Err(_) => surveys[of[stretch]].note(dialects, table, &framed),
        }
    })?;
    let mut sampled: Vec<Sampled> = mapped
        .iter()
        .zip(&surveys)
        .map(|((topic, table), survey)| Sampled {
            topic: topic.name.clone(),
            dialect: Some(table.dialect.clone()),
            found: Some(survey.result(table)),
        })
        .collect();
    let unmapped = known
        .iter()
        .filter(|topic| dialects.find(topic.source, &topic.table).is_none());
    sampled.extend(unmapped.map(|topic| Sampled {
        topic: topic.name.clone(),
        dialect: None,
        found: None,
    }));
    Ok(sampled)
}

/// The samples as text: what there is to look at, topic by topic.
pub fn render(sampled: &[Sampled]) -> String {
    let mut table = Table::new([
        "topic",
        "rows",
        "never seen",
        "nobody maps",
        "codes without meaning",
        "cannot be read",
    ]);
    for topic in sampled {
        table.row(match &topic.found {
            None => [
                topic.topic.clone(),
                "no dialect maps its table".into(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
            ],
            Some(found) => [
                topic.topic.clone(),
                found.rows.to_string(),
                found.never_seen.join(" "),
                found.unmapped.join(" "),
                found.codes.join(" "),
                found.unread.join(", "),
            ],
        });
    }
    table.render()
}
