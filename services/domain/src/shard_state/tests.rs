//! What a shard knows besides its persons.

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
