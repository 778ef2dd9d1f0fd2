//! Normalisers: from an agency's change streams to the shards' logs.
//!
//! Upstream: the sources' topics by their names ([`TopicNames`](crate::kafka::TopicNames)), Debezium events as JSON, or framed for a schema registry. Downstream: `person.records`, and `<agency>.<city>.dlq` for what
//! cannot be read. State: none but the committed offsets, `store.source_topic` and `store.source_epoch`. Each (agency, city) is a
//! consumer group of its own, so that regions are scaled, held and restarted by themselves; one process serves those of its settings.
//!
//! Failure: what cannot be read is diverted and the stream goes on; too much of it holds the source. Whatever could lose or
//! reorder something (a failed delivery, positions that stopped being comparable) lets the region begin again at its committed offsets
//! (`station.rs`) or holds the topic, and says so in readiness; other regions go on. Every step may be repeated, see `region.rs`.

pub mod accept;
mod emit;
mod events;
pub mod floor;
pub mod hold;
mod letter;
mod positions;
mod region;
mod share;
pub mod source_topic;
mod start;
mod station;
pub mod wait;

use crate::config::{ConfigError, NormaliserSettings, Settings};
use crate::dialect::{Classified, Dialects, SourceMessage, Stated, normalise};
use crate::framed::Frames;
use crate::health::Health;
use crate::kafka::produce::Producer;
use crate::kafka::{self, topics};
use crate::limits;
use crate::service::Service;
use crate::shutdown::Shutdown;
use crate::store::{self, mapping, session};
use anyhow::Context;
use domain::division::City;
pub use domain::source::Agency;
use domain::source::Source;
use emit::Producers;
pub use emit::apply;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
pub use letter::is_whole;
use region::Region;
use schemas::Codec;
use source_topic::{PgTopicStore, TopicStore};
pub use start::read_up_to;
use station::Station;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::task::JoinSet;
use wait::Tables;

/// The pure step: what a source message is.
type Classify = dyn Fn(&SourceMessage<'_>) -> Classified + Send + Sync;

/// What the regions of a process share.
struct Shared {
    settings: NormaliserSettings,
    classify: Arc<Classify>,
    frames: Frames,
    tables: Arc<Tables>,
    limiter: Option<DefaultDirectRateLimiter>,
    clock: DefaultClock,
    shutdown: Shutdown,
}

impl Shared {
    fn new(settings: &NormaliserSettings, classify: Arc<Classify>, frames: Frames, tables: Tables, shutdown: Shutdown) -> Self {
        let limiter = settings
            .rate_per_second
            .and_then(NonZeroU32::new)
            .map(|rate| RateLimiter::direct(Quota::per_second(rate)));
        Self {
            settings: settings.clone(),
            classify,
            frames,
            tables: Arc::new(tables),
            limiter,
            clock: DefaultClock::default(),
            shutdown,
        }
    }

    /// Waits for the agency's turn after a message was taken.
    fn throttle(&self) {
        let Some(limiter) = &self.limiter else { return };
        while let Err(early) = limiter.check() {
            std::thread::sleep(early.wait_time_from(self.clock.now()));
        }
    }
}

/// The sources of some agencies in some cities: an agency may have no system in one of them.
fn sources(agencies: &[Agency], cities: &[City]) -> Vec<Source> {
    let of_agency = |agency: &Agency| {
        let agency = *agency;
        let served = agency.cities().iter().filter(|city| cities.contains(city));
        served.map(move |city| Source { agency, city: *city })
    };
    agencies.iter().flat_map(of_agency).collect()
}

/// Runs the normaliser of some agencies for the regions of the settings, until shutdown.
///
/// # Errors
/// [`ConfigError`] before anything is touched; later whatever must not be skipped, the restart repeats it.
pub async fn run(agencies: &[Agency], service: Service) -> anyhow::Result<()> {
    let Service {
        name,
        settings,
        health,
        mut shutdown,
        trigger,
        ..
    } = service;
    let sources = sources(agencies, settings.regions.cities());
    if sources.is_empty() {
        let problem = format!("regions: {name} has no system in any of these; see `cities` of its agencies");
        return Err(ConfigError::Invalid(vec![problem]).into());
    }
    let id_key = settings.id_key()?;
    let database = session::options(&settings, &format!("canbao-{name}"))?;
    let dialects = Arc::new(load_dialects(&settings, &sources)?);
    let tables = Tables {
        names: settings.topics.sources.clone(),
        dialects: dialects.clone(),
    };
    let stated: Vec<Stated> = agencies.iter().flat_map(|agency| dialects.stated(*agency)).collect();
    let frames = Frames::configured(&settings, tokio::runtime::Handle::current())?;
    let classify = Arc::new(move |message: &SourceMessage<'_>| normalise(&dialects, &id_key, message));

    let mut wanted = vec![topics::person_records()];
    wanted.extend(sources.iter().copied().map(topics::dead_letter_topic));
    kafka::watch_brokers(&settings, health.check("kafka"), shutdown.clone())?;
    let postgres = health.check("postgres");
    let prepared = kafka::admin::ensure_topics_patiently(&settings, &wanted, &mut shutdown).await;
    if !prepared.context("preparing topics")? {
        return Ok(());
    }
    let connected = session::pool(&database, 4, &postgres, &mut shutdown).await;
    let Some(pool) = connected.context("connecting to PostgreSQL")? else {
        return Ok(());
    };
    session::watch(pool.clone(), postgres, shutdown.clone());
    if !store::agencies::agree(&pool, &mut shutdown).await? || !mapping::record(&pool, &stated, &mut shutdown).await? {
        return Ok(());
    }
    let Some(letter_room) = letter_room(&settings, &sources, &mut shutdown).await? else {
        return Ok(());
    };
    let store: Arc<dyn TopicStore> = Arc::new(PgTopicStore::new(pool, tokio::runtime::Handle::current()));

    let shared = Arc::new(Shared::new(&settings.normaliser, classify, frames, tables, shutdown));
    let regions = start(&settings, &sources, &shared, &store, &health, Codec::current(), letter_room)?;
    drive(regions, || trigger.request()).await
}

/// Bytes of an original message that the dead letters of every source have room for. A topic that others made may take less than ours:
/// a letter that it refuses would stop the stream for good. `None` when asked to end meanwhile.
async fn letter_room(settings: &Settings, sources: &[Source], shutdown: &mut Shutdown) -> anyhow::Result<Option<usize>> {
    let mut room = limits::letter_room(limits::TOPIC_TAKES);
    let topics: Vec<String> = sources.iter().copied().map(topics::dead_letters).collect();
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    // One question: a client of its own for each would take seconds from every start.
    let taken = kafka::admin::settings_in_force_patiently(settings, &names, "max.message.bytes", shutdown).await;
    let Some(taken) = taken.context("asking what the dead letters' topics take")? else {
        return Ok(None);
    };
    for (topic, takes) in taken {
        let Ok(takes) = takes.parse::<usize>() else { continue };
        if takes < limits::TOPIC_TAKES {
            tracing::warn!(
                topic,
                takes,
                wanted = limits::TOPIC_TAKES,
                "originals longer than the topic takes are cut in their dead letters: raise its max.message.bytes and start anew"
            );
        }
        room = room.min(limits::letter_room(takes));
    }
    Ok(Some(room))
}

/// Makes every region's consumer before any of them runs, so that a wrong property fails at once.
fn start(
    settings: &Settings,
    sources: &[Source],
    shared: &Arc<Shared>,
    store: &Arc<dyn TopicStore>,
    health: &Health,
    codec: &Codec,
    letter_room: usize,
) -> anyhow::Result<Vec<(Station, Region)>> {
    events::describe();
    let prompt = kafka::idempotent_producer(settings, "canbao-normaliser");
    let mut backlog = prompt.clone();
    // One request per partition and batch, whatever its size: three agencies' rows for 64 partitions make small batches for long.
    backlog.set("linger.ms", "250");
    let producers = Producers {
        prompt: Producer::new(&prompt).context("making the producer")?,
        backlog: Producer::new(&backlog).context("making the producer for backlogs")?,
    };
    let mut regions = Vec::with_capacity(sources.len());
    for source in sources.iter().copied() {
        let group = topics::normaliser_group(source);
        let mut config = kafka::group_consumer(settings, &group, &group);
        config
            .set("queued.max.messages.kbytes", shared.settings.queue_kbytes.to_string())
            // Rows unpack to ten times their size in the broker, for each partition of each region.
            .set("fetch.message.max.bytes", "131072")
            .set(
                "topic.metadata.refresh.interval.ms",
                shared.settings.topic_refresh_millis.to_string(),
            )
            .set("statistics.interval.ms", "5000");
        let station = Station {
            source,
            consumer: config,
            producers: producers.clone(),
            codec: codec.clone(),
            shared: shared.clone(),
            store: store.clone(),
            health: health.clone(),
            watch: health.watch(format!("progress of {source}")),
            letter_room,
        };
        let region = station.region()?;
        regions.push((station, region));
    }
    Ok(regions)
}

/// Runs regions on threads of their own until all have ended; what ends one for good asks the others to drain.
async fn drive(regions: Vec<(Station, Region)>, request_end: impl Fn()) -> anyhow::Result<()> {
    let mut running = JoinSet::new();
    for (station, region) in regions {
        running.spawn_blocking(move || station.run(region));
    }
    let mut result = Ok(());
    while let Some(ended) = running.join_next().await {
        let ended = ended.context("a region's thread broke").and_then(|ended| ended);
        if ended.is_err() {
            request_end();
        }
        result = result.and(ended);
    }
    result
}

fn load_dialects(settings: &Settings, sources: &[Source]) -> Result<Dialects, ConfigError> {
    let invalid = |problem: String| ConfigError::Invalid(vec![format!("dialects: {problem}")]);
    if settings.dialects.is_empty() {
        return Err(ConfigError::Missing {
            key: "dialects",
            variable: "CANBAO_DIALECTS",
        });
    }
    let dialects = Dialects::load(&settings.dialects).map_err(|error| invalid(error.to_string()))?;
    match sources.iter().find(|source| dialects.tables(**source).next().is_none()) {
        Some(source) => Err(invalid(format!("no dialect maps a table of {source}"))),
        None => Ok(dialects),
    }
}

#[cfg(test)]
mod tests;
