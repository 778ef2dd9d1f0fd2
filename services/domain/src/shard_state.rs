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
mod tests {
    use super::*;
    use crate::policy::PolicyDigest;
    use crate::source::{TableName, Version};
    use proptest::prelude::*;

    fn place() -> impl Strategy<Value = SnapshotFloor> {
        let offsets = proptest::collection::vec(0..4_u64, 0..3);
        ("[ab]", 0..2_u16, offsets).prop_map(|(table, epoch, offsets)| SnapshotFloor {
            source: "human-resources.3201".parse().expect("a source"),
            table: TableName::new(table),
            epoch,
            offsets,
        })
    }

    proptest! {
        #[test]
        fn snapshots_and_truncations_say_the_same_in_any_order(
            said in proptest::collection::vec((any::<bool>(), place()), 0..8).prop_flat_map(|said| (Just(said.clone()), Just(said).prop_shuffle())),
            (epoch, partition, offset) in (0..2_u16, 0..3_u16, 0..4_u64),
        ) {
            let (told, shuffled) = said;
            let [state, other] = [&told, &shuffled].map(|said| {
                let mut state = ShardState::default();
                for (is_floor, place) in said.iter().chain(said) {
                    if *is_floor {
                        state.raise_floor(place, Timestamp(0));
                    } else {
                        state.truncate(place);
                    }
                }
                state
            });
            prop_assert_eq!(state.known_places(), other.known_places());
            let version = Version { epoch, partition, offset, mapping: 0 };
            // A row is before what is known together exactly if it is before one of them.
            for (known, is_floor) in state.known_places().into_iter().zip([true, false]) {
                for table in ["a", "b"] {
                    let before = |place: &SnapshotFloor| place.table.as_str() == table && place.retires(&version);
                    prop_assert_eq!(
                        known.iter().any(|place| before(place)),
                        told.iter().any(|(of, place)| *of == is_floor && before(place))
                    );
                }
            }
        }
    }

    #[test]
    fn a_baseline_is_told_once_also_by_a_base_made_anew() {
        let region: City = "3201".parse().expect("a city");
        let mut state = ShardState::default();
        state.go_live(region);
        assert!(!state.is_live(region, AnchorId([1; 16])), "its baseline comes first");
        let mut unfinished = state.anew();
        unfinished.go_live(region);
        assert!(!unfinished.passes.is_empty(), "what was not told to its end is told again");
        state.advance_passes(1, None, 0);
        assert!(state.is_live(region, AnchorId([1; 16])));
        let mut anew = state.anew();
        assert!(!anew.live.contains(&region), "the log says when it went live");
        anew.go_live(region);
        assert!(
            anew.passes.is_empty() && anew.is_live(region, AnchorId([1; 16])),
            "what is open and was not told is news"
        );
    }

    #[test]
    fn passes_of_one_kind_go_through_the_shard_together() {
        let regions: [City; 3] = ["3201", "3202", "3203"].map(|code| code.parse().expect("a city"));
        let (near, far) = (AnchorId([1; 16]), AnchorId([2; 16]));
        let mut state = ShardState::default();
        state.go_live(regions[0]);
        state.go_live(regions[1]);
        state.passes.push(PassWork::Publish.pass());
        assert_eq!(state.passes_together(), 2, "another kind keeps its place behind them");
        state.advance_passes(2, Some(near), 7);
        assert!(
            state.passes[..2]
                .iter()
                .all(|pass| pass.after == Some(near) && pass.done == 7)
        );
        assert!(
            regions[..2]
                .iter()
                .all(|of| state.is_live(*of, near) && !state.is_live(*of, far))
        );
        state.passes.pop();
        state.go_live(regions[2]);
        assert_eq!(state.passes_together(), 2, "who comes later begins at the beginning");
        state.advance_passes(2, None, 3);
        assert_eq!(state.baselines.iter().copied().collect::<Vec<_>>(), regions[..2]);
        assert_eq!(state.passes, [PassWork::GoLive(regions[2]).pass()]);
    }

    #[test]
    fn the_highest_policy_is_in_force_whatever_the_order() {
        let id = |version, text| PolicyId {
            version,
            digest: PolicyDigest::of(text),
        };
        let heard = [id(1, "a"), id(2, "b"), id(2, "c")];
        let highest = heard.into_iter().max();
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut state = ShardState::default();
            for at in order.into_iter().chain(order) {
                state.adopt_policy(heard[at]);
            }
            assert_eq!(state.policy, highest, "{order:?}");
            assert_eq!(
                state.passes,
                [PassWork::Policy(2).pass()],
                "{order:?}: one pass that has not begun serves all"
            );
        }
        let mut begun = ShardState::default();
        assert!(begun.adopt_policy(heard[0]));
        begun.passes[0].after = Some(AnchorId([1; 16]));
        assert!(begun.adopt_policy(heard[1]) && !begun.adopt_policy(heard[0]));
        assert_eq!(begun.passes.len(), 2, "who was described under the first is described again");
    }
}
