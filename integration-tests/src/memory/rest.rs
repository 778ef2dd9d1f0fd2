//! What the tables must say once nothing is in flight.

use super::Memory;
use anyhow::{bail, ensure};
use domain::batch::{Place, are_apart};
use domain::ids::{AnchorId, RecordId};
use domain::shard::Shard;
use std::collections::{BTreeMap, BTreeSet, HashMap};

impl Memory {
    /// Checks what holds once nothing is in flight: each record that is not deleted has exactly one home copy, where the directory says;
    /// and the narrow tables say what the persons say.
    ///
    /// # Errors
    /// Says what does not hold.
    pub fn check_rest(&self) -> anyhow::Result<()> {
        self.check_directory()?;
        self.check_narrow()?;
        self.check_members()?;
        self.check_states()?;
        for (shard, row) in &self.shards {
            ensure!(
                row.state.passes.is_empty(),
                "shard {shard} has passes to do: {:?}",
                row.state.passes
            );
            ensure!(!self.is_due(*shard), "shard {shard} has persons due");
        }
        Ok(())
    }

    fn check_directory(&self) -> anyhow::Result<()> {
        let mut homes: HashMap<RecordId, Place> = HashMap::new();
        let mut guests: BTreeSet<(Shard, RecordId, AnchorId)> = BTreeSet::new();
        for (place, members) in self.neighbourhoods() {
            for member in &members {
                let (id, version) = (member.record.id, member.record.version);
                if member.is_guest() {
                    guests.insert((place.0, id, place.1));
                    continue;
                }
                let other = homes.insert(id, place);
                ensure!(other.is_none(), "record {id} has two home copies: {other:?} and {place:?}");
                let Some(entry) = self.directory.get(&id).filter(|entry| !entry.deleted) else {
                    bail!("record {id} has a home copy, and the directory knows it as deleted or not at all");
                };
                ensure!(
                    (entry.shard, entry.anchor) == place,
                    "record {id} is at {place:?}, the directory says {entry:?}"
                );
                ensure!(version >= entry.version, "record {id} is older than its claim");
                ensure!(
                    member.unread == entry.unread.filter(|unread| *unread > version),
                    "record {id} is marked {:?}, the directory says {entry:?}",
                    member.unread
                );
            }
        }
        for (record, entry) in self.directory.iter().filter(|(_, entry)| !entry.deleted) {
            ensure!(
                homes.contains_key(record),
                "record {record} has no home copy, the directory says {entry:?}"
            );
        }
        ensure!(
            guests == self.guests,
            "the notes on guest copies are not where the copies are"
        );
        Ok(())
    }

    /// What is read of every person is what was written, and rows of members are those of crowds.
    fn check_members(&self) -> anyhow::Result<()> {
        let mut crowds = 0;
        for (place, rows) in &self.persons {
            for stored in self.rows(place) {
                crowds += usize::from(stored.apart);
                ensure!(
                    stored.apart == are_apart(&stored.members),
                    "the members of {} are not kept as they should",
                    stored.person
                );
                let written = rows[&stored.person].person.as_ref();
                ensure!(
                    written.is_none_or(|person| person.members == stored.members),
                    "other members of {} are read than were written",
                    stored.person
                );
            }
        }
        ensure!(crowds == self.members.len(), "members are rows of their own without a person");
        Ok(())
    }

    /// Enrolments, due dates and counters, made anew from the persons.
    fn check_narrow(&self) -> anyhow::Result<()> {
        let (mut enrolments, mut due) = (BTreeMap::new(), BTreeSet::new());
        let mut counters: BTreeMap<(Shard, i32, i16), i64> = BTreeMap::new();
        for ((shard, anchor), described) in self.base() {
            for person in described.persons {
                for measure in domain::measure::measures(domain::measure::flags(&person), &person.findings) {
                    *counters
                        .entry((shard, domain::measure::county(&person), measure))
                        .or_default() += 1;
                }
                due.extend(person.next_due.map(|day| (shard, day, anchor, person.id)));
                let of = person.enrolments.into_iter();
                enrolments.extend(of.map(|(record, enrolment)| ((shard, anchor, record), (person.id, enrolment))));
            }
        }
        ensure!(
            enrolments == self.enrolments,
            "the rows of enrolments are not those of the persons"
        );
        ensure!(due == self.due, "the due dates are not those of the persons");
        let counted = self.counters.iter().filter(|(_, value)| **value != 0);
        let counted: BTreeMap<_, _> = counted.map(|(key, value)| (*key, *value)).collect();
        ensure!(counters == counted, "the counters do not count the persons");
        Ok(())
    }
}
