//! The loop against librdkafka's mock brokers: what is committed was delivered, whatever fails in between.

use super::*;
use crate::debezium::{ErrorClass, NormaliseError};
use crate::dialect::ControlKind;
use crate::kafka::offsets::{committed, end_offsets};
use crate::kafka::{plain_consumer, range_consumer, read_range};
use domain::date::Timestamp;
use domain::epoch::Moves;
use domain::ids::IdKey;
use domain::input::Input;
use domain::personal::Personal;
use domain::record::{Change, Deletion};
use domain::source::{TableName, Version};
use rdkafka::Message;
use rdkafka::consumer::BaseConsumer;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use schemas::event::DeadLetter;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

mod frames;
mod isolation;
mod memory;
mod waiting;

use memory::Memory;

const TABLE: &str = "human-resources.3201.public.ac02";
const PATIENCE: Duration = Duration::from_secs(30);

/// `bad…` is a dead letter, `control…` and `truncated` say nothing of a record, anything else is a version of the record that the key names.
fn classify(message: &SourceMessage<'_>) -> Classified {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let (key, value) = (text(message.key), text(message.value));
    if value.starts_with("bad") {
        let error = NormaliseError::new(ErrorClass::NotJson, None, "JSON");
        let inputs = Vec::new();
        return Classified::DeadLetter { error, inputs };
    }
    if value == "truncated" {
        return Classified::Control(ControlKind::Truncated);
    }
    if value.starts_with("control") {
        return Classified::Control(ControlKind::Tombstone);
    }
    let table = TableName::new(message.table);
    let id = IdKey::new(1, &[7; 32]).record(message.source, &table, &key);
    let version = Version {
        epoch: message.epoch,
        partition: message.partition,
        offset: message.offset,
        mapping: 1,
    };
    let (source, appended_at) = (message.source, message.timestamp);
    Classified::Inputs(vec![Input::Change(Change::Delete(Deletion {
        id,
        source,
        table,
        key: Personal::new(key),
        version,
        appended_at,
        home: None,
    }))])
}

/// Mock brokers with a source topic, and what a normaliser of it needs.
struct World {
    cluster: MockCluster<'static, DefaultProducerContext>,
    settings: Settings,
    store: Arc<Memory>,
    health: Health,
    source: Source,
}

impl World {
    fn new() -> Self {
        let cluster = MockCluster::new(1).expect("mock brokers");
        for (topic, partitions) in [(TABLE, 2), (topics::PERSON_RECORDS, 64), ("human-resources.3201.dlq", 1)] {
            cluster.create_topic(topic, partitions, 1).expect("a topic");
        }
        let mut settings = Settings {
            kafka: cluster.bootstrap_servers(),
            ..Settings::default()
        };
        settings.normaliser.accept_refresh_millis = 100;
        settings.normaliser.dead_letter_minimum = 4;
        let source = "human-resources.3201".parse().expect("a source");
        Self {
            cluster,
            settings,
            store: Arc::default(),
            health: Health::default(),
            source,
        }
    }

    /// Writes rows into the source topic, partition by parity.
    fn write(&self, values: &[String]) {
        self.write_to(TABLE, values);
    }

    fn write_to(&self, topic: &str, values: &[String]) {
        let producer = Producer::new(&kafka::idempotent_producer(&self.settings, "agency")).expect("a producer");
        let flight = Arc::default();
        for (at, value) in values.iter().enumerate() {
            let (key, partition) = (at.to_string(), (at % 2) as i32);
            let outgoing = kafka::produce::Outgoing {
                topic,
                partition,
                key: key.as_bytes(),
                value: value.as_bytes(),
                timestamp: Some(1_800_000_000_000),
            };
            producer.send(&flight, outgoing).expect("queued");
        }
        producer.wait(&flight).expect("delivered");
    }

    /// Runs the region until `done` holds, or it ends by itself.
    async fn run(&self, done: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        frames::run(self, Frames::none(), || done(self)).await
    }

    /// The names of the settings, under the dialect of tests.
    fn tables(&self) -> Tables {
        Tables {
            names: self.settings.topics.sources.clone(),
            ..wait::tables(wait::DIALECT)
        }
    }

    fn dyn_store(&self) -> Arc<dyn TopicStore> {
        self.store.clone()
    }

    fn committed(&self) -> i64 {
        let group = topics::normaliser_group(self.source);
        let consumer: BaseConsumer = kafka::group_consumer(&self.settings, "test", &group)
            .create()
            .expect("a consumer");
        let partitions = [0, 1].map(|partition| (TABLE.to_owned(), partition));
        committed(&consumer, partitions).map_or(0, |offsets| offsets.values().sum())
    }

    fn end(&self, topic: &str) -> i64 {
        let consumer: BaseConsumer = plain_consumer(&self.settings, "test").create().expect("a consumer");
        end_offsets(&consumer, &[topic.to_owned()])
            .expect("end offsets")
            .values()
            .sum()
    }

    /// Every value of a topic.
    fn values(&self, topic: &str, partitions: i32) -> Vec<(i32, Vec<u8>)> {
        let consumer: BaseConsumer = range_consumer(&self.settings, "test").create().expect("a consumer");
        let mut values = Vec::new();
        for ((_, partition), end) in end_offsets(&consumer, &[topic.to_owned()]).expect("end offsets") {
            assert!(partition < partitions);
            let count = read_range(&consumer, topic, partition, 0, end, |message| {
                values.push((partition, message.payload().expect("a value").to_vec()));
            });
            assert_eq!(count.expect("readable"), end as u64);
        }
        values
    }

    /// Records that stand in the logs, and how many inputs there are.
    fn applied(&self) -> (BTreeSet<String>, usize) {
        let values = self.values(topics::PERSON_RECORDS, 64);
        let ids = values.iter().map(|(partition, value)| {
            let Ok(Input::Change(change)) = Codec::embedded().decode_input(value) else {
                panic!("a change")
            };
            assert_eq!(i32::from(change.shard().number()), *partition);
            change.id().to_string()
        });
        (ids.collect(), values.len())
    }
}

fn rows(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("row {at}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_reach_their_shards_and_letters_the_dead_letters() {
    let world = World::new();
    let mut values = rows(200);
    values[3] = "bad 3".into();
    values[4] = "control".into();
    world.write(&values);
    world.run(|world| world.committed() == 200).await.expect("an orderly end");
    assert_eq!(world.applied().0.len(), 198);
    assert!(world.health.is_ready(), "{:?}", world.health.problems());
    let letters = world.values("human-resources.3201.dlq", 1);
    let letter: DeadLetter = Codec::embedded().decode(&letters[0].1).expect("a dead letter");
    assert_eq!((letters.len(), letter.error_class.as_str()), (1, "not-json"));
    assert_eq!((letter.topic.as_str(), letter.partition, letter.offset), (TABLE, 1, 1));
    assert_eq!(letter.value.as_deref(), Some(b"bad 3".as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncation_is_noted_where_it_stands_and_once() {
    let world = World::new();
    world.write(&["row".into(), "truncated".into(), "row".into()]);
    world.run(|world| world.committed() == 3).await.expect("an orderly end");
    assert_eq!(world.applied().0.len(), 2);
    let noted = world.store.truncated();
    let [(topic, at)] = &noted[..] else { panic!("{noted:?}") };
    assert_eq!((topic.as_str(), at.epoch, at.partition, at.offset), (TABLE, 0, 1, 0));
    assert_eq!(at.appended_at, Timestamp(1_800_000_000_000));
    // Read again from its start: the message says nothing new.
    let seen = world.applied().1;
    let replay = |world: &World| {
        world
            .store
            .with(|topics| topics.values_mut().for_each(|topic| topic.replay = 1));
        world.applied().1 >= seen + 2
    };
    world.run(replay).await.expect("an orderly end");
    assert_eq!(world.store.truncated(), noted);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_committed_before_it_is_delivered() {
    let world = World::new();
    world.write(&rows(100));
    // Not retried by the client: the batch fails.
    world.cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 3],
    );
    let shows = |world: &World| {
        let problems = world.health.problems();
        problems
            .iter()
            .any(|(_, problem)| problem.contains("delivering to person.records"))
    };
    world.run(shows).await.expect("an orderly end");
    assert_eq!(world.committed(), 0);
    world.cluster.clear_request_errors(RDKafkaApiKey::Produce);
    world.run(|world| world.committed() == 100).await.expect("an orderly end");
    let (ids, inputs) = world.applied();
    assert_eq!(ids.len(), 100);
    assert!(inputs >= 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_for_a_while_is_tried_again() {
    let world = World::new();
    world.write(&rows(50));
    world.cluster.request_errors(
        RDKafkaApiKey::OffsetCommit,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS; 2],
    );
    world.run(|world| world.committed() == 50).await.expect("an orderly end");
    assert_eq!(world.applied(), (world.applied().0, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_dead_letters_hold_the_source_until_it_is_accepted() {
    let world = World::new();
    let mut values = rows(40);
    values.iter_mut().skip(20).for_each(|value| *value = "bad".into());
    world.write(&values);
    world.run(|world| world.store.held().is_some()).await.expect("an orderly end");
    let reason = world.store.held().expect("held");
    assert!(
        reason.contains("not-json") && reason.contains("canbao source accept human-resources.3201"),
        "{reason}"
    );
    assert!(!world.health.is_ready());
    let diverted = world.end("human-resources.3201.dlq");
    assert_eq!(diverted, 4);
    assert!(world.committed() < 40);
    // The rest is read after the operator accepts what is there, and nothing twice.
    world.store.with(|topics| {
        for topic in topics.values_mut() {
            (topic.held, topic.tolerated) = (None, vec![20, 20]);
        }
    });
    world.run(|world| world.committed() == 40).await.expect("an orderly end");
    assert_eq!(world.end("human-resources.3201.dlq"), 20);
    assert_eq!(world.applied().0.len(), 20);
    // What comes then is counted as before.
    world.write(&vec!["bad".to_owned(); 10]);
    world.run(|world| world.store.held().is_some()).await.expect("an orderly end");
    assert_eq!(world.end("human-resources.3201.dlq"), 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_partitions_hold_the_topic_and_accepting_resumes_it() {
    let world = World::new();
    world.store.record(TABLE, (world.source, "ac02"), 1).expect("recorded");
    world.write(&rows(10));
    world.run(|world| world.store.held().is_some()).await.expect("an orderly end");
    assert!(
        world
            .store
            .held()
            .is_some_and(|reason| reason.contains("2 partitions and 1 are recorded"))
    );
    assert_eq!((world.committed(), world.end(topics::PERSON_RECORDS)), (0, 0));
    let accepted = Mutex::new(false);
    let run = world.run(|world| {
        // Accepted while the normaliser runs.
        if !std::mem::replace(&mut *accepted.lock().expect("no panic"), true) {
            world.store.with(|topics| {
                for topic in topics.values_mut() {
                    topic.epochs = topic.epochs.repartitioned(1, &[0, 5], &Moves::default()).expect("few epochs");
                    (topic.held, topic.partitions) = (None, 2);
                }
            });
        }
        world.committed() == 10
    });
    run.await.expect("an orderly end");
    let values = world.values(topics::PERSON_RECORDS, 64);
    let epochs = values.iter().map(|(_, value)| match Codec::embedded().decode_input(value) {
        Ok(Input::Change(change)) => change.version().epoch,
        other => panic!("a change, not {other:?}"),
    });
    assert_eq!(epochs.collect::<BTreeSet<_>>(), BTreeSet::from([1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_reads_the_topic_again_from_its_start() {
    let world = World::new();
    world.write(&rows(30));
    let asked = Mutex::new(false);
    let run = world.run(|world| {
        let end = world.end(topics::PERSON_RECORDS);
        if end == 30 && world.committed() == 30 && !std::mem::replace(&mut *asked.lock().expect("no panic"), true) {
            world
                .store
                .with(|topics| topics.values_mut().for_each(|topic| topic.replay = 1));
        }
        end == 60
    });
    run.await.expect("an orderly end");
    assert_eq!(world.applied(), (world.applied().0, 60));
    world.run(|_| true).await.expect("an orderly end");
    assert_eq!(world.end(topics::PERSON_RECORDS), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_are_gone_hold_the_topic() {
    let world = World::new();
    world.store.record(TABLE, (world.source, "ac02"), 2).expect("recorded");
    // Read once, as far as is recorded, and yet nothing is committed: the topic is another one, or the offsets expired.
    world.store.start(TABLE).expect("recorded");
    world.write(&rows(10));
    world.run(|world| world.store.held().is_some()).await.expect("an orderly end");
    assert!(
        world
            .store
            .held()
            .is_some_and(|reason| reason.contains("canbao source accept human-resources.3201.public.ac02 --restart"))
    );
    assert_eq!(world.end(topics::PERSON_RECORDS), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_moved_to_another_epoch_is_read_again_and_nothing_else() {
    let world = World::new();
    world.write(&rows(30));
    let stated = Mutex::new(false);
    let run = world.run(|world| {
        let end = world.end(topics::PERSON_RECORDS);
        if end == 30 && world.committed() == 30 && !std::mem::replace(&mut *stated.lock().expect("no panic"), true) {
            let mut moves = Moves::default();
            moves.see(0, 3, Timestamp(1), b"key");
            moves.see(1, 9, Timestamp(2), b"key");
            world.store.with(|topics| {
                for topic in topics.values_mut() {
                    topic.epochs = topic.epochs.repartitioned(2, &[15, 15], &moves).expect("few epochs");
                }
            });
        }
        end == 36
    });
    run.await.expect("an orderly end");
    let versions = world.values(topics::PERSON_RECORDS, 64);
    let versions = versions.iter().map(|(_, value)| match Codec::embedded().decode_input(value) {
        Ok(Input::Change(change)) => change.version(),
        other => panic!("a change, not {other:?}"),
    });
    let later: BTreeSet<(u16, u64)> = versions
        .filter(|version| version.epoch == 1)
        .map(|version| (version.partition, version.offset))
        .collect();
    assert_eq!(later, (9..15).map(|offset| (1, offset)).collect());
    world.run(|_| true).await.expect("an orderly end");
    assert_eq!(world.end(topics::PERSON_RECORDS), 36);
}
