//! Reads the store: neighbourhoods, directory entries, shard states.

use super::members::{decode_member, decode_members};
use super::person::version;
use super::{Unreadable, decode};
use domain::batch::StoredPerson;
use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::division::City;
use domain::engine::DirectoryEntry;
use domain::ids::{AnchorId, PersonId, RecordId};
use domain::neighbourhood::Member;
use domain::person::Standing;
use domain::shard::Shard;
use domain::shard_state::ShardState;
use domain::source::Version;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

/// The columns [`StoredPerson`] is read from.
const PERSON_COLUMNS: &str = "p.shard, p.anchor, p.person, p.standing, p.number, p.former, p.region, p.county, p.flags, p.due, p.findings, p.published, p.members";

/// The columns [`DirectoryEntry`] is read from.
pub const DIRECTORY_COLUMNS: &str = "d.record, d.shard, d.anchor, d.epoch, d.partition, d.\"offset\", d.mapping, d.deleted, \
     d.unread_epoch, d.unread_partition, d.unread_offset, d.unread_mapping";

/// The store could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database did not answer as expected.
    #[error("the store could not be read")]
    Database(#[from] sqlx::Error),
    /// A stored value is damaged or of another layout.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A stored code means nothing to this program.
    #[error("column {column} holds a value this program does not know")]
    Unknown {
        /// The column.
        column: &'static str,
    },
    /// A policy that came into force, which this program cannot read.
    #[error(
        "the base stands under policy version {version}, which this program cannot read: install the release of Canbao that it was adopted \
         with, or a later one"
    )]
    Policy {
        /// Its version.
        version: i32,
    },
}

type Result<T> = std::result::Result<T, ReadError>;

/// A date column's value.
pub fn day(date: chrono::NaiveDate) -> Day {
    Day(date.signed_duration_since(chrono::NaiveDate::default()).num_days() as i32)
}

/// A date as a bind value.
pub fn naive(day: Day) -> chrono::NaiveDate {
    chrono::NaiveDate::default() + chrono::TimeDelta::days(i64::from(day.0))
}

/// The shard of a row.
///
/// # Errors
/// When there is no such shard.
pub fn shard(row: &PgRow) -> Result<Shard> {
    u8::try_from(row.try_get::<i16, _>("shard")?)
        .ok()
        .and_then(Shard::new)
        .ok_or(ReadError::Unknown { column: "shard" })
}

fn anchor(row: &PgRow) -> Result<AnchorId> {
    AnchorId::from_slice(row.try_get("anchor")?).ok_or(ReadError::Unknown { column: "anchor" })
}

/// A person's row; members that are rows of their own are not in it yet.
fn stored_person(row: &PgRow) -> Result<StoredPerson> {
    let members: Option<&[u8]> = row.try_get("members")?;
    let region: Option<i16> = row.try_get("region")?;
    let findings: Option<&[u8]> = row.try_get("findings")?;
    let number: Option<i64> = row.try_get("number")?;
    let former: Option<Vec<i64>> = row.try_get("former")?;
    let unknown = |column| ReadError::Unknown { column };
    let citizen = |column: &'static str, digits: i64| CitizenId::from_digits(digits as u64).map_err(|_| unknown(column));
    let standing = match row.try_get::<i16, _>("standing")? {
        0 => None,
        code => Some(
            *Standing::ALL
                .iter()
                .find(|standing| i16::from(standing.code()) == code)
                .ok_or_else(|| unknown("standing"))?,
        ),
    };
    Ok(StoredPerson {
        shard: shard(row)?,
        anchor: anchor(row)?,
        person: PersonId::from_slice(row.try_get("person")?).ok_or(ReadError::Unknown { column: "person" })?,
        standing,
        number: number.map(|digits| citizen("number", digits)).transpose()?,
        former_numbers: former
            .unwrap_or_default()
            .into_iter()
            .map(|digits| citizen("former", digits))
            .collect::<Result<_>>()?,
        region: region
            .map(|code| City::from_code(code as u16).ok_or(ReadError::Unknown { column: "region" }))
            .transpose()?,
        county: row.try_get("county")?,
        flags: row.try_get("flags")?,
        due: row.try_get::<Option<chrono::NaiveDate>, _>("due")?.map(day),
        findings: findings
            .map(|bytes| decode("finding", bytes))
            .transpose()?
            .unwrap_or_default(),
        published: row.try_get("published")?,
        apart: members.is_none(),
        members: members.map(decode_members).transpose()?.unwrap_or_default(),
    })
}

/// Persons with their members.
async fn whole(connection: &mut PgConnection, rows: &[PgRow]) -> Result<Vec<StoredPerson>> {
    let mut persons: Vec<StoredPerson> = rows.iter().map(stored_person).collect::<Result<_>>()?;
    // One after the other: each of them is large, and there are few.
    for person in persons.iter_mut().filter(|person| person.apart) {
        let rows = sqlx::query("select m.body from store.member m where m.shard = $1 and m.anchor = $2 and m.person = $3")
            .bind(i16::from(person.shard.number()))
            .bind(person.anchor.bytes().as_slice())
            .bind(person.person.bytes().as_slice())
            .fetch_all(&mut *connection)
            .await?;
        person.members.reserve(rows.len());
        for row in &rows {
            person.members.push(decode_member(row.try_get("body")?)?);
        }
        person.members.sort_by_key(Member::slot);
    }
    Ok(persons)
}

/// The rows of some neighbourhoods.
pub async fn neighbourhoods(connection: &mut PgConnection, wanted: &[(Shard, AnchorId)]) -> Result<Vec<StoredPerson>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let shards: Vec<i16> = wanted.iter().map(|(shard, _)| i16::from(shard.number())).collect();
    let anchors: Vec<&[u8]> = wanted.iter().map(|(_, anchor)| anchor.bytes().as_slice()).collect();
    let statement = format!(
        "select {PERSON_COLUMNS} from unnest($1::smallint[], $2::bytea[]) as k(shard, anchor)
         join store.person p on p.shard = k.shard and p.anchor = k.anchor"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(shards)
        .bind(anchors)
        .fetch_all(&mut *connection)
        .await?;
    whole(connection, &rows).await
}

/// The rows of at most `limit` neighbourhoods of a shard after a place, in order; and the last of these, unless the shard has no more.
pub async fn slice(
    connection: &mut PgConnection,
    shard: Shard,
    after: Option<AnchorId>,
    limit: usize,
) -> Result<(Vec<StoredPerson>, Option<AnchorId>)> {
    let number = i16::from(shard.number());
    let after = after.map_or_else(Vec::new, |anchor| anchor.bytes().to_vec());
    let anchors = sqlx::query(
        "select distinct p.anchor from store.person p where p.shard = $1 and p.anchor > $2 order by p.anchor limit $3",
    )
    .bind(number)
    .bind(&after)
    .bind(limit as i64)
    .fetch_all(&mut *connection)
    .await?;
    let Some(last) = anchors.last() else {
        return Ok((Vec::new(), None));
    };
    let last = anchor(last)?;
    let statement =
        format!("select {PERSON_COLUMNS} from store.person p where p.shard = $1 and p.anchor > $2 and p.anchor <= $3");
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(number)
        .bind(&after)
        .bind(last.bytes().as_slice())
        .fetch_all(&mut *connection)
        .await?;
    Ok((whole(connection, &rows).await?, (anchors.len() == limit).then_some(last)))
}

/// The directory entries of some records, locked in order of the records; records without an entry are absent.
pub async fn lock_directory(connection: &mut PgConnection, records: &[RecordId]) -> Result<Vec<(RecordId, DirectoryEntry)>> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let mut keys: Vec<&[u8]> = records.iter().map(|record| record.bytes().as_slice()).collect();
    keys.sort_unstable();
    let statement = format!(
        "select {DIRECTORY_COLUMNS} from store.directory d where d.record = any($1::bytea[]) order by d.record for update"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(keys)
        .fetch_all(connection)
        .await?;
    rows.iter().map(directory_entry).collect()
}

/// Every directory entry, in order of the records.
pub async fn directory(connection: &mut PgConnection) -> Result<Vec<(RecordId, DirectoryEntry)>> {
    let statement = format!("select {DIRECTORY_COLUMNS} from store.directory d order by d.record");
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(connection).await?;
    rows.iter().map(directory_entry).collect()
}

/// A row of the directory.
///
/// # Errors
/// When a column holds what it never should.
pub fn directory_entry(row: &PgRow) -> Result<(RecordId, DirectoryEntry)> {
    let record = RecordId::from_slice(row.try_get("record")?).ok_or(ReadError::Unknown { column: "record" })?;
    let unread = match row.try_get::<Option<i64>, _>("unread_offset")? {
        None => None,
        Some(offset) => Some(Version {
            epoch: row.try_get::<i16, _>("unread_epoch")? as u16,
            partition: row.try_get::<i16, _>("unread_partition")? as u16,
            offset: offset as u64,
            mapping: row.try_get::<i16, _>("unread_mapping")? as u16,
        }),
    };
    Ok((
        record,
        DirectoryEntry {
            shard: shard(row)?,
            anchor: anchor(row)?,
            version: version(row)?,
            deleted: row.try_get("deleted")?,
            unread,
        },
    ))
}

/// A shard's row.
#[derive(Debug, Clone)]
pub struct StoredShard {
    /// The shard.
    pub shard: Shard,
    /// Next offset of `person.records` to apply.
    pub position: i64,
    /// Next sequence of its outbox.
    pub outbox_next: i64,
    /// What it knows besides its persons.
    pub state: ShardState,
    /// Backend that applies its log.
    pub owner: Option<i32>,
}

/// A shard's state. One that was stored before tables were truncated ends where its truncations would begin: with none.
///
/// # Errors
/// When the bytes hold no state.
pub fn shard_state(bytes: &[u8]) -> Result<ShardState> {
    const NO_TRUNCATIONS: [u8; 1] = [0];
    Ok(decode("shard state", &[bytes, &NO_TRUNCATIONS].concat())?)
}

fn stored_shard(row: &PgRow) -> Result<StoredShard> {
    Ok(StoredShard {
        shard: shard(row)?,
        position: row.try_get("position")?,
        outbox_next: row.try_get("outbox_next")?,
        state: shard_state(row.try_get("state")?)?,
        owner: row.try_get("owner")?,
    })
}

/// The rows of some shards, locked in order.
pub async fn lock_shards(connection: &mut PgConnection, shards: &[Shard]) -> Result<Vec<StoredShard>> {
    let numbers: Vec<i16> = shards.iter().map(|shard| i16::from(shard.number())).collect();
    let rows = sqlx::query(
        "select shard, position, outbox_next, state, owner from store.shard where shard = any($1) order by shard for update",
    )
    .bind(numbers)
    .fetch_all(connection)
    .await?;
    rows.iter().map(stored_shard).collect()
}

/// Every shard's row, without a lock.
pub async fn shards(connection: &mut PgConnection) -> Result<Vec<StoredShard>> {
    let rows = sqlx::query("select shard, position, outbox_next, state, owner from store.shard order by shard")
        .fetch_all(connection)
        .await?;
    rows.iter().map(stored_shard).collect()
}
