//! The incremental path: how one entry of a shard's log changes the base (ARCHITECTURE.md, Where a record lives).
//!
//! A [`Workspace`] holds what a batch has loaded of the base; [`Workspace::apply`] changes it, entry by entry, and says what else
//! it needs to see. The registry loads and stores; the rules are here and do no I/O, so that tests run the same code in memory.
//!
//! Invariants, whatever the order of arrival (checked by the property tests of this crate):
//! - at rest each record that is not deleted has exactly one home copy, of its newest version, where the directory says;
//! - a directory entry's versions, the claimed one and the unread one, only rise;
//! - a record appears in its new place before it disappears from the old one.

mod claims;
mod guests;
mod loaded;
mod shard_work;
mod unread;

pub use claims::DirectoryEntry;
pub(crate) use guests::send_away;
pub use loaded::Loaded;
pub use shard_work::ShardWork;

use guests::guest_messages;

use crate::date::Timestamp;
use crate::ids::{AnchorId, IdKey, RecordId};
use crate::input::{Input, Message, MessageBody};
use crate::neighbourhood::Member;
use crate::record::{Change, Deletion, SourceRecord};
use crate::shard::Shard;
use crate::source::{Strays, Version};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What an entry of the log came to, for the books (对账).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is the newest version and changed the base.
    Applied,
    /// A newer version was here already.
    Superseded,
    /// This very version was here already.
    Repeated,
    /// A message between shards or a statement of the clock: no source record.
    Control,
}

/// Something the workspace must be given before an entry can be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Missing {
    /// The neighbourhood's members.
    Neighbourhood(Shard, AnchorId),
    /// The record's directory entry, locked.
    Directory(RecordId),
}

/// What a batch holds of the base.
#[derive(Debug, Default, Clone)]
pub struct Workspace {
    /// Directory entries that were loaded (and locked); `None` where the record is new.
    pub directory: HashMap<RecordId, Option<DirectoryEntry>>,
    /// Records that had no entry when they were loaded.
    created: BTreeSet<RecordId>,
    /// Records whose directory entry changed.
    pub claimed: BTreeMap<RecordId, DirectoryEntry>,
    /// Tables in which a key appeared in a second partition within an epoch: their positions are no longer comparable.
    pub strays: Strays,
    /// The shards of the batch.
    pub shards: BTreeMap<Shard, ShardWork>,
}

impl Workspace {
    /// Adds a shard, of which nothing is loaded yet.
    pub fn open(&mut self, shard: Shard, work: ShardWork) {
        self.shards.insert(shard, work);
    }

    /// Gives the members of a neighbourhood, as stored.
    ///
    /// # Panics
    /// When the shard was not opened.
    pub fn give_neighbourhood(&mut self, shard: Shard, anchor: AnchorId, members: Vec<Member>) {
        let work = self.shards.get_mut(&shard).expect("the shard is open");
        work.neighbourhoods.entry(anchor).or_insert_with(|| Loaded::new(members));
    }

    /// Gives the directory entry of a record, as stored and locked.
    pub fn give_directory(&mut self, record: RecordId, entry: Option<DirectoryEntry>) {
        self.directory.entry(record).or_insert(entry);
    }

    /// Applies one entry of `shard`'s log, which the broker appended at `logged_at`.
    ///
    /// # Errors
    /// Says what is needed first; nothing has changed then, and the entry can be applied again.
    pub fn apply(&mut self, shard: Shard, input: &Input, logged_at: Timestamp, key: &IdKey) -> Result<Outcome, Missing> {
        match input {
            Input::Change(Change::Upsert(record)) => self.upsert(shard, record, logged_at, key),
            Input::Change(Change::Delete(deletion)) => self.delete(shard, deletion, logged_at),
            Input::Change(Change::Unread(unread)) => self.unread(shard, unread, logged_at),
            // Entities are rows of their own; their store compares versions itself.
            Input::Entity(_) => Ok(Outcome::Applied),
            Input::Message(message) => {
                if !self.work(shard).state.counts(message) {
                    return Ok(Outcome::Control);
                }
                self.message(shard, message)?;
                self.work(shard).state.see(message);
                Ok(Outcome::Control)
            }
            Input::Control(control) => {
                self.work(shard).accept(control, logged_at);
                Ok(Outcome::Control)
            }
        }
    }

    /// Takes up the decisions of the batch; says which records they may place elsewhere. Every neighbourhood that holds one of them,
    /// or a copy, must then be touched. Called once, after the entries were applied.
    pub fn rule(&mut self) -> BTreeMap<Shard, BTreeSet<RecordId>> {
        let mut concerned = BTreeMap::new();
        for (shard, work) in &mut self.shards {
            if work.decided.is_empty() {
                continue;
            }
            let rulings = work.rulings.with(work.decided.clone());
            concerned.insert(*shard, rulings.changed(&work.rulings));
            work.state.decisions = rulings.digest();
            work.rulings = Arc::new(rulings);
        }
        concerned
    }

    /// Marks a neighbourhood as changed by the date or a decision alone.
    pub fn touch(&mut self, shard: Shard, anchor: AnchorId, at: Timestamp) -> Result<(), Missing> {
        self.loaded(shard, anchor)?.touch(at);
        Ok(())
    }

    fn upsert(&mut self, shard: Shard, record: &Arc<SourceRecord>, at: Timestamp, key: &IdKey) -> Result<Outcome, Missing> {
        let (anchor, version) = (record.anchor(key), record.version);
        if self.work(shard).state.is_retired(record, key) {
            return Ok(Outcome::Superseded);
        }
        let here = self.loaded(shard, anchor)?.home(record.id);
        if let Some((held, unread)) = here.map(|member| (member.record.version, member.unread)) {
            self.watch_partition(record.source, &record.table, version, held);
            if held >= version {
                return Ok(older_than(version, held));
            }
            self.loaded(shard, anchor)?.put(Member::read(record, unread), at);
            return Ok(Outcome::Applied);
        }
        let entry = self.entry(record.id)?;
        if let Some(entry) = entry {
            self.watch_entry((record.source, &record.table), version, &entry);
            if let Some(claimed) = entry.claimed().filter(|claimed| *claimed >= version) {
                return Ok(older_than(version, claimed));
            }
            if !entry.deleted && entry.shard == shard {
                // It moved within the shard; the copy there may be newer than its claim.
                if let Some(held) = self.home_version(shard, entry.anchor, record.id)? {
                    if held >= version {
                        return Ok(older_than(version, held));
                    }
                    self.loaded(shard, entry.anchor)?.remove_home(record.id, at);
                }
            }
            self.unseat(shard, record.id, entry, version, at);
        }
        let unread = entry.and_then(|entry| entry.unread);
        self.loaded(shard, anchor)?.put(Member::read(record, unread), at);
        self.seat(record.id, (shard, anchor), version, entry);
        Ok(Outcome::Applied)
    }

    fn delete(&mut self, shard: Shard, deletion: &Deletion, at: Timestamp) -> Result<Outcome, Missing> {
        let (record, version) = (deletion.id, deletion.version);
        let mut anchor = AnchorId::default();
        let before = self.entry(record)?;
        if let Some(entry) = before {
            self.watch_entry((deletion.source, &deletion.table), version, &entry);
            if let Some(claimed) = entry.claimed().filter(|claimed| *claimed >= version) {
                return Ok(older_than(version, claimed));
            }
            if !entry.deleted && entry.shard == shard {
                anchor = entry.anchor;
                if let Some(held) = self.home_version(shard, anchor, record)? {
                    if held >= version {
                        return Ok(older_than(version, held));
                    }
                    self.loaded(shard, anchor)?.remove_home(record, at);
                }
            }
            self.unseat(shard, record, entry, version, at);
        }
        let unread = before.and_then(|before| before.unread);
        self.enter(
            record,
            DirectoryEntry {
                shard,
                anchor,
                version,
                deleted: true,
                unread,
            },
        );
        Ok(Outcome::Applied)
    }

    fn message(&mut self, shard: Shard, message: &Message) -> Result<(), Missing> {
        match &message.body {
            MessageBody::ClaimOrDrop {
                record,
                anchor,
                appended_at,
                ..
            } => self.claim_or_drop(shard, *record, *anchor, *appended_at),
            MessageBody::Guest { to, guest, appended_at } => {
                let at = guest.record.appended_at.max(*appended_at);
                let copy = Member::guest(message.from, guest.clone());
                self.loaded(shard, *to)?.put(copy, at);
                Ok(())
            }
            MessageBody::Withdraw {
                to,
                from,
                record,
                appended_at,
            } => {
                self.loaded(shard, *to)?
                    .remove((*record, Some((message.from, *from))), *appended_at);
                Ok(())
            }
            MessageBody::Unread {
                record,
                anchor,
                version,
                appended_at,
            } => {
                self.loaded(shard, *anchor)?.mark_home(*record, *version, *appended_at);
                Ok(())
            }
            MessageBody::Carry { to, about } => {
                self.work(shard).carried.extend(about.iter().map(|about| (*to, *about)));
                Ok(())
            }
        }
    }

    /// Records that had no directory entry before this batch.
    pub fn is_new(&self, record: &RecordId) -> bool {
        self.created.contains(record)
    }

    /// Queues a message of `from` beside those of the engine itself.
    pub fn send(&mut self, from: Shard, to: Shard, body: MessageBody) {
        self.work(from).send(from, to, body);
    }

    fn home_version(&mut self, shard: Shard, anchor: AnchorId, record: RecordId) -> Result<Option<Version>, Missing> {
        Ok(self.loaded(shard, anchor)?.home(record).map(|member| member.record.version))
    }

    fn loaded(&mut self, shard: Shard, anchor: AnchorId) -> Result<&mut Loaded, Missing> {
        self.work(shard)
            .neighbourhoods
            .get_mut(&anchor)
            .ok_or(Missing::Neighbourhood(shard, anchor))
    }

    fn work(&mut self, shard: Shard) -> &mut ShardWork {
        self.shards.get_mut(&shard).expect("the shard is open")
    }

    /// Sends, withdraws and replaces guest copies as the touched neighbourhoods now place their members. Called once, at the end of a batch.
    pub fn settle(&mut self, key: &IdKey) {
        for (shard, work) in &mut self.shards {
            let rulings = Arc::clone(&work.rulings);
            let mut touched: Vec<(AnchorId, Vec<(Shard, MessageBody)>)> = work
                .neighbourhoods
                .iter_mut()
                .filter_map(|(anchor, loaded)| {
                    let at = loaded.touched?;
                    Some((*anchor, guest_messages(*anchor, loaded, at, &rulings, key)))
                })
                .collect();
            // The order of a hash map is no order to send in.
            touched.sort_unstable_by_key(|(anchor, _)| *anchor);
            for (to, body) in touched.into_iter().flat_map(|(_, messages)| messages) {
                work.send(*shard, to, body);
            }
        }
    }
}

fn older_than(version: Version, held: Version) -> Outcome {
    if version == held {
        Outcome::Repeated
    } else {
        Outcome::Superseded
    }
}
