//! Random small worlds: whatever the order of arrival, the incremental path through shards and messages ends in the base that the
//! function gives for everything at once.

mod sources;

use domain::base::neighbourhoods;
use domain::date::Timestamp;
use domain::decision::Rulings;
use domain::facts::Facts;
use domain::ids::AnchorId;
use domain::input::{Control, Input};
use domain::neighbourhood::Member;
use domain::record::Change;
use domain::shard::Shard;
use integration_tests::policies;
use integration_tests::registry::Registry;
use integration_tests::traffic::{Draw, Traffic};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sources::{Happening, Sources, happening, key};
use std::cell::Cell;
use std::collections::BTreeMap;

/// Where every copy is, in few words: a difference of whole records is unreadable.
fn outline(base: &BTreeMap<(Shard, AnchorId), Vec<Member>>) -> Vec<String> {
    let member = |member: &Member| {
        let (record, version) = (member.record.id, member.record.version.offset);
        format!(
            "{record} v{version} unread {:?} via {:?} to {:?}",
            member.unread, member.path, member.sent
        )
    };
    let line = |((shard, anchor), members): (&(Shard, AnchorId), &Vec<Member>)| {
        format!("{shard} {anchor}: {:?}", members.iter().map(member).collect::<Vec<_>>())
    };
    base.iter().map(line).collect()
}

/// Runs a history in the order that `seed` draws and compares with everything at once.
fn agree(history: &[(u8, Happening)], seed: u64, seen: &Seen) -> Result<(), TestCaseError> {
    let mut sources = Sources {
        partitions: vec![Vec::new(); 6],
        ..Sources::default()
    };
    for (row, happening) in history {
        sources.happen(*row, happening);
    }
    let changes: Vec<&Change> = sources
        .partitions
        .iter()
        .flatten()
        .flat_map(|(_, inputs)| inputs)
        .filter_map(|input| {
            if let Input::Change(change) = input {
                Some(change)
            } else {
                None
            }
        })
        .collect();
    let rulings = Rulings::default().with(sources.decisions.clone());
    let expected = neighbourhoods(changes, &sources.floors, &rulings, &key());

    seen.note(&expected);

    let mut traffic = Traffic::default();
    traffic.tell(Timestamp(0), Control::Policy(policies::embedded()));
    for (partition, messages) in sources.partitions.iter().enumerate() {
        for (_, inputs) in messages {
            traffic.publish(partition, (Timestamp(0), inputs.clone()));
        }
    }
    for floor in &sources.floors {
        // That the table was truncated there changes nothing but what is told.
        traffic.tell(Timestamp(0), Control::Truncated(floor.clone()));
        traffic.tell(Timestamp(0), Control::Snapshot(floor.clone()));
    }
    for (id, decision) in &sources.decisions {
        let control = decision.clone().map_or(Control::Undecide(*id), Control::Decide);
        traffic.tell(Timestamp(0), control);
    }
    let mut registry = Registry::unreliable(key(), seed);
    traffic.run(&mut registry, Some(&mut Draw::new(seed)));
    registry
        .store
        .check_rest()
        .map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
    let found = registry.store.neighbourhoods();
    prop_assert_eq!(outline(&found), outline(&expected));
    prop_assert_eq!(found, expected);
    Ok(())
}

/// Cases of a usual run; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(400)
}

/// What of unread versions the worlds must have held: records that are marked, and guest copies of such.
#[derive(Default)]
struct Seen {
    marked: Cell<usize>,
    guests: Cell<usize>,
}

impl Seen {
    fn note(&self, base: &BTreeMap<(Shard, AnchorId), Vec<Member>>) {
        let members = || base.values().flatten();
        let unreadable = |member: &&Member| member.is_guest() && matches!(member.record.facts, Facts::Unreadable(_));
        let marked = members().filter(|member| member.unread.is_some()).count();
        self.marked.set(self.marked.get() + marked);
        self.guests.set(self.guests.get() + members().filter(unreadable).count());
    }
}

#[test]
fn any_order_gives_the_same_base() {
    let config = ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let (seen, worlds) = (Seen::default(), (prop::collection::vec(happening(), 1..24), any::<u64>()));
    let ran = TestRunner::new(config).run(&worlds, |(history, seed)| {
        (0..6).try_for_each(|run| agree(&history, seed.wrapping_add(run), &seen))
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
    let (marked, guests) = (seen.marked.get(), seen.guests.get());
    println!("{marked} records marked, {guests} guest copies of such");
    assert!(
        marked > 100 && guests > 10,
        "{marked} records marked, {guests} guest copies of such"
    );
}
