//! Where topics end and where the normalisers stand, asked from the brokers in as few requests as they allow.

use crate::nameless::is_nameless;
use crate::row::is_incremental;
use crate::track::{Offsets, Partitions, Standing, Topics, standing};
use anyhow::Context;
use domain::date::Timestamp;
use domain::shard::SHARDS;
use domain::source::Source;
use rdkafka::Offset;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaResult;
use rdkafka::message::Message;
use runtime::config::Settings;
use runtime::dialect::{Dialects, TableUse};
use runtime::framed::{Closed, Frames, Opened};
use runtime::kafka::offsets::{self, Since, TopicPartition, all_topics, offsets_at};
use runtime::kafka::quiet::QuietEnd;

use runtime::kafka::tail::{Stretch, first_visible, peek};
use runtime::kafka::topics::{PERSON_RECORDS, dead_letters, normaliser_group};
use runtime::kafka::{TopicNames, members, plain_consumer, range_consumer, read_range};
use schemas::event::{self, DeadLetter};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer about the members of groups is good for: who reads what changes seldom, and every partition that never held a
/// message asks for it.
const MEMBERS_KEPT: Duration = Duration::from_secs(1);
/// So many of the last offsets of a partition are looked through for rows of an incremental snapshot, besides its first message.
const LAST_ROWS: i64 = 16;

/// Asks the brokers for positions. Cheap to clone; every call runs on a thread for blocking work.
#[derive(Clone)]
pub(crate) struct Ends {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    dialects: Arc<Dialects>,
    frames: Arc<Frames>,
    /// Sees what is committed.
    consumer: BaseConsumer,
    /// Sees everything that is appended.
    appended: BaseConsumer,
    /// Reads messages; one request at a time.
    reader: Mutex<BaseConsumer<QuietEnd>>,
    /// By source, a client that names the normaliser's group without joining it: that is how committed offsets are asked for.
    groups: Mutex<HashMap<Source, Arc<BaseConsumer>>>,
    members: Mutex<Option<(Instant, Members)>>,
    /// Stretches known to hold nothing that a normaliser would ever see, from where it stands.
    invisible: Mutex<HashMap<TopicPartition, Stretch>>,
}

type Members = Arc<BTreeMap<String, Partitions>>;

impl Ends {
    pub(crate) fn new(settings: &Settings, dialects: Arc<Dialects>, frames: Arc<Frames>) -> anyhow::Result<Self> {
        let config = plain_consumer(settings, "canbao-clock-ends");
        // One message of a partition is enough.
        let reader = range_consumer(settings, "canbao-clock-ends")
            .set("fetch.message.max.bytes", "65536")
            .create_with_context(QuietEnd);
        let inner = Inner {
            settings: settings.clone(),
            dialects,
            frames,
            consumer: config.create().context("making a consumer")?,
            appended: config
                .clone()
                .set("isolation.level", "read_uncommitted")
                .create()
                .context("making a consumer")?,
            reader: Mutex::new(reader.context("making a consumer")?),
            groups: Mutex::default(),
            members: Mutex::default(),
            invisible: Mutex::default(),
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

    /// The topics of some sources but those that others `replaced`, with the end offsets of those that the normalisers read.
    pub(crate) async fn of_sources(
        &self,
        sources: Vec<Source>,
        replaced: BTreeSet<String>,
    ) -> anyhow::Result<BTreeMap<Source, Topics>> {
        self.ask("asking for the ends of source topics", move |inner| {
            inner.of_sources(&sources, &replaced)
        })
        .await
    }

    /// End offsets of `person.records`, by shard.
    pub(crate) async fn of_person_records(&self) -> anyhow::Result<Vec<i64>> {
        self.ask("asking for the ends of person.records", |inner| {
            let partitions = (0..i32::from(SHARDS)).map(|partition| (PERSON_RECORDS.to_owned(), partition));
            let ends = offsets_at(&inner.consumer, partitions, Offset::End)?;
            Ok((0..i32::from(SHARDS))
                .filter_map(|partition| ends.get(&(PERSON_RECORDS.to_owned(), partition)).copied())
                .collect())
        })
        .await
    }

    /// How a source's normaliser stands to end offsets. Where it stands behind, `look` reads whether there is anything left to see:
    /// what transactions leave, however much of it, is passed by everybody and committed by nobody.
    pub(crate) async fn standing(&self, source: Source, ends: Offsets, look: bool) -> anyhow::Result<Standing> {
        self.ask("asking where a normaliser stands", move |inner| {
            inner.standing(source, &ends, look)
        })
        .await
    }

    /// Whether rows of an incremental snapshot are among the first or the last messages of a source's topics.
    pub(crate) async fn holds_incremental(&self, source: Source) -> anyhow::Result<bool> {
        self.ask("looking for rows of an incremental snapshot", move |inner| {
            inner.holds_incremental(source)
        })
        .await
    }

    /// What each partition of a topic holds since a time. Empty when the topic does not exist.
    pub(crate) async fn since(&self, topic: String, time: Timestamp) -> anyhow::Result<Vec<Since>> {
        self.ask("asking for offsets by time", move |inner| {
            Ok(offsets::since(&inner.consumer, &topic, time)?)
        })
        .await
    }

    /// By partition of a topic, the first offset appended at a time or later; the end offset where there is none. Empty when the
    /// topic does not exist.
    pub(crate) async fn begin_offsets(&self, topic: String, time: Timestamp) -> anyhow::Result<Vec<u64>> {
        let held = self.since(topic, time).await?;
        Ok(held.into_iter().map(|held| held.begin).collect())
    }

    /// How many rows at `begins` (by partition) or later in a source's topic went to its dead letters since a time, although not even
    /// their persons are known ([`nameless`](crate::nameless)).
    pub(crate) async fn nameless(
        &self,
        source: Source,
        topic: String,
        begins: Vec<u64>,
        since: Timestamp,
    ) -> anyhow::Result<usize> {
        self.ask("reading dead letters", move |inner| {
            inner.nameless(&dead_letters(source), &topic, &begins, since)
        })
        .await
    }
}

impl Inner {
    fn names(&self) -> &TopicNames {
        &self.settings.topics.sources
    }

    fn of_sources(&self, sources: &[Source], replaced: &BTreeSet<String>) -> anyhow::Result<BTreeMap<Source, Topics>> {
        let mut found: BTreeMap<Source, Topics> = sources.iter().map(|source| (*source, Topics::default())).collect();
        let mut wanted = Vec::new();
        for (name, partitions) in all_topics(&self.consumer)? {
            if replaced.contains(&name) {
                continue;
            }
            let Some(of_source) = self.names().named_in(&name).and_then(|source| found.get_mut(&source)) else {
                continue;
            };
            match self.names().table_of(&name) {
                None if self.settings.topics.notifications.source_of(&name).is_some() => {}
                None => drop(of_source.unread.insert(name)),
                Some((source, table)) => {
                    if matches!(self.dialects.use_of(source, table), TableUse::Undeclared) {
                        of_source.unmapped.insert(name.clone());
                    }
                    wanted.extend(partitions.into_iter().map(|partition| (name.clone(), partition)));
                }
            }
        }
        // Everything appended counts, committed or not: a transaction whose marker has reached the row's partition and not yet
        // another one is still open there, and holds what came before the row.
        for ((topic, partition), end) in offsets_at(&self.appended, wanted, Offset::End)? {
            let of_source = self.names().named_in(&topic).and_then(|source| found.get_mut(&source));
            if let Some(of_source) = of_source {
                of_source.ends.insert((topic, partition), end);
            }
        }
        Ok(found)
    }

    fn standing(&self, source: Source, ends: &Offsets, look: bool) -> anyhow::Result<Standing> {
        let mut committed = offsets::committed(&*self.group(source)?, ends.keys().cloned()).inspect_err(|_| {
            // A client that was starved for minutes may look for the group's coordinator for ever: the next question is another's.
            self.groups.lock().unwrap_or_else(PoisonError::into_inner).remove(&source);
        })?;
        {
            let invisible = self.invisible.lock().unwrap_or_else(PoisonError::into_inner);
            for partition in ends.keys() {
                if let Some(stretch) = invisible.get(partition)
                    && committed.get(partition).copied() == stretch.from
                {
                    committed.insert(partition.clone(), stretch.to);
                }
            }
        }
        let members = if ends.keys().all(|partition| committed.contains_key(partition)) {
            Members::default()
        } else {
            self.members()?
        };
        let none = Partitions::new();
        let stands = standing(ends, &committed, members.get(&normaliser_group(source)).unwrap_or(&none));
        let Standing::Behind(behind) = &stands else {
            return Ok(stands);
        };
        if !look {
            return Ok(stands);
        }
        let stretch = |partition: &(String, i32)| {
            let (from, to) = (committed.get(partition).copied(), *ends.get(partition)?);
            Some((partition.clone(), Stretch { from, to }))
        };
        let stretches: BTreeMap<_, _> = behind.iter().filter_map(stretch).collect();
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = first_visible(&reader, &stretches)? {
            return Ok(Standing::Behind(Partitions::from([seen])));
        }
        self.invisible
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(stretches);
        Ok(Standing::Passed)
    }

    /// What the members of the normalisers' groups are assigned, at most [`MEMBERS_KEPT`] old.
    fn members(&self) -> KafkaResult<Members> {
        let mut kept = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, members)) = kept.as_ref()
            && at.elapsed() < MEMBERS_KEPT
        {
            return Ok(members.clone());
        }
        let members = Members::new(members::assigned(&self.consumer, |group| group.starts_with("canbao."))?);
        *kept = Some((Instant::now(), members.clone()));
        Ok(members)
    }

    fn holds_incremental(&self, source: Source) -> anyhow::Result<bool> {
        let topics = all_topics(&self.consumer)?;
        let of_source = |name: &String| self.names().table_of(name).is_some_and(|(of, _)| of == source);
        let partitions: Vec<(String, i32)> = topics
            .into_iter()
            .filter(|(name, _)| of_source(name))
            .flat_map(|(name, partitions)| partitions.into_iter().map(move |partition| (name.clone(), partition)))
            .collect();
        let lows = offsets_at(&self.consumer, partitions.iter().cloned(), Offset::Beginning)?;
        let highs = offsets_at(&self.consumer, partitions.iter().cloned(), Offset::End)?;
        let mut first: BTreeMap<(String, i32), (i64, i64)> = BTreeMap::new();
        let mut last = first.clone();
        for (partition, low) in lows {
            let high = highs.get(&partition).copied().unwrap_or(low);
            last.insert(partition.clone(), ((high - LAST_ROWS).max(low), high));
            first.insert(partition, (low, (low + 1).min(high)));
        }
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut found, mut away) = (false, None);
        for stretches in [first, last] {
            peek(&reader, &stretches, |message| {
                match self.frames.open(None, message.payload()) {
                    Ok(opened) => found |= is_incremental(self.names(), &self.dialects, message.topic(), opened.value()),
                    Err(Closed::Away(cause)) => away = Some(cause),
                    // What cannot be read says nothing.
                    Err(Closed::NoSchema(_) | Closed::Unfit(_)) => (),
                }
            })?;
        }
        away.map_or(Ok(found), |cause| Err(anyhow::anyhow!(cause)))
    }

    fn nameless(&self, dead_letters: &str, topic: &str, begins: &[u64], since: Timestamp) -> anyhow::Result<usize> {
        let partitions = offsets::partitions(&self.consumer, dead_letters)?;
        let partitions = || partitions.iter().map(|partition| (dead_letters.to_owned(), *partition));
        let ends = offsets_at(&self.consumer, partitions(), Offset::End)?;
        let starts = offsets_at(&self.consumer, partitions(), Offset::Offset(since.0.max(0)))?;
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut found, mut away) = (0, None);
        for ((name, partition), end) in ends {
            let start = starts.get(&(name.clone(), partition)).copied().unwrap_or(end);
            read_range(&reader, &name, partition, start, end, |message| {
                // A letter that cannot be read may be of any row.
                let letter = event::decode(message.payload().unwrap_or_default());
                let is_nameless = |letter: DeadLetter| match self.frames.open(letter.key.as_deref(), letter.value.as_deref()) {
                    Ok(opened) => is_nameless(self.names(), &self.dialects, &letter, &opened, topic, begins),
                    Err(Closed::Away(cause)) => {
                        away = Some(cause);
                        false
                    }
                    Err(Closed::NoSchema(_) | Closed::Unfit(_)) => {
                        is_nameless(self.names(), &self.dialects, &letter, &Opened::default(), topic, begins)
                    }
                };
                found += usize::from(letter.map_or(true, is_nameless));
            })?;
        }
        away.map_or(Ok(found), |cause| Err(anyhow::anyhow!(cause)))
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
}
