//! Relays messages between shards into `person.records` after their transaction has committed (ARCHITECTURE.md, Exactly once).
//!
//! At least once, in order per sender: what a crash repeats, the receiver recognises by its sequence.

use crate::consume::TOPIC;
use crate::failure::Failure;
use domain::shard::Shard;
use rdkafka::producer::{FutureProducer, FutureRecord};
use sqlx::{PgConnection, Row};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often a relay that waits for the brokers says so. It waits as long as they take: the messages do not expire.
const SAY_WAITING: Duration = Duration::from_secs(30);
/// Messages relayed at a time.
const AT_A_TIME: i64 = 10_000;

/// Relays what waits in the outboxes of `shards`, oldest first, and removes it once the broker has it.
///
/// # Errors
/// When the broker does not take a message or the database does not answer; what was not removed is relayed again.
pub async fn relay(connection: &mut PgConnection, producer: &FutureProducer, shards: &BTreeSet<Shard>) -> Result<usize, Failure> {
    let numbers: Vec<i16> = shards.iter().map(|shard| i16::from(shard.number())).collect();
    let mut relayed = 0;
    loop {
        let rows = sqlx::query(
            "select shard, sequence, receiver, value from store.message where shard = any($1) order by shard, sequence limit $2",
        )
        .bind(&numbers)
        .bind(AT_A_TIME)
        .fetch_all(&mut *connection)
        .await?;
        if rows.is_empty() {
            return Ok(relayed);
        }
        runtime::failpoint::reach("registry.relay-read");
        let mut sent = Vec::with_capacity(rows.len());
        for row in &rows {
            let value: &[u8] = row.try_get("value")?;
            let record = FutureRecord::<(), [u8]>::to(TOPIC)
                .partition(i32::from(row.try_get::<i16, _>("receiver")?))
                .payload(value);
            sent.push(queue(producer, record).await?);
            runtime::failpoint::reach("registry.relay-sending");
        }
        for mut delivery in sent {
            let delivered = loop {
                match tokio::time::timeout(SAY_WAITING, &mut delivery).await {
                    Ok(delivered) => break delivered,
                    Err(_) => {
                        tracing::warn!("the brokers have not taken messages between shards yet: waiting; are they running?");
                    }
                }
            };
            let delivered = delivered.map_err(|gone| Failure::again("the relay's producer was dropped", gone))?;
            delivered.map_err(|(error, _)| Failure::again("a message between shards was not taken", error))?;
        }
        runtime::failpoint::reach("registry.relay-delivered");
        let mut shards = Vec::with_capacity(rows.len());
        let mut sequences = Vec::with_capacity(rows.len());
        for row in &rows {
            shards.push(row.try_get::<i16, _>("shard")?);
            sequences.push(row.try_get::<i64, _>("sequence")?);
        }
        sqlx::query(
            "delete from store.message m using unnest($1::smallint[], $2::bigint[]) as k(shard, sequence)
             where m.shard = k.shard and m.sequence = k.sequence",
        )
        .bind(shards)
        .bind(sequences)
        .execute(&mut *connection)
        .await?;
        runtime::failpoint::reach("registry.relay-deleted");
        relayed += rows.len();
    }
}

type Delivery = rdkafka::producer::DeliveryFuture;

/// Queues a record; waits while the producer's queue is full.
async fn queue(producer: &FutureProducer, mut record: FutureRecord<'_, (), [u8]>) -> Result<Delivery, Failure> {
    loop {
        match producer.send_result(record) {
            Ok(delivery) => return Ok(delivery),
            Err((error, back)) if error.rdkafka_error_code() == Some(rdkafka::error::RDKafkaErrorCode::QueueFull) => {
                record = back;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err((error, _)) => return Err(Failure::again("a message between shards could not be queued", error)),
        }
    }
}
