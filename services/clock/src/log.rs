//! Sending to every shard's log.

use anyhow::Context;
use domain::input::{Control, Input};
use domain::shard::Shard;
use rdkafka::types::RDKafkaErrorCode;
use runtime::config::Settings;
use runtime::health::Watch;
use runtime::kafka::produce::{DeliveryError, Flight, Outgoing, Producer};
use runtime::kafka::{idempotent_producer, topics};
use runtime::shutdown::Shutdown;
use schemas::codec::encode_input;
use std::sync::Arc;
use std::time::Duration;

/// Key of every message: partitions are chosen by shard, and nothing compacts the topic.
const KEY: &[u8] = b"control";
/// Wait before everything is sent again.
const RETRY: Duration = Duration::from_secs(1);

/// The logs of all shards.
#[derive(Clone)]
pub(crate) struct ShardLog {
    producer: Producer,
    watch: Watch,
}

impl ShardLog {
    pub(crate) fn new(settings: &Settings, watch: Watch) -> anyhow::Result<Self> {
        let producer = Producer::new(&idempotent_producer(settings, "canbao-clock")).context("making the producer")?;
        Ok(Self { producer, watch })
    }

    /// Appends controls to every shard's log, in order, and returns when the brokers have all of them; sends again as long as they
    /// have not. `false` when asked to end before that.
    ///
    /// # Errors
    /// When the producer is of no use any more.
    pub(crate) async fn send(&self, controls: Vec<Control>, shutdown: &mut Shutdown) -> anyhow::Result<bool> {
        let values: Arc<Vec<Vec<u8>>> = Arc::new(
            controls
                .into_iter()
                .map(|control| encode_input(&Input::Control(control)))
                .collect(),
        );
        loop {
            let (producer, values) = (self.producer.clone(), values.clone());
            self.watch.begin("the shards' logs are told something");
            let sent = tokio::task::spawn_blocking(move || send_all(&producer, &values))
                .await
                .context("sending panicked")?;
            match sent {
                Ok(()) => {
                    self.watch.moved();
                    return Ok(true);
                }
                Err(error) if error.code == RDKafkaErrorCode::Fatal => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, "the shards' logs do not take a statement, sending it again");
                    self.watch
                        .fail(format!("the shards' logs do not take a statement: {error}; it is sent again"));
                    self.watch.rest();
                }
            }
            if shutdown.sleep(RETRY).await {
                return Ok(false);
            }
        }
    }
}

fn send_all(producer: &Producer, values: &[Vec<u8>]) -> Result<(), DeliveryError> {
    let flight = Arc::new(Flight::default());
    for value in values {
        for shard in Shard::all() {
            let message = Outgoing {
                topic: topics::PERSON_RECORDS,
                partition: shard.number().into(),
                key: KEY,
                value,
                timestamp: None,
            };
            producer.send(&flight, message)?;
        }
    }
    producer.wait(&flight)
}
