//! What the agencies' tables come to: every row as it stands now, read under the dialects as delivered, through the function at once. Nothing
//! of it passed a connector, a topic or a service.

use super::super::rig::{CITY, Connectors, Database};
use anyhow::{Context, bail};
use domain::base::{Base, Person, whole};
use domain::citizen_id::CitizenId;
use domain::date::{Day, Timestamp};
use domain::decision::Rulings;
use domain::division::City;
use domain::ids::FindingId;
use domain::input::Input;
use domain::record::Change;
use domain::source::Source;
use integration_tests::ground::Rules;
use runtime::dialect::{Classified, Kind, SourceMessage, Table, normalise};
use std::collections::{BTreeMap, BTreeSet};

/// Columns that hold a day: connectors send days since 1970.
const DAYS: [&str; 11] = [
    "csrq", "swrq", "djrq", "yxqz", "zxrq", "aac006", "aae030", "aae031", "hhrq", "ksrq", "jsrq",
];

/// How the tables are read.
pub struct Reading {
    rules: Rules,
    day: Day,
    /// Of columns that are not as delivered any more: what stands in their place, as SQL.
    instead: BTreeMap<(Database, &'static str, &'static str), &'static str>,
}

/// Findings that are open, with the rule of each.
pub type Open = BTreeMap<FindingId, &'static str>;

/// What a base holds, a line each, and its findings with the rule of each.
pub struct Held {
    /// Persons, enrolments and findings.
    pub lines: BTreeSet<String>,
    /// Open findings of persons who count somewhere.
    pub open: Open,
}

impl Reading {
    /// As delivered, on a date.
    pub fn new(day: Day) -> anyhow::Result<Self> {
        Ok(Self {
            rules: Rules::load()?,
            day,
            instead: BTreeMap::new(),
        })
    }

    /// From now on a column's content is found elsewhere in its table.
    pub fn find(&mut self, of: Database, table: &'static str, column: &'static str, sql: &'static str) {
        self.instead.insert((of, table, column), sql);
    }

    /// Reads all tables.
    pub fn held(&self, databases: &Connectors) -> anyhow::Result<Held> {
        let mut changes: Vec<Change> = Vec::new();
        for of in [Database::Ga, Database::Hr, Database::Mz] {
            let source: Source = format!("{}.{CITY}", of.agency()).parse()?;
            for table in self
                .rules
                .dialects
                .tables(source)
                .filter(|table| table.kind != Kind::Completeness)
            {
                for row in databases.sql(of, &self.select(of, table))? {
                    changes.extend(
                        self.read(source, table, &row)
                            .with_context(|| format!("{source} {}", table.name.as_str()))?,
                    );
                }
            }
        }
        let policy = Some(self.rules.policy.policy());
        Ok(self.lines(&whole(&changes, &[], &Rulings::default(), policy, self.day, &self.rules.key)))
    }

    /// The statement that prints a table's rows as JSON, as a connector would write them.
    fn select(&self, of: Database, table: &Table) -> String {
        let name = table.name.as_str();
        let mut columns = Vec::new();
        for (column, _) in table.columns() {
            let is_it = |(database, table, known): &(Database, &str, &str)| (*database, *table, *known) == (of, name, column);
            let elsewhere = self.instead.iter().find(|(place, _)| is_it(place));
            let found = elsewhere.map_or(column, |(_, sql)| sql);
            let value = match (DAYS.contains(&column), of) {
                (false, _) => found.to_owned(),
                (true, Database::Mz) => format!("datediff({found}, '1970-01-01')"),
                (true, _) => format!("{found} - date '1970-01-01'"),
            };
            columns.push(format!("'{column}', {value}"));
        }
        let function = if of == Database::Mz {
            "json_object"
        } else {
            "json_build_object"
        };
        format!("select {function}({}) from {name}", columns.join(", "))
    }

    fn read(&self, source: Source, table: &Table, row: &str) -> anyhow::Result<impl Iterator<Item = Change> + use<>> {
        let row: serde_json::Value = serde_json::from_str(row)?;
        let key: serde_json::Map<String, serde_json::Value> = table
            .key_columns()
            .iter()
            .map(|column| (column.name.clone(), row[&column.name].clone()))
            .collect();
        let value = serde_json::json!({ "op": "c", "before": null, "after": row, "source": {} });
        let classified = normalise(
            &self.rules.dialects,
            &self.rules.key,
            &SourceMessage {
                source,
                table: table.name.as_str(),
                partition: 0,
                offset: 0,
                epoch: 0,
                timestamp: Timestamp(0),
                key: Some(&serde_json::to_vec(&key)?),
                value: Some(&serde_json::to_vec(&value)?),
            },
        );
        let inputs = match classified {
            Classified::Inputs(inputs) | Classified::DeadLetter { inputs, .. } => inputs,
            Classified::Control(control) => bail!("a row that says nothing: {control:?}"),
        };
        Ok(inputs.into_iter().filter_map(|input| match input {
            Input::Change(change) => Some(change),
            _ => None,
        }))
    }

    fn lines(&self, base: &Base) -> Held {
        let mut held = Held {
            lines: BTreeSet::new(),
            open: BTreeMap::new(),
        };
        for ((_, anchor), described) in base {
            for person in &described.persons {
                held.lines.extend(lines(person));
                for finding in &person.findings {
                    if person.region.is_some() {
                        held.open
                            .insert(finding.id(person.id, *anchor, &self.rules.key), finding.rule.as_str());
                    }
                }
            }
        }
        held
    }
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// The lines of one person, as [`IN_BASE`] makes them.
fn lines(person: &Person) -> Vec<String> {
    let golden = &person.golden;
    let id = person.id;
    let address = golden.residence_address.as_ref().or(golden.hukou_address.as_ref());
    let mut lines = vec![format!(
        "person {id} {} {} {} {} {} {} {} {} {}",
        person.standing.as_str(),
        or_dash(person.number.map(CitizenId::text)),
        or_dash(golden.name.as_ref().map(|name| name.value.reveal())),
        or_dash(golden.birth.as_ref().map(|birth| birth.value)),
        or_dash(person.region.map(City::code)),
        or_dash(golden.death.as_ref().and_then(|death| death.value.date)),
        or_dash(golden.marital.as_ref().map(|marital| marital.value.code())),
        or_dash(golden.phone.as_ref().map(|phone| phone.value.reveal())),
        or_dash(address.map(|address| address.value.reveal())),
    )];
    lines.extend(person.enrolments.iter().map(|(record, enrolment)| {
        format!(
            "enrolment {id} {record} {} {} {} {} {} {} {}",
            enrolment.scheme.as_str(),
            enrolment.status.as_str(),
            enrolment.place,
            or_dash(enrolment.unit.as_deref()),
            or_dash(enrolment.from),
            or_dash(enrolment.until),
            or_dash(enrolment.paid_through),
        )
    }));
    lines.extend(person.findings.iter().map(|finding| {
        let scheme = or_dash(finding.scheme);
        format!("finding {id} {} {scheme} since {}", finding.rule.as_str(), finding.since)
    }));
    lines
}

/// The same lines of the base as it stands.
pub const IN_BASE: &str = "
    select concat_ws(' ', 'person', person_id, standing, coalesce(number, '-'), coalesce(name, '-'), coalesce(birth_date::text, '-'),
                     coalesce(region::text, '-'), coalesce(death_date::text, '-'), coalesce(marital_status::text, '-'),
                     coalesce(phone, '-'), coalesce(address, '-')) from base.person
    union all
    select concat_ws(' ', 'enrolment', person_id, record_id, scheme, status, place_division, coalesce(employer_unit, '-'),
                     coalesce(start_date::text, '-'), coalesce(end_date::text, '-'), coalesce(paid_through, '-')) from base.enrolment
    union all
    select concat_ws(' ', 'finding', person_id, rule, coalesce(scheme, '-'), 'since', since) from base.finding";
