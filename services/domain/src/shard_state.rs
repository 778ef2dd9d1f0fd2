//! What a shard knows besides its persons: date, completeness, live regions, snapshot floors, and how far it has heard the others.

use crate::date::{Day, Timestamp};
use crate::division::City;
use crate::ids::IdKey;
use crate::input::{Control, Message, SnapshotFloor};
use crate::record::SourceRecord;
use crate::shard::{SHARDS, Shard};
use crate::source::Source;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The state of a shard (分片状态), stored beside its position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardState {
    /// The business date; `None` before the first tick.
    pub today: Option<Day>,
    /// Up to when each source in scope is complete; 0 before its first full snapshot has passed.
    pub complete: BTreeMap<Source, Timestamp>,
    /// Version of the policy that its persons were described under; 0 before the first.
    pub policy: u32,
    /// Digest of the decisions its persons were placed under, see [`Rulings::digest`](crate::decision::Rulings::digest).
    pub decisions: u64,
    /// Regions whose findings are announced.
    pub live: BTreeSet<City>,
    /// The newest complete snapshot of each table.
    floors: Vec<SnapshotFloor>,
    /// By sending shard, the last sequence heard, plus one.
    heard: Vec<u64>,
    /// The sequence of the next message of this shard.
    next: u64,
}

impl Default for ShardState {
    fn default() -> Self {
        Self {
            today: None,
            complete: BTreeMap::new(),
            policy: 0,
            decisions: 0,
            live: BTreeSet::new(),
            floors: Vec::new(),
            heard: vec![0; usize::from(SHARDS)],
            next: 0,
        }
    }
}

/// The date before the first tick (业务日期未定): nothing is overdue on it.
pub const BEFORE_TIME: Day = Day(0);

impl ShardState {
    /// The date that findings are judged on.
    pub fn business_date(&self) -> Day {
        self.today.unwrap_or(BEFORE_TIME)
    }

    /// Whether a message was heard before.
    pub fn has_seen(&self, message: &Message) -> bool {
        message.sequence < self.heard[slot(message.from)]
    }

    pub(crate) fn see(&mut self, message: &Message) {
        self.heard[slot(message.from)] = message.sequence + 1;
    }

    /// How many messages the shard has sent so far.
    pub fn messages_sent(&self) -> u64 {
        self.next
    }

    pub(crate) fn next_sequence(&mut self) -> u64 {
        let sequence = self.next;
        self.next += 1;
        sequence
    }

    /// Whether a complete snapshot says that the row's version is gone.
    pub fn is_retired(&self, record: &SourceRecord, key: &IdKey) -> bool {
        self.floors.iter().any(|floor| floor.retires_record(record, key))
    }

    /// The business date only rises.
    pub(crate) fn advance(&mut self, day: Day) {
        self.today = Some(self.today.map_or(day, |today| today.max(day)));
    }

    /// Completeness only rises; the vector names every source in scope.
    pub(crate) fn complete(&mut self, vector: &[(Source, Timestamp)]) {
        self.complete = vector
            .iter()
            .map(|(source, until)| (*source, self.complete.get(source).map_or(*until, |before| *before.max(until))))
            .collect();
    }

    pub(crate) fn go_live(&mut self, region: City) {
        self.live.insert(region);
    }

    /// Whether a statement would change nothing: it was made before.
    pub fn has_heard(&self, control: &Control) -> bool {
        match control {
            Control::GoLive(region) => self.live.contains(region),
            Control::Snapshot(floor) => self.floors.iter().any(|known| {
                known.source == floor.source
                    && known.table == floor.table
                    && (known.epoch, &known.offsets) >= (floor.epoch, &floor.offsets)
            }),
            Control::BusinessDate(day) => self.today >= Some(*day),
            // Completeness heard again is a chance to release what waited for something else; decisions are a set.
            Control::Completeness(_) | Control::Decide(_) | Control::Undecide(_) => false,
        }
    }

    pub(crate) fn raise_floor(&mut self, floor: SnapshotFloor) {
        match self
            .floors
            .iter_mut()
            .find(|known| known.source == floor.source && known.table == floor.table)
        {
            Some(known) if (known.epoch, &known.offsets) < (floor.epoch, &floor.offsets) => *known = floor,
            Some(_) => {}
            None => self.floors.push(floor),
        }
    }
}

fn slot(shard: Shard) -> usize {
    usize::from(shard.number())
}
