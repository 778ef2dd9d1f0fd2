//! Keeps one region going: what ends its loop is said at once, and the loop begins again from its committed offsets, with a new consumer.
//!
//! The other regions of the process go on meanwhile. Only what they share, the producers, ends all of them.

use super::Shared;
use super::emit::{Emitter, Producers};
use super::positions::Positions;
use super::region::Region;
use super::source_topic::TopicStore;
use crate::health::{Health, Watch};
use crate::kafka::produce::DeliveryError;
use crate::store::session;
use anyhow::Context;
use domain::source::Source;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use schemas::Codec;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// The first pause before a region begins again; each is twice as long as the one before, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);
/// A region that worked for so long failed for the first time.
const WORKED: Duration = Duration::from_secs(300);
/// How long a region waits for its group to let it go.
const LEAVE: Duration = Duration::from_secs(3);
/// How soon a request to end is noticed in a pause.
const LOOK: Duration = Duration::from_millis(100);

/// What a region is made of, again and again.
pub(super) struct Station {
    pub(super) source: Source,
    pub(super) consumer: ClientConfig,
    pub(super) producers: Producers,
    pub(super) codec: Codec,
    pub(super) shared: Arc<Shared>,
    pub(super) store: Arc<dyn TopicStore>,
    pub(super) health: Health,
    pub(super) watch: Watch,
    /// Bytes of a message that a dead letter may keep.
    pub(super) letter_room: usize,
}

impl Station {
    /// Makes the region: a member of its group, which has not joined yet.
    ///
    /// # Errors
    /// When a property is unknown to the client.
    pub(super) fn region(&self) -> anyhow::Result<Region> {
        let source = self.source;
        let check = self.health.check(format!("source {source}"));
        let tables = self.shared.tables.clone();
        let patterns = tables.names.patterns(source);
        let positions = Positions::new(source, tables, self.store.clone(), check, self.watch.clone());
        let consumer: BaseConsumer<Positions> = self.consumer.create_with_context(positions).context("making a consumer")?;
        consumer
            .subscribe(&patterns.iter().map(String::as_str).collect::<Vec<_>>())
            .with_context(|| format!("subscribing to {source}"))?;
        let emitter = Emitter::new(source, self.producers.clone(), self.codec.clone(), self.letter_room);
        Ok(Region::new(source, consumer, emitter, self.shared.clone()))
    }

    /// Runs `region`, and after a failure others like it, until shutdown.
    ///
    /// # Errors
    /// When the producers that all regions share are of no use any more.
    pub(super) fn run(self, mut region: Region) -> anyhow::Result<()> {
        let mut pause = FIRST;
        loop {
            let began = Instant::now();
            let ran = region.run();
            leave(self.source, region);
            let Err(error) = ran else { return Ok(()) };
            let (source, cause) = (self.source, session::explain_any(&error));
            if ends_all(&error) {
                tracing::error!(%source, cause, "a region ended, and the producer of all regions with it");
                return Err(error);
            }
            if began.elapsed() > WORKED {
                pause = FIRST;
            }
            let seconds = pause.as_secs();
            tracing::error!(%source, cause, seconds, "a region ended; it begins again at its committed offsets after a pause");
            metrics::counter!("canbao_normaliser_region_restarts_total", "source" => source.to_string()).increment(1);
            self.watch.fail(format!("begins again every {seconds} s after: {cause}"));
            self.watch.rest();
            region = loop {
                let until = Instant::now() + pause;
                pause = (pause * 2).min(LONGEST);
                while Instant::now() < until {
                    if self.shared.shutdown.requested() {
                        return Ok(());
                    }
                    std::thread::sleep(LOOK);
                }
                match self.region() {
                    Ok(region) => break region,
                    Err(error) => tracing::error!(%source, error = format!("{error:#}"), "a region cannot begin again yet"),
                }
            };
        }
    }
}

/// Lets go of a region's group, or of the wait for that: a group in the middle of a rebalance answers nobody who leaves until it is over,
/// which can be longer than an orderly end may take. All that was read is committed or given up by now.
fn leave(source: Source, region: Region) {
    let (left, done) = mpsc::channel();
    std::thread::spawn(move || {
        drop(region);
        // Nobody waits any more when it took too long.
        let _ = left.send(());
    });
    if done.recv_timeout(LEAVE).is_err() {
        tracing::warn!(%source, "the group is in a rebalance and does not answer: it will notice by the end of the session");
    }
}

/// Whether an error leaves the producers unusable, which all regions share.
fn ends_all(error: &anyhow::Error) -> bool {
    let delivery = error.downcast_ref::<DeliveryError>();
    delivery.is_some_and(|error| matches!(error.code, RDKafkaErrorCode::Fatal | RDKafkaErrorCode::GaplessGuarantee))
}
