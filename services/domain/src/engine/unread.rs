//! Versions of which only the key could be read: what they say to whoever holds the record (ARCHITECTURE.md, Where a record lives).
//!
//! A record has two newest versions, one that could be read and one that could not, and each is joined for itself: whatever the order of
//! arrival, the copy is marked as soon as, and as long as, the unread version is the newer one. The directory keeps the unread one, because
//! a version that is older and arrives later must be placed marked, and because it alone knows who holds the record.

use super::{DirectoryEntry, Missing, Outcome, Workspace, older_than};
use crate::date::Timestamp;
use crate::input::MessageBody;
use crate::record::Unread;
use crate::shard::Shard;

impl Workspace {
    pub(super) fn unread(&mut self, shard: Shard, unread: &Unread, at: Timestamp) -> Result<Outcome, Missing> {
        let (record, version) = (unread.id, unread.version);
        let Some(entry) = self.entry(record)? else {
            self.enter(record, DirectoryEntry::never_read(shard, version));
            return Ok(Outcome::Applied);
        };
        self.watch_entry((unread.source, &unread.table), version, &entry);
        if let Some(known) = entry.unread.filter(|known| *known >= version) {
            return Ok(older_than(version, known));
        }
        let mut newest = entry.claimed();
        if !entry.deleted && entry.shard == shard {
            newest = newest.max(self.home_version(shard, entry.anchor, record)?);
            self.loaded(shard, entry.anchor)?.mark_home(record, version, at);
        } else if !entry.deleted && entry.version < version {
            // Whoever claims it from here on reads the directory; who holds it now is told.
            let body = MessageBody::Unread {
                record,
                anchor: entry.anchor,
                version,
                appended_at: at,
            };
            self.work(shard).send(shard, entry.shard, body);
        }
        // Also below the claim: what the directory says must not depend on the order of arrival.
        self.enter(
            record,
            DirectoryEntry {
                unread: Some(version),
                ..entry
            },
        );
        Ok(match newest.filter(|newest| *newest >= version) {
            Some(newest) => older_than(version, newest),
            None => Outcome::Applied,
        })
    }
}
