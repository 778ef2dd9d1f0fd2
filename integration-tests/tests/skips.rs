//! An entry that cannot be applied, through the batch of the registry: its shard waits there, all others go on, and once it is stepped over
//! the base is what it would be without it.

use domain::batch::{Entry, Said};
use domain::date::{Day, Timestamp};
use domain::facts::{Card, CardStatus, Facts};
use domain::ids::IdKey;
use domain::input::Input;
use domain::name::Name;
use domain::personal::Personal;
use domain::record::{Change, Identity, SourceRecord};
use domain::shard::Shard;
use domain::source::{Agency, Source, TableName, Version};
use integration_tests::registry::Registry;
use std::collections::BTreeMap;
use std::sync::Arc;

fn key() -> IdKey {
    IdKey::new(1, &[7; 32])
}

/// A card of somebody born on a day, who has no number.
fn card(day: i32, offset: u64) -> Change {
    let source = Source {
        agency: Agency::HUMAN_RESOURCES,
        city: "3201".parse().expect("a city"),
    };
    let (table, text) = (TableName::new("az01"), format!("{day}"));
    Change::Upsert(Arc::new(SourceRecord {
        id: key().record(source, &table, &text),
        source,
        table,
        key: Personal::new(text),
        version: Version {
            epoch: 0,
            partition: 0,
            offset,
            mapping: 1,
        },
        appended_at: Timestamp(0),
        identity: Identity {
            document: None,
            name: Name::parse("张大伟").ok(),
            birth: Some(Day(day)),
            sex: None,
        },
        facts: Facts::Card(Card {
            status: CardStatus::Active,
            issued: None,
        }),
    }))
}

/// A log of cards, with one entry more where the second round comes to somebody; its place.
fn log(extra: Option<&Said>) -> (Vec<Entry>, Option<(Shard, i64)>) {
    let mut ends: BTreeMap<Shard, i64> = BTreeMap::new();
    let (mut entries, mut at) = (Vec::new(), None);
    let mut push = |shard, said| {
        let end = ends.entry(shard).or_default();
        entries.push(Entry {
            shard,
            position: *end,
            follows: *end,
            logged_at: Timestamp(0),
            said,
        });
        *end += 1;
        *end - 1
    };
    for round in 0..3 {
        for day in 7_000..7_040 {
            let change = card(day, round * 100);
            let shard = change.shard();
            if (round, day) == (1, 7_010) {
                at = extra.map(|said| (shard, push(shard, said.clone())));
            }
            push(shard, Said::Input(Input::Change(change)));
        }
    }
    (entries, at)
}

fn registry() -> Registry {
    Registry::new(key())
}

/// Applies a log with one entry that is refused for good, in batches of so many.
fn run(extra: &Said, size: usize) {
    let mut without = registry();
    without.apply(&log(None).0, None);

    let (entries, at) = log(Some(extra));
    let (shard, position) = at.expect("an entry more");
    let mut registry = registry();
    registry.refused.insert((shard, position));
    for batch in entries.chunks(size) {
        registry.apply(batch, None);
    }
    assert_eq!(registry.waiting.keys().collect::<Vec<_>>(), [&shard], "it waits alone");
    assert_eq!(registry.waiting[&shard].position, position);
    for other in Shard::all() {
        let end = entries.iter().filter(|entry| entry.shard == other).count() as i64;
        let expected = if other == shard { position } else { end };
        assert_eq!(registry.store.row(other).position, expected, "shard {other}");
    }
    let next = registry.skip(shard);
    assert_eq!((next, registry.store.row(shard).position), (position + 1, position + 1));
    let rest = entries.iter().filter(|entry| entry.shard == shard && entry.position >= next);
    let rest: Vec<Entry> = rest.cloned().collect();
    assert!(!rest.is_empty(), "something stands behind it");
    registry.apply(&rest, None);
    assert!(registry.waiting.is_empty());
    assert_eq!(registry.store.neighbourhoods(), without.store.neighbourhoods());
}

#[test]
fn an_entry_that_the_store_refuses_costs_its_shard_only() {
    for size in [1, 7, 1_000] {
        run(&Said::Input(Input::Change(card(7_010, 9_999))), size);
    }
}

#[test]
fn an_entry_that_cannot_be_read_is_handled_by_the_same_means() {
    for size in [1, 7, 1_000] {
        run(&Said::Unreadable("garbage".to_owned()), size);
    }
}
