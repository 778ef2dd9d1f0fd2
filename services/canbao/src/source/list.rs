//! `source list`: every source topic, as recorded and as it is.

use crate::output::{Table, Verdict, or_dash};
use crate::{topics, waivers};
use runtime::config::Settings;
use runtime::normaliser::source_topic;
use serde::Serialize;
use sqlx::PgPool;

/// A source topic, as recorded and as it is.
#[derive(Debug, Serialize)]
pub struct ListedTopic {
    /// Its name.
    pub topic: String,
    /// Partitions recorded; `None` when no normaliser has seen it.
    pub recorded_partitions: Option<u32>,
    /// Partitions it has; `None` when the brokers do not have it.
    pub partitions: Option<usize>,
    /// The last epoch of its positions.
    pub epoch: Option<u16>,
    /// Why it is not read, with what to do.
    pub held: Option<String>,
    /// The topic that holds its table since, so that this one is neither read nor counted.
    pub replaced_by: Option<String>,
    /// Why rows stand that its source may have removed, with what to do.
    pub keeps_rows: Option<String>,
    /// Until when claims of absence do not wait for its source, who stated that and why.
    pub waived: Option<String>,
}

/// Every source topic; a held one is a difference.
///
/// # Errors
/// When the brokers or the store do not answer.
pub async fn list(settings: &Settings, pool: &PgPool) -> anyhow::Result<(Vec<ListedTopic>, Verdict)> {
    let present = tokio::task::block_in_place(|| topics::source_topics(settings))?;
    let waivers = waivers::standing(pool).await?;
    let mut listed: Vec<ListedTopic> = source_topic::all(pool)
        .await?
        .into_iter()
        .map(|recorded| {
            let partitions = present
                .iter()
                .find(|found| found.name == recorded.topic)
                .map(|found| found.partitions);
            // A topic that is gone waits for nothing.
            let said = recorded.held.is_some() || partitions.is_some();
            ListedTopic {
                partitions,
                recorded_partitions: Some(recorded.partitions),
                epoch: Some(recorded.epochs.latest()),
                held: recorded.reason().filter(|_| said).map(str::to_owned),
                replaced_by: recorded.replaced_by,
                keeps_rows: recorded.keeps_rows,
                waived: waivers.get(&recorded.source).cloned(),
                topic: recorded.topic,
            }
        })
        .collect();
    let is_recorded = |name: &str| listed.iter().any(|recorded| recorded.topic == name);
    let unseen: Vec<ListedTopic> = present
        .into_iter()
        .filter(|found| !is_recorded(&found.name))
        .map(|found| ListedTopic {
            waived: waivers.get(&found.source).cloned(),
            topic: found.name,
            recorded_partitions: None,
            partitions: Some(found.partitions),
            epoch: None,
            held: None,
            replaced_by: None,
            keeps_rows: None,
        })
        .collect();
    listed.extend(unseen);
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
            match (&topic.held, &topic.replaced_by) {
                (Some(reason), _) => reason.clone(),
                (None, Some(other)) => format!("no: {other} took its place, so that it is not read any more"),
                (None, None) => String::new(),
            },
        ]);
    }
    let mut text = table.render();
    let kept = |topic: &ListedTopic| Some(format!("\n{}: {}\n", topic.topic, topic.keeps_rows.as_ref()?));
    text.extend(listed.iter().filter_map(kept));
    let waived = |topic: &ListedTopic| Some(format!("\n{}: its source is {}\n", topic.topic, topic.waived.as_ref()?));
    text.extend(listed.iter().filter_map(waived));
    text
}
