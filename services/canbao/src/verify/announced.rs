//! Open against announced: when nothing is due or waits for a source, subscribers know exactly what is open
//! (ARCHITECTURE.md, Findings and release).

use super::compare::Sample;
use anyhow::Context;
use domain::division::City;
use domain::finding::Finding;
use domain::ids::{AnchorId, PersonId};
use domain::release::Told;
use domain::shard::Shard;
use runtime::store::decode;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};

/// A person's place in the store.
pub(crate) type PersonKey = (Shard, AnchorId, PersonId);

/// What the comparison came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Announced {
    /// Findings open in live regions.
    pub open: u64,
    /// Findings announced as open.
    pub told: u64,
    /// Those that differ and wait for a source to be complete.
    pub waiting: u64,
    /// Those that differ and wait for nothing.
    pub differences: u64,
    /// Some of these.
    pub samples: Vec<Sample>,
}

/// What subscribers were told as open, and whose findings wait.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub told: BTreeMap<PersonKey, Vec<Told>>,
    pub pending: BTreeSet<PersonKey>,
}

fn key(row: &PgRow) -> anyhow::Result<PersonKey> {
    let shard = u8::try_from(row.try_get::<i16, _>("shard")?).ok().and_then(Shard::new);
    let anchor = AnchorId::from_slice(row.try_get("anchor")?);
    let person = PersonId::from_slice(row.try_get("person")?);
    shard
        .zip(anchor)
        .zip(person)
        .map(|((shard, anchor), person)| (shard, anchor, person))
        .context("a stored key cannot be read")
}

impl Known {
    /// Reads what was told.
    ///
    /// # Errors
    /// When the store does not answer or a row is of another layout.
    pub(crate) async fn read(connection: &mut PgConnection) -> anyhow::Result<Self> {
        let mut found = Self::default();
        let rows = sqlx::query("select shard, anchor, person, body from store.announced where open")
            .fetch_all(&mut *connection)
            .await
            .context("reading announcements")?;
        for row in &rows {
            found
                .told
                .entry(key(row)?)
                .or_default()
                .push(decode("announcement", row.try_get("body")?)?);
        }
        let rows = sqlx::query("select shard, anchor, person from store.pending")
            .fetch_all(connection)
            .await
            .context("reading who waits")?;
        found.pending = rows.iter().map(key).collect::<anyhow::Result<_>>()?;
        Ok(found)
    }
}

/// Compares; shows at most `show` differences.
pub(crate) fn compare(open: &BTreeMap<PersonKey, (City, Vec<Finding>)>, known: &Known, show: u32) -> Announced {
    let mut report = Announced {
        open: open.values().map(|(_, findings)| findings.len() as u64).sum(),
        told: known.told.values().map(|told| told.len() as u64).sum(),
        ..Announced::default()
    };
    let persons: BTreeSet<&PersonKey> = open.keys().chain(known.told.keys()).collect();
    for person in persons {
        let (region, findings) = open
            .get(person)
            .map_or((None, &[][..]), |(region, findings)| (Some(*region), findings.as_slice()));
        let told = known.told.get(person).map_or(&[][..], Vec::as_slice);
        for (about, problem) in problems(region, findings, told) {
            if known.pending.contains(person) {
                report.waiting += 1;
                continue;
            }
            report.differences += 1;
            if report.samples.len() < show as usize {
                let (shard, anchor, id) = person;
                report.samples.push(Sample {
                    key: format!("{shard}/{anchor}/{id}/{about}"),
                    problem: problem.to_owned(),
                });
            }
        }
    }
    report
}

/// What of a person's findings was not told as it is: what it is about, and how it differs.
fn problems(region: Option<City>, findings: &[Finding], told: &[Told]) -> Vec<(String, &'static str)> {
    let about = |finding: &Finding| match finding.scheme {
        Some(scheme) => format!("{}:{scheme}", finding.rule.as_str()),
        None => finding.rule.as_str().to_owned(),
    };
    let mut found = Vec::new();
    for finding in findings {
        match told.iter().find(|told| told.finding.about() == finding.about()) {
            None => found.push((about(finding), "open, not announced")),
            Some(told) if Some(told.region) != region => found.push((about(finding), "announced to another region")),
            Some(told) if told.finding != *finding => found.push((about(finding), "announced otherwise")),
            Some(_) => (),
        }
    }
    let gone = told
        .iter()
        .filter(|told| !findings.iter().any(|finding| finding.about() == told.finding.about()));
    found.extend(gone.map(|told| (about(&told.finding), "announced, not open")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::date::Day;
    use domain::finding::Rule;
    use domain::scheme::Scheme;

    fn finding(since: i32) -> Finding {
        Finding {
            rule: Rule::Lapsed,
            scheme: Some(Scheme::EmployeePension),
            since: Day(since),
            overlap: None,
            reason: None,
            places: Vec::new(),
            evidence: Vec::new(),
        }
    }

    fn city(code: &str) -> City {
        code.parse().expect("a city")
    }

    fn told(since: i32, region: &str) -> Told {
        Told {
            person: PersonId([3; 16]),
            revision: 1,
            open: true,
            region: city(region),
            finding: finding(since),
        }
    }

    const WHO: fn() -> PersonKey = || (Shard::new(1).expect("a shard"), AnchorId([2; 16]), PersonId([3; 16]));

    fn report(open: Option<i32>, announced: Option<Told>, pending: bool) -> Announced {
        let open = open
            .map(|since| (WHO(), (city("3201"), vec![finding(since)])))
            .into_iter()
            .collect();
        let told = announced.map(|told| (WHO(), vec![told])).into_iter().collect();
        let pending = pending.then(WHO).into_iter().collect();
        compare(&open, &Known { told, pending }, 10)
    }

    #[test]
    fn what_is_open_must_be_told_as_it_is() {
        assert_eq!(report(Some(1), Some(told(1, "3201")), false).differences, 0);
        for (open, announced, problem) in [
            (Some(1), None, "open, not announced"),
            (None, Some(told(1, "3201")), "announced, not open"),
            (Some(1), Some(told(2, "3201")), "announced otherwise"),
            (Some(1), Some(told(1, "3202")), "announced to another region"),
        ] {
            let report = report(open, announced, false);
            assert_eq!((report.differences, report.samples[0].problem.as_str()), (1, problem));
        }
    }

    #[test]
    fn what_waits_for_a_source_is_no_difference() {
        let report = report(Some(1), None, true);
        assert_eq!((report.waiting, report.differences, report.open, report.told), (1, 0, 1, 0));
    }
}
