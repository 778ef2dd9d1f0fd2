//! What the brokers know of sources and of `person.records`.

use crate::topics;
use anyhow::Context;
use domain::source::Source;
use rdkafka::Offset;
use runtime::config::Settings;
use runtime::kafka::offsets::{self, TopicPartition, all_topics, offsets_at, patiently};
use runtime::kafka::topics::{PERSON_RECORDS, normaliser_group};
use runtime::kafka::{TopicNames, members};
use std::collections::{BTreeMap, BTreeSet};

/// What the brokers say of a source's topics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) topics: BTreeSet<String>,
    pub(super) behind: Option<i64>,
    pub(super) unread: BTreeSet<TopicPartition>,
    /// A topic that no normaliser subscribes to.
    pub(super) stray: Option<String>,
}

/// What the brokers say.
pub(super) struct Brokers {
    pub(super) sources: BTreeMap<Source, Position>,
    /// Ends of `person.records`, by partition.
    pub(super) records: BTreeMap<i32, i64>,
}

impl Brokers {
    /// Asks of everything but the topics that others `replaced`.
    pub(super) fn ask(settings: &Settings, replaced: &BTreeSet<String>) -> anyhow::Result<Self> {
        let names = &settings.topics.sources;
        let consumer = topics::reader(settings)?;
        let topics = patiently(|| all_topics(&consumer)).with_context(|| topics::unreachable_brokers(settings))?;
        let mut partitions: BTreeMap<Source, BTreeSet<TopicPartition>> = BTreeMap::new();
        let mut records = BTreeSet::new();
        for (name, numbers) in topics.iter().filter(|(name, _)| !replaced.contains(*name)) {
            if names.table_of(name).is_none() && settings.topics.notifications.source_of(name).is_some() {
                continue;
            }
            let all = numbers.iter().map(|number| (name.clone(), *number));
            match names.named_in(name) {
                Some(source) => partitions.entry(source).or_default().extend(all),
                None if name == PERSON_RECORDS => records.extend(all),
                None => {}
            }
        }
        let asked = || partitions.values().flatten().chain(&records).cloned();
        let (ends, lows, assigned, committed) = std::thread::scope(|scope| {
            // One request per group, each by a client that names it: all at the same time.
            let committed: Vec<_> = partitions
                .iter()
                .map(|(source, wanted)| scope.spawn(move || committed(settings, *source, wanted)))
                .collect();
            let ends = patiently(|| offsets_at(&consumer, asked(), Offset::End)).context("reading the ends of partitions");
            let lows = patiently(|| offsets_at(&consumer, asked(), Offset::Beginning)).context("reading where partitions begin");
            let assigned = patiently(|| members::assigned(&consumer, |group| group.starts_with("canbao.")));
            let assigned = assigned.context("reading who reads what");
            let committed: Vec<anyhow::Result<_>> = committed
                .into_iter()
                .map(|asked| asked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect();
            (ends, lows, assigned, committed)
        });
        let (ends, lows, assigned) = (ends?, lows?, assigned?);
        let mut sources = BTreeMap::new();
        for ((source, wanted), committed) in partitions.iter().zip(committed) {
            let members = assigned.get(&normaliser_group(*source)).cloned().unwrap_or_default();
            sources.insert(*source, position(names, wanted, &ends, &lows, &committed?, &members));
        }
        let records = records
            .into_iter()
            .filter_map(|partition| Some((partition.1, *ends.get(&partition)?)));
        Ok(Self {
            records: records.collect(),
            sources,
        })
    }
}

fn committed(
    settings: &Settings,
    source: Source,
    wanted: &BTreeSet<TopicPartition>,
) -> anyhow::Result<BTreeMap<TopicPartition, i64>> {
    let consumer = topics::group_reader(settings, source)?;
    patiently(|| offsets::committed(&consumer, wanted.iter().cloned()))
        .with_context(|| format!("reading what the normaliser of {source} has committed"))
}

/// Where a normaliser stands in a source's partitions: from their ends and beginnings, from what its group has committed and what the
/// group's members are assigned. What nobody reads is no lag of nought: it is unread.
fn position(
    names: &TopicNames,
    wanted: &BTreeSet<TopicPartition>,
    ends: &BTreeMap<TopicPartition, i64>,
    lows: &BTreeMap<TopicPartition, i64>,
    committed: &BTreeMap<TopicPartition, i64>,
    members: &BTreeSet<TopicPartition>,
) -> Position {
    let mut position = Position::default();
    for partition in wanted {
        position.topics.insert(partition.0.clone());
        let is_assigned = members.contains(partition);
        if names.table_of(&partition.0).is_none() {
            position.stray.get_or_insert_with(|| partition.0.clone());
        }
        if !is_assigned {
            position.unread.insert(partition.clone());
        }
        let low = is_assigned.then(|| lows.get(partition).copied().unwrap_or(0));
        if let Some(taken) = committed.get(partition).copied().or(low) {
            let behind = (ends.get(partition).copied().unwrap_or(taken) - taken).max(0);
            position.behind = Some(position.behind.unwrap_or(0) + behind);
        }
    }
    position
}

/// What to say of partitions that nobody reads, when the clock has said nothing of the source.
pub(super) fn unread(source: Source, position: &Position) -> Option<String> {
    let Source { agency, city } = source;
    if let Some(topic) = &position.stray {
        return Some(format!(
            "no normaliser reads {topic}: add a template that fits to topics.sources for all services, or have the connector name its topics \
             {source}.<schema>.<table>"
        ));
    }
    let (topic, partition) = position.unread.first()?;
    Some(format!(
        "nobody reads {topic}/{partition}: is `canbao run {agency}` running for region {city}?"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_is_no_lag_of_nought() {
        let [read, quiet, gone, stray] = ["public.ac02", "public.ac60", "public.ac01", "ac02"].map(partition);
        let wanted = BTreeSet::from([read.clone(), quiet.clone(), gone.clone(), stray.clone()]);
        let ends = BTreeMap::from([(read.clone(), 10), (quiet.clone(), 0), (gone.clone(), 8), (stray.clone(), 3)]);
        let lows = wanted.iter().map(|partition| (partition.clone(), 0)).collect();
        let committed = BTreeMap::from([(read.clone(), 4), (gone.clone(), 6)]);
        let members = BTreeSet::from([read, quiet]);
        let found = position(TopicNames::standard(), &wanted, &ends, &lows, &committed, &members);
        assert_eq!(found.behind, Some(6 + 2), "of those that are read or were");
        assert_eq!(found.unread, BTreeSet::from([gone, stray.clone()]));
        assert_eq!(found.stray, Some(stray.0.clone()));
        let said = unread(source(), &found).expect("said");
        assert!(said.contains("no normaliser reads human-resources.3201.ac02"), "{said}");
    }

    fn source() -> Source {
        "human-resources.3201".parse().expect("a source")
    }

    fn partition(table: &str) -> TopicPartition {
        (format!("human-resources.3201.{table}"), 0)
    }
}
