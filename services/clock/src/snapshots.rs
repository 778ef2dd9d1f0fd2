//! The loop of snapshot notifications: a complete full snapshot becomes a recorded statement per table.

use crate::Shared;
use crate::nameless;
use crate::notification::{self, CompleteSnapshot, UnderWay};
use crate::reader::{self, Begin};
use crate::store::Store;
use crate::track::{Offsets, Standing};
use domain::date::Timestamp;
use domain::input::SnapshotFloor;
use domain::source::Source;
use rdkafka::message::{BorrowedMessage, Message};
use runtime::dialect::Kind;
use runtime::kafka::topics::dead_letters;
use runtime::normaliser::source_topic::SourceTopic;
use runtime::shutdown::Shutdown;
use runtime::statements::Statement;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;

/// Begin offsets are those of so many milliseconds before the connector says it began: low is safe, since a ghost that the next
/// snapshot removes is better than a lost person (ARCHITECTURE.md, Versions).
const MARGIN: i64 = 60_000;
/// Said of a table that lost no rows to a snapshot for this reason.
const RESTARTED: &str = "the topic began anew after the last full snapshot had begun, so part of it may have gone with the former topic: it \
                         removes no rows; let the connector take a full snapshot again to remove those that the source has deleted";
/// How often snapshots that wait for a normaliser are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A notification: where it stands, and what it says.
struct Received {
    source: Source,
    /// `topic/partition/offset`.
    position: String,
    notification: notification::Notification,
}

/// A complete snapshot whose rows are on their way through the normaliser.
struct Waiting {
    source: Source,
    position: String,
    snapshot: CompleteSnapshot,
    /// End offsets of the source's topics, noted after it was complete.
    ends: Offsets,
}

/// Runs until shutdown. Notifications are few and read from the beginning at every start, so that one that began before a
/// restart is seen whole; what became a statement before is known by its position.
pub(crate) async fn run(shared: Shared, mut shutdown: Shutdown) -> anyhow::Result<()> {
    let mut received = start(&shared, &shutdown)?;
    let mut under_way: BTreeMap<Source, UnderWay> = BTreeMap::new();
    let mut complete: Vec<(Source, String, CompleteSnapshot)> = Vec::new();
    let mut waiting: Vec<Waiting> = Vec::new();
    while !shutdown.requested() {
        tokio::select! {
            () = shutdown.wait() => break,
            next = received.recv() => {
                let Some(next) = next else { break };
                let Received { source, position, notification } = next?;
                if let Some(snapshot) = under_way.entry(source).or_default().absorb(notification) {
                    complete.push((source, position, snapshot));
                }
                continue;
            }
            () = tokio::time::sleep(LOOK) => {}
        }
        if let Err(error) = step(&shared, &mut complete, &mut waiting).await {
            tracing::warn!(error = format!("{error:#}"), "snapshots wait for a server");
        }
    }
    Ok(())
}

async fn step(
    shared: &Shared,
    complete: &mut Vec<(Source, String, CompleteSnapshot)>,
    waiting: &mut Vec<Waiting>,
) -> anyhow::Result<()> {
    while let Some((source, position, snapshot)) = complete.last().cloned() {
        if !shared.store.is_noticed(&position).await? {
            let replaced = shared.store.replaced_topics().await?;
            let ends = shared
                .ends
                .of_sources(vec![source], replaced)
                .await?
                .remove(&source)
                .unwrap_or_default()
                .ends;
            waiting.push(Waiting {
                source,
                position,
                snapshot,
                ends,
            });
        }
        complete.pop();
    }
    let mut index = 0;
    while let Some(next) = waiting.get(index) {
        if shared.ends.standing(next.source, next.ends.clone(), true).await? == Standing::Passed {
            record(shared, next).await?;
            waiting.remove(index);
        } else {
            index += 1;
        }
    }
    Ok(())
}

/// The topics that hold tables of a snapshot, each once. A table is called by the recorded topic's table, or by the last part of the
/// topic's name where the settings call the table otherwise; without regard to case, which engines fold each in their own way.
fn topics_of<'a>(tables: &BTreeSet<String>, recorded: &'a [SourceTopic]) -> Vec<&'a SourceTopic> {
    let is_named = |name: &str| tables.iter().any(|table| table.eq_ignore_ascii_case(name));
    let is_in = |topic: &&SourceTopic| {
        let last = topic.topic.rsplit('.').next().unwrap_or_default();
        topic.replaced_by.is_none() && topic.waits.is_none() && (is_named(&topic.table) || is_named(last))
    };
    recorded.iter().filter(is_in).collect()
}

/// Records a statement for each table of the snapshot whose rows are records.
async fn record(shared: &Shared, waiting: &Waiting) -> anyhow::Result<()> {
    let Waiting {
        source,
        position,
        snapshot,
        ..
    } = waiting;
    let store: &Store = &shared.store;
    let recorded = store.source_topics(*source).await?;
    let mut statements = Vec::new();
    // A table that never had a row has no topic.
    for topic in topics_of(&snapshot.tables, &recorded) {
        let Some(table) = shared
            .dialects
            .find(*source, &topic.table)
            .filter(|table| table.kind != Kind::Completeness)
        else {
            continue;
        };
        let (epochs, topic) = (&topic.epochs, topic.topic.clone());
        if store.is_restarted_since(&topic, snapshot.started).await? {
            store.keep_rows(&topic, Some(RESTARTED)).await?;
            tracing::warn!(topic, "{RESTARTED}");
            continue;
        }
        let begin = Timestamp(snapshot.started.0 - MARGIN);
        let offsets = shared.ends.begin_offsets(topic.clone(), begin).await?;
        if !offsets.is_empty() {
            let nameless = shared.ends.nameless(*source, topic.clone(), offsets.clone(), begin).await?;
            let kept = (nameless > 0).then(|| nameless::said(nameless, &topic, &dead_letters(*source)));
            store.keep_rows(&topic, kept.as_deref()).await?;
            if let Some(why) = kept {
                tracing::warn!(topic, "{why}");
                continue;
            }
            // Looked up like the rows' own epochs, and not the one in force: rows of a snapshot under way when partitions were added
            // belong to the epoch before.
            let epoch = epochs.floor(&offsets);
            let floor = SnapshotFloor {
                source: *source,
                table: table.name.clone(),
                epoch,
                offsets,
            };
            statements.push((table.name.as_str().to_owned(), Statement::Snapshot(floor)));
        }
    }
    // Completeness rows that the snapshot read count from now on.
    store.note_snapshot_passed(*source).await?;
    tracing::info!(%source, tables = statements.len(), "a full snapshot is complete");
    Ok(store.notice(position, &statements).await?)
}

fn start(shared: &Shared, shutdown: &Shutdown) -> anyhow::Result<mpsc::Receiver<anyhow::Result<Received>>> {
    let is_wanted = |topic: &str| notification::source_of_topic(topic).is_some();
    let (receiver, _) = reader::start(
        &shared.settings,
        "canbao-clock-notifications",
        Begin::Beginning,
        is_wanted,
        received,
        shutdown.clone(),
    )?;
    Ok(receiver)
}

fn received(message: &BorrowedMessage<'_>) -> Option<Received> {
    let source = notification::source_of_topic(message.topic())?;
    let notification = message.payload().and_then(notification::parse)?;
    let position = format!("{}/{}/{}", message.topic(), message.partition(), message.offset());
    Some(Received {
        source,
        position,
        notification,
    })
}
