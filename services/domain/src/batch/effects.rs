//! All that a batch writes: one closed value, written in one transaction or not at all.

use super::Place;
use super::ask::{Pending, PendingKey, PersonKey, ShardRow};
use super::difference::Difference;
use crate::base::Person;
use crate::citizen_id::CitizenId;
use crate::date::{Day, Timestamp};
use crate::decision::Decision;
use crate::division::Division;
use crate::engine::{DirectoryEntry, Outcome};
use crate::finding::{About, Evidence};
use crate::ids::{AnchorId, PersonId, RecordId};
use crate::input::Message;
use crate::policy::{Edition, PolicyId};
use crate::record::EntityChange;
use crate::release::Event;
use crate::shard::Shard;
use crate::shard_state::Pass;
use crate::source::{Source, Strays, TableName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a batch writes, by table.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Effects {
    /// Persons, enrolments, due dates and counters, by neighbourhood in order.
    pub differences: Vec<Difference>,
    /// Directory entries that rose; whether the record had none.
    pub directory: BTreeMap<RecordId, (DirectoryEntry, bool)>,
    /// Tables in which a key appeared in a second partition within an epoch: their topics must be held while that is so.
    pub strays: Strays,
    /// Decisions made (`None`: withdrawn for good).
    pub decisions: Vec<(Shard, u64, Option<Decision>)>,
    /// Policies that came into force.
    pub policies: BTreeMap<PolicyId, Arc<Edition>>,
    /// Guest copies that came to a neighbourhood (`true`) or left it.
    pub guests: BTreeMap<(Shard, RecordId, AnchorId), bool>,
    /// Employers whose row rises.
    pub employers: Vec<(Shard, EntityChange)>,
    /// What goes to subscribers, with the sequence in the shard's outbox, in order.
    pub outbox: Vec<(Shard, i64, Publication)>,
    /// What subscribers know once that is published.
    pub told: BTreeMap<(PersonKey, About), Event>,
    /// Differences that wait (`Some`), and those that wait no longer.
    pub pending: BTreeMap<PendingKey, Option<Pending>>,
    /// What arrived with persons who were told of elsewhere, and when.
    pub carried: BTreeMap<(Place, About), Timestamp>,
    /// What arrived in these shards until then is forgotten.
    pub forgotten: BTreeMap<Shard, Timestamp>,
    /// Messages to other shards, with their receivers, in order per sender.
    pub messages: Vec<(Shard, Message)>,
    /// What became of the entries, by their place in the batch (`None`: stepped over); those that the base had before are absent.
    pub outcomes: Vec<(usize, Option<Outcome>)>,
    /// The rows of the shards.
    pub shards: BTreeMap<Shard, ShardRow>,
    /// What is left to do with whole shards, where that changed.
    pub passes: BTreeMap<Shard, Vec<Pass>>,
    /// Shards that may still have persons due.
    pub still_due: BTreeSet<Shard>,
}

/// A message for subscribers, before it is encoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Publication {
    /// To `person.registry`: the person as they now are in this neighbourhood; the place is a part of the key, because while one without a
    /// number moves, their id stands in two places for a moment, and leaving one must not delete them from the other.
    Person {
        /// The neighbourhood.
        anchor: AnchorId,
        /// Who; their row is among the differences.
        person: Arc<Person>,
        /// When it was recorded.
        at: Timestamp,
    },
    /// To `person.registry`: the person is gone from this neighbourhood.
    Gone {
        /// The neighbourhood.
        anchor: AnchorId,
        /// Who it was.
        person: PersonId,
    },
    /// To `alerts.<kind>.<city>`, unless it is of the baseline.
    Alert(Box<Telling>),
    /// To `findings`: the state after an event.
    Finding(Box<Telling>),
}

/// An event with what it says beside the finding itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Telling {
    /// The person's neighbourhood.
    pub anchor: AnchorId,
    /// The event.
    pub event: Event,
    /// The person's number; masked before it leaves.
    pub number: Option<CitizenId>,
    /// The county the person counts in.
    pub county: Option<Division>,
    /// The business date of the release.
    pub business_date: Day,
    /// The finding's facts that are known here, with where they come from.
    pub evidence: Vec<(Evidence, Source, TableName)>,
    /// The broker's time of the log entry that released it.
    pub at: Timestamp,
}
