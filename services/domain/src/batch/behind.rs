//! What a batch does behind its entries: it takes up decisions, works off who is due, and does a slice of a pass; then
//! it settles guests and describes whatever was touched.

use super::difference::differences;
use super::{Batch, Need, Phase, Place, Step};
use crate::base::describe;
use crate::division::City;
use crate::engine::Missing;
use crate::ids::{AnchorId, RecordId};
use crate::release::facts_at_start_of;
use crate::shard::Shard;
use crate::shard_state::PassWork;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of that work.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// Records that decisions of the batch may place elsewhere, by shard; `None` before the decisions were taken up.
    concerned: Option<Vec<(Shard, BTreeSet<RecordId>)>>,
    /// Where they and copies of them are.
    reached: BTreeSet<Place>,
    /// Shards to ask for who is due; `None` before that began.
    to_work: Option<Vec<Shard>>,
    due: BTreeSet<Place>,
    /// Shards that may still have persons due.
    pub(super) still_due: BTreeSet<Shard>,
    /// A slice: its neighbourhoods, and the last of them unless the shard ends there.
    slice: (BTreeSet<Place>, Option<AnchorId>),
    /// Neighbourhoods whose baseline is to be told, in these regions.
    pub(super) baseline: (BTreeSet<City>, BTreeSet<Place>),
    /// Neighbourhoods whose persons are published again.
    pub(super) republished: BTreeSet<Place>,
}

impl Behind {
    pub(super) fn reach(&mut self, shard: Shard, anchors: BTreeSet<AnchorId>) {
        self.reached.extend(anchors.into_iter().map(|anchor| (shard, anchor)));
    }

    pub(super) fn due(&mut self, shard: Shard, anchors: BTreeSet<AnchorId>, more: bool) {
        if more {
            self.still_due.insert(shard);
        }
        self.due.extend(anchors.into_iter().map(|anchor| (shard, anchor)));
    }

    pub(super) fn slice(&mut self, places: BTreeSet<Place>, last: Option<AnchorId>) {
        self.slice = (places, last);
    }
}

impl Batch {
    /// Takes up decisions: every neighbourhood that holds a record concerned, or a copy of one, is touched.
    pub(super) fn rule(&mut self) -> Step {
        if self.behind.concerned.is_none() {
            let concerned = self.workspace.rule();
            // What this batch has claimed is not in the store yet.
            for (shard, records) in &concerned {
                let claimed = self.workspace.claimed.iter().filter(|(record, _)| records.contains(record));
                let here = claimed.filter(|(_, entry)| entry.shard == *shard && !entry.deleted);
                self.behind.reached.extend(here.map(|(_, entry)| (*shard, entry.anchor)));
            }
            self.behind.concerned = Some(concerned.into_iter().collect());
        }
        match self.behind.concerned.as_mut().and_then(Vec::pop) {
            Some((shard, records)) => Step::Ask(Need::Holding(shard, records), Phase::Rule),
            None => self.ask_rows(self.behind.reached.clone(), Phase::Reached),
        }
    }

    pub(super) fn reached(&mut self) -> Step {
        let now = self.now();
        for (shard, anchor) in std::mem::take(&mut self.behind.reached) {
            self.touch((shard, anchor), now);
        }
        Step::Go(Phase::Due)
    }

    /// Asks who is due: where that is worked off, and where a pass goes on, since a baseline is what is open today.
    pub(super) fn due(&mut self) -> Step {
        let asked = self.order.due.iter().chain(&self.order.pass).copied();
        let to_work = self
            .behind
            .to_work
            .get_or_insert_with(|| asked.collect::<BTreeSet<_>>().into_iter().collect());
        while let Some(shard) = to_work.pop() {
            if let Some(today) = self.workspace.shards[&shard].state.today {
                return Step::Ask(Need::Due(shard, today, self.order.slice), Phase::Due);
            }
        }
        self.ask_rows(self.behind.due.clone(), Phase::DueGiven)
    }

    pub(super) fn due_given(&mut self) -> Step {
        for (shard, anchor) in self.behind.due.clone() {
            // What a date changes rests on everything before it began.
            let began = facts_at_start_of(self.workspace.shards[&shard].state.business_date());
            self.touch((shard, anchor), began);
        }
        Step::Go(Phase::Pass)
    }

    /// Asks for the next slice of a shard's oldest pass, unless somebody there is due.
    pub(super) fn pass(&mut self) -> Step {
        let shard = self
            .order
            .pass
            .filter(|shard| self.shards[shard].is_caught_up() && !self.behind.due.iter().any(|(due, _)| due == shard));
        let next = shard.and_then(|shard| Some((shard, self.workspace.shards[&shard].state.passes.first()?.after)));
        match next {
            Some((shard, after)) => Step::Ask(Need::Slice(shard, after, self.order.slice), Phase::SliceGiven),
            None => Step::Go(Phase::Settle),
        }
    }

    /// Does the slice.
    pub(super) fn slice_given(&mut self) -> Step {
        let shard = self.order.pass.expect("a slice is of a shard");
        let state = &self.workspace.shards[&shard].state;
        let today = facts_at_start_of(state.business_date());
        let together = state.passes_together();
        let works: Vec<PassWork> = state.passes[..together].iter().map(|pass| pass.work.clone()).collect();
        match &works[0] {
            PassWork::Snapshot(..) => {
                if let Some(unknown) = self.retire(shard, &works) {
                    return Step::Ask(Need::Directory(unknown), Phase::SliceGiven);
                }
            }
            PassWork::Policy(_) => {
                for place in self.behind.slice.0.clone() {
                    self.touch(place, today);
                }
            }
            PassWork::GoLive(_) => {
                let regions = works.iter().filter_map(|work| match work {
                    PassWork::GoLive(region) => Some(*region),
                    _ => None,
                });
                self.behind.baseline = (regions.collect(), self.behind.slice.0.clone());
            }
            PassWork::Publish => {
                for place in self.behind.slice.0.clone() {
                    self.touch(place, today);
                    self.behind.republished.insert(place);
                }
            }
        }
        let (places, last) = std::mem::take(&mut self.behind.slice);
        let state = &mut self.workspace.shards.get_mut(&shard).expect("the shard is open").state;
        state.advance_passes(together, last, places.len() as u64);
        Step::Go(Phase::Settle)
    }

    /// Removes the slice's rows that complete snapshots no longer have; or says which directory entries it has to know first.
    fn retire(&mut self, shard: Shard, works: &[PassWork]) -> Option<BTreeSet<RecordId>> {
        let mut gone = Vec::new();
        for (_, anchor) in &self.behind.slice.0 {
            let loaded = &self.workspace.shards[&shard].neighbourhoods[anchor];
            for member in loaded.members.iter().filter(|member| !member.is_guest()) {
                let retires = works.iter().find_map(|work| match work {
                    PassWork::Snapshot(floor, at) if floor.retires_record(&member.record, &self.key) => Some((floor, *at)),
                    _ => None,
                });
                gone.extend(retires.map(|by| (*anchor, member.record.id, by)));
            }
        }
        // Together: one by one, each would be a round trip.
        let unknown: BTreeSet<RecordId> = gone
            .iter()
            .map(|(_, record, _)| *record)
            .filter(|record| !self.workspace.directory.contains_key(record))
            .collect();
        if !unknown.is_empty() {
            return Some(unknown);
        }
        for (anchor, record, (floor, at)) in gone {
            let retired = self.workspace.retire(shard, anchor, record, floor, at, &self.key);
            retired.expect("neighbourhood and directory entry were given");
        }
        None
    }

    /// Settles guests, then describes what was touched.
    pub(super) fn settle(&mut self) -> Step {
        let key = &self.key;
        self.workspace.settle(key);
        for (shard, work) in &self.workspace.shards {
            let today = work.state.business_date();
            for (anchor, loaded) in &work.neighbourhoods {
                let Some(at) = loaded.touched else { continue };
                let described = describe(*anchor, &loaded.members, &work.rulings, work.policy(), today, key);
                let before = self.rows.get(&(*shard, *anchor)).map_or(&[][..], Vec::as_slice);
                let difference = differences((*shard, *anchor), before, described, at, today, key);
                self.differences.push(difference);
            }
        }
        // In the order of their keys: neighbours on a page, and no deadlocks between writers.
        self.differences.sort_unstable_by_key(super::Difference::place);
        let places = self.differences.iter().enumerate();
        self.touched = places
            .map(|(at, difference)| (difference.place(), at))
            .collect::<BTreeMap<_, _>>();
        Step::Go(Phase::Pending)
    }

    /// Marks a neighbourhood that was given as changed.
    fn touch(&mut self, (shard, anchor): Place, at: crate::date::Timestamp) {
        match self.workspace.touch(shard, anchor, at) {
            Ok(()) => {}
            Err(Missing::Neighbourhood(..) | Missing::Directory(_)) => unreachable!("the neighbourhood was given before"),
        }
    }
}
