//! One region's trouble is its own: it is said, the region begins again, and the others go on.

use super::*;
use source_topic::{SourceTopic, TruncatedAt};
use std::sync::atomic::{AtomicU32, Ordering};

const OTHER: &str = "human-resources.3202.public.ac02";

/// A store that does not answer for one topic, so many times.
struct Failing {
    inner: Arc<Memory>,
    topic: &'static str,
    left: AtomicU32,
}

impl TopicStore for Failing {
    fn load(&self, source: Source) -> anyhow::Result<Vec<SourceTopic>> {
        self.inner.load(source)
    }

    fn record(&self, topic: &str, of: (Source, &str), partitions: u32) -> anyhow::Result<SourceTopic> {
        let fails = |left: u32| left.checked_sub(1);
        if topic == self.topic && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok() {
            anyhow::bail!("the store does not answer");
        }
        self.inner.record(topic, of, partitions)
    }

    fn start(&self, topic: &str) -> anyhow::Result<()> {
        self.inner.start(topic)
    }

    fn hold(&self, topic: &str, reason: &str) -> anyhow::Result<()> {
        self.inner.hold(topic, reason)
    }

    fn note_truncated(&self, topic: &str, at: &TruncatedAt) -> anyhow::Result<bool> {
        self.inner.note_truncated(topic, at)
    }

    fn wait(&self, topic: &str, reason: Option<&str>) -> anyhow::Result<()> {
        self.inner.wait(topic, reason)
    }
}

/// Waits until something holds.
async fn until(what: &str, health: &Health, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: {:?}", health.problems());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_city_that_fails_begins_again_and_the_others_go_on() {
    let world = World::new();
    for (topic, partitions) in [(OTHER, 2), ("human-resources.3202.dlq", 1)] {
        world.cluster.create_topic(topic, partitions, 1).expect("a topic");
    }
    world.write(&rows(20));
    let sources = [3201, 3202].map(|city| Source {
        city: domain::division::City::from_code(city).expect("a city"),
        ..world.source
    });
    let store: Arc<dyn TopicStore> = Arc::new(Failing {
        inner: world.store.clone(),
        topic: OTHER,
        left: AtomicU32::new(2),
    });
    let (trigger, shutdown) = Shutdown::manual();
    let shared = Arc::new(Shared::new(
        &world.settings.normaliser,
        Arc::new(classify),
        Frames::none(),
        wait::tables(wait::DIALECT),
        shutdown,
    ));
    let regions = start(
        &world.settings,
        &sources,
        &shared,
        &store,
        &world.health,
        Codec::embedded(),
        limits::letter_room(limits::TOPIC_TAKES),
    )
    .expect("consumers");
    let request_end = trigger.clone();
    let driven = tokio::spawn(drive(regions, move || request_end.request()));
    let failing = || {
        world
            .health
            .problems()
            .into_iter()
            .find(|(_, problem)| problem.contains("begins again"))
    };
    until("the failure shows", &world.health, || failing().is_some()).await;
    let (name, problem) = failing().expect("it just did");
    assert_eq!(name, "progress of human-resources.3202");
    assert!(problem.contains("the store does not answer"), "{problem}");
    until("the other city is read", &world.health, || world.committed() == 20).await;
    // Nothing waits in the city that failed, which its statistics tell.
    until("it is well again", &world.health, || world.health.is_ready()).await;
    assert!(!driven.is_finished());
    trigger.request();
    driven.await.expect("no panic").expect("an orderly end");
}

/// Brokers may know a new topic, and say a moment later that a partition of it is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_not_served_for_a_moment_is_read_then() {
    let world = World::new();
    world.write(&rows(20));
    let gone = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    let served = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    // Two questions are asked before the partitions are given to the client, which asks for itself where each begins.
    world
        .cluster
        .request_errors(RDKafkaApiKey::ListOffsets, &[served, served, gone, gone]);
    world.run(|world| world.committed() == 20).await.expect("an orderly end");
}
