//! Whatever is accepted, read and read again in whatever order: the last word of each key wins.

use super::*;
use crate::date::Timestamp;
use crate::input::SnapshotFloor;
use crate::source::{Agency, Source, TableName, Version};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn moves(messages: &[(u16, u64, i64, &str)]) -> Moves {
    let mut moves = Moves::default();
    for (partition, offset, appended, key) in messages {
        moves.see(*partition, *offset, Timestamp(*appended), key.as_bytes());
    }
    moves
}

#[test]
fn new_partitions_lie_later_whole_and_old_ones_from_their_end() {
    let epochs = Epochs::default()
        .repartitioned(1, &[1001, 4], &moves(&[(0, 1000, 1, "A"), (1, 3, 2, "A")]))
        .expect("epochs");
    assert_eq!((epochs.at(0, 1000), epochs.at(0, 1001)), (0, 1));
    assert_eq!((epochs.at(1, 0), epochs.at(1, 3), epochs.at(7, 0)), (1, 1, 1));
    assert_eq!(
        (
            epochs.changed_from(0, 0),
            epochs.changed_from(0, 1),
            epochs.changed_from(1, 0)
        ),
        (Some(1001), Some(0), None)
    );
}

#[test]
fn a_key_that_moved_between_old_partitions_lies_later_from_there() {
    // Of three partitions where there were two, A went from 0 to 1; B stayed in 1.
    let held = moves(&[(0, 1000, 10, "A"), (1, 499, 11, "B"), (1, 500, 12, "A"), (1, 501, 13, "B")]);
    assert!(held.is_unsettled());
    let epochs = Epochs::default().repartitioned(2, &[1001, 502, 0], &held).expect("epochs");
    assert_eq!((epochs.at(0, 1000), epochs.at(1, 499), epochs.at(1, 500)), (0, 0, 1));
    assert_eq!(held.unsettled_by(&epochs), 0);
}

#[test]
fn keys_that_move_to_and_fro_are_told() {
    let held = moves(&[(0, 5, 1, "A"), (1, 1, 2, "A"), (1, 4, 1, "B"), (0, 2, 2, "B")]);
    let epochs = Epochs::default().repartitioned(2, &[6, 5], &held).expect("epochs");
    assert_eq!(
        held.unsettled_by(&epochs),
        2,
        "whichever offset a partition's epoch begins at, one of the keys is wrong"
    );
}

/// What was read under the old epochs, and comes to the base only after the topic was accepted, says nothing against it any more.
#[test]
fn a_version_speaks_as_long_as_its_position_has_its_epoch() {
    let read = |partition, offset| Version {
        partition,
        offset,
        ..Version::default()
    };
    let [first, moved] = [read(0, 1000), read(1, 500)];
    let before = Epochs::default();
    assert!(before.still_say(&first) && before.still_say(&moved));
    let held = moves(&[(0, 1000, 10, "A"), (1, 500, 12, "A")]);
    let accepted = before.repartitioned(2, &[1001, 502, 0], &held).expect("epochs");
    assert!(accepted.still_say(&first) && !accepted.still_say(&moved));
    let again = accepted.restarted().expect("epochs");
    assert!(!again.still_say(&first) && !again.still_say(&moved));
    assert!(again.still_say(&Version { epoch: 2, ..first }));
}

#[test]
fn a_restart_keeps_what_lay_later() {
    let grown = Epochs::default()
        .repartitioned(1, &[1001, 4], &Moves::default())
        .expect("epochs");
    let again = grown.restarted().expect("epochs").restarted().expect("epochs");
    assert_eq!((again.at(0, 1000), again.at(0, 1001), again.at(1, 3)), (4, 5, 5));
    assert_eq!(again.changed_from(3, 0), Some(0), "read from the beginning");
    let numbers = |epochs: &[u16]| {
        epochs
            .iter()
            .map(|number| Epoch {
                number: *number,
                begins: Vec::new(),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(Epochs::new(numbers(&[0, 2, 2])), Err(EpochsError::NotRising(2)));
    assert_eq!(Epochs::new(Vec::new()), Err(EpochsError::None));
    let last = Epochs::new(numbers(&[LAST])).expect("epochs");
    assert_eq!(last.restarted(), Err(EpochsError::Exhausted));
}

fn epochs() -> impl Strategy<Value = Epochs> {
    let statement = (any::<bool>(), 1..4_u16, prop::collection::vec(0..40_u64, 1..5));
    prop::collection::vec(statement, 0..5).prop_map(|statements| {
        statements
            .into_iter()
            .fold(Epochs::default(), |epochs, (restart, before, ends)| {
                let next = if restart {
                    epochs.restarted()
                } else {
                    epochs.repartitioned(before, &ends, &Moves::default())
                };
                next.expect("few epochs")
            })
    })
}

/// What happens to a topic and to who reads it.
#[derive(Debug, Clone)]
enum Event {
    /// The source's next word about a key.
    Write(u8),
    /// So many messages of each partition are read on, unless the topic is held.
    Read(u64),
    /// Partitions are added. A reader that has not noticed reads so many messages of each partition before it holds.
    Grow(u16, Vec<u8>, u64),
    /// The topic is deleted and made again; a reader that has not noticed goes on likewise.
    Recreate(Vec<u8>),
    Reread,
    Restart,
    /// What is recorded is backed up.
    BackUp,
    /// The backup is put back; the log keeps what was read since.
    Restore,
}

fn event() -> impl Strategy<Value = Event> {
    let keys = || prop::collection::vec(0..12_u8, 0..20);
    prop_oneof![
        12 => (0..12_u8).prop_map(Event::Write),
        4 => (1..6_u64).prop_map(Event::Read),
        1 => (1..3_u16, keys(), 0..8_u64).prop_map(|(by, keys, read)| Event::Grow(by, keys, read)),
        1 => keys().prop_map(Event::Recreate),
        1 => Just(Event::Reread),
        1 => Just(Event::Restart),
        1 => Just(Event::BackUp),
        1 => Just(Event::Restore),
    ]
}

/// A topic, its recorded epochs, a reader with committed offsets, and the latest version it has handed on of each key.
struct World {
    partitions: Vec<Vec<(u8, u32)>>,
    recorded: u16,
    words: u32,
    last: BTreeMap<u8, u32>,
    epochs: Epochs,
    committed: Vec<u64>,
    latest: BTreeMap<u8, (Version, u32)>,
    backup: (Epochs, u16),
    /// The topic was made anew, and nothing of it was read since: the reader misses its offsets.
    unread: bool,
}

impl World {
    fn new() -> Self {
        Self {
            partitions: vec![Vec::new()],
            recorded: 1,
            words: 0,
            last: BTreeMap::new(),
            epochs: Epochs::default(),
            committed: vec![0],
            latest: BTreeMap::new(),
            backup: (Epochs::default(), 1),
            unread: false,
        }
    }

    fn write(&mut self, key: u8) {
        let partition = usize::from(key) % self.partitions.len();
        self.words += 1;
        self.partitions[partition].push((key, self.words));
        self.last.insert(key, self.words);
    }

    fn read(&mut self, partitions: usize, count: u64) {
        for partition in 0..partitions {
            let from = self.committed[partition];
            let messages = &self.partitions[partition];
            let end = (from + count).min(messages.len() as u64);
            for offset in from..end {
                let (key, word) = messages[offset as usize];
                let version = Version {
                    epoch: self.epochs.at(partition as u16, offset),
                    partition: partition as u16,
                    offset,
                    mapping: 1,
                };
                let known = self.latest.entry(key).or_insert((version, word));
                if version > known.0 {
                    *known = (version, word);
                }
            }
            self.committed[partition] = end.max(from);
        }
    }

    /// What `canbao source accept` does, and the reader that follows it.
    fn accept(&mut self, restart: bool) {
        let before = self.epochs.clone();
        if restart {
            self.epochs = self.epochs.restarted().expect("few epochs");
        }
        self.look(&before);
    }

    /// What `canbao restore` does when the log knows later epochs than the backup.
    fn restore(&mut self) {
        let seen = self.latest.values().map(|(version, _)| version.epoch).max().unwrap_or(0);
        (self.epochs, self.recorded) = self.backup.clone();
        let before = self.epochs.clone();
        if seen > before.latest() || self.unread {
            self.epochs = before.restarted_beyond(seen).expect("few epochs");
        }
        // Otherwise the grown topic is held, and accepted again.
        self.look(&before);
    }

    fn look(&mut self, before: &Epochs) {
        let mut held = Moves::under(self.epochs.clone());
        for (partition, messages) in (0..).zip(&self.partitions) {
            for (offset, (key, word)) in (0..).zip(messages) {
                held.see(partition, offset, Timestamp(i64::from(*word)), &[*key]);
            }
        }
        let grown = usize::from(self.recorded) != self.partitions.len();
        if grown || held.is_unsettled() {
            let ends: Vec<u64> = self.partitions.iter().map(|messages| messages.len() as u64).collect();
            self.epochs = self.epochs.repartitioned(self.recorded, &ends, &held).expect("few epochs");
        }
        assert_eq!(held.unsettled_by(&self.epochs), 0);
        self.recorded = self.partitions.len() as u16;
        self.committed.resize(self.partitions.len(), 0);
        for (partition, committed) in (0..).zip(&mut self.committed) {
            let changed = self.epochs.changed_from(before.latest(), partition).unwrap_or(u64::MAX);
            *committed = changed.min(*committed);
        }
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Write(key) => self.write(*key),
            Event::Read(count) => {
                self.read(self.partitions.len(), *count);
                self.unread &= self.committed.iter().all(|committed| *committed == 0);
            }
            Event::Grow(by, keys, read) => {
                let old = self.partitions.len();
                if usize::from(self.backup.1) != old {
                    // No one epoch tells where a key stood last that came back to a partition: who grows twice backs up between.
                    self.backup = (self.epochs.clone(), self.recorded);
                }
                self.partitions.resize(old + usize::from(*by), Vec::new());
                for key in keys {
                    self.write(*key);
                }
                self.read(old, *read);
                self.accept(false);
            }
            Event::Recreate(keys) => {
                self.partitions = vec![Vec::new(); self.partitions.len()];
                self.last.clear();
                for key in keys {
                    self.write(*key);
                }
                // Offsets of the former topic are gone with it.
                self.accept(true);
                self.committed.fill(0);
                self.unread = true;
            }
            Event::Reread => self.committed.fill(0),
            Event::Restart => self.accept(true),
            Event::BackUp => self.backup = (self.epochs.clone(), self.recorded),
            Event::Restore => self.restore(),
        }
    }
}

proptest! {
    #[test]
    fn an_epoch_never_falls_with_the_offset(epochs in epochs(), partition in 0..6_u16, offset in 0..50_u64) {
        prop_assert!(epochs.at(partition, offset) <= epochs.at(partition, offset + 1));
        prop_assert!(epochs.at(partition, offset) <= epochs.latest());
    }

    #[test]
    fn accepting_changes_nothing_below_what_it_records(
        epochs in epochs(), before in 1..4_u16, ends in prop::collection::vec(0..40_u64, 1..5), at in (0..6_u16, 0..50_u64)
    ) {
        let after = epochs.repartitioned(before, &ends, &Moves::default()).expect("few epochs");
        let (partition, offset) = at;
        let begin = after.all().last().expect("one").begin(partition);
        let expected = if offset < begin { epochs.at(partition, offset) } else { after.latest() };
        prop_assert_eq!(after.at(partition, offset), expected);
        prop_assert_eq!(after.changed_from(epochs.latest(), partition), Some(begin));
    }

    #[test]
    fn a_restart_lies_later_and_keeps_the_order(epochs in epochs(), one in (0..6_u16, 0..50_u64), two in (0..6_u16, 0..50_u64)) {
        let after = epochs.restarted().expect("few epochs");
        prop_assert!(after.at(one.0, one.1) > epochs.latest());
        let beyond = epochs.restarted_beyond(epochs.latest() + 3).expect("few epochs");
        prop_assert!(beyond.at(one.0, one.1) > epochs.latest() + 3);
        prop_assert_eq!(epochs.at(one.0, one.1).cmp(&epochs.at(two.0, two.1)), after.at(one.0, one.1).cmp(&after.at(two.0, two.1)));
    }

    #[test]
    fn a_snapshot_never_retires_its_own_rows(
        epochs in epochs(), begins in prop::collection::vec(0..40_u64, 1..5), partition in 0..5_u16, further in 0..9_u64, restart in any::<bool>()
    ) {
        let floor = SnapshotFloor {
            source: Source { agency: Agency::PUBLIC_SECURITY, city: "3201".parse().expect("a city") },
            table: TableName::new("czrk"),
            epoch: epochs.floor(&begins),
            offsets: begins.clone(),
        };
        let offset = begins.get(usize::from(partition)).copied().unwrap_or(0) + further;
        let later = if restart { epochs.restarted().expect("few epochs") } else { epochs.clone() };
        if usize::from(partition) < begins.len() {
            let version = Version { epoch: later.at(partition, offset), partition, offset, mapping: 1 };
            prop_assert!(!floor.retires(&version));
        }
    }

    #[test]
    fn the_last_word_of_each_key_wins(events in prop::collection::vec(event(), 1..60)) {
        let mut world = World::new();
        for event in &events {
            world.take(event);
        }
        world.read(world.partitions.len(), u64::MAX / 2);
        for (key, word) in &world.last {
            prop_assert_eq!(world.latest.get(key).map(|(_, latest)| latest), Some(word), "key {}", key);
        }
        // Read again, every version is one that was known.
        let before = world.latest.clone();
        world.take(&Event::Reread);
        world.read(world.partitions.len(), u64::MAX / 2);
        prop_assert_eq!(world.latest, before);
    }
}
