//! How the members of a person are kept: few as one value in their person's row, those of a crowd as rows of their own, so that one
//! more writes one of them and not all.

use crate::ids::PersonId;
use crate::neighbourhood::{Member, Slot};
use std::cmp::Ordering;

/// Most members that are kept in their person's row. Hardly anybody has more records than that; a number that everybody uses has
/// thousands.
pub const MOST_IN_ROW: usize = 64;

/// Whether members are kept as rows of their own.
pub fn are_apart(members: &[Member]) -> bool {
    members.len() > MOST_IN_ROW
}

/// A member that is kept as a row of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutMember {
    /// Whose it is.
    pub person: PersonId,
    /// The member.
    pub member: Member,
    /// Whether its row exists.
    pub exists: bool,
}

/// Rows of members to write and to remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberRows {
    /// To write, because they are new or differ.
    pub put: Vec<PutMember>,
    /// To remove: the member's slot, and whose it was.
    pub gone: Vec<(PersonId, Slot)>,
}

impl MemberRows {
    /// Compares the members of `person` that have rows with those that are to have them; both in the order of their slots.
    pub(super) fn compare(&mut self, person: PersonId, before: &[Member], now: &[Member]) {
        let (mut old, mut new) = (before.iter().peekable(), now.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.slot().cmp(&new.slot()),
            };
            let was = if order.is_le() { old.next() } else { None };
            let is = if order.is_ge() { new.next() } else { None };
            match (was, is) {
                (Some(was), None) => self.gone.push((person, was.slot())),
                (was, Some(is)) if was != Some(is) => self.put.push(PutMember {
                    person,
                    member: is.clone(),
                    exists: was.is_some(),
                }),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RecordId;
    use crate::sample::Sample;
    use crate::source::Version;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    const PERSON: PersonId = PersonId([1; 16]);

    /// Members of the records and versions named, in order.
    fn members(of: &BTreeMap<u8, u64>) -> Vec<Member> {
        let [record] = <[_; 1]>::try_from(Sample::man().hired("2024-01-01").records).expect("one record");
        let member = |(id, offset): (&u8, &u64)| {
            let mut record = record.clone();
            record.id = RecordId([*id; 16]);
            record.version = Version {
                offset: *offset,
                ..Version::default()
            };
            Member::home(Arc::new(record))
        };
        of.iter().map(member).collect()
    }

    proptest! {
        /// Whatever came, changed and went: the rows are the members, and none is written without need.
        #[test]
        fn rows_follow_the_members(versions in prop::collection::vec(prop::collection::btree_map(0..20_u8, 0..3_u64, 0..20), 1..8)) {
            let mut rows: BTreeMap<Slot, Member> = BTreeMap::new();
            let mut before = Vec::new();
            for version in &versions {
                let now = members(version);
                let mut found = MemberRows::default();
                found.compare(PERSON, &before, &now);
                for (person, slot) in found.gone {
                    prop_assert_eq!(person, PERSON);
                    prop_assert!(rows.remove(&slot).is_some(), "a row that goes was there");
                }
                for put in found.put {
                    let former = rows.insert(put.member.slot(), put.member.clone());
                    prop_assert_eq!(former.is_some(), put.exists);
                    prop_assert_ne!(former, Some(put.member), "what is equal is not written");
                }
                prop_assert_eq!(rows.values().cloned().collect::<Vec<_>>(), now.clone());
                before = now;
            }
        }
    }
}
