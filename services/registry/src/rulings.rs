//! Decisions in a batch: the rulings a shard stands under, and the neighbourhoods that new ones reach
//! (ARCHITECTURE.md, Identity).

use crate::load::Loader;
use crate::write::Keys;
use domain::date::Timestamp;
use domain::decision::Rulings;
use domain::ids::{AnchorId, RecordId};
use domain::neighbourhood::Member;
use domain::shard::Shard;
use runtime::store::decisions;
use runtime::store::read::ReadError;
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Rulings held in memory: shards hear of a decision one after the other, so two or three sets are in use at a time.
const HELD: usize = 8;

/// Rulings by the digest of their decisions: equal sets are read once, not with every batch and not once per shard.
#[derive(Debug, Default, Clone)]
pub struct Cache(Arc<Mutex<BTreeMap<u64, Arc<Rulings>>>>);

impl Cache {
    /// The rulings of a shard whose decisions have this digest.
    pub(crate) async fn of(&self, connection: &mut PgConnection, shard: Shard, digest: u64) -> Result<Arc<Rulings>, ReadError> {
        if let Some(held) = self.0.lock().expect("no panic holds this lock").get(&digest) {
            return Ok(Arc::clone(held));
        }
        let rulings = Arc::new(decisions::rulings(connection, shard).await?);
        let mut held = self.0.lock().expect("no panic holds this lock");
        if held.len() >= HELD {
            held.clear();
        }
        held.insert(digest, Arc::clone(&rulings));
        Ok(rulings)
    }
}

/// Takes up the decisions of a batch: touches every neighbourhood of its shards that holds a record concerned, or a copy of one.
pub(crate) async fn take_up(connection: &mut PgConnection, loader: &mut Loader, at: Timestamp) -> Result<(), ReadError> {
    for (shard, records) in loader.workspace.rule() {
        let mut places: BTreeSet<AnchorId> = BTreeSet::new();
        // What this batch has claimed is not in the store yet.
        let claimed = loader.workspace.claimed.iter().filter(|(record, _)| records.contains(record));
        places.extend(
            claimed
                .filter(|(_, entry)| entry.shard == shard && !entry.deleted)
                .map(|(_, entry)| entry.anchor),
        );
        let keys: Vec<&[u8]> = records.iter().map(|record| record.bytes().as_slice()).collect();
        let rows = sqlx::query(
            "select anchor from store.directory where record = any($2) and shard = $1 and not deleted
             union select anchor from store.guest where shard = $1 and record = any($2)",
        )
        .bind(i16::from(shard.number()))
        .bind(keys)
        .fetch_all(&mut *connection)
        .await?;
        for row in &rows {
            places.extend(AnchorId::from_slice(row.try_get("anchor")?));
        }
        loader
            .neighbourhoods(connection, places.iter().map(|anchor| (shard, *anchor)).collect())
            .await?;
        for anchor in places {
            if loader.workspace.touch(shard, anchor, at).is_err() {
                tracing::error!(%shard, "a neighbourhood that a decision reaches was not loaded");
            }
        }
    }
    Ok(())
}

/// Keeps the decisions of the batch, and where guest copies now are.
pub(crate) async fn keep(connection: &mut PgConnection, loader: &Loader) -> sqlx::Result<()> {
    let (mut come, mut gone) = (Keys::default(), Keys::default());
    for (shard, work) in &loader.workspace.shards {
        if !work.decided.is_empty() {
            decisions::keep(connection, *shard, &work.decided).await?;
        }
        for (anchor, loaded) in &work.neighbourhoods {
            let (before, now) = (guests(&loaded.before), guests(&loaded.members));
            for record in now.difference(&before) {
                come.push(*shard, anchor.bytes(), record.bytes());
            }
            for record in before.difference(&now) {
                gone.push(*shard, anchor.bytes(), record.bytes());
            }
        }
    }
    let delete = "delete from store.guest g using unnest($1::smallint[], $2::bytea[], $3::bytea[]) as k(shard, anchor, record)
                  where g.shard = k.shard and g.record = k.record and g.anchor = k.anchor";
    gone.run(connection, delete).await?;
    let insert = "insert into store.guest (shard, anchor, record) select * from unnest($1::smallint[], $2::bytea[], $3::bytea[])";
    come.run(connection, insert).await
}

fn guests(members: &[Member]) -> BTreeSet<RecordId> {
    members
        .iter()
        .filter(|member| member.is_guest())
        .map(|member| member.record.id)
        .collect()
}
