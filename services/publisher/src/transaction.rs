//! Kafka transactions: messages and positions appear together or not at all.

use crate::outbox::Event;
use anyhow::Context;
use domain::shard::Shard;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use runtime::config::Settings;
use runtime::kafka::trouble::is_transient;
use runtime::kafka::{REQUEST_TIMEOUT, transactional_producer};
use runtime::outbox::position::Position;
use runtime::outbox::positions;
use std::collections::BTreeMap;
use std::time::Duration;

/// What to do after a transaction failed.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// It was rolled back and can be tried again.
    #[error("the transaction was rolled back")]
    RolledBack(#[source] KafkaError),
    /// This producer is of no use any more: another publisher took over, or the brokers refuse it.
    #[error("the producer cannot go on: another publisher with the same transactional id took over, or the brokers refuse it")]
    Fatal(#[source] KafkaError),
}

/// What an error of a transactional call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The same call again.
    Retry,
    /// Abort, then begin anew.
    Abort,
    /// Give up.
    Fatal,
}

/// Decides by librdkafka's own classification; errors outside of it (a message refused) end the transaction.
fn verdict(error: &KafkaError) -> Verdict {
    match error {
        KafkaError::Transaction(error) if error.is_fatal() => Verdict::Fatal,
        KafkaError::Transaction(error) if error.txn_requires_abort() => Verdict::Abort,
        KafkaError::Transaction(error) if error.is_retriable() => Verdict::Retry,
        KafkaError::Transaction(_) => Verdict::Fatal,
        error if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => Verdict::Fatal,
        _ => Verdict::Abort,
    }
}

/// A transactional producer. Its calls block.
pub struct Transactions {
    producer: BaseProducer,
}

impl Transactions {
    /// Makes the producer; nothing is sent yet.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let id = &settings.publisher.transactional_id;
        let producer = transactional_producer(settings, "canbao-publisher", id)
            // The batch is all there when the first message leaves: no need to wait for more.
            .set("linger.ms", "1")
            .create()
            .context("making the transactional producer")?;
        Ok(Self { producer })
    }

    /// Fences older producers of the same transactional id and waits until their last transaction is settled; `false` when
    /// `stop` became true first.
    ///
    /// # Errors
    /// When the brokers refuse for good, as when the transactional id is not permitted.
    pub fn take_over(&self, stop: impl Fn() -> bool) -> anyhow::Result<bool> {
        while !stop() {
            match self.producer.init_transactions(REQUEST_TIMEOUT) {
                Ok(()) => return Ok(true),
                Err(error) if verdict(&error) == Verdict::Retry || is_transient(&error) => {
                    tracing::warn!(%error, "the brokers do not settle the transactional id yet, trying again");
                }
                Err(error) => return Err(error).context("taking over the transactional id"),
            }
        }
        Ok(false)
    }

    /// Sends events and the positions after them in one transaction.
    ///
    /// # Errors
    /// [`TransactionError`]; after [`TransactionError::RolledBack`] nothing of it is visible to who reads committed.
    pub fn send(&self, events: &[Event], positions: &BTreeMap<Shard, Position>) -> Result<(), TransactionError> {
        match self.attempt(events, positions) {
            Ok(()) => Ok(()),
            Err(error) if verdict(&error) == Verdict::Fatal => Err(TransactionError::Fatal(error)),
            Err(error) => {
                finish(|| self.producer.abort_transaction(REQUEST_TIMEOUT)).map_err(TransactionError::Fatal)?;
                Err(TransactionError::RolledBack(error))
            }
        }
    }

    fn attempt(&self, events: &[Event], positions: &BTreeMap<Shard, Position>) -> Result<(), KafkaError> {
        self.producer.begin_transaction()?;
        runtime::failpoint::reach("publisher.begun");
        for event in events {
            let mut record = BaseRecord::to(&event.topic).key(&event.key);
            record.payload = event.value.as_ref();
            if !event.headers.is_empty() {
                let headers = OwnedHeaders::new_with_capacity(event.headers.len());
                let insert =
                    |headers: OwnedHeaders, (key, value): &(String, String)| headers.insert(Header { key, value: Some(value) });
                record.headers = Some(event.headers.iter().fold(headers, insert));
            }
            self.enqueue(record)?;
            runtime::failpoint::reach("publisher.producing");
        }
        runtime::failpoint::reach("publisher.produced");
        for (shard, position) in positions {
            let (key, value) = positions::encode(*shard, *position);
            self.enqueue(BaseRecord::to(positions::TOPIC).partition(0).key(&key).payload(&value))?;
        }
        // `commit_transaction` flushes in steps of 100 ms, so everything is delivered before it is called. A message that
        // cannot be delivered fails the commit.
        while self.producer.in_flight_count() > 0 {
            self.serve();
        }
        runtime::failpoint::reach("publisher.positions-produced");
        finish(|| self.producer.commit_transaction(REQUEST_TIMEOUT))
    }

    /// Takes what the brokers have answered. A poll of the client's own with a millisecond's patience spins through most of it.
    fn serve(&self) {
        std::thread::sleep(Duration::from_micros(500));
        self.producer.poll(Duration::ZERO);
    }

    /// Hands a message to the producer; makes room while its queue is full.
    fn enqueue<K, P>(&self, mut record: BaseRecord<'_, K, P, ()>) -> Result<(), KafkaError>
    where
        K: rdkafka::message::ToBytes + ?Sized,
        P: rdkafka::message::ToBytes + ?Sized,
    {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    self.serve();
                }
                Err((error, _)) => return Err(error),
            }
        }
    }
}

/// Ends a transaction; an end whose answer got lost is asked for again until the brokers tell.
fn finish(end: impl Fn() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    loop {
        match end() {
            Err(error) if verdict(&error) == Verdict::Retry => {
                tracing::warn!(%error, "the end of the transaction is not confirmed yet, asking again");
            }
            other => return other,
        }
    }
}
