//! A neighbourhood while a batch changes it.

use crate::date::Timestamp;
use crate::ids::RecordId;
use crate::neighbourhood::{Member, Slot};
use crate::source::Version;

/// A neighbourhood in a workspace.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// When it was loaded, the members that are guests or were sent elsewhere: nothing else is asked of what was.
    pub before: Vec<Member>,
    /// Members now.
    pub members: Vec<Member>,
    /// Set once something changed: the newest append time among the causes.
    pub touched: Option<Timestamp>,
}

impl Loaded {
    pub(super) fn new(members: Vec<Member>) -> Self {
        let travels = |member: &&Member| member.is_guest() || member.sent.is_some();
        Self {
            before: members.iter().filter(travels).cloned().collect(),
            members,
            touched: None,
        }
    }

    pub(super) fn touch(&mut self, at: Timestamp) {
        self.touched = Some(self.touched.map_or(at, |before| before.max(at)));
    }

    /// The home copy of a record, if it is here.
    pub fn home(&self, record: RecordId) -> Option<&Member> {
        let found = self.members.binary_search_by_key(&(record, None), Member::slot).ok()?;
        Some(&self.members[found])
    }

    pub(super) fn put(&mut self, member: Member, at: Timestamp) {
        self.touch(at);
        match self.members.binary_search_by_key(&member.slot(), Member::slot) {
            Ok(found) => self.members[found] = member,
            Err(place) => self.members.insert(place, member),
        }
    }

    /// Marks the home copy of a record, if it is here and older than a version of which only the key could be read.
    pub(super) fn mark_home(&mut self, record: RecordId, unread: Version, at: Timestamp) {
        let Some(held) = self.home(record) else { return };
        let marked = held.marked(unread);
        if marked != *held {
            self.put(marked, at);
        }
    }

    pub(super) fn remove_home(&mut self, record: RecordId, at: Timestamp) {
        self.remove((record, None), at);
    }

    pub(super) fn remove(&mut self, slot: Slot, at: Timestamp) {
        if let Ok(found) = self.members.binary_search_by_key(&slot, Member::slot) {
            self.touch(at);
            self.members.remove(found);
        }
    }
}
