//! Topics that are not read as dialects and topics stand: nothing of them is taken, and nobody else is held.

use super::*;

const UNDECLARED: &str = "human-resources.3201.public.az99";
const SECOND: &str = "human-resources.3201.HR.AC02";

impl World {
    /// Runs until the table's rows are read, and the topic waits for this.
    async fn waits(&self, topic: &str, words: &[&str]) -> String {
        let waits = |world: &Self| {
            world
                .store
                .with(|topics| topics.get(topic).and_then(|topic| topic.waits.clone()))
        };
        let is_said = |world: &Self, reason: &str| world.health.problems().iter().any(|(_, problem)| problem == reason);
        let done = |world: &Self| world.committed() == 20 && waits(world).is_some_and(|reason| is_said(world, &reason));
        self.run(done).await.expect("an orderly end");
        let reason = waits(self).expect("waits");
        assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
        assert_eq!((self.applied().1, self.end("human-resources.3201.dlq")), (20, 0));
        reason
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_no_dialect_names_holds_its_topic_only() {
    let world = World::new();
    world.cluster.create_topic(UNDECLARED, 2, 1).expect("a topic");
    world
        .cluster
        .create_topic("human-resources.3201.public.flyway_history", 2, 1)
        .expect("a topic");
    world.write_to(UNDECLARED, &vec!["bad".to_owned(); 200]);
    world.write_to("human-resources.3201.public.flyway_history", &vec!["control".to_owned(); 200]);
    world.write(&rows(20));
    world.waits(UNDECLARED, &["no dialect maps table az99", "`ignored`"]).await;
    // Nothing of it was committed: it is read from its beginning by who has a dialect for it.
    assert!(world.store.with(|topics| {
        topics
            .values()
            .filter(|topic| topic.waits.is_some())
            .all(|topic| !topic.started)
    }));
    assert_eq!(world.store.held(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_topics_of_a_table_the_second_waits_until_it_replaces_the_first() {
    let world = World::new();
    world.write(&rows(20));
    world.run(|world| world.committed() == 20).await.expect("an orderly end");
    world.cluster.create_topic(SECOND, 2, 1).expect("a topic");
    world.write_to(SECOND, &rows(20));
    world
        .waits(SECOND, &[&format!("`canbao source accept {SECOND} --replaces {TABLE}`")])
        .await;
    let replaced = Mutex::new(false);
    let run = world.run(|world| {
        // Stated while the normaliser runs.
        if !std::mem::replace(&mut *replaced.lock().expect("no panic"), true) {
            world.store.with(|topics| {
                let first = topics.get_mut(TABLE).expect("recorded");
                first.replaced_by = Some(SECOND.to_owned());
                let second = topics.get_mut(SECOND).expect("recorded");
                second.epochs = second.epochs.restarted_beyond(0).expect("few epochs");
            });
        }
        world.end(topics::PERSON_RECORDS) == 40
    });
    run.await.expect("an orderly end");
    let values = world.values(topics::PERSON_RECORDS, 64);
    let later = values.iter().filter(
        |(_, value)| matches!(Codec::embedded().decode_input(value), Ok(Input::Change(change)) if change.version().epoch == 1),
    );
    assert_eq!(later.count(), 20);
    assert_eq!(world.applied().0.len(), 20, "the same records");
    assert!(world.health.is_ready(), "{:?}", world.health.problems());
    // What comes in the first is nobody's.
    world.write(&rows(20));
    world.write_to(SECOND, &rows(2));
    world
        .run(|world| world.end(topics::PERSON_RECORDS) == 42)
        .await
        .expect("an orderly end");
}

/// A pattern that fits topics which hold no table of the source.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_pattern_brings_besides_is_neither_read_nor_recorded() {
    let mut world = World::new();
    let names = "sources = '{agency}.{city}.{table}'";
    world.settings.topics = toml::from_str(names).expect("names");
    world
        .cluster
        .create_topic("human-resources.3201.ac02", 1, 1)
        .expect("a topic");
    let producer = Producer::new(&kafka::idempotent_producer(&world.settings, "agency")).expect("a producer");
    let flight = Arc::default();
    for (topic, value) in [("human-resources.3201.dlq", "letter"), ("human-resources.3201.ac02", "row")] {
        let outgoing = kafka::produce::Outgoing {
            topic,
            partition: 0,
            key: b"key",
            value: value.as_bytes(),
            timestamp: Some(1_800_000_000_000),
        };
        producer.send(&flight, outgoing).expect("queued");
    }
    producer.wait(&flight).expect("delivered");
    let ran = world.run(|world| world.end(topics::PERSON_RECORDS) == 1);
    ran.await.expect("an orderly end");
    assert_eq!(world.end("human-resources.3201.dlq"), 1);
    let recorded = world.store.with(|topics| topics.keys().cloned().collect::<Vec<_>>());
    assert_eq!(recorded, ["human-resources.3201.ac02"]);
    assert!(world.health.is_ready(), "{:?}", world.health.problems());
}

/// Recording takes its turn with every topic of every region: a start that did so for hundreds of known topics took seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_recorded_once_and_not_at_every_start() {
    let world = World::new();
    world.write(&rows(20));
    world.run(|world| world.committed() == 20).await.expect("an orderly end");
    world.write(&rows(20));
    world.run(|world| world.committed() == 40).await.expect("an orderly end");
    assert_eq!(world.store.recordings(), 1);
}
