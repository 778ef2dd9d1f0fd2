use super::*;
use crate::verify::agreed::Agreed;
use crate::verify::sample::{change, deletion, unread};

#[test]
fn the_newest_version_counts_whatever_the_order() {
    let shard = Shard::new(0).expect("a shard");
    let mut log = SourceLog::new(&[], 10);
    for change in [
        change(1, 5, "张三"),
        deletion(1, 9),
        change(1, 7, "张三"),
        change(2, 3, "李四"),
    ] {
        log.take(shard, Input::Change(change));
    }
    for unread in [unread(1, 8), unread(1, 11), unread(1, 6)] {
        log.take(shard, Input::Change(Change::Unread(unread)));
    }
    assert_eq!((log.latest.len(), log.unread.len()), (2, 1));
    assert_eq!(log.unread[&RecordId([1; 16])].version.offset, 11);
    assert!(matches!(&*log.latest[&RecordId([1; 16])], Change::Delete(deletion) if deletion.version.offset == 9));
}

#[test]
fn messages_of_a_sender_are_dense() {
    let mut sequences = Sequences::default();
    for sequence in [0, 1, 64, 3] {
        sequences.note(sequence);
    }
    assert!(sequences.holds(64) && !sequences.holds(2) && !sequences.holds(1_000));
    assert_eq!((sequences.missing(2), sequences.missing(5)), (None, Some(2)));
}

#[test]
fn shards_agree_once_all_have_heard() {
    let mut log = SourceLog::new(&[], 10);
    assert_eq!(log.agreed(), Agreed::default());
    let day = Control::BusinessDate("2026-05-01".parse().expect("a day"));
    log.take(Shard::new(0).expect("a shard"), Input::Control(day.clone()));
    assert_eq!(log.uneven_shards(&log.agreed()).len(), 63);
    Shard::all().for_each(|shard| log.take(shard, Input::Control(day.clone())));
    assert_eq!(log.agreed().today, "2026-05-01".parse().ok());
    assert_eq!(log.uneven_shards(&log.agreed()), []);
}
