//! What a shard knows besides its persons: date, completeness, live regions, snapshot floors, and how far it has heard the others.

use crate::date::{Day, Timestamp};
use crate::division::City;
use crate::ids::{AnchorId, IdKey};
use crate::input::{Message, SnapshotFloor};
use crate::lives::{Lives, Origin};
use crate::policy::PolicyId;
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
    /// The policy that its persons are described under; before the first one nobody owes anything.
    pub policy: Option<PolicyId>,
    /// Digest of the decisions its persons were placed under, see [`Rulings::digest`](crate::decision::Rulings::digest).
    pub decisions: u64,
    /// Regions whose findings are announced.
    pub live: BTreeSet<City>,
    /// Regions whose baseline has been told, also when the base is made anew since: what is open there and was not told is news.
    baselines: BTreeSet<City>,
    /// The newest complete snapshot of each table.
    floors: Vec<SnapshotFloor>,
    /// Work on the whole shard that is not done yet, the oldest first.
    pub passes: Vec<Pass>,
    /// By sending shard, the last sequence heard, plus one.
    heard: Vec<u64>,
    /// The sequence of the next message of this shard.
    next: u64,
    /// The lives of the base, the same in every shard.
    pub lives: Lives,
    /// Until its log is applied up to here, a restored shard tells nothing and works off no pass: what it says on the way was told before.
    silent_until: i64,
    /// The newest truncation of each table. The last field: states that were stored before it begin like all others
    /// (`runtime::store::read`).
    truncations: Vec<SnapshotFloor>,
}

/// Work that goes once through a whole shard (分片遍历), in slices behind live traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// What is done with each neighbourhood.
    pub work: PassWork,
    /// The last neighbourhood it was done with; `None` at the beginning.
    pub after: Option<AnchorId>,
    /// How many neighbourhoods it was done with.
    pub done: u64,
}

/// What a [`Pass`] does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PassWork {
    /// Removes the rows that a complete snapshot no longer has; what follows rests on the time at which that was said.
    Snapshot(SnapshotFloor, Timestamp),
    /// Describes everybody anew under the policy of this version.
    Policy(u32),
    /// Tells what is open in a region as its baseline.
    GoLive(City),
    /// Publishes everybody's state again: what `person.registry` says may be of a history that was undone.
    Publish,
}

impl PassWork {
    fn pass(self) -> Pass {
        Pass {
            work: self,
            after: None,
            done: 0,
        }
    }
}

impl Default for ShardState {
    fn default() -> Self {
        Self {
            today: None,
            complete: BTreeMap::new(),
            policy: None,
            decisions: 0,
            live: BTreeSet::new(),
            baselines: BTreeSet::new(),
            floors: Vec::new(),
            passes: Vec::new(),
            heard: vec![0; usize::from(SHARDS)],
            next: 0,
            lives: Lives::default(),
            silent_until: 0,
            truncations: Vec::new(),
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

    /// Whether a message counts: it was sent in the history that this base stands in, and was not heard before.
    pub fn counts(&self, message: &Message) -> bool {
        self.lives.origin(message) != Origin::Undone && !self.has_seen(message)
    }

    pub(crate) fn see(&mut self, message: &Message) {
        self.heard[slot(message.from)] = message.sequence + 1;
    }

    /// The sequence of the next message that was not heard of a sender.
    pub fn heard(&self, from: Shard) -> u64 {
        self.heard[slot(from)]
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

    /// Whether the shard tells and works off its passes at a position of its log: a restored one has to come to the end first that the log
    /// had then.
    pub fn is_caught_up(&self, position: i64) -> bool {
        position >= self.silent_until
    }

    /// Begins a life of the base in this shard, silent until its log is applied up to `until`.
    pub(crate) fn begin_life(&mut self, number: u32, begun: &[u64], until: i64) {
        self.lives.begin(number, begun);
        self.silent_until = until;
        self.passes.retain(|pass| pass.work != PassWork::Publish);
        self.passes.push(PassWork::Publish.pass());
    }

    /// Whether a complete snapshot says that the row's version is gone.
    pub fn is_retired(&self, record: &SourceRecord, key: &IdKey) -> bool {
        self.floors.iter().any(|floor| floor.retires_record(record, key))
    }

    /// Whether a row stands before a truncation of its table and nobody has said whether it was loaded again: nothing is told that rests on
    /// it (ARCHITECTURE.md, Findings and release).
    pub fn is_unsure(&self, record: &SourceRecord, key: &IdKey) -> bool {
        self.truncations
            .iter()
            .any(|truncation| truncation.retires_record(record, key))
    }

    /// What is known of snapshots and truncations, each table once, in order.
    pub fn known_places(&self) -> [Vec<&SnapshotFloor>; 2] {
        [&self.floors, &self.truncations].map(|places| {
            let mut places: Vec<&SnapshotFloor> = places.iter().collect();
            places.sort_unstable_by_key(|place| (place.source, &place.table));
            places
        })
    }

    /// The business date only rises.
    pub(crate) fn advance(&mut self, day: Day) {
        self.today = Some(self.today.map_or(day, |today| today.max(day)));
    }

    /// Completeness only rises; the vector names every source in scope.
    pub fn complete(&mut self, vector: &[(Source, Timestamp)]) {
        self.complete = vector
            .iter()
            .map(|(source, until)| (*source, self.complete.get(source).map_or(*until, |before| *before.max(until))))
            .collect();
    }

    pub(crate) fn go_live(&mut self, region: City) {
        if self.live.insert(region) && !self.baselines.contains(&region) {
            self.passes.push(PassWork::GoLive(region).pass());
        }
    }

    /// How many of the oldest passes go through the shard together: those of one kind that have come equally far. The baselines of all
    /// regions, or the ends of all first snapshots, are one way through it and not dozens.
    pub(crate) fn passes_together(&self) -> usize {
        let with_first = |pass: &&Pass| {
            let first = &self.passes[0];
            pass.after == first.after && std::mem::discriminant(&pass.work) == std::mem::discriminant(&first.work)
        };
        self.passes.iter().take_while(with_first).count()
    }

    /// The oldest passes, that many of them, have come to a neighbourhood; `None`: through the shard.
    pub(crate) fn advance_passes(&mut self, together: usize, last: Option<AnchorId>, done: u64) {
        let Some(last) = last else {
            let regions = self.passes.drain(..together).filter_map(|pass| match pass.work {
                PassWork::GoLive(region) => Some(region),
                _ => None,
            });
            self.baselines.extend(regions);
            return;
        };
        for pass in &mut self.passes[..together] {
            pass.after = Some(last);
            pass.done += done;
        }
    }

    /// The state in which a base begins that is made anew from its log: nothing is known but what was told.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self {
            baselines: self.baselines.clone(),
            ..Self::default()
        }
    }

    /// Whether what changes in a neighbourhood is news in a region: its baseline, if it has one, has been told.
    pub fn is_live(&self, region: City, anchor: AnchorId) -> bool {
        let is_ahead = |pass: &Pass| pass.work == PassWork::GoLive(region) && pass.after.is_none_or(|after| anchor > after);
        self.live.contains(&region) && !self.passes.iter().any(is_ahead)
    }

    /// Takes up a policy, if it is higher than the one in force: everybody is described under it from now on, who is not touched in a pass.
    /// Says whether it is.
    pub(crate) fn adopt_policy(&mut self, policy: PolicyId) -> bool {
        let is_newer = self.policy < Some(policy);
        if is_newer {
            self.policy = Some(policy);
            let not_begun = |pass: &&mut Pass| matches!(pass.work, PassWork::Policy(_)) && pass.after.is_none();
            match self.passes.iter_mut().find(not_begun) {
                // It describes everybody under whatever is in force.
                Some(pass) => pass.work = PassWork::Policy(policy.version),
                None => self.passes.push(PassWork::Policy(policy.version).pass()),
            }
        }
        is_newer
    }

    /// A complete snapshot: what it no longer has is removed in a pass, unless everything it says is known.
    pub fn raise_floor(&mut self, floor: &SnapshotFloor, at: Timestamp) {
        if let Some(raised) = raise(&mut self.floors, floor) {
            self.passes.push(PassWork::Snapshot(raised, at).pass());
        }
    }

    /// A table was truncated: no row is written, since whether one stands before that follows from its version.
    pub fn truncate(&mut self, truncation: &SnapshotFloor) {
        raise(&mut self.truncations, truncation);
    }
}

/// Raises the place that is known of a table, whatever the order; says it where that says more than was known.
fn raise(known: &mut Vec<SnapshotFloor>, place: &SnapshotFloor) -> Option<SnapshotFloor> {
    let of_table = |known: &&mut SnapshotFloor| known.source == place.source && known.table == place.table;
    let Some(known) = known.iter_mut().find(of_table) else {
        known.push(place.clone());
        return Some(place.clone());
    };
    let raised = known.join(place);
    (raised != *known).then(|| {
        known.clone_from(&raised);
        raised
    })
}

fn slot(shard: Shard) -> usize {
    usize::from(shard.number())
}

#[cfg(test)]
mod tests;
