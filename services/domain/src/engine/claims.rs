//! Claims: who holds a record, by the directory (ARCHITECTURE.md, Where a record lives).

use super::{Missing, Workspace};
use crate::date::Timestamp;
use crate::ids::{AnchorId, IdKey, RecordId};
use crate::input::{MessageBody, SnapshotFloor};
use crate::shard::Shard;
use crate::source::{Source, TableName, Version};

/// A row of the directory (目录): where a record was last claimed. In-place updates do not raise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The shard that claimed it.
    pub shard: Shard,
    /// The neighbourhood there; meaningless when deleted.
    pub anchor: AnchorId,
    /// The version it was claimed with; the lowest where none was, see [`Self::never_read`].
    pub version: Version,
    /// The claim was a delete, or none was: no copy exists.
    pub deleted: bool,
    /// The newest version of which only the key could be read, if there was one, whatever was claimed since: a claim that is older
    /// stands for a row that is unreadable now.
    pub unread: Option<Version>,
}

impl DirectoryEntry {
    /// The entry of a record of which nothing but its key could be read so far; `shard` is where that was said.
    pub fn never_read(shard: Shard, unread: Version) -> Self {
        Self {
            shard,
            anchor: AnchorId::default(),
            version: Version::default(),
            deleted: true,
            unread: Some(unread),
        }
    }

    /// The version it was claimed with; `None` before the first claim.
    pub fn claimed(&self) -> Option<Version> {
        // A delete at the very first position looks the same, and no version is older than that one.
        let never = self.deleted && self.unread.is_some() && self.version == Version::default();
        (!never).then_some(self.version)
    }

    /// Whether a shard holds the record there.
    pub(super) fn seats(&self, shard: Shard, anchor: AnchorId) -> bool {
        !self.deleted && self.shard == shard && self.anchor == anchor
    }
}

impl Workspace {
    /// Removes a copy that a complete snapshot says is gone.
    pub fn retire(
        &mut self,
        shard: Shard,
        anchor: AnchorId,
        record: RecordId,
        floor: &SnapshotFloor,
        at: Timestamp,
        key: &IdKey,
    ) -> Result<(), Missing> {
        let held = self.loaded(shard, anchor)?.home(record).map(|member| &member.record);
        let Some(version) = held.filter(|held| floor.retires_record(held, key)).map(|held| held.version) else {
            return Ok(());
        };
        let entry = self.entry(record)?;
        self.loaded(shard, anchor)?.remove_home(record, at);
        // Whoever claimed it since knows better than this copy.
        if let Some(entry) = entry.filter(|entry| entry.seats(shard, anchor)) {
            self.enter(
                record,
                DirectoryEntry {
                    version,
                    deleted: true,
                    ..entry
                },
            );
        }
        Ok(())
    }

    /// Claims with the version really held, or drops the copy (ARCHITECTURE.md, Where a record lives).
    pub(super) fn claim_or_drop(
        &mut self,
        shard: Shard,
        record: RecordId,
        anchor: AnchorId,
        at: Timestamp,
    ) -> Result<(), Missing> {
        let Some(held) = self.home_version(shard, anchor, record)? else {
            return Ok(());
        };
        let Some(entry) = self.entry(record)? else { return Ok(()) };
        if entry.seats(shard, anchor) {
            return Ok(());
        }
        if entry.version >= held {
            self.loaded(shard, anchor)?.remove_home(record, at);
            return Ok(());
        }
        if !entry.deleted && entry.shard == shard {
            // Its copy may be newer than its claim, and newer than this one.
            if self
                .home_version(shard, entry.anchor, record)?
                .is_some_and(|seated| seated >= held)
            {
                self.loaded(shard, anchor)?.remove_home(record, at);
                return Ok(());
            }
            self.loaded(shard, entry.anchor)?.remove_home(record, at);
        }
        self.unseat(shard, record, entry, held, at);
        // A decision that came while the directory named another place has not touched this one.
        self.loaded(shard, anchor)?.touch(at);
        // What was said of an unread version meanwhile went to whom the directory named.
        if let Some(unread) = entry.unread {
            self.loaded(shard, anchor)?.mark_home(record, unread, at);
        }
        self.seat(record, (shard, anchor), held, Some(entry));
        Ok(())
    }

    /// Tells the shard that loses a record.
    pub(super) fn unseat(
        &mut self,
        shard: Shard,
        record: RecordId,
        entry: DirectoryEntry,
        version: Version,
        appended_at: Timestamp,
    ) {
        if !entry.deleted && entry.shard != shard {
            let body = MessageBody::ClaimOrDrop {
                record,
                anchor: entry.anchor,
                version,
                appended_at,
            };
            self.work(shard).send(shard, entry.shard, body);
        }
    }

    /// Notes a table in which a record stands in two partitions: by its versions that the directory knows.
    pub(super) fn watch_entry(&mut self, (source, table): (Source, &TableName), version: Version, entry: &DirectoryEntry) {
        for known in [entry.claimed(), entry.unread].into_iter().flatten() {
            self.watch_partition(source, table, version, known);
        }
    }

    pub(super) fn watch_partition(&mut self, source: Source, table: &TableName, version: Version, known: Version) {
        if version.epoch == known.epoch && version.partition != known.partition {
            let versions = self.strays.entry((source, table.clone())).or_default();
            versions.push([known, version]);
        }
    }

    /// Claims a record for a neighbourhood.
    pub(super) fn seat(
        &mut self,
        record: RecordId,
        (shard, anchor): (Shard, AnchorId),
        version: Version,
        before: Option<DirectoryEntry>,
    ) {
        self.enter(
            record,
            DirectoryEntry {
                shard,
                anchor,
                version,
                deleted: false,
                unread: before.and_then(|before| before.unread),
            },
        );
    }

    /// Writes a directory entry.
    pub(super) fn enter(&mut self, record: RecordId, entry: DirectoryEntry) {
        if self.directory.get(&record) == Some(&None) {
            self.created.insert(record);
        }
        self.directory.insert(record, Some(entry));
        self.claimed.insert(record, entry);
    }

    pub(super) fn entry(&self, record: RecordId) -> Result<Option<DirectoryEntry>, Missing> {
        self.directory.get(&record).copied().ok_or(Missing::Directory(record))
    }
}
