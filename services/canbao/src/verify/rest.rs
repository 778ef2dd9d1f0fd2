//! Whether anything is under way that could still change the base: only what is at rest can be compared.

use super::compare::Sample;
use crate::topics::Reader;
use anyhow::Context;
use domain::ids::RecordId;
use domain::input::{Control, Input};
use domain::shard::Shard;
use domain::source::Source;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use runtime::kafka::offsets::{self, is_transient};
use runtime::kafka::topics::PERSON_RECORDS;
use runtime::store::read::{self, StoredShard};
use serde::Serialize;
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long the rest of the logs may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rest {
    /// Source records in `person.records` that the registry has not applied.
    pub records_behind: u64,
    /// Messages between shards, not relayed or not applied.
    pub messages: u64,
    /// Statements of clock or operator, completeness aside, that the registry has not applied.
    pub controls_behind: u64,
    /// Persons whose date has come and who are not worked off.
    pub due: u64,
    /// Shards that have another business date than the first.
    pub uneven_dates: u64,
    /// Passes through whole shards that are not done: a snapshot, a policy, a go-live.
    pub passes: u64,
    /// Statements that some shard has not applied, or that nobody has sent.
    pub statements: u64,
    /// Events not published.
    pub outbox: u64,
    /// Persons whose findings wait for a source to be complete.
    pub pending: u64,
    /// Shards that wait at an entry which cannot be applied.
    pub refused: u64,
}

impl Rest {
    /// Nothing is under way that would make the store differ from the function: records not applied yet are no input yet.
    pub fn is_comparable(&self) -> bool {
        self.messages == 0 && self.due == 0 && self.uneven_dates == 0 && self.passes == 0
    }

    /// What stands between the store and a comparison, for people.
    pub(crate) fn obstacles(&self) -> String {
        let named = [
            (self.messages, "messages between shards"),
            (self.due, "persons due"),
            (self.uneven_dates, "shards with another business date"),
            (self.passes, "passes through a shard"),
            (self.statements, "statements not sent"),
            (self.controls_behind, "statements not applied"),
            (
                self.refused,
                "shards waiting at an entry that cannot be applied (`canbao lag` names them)",
            ),
        ];
        let some = named.iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{count} {what}"))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Nothing is under way at all, but for findings that wait for a source.
    pub fn is_at_rest(&self) -> bool {
        self.is_comparable() && self.records_behind == 0 && self.controls_behind == 0 && self.outbox == 0 && self.refused == 0
    }
}

/// The shards as the store has them, and what is under way there.
pub(crate) async fn look(connection: &mut PgConnection) -> anyhow::Result<(Vec<StoredShard>, Rest)> {
    let shards = read::shards(connection)
        .await
        .context("reading the shards: was `canbao migrate` run?")?;
    let counts = sqlx::query(
        "select (select count(*) from store.outbox) as outbox, (select count(*) from store.message) as messages,
                (select count(*) from store.pending) as pending,
                (select count(*) from store.statement where sent_at is null and refused is null and held is null)
                    + (select count(*) from store.truncation where not stated) as statements,
                (select count(*) from store.refused_entry r join store.shard s on s.shard = r.shard and s.position <= r.position) as refused",
    )
    .fetch_one(&mut *connection)
    .await
    .context("counting what is under way")?;
    let count = |column: &str| counts.try_get::<i64, _>(column).map(|count| count as u64);
    let mut rest = Rest {
        outbox: count("outbox")?,
        messages: count("messages")?,
        pending: count("pending")?,
        statements: count("statements")?,
        refused: count("refused")?,
        passes: shards.iter().map(|shard| shard.state.passes.len() as u64).sum(),
        ..Rest::default()
    };
    let first = shards.first().and_then(|shard| shard.state.today);
    rest.uneven_dates = shards.iter().filter(|shard| shard.state.today != first).count() as u64;
    rest.due = due(connection, &shards).await? as u64;
    Ok((shards, rest))
}

/// A row of nobody who is due on that day will never be worked off: the comparison of the table names it.
async fn due(connection: &mut PgConnection, shards: &[StoredShard]) -> anyhow::Result<i64> {
    let dated: Vec<(i16, i32)> = shards
        .iter()
        .filter_map(|shard| Some((i16::from(shard.shard.number()), shard.state.today?.0)))
        .collect();
    let (numbers, today): (Vec<i16>, Vec<i32>) = dated.into_iter().unzip();
    sqlx::query_scalar(
        "select count(*) from unnest($1::smallint[], $2::int[]) as k(shard, today)
         join store.due d on d.shard = k.shard and d.day <= date '1970-01-01' + k.today
         join store.person p on p.shard = d.shard and p.anchor = d.anchor and p.person = d.person and p.due = d.day",
    )
    .bind(numbers)
    .bind(today)
    .fetch_one(connection)
    .await
    .context("counting who is due")
}

/// What stands in `person.records` behind the positions of the store.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Source records: source, table, partition, offset, record.
    pub records: BTreeSet<(Source, String, u16, u64, RecordId)>,
    pub messages: u64,
    pub controls: u64,
    /// Shards whose position the topic does not hold.
    pub lost: Vec<Sample>,
}

impl Tail {
    /// Reads from the positions to the ends as they are now.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub(crate) fn read(consumer: &Reader, shards: &[StoredShard]) -> anyhow::Result<Self> {
        let mut tail = Self::default();
        let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
        let mut list = TopicPartitionList::new();
        for StoredShard { shard, position, .. } in shards {
            let partition = i32::from(shard.number());
            let held = offsets::watermarks(consumer, PERSON_RECORDS, partition).with_context(|| {
                format!("reading the end of {PERSON_RECORDS}/{partition}: are the brokers those of this database?")
            })?;
            if !held.holds(*position) {
                tail.lost.push(Sample {
                    key: shard.to_string(),
                    problem: format!(
                        "stands at position {position} of {PERSON_RECORDS}/{partition}, which holds {} to {}: are the brokers those of this database?",
                        held.low, held.high
                    ),
                });
                continue;
            }
            if held.high > *position {
                ends.insert(partition, held.high);
                list.add_partition_offset(PERSON_RECORDS, partition, Offset::Offset(*position))?;
            }
        }
        if ends.is_empty() {
            return Ok(tail);
        }
        consumer.assign(&list).context("assigning person.records")?;
        let mut deadline = Instant::now() + PATIENCE;
        while !ends.is_empty() {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let end = ends.get(&message.partition()).copied();
                    if end.is_some_and(|end| message.offset() < end) {
                        tail.take(message.payload().unwrap_or_default());
                    }
                    if end.is_some_and(|end| message.offset() + 1 >= end) {
                        ends.remove(&message.partition());
                    }
                    deadline = Instant::now() + PATIENCE;
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ends.remove(&partition);
                }
                Some(Err(error)) if !is_transient(&error) => return Err(error).context("reading person.records"),
                _ => anyhow::ensure!(
                    Instant::now() < deadline,
                    "reading person.records: nothing arrived for 30 seconds"
                ),
            }
        }
        consumer.unassign().context("leaving person.records")?;
        Ok(tail)
    }

    fn take(&mut self, body: &[u8]) {
        match schemas::codec::decode_input(body) {
            Ok(Input::Change(change)) => {
                let ((source, table), version) = (change.origin(), change.version());
                self.records.insert((
                    source,
                    table.as_str().to_owned(),
                    version.partition,
                    version.offset,
                    change.id(),
                ));
            }
            Ok(Input::Entity(entity)) => {
                let at = (entity.version.partition, entity.version.offset);
                self.records
                    .insert((entity.source, entity.table.as_str().to_owned(), at.0, at.1, entity.id));
            }
            Ok(Input::Message(_)) => self.messages += 1,
            // Completeness follows every second and only gates release.
            Ok(Input::Control(Control::Completeness(_))) => (),
            Ok(Input::Control(_)) | Err(_) => self.controls += 1,
        }
    }

    /// Adds what stands behind the positions.
    pub(crate) fn count(&self, rest: &mut Rest) {
        rest.records_behind = self.records.len() as u64;
        rest.messages += self.messages;
        rest.controls_behind = self.controls;
    }
}

/// Every shard's number, to be sure that none is missing.
pub(crate) fn all_present(shards: &[StoredShard]) -> bool {
    Shard::all().all(|wanted| shards.iter().any(|shard| shard.shard == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::sample::change;
    use domain::date::Timestamp;

    #[test]
    fn records_on_their_way_do_not_prevent_a_comparison() {
        let mut rest = Rest {
            records_behind: 3,
            outbox: 2,
            pending: 1,
            ..Rest::default()
        };
        assert!(rest.is_comparable() && !rest.is_at_rest());
        rest = Rest {
            pending: 9,
            ..Rest::default()
        };
        assert!(rest.is_at_rest());
        for under_way in [
            Rest {
                messages: 1,
                ..Rest::default()
            },
            Rest {
                due: 1,
                ..Rest::default()
            },
            Rest {
                uneven_dates: 1,
                ..Rest::default()
            },
            Rest {
                passes: 1,
                ..Rest::default()
            },
        ] {
            assert!(!under_way.is_comparable());
        }
    }

    #[test]
    fn completeness_is_never_under_way() {
        let mut tail = Tail::default();
        tail.take(&schemas::codec::encode_input(&Input::Control(Control::Completeness(Vec::<(
            Source,
            Timestamp,
        )>::new(
        )))));
        tail.take(&schemas::codec::encode_input(&Input::Change(change(1, 5, "张三"))));
        tail.take(b"damaged");
        let mut rest = Rest::default();
        tail.count(&mut rest);
        assert_eq!(
            rest,
            Rest {
                records_behind: 1,
                controls_behind: 1,
                ..Rest::default()
            }
        );
    }
}
