//! Why a topic is not read on, and the one command that lets it be read on. Pure, but for the registry's part.
//!
//! Each cause prints its own command: the one that loses nothing whatever had happened, and does not hold again for the same cause.

use super::source_topic::{self, SourceTopic};
use crate::framed::NoSchema;
use crate::kafka::offsets::Watermarks;
use domain::source::{Source, TableName, Version};
use sqlx::PgConnection;

/// A cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold<'a> {
    /// Another number of partitions than is recorded: keys may have moved, where offsets are lower.
    Partitions {
        /// What the brokers have.
        found: u32,
        /// What is recorded.
        recorded: u32,
    },
    /// A key was read in a second partition of one epoch. The registry sees it, since a normaliser keeps no state.
    SecondPartition,
    /// No offset is committed any more although some were: brokers forget them with the topic, or when nobody read it for long.
    Forgotten,
    /// A committed offset lies behind the end: the topic was created anew or lost messages.
    Ahead {
        /// The partition.
        partition: i32,
        /// The committed offset.
        offset: i64,
        /// What the brokers hold.
        held: Watermarks,
    },
    /// A committed offset lies before the beginning: messages were removed before they were read.
    Expired {
        /// The partition.
        partition: i32,
        /// The committed offset.
        offset: i64,
        /// What the brokers hold.
        held: Watermarks,
    },
    /// Too many messages of a source cannot be read.
    DeadLetters {
        /// How many, and mostly why.
        excess: &'a str,
    },
    /// Messages are framed with a schema by which nothing can be read.
    Schema {
        /// Which, of which registry, and what to do.
        problem: &'a NoSchema,
    },
}

impl Hold<'_> {
    /// A committed offset that the brokers do not hold.
    pub(super) fn out_of_range(partition: i32, offset: i64, held: Watermarks) -> Self {
        if offset < held.low {
            Self::Expired { partition, offset, held }
        } else {
            Self::Ahead { partition, offset, held }
        }
    }

    /// The command that lets `name`, a topic or a source, be read on.
    pub fn command(&self, name: &str) -> String {
        let option = match self {
            Self::Partitions { .. } | Self::DeadLetters { .. } | Self::Schema { .. } => "",
            Self::SecondPartition => " --repartitioned",
            Self::Forgotten | Self::Ahead { .. } => " --restart",
            Self::Expired { .. } => " --reread",
        };
        format!("canbao source accept {name}{option}")
    }

    /// What is said where people look.
    pub fn reason(&self, name: &str) -> String {
        let run = format!("run `{}`", self.command(name));
        match self {
            Self::Partitions { found, recorded } => format!(
                "topic {name} has {found} partitions and {recorded} are recorded: keys may have moved to others, so positions are not \
                 comparable; {run}"
            ),
            Self::SecondPartition => {
                format!("a key of {name} appeared in a second partition: positions are not comparable; {run}")
            }
            Self::Forgotten => format!(
                "the committed offsets of {name} are gone: it was created anew, or nobody read it for long; {run}: it is read again from its \
                 beginning, and what is read then counts as later than all that was read before"
            ),
            Self::Ahead {
                partition,
                offset,
                held: Watermarks { low, high },
            } => format!(
                "offset {offset} of {name}/{partition} is out of range {low} to {high}: the topic was created anew or lost its last messages; \
                 {run}: it is read again from its beginning, and what is read then counts as later than all that was read before"
            ),
            Self::Expired {
                partition,
                offset,
                held: Watermarks { low, high },
            } => format!(
                "offset {offset} of {name}/{partition} is out of range {low} to {high}: messages were removed before they were read; {run}, \
                 then let the connector take a full snapshot, which brings what was removed"
            ),
            Self::Schema { problem } => format!(
                "topic {name} cannot be read: {problem}; when that is mended, {run}: what is there now and still cannot be read then goes to \
                 the dead letters"
            ),
            Self::DeadLetters { excess } => format!(
                "{excess}; {run}: those that are there now go to the dead letters (once the dialect is mended, read them again with --reread)"
            ),
        }
    }
}

/// Holds the topic of a table in which a key appeared in a second partition; one that is held already keeps its first reason.
///
/// `versions` are those that were found together. Where the operator has accepted the topic since they were read, they lie in epochs that are
/// apart by now, or are read again: held for them, the topic would wait for what was stated already.
///
/// # Errors
/// When the database does not answer; [`sqlx::Error::Decode`] when it holds what cannot be read.
pub async fn second_partition(
    connection: &mut PgConnection,
    source: Source,
    table: &TableName,
    versions: &[[Version; 2]],
) -> sqlx::Result<()> {
    let unread = |error: anyhow::Error| error.downcast().unwrap_or_else(|error| sqlx::Error::Decode(error.into()));
    let of_table = |topic: &SourceTopic| *topic.table == *table.as_str() && topic.is_read();
    let topics = source_topic::of_source(&mut *connection, source).await.map_err(unread)?;
    for topic in topics.into_iter().filter(of_table) {
        let stands = |pair: &[Version; 2]| pair.iter().all(|version| topic.epochs.still_say(version));
        if !versions.iter().any(stands) {
            tracing::info!(
                topic = topic.topic,
                "a key in a second partition, as the topic was read before it was accepted"
            );
            continue;
        }
        let reason = Hold::SecondPartition.reason(&topic.topic);
        tracing::error!(topic = topic.topic, reason, "topic held");
        sqlx::query("update store.source_topic set held = $2 where topic = $1 and held is null")
            .bind(&topic.topic)
            .bind(&reason)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framed::{Closed, Frames};

    #[test]
    fn each_cause_prints_one_command() {
        let held = Watermarks { low: 10, high: 20 };
        let frames = Frames::none();
        let Err(Closed::NoSchema(unknown)) = frames.open(None, Some(b"\0\0\0\0\x07x")) else {
            panic!("no registry has a schema");
        };
        let causes = [
            (Hold::Partitions { found: 2, recorded: 1 }, ""),
            (Hold::SecondPartition, " --repartitioned"),
            (Hold::Forgotten, " --restart"),
            (Hold::out_of_range(0, 21, held), " --restart"),
            (Hold::out_of_range(0, 9, held), " --reread"),
            (Hold::DeadLetters { excess: "many" }, ""),
            (Hold::Schema { problem: &unknown }, ""),
        ];
        for (cause, option) in causes {
            let reason = cause.reason("civil-affairs.3201.public.x");
            let printed: Vec<&str> = reason.split('`').skip(1).step_by(2).collect();
            assert_eq!(
                printed,
                [format!("canbao source accept civil-affairs.3201.public.x{option}")],
                "{reason}"
            );
        }
    }
}
