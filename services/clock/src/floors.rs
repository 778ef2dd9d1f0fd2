//! Floors: below which places of a topic the rows of its table are gone, and when that can be said.

use crate::Shared;
use crate::nameless;
use crate::track::Offsets;
use domain::date::Timestamp;
use domain::input::SnapshotFloor;
use domain::source::Source;
use runtime::dialect::{Dialects, Kind, Table};
use runtime::kafka::topics::dead_letters;
use runtime::normaliser::source_topic::SourceTopic;

/// Places are those of so many milliseconds before the time that they are of: low is safe, since a ghost that the next snapshot removes is
/// better than a lost person (ARCHITECTURE.md, Versions).
pub(crate) const MARGIN: i64 = 60_000;
/// Said of a table that lost no rows to a snapshot or a truncation for this reason.
pub(crate) const RESTARTED: &str = "the topic began anew after the last full snapshot or truncation had begun, so part of it may have gone \
                                    with the former topic: it removes no rows; let the connector take a full snapshot again to remove \
                                    those that the source has deleted";

/// A source's table whose rows are about persons.
pub(crate) fn of_persons<'a>(dialects: &'a Dialects, source: Source, table: &str) -> Option<&'a Table> {
    let table = dialects.find(source, table)?;
    (table.kind != Kind::Completeness && table.kind.facts_kind().is_some()).then_some(table)
}

/// End offsets of a source's topics as they are now.
pub(crate) async fn ends(shared: &Shared, source: Source) -> anyhow::Result<Offsets> {
    let replaced = shared.store.replaced_topics().await?;
    let mut topics = shared.ends.of_sources(vec![source], replaced).await?;
    Ok(topics.remove(&source).unwrap_or_default().ends)
}

/// Places in a topic, under the epoch that they are of. It is looked up like the rows' own epochs, and not the one in force: rows of a
/// snapshot under way when partitions were added belong to the epoch before.
pub(crate) fn places(topic: &SourceTopic, table: &Table, offsets: Vec<u64>) -> SnapshotFloor {
    SnapshotFloor {
        source: topic.source,
        table: table.name.clone(),
        epoch: topic.epochs.floor(&offsets),
        offsets,
    }
}

/// The floor, unless rows at it or later, since that time, could not be read, nor whose they are: it would remove those with the rest.
/// Says which of both it is where the operator looks.
pub(crate) async fn readable(
    shared: &Shared,
    topic: &SourceTopic,
    floor: SnapshotFloor,
    since: Timestamp,
) -> anyhow::Result<Option<SnapshotFloor>> {
    let (source, topic) = (topic.source, &topic.topic);
    let nameless = shared
        .ends
        .nameless(source, topic.clone(), floor.offsets.clone(), since)
        .await?;
    let kept = (nameless > 0).then(|| nameless::said(nameless, topic, &dead_letters(source)));
    shared.store.keep_rows(topic, kept.as_deref()).await?;
    if let Some(why) = kept {
        tracing::warn!(topic, "{why}");
        return Ok(None);
    }
    Ok(Some(floor))
}
