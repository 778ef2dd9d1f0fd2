//! A restored base (恢复): how it goes on after what it forgot (ARCHITECTURE.md, Exactly once).
//!
//! The logs and the published topics have gone further than a base that was restored from a backup, that lost commits in a failover, or
//! that is made anew from its source log. It applies the logs again, in a [life](crate::lives::Lives) of its own; what subscribers
//! were told is read back from what was published, so that nothing is told twice and the next event has the next revision.

use crate::batch::{Pending, PendingKey, ShardRow};
use crate::date::Timestamp;
use crate::release::Told;
use crate::shard::Shard;
use std::collections::BTreeMap;

/// Begins a life in every shard, where each of them stands. `ends` are the ends of their logs: on the way there they are silent.
///
/// # Panics
/// When a shard is missing, or the life is not later than every one before.
pub fn begin_life(rows: &mut BTreeMap<Shard, ShardRow>, number: u32, ends: &BTreeMap<Shard, i64>) {
    let begun: Vec<u64> = Shard::all().map(|shard| rows[&shard].state.messages_sent()).collect();
    for (shard, row) in rows {
        row.state.begin_life(number, &begun, ends[shard]);
    }
}

/// What subscribers know, by finding.
pub type Known = BTreeMap<PendingKey, Told>;

/// How what the base takes for told must change to be what was published: the state to keep, or none where nothing was published.
///
/// Each of these differences waits to be told about, see [`waiting`]: whether it is one is known once the base has caught up.
pub fn fold(taken: &Known, published: &Known) -> BTreeMap<PendingKey, Option<Told>> {
    let mut changes: BTreeMap<PendingKey, Option<Told>> = BTreeMap::new();
    for (key, told) in published {
        if !taken.get(key).is_some_and(|known| is_same(known, told)) {
            changes.insert(*key, Some(told.clone()));
        }
    }
    let unpublished = taken.keys().filter(|key| !published.contains_key(*key));
    changes.extend(unpublished.map(|key| (*key, None)));
    changes
}

/// What a difference that a restore makes waits for: that every source is complete past the end of the logs, `newest`.
pub fn waiting(newest: Timestamp) -> Pending {
    Pending {
        facts_at: newest,
        waits_for: None,
    }
}

/// Whether two states are the same to subscribers. A cleared finding is published with those of its facts that are still known.
fn is_same(one: &Told, other: &Told) -> bool {
    let states = |told: &Told| (told.revision, told.open, told.region, told.person);
    states(one) == states(other) && (!one.open || one.finding == other.finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::Day;
    use crate::finding::{Finding, Rule};
    use crate::ids::{AnchorId, PersonId};

    fn key(person: u8) -> PendingKey {
        let shard = Shard::all().next().expect("a shard");
        ((shard, AnchorId([1; 16]), PersonId([person; 16])), [2, 11])
    }

    fn told(person: u8, revision: u32, since: i32) -> (PendingKey, Told) {
        let finding = Finding {
            rule: Rule::Lapsed,
            scheme: None,
            since: Day(since),
            overlap: None,
            reason: None,
            places: Vec::new(),
            evidence: Vec::new(),
        };
        let told = Told {
            person: PersonId([person; 16]),
            revision,
            open: revision % 2 == 1,
            region: "3201".parse().expect("a city"),
            finding,
        };
        (key(person), told)
    }

    #[test]
    fn what_was_published_is_what_is_known() {
        // 1: told again since the backup; 2: nothing new; 3: taken for told, and never published; 4: first told since.
        let taken = Known::from([told(1, 1, 5), told(2, 2, 5), told(3, 1, 5)]);
        let published = Known::from([told(1, 3, 6), told(2, 2, 9), told(4, 1, 5)]);
        let changes = fold(&taken, &published);
        let expected = [told(1, 3, 6), told(4, 1, 5)].map(|(key, told)| (key, Some(told)));
        let expected: BTreeMap<_, _> = expected.into_iter().chain([(key(3), None)]).collect();
        assert_eq!(changes, expected);
    }

    #[test]
    fn a_life_begins_at_once_in_every_shard() {
        let row = |messages: i64| ShardRow {
            position: messages,
            outbox_next: 0,
            state: crate::shard_state::ShardState::default(),
        };
        let mut rows: BTreeMap<Shard, ShardRow> = Shard::all().map(|shard| (shard, row(3))).collect();
        let ends = Shard::all().map(|shard| (shard, i64::from(shard.number()))).collect();
        begin_life(&mut rows, 4, &ends);
        for (shard, row) in &rows {
            assert_eq!(row.state.lives.present(), 4);
            assert_eq!(row.is_caught_up(), shard.number() <= 3, "{shard}");
            assert_eq!(
                row.has_passes(),
                row.is_caught_up(),
                "everybody is published again, once it has caught up"
            );
        }
    }
}
