//! The loop of snapshot notifications: a complete full snapshot becomes a recorded statement per table.

use crate::Shared;
use crate::floors::{self, Floor};
use crate::notification::{self, CompleteSnapshot, UnderWay};
use crate::reader::{self, Begin};
use crate::store::Store;
use crate::track::{Offsets, Standing};
use domain::source::Source;
use rdkafka::message::{BorrowedMessage, Message};
use runtime::kafka::NotificationNames;
use runtime::normaliser::floor;
use runtime::normaliser::source_topic::SourceTopic;
use runtime::shutdown::Shutdown;
use runtime::statements::Statement;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;

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
            let ends = floors::ends(shared, source).await?;
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
    let (mut statements, mut settled) = (Vec::new(), Vec::new());
    // A table that never had a row has no topic.
    for topic in topics_of(&snapshot.tables, &recorded) {
        let Some(table) = floor::of_persons(&shared.dialects, *source, &topic.table) else {
            continue;
        };
        if let Floor::Gone(floor, with_it) = floors::of_snapshot(shared, topic, table, snapshot.started).await? {
            statements.push((table.name.as_str().to_owned(), Statement::Snapshot(floor)));
            settled.extend(with_it);
        }
    }
    // Completeness rows that the snapshot read count from now on.
    store.note_snapshot_passed(*source).await?;
    tracing::info!(%source, tables = statements.len(), "a full snapshot is complete");
    store.notice(position, &statements).await?;
    for truncation in &settled {
        store.note_truncation(truncation, true).await?;
    }
    Ok(())
}

fn start(shared: &Shared, shutdown: &Shutdown) -> anyhow::Result<mpsc::Receiver<anyhow::Result<Received>>> {
    let names = shared.settings.topics.notifications.clone();
    let is_wanted = {
        let names = names.clone();
        move |topic: &str| names.source_of(topic).is_some()
    };
    let (receiver, _) = reader::start(
        &shared.settings,
        "canbao-clock-notifications",
        Begin::Beginning,
        is_wanted,
        move |message: &BorrowedMessage<'_>| received(&names, message),
        shutdown.clone(),
    )?;
    Ok(receiver)
}

fn received(names: &NotificationNames, message: &BorrowedMessage<'_>) -> Option<Received> {
    let source = names.source_of(message.topic())?;
    let notification = message.payload().and_then(notification::parse)?;
    let position = format!("{}/{}/{}", message.topic(), message.partition(), message.offset());
    Some(Received {
        source,
        position,
        notification,
    })
}
