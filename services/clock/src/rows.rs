//! Receiving completeness rows.

use crate::Shared;
use crate::reader::{self, Begin};
use crate::row::{self, CompletenessRow};
use domain::date::Timestamp;
use rdkafka::consumer::Consumer;
use rdkafka::message::{BorrowedMessage, Message};
use runtime::config::Settings;
use runtime::dialect::{Dialects, Kind};
use runtime::framed::{Closed, Frames};
use runtime::shutdown::Shutdown;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Under this name the brokers keep where the clock stopped reading completeness rows.
const GROUP: &str = "canbao.clock";

/// A message of a completeness table.
pub(crate) struct Received {
    /// What it says; `None` for messages that state nothing.
    pub(crate) row: Option<CompletenessRow>,
    topic: String,
    partition: i32,
    offset: i64,
}

impl Received {
    /// The topic it stands in.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }
}

/// Messages as they arrive.
pub(crate) struct Rows {
    pub(crate) receiver: mpsc::Receiver<anyhow::Result<Received>>,
    consumer: Arc<reader::Client>,
}

impl Rows {
    /// Notes that what a message says is stored: it is not read again after a restart.
    pub(crate) fn done(&self, received: &Received) {
        // A row that is read again does not count again, so nothing is lost by a failure.
        if let Err(error) = self
            .consumer
            .store_offset(&received.topic, received.partition, received.offset)
        {
            tracing::debug!(%error, topic = received.topic, "an offset could not be stored");
        }
    }
}

/// Reads the completeness tables of the sources in scope on a thread of its own until shutdown.
///
/// # Errors
/// When no dialect maps such a table for any source, or no client can be made.
pub(crate) fn start(shared: &Shared, shutdown: &Shutdown) -> anyhow::Result<Rows> {
    let mut tables = shared.scope.iter().flat_map(|source| shared.dialects.tables(*source));
    anyhow::ensure!(
        tables.any(|table| table.kind == Kind::Completeness),
        "no dialect maps a completeness table: see `dialects`"
    );
    let (scope, of_topics, of_rows) = (shared.scope.clone(), shared.dialects.clone(), shared.dialects.clone());
    let (names, settings) = (shared.settings.topics.sources.clone(), shared.settings.clone());
    let is_wanted = move |topic: &str| {
        let Some((source, table)) = names.table_of(topic) else {
            return false;
        };
        scope.contains(&source)
            && of_topics
                .find(source, table)
                .is_some_and(|table| table.kind == Kind::Completeness)
    };
    let (frames, ending) = (shared.frames.clone(), shutdown.clone());
    let take = move |message: &BorrowedMessage<'_>| received(&settings, &of_rows, &frames, &ending, message);
    let (receiver, consumer) = reader::start(
        &shared.settings,
        "canbao-clock",
        Begin::Resume(GROUP),
        is_wanted,
        take,
        shutdown.clone(),
    )?;
    Ok(Rows { receiver, consumer })
}

/// `None` when asked to end while the schema registry does not answer: the message is read again after the start.
fn received(
    settings: &Settings,
    dialects: &Dialects,
    frames: &Frames,
    shutdown: &Shutdown,
    message: &BorrowedMessage<'_>,
) -> Option<Received> {
    let names = &settings.topics.sources;
    let timestamp = Timestamp(message.timestamp().to_millis().unwrap_or(0));
    let row = match frames.open_patiently(message.key(), message.payload(), || shutdown.requested()) {
        Ok(opened) => row::read(names, dialects, message.topic(), timestamp, opened.key(), opened.value()),
        Err(Closed::Away(_)) => return None,
        // The normaliser holds the topic, or it is a dead letter: until that is mended the source is not complete.
        Err(Closed::NoSchema(problem)) => {
            let (topic, problem) = (message.topic(), problem.to_string());
            tracing::warn!(
                topic,
                problem,
                "a completeness row cannot be read; the next one counts when that is mended"
            );
            None
        }
        Err(Closed::Unfit(_)) => None,
    };
    Some(Received {
        row,
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
    })
}
