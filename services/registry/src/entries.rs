//! Entries of the shards' logs, from the broker to the writers.

use domain::shard::Shard;
use runtime::store::refused::RefusedEntry;
use std::collections::BTreeSet;
use tokio::sync::oneshot;

/// One message of `person.records`, not yet decoded.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The shard whose log it stands in: the partition.
    pub shard: Shard,
    /// Its position in that log: the offset.
    pub position: i64,
    /// Where its reader stood before it, see [`domain::batch::Entry::follows`].
    pub follows: i64,
    /// When the broker appended it, ms.
    pub logged_at: i64,
    /// The message as framed.
    pub body: Vec<u8>,
    /// An operator stated that it is stepped over.
    pub is_skipped: bool,
}

impl Entry {
    /// What is kept of it when it cannot be applied.
    pub(crate) fn refused(&self, cause: String) -> RefusedEntry {
        RefusedEntry {
            shard: self.shard,
            position: self.position,
            logged_at: self.logged_at,
            cause,
            body: self.body.clone(),
        }
    }
}

/// What the consumer hands a writer.
#[derive(Debug)]
pub enum Handed {
    /// The next entry of one of the writer's shards.
    Entry(Entry),
    /// What comes of this shard from now on was read again, as the writer had [asked](crate::halts::Rereads).
    Again(Shard),
    /// Shards that are the writer's from now on; entries follow.
    Assigned(BTreeSet<Shard>),
    /// Shards that are no longer the writer's: finish what was handed over, then say so.
    Revoked(BTreeSet<Shard>, oneshot::Sender<()>),
}
