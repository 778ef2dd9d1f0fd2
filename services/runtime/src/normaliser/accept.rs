//! An operator's statement that a source topic may be read on (`canbao source accept`): what it comes to, and how it is recorded.

use super::source_topic::SourceTopic;
use anyhow::Context;
use domain::epoch::{Epochs, EpochsError, Moves};
use sqlx::{PgConnection, PgPool};

/// What an operator states when accepting a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// Go on at the committed offsets. A new epoch begins only if the partition count changed.
    Continue,
    /// Read it again from its start (`--reread`): a new mapping reads the same rows anew and wins by its revision, not over newer rows.
    Reread,
    /// Keys moved to other partitions (`--repartitioned`): a new epoch begins where they arrived, and is read from there.
    Repartitioned,
    /// The topic was created anew or lost messages (`--restart`): its positions begin again in a new epoch, from its start.
    Restart,
    /// A restored base does not know what was accepted after its backup, under epochs up to `seen`: as [`Acceptance::Restart`], beyond those.
    Restored {
        /// The highest epoch that stands in the log.
        seen: u16,
    },
    /// It takes the place of another topic of its table (`--replaces`), whose epochs go up to `seen`: as [`Acceptance::Restart`], beyond
    /// those. The other one is neither read nor counted from then on.
    Replaces {
        /// The other one's last epoch.
        seen: u16,
    },
}

impl Acceptance {
    /// Whether offsets of earlier epochs are no places in the topic any more.
    fn begins_again(self) -> bool {
        matches!(self, Self::Restart | Self::Restored { .. } | Self::Replaces { .. })
    }

    /// The epochs under which what the topic holds is to be looked through for keys that moved, and whether it has to be.
    ///
    /// # Errors
    /// When epochs are used up.
    pub fn looks_under(self, before: &SourceTopic, partitions: usize) -> Result<(Epochs, bool), EpochsError> {
        let grown = before.partitions as usize != partitions;
        Ok(match self {
            Self::Continue | Self::Reread => (before.epochs.clone(), grown),
            Self::Repartitioned => (before.epochs.clone(), true),
            Self::Restart => (before.epochs.restarted()?, true),
            Self::Restored { seen } | Self::Replaces { seen } => (before.epochs.restarted_beyond(seen)?, true),
        })
    }

    /// The epochs of a topic that ends at `ends` now, as [`Acceptance::looks_under`] says and by what was found then.
    ///
    /// # Errors
    /// When epochs are used up.
    pub fn epochs(self, before: &SourceTopic, under: &Epochs, ends: &[u64], moves: &Moves) -> Result<Epochs, EpochsError> {
        if before.partitions as usize != ends.len() || moves.is_unsettled() {
            return under.repartitioned(before.partitions as u16, ends, moves);
        }
        match self {
            // The key's messages elsewhere were removed: all that is there now lies later.
            Self::Repartitioned => under.restarted(),
            Self::Continue | Self::Reread | Self::Restart | Self::Restored { .. } | Self::Replaces { .. } => Ok(under.clone()),
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::Continue => "the partition count changed",
            Self::Reread => "the partition count changed, read again",
            Self::Repartitioned => "keys moved to other partitions",
            Self::Restart => "the topic was created anew or lost messages",
            Self::Restored { .. } => "a restore forgot what was accepted",
            Self::Replaces { .. } => "it replaced another topic of its table",
        }
    }
}

/// A statement about one topic, ready to be recorded.
#[derive(Debug)]
pub struct Statement<'a> {
    /// What is stated.
    pub acceptance: Acceptance,
    /// The topic as it was recorded when the statement was prepared.
    pub before: &'a SourceTopic,
    /// The topic that it replaces, as it was recorded then.
    pub replaces: Option<&'a SourceTopic>,
    /// Its epochs from now on.
    pub epochs: &'a Epochs,
    /// Its end offset by partition.
    pub ends: &'a [u64],
    /// The operator's account.
    pub who: &'a str,
}

impl Statement<'_> {
    /// Records it. Running normalisers notice within `normaliser.accept_refresh_millis`.
    ///
    /// # Errors
    /// When the database does not answer, or another statement was recorded since this one was prepared.
    pub async fn record(&self, pool: &PgPool) -> anyhow::Result<()> {
        let Self {
            acceptance,
            before,
            replaces,
            epochs,
            ends,
            who,
        } = self;
        let topic = &before.topic;
        let failed = || format!("accepting topic {topic}");
        let mut transaction = pool.begin().await.with_context(failed)?;
        for known in [Some(*before), *replaces].into_iter().flatten() {
            unchanged(&mut transaction, known).await?;
        }
        if let Some(first) = replaces {
            replace(&mut transaction, topic, first).await.with_context(failed)?;
        }
        for epoch in epochs.since(&before.epochs) {
            let begins: Vec<i64> = epoch.begins.iter().map(|begin| *begin as i64).collect();
            sqlx::query(
                "insert into store.source_epoch (topic, epoch, begins, restart, who, why) values ($1, $2, $3, $4, $5, $6)",
            )
            .bind(topic)
            .bind(epoch.number as i16)
            .bind(begins)
            .bind(acceptance.begins_again())
            .bind(who)
            .bind(acceptance.why())
            .execute(&mut *transaction)
            .await
            .with_context(failed)?;
        }
        // Dead letters are accepted by who lets the topic go on as it is, not by who lets a mended mapping read it again.
        let tolerated: Vec<i64> = match acceptance {
            Acceptance::Continue => ends.iter().map(|end| *end as i64).collect(),
            Acceptance::Repartitioned => before.tolerated.iter().map(|end| *end as i64).collect(),
            Acceptance::Reread | Acceptance::Restart | Acceptance::Restored { .. } | Acceptance::Replaces { .. } => Vec::new(),
        };
        sqlx::query(
            "update store.source_topic set held = null, partitions = $2, tolerated = $3, replay = replay + $4::int,
             started = started and not $5 where topic = $1",
        )
        .bind(topic)
        .bind(ends.len() as i32)
        .bind(tolerated)
        .bind(i32::from(*acceptance == Acceptance::Reread))
        .bind(acceptance.begins_again())
        .execute(&mut *transaction)
        .await
        .with_context(failed)?;
        transaction.commit().await.with_context(failed)
    }
}

/// Refuses a statement about a topic that was restated since it was looked at; until the end of the transaction it cannot be any more.
async fn unchanged(transaction: &mut PgConnection, known: &SourceTopic) -> anyhow::Result<()> {
    let topic = &known.topic;
    let (replay, epoch, replaced_by): (i32, i16, Option<String>) = sqlx::query_as(
        "select t.replay, (select max(e.epoch) from store.source_epoch e where e.topic = t.topic), t.replaced_by
         from store.source_topic t where t.topic = $1 for update of t",
    )
    .bind(topic)
    .fetch_one(transaction)
    .await
    .with_context(|| format!("looking at topic {topic}"))?;
    anyhow::ensure!(
        replay as u32 == known.replay && epoch as u16 == known.epochs.latest() && replaced_by == known.replaced_by,
        "{topic} was accepted by somebody else meanwhile: look with `canbao source list`, and accept it again if it is still held"
    );
    Ok(())
}

/// Puts a topic in the place of another.
async fn replace(transaction: &mut PgConnection, topic: &str, first: &SourceTopic) -> sqlx::Result<()> {
    sqlx::query("update store.source_topic set replaced_by = $2, held = null, waits = null where topic = $1")
        .bind(&first.topic)
        .bind(topic)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("update store.source_topic set replaced_by = null, waits = null, place = $2 where topic = $1")
        .bind(topic)
        .bind(first.place)
        .execute(transaction)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::date::Timestamp;

    fn topic(partitions: u32) -> SourceTopic {
        SourceTopic::first("t", ("human-resources.3201".parse().expect("a source"), "t"), partitions)
    }

    fn accepted(acceptance: Acceptance, before: &SourceTopic, ends: &[u64], messages: &[(u16, u64, &str)]) -> Epochs {
        let (under, _) = acceptance.looks_under(before, ends.len()).expect("few epochs");
        let mut moves = Moves::under(under.clone());
        for (at, (partition, offset, key)) in (0..).zip(messages) {
            moves.see(*partition, *offset, Timestamp(at), key.as_bytes());
        }
        acceptance.epochs(before, &under, ends, &moves).expect("few epochs")
    }

    #[test]
    fn going_on_raises_no_epoch_while_positions_compare() {
        for acceptance in [Acceptance::Continue, Acceptance::Reread] {
            assert_eq!(accepted(acceptance, &topic(2), &[5, 5], &[]), Epochs::default());
            assert_eq!(accepted(acceptance, &topic(1), &[5, 5], &[]).latest(), 1);
        }
        assert!(!Acceptance::Continue.looks_under(&topic(2), 2).expect("few epochs").1);
    }

    #[test]
    fn whatever_is_stated_a_key_that_moved_lies_later_where_it_is_now() {
        let messages = [(0, 1000, "A"), (1, 3, "A")];
        for acceptance in [Acceptance::Repartitioned, Acceptance::Restart] {
            let epochs = accepted(acceptance, &topic(2), &[1001, 4], &messages);
            assert!(epochs.at(1, 3) > epochs.at(0, 1000), "{acceptance:?}");
        }
        let replaces = accepted(Acceptance::Replaces { seen: 7 }, &topic(2), &[1001, 4], &messages);
        assert!(replaces.at(0, 0) > 7 && replaces.at(1, 3) > replaces.at(0, 1000));
        for acceptance in [
            Acceptance::Continue,
            Acceptance::Reread,
            Acceptance::Repartitioned,
            Acceptance::Restart,
        ] {
            let epochs = accepted(acceptance, &topic(1), &[1001, 4], &messages);
            assert!(epochs.at(1, 3) > epochs.at(0, 1000), "{acceptance:?}");
        }
    }

    #[test]
    fn a_key_whose_former_messages_are_gone_lies_later_than_what_was_read_of_it() {
        let epochs = accepted(Acceptance::Repartitioned, &topic(2), &[1001, 4], &[(1, 3, "A")]);
        assert_eq!((epochs.at(1, 3), epochs.changed_from(0, 1)), (1, Some(0)));
    }
}
