//! A state of the model, in small numbers.

use domain::shard_state::ShardState;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A shard and a neighbourhood in it, by small numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The shard.
    pub shard: u8,
    /// The neighbourhood; 255 for none.
    pub anchor: u8,
}

/// A copy of a record, at home or as a guest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Copied {
    /// The record.
    pub record: u8,
    /// Its version.
    pub version: u8,
    /// What it said is unknown.
    pub is_unreadable: bool,
    /// At home, the newer version that could not be read.
    pub unread: Option<u8>,
    /// The neighbourhoods a guest came through.
    pub path: Vec<u8>,
    /// The shard that sent a guest.
    pub from: Option<u8>,
    /// Where a copy of it was sent.
    pub sent: Option<Place>,
}

/// What one shard tells another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Body {
    /// Claim or drop.
    Claim { record: u8, anchor: u8, version: u8 },
    /// A version could not be read.
    Unread { record: u8, anchor: u8, version: u8 },
    /// A guest copy.
    Guest { to: u8, copy: Copied },
    /// It belongs there no longer.
    Withdraw { to: u8, from: u8, record: u8 },
}

/// A message, with its sender and the sender's sequence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Note {
    pub from: u8,
    pub sequence: u64,
    pub body: Body,
}

/// An entry of a shard's log that was not applied yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Entry {
    /// A version of a record.
    Version { record: u8, version: u8 },
    /// A message of a shard.
    Note(Note),
    /// The complete snapshot.
    Floor,
}

/// A shard's own state: all that can differ here is named by the fields beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own(pub Arc<ShardState>);

impl Hash for Own {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Default for Own {
    fn default() -> Self {
        Self(Arc::new(ShardState::default()))
    }
}

/// A shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Store {
    pub own: Own,
    /// By sender, the last sequence heard, plus one.
    pub heard: [u64; 3],
    /// Messages sent so far, which is the next sequence.
    pub sent: u64,
    /// Whether the snapshot is known.
    pub floor: bool,
    /// Copies by neighbourhood; none is empty.
    pub members: BTreeMap<u8, Vec<Copied>>,
    /// What is left of the log.
    pub log: Vec<Entry>,
    /// Messages with their receivers; they may be relayed again while `again` allows it.
    pub outbox: Vec<(u8, Note)>,
    /// How many of them were relayed.
    pub relayed: usize,
}

/// A row of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seat {
    pub place: Place,
    /// None where no version was read yet.
    pub version: Option<u8>,
    pub deleted: bool,
    pub unread: Option<u8>,
}

/// A state of everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// Which history runs.
    pub history: usize,
    /// Versions delivered of each record.
    pub delivered: Vec<u8>,
    /// How often a version may still be delivered again.
    pub redeliveries: u8,
    /// How often a relay may still begin again.
    pub repeats: u8,
    /// Shards that the snapshot's statement has reached.
    pub told: [bool; 3],
    /// The shards.
    pub stores: [Store; 3],
    /// The directory.
    pub directory: Vec<Option<Seat>>,
    /// The newest version of each record that a shard has applied.
    pub applied: Vec<Option<u8>>,
    /// A directory entry fell.
    pub fell: bool,
}

impl State {
    /// Notes that an entry was applied; `is_read` says whether it is a version that could be read.
    pub fn note(&mut self, shard: u8, entry: &Entry, is_read: bool) {
        let store = &mut self.stores[usize::from(shard)];
        store.log.remove(0);
        match entry {
            Entry::Version { .. } if !is_read => (),
            Entry::Version { record, version } => {
                let applied = &mut self.applied[usize::from(*record)];
                *applied = (*applied).max(Some(*version));
            }
            Entry::Note(note) => {
                let heard = &mut store.heard[usize::from(note.from)];
                *heard = (*heard).max(note.sequence + 1);
            }
            Entry::Floor => store.floor = true,
        }
    }

    /// Home copies of a record.
    pub fn homes(&self, record: u8) -> impl Iterator<Item = (Place, u8)> {
        (0u8..).zip(&self.stores).flat_map(move |(shard, store)| {
            let copies = store
                .members
                .iter()
                .flat_map(|(anchor, copies)| copies.iter().map(|copy| (*anchor, copy)));
            copies
                .filter(move |(_, copy)| copy.record == record && copy.path.is_empty())
                .map(move |(anchor, copy)| (Place { shard, anchor }, copy.version))
        })
    }

    /// At rest a home copy is marked with the newest unread version, if that is the newer one; whoever could not be read keeps an entry.
    pub fn marks_agree(&self) -> bool {
        (0u8..).zip(&self.directory).all(|(record, seat)| {
            let unread = seat.and_then(|seat| seat.unread);
            let copies = self.stores.iter().flat_map(|store| store.members.values().flatten());
            let mut homes = copies.filter(|copy| copy.record == record && copy.path.is_empty());
            homes.all(|copy| {
                let newer = unread.filter(|unread| *unread > copy.version);
                copy.unread == newer && copy.is_unreadable == newer.is_some()
            })
        })
    }

    /// Guest copies of a record.
    pub fn guests(&self, record: u8) -> impl Iterator<Item = &Copied> {
        let copies = self.stores.iter().flat_map(|store| store.members.values().flatten());
        copies.filter(move |copy| copy.record == record && !copy.path.is_empty())
    }

    /// Whether the first record was claimed, or deleted, with an older version than some home copy has.
    pub fn overtaken(&self, deleted: bool) -> bool {
        self.directory[0]
            .is_some_and(|seat| seat.deleted == deleted && self.homes(0).any(|(_, version)| Some(version) > seat.version))
    }

    /// Every copy.
    pub fn copies(&self) -> BTreeMap<Place, Vec<Copied>> {
        let of = |(shard, store): (u8, &Store)| {
            let copies = store.members.clone().into_iter();
            copies.map(move |(anchor, copies)| (Place { shard, anchor }, copies))
        };
        (0u8..).zip(&self.stores).flat_map(of).collect()
    }

    /// Every home copy sits where the directory says, and nothing else sits anywhere.
    pub fn directory_agrees(&self) -> bool {
        (0u8..).zip(&self.directory).all(|(record, seat)| {
            let mut homes = self.homes(record);
            match seat.filter(|seat| !seat.deleted) {
                Some(seat) => {
                    homes
                        .next()
                        .is_some_and(|(place, version)| place == seat.place && Some(version) >= seat.version)
                        && homes.next().is_none()
                }
                None => homes.next().is_none(),
            }
        })
    }

    /// Whenever the directory names a place for a record, a home copy at least as new as the claim is there.
    pub fn seats_are_taken(&self) -> bool {
        (0u8..).zip(&self.directory).all(|(record, seat)| {
            seat.is_none_or(|seat| {
                seat.deleted
                    || self
                        .homes(record)
                        .any(|(place, version)| place == seat.place && Some(version) >= seat.version)
            })
        })
    }
}
