//! A step of the model through the engine: real members, entries and states are given to [`Workspace`], and the result is taken back.

use crate::histories::{Ground, History};
use crate::model::Claims;
use crate::state::{Body, Copied, Entry, Note, Own, Place, Seat, State};
use domain::date::Timestamp;
use domain::engine::{DirectoryEntry, Need, Workspace};
use domain::input::{Control, Guest, Input, Message, MessageBody};
use domain::neighbourhood::Member;
use domain::source::Version;
use std::sync::Arc;

impl Claims {
    /// Applies the first entries of some shards' logs as one batch, as `services/registry` does.
    pub fn apply(&self, state: &mut State, counts: [usize; 3]) {
        let history = self.history(state);
        let mut batch = Batch {
            ground: &self.ground,
            history,
            state,
            workspace: Workspace::default(),
        };
        let mut entries: Vec<(u8, Entry)> = Vec::new();
        for (shard, count) in (0u8..).zip(counts).filter(|(_, count)| *count > 0) {
            let store = &batch.state.stores[usize::from(shard)];
            let own = store.own.0.as_ref().clone();
            entries.extend(store.log[..count].iter().map(|entry| (shard, entry.clone())));
            batch
                .workspace
                .open(self.ground.shards[usize::from(shard)], own, Arc::default());
        }
        for (shard, entry) in &entries {
            let input = batch.input(entry);
            let shard = self.ground.shards[usize::from(*shard)];
            batch.until_given(|workspace| workspace.apply(shard, &input, &self.ground.key).map(drop));
        }
        for (shard, _) in entries.iter().filter(|(_, entry)| *entry == Entry::Floor) {
            batch.retire(*shard);
        }
        batch.workspace.settle(&self.ground.key);
        let workspace = batch.workspace;
        for (shard, entry) in entries {
            state.note(shard, &entry);
        }
        self.store(state, workspace);
    }

    /// Takes a batch's result back.
    fn store(&self, state: &mut State, workspace: Workspace) {
        let history = self.history(state);
        for (record, entry) in workspace.claimed {
            let seat = Seat {
                place: Place {
                    shard: self.ground.shard(entry.shard),
                    anchor: self.ground.anchor(entry.anchor),
                },
                version: entry.version.offset as u8,
                deleted: entry.deleted,
            };
            let before = state.directory[usize::from(history.record(record))].replace(seat);
            state.fell |= before.is_some_and(|before| before.version > seat.version);
        }
        for (shard, work) in workspace.shards {
            let from = self.ground.shard(shard);
            let store = &mut state.stores[usize::from(from)];
            store.own = Own(Arc::new(work.state));
            for (to, message) in work.messages {
                assert_eq!(message.sequence, store.sent, "sequences are dense");
                store.sent += 1;
                let note = Note {
                    from,
                    sequence: message.sequence,
                    body: body(&self.ground, history, &message),
                };
                store.outbox.push((self.ground.shard(to), note));
            }
            for (anchor, loaded) in work.neighbourhoods {
                let anchor = self.ground.anchor(anchor);
                let copies: Vec<Copied> = loaded
                    .members
                    .iter()
                    .map(|member| history.copied(&self.ground, member))
                    .collect();
                if copies.is_empty() {
                    store.members.remove(&anchor);
                } else {
                    store.members.insert(anchor, copies);
                }
            }
        }
    }
}

/// What a message of the engine says, by small numbers.
fn body(ground: &Ground, history: &History, message: &Message) -> Body {
    match &message.body {
        MessageBody::ClaimOrDrop {
            record, anchor, version, ..
        } => Body::Claim {
            record: history.record(*record),
            anchor: ground.anchor(*anchor),
            version: version.offset as u8,
        },
        MessageBody::Guest { to, guest, .. } => Body::Guest {
            to: ground.anchor(*to),
            copy: history.copied(ground, &Member::guest(message.from, guest.clone())),
        },
        MessageBody::Withdraw { to, from, record, .. } => Body::Withdraw {
            to: ground.anchor(*to),
            from: ground.anchor(*from),
            record: history.record(*record),
        },
        MessageBody::Carry { .. } => panic!("the engine carries no findings"),
    }
}

/// A batch while it is applied.
struct Batch<'a> {
    ground: &'a Ground,
    history: &'a History,
    state: &'a State,
    workspace: Workspace,
}

impl Batch<'_> {
    fn until_given(&mut self, mut step: impl FnMut(&mut Workspace) -> Result<(), Need>) {
        while let Err(need) = step(&mut self.workspace) {
            match need {
                Need::Neighbourhood(shard, anchor) => {
                    let store = &self.state.stores[usize::from(self.ground.shard(shard))];
                    let copies = store.members.get(&self.ground.anchor(anchor)).into_iter().flatten();
                    let members = copies.map(|copy| self.history.member(self.ground, copy)).collect();
                    self.workspace.give_neighbourhood(shard, anchor, members);
                }
                Need::Directory(record) => {
                    let seat = self.state.directory[usize::from(self.history.record(record))];
                    let entry = seat.map(|seat| DirectoryEntry {
                        shard: self.ground.shards[usize::from(seat.place.shard)],
                        anchor: self.ground.anchor_id(seat.place.anchor),
                        version: version(seat.version),
                        deleted: seat.deleted,
                    });
                    self.workspace.give_directory(record, entry);
                }
            }
        }
    }

    fn input(&self, entry: &Entry) -> Input {
        match entry {
            Entry::Version { record, version } => {
                Input::Change(self.history.versions[usize::from(*record)][usize::from(*version)].clone())
            }
            Entry::Floor => Input::Control(Control::Snapshot(self.history.floor.clone().expect("a snapshot"))),
            Entry::Note(note) => {
                let appended_at = Timestamp(0);
                let body = match &note.body {
                    Body::Claim {
                        record,
                        anchor,
                        version: claimed,
                    } => MessageBody::ClaimOrDrop {
                        record: self.history.id(*record),
                        anchor: self.ground.anchor_id(*anchor),
                        version: version(*claimed),
                        appended_at,
                    },
                    Body::Guest { to, copy } => {
                        let member = self.history.member(self.ground, copy);
                        MessageBody::Guest {
                            to: self.ground.anchor_id(*to),
                            guest: Guest {
                                path: member.path,
                                record: member.record,
                            },
                            appended_at,
                        }
                    }
                    Body::Withdraw { to, from, record } => MessageBody::Withdraw {
                        to: self.ground.anchor_id(*to),
                        from: self.ground.anchor_id(*from),
                        record: self.history.id(*record),
                        appended_at,
                    },
                };
                Input::Message(Message {
                    from: self.ground.shards[usize::from(note.from)],
                    sequence: note.sequence,
                    body,
                })
            }
        }
    }

    /// Removes what the snapshot does not have: one pass over the shard.
    fn retire(&mut self, shard: u8) {
        let id = self.ground.shards[usize::from(shard)];
        for (anchor, copies) in &self.state.stores[usize::from(shard)].members {
            let members = copies.iter().map(|copy| self.history.member(self.ground, copy)).collect();
            self.workspace.give_neighbourhood(id, self.ground.anchor_id(*anchor), members);
        }
        let floor = self.history.floor.as_ref().expect("a snapshot");
        let held: Vec<_> = self.workspace.shards[&id]
            .neighbourhoods
            .iter()
            .flat_map(|(anchor, loaded)| loaded.members.iter().map(move |member| (*anchor, member)))
            .filter(|(_, member)| !member.is_guest())
            .map(|(anchor, member)| (anchor, member.record.id))
            .collect();
        for (anchor, record) in held {
            self.until_given(|workspace| workspace.retire(id, anchor, record, floor, Timestamp(0), &self.ground.key));
        }
    }
}

fn version(version: u8) -> Version {
    Version {
        offset: u64::from(version),
        mapping: 1,
        ..Version::default()
    }
}
