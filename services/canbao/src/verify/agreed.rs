//! What every shard stands under, by all their logs together.

use super::compare::Sample;
use super::log::{SourceLog, add, higher};
use domain::date::Day;
use domain::decision::{Decision, Rulings};
use domain::input::SnapshotFloor;
use domain::policy::Edition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What every shard stands under.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// The business date.
    pub today: Option<Day>,
    /// Complete snapshots, in order.
    pub floors: Vec<SnapshotFloor>,
    /// Truncations, in order.
    pub truncations: Vec<SnapshotFloor>,
    /// What reviewers decided; `None` once withdrawn.
    pub decisions: BTreeMap<u64, Option<Decision>>,
    /// What that comes to.
    pub rulings: Rulings,
    /// The policy in force.
    pub policy: Option<Arc<Edition>>,
}

impl SourceLog {
    /// What every shard has heard: all of them together, where some lack what others have.
    pub(crate) fn agreed(&self) -> Agreed {
        let (mut floors, mut truncations) = (Vec::new(), Vec::new());
        let mut decisions: BTreeMap<u64, Option<Decision>> = BTreeMap::new();
        for shard in &self.shards {
            shard.floors.iter().for_each(|floor| add(&mut floors, floor.clone()));
            shard
                .truncations
                .iter()
                .for_each(|place| add(&mut truncations, place.clone()));
            for (id, decision) in &shard.decisions {
                let known = decisions.entry(*id).or_insert_with(|| decision.clone());
                if decision.is_none() {
                    *known = None;
                }
            }
        }
        for places in [&mut floors, &mut truncations] {
            places.sort_unstable_by(|one, two| {
                (one.source, &one.table, one.epoch, &one.offsets).cmp(&(two.source, &two.table, two.epoch, &two.offsets))
            });
        }
        Agreed {
            today: self.shards.iter().filter_map(|shard| shard.today).max(),
            floors,
            truncations,
            policy: self.shards.iter().map(|shard| shard.policy.clone()).fold(None, higher),
            rulings: Rulings::new(decisions.clone()),
            decisions,
        }
    }

    /// Shards that have not heard what others have: under way, or lost.
    pub(crate) fn uneven_shards(&self, agreed: &Agreed) -> Vec<Sample> {
        let mut found = Vec::new();
        for (number, shard) in self.shards.iter().enumerate() {
            let mut note = |lacks: bool, what: &str| {
                if lacks {
                    let problem = format!("its log lacks {what} that the logs of other shards have");
                    found.push(Sample {
                        key: number.to_string(),
                        problem,
                    });
                }
            };
            note(shard.today != agreed.today, "a business date");
            note(shard.decisions != agreed.decisions, "a decision");
            note(shard.policy != agreed.policy, "a policy");
            note(
                agreed.floors.iter().any(|floor| !shard.floors.contains(floor)),
                "a complete snapshot",
            );
            note(
                agreed.truncations.iter().any(|place| !shard.truncations.contains(place)),
                "a truncation",
            );
            note(
                self.shards.iter().any(|other| !other.live.is_subset(&shard.live)),
                "a go-live",
            );
        }
        found
    }
}
