//! Where records are seated, and how the work is shared.

use super::*;
use crate::verify::sample::{change, deletion, source, unread};
use domain::source::TableName;

fn rules(floors: Vec<SnapshotFloor>) -> Rules {
    Rules {
        key: IdKey::new(1, &[7; 32]),
        policy: Some(Arc::new(Edition::embedded())),
        today: Day(0),
        floors,
        truncations: Vec::new(),
        rulings: Rulings::default(),
    }
}

#[test]
fn a_record_is_seated_at_home_unless_it_is_gone() {
    let record = change(1, 5, "张三");
    let Change::Upsert(stated) = &record else {
        panic!("an upsert")
    };
    let (home, anchor) = (stated.home(), AnchorId::from(stated.id));
    let Seat::Entered(entry) = seat(&record, None, &rules(Vec::new())) else {
        panic!("it is there")
    };
    assert_eq!((entry.shard, entry.anchor, entry.deleted), (home, anchor, false));

    let floor = SnapshotFloor {
        source: source(),
        table: TableName::new("az01"),
        epoch: 0,
        offsets: vec![6],
    };
    assert!(matches!(seat(&record, None, &rules(vec![floor.clone()])), Seat::Retired(_)));
    assert!(matches!(
        seat(&change(1, 6, "张三"), None, &rules(vec![floor])),
        Seat::Entered(_)
    ));
    assert!(matches!(seat(&deletion(1, 9), None, &rules(Vec::new())), Seat::Entered(entry) if entry.deleted));
}

#[test]
fn the_newest_unread_version_stands_whatever_else_was_read() {
    let mut log = SourceLog::default();
    log.latest.insert(RecordId([1; 16]), Box::new(change(1, 5, "张三")));
    for id in [1, 2] {
        log.unread.insert(RecordId([id; 16]), Box::new(unread(id, 3)));
    }
    let rules = rules(Vec::new());
    let found: BTreeMap<RecordId, Seat> = seats(&log, &rules).collect();
    let of = |id| match found[&RecordId([id; 16])] {
        Seat::Entered(entry) => (entry.deleted, entry.claimed().map(|claimed| claimed.offset), entry.unread),
        Seat::Retired(_) => panic!("no snapshot is complete"),
    };
    let version = Some(unread(1, 3).version);
    assert_eq!(of(1), (false, Some(5), version));
    assert_eq!(of(2), (true, None, version));
}

#[test]
fn cores_share_the_work_and_keep_the_order() {
    let rules = rules(Vec::new());
    let records = [change(1, 1, "张三"), change(2, 1, "李四"), change(3, 1, "王五")];
    let slice: Vec<Neighbourhood> = neighbourhoods(&records, &rules.floors, &rules.rulings, &rules.key)
        .into_iter()
        .collect();
    let described = describe_all(&slice, &rules);
    assert_eq!(described.len(), 3);
    for (((_, anchor), _), described) in slice.iter().zip(&described) {
        assert!(described.persons.iter().all(|person| person.anchor == *anchor));
    }
}
