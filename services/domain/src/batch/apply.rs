//! The entries of a batch: what they will most likely need, loaded in bulk; then one after the other.

use super::{Batch, Need, Phase, Place, Refused, Said, Step};
use crate::engine::{Missing, Outcome, ShardWork};
use crate::ids::{AnchorId, IdKey, RecordId};
use crate::input::{Control, Input, Message, MessageBody};
use crate::lives::Origin;
use crate::record::{Change, EntityChange};
use crate::shard::Shard;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Batch {
    /// Compares positions and finds the entries that the base does not have yet.
    pub(super) fn open(&mut self) -> Result<Step, Refused> {
        for (shard, row) in &self.shards {
            let rulings = self.rulings.remove(shard).expect("rulings of every shard were given");
            let policy = row.state.policy.map(|id| Arc::clone(&self.policies[&id]));
            self.workspace
                .open(*shard, ShardWork::new(row.state.clone(), rulings, policy));
        }
        for (at, entry) in self.order.entries.iter().enumerate() {
            let row = self
                .shards
                .get_mut(&entry.shard)
                .expect("an order names the shards of its entries");
            if entry.position < row.position {
                continue;
            }
            if entry.follows > row.position {
                return Err(Refused::Gap {
                    shard: entry.shard,
                    expected: row.position,
                    found: entry.follows,
                });
            }
            if let Said::Unreadable(why) = &entry.said {
                return Err(Refused::Unreadable {
                    shard: entry.shard,
                    position: entry.position,
                    why: why.clone(),
                });
            }
            let was_silent = !row.is_caught_up();
            row.position = entry.position + 1;
            if was_silent && row.is_caught_up() {
                // What it was silent about may be told as far as is known to be complete.
                self.complete.insert(entry.shard);
            }
            self.fresh.push(at);
        }
        let senders = self.present_messages().map(|(_, message)| message.from);
        let (here, elsewhere): (BTreeSet<Shard>, BTreeSet<Shard>) = senders.partition(|from| self.shards.contains_key(from));
        self.sent
            .extend(here.into_iter().map(|from| (from, self.shards[&from].state.messages_sent())));
        Ok(Step::Ask(Need::Sent(elsewhere), Phase::Sent))
    }

    /// Refuses a base that has not sent what its log holds of the present life.
    pub(super) fn compare_sent(&self) -> Result<Step, Refused> {
        for (shard, message) in self.present_messages() {
            let present = self.shards[&shard].state.lives.present();
            let sent = self.sent.get(&message.from).copied().unwrap_or(0);
            if message.life > present || message.sequence >= sent {
                return Err(Refused::Behind {
                    shard,
                    from: message.from,
                    life: message.life,
                    sequence: message.sequence,
                    present,
                    sent,
                });
            }
        }
        Ok(Step::Go(Phase::Seats))
    }

    /// Messages that were not heard before and say that they are of the present life, or of a later one.
    fn present_messages(&self) -> impl Iterator<Item = (Shard, &Message)> {
        self.fresh().filter_map(|(shard, input)| {
            let Input::Message(message) = input else { return None };
            let state = &self.shards[&shard].state;
            match state.lives.origin(message) {
                Origin::Later => Some((shard, message)),
                Origin::Present if !state.has_seen(message) => Some((shard, message)),
                Origin::Present | Origin::Earlier | Origin::Undone => None,
            }
        })
    }

    /// The neighbourhoods that the entries speak of.
    pub(super) fn seats(&self) -> Step {
        let places: BTreeSet<Place> = self
            .fresh()
            .filter_map(|(shard, input)| Some((shard, anchor_of(input, &self.key)?)))
            .collect();
        self.ask_rows(places, Phase::Directory)
    }

    /// The directory entries of records that are not where they belong, or go away.
    pub(super) fn seek_directory(&self) -> Step {
        let records = self
            .fresh()
            .filter_map(|(shard, input)| self.unseated(shard, input))
            .collect();
        Step::Ask(Need::Directory(records), Phase::Moved)
    }

    /// The neighbourhoods where the directory has them, in shards of the batch.
    pub(super) fn moved(&self) -> Step {
        let entries = self.workspace.directory.values().flatten();
        let places: BTreeSet<Place> = entries
            .filter(|entry| !entry.deleted && self.shards.contains_key(&entry.shard))
            .map(|entry| (entry.shard, entry.anchor))
            .collect();
        self.ask_rows(places, Phase::Employers)
    }

    pub(super) fn seek_employers(&self) -> Step {
        let entities = self.fresh().filter_map(|(shard, input)| match input {
            Input::Entity(entity) => Some((shard, entity.id)),
            _ => None,
        });
        Step::Ask(Need::Employers(entities.collect()), Phase::Apply)
    }

    /// Applies entry after entry, until one needs what was not foreseen.
    pub(super) fn apply(&mut self) -> Step {
        while let Some(at) = self.fresh.get(self.applied).copied() {
            let entry = &self.order.entries[at];
            let Some(input) = entry.input() else {
                self.outcomes.push((at, None));
                self.applied += 1;
                continue;
            };
            let outcome = match input {
                // Entities are rows of their own, which compare versions themselves.
                Input::Entity(entity) => rise(&mut self.employers, entity),
                _ => match self.workspace.apply(entry.shard, input, entry.logged_at, &self.key) {
                    Ok(outcome) => outcome,
                    Err(missing) => return Step::Ask(missing.into(), Phase::Apply),
                },
            };
            match input {
                Input::Control(Control::BusinessDate(_)) => drop(self.ticked.insert(entry.shard)),
                Input::Control(Control::Completeness(_)) if self.shards[&entry.shard].is_caught_up() => {
                    self.complete.insert(entry.shard);
                }
                _ => {}
            }
            self.outcomes.push((at, Some(outcome)));
            self.applied += 1;
        }
        Step::Go(Phase::Rule)
    }

    /// The employers whose rows rise, with their newest versions.
    pub(super) fn newest_employers(&self) -> Vec<(Shard, EntityChange)> {
        let mut newest: BTreeMap<(Shard, RecordId), &EntityChange> = BTreeMap::new();
        for (at, outcome) in &self.outcomes {
            let entry = &self.order.entries[*at];
            if let (Some(Outcome::Applied), Some(Input::Entity(entity))) = (outcome, entry.input()) {
                newest.insert((entry.shard, entity.id), entity);
            }
        }
        let rows = newest.into_iter();
        rows.map(|((shard, _), entity)| (shard, entity.clone())).collect()
    }

    fn fresh(&self) -> impl Iterator<Item = (Shard, &Input)> {
        let entries = self.fresh.iter().map(|at| &self.order.entries[*at]);
        entries.filter_map(|entry| Some((entry.shard, entry.input()?)))
    }

    /// The record whose directory entry an input needs: not among the members where it belongs, or going away.
    fn unseated(&self, shard: Shard, input: &Input) -> Option<RecordId> {
        match input {
            Input::Change(Change::Upsert(record)) => {
                let place = (shard, record.anchor(&self.key));
                let loaded = self.workspace.shards.get(&shard)?.neighbourhoods.get(&place.1)?;
                loaded.home(record.id).is_none().then_some(record.id)
            }
            Input::Change(change @ (Change::Delete(_) | Change::Unread(_))) => Some(change.id()),
            Input::Message(message) => match &message.body {
                MessageBody::ClaimOrDrop { record, .. } => Some(*record),
                MessageBody::Unread { .. }
                | MessageBody::Guest { .. }
                | MessageBody::Withdraw { .. }
                | MessageBody::Carry { .. } => None,
            },
            Input::Entity(_) | Input::Control(_) => None,
        }
    }
}

fn anchor_of(input: &Input, key: &IdKey) -> Option<AnchorId> {
    match input {
        Input::Change(Change::Upsert(record)) => Some(record.anchor(key)),
        Input::Message(message) => Some(message.anchor()),
        Input::Change(Change::Delete(_) | Change::Unread(_)) | Input::Entity(_) | Input::Control(_) => None,
    }
}

fn rise(known: &mut BTreeMap<RecordId, crate::source::Version>, entity: &EntityChange) -> Outcome {
    match known.get(&entity.id).map(|held| entity.version.cmp(held)) {
        Some(Ordering::Less) => Outcome::Superseded,
        Some(Ordering::Equal) => Outcome::Repeated,
        Some(Ordering::Greater) | None => {
            known.insert(entity.id, entity.version);
            Outcome::Applied
        }
    }
}

impl From<Missing> for Need {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Neighbourhood(shard, anchor) => Self::Neighbourhoods(BTreeSet::from([(shard, anchor)])),
            Missing::Directory(record) => Self::Directory(BTreeSet::from([record])),
        }
    }
}
