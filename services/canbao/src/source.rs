//! `source`: what is recorded of source topics, and the operator's statement that one may be read on (ARCHITECTURE.md, Versions).

mod list;

pub use list::{ListedTopic, list, render_list};

use crate::configuration;
use crate::operator;
use crate::reread::{Wanted, reread};
use crate::topics::{self, SourceTopic};
use crate::verify::bar;
use anyhow::Context;
use domain::date::Timestamp;
use domain::epoch::{Epochs, Moves};
use domain::source::{Source, TableName};
use rdkafka::message::Message;
use runtime::config::Settings;
use runtime::framed::{Closed, Frames, Opened};
use runtime::kafka::offsets::{self, Watermarks};
use runtime::normaliser::accept::{Acceptance, Statement};
use runtime::normaliser::source_topic;
use runtime::normaliser::wait::replace as replace_command;
use serde::Serialize;
use sqlx::PgPool;
use std::collections::BTreeMap;
use tokio::runtime::Handle;

/// What an acceptance changed.
#[derive(Debug, Serialize)]
pub struct Accepted {
    /// The topic.
    pub topic: String,
    /// Partitions recorded before and now.
    pub partitions: (u32, usize),
    /// Last epoch before and now.
    pub epoch: (u16, u16),
    /// Why it was held; `None` when it was not.
    pub was_held: Option<String>,
    /// Where it is read on.
    pub from: From,
    /// Keys that go to and fro between partitions, so that no epoch tells which of their rows is the last.
    pub unsettled_keys: usize,
}

/// Where an accepted topic is read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    /// Where it stopped.
    WhereItStopped,
    /// From where keys arrived in other partitions.
    WhereKeysArrived,
    /// From its start.
    ItsStart,
}

/// Accepts a topic, or every topic of a source (`human-resources.3201`), as it now is.
///
/// # Errors
/// When the name fits no topic that is recorded and exists, or the brokers or the store do not answer.
pub async fn accept(settings: &Settings, pool: &PgPool, name: &str, acceptance: Acceptance) -> anyhow::Result<Vec<Accepted>> {
    let source = name.parse::<Source>().ok();
    let names = &settings.topics.sources;
    anyhow::ensure!(
        source.is_some() || names.table_of(name).is_some(),
        "`{name}` is no source topic and no source: expected a name such as human-resources.3201.public.ac02 or \
         human-resources.3201; `canbao source list` shows them"
    );
    let present = tokio::task::block_in_place(|| topics::source_topics(settings))?;
    let is_named = |topic: &str| topic == name || (source.is_some() && names.table_of(topic).map(|(of, _)| of) == source);
    let mut accepted = Vec::new();
    for gone in source_topic::all(pool).await? {
        if gone.topic == name {
            acceptable(&gone)?;
        }
        let is_gone = is_named(&gone.topic) && !present.iter().any(|found| found.name == gone.topic);
        if is_gone && gone.held.is_some() {
            accepted.push(accept_gone(pool, gone).await?);
        }
    }
    let wanted: Vec<SourceTopic> = present.into_iter().filter(|found| is_named(&found.name)).collect();
    anyhow::ensure!(
        !(wanted.is_empty() && accepted.is_empty()),
        "the brokers have no topic of `{name}`; `canbao source list` shows what they have"
    );
    for topic in wanted {
        accepted.extend(accept_topic(settings, pool, &topic, acceptance, None).await?);
    }
    anyhow::ensure!(
        !accepted.is_empty(),
        "no normaliser has recorded a topic of `{name}` yet, so there is nothing to accept: it is read as it is once one runs for its region"
    );
    Ok(accepted)
}

/// Refuses a topic by name of which accepting would change nothing.
fn acceptable(topic: &source_topic::SourceTopic) -> anyhow::Result<()> {
    let name = &topic.topic;
    if let Some(other) = &topic.replaced_by {
        anyhow::bail!(
            "{other} took the place of {name}: `{}` would take it back",
            replace_command(name, other)
        );
    }
    match (&topic.held, &topic.waits) {
        (None, Some(waits)) => anyhow::bail!("accepting {name} changes nothing: {waits}"),
        _ => Ok(()),
    }
}

/// Lets a topic take the place of another that holds the same table: that one is neither read nor counted any more, and what is read of
/// this one counts as later than all that was read of it.
///
/// # Errors
/// When they do not hold the same table, the first was replaced already, or the brokers or the store do not answer.
pub async fn replace(settings: &Settings, pool: &PgPool, second: &str, first: &str) -> anyhow::Result<Vec<Accepted>> {
    let recorded = async |name: &str| {
        let found = source_topic::find(pool, name).await?;
        found.with_context(|| {
            format!("no normaliser has recorded a topic `{name}`; `canbao source list` shows those that one has")
        })
    };
    let (other, topic) = (recorded(first).await?, recorded(second).await?);
    anyhow::ensure!(
        second != first && (other.source, &other.table) == (topic.source, &topic.table),
        "{second} holds table {} of {} and {first} table {} of {}: only a topic of the same table can take the place of another",
        topic.table,
        topic.source,
        other.table,
        other.source
    );
    if let Some(by) = &other.replaced_by {
        anyhow::bail!("{first} was replaced by {by} already; `canbao source list` shows which topic is read");
    }
    let present = tokio::task::block_in_place(|| topics::source_topics(settings))?;
    let present = present.into_iter().find(|found| found.name == second);
    let present = present.with_context(|| format!("the brokers have no topic {second}"))?;
    let seen = other.epochs.latest();
    let accepted = accept_topic(settings, pool, &present, Acceptance::Replaces { seen }, Some(&other)).await?;
    Ok(accepted.into_iter().collect())
}

/// After a restore: begins the positions of every topic anew of which the log knows a later epoch than what is recorded. What was accepted
/// since the backup is looked for again, in what the topics hold now. Returns what changed.
///
/// # Errors
/// When the brokers or the store do not answer.
pub(crate) async fn accept_forgotten(
    settings: &Settings,
    pool: &PgPool,
    seen: &BTreeMap<(Source, TableName), u16>,
) -> anyhow::Result<Vec<Accepted>> {
    let present = tokio::task::block_in_place(|| topics::source_topics(settings))?;
    let mut begun = Vec::new();
    for topic in present {
        let known = source_topic::find(pool, &topic.name).await?;
        if known.as_ref().is_some_and(|known| known.replaced_by.is_some()) {
            continue;
        }
        let table = known.as_ref().map_or(topic.table.as_str(), |known| &*known.table);
        // In the log tables are spelled as dialects do.
        let of_table = seen
            .iter()
            .filter(|((source, name), _)| *source == topic.source && name.as_str().eq_ignore_ascii_case(table));
        let exact = seen.get(&(topic.source, TableName::new(table))).copied();
        let Some(seen) = exact.or_else(|| of_table.map(|(_, seen)| *seen).max()) else {
            continue;
        };
        if seen <= known.as_ref().map_or(0, |known| known.epochs.latest()) {
            continue;
        }
        source_topic::record(pool, &topic.name, (topic.source, table), topic.partitions as u32).await?;
        begun.extend(accept_topic(settings, pool, &topic, Acceptance::Restored { seen }, None).await?);
    }
    Ok(begun)
}

/// A held topic that the brokers do not have any more: nothing of it is left to be held. Made again, it is noticed as another one.
async fn accept_gone(pool: &PgPool, gone: source_topic::SourceTopic) -> anyhow::Result<Accepted> {
    let statement = Statement {
        acceptance: Acceptance::Continue,
        before: &gone,
        replaces: None,
        epochs: &gone.epochs,
        ends: &vec![0; gone.partitions as usize],
        who: &operator::who(),
    };
    statement.record(pool).await?;
    Ok(Accepted {
        partitions: (gone.partitions, 0),
        epoch: (gone.epochs.latest(), gone.epochs.latest()),
        topic: gone.topic,
        was_held: gone.held,
        from: From::WhereItStopped,
        unsettled_keys: 0,
    })
}

/// `None` when no normaliser has recorded the topic.
async fn accept_topic(
    settings: &Settings,
    pool: &PgPool,
    topic: &SourceTopic,
    acceptance: Acceptance,
    replaces: Option<&source_topic::SourceTopic>,
) -> anyhow::Result<Option<Accepted>> {
    let Some(before) = source_topic::find(pool, &topic.name).await? else {
        return Ok(None);
    };
    if before.replaced_by.is_some() && replaces.is_none() {
        return Ok(None);
    }
    let (under, looks) = acceptance.looks_under(&before, topic.partitions)?;
    let (ends, moves) = tokio::task::block_in_place(|| look(settings, topic, &before.table, under.clone(), looks))?;
    let epochs = acceptance.epochs(&before, &under, &ends, &moves)?;
    let statement = Statement {
        acceptance,
        before: &before,
        replaces,
        epochs: &epochs,
        ends: &ends,
        who: &operator::who(),
    };
    statement.record(pool).await?;
    let changed = |partition| {
        epochs
            .changed_from(before.epochs.latest(), partition)
            .is_some_and(|from| from == 0)
    };
    let from = match acceptance {
        Acceptance::Reread | Acceptance::Restart | Acceptance::Restored { .. } | Acceptance::Replaces { .. } => From::ItsStart,
        _ if epochs == before.epochs => From::WhereItStopped,
        _ if (0..ends.len() as u16).all(changed) => From::ItsStart,
        _ => From::WhereKeysArrived,
    };
    Ok(Some(Accepted {
        topic: topic.name.clone(),
        partitions: (before.partitions, topic.partitions),
        epoch: (before.epochs.latest(), epochs.latest()),
        was_held: before.reason().map(str::to_owned),
        from,
        unsettled_keys: moves.unsettled_by(&epochs),
    }))
}

/// Where a topic ends, by partition, and, if its keys are looked through, which of them moved.
fn look(settings: &Settings, topic: &SourceTopic, table: &str, under: Epochs, looks: bool) -> anyhow::Result<(Vec<u64>, Moves)> {
    let consumer = topics::reader(settings)?;
    let partitions = 0..topic.partitions as i32;
    let held = partitions
        .map(|partition| {
            offsets::watermarks(&consumer, &topic.name, partition)
                .with_context(|| format!("reading the range of {}/{partition}", topic.name))
        })
        .collect::<anyhow::Result<Vec<Watermarks>>>()?;
    let mut moves = Moves::under(under);
    if looks {
        let stretches: Vec<Wanted<'_>> = (0..)
            .zip(&held)
            .map(|(partition, held)| Wanted {
                topic: &topic.name,
                partition,
                offsets: held.low..held.high,
            })
            .collect();
        let dialects = configuration::dialects(settings)?;
        let frames = Frames::configured(settings, Handle::current())?;
        let mut away = None;
        let progress = bar("looking for keys that moved", "messages");
        progress.set_length(held.iter().map(|held| (held.high - held.low).unsigned_abs()).sum());
        reread(&consumer, &stretches, |_, message| {
            progress.inc(1);
            let Some(key) = message.key().filter(|_| away.is_none()) else {
                return;
            };
            // What is held is a row in a second partition, and a converter that is set up anew writes the keys of the same rows otherwise.
            let opened = match frames.open_in_time(Some(key), None) {
                Ok(opened) => Some(opened),
                Err(Closed::Away(cause)) => return away = Some(cause),
                Err(_) => None,
            };
            let row = dialects.row_of(topic.source, table, opened.as_ref().and_then(Opened::key));
            let row = row.as_deref().map_or(key, str::as_bytes);
            let appended = Timestamp(message.timestamp().to_millis().unwrap_or(0));
            moves.see(message.partition() as u16, message.offset().unsigned_abs(), appended, row);
        })
        .with_context(|| format!("looking through {} for keys that moved", topic.name))?;
        if let Some(cause) = away {
            anyhow::bail!("looking through {} for keys that moved: {cause}", topic.name);
        }
        progress.finish_and_clear();
    }
    Ok((held.iter().map(|held| held.high.unsigned_abs()).collect(), moves))
}

/// The acceptances as text.
pub fn render_accepted(accepted: &[Accepted]) -> String {
    let line = |accepted: &Accepted| {
        let Accepted {
            topic,
            partitions,
            epoch,
            was_held,
            from,
            unsettled_keys,
        } = accepted;
        let held = match was_held {
            Some(reason) => format!("it was held: {reason}"),
            None => "it was not held".to_owned(),
        };
        let start = match from {
            From::WhereItStopped => "where it stopped",
            From::WhereKeysArrived => "from where keys arrived in other partitions",
            From::ItsStart => "from its start",
        };
        let unsettled = if *unsettled_keys > 0 {
            format!(
                "  {unsettled_keys} keys go to and fro between partitions, so that nothing tells which of their rows is the last: have \
                 the topic written with a partitioner that keeps a key in its partition, then let the connector take a full snapshot\n"
            )
        } else {
            String::new()
        };
        format!(
            "accepted {topic}: partitions {} -> {}, epoch {} -> {}, read on {start}; {held}\n{unsettled}",
            partitions.0, partitions.1, epoch.0, epoch.1
        )
    };
    accepted.iter().map(line).collect()
}
