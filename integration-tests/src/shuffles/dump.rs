//! What a base holds, row by row: two bases are the same when every byte of it is.
//!
//! Left out: positions (versions, append times, batches) and the history of publication (what was announced, and in which revision);
//! deleted directory entries, whose place means nothing.

use crate::servers::Servers;
use anyhow::Context;
use domain::base::Base;
use domain::date::Timestamp;
use domain::finding::Finding;
use domain::ids::{AnchorId, PersonId};
use domain::neighbourhood::Member;
use domain::shard::Shard;
use domain::source::Version;
use runtime::store::read;
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, Row};
use std::collections::BTreeMap;

/// Tables, the columns that name a row, the columns left out, and which rows.
const TABLES: [(&str, &[&str], &[&str], &str); 8] = [
    (
        "store.person",
        &["shard", "anchor", "person"],
        &["members", "published"],
        "true",
    ),
    ("store.enrolment", &["shard", "anchor", "record"], &[], "true"),
    (
        "store.directory",
        &["record"],
        &[
            "epoch",
            "partition",
            "offset",
            "mapping",
            "deleted",
            "unread_epoch",
            "unread_partition",
            "unread_offset",
            "unread_mapping",
        ],
        "not deleted",
    ),
    (
        "store.employer",
        &["shard", "record"],
        &["epoch", "partition", "offset", "mapping"],
        "not deleted",
    ),
    ("store.due", &["shard", "day", "anchor", "person"], &[], "true"),
    ("store.counter", &["shard", "county", "measure"], &[], "value <> 0"),
    (
        "base.finding",
        &["person_id", "rule", "scheme"],
        &["announced", "revision", "finding_id"],
        "true",
    ),
    ("base.alias", &["number", "person_id"], &[], "true"),
];

/// A base, written down.
pub(crate) struct Dump {
    /// By table and key, the row.
    rows: BTreeMap<(&'static str, String), String>,
    /// Members of the stored persons, and what is open.
    pub(super) function: Function,
}

/// What the function decides of each person: by place and id, number, region, findings and members as stored.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Function(BTreeMap<(Shard, AnchorId, PersonId), [String; 4]>);

const PARTS: [&str; 4] = ["number", "region", "findings", "members"];

impl Function {
    fn put(
        &mut self,
        place: (Shard, AnchorId, PersonId),
        number: impl serde::Serialize,
        region: impl serde::Serialize,
        findings: &[Finding],
        members: &[Member],
    ) -> anyhow::Result<()> {
        let mut members = members.to_vec();
        members.sort_by_key(Member::slot);
        for member in &mut members {
            let record = std::sync::Arc::make_mut(&mut member.record);
            record.version = Version::default();
            record.appended_at = Timestamp(0);
        }
        let members: Vec<_> = members
            .iter()
            .map(|member| {
                (
                    &member.record,
                    &member.path,
                    member.from,
                    member.sent,
                    member.unread.is_some(),
                )
            })
            .collect();
        let line = [
            serde_json::to_string(&number)?,
            serde_json::to_string(&region)?,
            serde_json::to_string(findings)?,
            serde_json::to_string(&members)?,
        ];
        self.0.insert(place, line);
        Ok(())
    }

    /// Where two differ: places and parts, nothing of what they say.
    pub(crate) fn differences(&self, expected: &Self) -> Vec<String> {
        let keys = self
            .0
            .keys()
            .chain(expected.0.keys().filter(|key| !self.0.contains_key(*key)));
        let differ = |key: &(Shard, AnchorId, PersonId)| {
            let parts = match (self.0.get(key), expected.0.get(key)) {
                (Some(found), Some(expected)) if found == expected => return None,
                (Some(found), Some(expected)) => PARTS
                    .iter()
                    .zip(found.iter().zip(expected))
                    .filter(|(_, (found, expected))| found != expected)
                    .map(|(part, (found, expected))| format!("{part} ({} against {} bytes)", found.len(), expected.len()))
                    .collect::<Vec<_>>()
                    .join(", "),
                (Some(_), None) => "is too much".to_owned(),
                _ => "is missing".to_owned(),
            };
            Some(format!("  shard {} {} person {}: {parts}", key.0, key.1, key.2))
        };
        keys.filter_map(differ).collect()
    }
}

/// What the function says, in the form of a dump.
///
/// # Errors
/// Never in practice: everything can be serialised.
pub(super) fn function(base: &Base) -> anyhow::Result<Function> {
    let mut function = Function::default();
    for ((shard, anchor), described) in base {
        for person in &described.persons {
            let place = (*shard, *anchor, person.id);
            function.put(place, person.number, person.region, &person.findings, &person.members)?;
        }
        if !described.away.is_empty() {
            let place = (*shard, *anchor, PersonId::default());
            function.put(place, None::<()>, None::<()>, &[], &described.away)?;
        }
    }
    Ok(function)
}

/// Writes the base down.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn dump(servers: &Servers) -> anyhow::Result<Dump> {
    let mut connection = servers.pool.acquire().await?;
    let mut rows = BTreeMap::new();
    for (table, key, left_out, chosen) in TABLES {
        let left_out: Vec<String> = left_out.iter().map(|column| (*column).to_owned()).collect();
        let statement = format!("select (to_jsonb(t) - $1::text[])::text as row from {table} t where {chosen}");
        for row in sqlx::query(AssertSqlSafe(statement))
            .bind(left_out)
            .fetch_all(&mut *connection)
            .await
            .with_context(|| format!("dumping {table}"))?
        {
            let row: String = row.try_get("row")?;
            rows.insert((table, named(&row, key)?), row);
        }
    }
    let mut function = Function::default();
    for shard in Shard::all() {
        for stored in read::slice(&mut connection, shard, None, i64::MAX as usize).await?.0 {
            let place = (stored.shard, stored.anchor, stored.person);
            function.put(place, stored.number, stored.region, &stored.findings, &stored.members)?;
        }
    }
    Ok(Dump { rows, function })
}

fn named(row: &str, key: &[&str]) -> anyhow::Result<String> {
    let row: Map<String, Value> = serde_json::from_str(row)?;
    let of_key = key.iter().map(|column| match row.get(*column) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    });
    Ok(of_key.collect::<Vec<_>>().join(" "))
}

impl Dump {
    /// A digest of all of it (FNV-1a).
    pub(super) fn digest(&self) -> u64 {
        let rows = self.rows.iter().flat_map(|((table, key), row)| [*table, key, row]);
        let function = self.function.0.values().flatten().map(String::as_str);
        rows.chain(function)
            .flat_map(|text| text.as_bytes().iter().chain(&[0]))
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            })
    }

    /// Where two bases differ: rows and columns, nothing of what they say.
    pub(crate) fn differences(&self, expected: &Self) -> Vec<String> {
        let mut differences = self.function.differences(&expected.function);
        for (key, row) in &self.rows {
            match expected.rows.get(key) {
                None => differences.push(format!("  {} {}: is too much", key.0, masked(key))),
                Some(other) if other != row => {
                    differences.push(format!("  {} {}: differs in {}", key.0, masked(key), columns(row, other)));
                }
                Some(_) => {}
            }
        }
        let missing = expected.rows.keys().filter(|key| !self.rows.contains_key(*key));
        differences.extend(missing.map(|key| format!("  {} {}: is missing", key.0, masked(key))));
        differences
    }
}

/// The key of a row, without the number of a person.
fn masked((table, key): &(&'static str, String)) -> String {
    match key.split_once(' ') {
        Some((_, person)) if *table == "base.alias" => format!("*** {person}"),
        _ => key.clone(),
    }
}

/// The columns in which two rows differ.
fn columns(found: &str, expected: &str) -> String {
    let parse = |row: &str| serde_json::from_str::<Map<String, Value>>(row).unwrap_or_default();
    let (found, expected) = (parse(found), parse(expected));
    let differ = found.iter().filter(|(column, value)| expected.get(*column) != Some(value));
    differ.map(|(column, _)| column.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(name: &str) -> Dump {
        let row = serde_json::json!({ "shard": 3, "anchor": "a0", "person": "b0", "name": name, "phone": "1" });
        let alias = serde_json::json!({ "number": "320102199003070019", "person_id": "b0" });
        Dump {
            rows: BTreeMap::from([
                (("store.person", "3 a0 b0".to_owned()), row.to_string()),
                (("base.alias", format!("320102199003070019 {name}")), alias.to_string()),
            ]),
            function: Function::default(),
        }
    }

    #[test]
    fn a_difference_names_rows_and_columns_and_nobody() {
        let (one, two) = (dump("b0"), dump("b1"));
        assert!(one.differences(&dump("b0")).is_empty());
        assert_ne!(one.digest(), two.digest());
        assert_eq!(
            one.differences(&two),
            [
                "  base.alias *** b0: is too much",
                "  store.person 3 a0 b0: differs in name",
                "  base.alias *** b1: is missing"
            ]
        );
    }
}
