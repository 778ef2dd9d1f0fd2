//! Which names fit each other under a number.

use crate::decision::{Merged, Rulings};
use crate::facts::Facts;
use crate::ids::RecordId;
use crate::name::{Name, NameMatch};
use crate::record::SourceRecord;
use std::collections::{BTreeMap, BTreeSet};

/// Whether two names may be one person's.
pub(super) fn fit(name: &Name, other: &Name) -> bool {
    !matches!(name.compare(other), NameMatch::Different)
}

/// The one name some records share, with the former names they state; `None` when they state several that no decision calls one.
pub(super) fn one_name<'a>(records: &[&'a SourceRecord], rulings: &Rulings) -> Option<Vec<&'a Name>> {
    let mut names: Vec<&Name> = records.iter().filter_map(|record| record.identity.name.as_ref()).collect();
    // Equal names need no keys to be compared.
    let differ = names.iter().any(|name| name != &names[0] && name.key() != names[0].key());
    if differ && !are_one(records, rulings) {
        return None;
    }
    names.extend(records.iter().filter_map(|record| match &record.facts {
        Facts::Resident(resident) => resident.former_name.as_ref(),
        _ => None,
    }));
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// Whether decisions call one everybody whose names differ.
fn are_one(records: &[&SourceRecord], rulings: &Rulings) -> bool {
    let mut one: Merged<String> = Merged::default();
    let mut of_class: BTreeMap<RecordId, String> = BTreeMap::new();
    let mut keys: BTreeSet<String> = BTreeSet::new();
    for record in records {
        let Some(name) = record.identity.name.as_ref().map(Name::key) else {
            continue;
        };
        if let Some(class) = rulings.class(record.id) {
            let first = of_class.entry(class).or_insert_with(|| name.clone()).clone();
            one.unite(first, name.clone());
        }
        keys.insert(name);
    }
    let roots: BTreeSet<String> = keys.into_iter().map(|name| one.find(name)).collect();
    roots.len() <= 1
}
