//! Open against announced: when nothing is due or waits for a source, subscribers know exactly what is open; and what waits, waits for a
//! source that is not complete past its facts, and not for ever (ARCHITECTURE.md, Findings and release).

use super::compare::{Problems, Sample, TableReport};
use super::waiting::{Patience, Waiting, overdue};
use anyhow::Context;
use domain::date::Timestamp;
use domain::division::City;
use domain::finding::{About, Finding};
use domain::ids::{AnchorId, FindingId, IdKey, PersonId};
use domain::release::Told;
use domain::scheme::Scheme;
use domain::shard::Shard;
use domain::source::{Agency, Source};
use runtime::store::decode;
use runtime::store::person::{about_code, about_of};
use runtime::store::read::StoredShard;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::{BTreeMap, BTreeSet};

/// A person's place in the store.
pub(crate) type PersonKey = (Shard, AnchorId, PersonId);

/// Findings open in live regions, with the region, by person.
pub(crate) type Open = BTreeMap<PersonKey, (City, Vec<Finding>)>;

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

/// A row of `store.announced`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub key: PersonKey,
    pub finding: FindingId,
    pub told: Told,
}

/// Reads the columns of an announcement.
///
/// # Errors
/// What cannot be read, or does not go with the rest of the row.
pub(super) fn announced_row(row: &PgRow) -> Result<Row, &'static str> {
    let unreadable = |_| "cannot be read";
    let key = key(row).map_err(|_| "has a key that cannot be read")?;
    let finding = FindingId::from_slice(row.try_get("finding").map_err(unreadable)?).ok_or("has a finding id that is none")?;
    let told: Told = decode("announcement", row.try_get("body").map_err(unreadable)?).map_err(|_| "cannot be read")?;
    let same = row.try_get::<i32, _>("revision").map_err(unreadable)? as u32 == told.revision
        && row.try_get::<bool, _>("open").map_err(unreadable)? == told.open
        && row.try_get::<i16, _>("region").map_err(unreadable)? == told.region.code() as i16
        && row.try_get::<i16, _>("about").map_err(unreadable)? == about_code(told.finding.about());
    if same {
        Ok(Row { key, finding, told })
    } else {
        Err("has columns that do not repeat what was told")
    }
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

/// Compares shard by shard; beside the report of what differs, one each of `store.announced`, `store.pending` and `store.carried`.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn compare(
    connection: &mut PgConnection,
    open: &Open,
    shards: &[StoredShard],
    patience: &Patience<'_>,
    id_key: &IdKey,
    show: u32,
) -> anyhow::Result<(Announced, Vec<TableReport>)> {
    let mut desk = Desk {
        report: Announced::default(),
        announced: Problems::new("announced", show),
        pending: Problems::new("pending", show),
        carried: Problems::new("carried", show),
        show: show as usize,
    };
    for shard in shards {
        let told = desk.told(connection, shard.shard, id_key).await?;
        let mut waiting = desk.waiting(connection, shard.shard).await?;
        let of_shard = open.range((shard.shard, AnchorId::default(), PersonId([0; 16]))..);
        let of_shard = of_shard.take_while(|((of, ..), _)| *of == shard.shard);
        let open: BTreeMap<PersonKey, (City, &[Finding])> = of_shard
            .map(|(key, (region, findings))| (*key, (*region, findings.as_slice())))
            .collect();
        desk.judge(&open, &told, &mut waiting, shard, patience);
        let places: BTreeSet<(AnchorId, About)> = told
            .iter()
            .flat_map(|((_, anchor, _), told)| told.iter().map(|told| (*anchor, told.finding.about())))
            .collect();
        desk.carried(connection, shard, patience, &places).await?;
    }
    Ok((
        desk.report,
        vec![desk.announced.report(), desk.pending.report(), desk.carried.report()],
    ))
}

struct Desk {
    report: Announced,
    announced: Problems,
    pending: Problems,
    carried: Problems,
    show: usize,
}

/// What was told of the persons of a shard, closed or open.
type ToldOf = BTreeMap<PersonKey, Vec<Told>>;

impl Desk {
    async fn told(&mut self, connection: &mut PgConnection, shard: Shard, id_key: &IdKey) -> anyhow::Result<ToldOf> {
        let rows = sqlx::query(
            "select shard, anchor, person, about, finding, revision, open, region, body from store.announced where shard = $1",
        )
        .bind(i16::from(shard.number()))
        .fetch_all(connection)
        .await
        .context("reading announcements")?;
        let mut told = ToldOf::new();
        self.announced.rows += rows.len() as u64;
        for row in &rows {
            match announced_row(row) {
                Ok(found) => {
                    let (_, anchor, person) = found.key;
                    if found.told.person != person || found.finding != found.told.finding.id(person, anchor, id_key) {
                        let at = place(&found.key, found.told.finding.about());
                        self.announced
                            .note(at, "has a finding id that is none of its person and rule");
                    }
                    told.entry(found.key).or_default().push(found.told);
                }
                Err(problem) => {
                    let at = key(row).map(|key| place(&key, about_of(row.try_get("about").unwrap_or_default())));
                    self.announced.note(at.unwrap_or_else(|_| shard.to_string()), problem);
                }
            }
        }
        Ok(told)
    }

    async fn waiting(
        &mut self,
        connection: &mut PgConnection,
        shard: Shard,
    ) -> anyhow::Result<BTreeMap<(PersonKey, About), Waiting>> {
        let rows = sqlx::query("select shard, anchor, person, about, facts_at, agency, city from store.pending where shard = $1")
            .bind(i16::from(shard.number()))
            .fetch_all(connection)
            .await
            .context("reading what waits")?;
        self.pending.rows += rows.len() as u64;
        let mut found = BTreeMap::new();
        for row in &rows {
            let Ok(key) = key(row) else {
                self.pending.note(shard.to_string(), "has a key that cannot be read");
                continue;
            };
            let about = about_of(row.try_get("about")?);
            let agency = row.try_get::<Option<i16>, _>("agency")?;
            let source = agency.zip(row.try_get::<Option<i16>, _>("city")?).map(|(agency, city)| {
                let agency = u8::try_from(agency).ok().and_then(Agency::from_code)?;
                let city = City::from_code(city as u16)?;
                Some(Source { agency, city })
            });
            if source == Some(None) {
                self.pending.note(place(&key, about), "waits for a source that is none");
            }
            let waiting = Waiting {
                facts_at: Timestamp(row.try_get("facts_at")?),
                waits_for: source.flatten(),
            };
            found.insert((key, about), waiting);
        }
        Ok(found)
    }

    /// What differs in a shard, and whether it may wait.
    fn judge(
        &mut self,
        open: &BTreeMap<PersonKey, (City, &[Finding])>,
        told: &ToldOf,
        waiting: &mut BTreeMap<(PersonKey, About), Waiting>,
        shard: &StoredShard,
        patience: &Patience<'_>,
    ) {
        self.report.open += open.values().map(|(_, findings)| findings.len() as u64).sum::<u64>();
        let persons: BTreeSet<&PersonKey> = open.keys().chain(told.keys()).collect();
        for person in persons {
            let (region, findings) = open
                .get(person)
                .map_or((None, &[][..]), |(region, findings)| (Some(*region), *findings));
            let told: Vec<&Told> = told
                .get(person)
                .map_or(&[][..], Vec::as_slice)
                .iter()
                .filter(|told| told.open)
                .collect();
            self.report.told += told.len() as u64;
            for (about, problem) in problems(region, findings, &told) {
                let Some(waits) = waiting.remove(&(*person, about)) else {
                    self.differ(person, about, problem);
                    continue;
                };
                self.report.waiting += 1;
                if patience.unreadable.contains(person) {
                    continue;
                }
                if let Some(late) = overdue(&waits, shard, patience) {
                    self.pending.note(place(person, about), format!("{problem}: {late}"));
                }
            }
        }
        for ((person, about), waits) in std::mem::take(waiting) {
            // What came back to what was told waits until somebody looks again, for no source of its own.
            let problem = match waits.waits_for {
                Some(source) => Some(format!("waits for {source}, and nothing differs")),
                None if patience.unreadable.contains(&person) => None,
                None => overdue(&waits, shard, patience),
            };
            if let Some(problem) = problem {
                self.pending.note(place(&person, about), problem);
            }
        }
    }

    fn differ(&mut self, person: &PersonKey, about: About, problem: &'static str) {
        self.report.differences += 1;
        if self.report.samples.len() < self.show {
            self.report.samples.push(Sample {
                key: place(person, about),
                problem: problem.to_owned(),
            });
        }
    }

    /// What arrived with persons who were told of elsewhere: by message, or inside a neighbourhood that had been told of it.
    async fn carried(
        &mut self,
        connection: &mut PgConnection,
        shard: &StoredShard,
        patience: &Patience<'_>,
        told: &BTreeSet<(AnchorId, About)>,
    ) -> anyhow::Result<()> {
        let rows = sqlx::query("select anchor, about, arrived_at from store.carried where shard = $1")
            .bind(i16::from(shard.shard.number()))
            .fetch_all(connection)
            .await
            .context("reading what arrived")?;
        self.carried.rows += rows.len() as u64;
        for row in &rows {
            let about = about_of(row.try_get("about")?);
            let Some(anchor) = AnchorId::from_slice(row.try_get("anchor")?) else {
                self.carried.note(shard.shard.to_string(), "has a key that cannot be read");
                continue;
            };
            let at = format!("{}/{anchor}/{}", shard.shard, about_text(about));
            let waits = Waiting {
                facts_at: Timestamp(row.try_get("arrived_at")?),
                waits_for: None,
            };
            if !patience.carried.contains(&(shard.shard, anchor, about)) && !told.contains(&(anchor, about)) {
                self.carried.note(at, "arrived from nowhere");
            } else if let Some(late) = overdue(&waits, shard, patience) {
                self.carried.note(at, late);
            }
        }
        Ok(())
    }
}

fn place((shard, anchor, person): &PersonKey, about: About) -> String {
    format!("{shard}/{anchor}/{person}/{}", about_text(about))
}

fn about_text([rule, scheme]: About) -> String {
    let rule = domain::finding::Rule::ALL.iter().find(|known| known.code() == rule);
    let rule = rule.map_or("unknown rule", |rule| rule.as_str());
    match Scheme::ALL.iter().find(|known| known.code() == scheme) {
        Some(scheme) => format!("{rule}:{scheme}"),
        None => rule.to_owned(),
    }
}

/// What of a person's findings was not told as it is: what it is about, and how it differs.
fn problems(region: Option<City>, findings: &[Finding], told: &[&Told]) -> Vec<(About, &'static str)> {
    let mut found = Vec::new();
    for finding in findings {
        match told.iter().find(|told| told.finding.about() == finding.about()) {
            None => found.push((finding.about(), "open, not announced")),
            Some(told) if Some(told.region) != region => found.push((finding.about(), "announced to another region")),
            Some(told) if told.finding != *finding => found.push((finding.about(), "announced otherwise")),
            Some(_) => (),
        }
    }
    let gone = told
        .iter()
        .filter(|told| !findings.iter().any(|finding| finding.about() == told.finding.about()));
    found.extend(gone.map(|told| (told.finding.about(), "announced, not open")));
    found
}

#[cfg(test)]
mod tests;
