//! What became of the messages that a test publishes: one that the broker did not take would pass for one that the services lost.

use anyhow::bail;
use rdkafka::ClientContext;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use std::sync::{Mutex, PoisonError};

/// Keeps the first failure.
#[derive(Default)]
pub(super) struct Deliveries(Mutex<Option<String>>);

impl Deliveries {
    /// Fails when a message was not delivered so far.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            None => Ok(()),
            Some(failure) => bail!("{failure}"),
        }
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let failure = || {
                format!(
                    "a message was not delivered to {}/{}: {error}",
                    message.topic(),
                    message.partition()
                )
            };
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert_with(failure);
        }
    }
}
