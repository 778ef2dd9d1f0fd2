//! How far a shard's outbox is published, and whether that agrees with the database. Pure.

use domain::shard::Shard;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A shard's position (发布位置), as it stands in the positions topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Epoch of the outbox: raised when the database is restored from a backup, since sequences then begin to differ from
    /// what was published.
    pub epoch: u32,
    /// Sequence of the next row to publish; everything below is published.
    pub next: u64,
}

/// What the database says of its outbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    /// Epoch of the outbox: the present life of the base.
    pub epoch: u32,
    /// The base is being made anew, and is not whole.
    pub remaking: bool,
    /// By shard, the sequence its next row will get.
    pub ends: BTreeMap<Shard, u64>,
    /// By shard, the sequence of its first row, if it has any.
    pub firsts: BTreeMap<Shard, u64>,
}

/// Positions and outbox contradict each other: nothing is applied or published, somebody has to look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// The database knows less than was published.
    #[error(
        "shard {shard}: sequence {published} of outbox epoch {epoch} is published, but the database stands at {end}: \
         it was restored from a backup or lost commits. Stop the services, run `canbao restore`, and start them again"
    )]
    DatabaseBehind {
        /// The shard.
        shard: Shard,
        /// Epoch.
        epoch: u32,
        /// Next sequence by the positions topic.
        published: u64,
        /// Next sequence by the database.
        end: u64,
    },
    /// The positions are of a later epoch than the database.
    #[error(
        "shard {shard}: outbox epoch {published} is published, but the database has epoch {database}: it was restored from a backup. \
         Stop the services, run `canbao restore`, and start them again"
    )]
    EpochBehind {
        /// The shard.
        shard: Shard,
        /// Epoch by the positions topic.
        published: u32,
        /// Epoch by the database.
        database: u32,
    },
    /// The epoch was raised under a running process.
    #[error(
        "the database has outbox epoch {database}, this process began with {own}: the base was restored. Start the service again"
    )]
    Restored {
        /// Epoch of the process.
        own: u32,
        /// Epoch by the database.
        database: u32,
    },
    /// A base that is made anew is not whole.
    #[error("the base was to be made anew from its log, and that did not end: run `canbao restore --from-log` again")]
    Remaking,
    /// Rows vanished before they were published.
    #[error(
        "shard {shard}: outbox rows {from} to {to} are gone without having been published here: \
         another publisher of the same shards is at work, or somebody deleted them. In the latter case stop the services, \
         run `canbao restore`, and start them again"
    )]
    Gap {
        /// The shard.
        shard: Shard,
        /// First missing sequence.
        from: u64,
        /// Last missing sequence.
        to: u64,
    },
    /// The database has no row for the shard.
    #[error("shard {shard} does not exist in the database: run `canbao migrate`")]
    NoShard {
        /// The shard.
        shard: Shard,
    },
}

/// Refuses a database that knows less than was published, whatever shards the caller works on.
///
/// # Errors
/// [`Contradiction`], the first in order of the shards.
pub fn check_behind(stored: &BTreeMap<Shard, Position>, book: &Book) -> Result<(), Contradiction> {
    if book.remaking {
        return Err(Contradiction::Remaking);
    }
    for (shard, position) in stored {
        if position.epoch > book.epoch {
            return Err(Contradiction::EpochBehind {
                shard: *shard,
                published: position.epoch,
                database: book.epoch,
            });
        }
        if let Some(end) = book.ends.get(shard).copied().filter(|end| position.next > *end)
            && position.epoch == book.epoch
        {
            return Err(Contradiction::DatabaseBehind {
                shard: *shard,
                epoch: book.epoch,
                published: position.next,
                end,
            });
        }
    }
    Ok(())
}

/// By shard, the sequence to go on from.
///
/// A shard without a position, or with one of an earlier epoch, begins at its first row.
///
/// # Errors
/// [`Contradiction`], the first in order of the shards.
pub fn reconcile(
    shards: &[Shard],
    stored: &BTreeMap<Shard, Position>,
    book: &Book,
) -> Result<BTreeMap<Shard, u64>, Contradiction> {
    check_behind(stored, book)?;
    shards
        .iter()
        .map(|shard| Ok((*shard, start(*shard, stored.get(shard), book)?)))
        .collect()
}

fn start(shard: Shard, stored: Option<&Position>, book: &Book) -> Result<u64, Contradiction> {
    let end = *book.ends.get(&shard).ok_or(Contradiction::NoShard { shard })?;
    let first = book.firsts.get(&shard).copied();
    let Some(position) = stored.filter(|position| position.epoch == book.epoch) else {
        return Ok(first.unwrap_or(end));
    };
    // Without rows everything up to the end must be published.
    check_next(shard, position.next, first.unwrap_or(end))?;
    Ok(position.next)
}

/// Whether a row's sequence is the one that is next; a smaller one is published already.
///
/// # Errors
/// [`Contradiction::Gap`]: sequences are dense, since they are taken under the shard's lock and roll back with it.
pub fn check_next(shard: Shard, next: u64, found: u64) -> Result<(), Contradiction> {
    if found > next {
        Err(Contradiction::Gap {
            shard,
            from: next,
            to: found - 1,
        })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(number: u8) -> Shard {
        Shard::new(number).expect("a shard")
    }

    fn start_of(stored: Option<(u32, u64)>, epoch: u32, first: Option<u64>, end: u64) -> Result<u64, Contradiction> {
        let stored = stored.map(|(epoch, next)| (shard(3), Position { epoch, next }));
        let book = Book {
            epoch,
            ends: BTreeMap::from([(shard(3), end)]),
            firsts: first.map(|first| (shard(3), first)).into_iter().collect(),
            ..Book::default()
        };
        reconcile(&[shard(3)], &stored.into_iter().collect(), &book).map(|starts| starts[&shard(3)])
    }

    #[test]
    fn goes_on_where_the_last_transaction_ended() {
        assert_eq!(start_of(Some((0, 7)), 0, Some(7), 9), Ok(7));
        assert_eq!(start_of(Some((0, 7)), 0, Some(2), 9), Ok(7), "a crash before the deletion");
        assert_eq!(start_of(Some((0, 9)), 0, None, 9), Ok(9));
        assert_eq!(start_of(None, 0, Some(2), 9), Ok(2), "never published");
        assert_eq!(start_of(None, 0, None, 9), Ok(9));
    }

    #[test]
    fn a_restored_database_needs_a_new_epoch() {
        assert!(matches!(
            start_of(Some((0, 9)), 0, Some(2), 5),
            Err(Contradiction::DatabaseBehind { end: 5, .. })
        ));
        assert_eq!(start_of(Some((0, 9)), 1, Some(2), 5), Ok(2));
        assert!(matches!(
            start_of(Some((2, 9)), 1, Some(2), 5),
            Err(Contradiction::EpochBehind { .. })
        ));
    }

    #[test]
    fn what_is_wrong_with_a_restored_database_says_what_to_run() {
        for (stored, end) in [((0, 9), 5), ((2, 1), 5)] {
            let error = start_of(Some(stored), 0, None, end).expect_err("the database is behind");
            assert!(error.to_string().contains("`canbao restore`"), "{error}");
        }
        let remaking = Book {
            remaking: true,
            ..Book::default()
        };
        assert_eq!(check_behind(&BTreeMap::new(), &remaking), Err(Contradiction::Remaking));
    }

    #[test]
    fn vanished_rows_are_not_passed_over() {
        assert_eq!(
            start_of(Some((0, 3)), 0, Some(5), 9),
            Err(Contradiction::Gap {
                shard: shard(3),
                from: 3,
                to: 4
            })
        );
        assert_eq!(
            start_of(Some((0, 3)), 0, None, 9),
            Err(Contradiction::Gap {
                shard: shard(3),
                from: 3,
                to: 8
            })
        );
        assert!(reconcile(&[shard(4)], &BTreeMap::new(), &Book::default()).is_err());
    }
}
