//! Reading small topics whole, as they appear.
//!
//! Partitions are assigned by hand and not by a group: the clock is alone, and a group that finds itself together again after an
//! outage would hold completeness back for as long as its sessions take to expire.

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::{ClientConfig, Offset};
use runtime::config::Settings;
use runtime::kafka::joining::Coordination;
use runtime::kafka::offsets::is_transient;
use runtime::kafka::{REQUEST_TIMEOUT, plain_consumer};
use runtime::shutdown::Shutdown;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The reader's client.
pub(crate) type Client = BaseConsumer<Coordination>;

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At the beginning, at every start.
    Beginning,
    /// After the last message that was stored by [`rdkafka::consumer::Consumer::store_offset`] under this group.
    Resume(&'static str),
}

/// Starts a thread that reads every topic `is_wanted`, now or when it appears, and sends what `take` makes of the messages. Ends at
/// shutdown, when the receiver is gone, or after an error, which it sends.
pub(crate) fn start<T: Send + 'static>(
    settings: &Settings,
    name: &'static str,
    begin: Begin,
    is_wanted: impl Fn(&str) -> bool + Send + 'static,
    take: impl Fn(&BorrowedMessage<'_>) -> Option<T> + Send + 'static,
    shutdown: Shutdown,
) -> anyhow::Result<(mpsc::Receiver<anyhow::Result<T>>, Arc<Client>)> {
    let mut config = plain_consumer(settings, name);
    // What expired while nobody read is made good by what comes next.
    config.set("auto.offset.reset", "earliest");
    if let Begin::Resume(group) = begin {
        config
            .set("group.id", group)
            .set("enable.auto.commit", "true")
            .set("statistics.interval.ms", "5000");
    }
    let made = config.create_with_context(Coordination::default());
    let consumer: Arc<Client> = Arc::new(made.context("making a consumer")?);
    let (sender, receiver) = mpsc::channel(1024);
    let refresh = Duration::from_millis(settings.normaliser.topic_refresh_millis.into());
    let reader = Reader {
        consumer: consumer.clone(),
        config,
        assigned: BTreeSet::new(),
        begin,
    };
    std::thread::Builder::new()
        .name(name.into())
        .spawn(move || reader.run(refresh, &is_wanted, &take, &sender, &shutdown))?;
    Ok((receiver, consumer))
}

struct Reader {
    consumer: Arc<Client>,
    config: ClientConfig,
    assigned: BTreeSet<(String, i32)>,
    begin: Begin,
}

impl Reader {
    fn run<T>(
        mut self,
        refresh: Duration,
        is_wanted: &dyn Fn(&str) -> bool,
        take: &dyn Fn(&BorrowedMessage<'_>) -> Option<T>,
        sender: &mpsc::Sender<anyhow::Result<T>>,
        shutdown: &Shutdown,
    ) {
        let mut next_refresh = Instant::now();
        while !shutdown.requested() {
            if Instant::now() >= next_refresh {
                if let Err(error) = self.assign_new(is_wanted) {
                    tracing::warn!(%error, "new topics cannot be looked for, trying again");
                }
                if let Err(error) = self.consumer.context().check(&self.config) {
                    // Gone, when nobody is left to tell.
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
                next_refresh = Instant::now() + refresh;
            }
            let taken = match self.consumer.poll(Duration::from_millis(100)) {
                None => continue,
                Some(Ok(message)) => match take(&message) {
                    Some(taken) => Ok(taken),
                    None => continue,
                },
                Some(Err(error)) if is_passing(&error) => {
                    tracing::debug!(%error, "reading goes on after an error");
                    continue;
                }
                Some(Err(error)) => Err(anyhow::Error::new(error).context("reading source topics")),
            };
            let failed = taken.is_err();
            if sender.blocking_send(taken).is_err() || failed {
                return;
            }
        }
    }

    fn assign_new(&mut self, is_wanted: &dyn Fn(&str) -> bool) -> KafkaResult<()> {
        let metadata = self.consumer.fetch_metadata(None, REQUEST_TIMEOUT)?;
        let wanted = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none() && is_wanted(topic.name()));
        let found: BTreeSet<(String, i32)> = wanted
            .flat_map(|topic| {
                topic
                    .partitions()
                    .iter()
                    .map(|partition| (topic.name().to_owned(), partition.id()))
            })
            .filter(|partition| !self.assigned.contains(partition))
            .collect();
        if found.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for (topic, partition) in &found {
            list.add_partition_offset(topic, *partition, Offset::Beginning)?;
        }
        if let Begin::Resume(_) = self.begin {
            for committed in self.consumer.committed_offsets(list.clone(), REQUEST_TIMEOUT)?.elements() {
                committed.error()?;
                if let Offset::Offset(offset) = committed.offset() {
                    list.set_partition_offset(committed.topic(), committed.partition(), Offset::Offset(offset))?;
                }
            }
        }
        self.consumer.incremental_assign(&list)?;
        self.assigned.extend(found);
        Ok(())
    }
}

/// Brokers that are away come back; a topic that was deleted ends the reading of that topic only.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let gone = [Code::UnknownTopicOrPartition, Code::UnknownTopic, Code::UnknownPartition];
    is_transient(error) || error.rdkafka_error_code().is_some_and(|code| gone.contains(&code))
}
