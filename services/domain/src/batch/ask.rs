//! What a batch asks for, and how it is answered: whole answers, in bulk.

use super::{Place, stored::StoredPerson};
use crate::date::{Day, Timestamp};
use crate::decision::Rulings;
use crate::engine::DirectoryEntry;
use crate::finding::About;
use crate::ids::{AnchorId, PersonId, RecordId};
use crate::policy::{Edition, PolicyId};
use crate::release::Told;
use crate::shard::Shard;
use crate::shard_state::ShardState;
use crate::source::{Source, Version};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A person's place in the store.
pub type PersonKey = (Shard, AnchorId, PersonId);

/// A person, and what one of their findings is about.
pub type PendingKey = (PersonKey, About);

/// A shard's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRow {
    /// Next position of its log to apply.
    pub position: i64,
    /// Next sequence of its outbox.
    pub outbox_next: i64,
    /// What it knows besides its persons.
    pub state: ShardState,
}

impl ShardRow {
    /// Whether the shard has passes that may be worked off now.
    pub fn has_passes(&self) -> bool {
        !self.state.passes.is_empty() && self.is_caught_up()
    }

    /// See [`ShardState::is_caught_up`].
    pub fn is_caught_up(&self) -> bool {
        self.state.is_caught_up(self.position)
    }
}

/// A difference between what is open and what was told, until it may be told (待发布).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// The broker's append time of the newest fact behind it.
    pub facts_at: Timestamp,
    /// The source it waits for, once known: not looked at again before that one is complete past the facts.
    pub waits_for: Option<Source>,
}

/// What a batch must be given before it can go on. Nothing has been written until the batch is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// The rows of shards, locked.
    Shards(BTreeSet<Shard>),
    /// What the decisions of shards come to, by the digest that their states name.
    Rulings(BTreeMap<Shard, u64>),
    /// Policies in force, by name.
    Policies(BTreeSet<PolicyId>),
    /// How many messages shards have ever sent, as committed: read without a lock.
    Sent(BTreeSet<Shard>),
    /// The rows of neighbourhoods.
    Neighbourhoods(BTreeSet<Place>),
    /// Directory entries, locked in order of the records.
    Directory(BTreeSet<RecordId>),
    /// The versions of employers' rows.
    Employers(BTreeSet<(Shard, RecordId)>),
    /// The neighbourhoods of a shard that the directory or the notes on guest copies name for some records.
    Holding(Shard, BTreeSet<RecordId>),
    /// The neighbourhoods of a shard with persons due by a date, at most so many, the oldest date first.
    Due(Shard, Day, usize),
    /// The rows of at most so many neighbourhoods of a shard that come after a place, in order.
    Slice(Shard, Option<AnchorId>, usize),
    /// Differences not yet told: of shards, those that wait for no source of the vector that is not past their facts; and those of keys.
    Pending(BTreeMap<Shard, BTreeMap<Source, Timestamp>>, BTreeSet<PendingKey>),
    /// What subscribers were told about persons of neighbourhoods.
    Told(BTreeSet<Place>),
    /// What arrived in neighbourhoods with persons who were told of elsewhere.
    Carried(BTreeSet<Place>),
}

/// The answer to a [`Need`]: everything the store has of what was asked; what is not there is absent.
#[derive(Debug, Clone)]
pub enum Given {
    /// To [`Need::Shards`].
    Shards(BTreeMap<Shard, ShardRow>),
    /// To [`Need::Rulings`].
    Rulings(BTreeMap<Shard, Arc<Rulings>>),
    /// To [`Need::Policies`]: every one of them.
    Policies(BTreeMap<PolicyId, Arc<Edition>>),
    /// To [`Need::Sent`].
    Sent(BTreeMap<Shard, u64>),
    /// To [`Need::Neighbourhoods`].
    Neighbourhoods(Vec<StoredPerson>),
    /// To [`Need::Directory`].
    Directory(Vec<(RecordId, DirectoryEntry)>),
    /// To [`Need::Employers`].
    Employers(Vec<(RecordId, Version)>),
    /// To [`Need::Holding`].
    Holding(BTreeSet<AnchorId>),
    /// To [`Need::Due`]: the neighbourhoods, and whether there may be more.
    Due(BTreeSet<AnchorId>, bool),
    /// To [`Need::Slice`]: whole neighbourhoods, and the last of them; `None` when the shard has no more.
    Slice(Vec<StoredPerson>, Option<AnchorId>),
    /// To [`Need::Pending`].
    Pending(Vec<(PendingKey, Pending)>),
    /// To [`Need::Told`].
    Told(Vec<(PersonKey, Told)>),
    /// To [`Need::Carried`].
    Carried(Vec<(Place, About)>),
}

impl Need {
    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Shards(shards) | Self::Sent(shards) => shards.is_empty(),
            Self::Rulings(shards) => shards.is_empty(),
            Self::Policies(policies) => policies.is_empty(),
            Self::Neighbourhoods(places) | Self::Told(places) | Self::Carried(places) => places.is_empty(),
            Self::Directory(records) | Self::Holding(_, records) => records.is_empty(),
            Self::Employers(records) => records.is_empty(),
            Self::Pending(shards, keys) => shards.is_empty() && keys.is_empty(),
            Self::Due(..) | Self::Slice(..) => false,
        }
    }

    /// What is asked for, in a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shards(_) => "shards",
            Self::Rulings(_) => "rulings",
            Self::Policies(_) => "policies",
            Self::Sent(_) => "sent",
            Self::Neighbourhoods(_) => "neighbourhoods",
            Self::Directory(_) => "directory",
            Self::Employers(_) => "employers",
            Self::Holding(..) => "holding",
            Self::Due(..) => "due",
            Self::Slice(..) => "slice",
            Self::Pending(..) => "pending",
            Self::Told(_) => "told",
            Self::Carried(_) => "carried",
        }
    }
}
