//! One micro-batch: the entries of some shards' logs, applied in one transaction (ARCHITECTURE.md, Exactly once).
//!
//! Steps, all inside the transaction, so that all of them or none happen: lock and compare positions; decode; load; apply; work off
//! what is due; settle guests; describe the touched neighbourhoods; write rows; release; append the source log; raise positions.
//! Repeating a batch after a failure is safe: what was committed lies below the position and is skipped.

use crate::announce;
use crate::carry;
use crate::difference::{Difference, differences};
use crate::entries::Entry;
use crate::load::Loader;
use crate::rulings;
use crate::write;
use domain::base::describe;
use domain::date::Timestamp;
use domain::engine::Outcome;
use domain::ids::{AnchorId, IdKey};
use domain::input::{Control, Input, Message, SnapshotFloor};
use domain::policy::Policy;
use domain::release::facts_at_start_of;
use domain::shard::Shard;
use runtime::store::read::{self, ReadError};
use sqlx::{Connection, PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};

/// Persons due by date that one batch works off, so that live traffic is never far behind.
const DUE_PER_BATCH: i64 = 2_000;

/// What every batch needs besides its entries.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The key of identifiers.
    pub key: IdKey,
    /// The policy in force.
    pub policy: Policy,
    /// What decisions come to.
    pub rulings: rulings::Cache,
}

/// What a batch came to.
#[derive(Debug, Default)]
pub struct Applied {
    /// Messages to relay, in order per sender.
    pub messages: Vec<(Shard, Message)>,
    /// Shards that still have persons due.
    pub due: BTreeSet<Shard>,
    /// Entries by outcome, for metrics.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Events written to the outbox.
    pub events: usize,
}

/// A batch was not applied; nothing of it is in the base.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The store could not be read or written; the batch may be tried again on a new connection.
    #[error(transparent)]
    Store(#[from] ReadError),
    /// Another process owns a shard of the batch.
    #[error("shard {shard} is applied by another process (backend {owner:?})")]
    NotOwner {
        /// The shard.
        shard: Shard,
        /// The backend its row names.
        owner: Option<i32>,
    },
    /// This process has an older policy than the base.
    #[error("the base stands under policy version {known}, this process has version {version}: give it the newer policy file")]
    OlderPolicy {
        /// The version the base was described under.
        known: u32,
        /// The version of this process.
        version: u32,
    },
    /// Entries are missing between the base and the log.
    #[error(
        "shard {shard}: the log goes on at {found}, the base stands at {expected}: entries are missing and must not be skipped"
    )]
    Gap {
        /// The shard.
        shard: Shard,
        /// The base's position.
        expected: i64,
        /// The log's next entry.
        found: i64,
    },
}

impl From<sqlx::Error> for BatchError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An entry with what it says, as it goes to the source log.
pub(crate) struct Logged<'a> {
    pub entry: &'a Entry,
    /// `None` when it cannot be decoded: kept in the log as it came.
    pub input: Option<Input>,
    pub outcome: Option<Outcome>,
}

/// Applies `entries` (in order of position per shard) and works off what is due in `shards`.
///
/// # Errors
/// See [`BatchError`]; the transaction is rolled back.
pub async fn apply(
    connection: &mut PgConnection,
    rules: &Rules,
    backend: i32,
    shards: &BTreeSet<Shard>,
    due: &BTreeSet<Shard>,
    entries: &[Entry],
) -> Result<Applied, BatchError> {
    let mut transaction = connection.begin().await?;
    let stored = read::lock_shards(&mut transaction, &shards.iter().copied().collect::<Vec<_>>()).await?;
    let mut loader = Loader::default();
    let mut positions: BTreeMap<Shard, i64> = BTreeMap::new();
    let mut outbox: BTreeMap<Shard, i64> = BTreeMap::new();
    for row in stored {
        if row.owner != Some(backend) {
            return Err(BatchError::NotOwner {
                shard: row.shard,
                owner: row.owner,
            });
        }
        positions.insert(row.shard, row.position);
        outbox.insert(row.shard, row.outbox_next);
        let standing = rules.rulings.of(&mut transaction, row.shard, row.state.decisions).await?;
        loader.workspace.open(row.shard, row.state, standing);
    }
    runtime::failpoint::reach("registry.locked");
    let mut logged = decode(entries, &mut positions)?;
    let now = newest(entries, &loader);

    let inputs: Vec<(Shard, &Input)> = logged
        .iter()
        .filter_map(|logged| Some((logged.entry.shard, logged.input.as_ref()?)))
        .collect();
    loader.prefetch(&mut transaction, &inputs, &rules.key).await?;
    runtime::failpoint::reach("registry.loaded");
    let mut employers = Vec::new();
    let mut gates = Gates::default();
    for logged in &mut logged {
        let Some(input) = &logged.input else { continue };
        let shard = logged.entry.shard;
        // A go-live said twice must not make a baseline of what is on its way to being news.
        let heard = matches!(input, Input::Control(control) if loader.workspace.shards[&shard].state.has_heard(control));
        logged.outcome = Some(loop {
            match loader.workspace.apply(shard, input, &rules.key) {
                Ok(outcome) => break outcome,
                Err(need) => loader.need(&mut transaction, need).await?,
            }
        });
        match input {
            Input::Entity(entity) => employers.push((shard, entity.clone())),
            Input::Control(control) if !heard => gates.note(shard, control, Timestamp(logged.entry.logged_at)),
            Input::Change(_) | Input::Message(_) | Input::Control(_) => {}
        }
    }
    for (shard, floor, at) in std::mem::take(&mut gates.snapshots) {
        retire(&mut transaction, &mut loader, rules, shard, &floor, at).await?;
    }
    rulings::take_up(&mut transaction, &mut loader, now).await?;
    for shard in loader.workspace.shards.keys().copied().collect::<Vec<_>>() {
        adopt_policy(&mut transaction, &mut loader, shard, rules.policy.version).await?;
    }
    // A baseline is what is open today: whoever is due in a shard that goes live comes first, all of them.
    let going_live = gates.live.iter().map(|(shard, _)| *shard).collect();
    work_off(&mut transaction, &mut loader, &going_live, i64::MAX).await?;
    let mut still_due = work_off(&mut transaction, &mut loader, due, DUE_PER_BATCH).await?;
    // Who is due since a tick of this batch follows in the next ones: live traffic does not wait for a date.
    still_due.extend(&gates.ticked);
    loader.workspace.settle(&rules.key);
    runtime::failpoint::reach("registry.applied");

    let differences = describe_touched(&loader, rules);
    runtime::failpoint::reach("registry.described");
    write::persons(&mut transaction, &differences).await?;
    runtime::failpoint::reach("registry.persons-written");
    write::hold_strays(&mut transaction, &loader.workspace).await?;
    write::directory(&mut transaction, &loader.workspace).await?;
    runtime::failpoint::reach("registry.directory-written");
    rulings::keep(&mut transaction, &loader).await?;
    write::employers(&mut transaction, &mut employers, &mut logged).await?;
    let events = announce::announce(&mut transaction, &loader, rules, &differences, &gates, &mut outbox, now).await?;
    runtime::failpoint::reach("registry.announced");
    carry::carry(&mut transaction, &mut loader, &differences, now).await?;
    runtime::failpoint::reach("registry.carried");
    let messages = write::messages(&mut transaction, &mut loader.workspace).await?;
    runtime::failpoint::reach("registry.messages-written");
    write::log(&mut transaction, &logged).await?;
    runtime::failpoint::reach("registry.logged");
    write::positions(&mut transaction, &loader.workspace, &positions, &outbox).await?;
    runtime::failpoint::reach("registry.positions-written");
    transaction.commit().await?;
    runtime::failpoint::reach("registry.committed");

    let mut applied = Applied {
        messages,
        due: still_due,
        events,
        ..Applied::default()
    };
    for logged in &logged {
        *applied.outcomes.entry(write::outcome_name(logged.outcome)).or_default() += 1;
    }
    Ok(applied)
}

/// The time of a batch: when the broker appended its newest entry, or when the date began that it works off.
fn newest(entries: &[Entry], loader: &Loader) -> Timestamp {
    let dates = loader
        .workspace
        .shards
        .values()
        .map(|work| facts_at_start_of(work.state.business_date()));
    entries
        .iter()
        .map(|entry| Timestamp(entry.logged_at))
        .chain(dates)
        .max()
        .unwrap_or(Timestamp(0))
}

/// Decodes the entries that the base does not have yet, and raises the positions past them.
fn decode<'a>(entries: &'a [Entry], positions: &mut BTreeMap<Shard, i64>) -> Result<Vec<Logged<'a>>, BatchError> {
    let mut logged = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(position) = positions.get_mut(&entry.shard) else {
            continue;
        };
        if entry.position < *position {
            continue;
        }
        if entry.position > *position {
            return Err(BatchError::Gap {
                shard: entry.shard,
                expected: *position,
                found: entry.position,
            });
        }
        *position += 1;
        let input = schemas::codec::decode_input(&entry.body)
            .inspect_err(|error| tracing::error!(shard = %entry.shard, position = entry.position, %error, "an entry cannot be decoded; it stays in the source log"))
            .ok();
        logged.push(Logged {
            entry,
            input,
            outcome: None,
        });
    }
    Ok(logged)
}

/// What the controls of a batch ask for beyond the shard's state.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    /// Shards whose date rose.
    ticked: BTreeSet<Shard>,
    /// Shards that learned of completeness: pending differences may be released.
    pub complete: BTreeSet<Shard>,
    /// Regions that went live.
    pub live: Vec<(Shard, domain::division::City)>,
    snapshots: Vec<(Shard, SnapshotFloor, Timestamp)>,
}

impl Gates {
    fn note(&mut self, shard: Shard, control: &Control, at: Timestamp) {
        match control {
            Control::BusinessDate(_) => {
                self.ticked.insert(shard);
            }
            Control::Completeness(_) => {
                self.complete.insert(shard);
            }
            Control::GoLive(city) => self.live.push((shard, *city)),
            Control::Snapshot(floor) => self.snapshots.push((shard, floor.clone(), at)),
            // The workspace keeps them, see `rulings`.
            Control::Decide(_) | Control::Undecide(_) => {}
        }
    }
}

/// Removes the records that a complete snapshot no longer has: one pass over the shard.
async fn retire(
    connection: &mut PgConnection,
    loader: &mut Loader,
    rules: &Rules,
    shard: Shard,
    floor: &SnapshotFloor,
    at: Timestamp,
) -> Result<(), BatchError> {
    let stored = read::shard_persons(connection, shard).await?;
    loader.give(Vec::new(), stored);
    let gone: Vec<_> = loader.workspace.shards[&shard]
        .neighbourhoods
        .iter()
        .flat_map(|(anchor, loaded)| loaded.members.iter().map(move |member| (*anchor, member)))
        .filter(|(_, member)| !member.is_guest() && floor.retires_record(&member.record, &rules.key))
        .map(|(anchor, member)| (anchor, member.record.id))
        .collect();
    // Together: one by one, each would be a round trip.
    loader
        .directory(connection, gone.iter().map(|(_, record)| *record).collect())
        .await?;
    for (anchor, record) in gone {
        while let Err(need) = loader.workspace.retire(shard, anchor, record, floor, at, &rules.key) {
            loader.need(connection, need).await?;
        }
    }
    Ok(())
}

/// Describes a shard's persons anew when the policy is a newer one than theirs: one pass over the shard.
async fn adopt_policy(connection: &mut PgConnection, loader: &mut Loader, shard: Shard, version: u32) -> Result<(), BatchError> {
    let Some(work) = loader.workspace.shards.get_mut(&shard) else {
        return Ok(());
    };
    let known = work.state.policy;
    if known > version {
        return Err(BatchError::OlderPolicy { known, version });
    }
    if known == version {
        return Ok(());
    }
    work.state.policy = version;
    let today = facts_at_start_of(work.state.business_date());
    let stored = read::shard_persons(connection, shard).await?;
    loader.give(Vec::new(), stored);
    let anchors: Vec<AnchorId> = loader.workspace.shards[&shard].neighbourhoods.keys().copied().collect();
    for anchor in anchors {
        while let Err(need) = loader.workspace.touch(shard, anchor, today) {
            loader.need(connection, need).await?;
        }
    }
    Ok(())
}

/// Touches persons whose date has come, at most `limit` of each shard; says which shards may have more.
async fn work_off(
    connection: &mut PgConnection,
    loader: &mut Loader,
    due: &BTreeSet<Shard>,
    limit: i64,
) -> Result<BTreeSet<Shard>, BatchError> {
    let mut more = BTreeSet::new();
    for shard in due {
        let Some(today) = loader.workspace.shards[shard].state.today else {
            continue;
        };
        let rows = sqlx::query("select anchor from store.due where shard = $1 and day <= $2 order by day, anchor limit $3")
            .bind(i16::from(shard.number()))
            .bind(read::naive(today))
            .bind(limit)
            .fetch_all(&mut *connection)
            .await?;
        if rows.len() as i64 == limit {
            more.insert(*shard);
        }
        let anchors: BTreeSet<(Shard, AnchorId)> = rows
            .iter()
            .filter_map(|row| Some((*shard, AnchorId::from_slice(row.try_get("anchor").ok()?)?)))
            .collect();
        loader.neighbourhoods(connection, anchors.clone()).await?;
        for (shard, anchor) in anchors {
            // Loaded just above; what the date changes rests on everything before the date began.
            if loader.workspace.touch(shard, anchor, facts_at_start_of(today)).is_err() {
                tracing::error!(%shard, "a due neighbourhood was not loaded");
            }
        }
    }
    Ok(more)
}

fn describe_touched(loader: &Loader, rules: &Rules) -> Vec<Difference> {
    let mut all = Vec::new();
    for (shard, work) in &loader.workspace.shards {
        let today = work.state.business_date();
        for (anchor, loaded) in &work.neighbourhoods {
            let Some(at) = loaded.touched else { continue };
            let described = describe(*anchor, &loaded.members, &work.rulings, &rules.policy, today, &rules.key);
            let before = loader.rows.get(&(*shard, *anchor)).map_or(&[][..], Vec::as_slice);
            all.push(differences(*shard, *anchor, before, described, at, rules));
        }
    }
    // Rows are written in the order of their keys: neighbours on a page, and no deadlocks between writers.
    all.sort_unstable_by_key(|difference| (difference.shard, difference.anchor));
    all
}
