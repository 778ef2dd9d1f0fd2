//! Very many records under one number, through the batch of the registry: what a further event costs grows with them as they do, and what
//! is kept of them is what came.

use domain::batch::{Entry, MOST_IN_ROW, Said};
use domain::input::Input;
use domain::record::{Change, Deletion};
use domain::source::Version;
use integration_tests::crowd::{Names, entry, opening, record};
use integration_tests::ground::Rules;
use integration_tests::registry::Registry;
use proptest::prelude::*;
use std::time::Duration;

/// Records of the larger crowd.
const SIZE: usize = 50_000;
/// How many times larger it is than the smaller one.
const TIMES: usize = 8;
/// How many times more a further event may cost in it.
const MOST: u32 = 48;
/// Times a further event is tried: the least is what it costs.
const FURTHER: usize = 5;

/// Time that this thread has worked: others on the machine do not count.
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux keeps the time a thread has worked");
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.expect("nanoseconds"))
}

/// What a further event costs when there are so many records, and what loading them cost.
fn cost(rules: &Rules, size: usize, names: Names) -> (Duration, Duration) {
    let mut registry = Registry::new(rules.key.clone());
    let mut entries = vec![opening(&rules.key)];
    entries.extend((0..size).map(|at| entry(&rules.key, at, names)));
    let began = worked();
    registry.apply(&entries, None);
    let loaded = worked().saturating_sub(began);
    let further = (size..size + FURTHER).map(|at| {
        let began = worked();
        registry.apply(&[entry(&rules.key, at, names)], None);
        worked().saturating_sub(began)
    });
    (further.min().expect("events"), loaded)
}

#[test]
fn what_a_further_event_costs_grows_as_the_crowd_does() {
    let rules = Rules::load().expect("the dialects of the services");
    for names in [Names::One, Names::Apart] {
        let (few, _) = cost(&rules, SIZE / TIMES, names);
        let (many, loaded) = cost(&rules, SIZE, names);
        println!(
            "{SIZE} records, names {names:?}: loaded in {loaded:.2?}, a further event {many:.3?}; {} of them {few:.3?}",
            SIZE / TIMES
        );
        // Were something compared with everything else, it would be the square; a crowd that leaves the processor's caches costs some times more.
        assert!(
            many < MOST * few,
            "names {names:?}: {few:?} for {}, {many:?} for {SIZE}",
            SIZE / TIMES
        );
    }
}

#[test]
fn a_further_event_writes_one_member() {
    let rules = Rules::load().expect("the dialects of the services");
    let mut registry = Registry::new(rules.key.clone());
    let mut load = vec![opening(&rules.key)];
    load.extend((0..1_000).map(|at| entry(&rules.key, at, Names::One)));
    registry.apply(&load, None);
    let effects = registry
        .effects(&[entry(&rules.key, 1_000, Names::One)], None)
        .expect("nothing is refused");
    let rows: Vec<(usize, usize, usize)> = effects
        .differences
        .iter()
        .map(|difference| {
            (
                difference.members.put.len(),
                difference.members.gone.len(),
                difference.enrolments.len(),
            )
        })
        .collect();
    assert_eq!(rows, [(1, 0, 1)]);
}

/// Upserts and deletes of a few records more than are kept in a row.
fn changes() -> impl Strategy<Value = Vec<Vec<(usize, bool)>>> {
    let change = (0..MOST_IN_ROW + 12, prop::bool::weighted(0.8));
    prop::collection::vec(prop::collection::vec(change, 1..60), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Around the size at which members become rows of their own: what is read is what was written, whatever comes and goes.
    #[test]
    fn what_is_kept_is_what_came(batches in changes(), one in any::<bool>()) {
        let rules = Rules::load().expect("the dialects of the services");
        let names = if one { Names::One } else { Names::Apart };
        let mut registry = Registry::new(rules.key.clone());
        // The crowd is there already, so that the changes go on around the limit.
        let mut entries = vec![opening(&rules.key)];
        entries.extend((0..MOST_IN_ROW - 2).map(|at| entry(&rules.key, at, names)));
        let mut position = entries.len();
        for batch in batches {
            for (at, stays) in batch {
                entries.push(at_position(position, entry(&rules.key, at, names), stays));
                position += 1;
            }
            registry.apply(&entries, None);
            entries.clear();
            while let Some(shard) = registry.at_work().first() {
                registry.apply(&[], Some(*shard));
            }
            registry.store.check_rest().expect("the tables say what was written");
        }
    }
}

/// The entry at a later position of the log: the record's next version, or its end.
fn at_position(position: usize, mut entry: Entry, stays: bool) -> Entry {
    let position = i64::try_from(position).expect("a position");
    (entry.position, entry.follows) = (position, position);
    let Some(Input::Change(Change::Upsert(record))) = entry.input() else {
        panic!("a record comes");
    };
    let mut record = domain::record::SourceRecord::clone(record);
    record.version = Version {
        offset: position as u64,
        ..Version::default()
    };
    entry.said = Said::Input(Input::Change(if stays {
        Change::Upsert(record.into())
    } else {
        Change::Delete(Deletion {
            id: record.id,
            source: record.source,
            table: record.table.clone(),
            key: record.key.clone(),
            version: record.version,
            appended_at: record.appended_at,
            home: Some(record.home()),
        })
    }));
    entry
}

#[test]
fn the_rows_of_a_crowd_are_its_records() {
    let rules = Rules::load().expect("the dialects of the services");
    let mut registry = Registry::new(rules.key.clone());
    let mut load = vec![opening(&rules.key)];
    load.extend((0..200).map(|at| entry(&rules.key, at, Names::One)));
    registry.apply(&load, None);
    let kept: Vec<_> = registry
        .store
        .neighbourhoods()
        .into_values()
        .flatten()
        .map(|member| member.record.id)
        .collect();
    let mut came: Vec<_> = (0..200).map(|at| record(&rules.key, at, Names::One).id).collect();
    came.sort_unstable();
    assert_eq!(kept, came);
}
