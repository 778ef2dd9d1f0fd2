//! `person.registry` against the function: the last state of every person as subscribers have it, and as it follows from the log.

use super::compare::{Problems, Sample, TableReport};
use super::expected::Sheet;
use super::published::{Record, Stage, digest, unreadable};
use anyhow::Context;
use domain::base::Person;
use domain::date::Timestamp;
use domain::ids::{AnchorId, IdKey, PersonId};
use domain::shard::Shard;
use runtime::kafka::topics::PERSON_REGISTRY;
use runtime::store::person;
use schemas::event::{self, PersonState};
use sqlx::{PgConnection, Row};
use std::collections::HashMap;

/// What was published; a null digest is a person who is gone.
pub(super) const TABLES: &[&str] = &[
    "create temp table verify_published (shard smallint, anchor bytea, person bytea, stage smallint, seq bigint, digest bytea) on commit drop",
];

/// What the function makes of every person: filled with the other tables of the base.
pub(super) const EXPECTED: &str =
    "create temp table verify_registry (shard smallint, anchor bytea, person bytea, digest bytea) on commit drop";

/// The digest of what should stand in `person.registry`; when it was recorded aside.
pub(super) fn expected(person: &Person, key: &IdKey) -> [u8; 16] {
    digest(&event::encode(&person::state(person, Timestamp(0), key)))
}

type Key = (Shard, AnchorId, PersonId);

/// The topic on its way into its table. Of a partition only the last state of each person is kept.
pub(super) struct Sink {
    sheet: Sheet,
    folded: HashMap<Key, (i64, Option<[u8; 16]>)>,
    problems: Problems,
}

impl Sink {
    pub(super) fn new(show: u32) -> Self {
        Self {
            sheet: Sheet::new("verify_published", 6),
            folded: HashMap::new(),
            problems: Problems::new(PERSON_REGISTRY, show),
        }
    }

    pub(super) fn sheet(&mut self) -> &mut Sheet {
        &mut self.sheet
    }

    pub(super) fn take(&mut self, record: &Record<'_>) {
        self.problems.rows += 1;
        let Some(key) = key(record.key) else {
            return unreadable(&mut self.problems, record);
        };
        let state = match record.value.map(event::decode::<PersonState>) {
            None => None,
            Some(Ok(state)) if state.person == key.2 => Some(state),
            Some(Ok(_)) => return self.problems.note(record.place(), "states another person than its key"),
            Some(Err(_)) => return unreadable(&mut self.problems, record),
        };
        let state = state.map(|state| {
            digest(&event::encode(&PersonState {
                recorded_at: Timestamp(0),
                ..state
            }))
        });
        if record.stage == Stage::Before {
            self.folded.insert(key, (record.at, state));
        } else {
            self.put(&key, record.stage, record.at, state);
        }
    }

    /// The partition has been read: what it folds to.
    pub(super) fn partition_ends(&mut self) {
        for (key, (at, state)) in std::mem::take(&mut self.folded) {
            self.put(&key, Stage::Before, at, state);
        }
    }

    fn put(&mut self, (shard, anchor, person): &Key, stage: Stage, at: i64, state: Option<[u8; 16]>) {
        self.sheet
            .rows
            .row()
            .int2(i16::from(shard.number()))
            .bytes(&anchor.bytes()[..])
            .bytes(&person.bytes()[..])
            .int2(stage as i16)
            .int8(at)
            .bytes(state.as_ref().map(|state| &state[..]));
    }

    /// Compares. What the outbox holds is the last word; else the function's answer is among what stood before the snapshot and came since.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn compare(mut self, connection: &mut PgConnection, show: u32) -> anyhow::Result<TableReport> {
        let rows = sqlx::query(
            "with heard as (
                 select shard, anchor, person, array_agg(coalesce(digest, '\\x'::bytea)) filter (where stage < 2) as digests,
                        bool_or(stage = 0) as stood,
                        (array_agg(coalesce(digest, '\\x'::bytea) order by seq desc) filter (where stage = 2))[1] as queued
                 from pg_temp.verify_published group by shard, anchor, person
             ), compared as (
                 select coalesce(h.shard, e.shard) as shard, coalesce(h.anchor, e.anchor) as anchor, coalesce(h.person, e.person) as person,
                        coalesce(e.digest, '\\x'::bytea) as expected, queued, coalesce(stood, false) as stood, coalesce(digests, '{}') as digests
                 from heard h full join pg_temp.verify_registry e on h.shard = e.shard and h.anchor = e.anchor and h.person = e.person
             )
             select concat_ws('/', shard, encode(anchor, 'hex'), encode(person, 'hex')) as key, count(*) over () as total,
                    case when expected = '\\x' then 'unexpected' when queued is null and digests <@ array['\\x'::bytea] then 'missing'
                         else 'differs' end as problem
             from compared
             where not case when queued is not null then queued = expected
                            else expected = any(digests) or (expected = '\\x' and not stood) end
             limit $1",
        )
        .bind(i64::from(show.max(1)))
        .fetch_all(connection)
        .await
        .context("comparing person.registry")?;
        let total = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>("total"))?;
        for row in &rows {
            let sample = Sample {
                key: row.try_get("key")?,
                problem: row.try_get("problem")?,
            };
            self.problems.keep(sample);
        }
        self.problems.count += total as u64;
        Ok(self.problems.report())
    }
}

/// `{person}.{shard}.{anchor}`.
fn key(bytes: &[u8]) -> Option<Key> {
    let mut parts = std::str::from_utf8(bytes).ok()?.split('.');
    let person = parts.next()?.parse().ok()?;
    let shard = parts.next()?.parse().ok().and_then(Shard::new)?;
    let anchor = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((shard, anchor, person))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_the_place() {
        let (person, anchor) = (PersonId([3; 16]), AnchorId([2; 16]));
        let text = format!("{person}.7.{anchor}");
        assert_eq!(key(text.as_bytes()), Some((Shard::new(7).expect("a shard"), anchor, person)));
        for wrong in [format!("{person}.64.{anchor}"), format!("{person}.7"), format!("{text}.x")] {
            assert_eq!(key(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
