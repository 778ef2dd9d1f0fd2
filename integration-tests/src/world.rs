//! The base in memory: shards, directory and messages, kept as the registry keeps them in PostgreSQL.
//!
//! What happens to an entry is decided by [`domain::engine`], the code that the registry runs; here is only the loading and the
//! storing, with a map for every table.

use anyhow::{bail, ensure};
use domain::date::{Day, Timestamp};
use domain::decision::Rulings;
use domain::engine::{DirectoryEntry, Need, Workspace};
use domain::ids::{AnchorId, IdKey, RecordId};
use domain::input::{Control, Input, Message, MessageBody};
use domain::neighbourhood::Member;
use domain::shard::Shard;
use domain::shard_state::ShardState;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// An entry of a shard's log, with the time at which the broker appended it to that log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The shard.
    pub shard: Shard,
    /// When it was appended.
    pub at: Timestamp,
    /// What it says.
    pub input: Input,
}

/// What the store holds of one shard.
#[derive(Debug, Default)]
pub struct ShardStore {
    /// Its own state.
    pub state: ShardState,
    /// What its decisions come to.
    pub rulings: Arc<Rulings>,
    /// Members of its neighbourhoods; none is empty.
    pub neighbourhoods: BTreeMap<AnchorId, Vec<Member>>,
}

/// A neighbourhood that a batch changed.
#[derive(Debug)]
pub struct Touched {
    /// Its shard.
    pub shard: Shard,
    /// The neighbourhood.
    pub anchor: AnchorId,
    /// Append time of the newest cause.
    pub at: Timestamp,
}

/// The base in memory.
#[derive(Debug)]
pub struct World {
    key: IdKey,
    shards: BTreeMap<Shard, ShardStore>,
    directory: HashMap<RecordId, DirectoryEntry>,
    /// Messages between shards by sender and receiver, in order, since the beginning.
    pub outbox: BTreeMap<(Shard, Shard), Vec<Message>>,
    /// Findings told elsewhere about persons who came to a neighbourhood.
    pub carried: BTreeSet<((Shard, AnchorId), [u8; 2])>,
}

impl World {
    /// An empty base of 64 shards.
    pub fn new(key: IdKey) -> Self {
        let shards = Shard::all().map(|shard| (shard, ShardStore::default())).collect();
        Self {
            key,
            shards,
            directory: HashMap::new(),
            outbox: BTreeMap::new(),
            carried: BTreeSet::new(),
        }
    }

    /// The store of a shard.
    ///
    /// # Panics
    /// Never: every shard has a store.
    pub fn shard(&self, shard: Shard) -> &ShardStore {
        self.shards.get(&shard).expect("every shard has a store")
    }

    /// The members of every neighbourhood.
    pub fn neighbourhoods(&self) -> BTreeMap<(Shard, AnchorId), Vec<Member>> {
        let of_shard = |(shard, store): (&Shard, &ShardStore)| {
            let shard = *shard;
            store
                .neighbourhoods
                .iter()
                .map(move |(anchor, members)| ((shard, *anchor), members.clone()))
                .collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(of_shard).collect()
    }

    /// Applies entries of any shards as one batch, in order. `due` names the neighbourhoods of a shard whose date has come.
    pub fn apply(&mut self, entries: &[Entry], due: &dyn Fn(Shard, Day) -> Vec<AnchorId>) -> Vec<Touched> {
        let mut batch = Batch {
            world: self,
            workspace: Workspace::default(),
        };
        let shards: BTreeSet<Shard> = entries.iter().map(|entry| entry.shard).collect();
        for shard in &shards {
            let store = batch.world.shard(*shard);
            batch.workspace.open(*shard, store.state.clone(), Arc::clone(&store.rulings));
        }
        let key = batch.world.key.clone();
        for entry in entries {
            batch.until_given(|workspace| workspace.apply(entry.shard, &entry.input, &key).map(drop));
        }
        for entry in entries {
            match &entry.input {
                Input::Control(Control::Snapshot(floor)) => {
                    for (anchor, record) in batch.held(entry.shard) {
                        batch.until_given(|workspace| workspace.retire(entry.shard, anchor, record, floor, entry.at, &key));
                    }
                }
                Input::Control(Control::BusinessDate(day)) => {
                    for anchor in due(entry.shard, *day) {
                        let at = domain::release::facts_at_start_of(*day);
                        batch.until_given(|workspace| workspace.touch(entry.shard, anchor, at));
                    }
                }
                _ => {}
            }
        }
        let newest = entries.iter().map(|entry| entry.at).max().unwrap_or(Timestamp(0));
        for (shard, records) in batch.workspace.rule() {
            for anchor in batch.holding(shard, &records) {
                batch.until_given(|workspace| workspace.touch(shard, anchor, newest));
            }
        }
        batch.workspace.settle(&key);
        let workspace = batch.workspace;
        self.store(workspace)
    }

    /// Sends a message of the registry itself, beside those of the engine.
    pub fn send(&mut self, from: Shard, to: Shard, body: MessageBody) {
        let mut workspace = Workspace::default();
        let store = self.shard(from);
        workspace.open(from, store.state.clone(), Arc::clone(&store.rulings));
        workspace.send(from, to, body);
        self.store(workspace);
    }

    fn store(&mut self, workspace: Workspace) -> Vec<Touched> {
        for (record, entry) in workspace.claimed {
            let before = self.directory.insert(record, entry);
            assert!(
                before.is_none_or(|before| before.version <= entry.version),
                "a directory entry only rises"
            );
        }
        let mut touched = Vec::new();
        for (shard, work) in workspace.shards {
            let store = self.shards.get_mut(&shard).expect("every shard has a store");
            assert_eq!(work.state.decisions, work.rulings.digest(), "the state names its rulings");
            store.state = work.state;
            store.rulings = work.rulings;
            self.carried
                .extend(work.carried.into_iter().map(|(anchor, about)| ((shard, anchor), about)));
            for (to, message) in work.messages {
                self.outbox.entry((shard, to)).or_default().push(message);
            }
            for (anchor, loaded) in work.neighbourhoods {
                let Some(at) = loaded.touched else {
                    assert_eq!(loaded.before, loaded.members, "what changed is touched");
                    continue;
                };
                touched.push(Touched { shard, anchor, at });
                if loaded.members.is_empty() {
                    store.neighbourhoods.remove(&anchor);
                } else {
                    store.neighbourhoods.insert(anchor, loaded.members);
                }
            }
        }
        touched.sort_unstable_by_key(|touched| (touched.shard, touched.anchor));
        touched
    }

    /// Checks what holds once nothing is in flight: each record that is not deleted has exactly one home copy, where the directory
    /// says.
    ///
    /// # Errors
    /// Says which record it does not hold of.
    pub fn check_rest(&self) -> anyhow::Result<()> {
        let mut homes: HashMap<RecordId, (Shard, AnchorId)> = HashMap::new();
        for (place, members) in self.neighbourhoods() {
            for record in members
                .iter()
                .filter(|member| !member.is_guest())
                .map(|member| &member.record)
            {
                let id = record.id;
                let other = homes.insert(id, place);
                ensure!(other.is_none(), "record {id} has two home copies: {other:?} and {place:?}");
                let Some(entry) = self.directory.get(&id).filter(|entry| !entry.deleted) else {
                    bail!("record {id} has a home copy, and the directory knows it as deleted or not at all");
                };
                ensure!(
                    (entry.shard, entry.anchor) == place,
                    "record {id} is at {place:?}, the directory says {entry:?}"
                );
                ensure!(record.version >= entry.version, "record {id} is older than its claim");
            }
        }
        for (record, entry) in self.directory.iter().filter(|(_, entry)| !entry.deleted) {
            ensure!(
                homes.contains_key(record),
                "record {record} has no home copy, the directory says {entry:?}"
            );
        }
        Ok(())
    }
}

/// A batch while it is applied.
struct Batch<'a> {
    world: &'a World,
    workspace: Workspace,
}

impl Batch<'_> {
    /// Repeats a step until it has seen all that it needs.
    fn until_given(&mut self, mut step: impl FnMut(&mut Workspace) -> Result<(), Need>) {
        while let Err(need) = step(&mut self.workspace) {
            match need {
                Need::Neighbourhood(shard, anchor) => {
                    let members = self
                        .world
                        .shard(shard)
                        .neighbourhoods
                        .get(&anchor)
                        .cloned()
                        .unwrap_or_default();
                    self.workspace.give_neighbourhood(shard, anchor, members);
                }
                Need::Directory(record) => self
                    .workspace
                    .give_directory(record, self.world.directory.get(&record).copied()),
            }
        }
    }

    /// The neighbourhoods that the registry finds for a decision: those the directory names, and those with guest copies.
    fn holding(&self, shard: Shard, records: &BTreeSet<RecordId>) -> BTreeSet<AnchorId> {
        let seats = records.iter().flat_map(|record| {
            let before = self.world.directory.get(record);
            before.into_iter().chain(self.workspace.claimed.get(record))
        });
        let seats = seats
            .filter(|entry| entry.shard == shard && !entry.deleted)
            .map(|entry| entry.anchor);
        let is_copy = |member: &Member| member.is_guest() && records.contains(&member.record.id);
        let stored = self.world.shard(shard).neighbourhoods.iter();
        let copies = stored
            .filter(|(_, members)| members.iter().any(is_copy))
            .map(|(anchor, _)| *anchor);
        seats.chain(copies).collect()
    }

    /// The home records a shard holds, with what the batch has changed of it; all its neighbourhoods are loaded after that.
    fn held(&mut self, shard: Shard) -> Vec<(AnchorId, RecordId)> {
        for (anchor, members) in &self.world.shard(shard).neighbourhoods {
            self.workspace.give_neighbourhood(shard, *anchor, members.clone());
        }
        let work = self.workspace.shards.get(&shard).expect("a shard of the batch is open");
        let homes = |(anchor, loaded): (&AnchorId, &domain::engine::Loaded)| {
            let anchor = *anchor;
            let homes = loaded.members.iter().filter(|member| !member.is_guest());
            homes.map(move |member| (anchor, member.record.id)).collect::<Vec<_>>()
        };
        let mut held: Vec<(AnchorId, RecordId)> = work.neighbourhoods.iter().flat_map(homes).collect();
        held.sort_unstable();
        held
    }
}
