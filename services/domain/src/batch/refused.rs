//! Why a batch is not applied, with what to do about it.

use crate::shard::Shard;

/// A batch must not be applied; nothing of it is to be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Entries are missing between the base and the log.
    #[error(
        "shard {shard}: the log goes on at {found}, the base stands at {expected}: entries are missing and must not be skipped"
    )]
    Gap {
        /// The shard.
        shard: Shard,
        /// The base's position.
        expected: i64,
        /// Where the log was read on from.
        found: i64,
    },
    /// An entry says nothing that this program can read.
    #[error("shard {shard}: the entry at {position} cannot be read: {why}")]
    Unreadable {
        /// The shard.
        shard: Shard,
        /// The entry's position.
        position: i64,
        /// Why it cannot be read.
        why: String,
    },
    /// The base has not sent what its own log holds as sent by it: it went back behind what it relayed.
    #[error(
        "shard {shard}: the log holds message {sequence} of shard {from} from life {life}, and this base, in life {present}, has sent {sent}: \
         it was restored from a backup or lost commits. Stop the services, run `canbao restore`, and start them again"
    )]
    Behind {
        /// The receiving shard.
        shard: Shard,
        /// The sending shard.
        from: Shard,
        /// The life the message was sent in.
        life: u32,
        /// Its sequence.
        sequence: u64,
        /// The life of this base.
        present: u32,
        /// How many messages the sending shard has sent.
        sent: u64,
    },
}
