//! Which names fit each other under a number.

use super::Member;
use super::corrections::row_of;
use crate::decision::{Merged, Rulings};
use crate::facts::Facts;
use crate::ids::{IdKey, RecordId};
use crate::name::{Name, NameMatch};
use crate::record::SourceRecord;
use std::collections::{BTreeMap, BTreeSet};

/// Whether two names may be one person's.
pub(super) fn fit(name: &Name, other: &Name) -> bool {
    !matches!(name.compare(other), NameMatch::Different)
}

/// By register row, the names it had before under the number: what its renamings (更名) state. They are former names of whom the row
/// is about while it is here, and of who left when it took another number; without the row they say nothing.
#[derive(Default)]
pub(super) struct Renamings<'a>(BTreeMap<RecordId, Vec<&'a SourceRecord>>);

impl<'a> Renamings<'a> {
    /// The home statements among the members at `indexes`.
    pub(super) fn find(members: &'a [Member], indexes: &[usize], key: &IdKey) -> Self {
        let mut renamings = Self::default();
        let homes = indexes.iter().map(|at| &members[*at]).filter(|member| !member.is_guest());
        for record in homes
            .map(|member| &*member.record)
            .filter(|record| record.renamed().is_some())
        {
            let row = row_of(record, key);
            // A correction table's row is read from no other row, and renames nobody.
            if row != record.id {
                renamings.0.entry(row).or_default().push(record);
            }
        }
        renamings
    }

    /// What is stated of a row.
    pub(super) fn of(&self, row: RecordId) -> impl Iterator<Item = &'a SourceRecord> + '_ {
        self.0.get(&row).into_iter().flatten().copied()
    }

    /// The former names of a row's person: those it states itself (曾用名), and those it had.
    fn former_names(&self, record: &'a SourceRecord) -> impl Iterator<Item = &'a Name> + '_ {
        let stated = match &record.facts {
            Facts::Resident(resident) => resident.former_name.as_ref(),
            _ => None,
        };
        stated.into_iter().chain(self.of(record.id).filter_map(SourceRecord::renamed))
    }
}

/// The one name some records share, with their former names; `None` when they state several that neither a renaming nor a decision
/// calls one.
pub(super) fn one_name<'a>(records: &[&'a SourceRecord], renamings: &Renamings<'a>, rulings: &Rulings) -> Option<Vec<&'a Name>> {
    let mut names: Vec<&Name> = records.iter().filter_map(|record| record.identity.name.as_ref()).collect();
    // Equal names need no keys to be compared.
    let differ = |name: &&Name| name != &names[0] && !matches!(name.compare(names[0]), NameMatch::Same | NameMatch::Exchanged);
    if names.iter().any(differ) && !are_one(records, renamings, rulings) {
        return None;
    }
    names.extend(records.iter().flat_map(|record| renamings.former_names(record)));
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// Calls one whatever a name is matched by, and says by what.
fn unite(one: &mut Merged<String>, name: &Name) -> String {
    let (key, parts) = name.match_keys();
    if let Some(parts) = parts {
        one.unite(key.clone(), parts);
    }
    key
}

/// Whether the names of everybody are one, or are called one: by renamings, or by decisions.
fn are_one<'a>(records: &[&'a SourceRecord], renamings: &Renamings<'a>, rulings: &Rulings) -> bool {
    let mut one: Merged<String> = Merged::default();
    let mut of_class: BTreeMap<RecordId, String> = BTreeMap::new();
    let mut keys: BTreeSet<String> = BTreeSet::new();
    for record in records {
        let Some(name) = record.identity.name.as_ref().map(|name| unite(&mut one, name)) else {
            continue;
        };
        for former in renamings.former_names(record) {
            let former = unite(&mut one, former);
            one.unite(name.clone(), former);
        }
        if let Some(class) = rulings.class(record.id) {
            let first = of_class.entry(class).or_insert_with(|| name.clone()).clone();
            one.unite(first, name.clone());
        }
        keys.insert(name);
    }
    let roots: BTreeSet<String> = keys.into_iter().map(|name| one.find(name)).collect();
    roots.len() <= 1
}
