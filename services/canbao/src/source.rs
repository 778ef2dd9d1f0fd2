//! `source`: what is recorded of source topics, and the operator's statement that one may be read on (ARCHITECTURE.md, Versions).

use crate::output::{Table, Verdict, or_dash};
use crate::topics::{self, SourceTopic};
use anyhow::Context;
use runtime::config::Settings;
use runtime::debezium::table_of_topic;
use runtime::kafka::topics::parse_source;
use runtime::normaliser::source_topic::{Acceptance, accept as record_acceptance};
use serde::Serialize;
use sqlx::{PgPool, Row};

/// A source topic, as recorded and as it is.
#[derive(Debug, Serialize)]
pub struct ListedTopic {
    /// Its name.
    pub topic: String,
    /// Partitions recorded; `None` when no normaliser has seen it.
    pub recorded_partitions: Option<i32>,
    /// Partitions it has; `None` when the brokers do not have it.
    pub partitions: Option<usize>,
    /// Epoch of its positions.
    pub epoch: Option<i16>,
    /// Why it is not read, with the command to run.
    pub held: Option<String>,
}

/// Every source topic; a held one is a difference.
///
/// # Errors
/// When the brokers or the store do not answer.
pub async fn list(settings: &Settings, pool: &PgPool) -> anyhow::Result<(Vec<ListedTopic>, Verdict)> {
    let present = tokio::task::block_in_place(|| topics::source_topics(settings))?;
    let rows = sqlx::query("select topic, partitions, epoch, held from store.source_topic order by topic")
        .fetch_all(pool)
        .await
        .context("reading the recorded topics: was `canbao migrate` run?")?;
    let mut listed = Vec::new();
    for row in &rows {
        let topic: String = row.try_get("topic")?;
        listed.push(ListedTopic {
            partitions: present.iter().find(|found| found.name == topic).map(|found| found.partitions),
            recorded_partitions: Some(row.try_get("partitions")?),
            epoch: Some(row.try_get("epoch")?),
            held: row.try_get("held")?,
            topic,
        });
    }
    let unseen = present
        .into_iter()
        .filter(|found| !rows.iter().any(|row| row.get::<&str, _>("topic") == found.name));
    listed.extend(unseen.map(|found| ListedTopic {
        topic: found.name,
        recorded_partitions: None,
        partitions: Some(found.partitions),
        epoch: None,
        held: None,
    }));
    listed.sort_unstable_by(|one, two| one.topic.cmp(&two.topic));
    let held = listed.iter().any(|topic| topic.held.is_some());
    Ok((listed, if held { Verdict::Difference } else { Verdict::Good }))
}

/// The list as text.
pub fn render_list(listed: &[ListedTopic]) -> String {
    let mut table = Table::new(["topic", "partitions", "recorded", "epoch", "held"]);
    for topic in listed {
        table.row([
            topic.topic.clone(),
            or_dash(topic.partitions),
            or_dash(topic.recorded_partitions),
            or_dash(topic.epoch),
            topic.held.clone().unwrap_or_default(),
        ]);
    }
    table.render()
}

/// What an acceptance changed.
#[derive(Debug, Serialize)]
pub struct Accepted {
    /// The topic.
    pub topic: String,
    /// Partitions recorded before and now.
    pub partitions: (i32, usize),
    /// Epoch before and now.
    pub epoch: (i16, i16),
    /// Why it was held; `None` when it was not.
    pub was_held: Option<String>,
    /// It is read again from its start.
    pub from_start: bool,
}

/// Accepts a topic, or every topic of a source (`human-resources.3201`), as it now is.
///
/// # Errors
/// When the name fits no topic that is recorded and exists, or the brokers or the store do not answer.
pub async fn accept(settings: &Settings, pool: &PgPool, name: &str, acceptance: Acceptance) -> anyhow::Result<Vec<Accepted>> {
    let source = parse_source(name);
    anyhow::ensure!(
        source.is_some() || table_of_topic(name).is_some(),
        "`{name}` is no source topic and no source: expected a name such as human-resources.3201.public.ac02 or \
         human-resources.3201; `canbao source list` shows them"
    );
    let present = tokio::task::block_in_place(|| topics::source_topics(settings))?;
    let wanted: Vec<SourceTopic> = present
        .into_iter()
        .filter(|found| found.name == name || Some(found.source) == source)
        .collect();
    anyhow::ensure!(
        !wanted.is_empty(),
        "the brokers have no topic of `{name}`; `canbao source list` shows what they have"
    );
    let mut accepted = Vec::new();
    for topic in wanted {
        accepted.extend(accept_topic(pool, &topic, acceptance).await?);
    }
    anyhow::ensure!(
        !accepted.is_empty(),
        "no normaliser has recorded a topic of `{name}` yet, so there is nothing to accept: it is read as it is once one runs for its region"
    );
    Ok(accepted)
}

/// `None` when no normaliser has recorded the topic.
async fn accept_topic(pool: &PgPool, topic: &SourceTopic, acceptance: Acceptance) -> anyhow::Result<Option<Accepted>> {
    let read = "select partitions, epoch, held from store.source_topic where topic = $1";
    let before = sqlx::query(read)
        .bind(&topic.name)
        .fetch_optional(pool)
        .await
        .context("reading the recorded topics")?;
    let Some(before) = before else { return Ok(None) };
    record_acceptance(pool, &topic.name, topic.partitions as u32, acceptance).await?;
    let after = sqlx::query(read)
        .bind(&topic.name)
        .fetch_one(pool)
        .await
        .context("reading the recorded topic")?;
    Ok(Some(Accepted {
        topic: topic.name.clone(),
        partitions: (before.try_get("partitions")?, topic.partitions),
        epoch: (before.try_get("epoch")?, after.try_get("epoch")?),
        was_held: before.try_get("held")?,
        from_start: acceptance != Acceptance::Continue,
    }))
}

/// The acceptances as text.
pub fn render_accepted(accepted: &[Accepted]) -> String {
    let line = |accepted: &Accepted| {
        let Accepted {
            topic,
            partitions,
            epoch,
            was_held,
            from_start,
        } = accepted;
        let held = match was_held {
            Some(reason) => format!("it was held: {reason}"),
            None => "it was not held".to_owned(),
        };
        let start = if *from_start { "from its start" } else { "where it stopped" };
        format!(
            "accepted {topic}: partitions {} -> {}, epoch {} -> {}, read on {start}; {held}\n",
            partitions.0, partitions.1, epoch.0, epoch.1
        )
    };
    accepted.iter().map(line).collect()
}
