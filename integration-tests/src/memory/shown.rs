//! What the tables hold, as the function says it.

use super::Memory;
use domain::base::{Base, Described};
use domain::batch::{AWAY, Place};
use domain::neighbourhood::Member;
use std::collections::BTreeMap;

impl Memory {
    /// The base as it is: persons, and members whose person lives elsewhere.
    pub fn base(&self) -> Base {
        self.persons
            .iter()
            .map(|(place, rows)| {
                let described = Described {
                    persons: rows.values().filter_map(|row| row.person.as_deref().cloned()).collect(),
                    away: self
                        .rows(place)
                        .find(|row| row.person == AWAY)
                        .map(|row| row.members)
                        .unwrap_or_default(),
                };
                (*place, described)
            })
            .collect()
    }

    /// The members of every neighbourhood, in order of their slots.
    pub fn neighbourhoods(&self) -> BTreeMap<Place, Vec<Member>> {
        self.persons
            .keys()
            .map(|place| {
                let mut members: Vec<Member> = self.rows(place).flat_map(|row| row.members).collect();
                members.sort_by_key(Member::slot);
                (*place, members)
            })
            .collect()
    }
}
