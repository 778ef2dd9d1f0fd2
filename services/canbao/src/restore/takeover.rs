//! In the publisher's place: fences it, and says in its positions which life begins.

use anyhow::Context;
use domain::shard::Shard;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use runtime::config::Settings;
use runtime::kafka::{REQUEST_TIMEOUT, transactional_producer};
use runtime::outbox::position::Position;
use runtime::outbox::positions;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the brokers may take to settle what the last publisher left open.
const PATIENCE: Duration = Duration::from_secs(90);

/// The publisher's transactional id, taken over.
pub(super) struct Publisher(BaseProducer);

impl Publisher {
    /// Fences the publisher and waits until its last transaction is settled. Blocks.
    pub(super) fn take_over(settings: &Settings) -> anyhow::Result<Self> {
        let producer: BaseProducer = transactional_producer(settings, "canbao-restore", &settings.publisher.transactional_id)
            .create()
            .context("making a transactional producer")?;
        patiently(|| producer.init_transactions(REQUEST_TIMEOUT)).context("taking the publisher's place")?;
        Ok(Self(producer))
    }

    /// Writes positions in one transaction. Blocks.
    pub(super) fn commit(&self, begun: &BTreeMap<Shard, Position>) -> anyhow::Result<()> {
        self.0.begin_transaction().context("beginning a transaction")?;
        for (shard, position) in begun {
            let (key, value) = positions::encode(*shard, *position);
            let record = BaseRecord::to(positions::TOPIC).partition(0).key(&key).payload(&value);
            let sent = self.0.send(record).map_err(|(error, _)| error);
            sent.context("writing a position")?;
        }
        // The commit would wait for deliveries that nobody takes note of.
        let deadline = Instant::now() + PATIENCE;
        while self.0.in_flight_count() > 0 && Instant::now() < deadline {
            self.0.poll(Duration::from_millis(10));
        }
        patiently(|| self.0.commit_transaction(REQUEST_TIMEOUT)).context("committing the positions of the new life")
    }
}

/// Asks again as long as librdkafka says that it helps.
fn patiently(ask: impl Fn() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {
                tracing::warn!(%error, "the brokers do not settle the transaction yet, asking again");
            }
            done => return done,
        }
    }
}
