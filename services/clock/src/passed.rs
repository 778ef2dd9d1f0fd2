//! A snapshot of one table that an operator states to have passed, where no notification does: it becomes a floor like any other.

use crate::floors::{self, Floor};
use crate::track::{Offsets, Standing};
use crate::{Shared, now};
use domain::source::Source;
use runtime::normaliser::floor;
use runtime::statements::{PassedTable, Statement};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often a statement that waits is looked at: each look asks the brokers for several things.
const AGAIN: Duration = Duration::from_secs(2);

/// Statements that wait, by number.
pub(crate) type Waits = BTreeMap<i64, Wait>;

/// A statement that waits for rows on their way.
#[derive(Default)]
pub(crate) struct Wait {
    /// End offsets of its table's topic, noted when the clock first saw it: the snapshot lies before them.
    ends: Option<Offsets>,
    next: Option<Instant>,
}

impl Wait {
    /// Whether it is time to look at it, which begins another pause.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.next.is_none_or(|next| now >= next);
        if is_due {
            self.next = Some(now + AGAIN);
        }
        is_due
    }
}

/// Whether everything that the table's topic held when the clock first saw the statement has passed the normaliser.
pub(crate) async fn has_arrived(shared: &Shared, wait: &mut Wait, (source, of): (Source, &PassedTable)) -> anyhow::Result<bool> {
    let ends = if let Some(ends) = &wait.ends {
        ends.clone()
    } else {
        let recorded = shared.store.source_topics(source).await?;
        let Ok((topic, _)) = floor::stated(source, of.table.as_str(), &recorded, &shared.dialects) else {
            // It is held since a moment ago: the next look refuses the statement.
            return Ok(false);
        };
        // The other topics of the source, of which one may be held, say nothing of this table.
        let mut ends = floors::ends(shared, source).await?;
        ends.retain(|(name, _), _| *name == topic.topic);
        wait.ends = Some(ends.clone());
        ends
    };
    Ok(shared.ends.standing(source, ends, true).await? == Standing::Passed)
}

/// Why the rows of the table stand, with what to do; `None` when those go that the snapshot did not repeat. What only the rows of the
/// snapshot tell, the operator's command has looked at.
pub(crate) async fn kept(shared: &Shared, source: Source, of: &PassedTable) -> anyhow::Result<Option<String>> {
    let recorded = shared.store.source_topics(source).await?;
    let topic = match floor::stated(source, of.table.as_str(), &recorded, &shared.dialects) {
        Ok((topic, _)) => topic.topic.clone(),
        Err(why) => return Ok(Some(why)),
    };
    let is_restarted = shared.store.is_restarted_since(&topic, of.since).await?;
    let held = shared.ends.since(topic.clone(), floor::before(of.since)).await?;
    Ok(floor::refused(&topic, of.since, now(), is_restarted, &held))
}

/// Records the floor, which is weighed like any other before it is sent; why not, where the topic changed meanwhile or holds rows that
/// nobody can read.
pub(crate) async fn remove_unrepeated(
    shared: &Shared,
    id: i64,
    source: Source,
    of: &PassedTable,
) -> anyhow::Result<Option<String>> {
    let store = &shared.store;
    let recorded = store.source_topics(source).await?;
    let (topic, table) = match floor::stated(source, of.table.as_str(), &recorded, &shared.dialects) {
        Ok(stated) => stated,
        Err(why) => return Ok(Some(why)),
    };
    match floors::of_snapshot(shared, topic, table, of.since).await? {
        Floor::Kept(why) => Ok(Some(why)),
        Floor::Nothing => Ok(Some(format!("the brokers have no topic {}", topic.topic))),
        Floor::Gone(floor, settled) => {
            let statement = (table.name.as_str().to_owned(), Statement::Snapshot(floor));
            store.notice(&PassedTable::noticed(id), &[statement]).await?;
            for truncation in &settled {
                store.note_truncation(truncation, true).await?;
            }
            tracing::info!(topic = topic.topic, statement = id, "a snapshot is stated to have passed");
            Ok(None)
        }
    }
}
