//! Where topics end and where the normalisers stand, asked from the brokers in as few requests as they allow.

use crate::track::Offsets;
use anyhow::Context;
use domain::date::Timestamp;
use domain::shard::SHARDS;
use domain::source::Source;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::{Offset, error::KafkaResult};
use runtime::config::Settings;
use runtime::kafka::quiet::QuietEnd;
use runtime::kafka::topics::{PERSON_RECORDS, normaliser_group};
use runtime::kafka::{REQUEST_TIMEOUT, offsets, plain_consumer, read_range};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// At most so many offsets are looked through for messages that a committed offset has yet to pass.
const LONGEST_GAP: i64 = 16;

/// Asks the brokers for positions. Cheap to clone; every call runs on a thread for blocking work.
#[derive(Clone)]
pub(crate) struct Ends {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    consumer: BaseConsumer,
    /// Reads single messages; one at a time.
    reader: Mutex<BaseConsumer<QuietEnd>>,
    /// By source, a client that names the normaliser's group without joining it: that is how committed offsets are asked for.
    groups: Mutex<HashMap<Source, Arc<BaseConsumer>>>,
}

impl Ends {
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let config = plain_consumer(settings, "canbao-clock-ends");
        let reader = config
            .clone()
            .set("enable.partition.eof", "true")
            .create_with_context(QuietEnd)
            .context("making a consumer")?;
        let inner = Inner {
            settings: settings.clone(),
            consumer: config.create().context("making a consumer")?,
            reader: Mutex::new(reader),
            groups: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    async fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        question: impl FnOnce(&Inner) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || question(&inner))
            .await
            .context("a request panicked")?
            .context(what)
    }

    /// End offsets of all topics of some sources: of those that the normalisers read.
    pub(crate) async fn of_sources(&self, sources: Vec<Source>) -> anyhow::Result<BTreeMap<Source, Offsets>> {
        self.ask("asking for the ends of source topics", move |inner| {
            inner.of_sources(&sources)
        })
        .await
    }

    /// End offsets of `person.records`, by shard.
    pub(crate) async fn of_person_records(&self) -> anyhow::Result<Vec<i64>> {
        self.ask("asking for the ends of person.records", |inner| {
            let partitions = (0..i32::from(SHARDS)).map(|partition| (PERSON_RECORDS.to_owned(), partition));
            let ends = inner.at(partitions, Offset::End)?;
            Ok((0..i32::from(SHARDS))
                .filter_map(|partition| ends.get(&(PERSON_RECORDS.to_owned(), partition)).copied())
                .collect())
        })
        .await
    }

    /// What a source's normaliser has committed of some partitions. Where nothing but gaps is left before the end asked for
    /// (markers of transactions, expired messages), the end counts as committed.
    pub(crate) async fn committed(&self, source: Source, ends: Offsets, look_for_gaps: bool) -> anyhow::Result<Offsets> {
        self.ask("asking for a normaliser's committed offsets", move |inner| {
            let group = inner.group(source)?;
            let mut committed = offsets::committed(&group, ends.keys().cloned())?;
            if look_for_gaps {
                for ((topic, partition), end) in &ends {
                    let from = committed.get(&(topic.clone(), *partition)).copied();
                    if from.unwrap_or(0) < *end && inner.is_gap(topic, *partition, from, *end)? {
                        committed.insert((topic.clone(), *partition), *end);
                    }
                }
            }
            Ok(committed)
        })
        .await
    }

    /// By partition of a topic, the first offset appended at a time or later; the end offset where there is none. Empty when the
    /// topic does not exist.
    pub(crate) async fn begin_offsets(&self, topic: String, time: Timestamp) -> anyhow::Result<Vec<u64>> {
        self.ask("asking for offsets by time", move |inner| {
            let partitions: Vec<(String, i32)> = offsets::partitions(&inner.consumer, &topic)?
                .into_iter()
                .map(|partition| (topic.clone(), partition))
                .collect();
            // The ends come first: a message that arrives between the two requests must not count as lying before the snapshot.
            let ends = inner.at(partitions.iter().cloned(), Offset::End)?;
            let begins = inner.at(partitions.iter().cloned(), Offset::Offset(time.0.max(0)))?;
            let begin = |partition: &(String, i32)| {
                let begin = begins.get(partition).or_else(|| ends.get(partition)).copied().unwrap_or(0);
                begin.unsigned_abs()
            };
            Ok(partitions.iter().map(begin).collect())
        })
        .await
    }
}

impl Inner {
    fn of_sources(&self, sources: &[Source]) -> anyhow::Result<BTreeMap<Source, Offsets>> {
        let metadata = self.consumer.fetch_metadata(None, REQUEST_TIMEOUT)?;
        let mut wanted = Vec::new();
        for topic in metadata.topics().iter().filter(|topic| topic.error().is_none()) {
            // What the normalisers subscribe to, see `topics::source_pattern`.
            let is_wanted = sources
                .iter()
                .any(|source| topic.name().starts_with(&format!("{source}.public.")));
            if is_wanted {
                wanted.extend(
                    topic
                        .partitions()
                        .iter()
                        .map(|partition| (topic.name().to_owned(), partition.id())),
                );
            }
        }
        let mut ends: BTreeMap<Source, Offsets> = sources.iter().map(|source| (*source, Offsets::new())).collect();
        for ((topic, partition), end) in self.at(wanted, Offset::End)? {
            let source = sources.iter().find(|source| topic.starts_with(&format!("{source}.public.")));
            if let Some(of_source) = source.and_then(|source| ends.get_mut(source)) {
                of_source.insert((topic, partition), end);
            }
        }
        Ok(ends)
    }

    /// Offsets at a time, or at the end: one request per broker, while watermarks cost one per partition. Partitions that hold
    /// nothing from that time on are left out.
    fn at(&self, partitions: impl IntoIterator<Item = (String, i32)>, time: Offset) -> KafkaResult<Offsets> {
        let mut list = TopicPartitionList::new();
        for (topic, partition) in partitions {
            list.add_partition_offset(&topic, partition, time)?;
        }
        let mut offsets = Offsets::new();
        if list.count() == 0 {
            return Ok(offsets);
        }
        for element in self.consumer.offsets_for_times(list, REQUEST_TIMEOUT)?.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                offsets.insert((element.topic().to_owned(), element.partition()), offset);
            }
        }
        Ok(offsets)
    }

    fn group(&self, source: Source) -> KafkaResult<Arc<BaseConsumer>> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.get(&source) {
            return Ok(group.clone());
        }
        let mut config = plain_consumer(&self.settings, "canbao-clock");
        let group: Arc<BaseConsumer> = Arc::new(config.set("group.id", normaliser_group(source)).create()?);
        groups.insert(source, group.clone());
        Ok(group)
    }

    /// Whether no message stands between `from` (the beginning if the group never committed) and `to`.
    fn is_gap(&self, topic: &str, partition: i32, from: Option<i64>, to: i64) -> anyhow::Result<bool> {
        let low = offsets::watermarks(&self.consumer, topic, partition)?.low;
        let from = from.unwrap_or(low).max(low);
        if to - from > LONGEST_GAP {
            return Ok(false);
        }
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(read_range(&reader, topic, partition, from, to, |_| ())? == 0)
    }
}
