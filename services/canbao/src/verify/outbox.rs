//! The publisher's positions against the outbox: sequences are dense, and what is gone from the outbox was published.

use super::compare::{Problems, TableReport};
use super::published::{Record, Stage, shard_of};
use anyhow::Context;
use domain::shard::Shard;
use runtime::outbox::position::Position;
use runtime::outbox::positions::{self, TOPIC};
use runtime::store::read::StoredShard;
use sqlx::{PgConnection, Row};
use std::collections::BTreeMap;

/// What positions and outbox say of one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Place {
    /// The position before the snapshot of the store was taken.
    before: Option<Position>,
    /// The position now.
    now: Option<Position>,
    /// The first row of the outbox, and how many rows there are.
    first: Option<i64>,
    rows: i64,
}

/// The positions topic and the outbox, read.
pub(super) struct Positions {
    places: BTreeMap<Shard, Place>,
    problems: Problems,
}

impl Positions {
    pub(super) fn new(show: u32) -> Self {
        Self {
            places: BTreeMap::new(),
            problems: Problems::new(TOPIC, show),
        }
    }

    /// Takes a message of the positions topic.
    pub(super) fn take(&mut self, record: &Record<'_>) {
        self.problems.rows += 1;
        let Some((shard, position)) = positions::decode(Some(record.key), record.value) else {
            return self.problems.note(record.place(), "is no position");
        };
        let place = self.places.entry(shard).or_default();
        if let Some(last) = place.now
            && (position.epoch, position.next) < (last.epoch, last.next)
        {
            let problem = format!("goes back from sequence {} to {}", last.next, position.next);
            self.problems.note(record.place(), problem);
        }
        place.now = Some(position);
        if record.stage == Stage::Before {
            place.before = Some(position);
        }
    }

    /// Takes a row of the outbox, in order.
    pub(super) fn queued(&mut self, shard: i32, sequence: i64) {
        let Some(shard) = shard_of(shard) else {
            return self.stray(shard, sequence);
        };
        let place = self.places.entry(shard).or_default();
        place.first.get_or_insert(sequence);
        place.rows += 1;
    }

    /// A row of the outbox that nobody publishes.
    pub(super) fn stray(&mut self, shard: i32, sequence: i64) {
        self.problems.note(
            format!("store.outbox {shard}/{sequence}"),
            "is for a topic that is not published",
        );
    }

    /// Compares with the store.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn compare(mut self, connection: &mut PgConnection, shards: &[StoredShard]) -> anyhow::Result<TableReport> {
        let epoch: i32 = sqlx::query("select outbox_epoch from store.publisher")
            .fetch_one(connection)
            .await
            .context("reading the epoch of the outbox")?
            .try_get("outbox_epoch")?;
        for shard in shards {
            let place = self.places.remove(&shard.shard).unwrap_or_default();
            for problem in problems(&place, epoch.unsigned_abs(), shard.outbox_next) {
                self.problems.note(shard.shard.to_string(), problem);
            }
        }
        Ok(self.problems.report())
    }
}

fn problems(place: &Place, epoch: u32, outbox_next: i64) -> Vec<String> {
    let mut found = Vec::new();
    let first = place.first.unwrap_or(outbox_next);
    if first.saturating_add(place.rows) != outbox_next {
        found.push(format!(
            "the outbox holds {} rows from {first} on, the next gets {outbox_next}",
            place.rows
        ));
    }
    if let Some(ahead) = place.now.filter(|position| position.epoch > epoch) {
        found.push(format!("outbox epoch {} is published, the store has {epoch}", ahead.epoch));
        return found;
    }
    // Positions of an earlier epoch say nothing of this outbox.
    let of_epoch = |position: Option<Position>| position.filter(|position| position.epoch == epoch);
    if let Some(before) = of_epoch(place.before)
        && i128::from(before.next) > i128::from(outbox_next)
    {
        found.push(format!(
            "published up to {}, the next in the store gets {outbox_next}",
            before.next
        ));
    }
    let published = match (of_epoch(place.now), place.now) {
        (Some(now), _) => now.next,
        (None, Some(_)) => return found,
        (None, None) => 0,
    };
    if i128::from(published) < i128::from(first) {
        found.push(format!("rows {published} to {} are gone, and were not published", first - 1));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(next: Option<u64>, first: Option<i64>, rows: i64) -> Place {
        let position = next.map(|next| Position { epoch: 1, next });
        Place {
            before: position,
            now: position,
            first,
            rows,
        }
    }

    #[test]
    fn what_is_gone_was_published() {
        for good in [
            (place(Some(7), None, 0), 7),
            (place(Some(5), Some(5), 2), 7),
            // Published and not deleted yet.
            (place(Some(7), Some(5), 2), 7),
            (place(None, None, 0), 0),
            (place(None, Some(0), 3), 3),
        ] {
            assert_eq!(problems(&good.0, 1, good.1), Vec::<String>::new(), "{good:?}");
        }
        for (bad, next, words) in [
            (place(Some(7), None, 0), 8, "rows 7 to 7 are gone, and were not published"),
            (place(Some(8), None, 0), 7, "published up to 8, the next in the store gets 7"),
            (
                place(Some(5), Some(5), 1),
                7,
                "the outbox holds 1 rows from 5 on, the next gets 7",
            ),
            (place(None, None, 0), 3, "rows 0 to 2 are gone, and were not published"),
        ] {
            assert_eq!(problems(&bad, 1, next), [words]);
        }
        assert_eq!(
            problems(&place(Some(7), None, 0), 0, 7),
            ["outbox epoch 1 is published, the store has 0"]
        );
        assert!(
            problems(&place(Some(9), None, 0), 2, 7).is_empty(),
            "a restore raised the epoch"
        );
    }
}
