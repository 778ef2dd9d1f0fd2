//! What a batch must see of the base before it can be applied: loaded in three rounds, in bulk.

use domain::engine::{Need, Workspace};
use domain::ids::{AnchorId, IdKey, RecordId};
use domain::input::{Input, MessageBody};
use domain::neighbourhood::Member;
use domain::record::Change;
use domain::shard::Shard;
use runtime::store::read::{self, ReadError, StoredPerson};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// The rows behind the neighbourhoods of a workspace, as stored.
pub type Rows = BTreeMap<(Shard, AnchorId), Vec<StoredPerson>>;

/// A workspace with the stored rows its neighbourhoods came from.
#[derive(Debug, Default)]
pub struct Loader {
    /// What the batch is applied to.
    pub workspace: Workspace,
    /// The rows as they were.
    pub rows: Rows,
}

impl Loader {
    /// Loads what the entries of a batch will most likely need.
    pub async fn prefetch(
        &mut self,
        connection: &mut PgConnection,
        inputs: &[(Shard, &Input)],
        key: &IdKey,
    ) -> Result<(), ReadError> {
        let anchors = inputs
            .iter()
            .filter_map(|(shard, input)| Some((*shard, anchor_of(input, key)?)))
            .collect();
        self.neighbourhoods(connection, anchors).await?;
        let records: BTreeSet<RecordId> = inputs
            .iter()
            .filter_map(|(shard, input)| self.unseated(*shard, input, key))
            .collect();
        self.directory(connection, records).await?;
        let moved = self
            .workspace
            .directory
            .values()
            .flatten()
            .filter(|entry| !entry.deleted && self.workspace.shards.contains_key(&entry.shard))
            .map(|entry| (entry.shard, entry.anchor))
            .collect();
        self.neighbourhoods(connection, moved).await
    }

    /// Loads one thing that the prefetch did not foresee.
    pub async fn need(&mut self, connection: &mut PgConnection, need: Need) -> Result<(), ReadError> {
        match need {
            Need::Neighbourhood(shard, anchor) => self.neighbourhoods(connection, BTreeSet::from([(shard, anchor)])).await,
            Need::Directory(record) => self.directory(connection, BTreeSet::from([record])).await,
        }
    }

    /// Loads neighbourhoods that are not here yet.
    pub async fn neighbourhoods(
        &mut self,
        connection: &mut PgConnection,
        wanted: BTreeSet<(Shard, AnchorId)>,
    ) -> Result<(), ReadError> {
        let missing: Vec<(Shard, AnchorId)> = wanted.into_iter().filter(|key| !self.rows.contains_key(key)).collect();
        let stored = read::neighbourhoods(connection, &missing).await?;
        self.give(missing, stored);
        Ok(())
    }

    /// Takes rows that were read in another way; whole neighbourhoods only.
    pub fn give(&mut self, neighbourhoods: Vec<(Shard, AnchorId)>, stored: Vec<StoredPerson>) {
        let mut found: Rows = neighbourhoods.into_iter().map(|key| (key, Vec::new())).collect();
        for row in stored {
            found.entry((row.shard, row.anchor)).or_default().push(row);
        }
        for ((shard, anchor), rows) in found {
            if self.rows.contains_key(&(shard, anchor)) {
                continue;
            }
            let mut members: Vec<Member> = rows.iter().flat_map(|row| row.members.iter().cloned()).collect();
            members.sort_by_key(Member::slot);
            self.workspace.give_neighbourhood(shard, anchor, members);
            self.rows.insert((shard, anchor), rows);
        }
    }

    /// Loads and locks directory entries that are not here yet.
    pub async fn directory(&mut self, connection: &mut PgConnection, wanted: BTreeSet<RecordId>) -> Result<(), ReadError> {
        let missing: Vec<RecordId> = wanted
            .into_iter()
            .filter(|record| !self.workspace.directory.contains_key(record))
            .collect();
        let entries = read::lock_directory(connection, &missing).await?;
        for (record, entry) in entries {
            self.workspace.give_directory(record, Some(entry));
        }
        for record in missing {
            self.workspace.give_directory(record, None);
        }
        Ok(())
    }

    /// The record whose directory entry an input needs: not among the members where it belongs, or going away.
    fn unseated(&self, shard: Shard, input: &Input, key: &IdKey) -> Option<RecordId> {
        match input {
            Input::Change(Change::Upsert(record)) => {
                let loaded = self.workspace.shards.get(&shard)?.neighbourhoods.get(&record.anchor(key))?;
                loaded.home(record.id).is_none().then_some(record.id)
            }
            Input::Change(Change::Delete(deletion)) => Some(deletion.id),
            Input::Message(message) => match &message.body {
                MessageBody::ClaimOrDrop { record, .. } => Some(*record),
                MessageBody::Guest { .. } | MessageBody::Withdraw { .. } | MessageBody::Carry { .. } => None,
            },
            Input::Entity(_) | Input::Control(_) => None,
        }
    }
}

fn anchor_of(input: &Input, key: &IdKey) -> Option<AnchorId> {
    match input {
        Input::Change(Change::Upsert(record)) => Some(record.anchor(key)),
        Input::Message(message) => Some(message.anchor()),
        Input::Change(Change::Delete(_)) | Input::Entity(_) | Input::Control(_) => None,
    }
}
