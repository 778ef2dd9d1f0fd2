//! `person`: what is known of a person, from which source, what should not be so, and what subscribers were told.
//!
//! Shows personal data, because whoever asks for one person by name asked for it; nothing of it is logged. The person is described
//! anew from the stored records by the function of the base, so that every field comes with the record that states it.

mod fields;
mod likeness;
mod report;
mod text;

pub use fields::Field;
pub use report::{Announcement, Enrolled, Known, Member, OpenFinding};
pub use text::render;

use crate::policy;
use crate::waivers::Unsettled;
use anyhow::Context;
use domain::base::describe;
use domain::citizen_id::CitizenId;
use domain::engine::DirectoryEntry;
use domain::ids::{AnchorId, IdKey, PersonId, RecordId};
use domain::neighbourhood::Member as Placed;
use domain::policy::Edition;
use domain::shard::Shard;
use domain::shard_state::ShardState;
use domain::source::Version;
use runtime::config::Settings;
use runtime::store::read::DIRECTORY_COLUMNS;
use runtime::store::{decisions, read};
use serde::Serialize;
use sqlx::{PgConnection, PgPool, Row};
use std::collections::{BTreeSet, VecDeque};

/// What is known by a number or an id.
#[derive(Debug, Serialize)]
pub struct Found {
    /// The persons: several where a number is contested.
    pub persons: Vec<Known>,
    /// What was followed to find them.
    pub notes: Vec<String>,
}

/// What was asked for.
#[derive(Clone, Copy)]
enum Asked {
    Number(CitizenId),
    /// A person, a neighbourhood or a record.
    Id([u8; 16]),
}

impl Asked {
    fn parse(text: &str) -> anyhow::Result<Self> {
        if let Ok(id) = text.parse::<RecordId>() {
            return Ok(Self::Id(id.0));
        }
        // The message must not repeat what was typed: it may be somebody's number, mistyped.
        CitizenId::parse(text).map(Self::Number).map_err(|error| {
            anyhow::anyhow!(
                "expected a citizen number of 18 or 15 characters, or an id of 32 hexadecimal digits; as a number: {error}"
            )
        })
    }

    /// Whether a person answers the question.
    fn is(self, person: &domain::base::Person) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Id(id) => {
                person.id.0 == id || person.anchor.0 == id || person.members.iter().any(|member| member.record.id.0 == id)
            }
        }
    }
}

/// A neighbourhood of the base.
type Place = (Shard, AnchorId);

/// Finds persons by number, person id or record id.
///
/// # Errors
/// When the text is none of these, or the store does not answer.
pub async fn find(settings: &Settings, pool: &PgPool, who: &str) -> anyhow::Result<Found> {
    let key = settings.id_key()?;
    let asked = Asked::parse(who)?;
    let mut connection = pool.acquire().await.context("taking a connection")?;
    let mut search = Search {
        key,
        asked,
        waivers: Unsettled::read(&mut connection).await?,
        found: Found {
            persons: Vec::new(),
            notes: Vec::new(),
        },
    };
    let places = search.places(&mut connection).await?;
    search.follow(&mut connection, places).await?;
    Ok(search.found)
}

struct Search {
    key: IdKey,
    asked: Asked,
    waivers: Unsettled,
    found: Found,
}

impl Search {
    /// Where to look first.
    async fn places(&mut self, connection: &mut PgConnection) -> anyhow::Result<Vec<Place>> {
        let id = match self.asked {
            Asked::Number(number) => return Ok(vec![place_of(number, &self.key)]),
            Asked::Id(id) => id,
        };
        let statement = format!("select {DIRECTORY_COLUMNS} from store.directory d where d.record = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(&id[..])
            .fetch_optional(&mut *connection)
            .await
            .context("reading the directory: was `canbao migrate` run?")?;
        if let Some(row) = row {
            let (record, entry) = read::directory_entry(&row)?;
            self.found.notes.extend(said(record, &entry));
            return Ok(if entry.deleted {
                Vec::new()
            } else {
                vec![(entry.shard, entry.anchor)]
            });
        }
        // No record: a neighbourhood, in whatever shard; its key begins with the shard.
        let shards: Vec<i16> = Shard::all().map(|shard| i16::from(shard.number())).collect();
        let rows: Vec<i16> = sqlx::query_scalar(
            "select k.shard from unnest($1::smallint[]) as k(shard)
             where exists (select from store.person p where p.shard = k.shard and p.anchor = $2)",
        )
        .bind(shards)
        .bind(&id[..])
        .fetch_all(connection)
        .await
        .context("looking for the id in every shard")?;
        rows.into_iter().map(|number| Ok((shard(number)?, AnchorId(id)))).collect()
    }

    /// Describes the neighbourhoods, and follows members whose person lives elsewhere.
    async fn follow(&mut self, connection: &mut PgConnection, places: Vec<Place>) -> anyhow::Result<()> {
        let mut waiting: VecDeque<Place> = places.into();
        let mut seen = BTreeSet::new();
        while let Some((shard, anchor)) = waiting.pop_front() {
            if !seen.insert((shard, anchor)) {
                continue;
            }
            let state = state(connection, shard).await?;
            let today = state.business_date();
            let policy = policy::of_shard(connection, state.policy).await?;
            let policy = policy.as_deref().map(Edition::policy);
            let rows = read::neighbourhoods(connection, &[(shard, anchor)]).await?;
            let mut members: Vec<Placed> = rows.into_iter().flat_map(|row| row.members).collect();
            members.sort_by_key(Placed::slot);
            let rulings = decisions::rulings(connection, shard).await?;
            let described = describe(anchor, &members, &rulings, policy, today, &self.key);
            for person in described.persons.iter().filter(|person| self.asked.is(person)) {
                let told = announcements(connection, shard, person.anchor, person.id).await?;
                let mut known = Known::new(shard, person, &told, today, &self.key);
                for (shown, finding) in known.findings.iter_mut().zip(&person.findings) {
                    shown.claimed_without = self.waivers.under(finding, person.region, policy);
                }
                self.found.persons.push(known);
            }
            let concerned: Vec<Place> = members
                .iter()
                .filter(|member| match self.asked {
                    Asked::Number(_) => true,
                    Asked::Id(id) => member.record.id.0 == id || anchor.0 == id,
                })
                .filter_map(|member| member.sent)
                .collect();
            if !concerned.is_empty() {
                self.found.notes.push(format!(
                    "records whose person lives elsewhere by a correction or a decision, followed there: {}",
                    concerned.len()
                ));
            }
            waiting.extend(concerned);
        }
        Ok(())
    }
}

/// What the directory alone tells of a record that nobody holds.
fn said(record: RecordId, entry: &DirectoryEntry) -> Option<String> {
    let at = |version: Version| format!("offset {} of partition {}", version.offset, version.partition);
    let unread = |unread: Version| {
        format!(
            "at {} its row could not be read: see the dead letters of its source",
            at(unread)
        )
    };
    let newer = entry.unread.filter(|unread| entry.claimed() < Some(*unread));
    match (entry.claimed(), newer) {
        _ if !entry.deleted => None,
        (None, newer) => Some(format!(
            "no version of record {record} could be read: {}",
            newer.map_or_else(String::new, unread)
        )),
        (Some(gone), None) => Some(format!("record {record} is gone: deleted at {}", at(gone))),
        (Some(gone), Some(newer)) => Some(format!("record {record} was deleted at {}; {}", at(gone), unread(newer))),
    }
}

fn place_of(number: CitizenId, key: &IdKey) -> Place {
    (Shard::of_birth_date(number.birth_date()), key.number(number))
}

fn shard(number: i16) -> anyhow::Result<Shard> {
    u8::try_from(number)
        .ok()
        .and_then(Shard::new)
        .with_context(|| format!("the store has a shard {number}"))
}

async fn state(connection: &mut PgConnection, shard: Shard) -> anyhow::Result<ShardState> {
    let shards = read::shards(connection)
        .await
        .context("reading the shards: was `canbao migrate` run?")?;
    let stored = shards.into_iter().find(|stored| stored.shard == shard);
    stored
        .map(|stored| stored.state)
        .context("the shard has no row: was `canbao migrate` run?")
}

/// What subscribers were told, and whether something waits.
#[derive(Debug, Default)]
pub(crate) struct Told {
    rows: Vec<(i16, Announcement)>,
    pending: bool,
}

async fn announcements(connection: &mut PgConnection, shard: Shard, anchor: AnchorId, person: PersonId) -> anyhow::Result<Told> {
    let number = i16::from(shard.number());
    let rows = sqlx::query(
        "select about, encode(finding, 'hex') as finding, revision, open, region from store.announced
         where shard = $1 and anchor = $2 and person = $3 order by about",
    )
    .bind(number)
    .bind(&anchor.bytes()[..])
    .bind(&person.bytes()[..])
    .fetch_all(&mut *connection)
    .await
    .context("reading announcements")?;
    let pending: bool =
        sqlx::query_scalar("select exists (select from store.pending where shard = $1 and anchor = $2 and person = $3)")
            .bind(number)
            .bind(&anchor.bytes()[..])
            .bind(&person.bytes()[..])
            .fetch_one(connection)
            .await
            .context("reading who waits")?;
    let rows = rows
        .iter()
        .map(|row| {
            let announcement = Announcement {
                finding_id: row.try_get("finding")?,
                revision: row.try_get("revision")?,
                open: row.try_get("open")?,
                region: row.try_get("region")?,
            };
            Ok((row.try_get("about")?, announcement))
        })
        .collect::<sqlx::Result<_>>()?;
    Ok(Told { rows, pending })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_an_id_is_understood_and_never_repeated() {
        assert!(matches!(Asked::parse("320501199003070012"), Ok(Asked::Number(_))));
        assert!(matches!(Asked::parse("610104620927690"), Ok(Asked::Number(_))));
        assert!(matches!(Asked::parse("0123456789abcdef0123456789abcdef"), Ok(Asked::Id(_))));
        let refused = Asked::parse("340524198001010013").map(|_| ()).unwrap_err().to_string();
        assert!(!refused.contains("340524"), "{refused}");
    }
}
