//! Findings carry over when a person's id or shard changes (ARCHITECTURE.md, Findings and release): where they were told they are cleared
//! as moved, and where the person now is they open as moved, never as news.
//!
//! The shard that loses the person sends ahead what was told; by the time completeness releases the opening, it has arrived.

use super::announce::Desk;
use super::{Batch, Difference, Place};
use crate::finding::{About, Finding};
use crate::ids::PersonId;
use crate::input::MessageBody;
use crate::neighbourhood::Seat;
use crate::release::heir;
use crate::shard::Shard;
use std::collections::{BTreeMap, BTreeSet};

impl Desk {
    /// What was told of persons of a neighbourhood as open.
    fn told_open(&self, (shard, anchor): Place) -> impl Iterator<Item = (PersonId, About)> {
        let ends = (shard, anchor, PersonId([0; 16]))..=(shard, anchor, PersonId([u8::MAX; 16]));
        let of_place = self.told.range(ends);
        of_place.flat_map(|((.., person), told)| {
            let open = told.iter().filter(|told| told.open);
            open.map(|told| (*person, told.finding.about()))
        })
    }
}

impl Batch {
    /// Sends on what was told about persons who are gone from the touched neighbourhoods, and keeps what arrived with this batch.
    pub(super) fn carry_over(&mut self) {
        let mut arrived: BTreeSet<(Place, About)> = BTreeSet::new();
        for (shard, work) in &mut self.workspace.shards {
            let carried = std::mem::take(&mut work.carried).into_iter();
            arrived.extend(carried.map(|(anchor, about)| ((*shard, anchor), about)));
        }
        let mut sent: BTreeMap<(Shard, Seat), Vec<About>> = BTreeMap::new();
        for difference in self.lost() {
            let place = difference.place();
            let here: BTreeSet<PersonId> = difference.put.iter().map(|put| put.person.id).collect();
            let stand: BTreeSet<About> = difference
                .put
                .iter()
                .flat_map(|put| put.person.findings.iter().map(Finding::about))
                .collect();
            for (_, about) in self.desk.told_open(place).filter(|(person, _)| !here.contains(person)) {
                if stand.contains(&about) {
                    arrived.insert((place, about));
                } else if let Some(seat) = self.heir(place) {
                    sent.entry((place.0, seat)).or_default().push(about);
                }
            }
        }
        for ((from, (to_shard, to)), about) in sent {
            self.workspace.send(from, to_shard, MessageBody::Carry { to, about });
        }
        let now = self.now();
        self.desk.effects.carried.extend(arrived.iter().map(|key| (*key, now)));
        self.desk.arrived.extend(arrived);
    }

    /// Touched neighbourhoods that somebody has left, where somebody listens.
    pub(super) fn lost(&self) -> impl Iterator<Item = &Difference> {
        self.differences
            .iter()
            .filter(|difference| !difference.gone.is_empty() || difference.away.is_some())
            .filter(|difference| !self.workspace.shards[&difference.shard].state.live.is_empty())
    }

    /// Where those who are gone from a neighbourhood went.
    pub(super) fn heir(&self, (shard, anchor): Place) -> Option<Seat> {
        heir(&self.workspace.shards[&shard].neighbourhoods[&anchor].members)
    }
}
