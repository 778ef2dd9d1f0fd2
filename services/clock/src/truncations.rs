//! The loop of truncations: what a normaliser noted becomes a statement to every shard, and once the load that followed is over, a floor.
//!
//! Only the place of the message itself is exact. In other partitions a truncation stands where messages of its time do, taken low: a
//! ghost that the next load removes is better than a lost person (ARCHITECTURE.md, Versions).

use crate::floors;
use crate::store::Truncation;
use crate::track::{Offsets, Standing};
use crate::{Shared, now};
use domain::date::Timestamp;
use domain::input::SnapshotFloor;
use domain::source::Source;
use runtime::dialect::{Table, Truncation as Meaning};
use runtime::normaliser::floor;
use runtime::normaliser::source_topic::SourceTopic;
use runtime::shutdown::Shutdown;
use runtime::statements::Statement;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often new truncations are looked for.
const LOOK: Duration = Duration::from_millis(200);

/// Runs until shutdown. What was stated is known by the place of its message, so that it is stated once.
pub(crate) async fn run(shared: Shared, mut shutdown: Shutdown) -> anyhow::Result<()> {
    // End offsets of sources, noted after the load that followed a truncation was over.
    let mut noted: BTreeMap<String, Offsets> = BTreeMap::new();
    while !shutdown.sleep(LOOK).await {
        if let Err(error) = step(&shared, &mut noted).await {
            tracing::warn!(error = format!("{error:#}"), "truncations wait for a server");
        }
    }
    Ok(())
}

async fn step(shared: &Shared, noted: &mut BTreeMap<String, Offsets>) -> anyhow::Result<()> {
    for truncation in shared.store.truncations().await? {
        let of = shared.settings.topics.sources.table_of(&truncation.topic);
        let table = of.and_then(|(source, table)| Some((source, floor::of_persons(&shared.dialects, source, table)?)));
        let Some((source, table)) = table else {
            // No rows of persons: nothing rests on them.
            shared.store.note_truncation(&truncation, true).await?;
            continue;
        };
        if !truncation.stated {
            state(shared, &truncation, table).await?;
        }
        match table.truncation {
            Meaning::Snapshot => {}
            Meaning::Empty => settle(shared, &truncation, table).await?,
            Meaning::Reload => {
                if is_loaded(shared, &truncation, source, noted).await? {
                    settle(shared, &truncation, table).await?;
                    noted.remove(&truncation.name());
                }
            }
        }
    }
    Ok(())
}

/// Tells every shard which rows are unsure from now on, and the operator why.
async fn state(shared: &Shared, truncation: &Truncation, table: &Table) -> anyhow::Result<()> {
    let store = &shared.store;
    let place = match recorded(shared, truncation).await? {
        Some(topic) => place(shared, &topic, table, truncation).await?,
        None => None,
    };
    let Some(place) = place else {
        return Ok(store.note_truncation(truncation, true).await?);
    };
    if table.truncation != Meaning::Empty {
        let statement = (table.name.as_str().to_owned(), Statement::Truncated(place));
        store.notice(&truncation.name(), &[statement]).await?;
        store
            .keep_rows(&truncation.topic, Some(&said(truncation.at.appended_at, table.truncation)))
            .await?;
    }
    Ok(store.note_truncation(truncation, false).await?)
}

/// The topic, if it still holds its table and its positions are those that the truncation was read at.
async fn recorded(shared: &Shared, truncation: &Truncation) -> anyhow::Result<Option<SourceTopic>> {
    let (store, topic) = (&shared.store, &truncation.topic);
    if store.is_restarted_since(topic, truncation.at.appended_at).await? {
        store.keep_rows(topic, Some(floors::RESTARTED)).await?;
        return Ok(None);
    }
    let recorded = store.source_topic(topic).await?;
    Ok(recorded.filter(|recorded| recorded.replaced_by.is_none()))
}

/// Where a table was truncated, in every partition of its topic; `None` when that is gone.
pub(crate) async fn place(
    shared: &Shared,
    topic: &SourceTopic,
    table: &Table,
    truncation: &Truncation,
) -> anyhow::Result<Option<SnapshotFloor>> {
    let begin = floor::before(truncation.at.appended_at);
    let mut offsets = shared.ends.begin_offsets(topic.topic.clone(), begin).await?;
    if offsets.is_empty() {
        return Ok(None);
    }
    if let Some(own) = offsets.get_mut(usize::from(truncation.at.partition)) {
        *own = truncation.at.offset;
    }
    Ok(Some(floor::places(topic, table, offsets)))
}

/// Whether the load that followed a truncation is over, and all of it has passed the normaliser.
async fn is_loaded(
    shared: &Shared,
    truncation: &Truncation,
    source: Source,
    noted: &mut BTreeMap<String, Offsets>,
) -> anyhow::Result<bool> {
    if shared.store.load_at(source).await? <= truncation.at.appended_at {
        return Ok(false);
    }
    let name = truncation.name();
    let ends = if let Some(ends) = noted.get(&name) {
        ends.clone()
    } else {
        let ends = floors::ends(shared, source).await?;
        noted.insert(name, ends.clone());
        ends
    };
    Ok(shared.ends.standing(source, ends, true).await? == Standing::Passed)
}

/// States that what stood before a truncation and was not loaded again is gone.
async fn settle(shared: &Shared, truncation: &Truncation, table: &Table) -> anyhow::Result<()> {
    let store = &shared.store;
    if let Some(topic) = recorded(shared, truncation).await?
        && let Some(place) = place(shared, &topic, table, truncation).await?
    {
        let since = floor::before(truncation.at.appended_at);
        if let Ok(floor) = floors::readable(shared, &topic, place, since).await? {
            let statement = (table.name.as_str().to_owned(), Statement::Snapshot(floor));
            store.notice(&format!("{}/settled", truncation.name()), &[statement]).await?;
            tracing::info!(topic = topic.topic, "the load that followed a truncation is over");
        }
    }
    Ok(store.note_truncation(truncation, true).await?)
}

/// What is said of a table that was truncated.
pub(crate) fn said(at: Timestamp, meaning: Meaning) -> String {
    let then = match meaning {
        Meaning::Snapshot => {
            "when the load is over, let the connector take a full snapshot, which removes them; where the source does so by habit, its \
             dialect can say `truncation = \"reload\"`"
        }
        Meaning::Reload | Meaning::Empty => {
            "with the source's next row of batch control or completeness after the load they are removed"
        }
    };
    let minutes = (now().0 - at.0).max(0) / 60_000;
    format!(
        "its table was truncated at the source {minutes} minutes before this was noted: rows that were not loaded again still stand, and \
         nothing is told that rests on them; {then}"
    )
}
