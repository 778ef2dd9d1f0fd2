//! A step of the model through the batch that the registry runs: real members, entries and states are given to it, and its effects are
//! taken back.

use crate::histories::{Ground, History, version};
use crate::model::Claims;
use crate::state::{Body, Copied, Entry, Note, Own, Place, Seat, State};
use domain::batch::{Asked, Batch, Effects, Given, Need, Order, ShardRow, StoredPerson};
use domain::date::Timestamp;
use domain::engine::DirectoryEntry;
use domain::ids::{AnchorId, RecordId};
use domain::input::{Control, Guest, Input, Message, MessageBody};
use domain::neighbourhood::Member;
use domain::shard::Shard;
use domain::source::Version;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Claims {
    /// Applies the first entries of some shards' logs as one batch, as `services/registry` does, and then does what passes it began.
    pub fn apply(&self, state: &mut State, counts: [usize; 3]) {
        let mut order = Order {
            slice: 100,
            ..Order::default()
        };
        let mut applied: Vec<(u8, Entry)> = Vec::new();
        for (shard, count) in (0u8..).zip(counts) {
            for (position, entry) in (0..).zip(&state.stores[usize::from(shard)].log[..count]) {
                order.shards.insert(self.ground.shards[usize::from(shard)]);
                order.entries.push(domain::batch::Entry {
                    shard: self.ground.shards[usize::from(shard)],
                    position,
                    follows: position,
                    logged_at: Timestamp(0),
                    said: domain::batch::Said::Input(self.input(state, entry)),
                });
                applied.push((shard, entry.clone()));
            }
        }
        let mut passes = self.run(state, order);
        for (shard, entry) in applied {
            let history = self.history(state);
            let is_read = !matches!(entry, Entry::Version { record, version } if history.is_unread(record, version));
            state.note(shard, &entry, is_read);
        }
        while let Some(shard) = passes.pop_first() {
            let order = Order {
                shards: BTreeSet::from([shard]),
                pass: Some(shard),
                slice: 100,
                ..Order::default()
            };
            passes.extend(self.run(state, order));
        }
    }

    /// Runs a batch; says in which shards there are passes to do.
    fn run(&self, state: &mut State, order: Order) -> BTreeSet<Shard> {
        let is_claim = |entry: &domain::batch::Entry| matches!(entry.input(), Some(Input::Message(message)) if matches!(message.body, MessageBody::ClaimOrDrop { .. }));
        let claims_back = !order.entries.is_empty() && order.entries.iter().all(is_claim);
        let mut batch = Batch::new(order, self.ground.key.clone());
        let effects = loop {
            match batch.proceed().expect("the batch is in order") {
                Asked::Need(need) => batch.give(self.give(state, need)),
                Asked::Done(effects) => break effects,
            }
        };
        let passes = effects.shards.iter().filter(|(_, row)| !row.state.passes.is_empty());
        let passes = passes.map(|(shard, _)| *shard).collect();
        self.take(state, *effects, claims_back);
        passes
    }

    fn give(&self, state: &State, need: Need) -> Given {
        let history = self.history(state);
        let store = |shard: Shard| &state.stores[usize::from(self.ground.shard(shard))];
        let row = |shard: Shard, anchor: AnchorId| {
            let copies = store(shard).members.get(&self.ground.anchor(anchor))?;
            let members = copies.iter().map(|copy| history.member(&self.ground, copy)).collect();
            // Whose they are is not in the model: it is described anew.
            Some(StoredPerson::away(shard, anchor, members))
        };
        let seat = |record: &RecordId| {
            let seat = state.directory[usize::from(history.record(*record))]?;
            let entry = DirectoryEntry {
                shard: self.ground.shards[usize::from(seat.place.shard)],
                anchor: self.ground.anchor_id(seat.place.anchor),
                version: seat.version.map_or_else(Version::default, version),
                deleted: seat.deleted,
                unread: seat.unread.map(version),
            };
            Some((*record, entry))
        };
        match need {
            Need::Shards(shards) => Given::Shards(
                shards
                    .into_iter()
                    .map(|shard| {
                        let row = ShardRow {
                            position: 0,
                            outbox_next: 0,
                            state: store(shard).own.0.as_ref().clone(),
                        };
                        (shard, row)
                    })
                    .collect(),
            ),
            Need::Sent(shards) => {
                let sent = |shard: Shard| (shard, store(shard).own.0.messages_sent());
                Given::Sent(shards.into_iter().map(sent).collect())
            }
            Need::Rulings(shards) => Given::Rulings(shards.into_keys().map(|shard| (shard, Arc::default())).collect()),
            Need::Neighbourhoods(places) => {
                Given::Neighbourhoods(places.into_iter().filter_map(|(shard, anchor)| row(shard, anchor)).collect())
            }
            Need::Directory(records) => Given::Directory(records.iter().filter_map(seat).collect()),
            Need::Slice(shard, ..) => {
                let anchors = store(shard).members.keys().map(|anchor| self.ground.anchor_id(*anchor));
                Given::Slice(anchors.filter_map(|anchor| row(shard, anchor)).collect(), None)
            }
            need => panic!("the model has no {}", need.name()),
        }
    }

    /// Takes a batch's effects back; `claims_back` says that it had heard nothing but claims of others.
    fn take(&self, state: &mut State, effects: Effects, claims_back: bool) {
        let history = self.history(state);
        for (record, (entry, _)) in effects.directory {
            let seat = Seat {
                place: Place {
                    shard: self.ground.shard(entry.shard),
                    anchor: self.ground.anchor(entry.anchor),
                },
                version: entry.claimed().map(|version| version.offset as u8),
                deleted: entry.deleted,
                unread: entry.unread.map(|unread| unread.offset as u8),
            };
            let before = state.directory[usize::from(history.record(record))].replace(seat);
            state.fell |= before.is_some_and(|before| before.version > seat.version || before.unread > seat.unread);
            self.hits.claim(before, seat, claims_back);
        }
        for (shard, row) in effects.shards {
            state.stores[usize::from(self.ground.shard(shard))].own = Own(Arc::new(row.state));
        }
        for (to, message) in effects.messages {
            let from = self.ground.shard(message.from);
            let store = &mut state.stores[usize::from(from)];
            assert_eq!(message.sequence, store.sent, "sequences are dense");
            store.sent += 1;
            let note = Note {
                from,
                sequence: message.sequence,
                body: body(&self.ground, history, &message),
            };
            store.outbox.push((self.ground.shard(to), note));
        }
        for difference in effects.differences {
            let members = difference.put.iter().flat_map(|put| put.person.members.iter().cloned());
            let mut members: Vec<Member> = members
                .chain(difference.away.into_iter().flat_map(|away| away.members))
                .collect();
            members.sort_by_key(Member::slot);
            let copies: Vec<Copied> = members.iter().map(|member| history.copied(&self.ground, member)).collect();
            let store = &mut state.stores[usize::from(self.ground.shard(difference.shard))];
            let anchor = self.ground.anchor(difference.anchor);
            if copies.is_empty() {
                store.members.remove(&anchor);
            } else {
                store.members.insert(anchor, copies);
            }
        }
    }

    fn input(&self, state: &State, entry: &Entry) -> Input {
        let history = self.history(state);
        match entry {
            Entry::Version { record, version } => {
                Input::Change(history.versions[usize::from(*record)][usize::from(*version)].clone())
            }
            Entry::Floor => Input::Control(Control::Snapshot(history.floor.clone().expect("a snapshot"))),
            Entry::Note(note) => {
                let appended_at = Timestamp(0);
                let body = match &note.body {
                    Body::Claim {
                        record,
                        anchor,
                        version: claimed,
                    } => MessageBody::ClaimOrDrop {
                        record: history.id(*record),
                        anchor: self.ground.anchor_id(*anchor),
                        version: version(*claimed),
                        appended_at,
                    },
                    Body::Unread {
                        record,
                        anchor,
                        version: unread,
                    } => MessageBody::Unread {
                        record: history.id(*record),
                        anchor: self.ground.anchor_id(*anchor),
                        version: version(*unread),
                        appended_at,
                    },
                    Body::Guest { to, copy } => {
                        let member = history.member(&self.ground, copy);
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
                        record: history.id(*record),
                        appended_at,
                    },
                };
                Input::Message(Message {
                    from: self.ground.shards[usize::from(note.from)],
                    life: 0,
                    sequence: note.sequence,
                    body,
                })
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
        MessageBody::Unread {
            record, anchor, version, ..
        } => Body::Unread {
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
