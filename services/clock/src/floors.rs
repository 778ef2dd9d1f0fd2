//! Floors: below which places of a topic the rows of its table are gone, and when that can be said.

use crate::store::Truncation;
use crate::track::Offsets;
use crate::{Shared, nameless, truncations};
use domain::date::Timestamp;
use domain::input::SnapshotFloor;
use domain::source::Source;
use runtime::dialect::Table;
use runtime::kafka::topics::dead_letters;
use runtime::normaliser::floor::{before, places};
use runtime::normaliser::source_topic::SourceTopic;

/// Said of a table that lost no rows to a snapshot or a truncation for this reason.
pub(crate) const RESTARTED: &str = "the topic began anew after the last full snapshot or truncation had begun, so part of it may have gone \
                                    with the former topic: it removes no rows; let the connector take a full snapshot again to remove \
                                    those that the source has deleted";

/// End offsets of a source's topics as they are now.
pub(crate) async fn ends(shared: &Shared, source: Source) -> anyhow::Result<Offsets> {
    let replaced = shared.store.replaced_topics().await?;
    let mut topics = shared.ends.of_sources(vec![source], replaced).await?;
    Ok(topics.remove(&source).unwrap_or_default().ends)
}

/// What a full snapshot that is over says of a table.
pub(crate) enum Floor {
    /// Below these places its rows are gone; and the truncations that are settled with it, once it is stated.
    Gone(SnapshotFloor, Vec<Truncation>),
    /// It keeps its rows, and why.
    Kept(String),
    /// The topic is gone.
    Nothing,
}

/// What a full snapshot that began at a time, and whose rows have passed the normaliser, says of the table of a topic. What keeps rows is
/// said where the operator looks.
pub(crate) async fn of_snapshot(
    shared: &Shared,
    topic: &SourceTopic,
    table: &Table,
    started: Timestamp,
) -> anyhow::Result<Floor> {
    let store = &shared.store;
    if store.is_restarted_since(&topic.topic, started).await? {
        store.keep_rows(&topic.topic, Some(RESTARTED)).await?;
        tracing::warn!(topic = topic.topic, "{RESTARTED}");
        return Ok(Floor::Kept(RESTARTED.to_owned()));
    }
    let begin = before(started);
    let offsets = shared.ends.begin_offsets(topic.topic.clone(), begin).await?;
    if offsets.is_empty() {
        return Ok(Floor::Nothing);
    }
    let mut floor = match readable(shared, topic, places(topic, table, offsets), begin).await? {
        Ok(floor) => floor,
        Err(why) => return Ok(Floor::Kept(why)),
    };
    let mut settled = Vec::new();
    for truncation in store.truncations().await? {
        if truncation.topic != topic.topic {
            continue;
        }
        if truncation.at.appended_at > started {
            // What was loaded again after it is not in the snapshot.
            let said = truncations::said(truncation.at.appended_at, table.truncation);
            store.keep_rows(&topic.topic, Some(&said)).await?;
        } else if let Some(place) = truncations::place(shared, topic, table, &truncation).await? {
            // What the source had truncated before it began and has again is in it.
            floor = floor.join(&place);
            settled.push(truncation);
        }
    }
    Ok(Floor::Gone(floor, settled))
}

/// The floor, unless rows at it or later, since that time, could not be read, nor whose they are: it would remove those with the rest, and
/// the inner error says so. Which of both it is, is said where the operator looks.
pub(crate) async fn readable(
    shared: &Shared,
    topic: &SourceTopic,
    floor: SnapshotFloor,
    since: Timestamp,
) -> anyhow::Result<Result<SnapshotFloor, String>> {
    let (source, topic) = (topic.source, &topic.topic);
    let nameless = shared
        .ends
        .nameless(source, topic.clone(), floor.offsets.clone(), since)
        .await?;
    let kept = (nameless > 0).then(|| nameless::said(nameless, topic, &dead_letters(source)));
    shared.store.keep_rows(topic, kept.as_deref()).await?;
    if let Some(why) = kept {
        tracing::warn!(topic, "{why}");
        return Ok(Err(why));
    }
    Ok(Ok(floor))
}
