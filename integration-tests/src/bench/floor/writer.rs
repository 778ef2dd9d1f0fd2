//! The floor's writer: look up, insert or update, append, position; one durable transaction per batch.

use super::message::Row;
use domain::date::Day;
use runtime::store::copy::CopyRows;
use sqlx::{Connection, PgConnection, Row as _};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// Entries of a batch at most, as the layout was measured with (ARCHITECTURE.md, Layout of the store), and how long its first
/// one waits for others.
const BATCH: usize = 10_000;
const WAIT: Duration = Duration::from_millis(20);
/// Columns of a person that the floor writes.
const PERSON: &str = "shard, anchor, person, standing, number, name, sex, birth, hukou, residence, region, county, flags, phone, address, \
                      provenance, published, members";
/// How many.
const PERSON_COLUMNS: i16 = 18;
/// Every statement finds its rows by key, as the registry's connections are told too.
const SETTINGS: [&str; 4] = [
    "set enable_seqscan = off",
    "set enable_hashjoin = off",
    "set enable_mergejoin = off",
    "create temp table person_update (like store.person) on commit delete rows",
];

/// An entry of the floor's topic.
pub struct Entry {
    /// Its partition.
    pub shard: i16,
    /// Its offset.
    pub position: i64,
    /// When the broker appended it, ms.
    pub logged_at: i64,
    /// The row as encoded.
    pub body: Vec<u8>,
}

/// A connection that writes.
pub struct Writer {
    connection: PgConnection,
}

type Key = (i16, [u8; 16]);

impl Writer {
    /// Connects.
    pub async fn connect(database: &str) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(database).await?;
        for setting in SETTINGS {
            sqlx::query(setting).execute(&mut connection).await?;
        }
        Ok(Self { connection })
    }

    /// Writes until the sender has gone.
    pub async fn run(mut self, mut entries: mpsc::Receiver<Entry>) -> anyhow::Result<()> {
        let mut batch = Vec::new();
        while let Some(first) = entries.recv().await {
            batch.push(first);
            let deadline = tokio::time::Instant::now() + WAIT;
            while batch.len() < BATCH {
                match tokio::time::timeout_at(deadline, entries.recv()).await {
                    Ok(Some(entry)) => batch.push(entry),
                    Ok(None) | Err(_) => break,
                }
            }
            self.write(&batch).await?;
            batch.clear();
        }
        Ok(())
    }

    async fn write(&mut self, batch: &[Entry]) -> anyhow::Result<()> {
        let rows = batch
            .iter()
            .map(|entry| Row::decode(&entry.body))
            .collect::<anyhow::Result<Vec<Row>>>()?;
        let mut persons: BTreeMap<Key, Vec<(usize, &Row)>> = BTreeMap::new();
        for (at, (entry, row)) in batch.iter().zip(&rows).enumerate() {
            persons.entry((entry.shard, row.person)).or_default().push((at, row));
        }
        let mut transaction = self.connection.begin().await?;
        let known = look_up(&mut transaction, &persons).await?;
        let (mut insert, mut update) = (CopyRows::new(PERSON_COLUMNS), CopyRows::new(PERSON_COLUMNS));
        for (key, changes) in &persons {
            let held = known.get(key);
            let mut members = held.cloned().unwrap_or_default();
            for (at, row) in changes {
                replace(&mut members, row, &batch[*at].body);
            }
            put(
                if held.is_some() { &mut update } else { &mut insert },
                *key,
                changes[0].1,
                &members,
            );
        }
        insert
            .send(
                &mut transaction,
                &format!("copy store.person ({PERSON}) from stdin (format binary)"),
            )
            .await?;
        if !update.is_empty() {
            update
                .send(
                    &mut transaction,
                    &format!("copy pg_temp.person_update ({PERSON}) from stdin (format binary)"),
                )
                .await?;
            sqlx::query(
                "update store.person p set name = u.name, sex = u.sex, birth = u.birth, hukou = u.hukou, residence = u.residence,
                        region = u.region, county = u.county, flags = u.flags, phone = u.phone, address = u.address,
                        provenance = u.provenance, published = u.published, members = u.members
                 from pg_temp.person_update u where p.shard = u.shard and p.anchor = u.anchor and p.person = u.person",
            )
            .execute(&mut *transaction)
            .await?;
        }
        append(&mut transaction, batch, &rows).await?;
        raise(&mut transaction, batch).await?;
        Ok(transaction.commit().await?)
    }
}

async fn look_up(
    connection: &mut PgConnection,
    persons: &BTreeMap<Key, Vec<(usize, &Row)>>,
) -> sqlx::Result<BTreeMap<Key, Vec<u8>>> {
    let shards: Vec<i16> = persons.keys().map(|(shard, _)| *shard).collect();
    let anchors: Vec<&[u8]> = persons.keys().map(|(_, person)| person.as_slice()).collect();
    let found = sqlx::query(
        "select p.* from unnest($1::smallint[], $2::bytea[]) as k(shard, anchor)
         join store.person p on p.shard = k.shard and p.anchor = k.anchor",
    )
    .bind(shards)
    .bind(anchors)
    .fetch_all(connection)
    .await?;
    let mut known = BTreeMap::new();
    for row in &found {
        let anchor: &[u8] = row.try_get("anchor")?;
        if let Ok(anchor) = anchor.try_into() {
            known.insert((row.try_get("shard")?, anchor), row.try_get("members")?);
        }
    }
    Ok(known)
}

/// Members are records one after the other: sixteen bytes of id, two of length, the body.
fn replace(members: &mut Vec<u8>, row: &Row, body: &[u8]) {
    let mut at = 0;
    while let Some(head) = members.get(at..at + 18) {
        let next = at + 18 + usize::from(u16::from_be_bytes([head[16], head[17]]));
        if head[..16] == row.record {
            members.drain(at..next.min(members.len()));
            break;
        }
        at = next;
    }
    if !row.deleted {
        // The id stands in the body too; topic and ids are not repeated in a real member.
        let body = body.get(32..).unwrap_or_default();
        members.extend_from_slice(&row.record);
        members.extend_from_slice(&(body.len().min(usize::from(u16::MAX)) as u16).to_be_bytes());
        members.extend_from_slice(&body[..body.len().min(usize::from(u16::MAX))]);
    }
}

fn put(rows: &mut CopyRows, (shard, person): Key, row: &Row, members: &[u8]) {
    let text = |at: usize| row.cells.get(at).map(String::as_str);
    rows.row()
        .int2(shard)
        .bytes(&person[..])
        .bytes(&person[..])
        .int2(1)
        .int8(row.offset)
        .text(text(3))
        .int2(1)
        .date(Day(row.offset as i32 & 0x3fff))
        .int8(320_105_001_001)
        .int8(320_105_001_001)
        .int2(3201)
        .int4(320_105)
        .int2(7)
        .text("13800000000")
        .text(text(5))
        .bytes(&[255; 14][..])
        .int8(row.offset)
        .bytes(members);
}

async fn append(connection: &mut PgConnection, batch: &[Entry], rows: &[Row]) -> sqlx::Result<()> {
    let mut log = CopyRows::new(runtime::store::log::COLUMNS.len() as i16);
    for (entry, row) in batch.iter().zip(rows) {
        let table = row.topic.rsplit('.').next();
        log.row()
            .int2(entry.shard)
            .int8(entry.position)
            .timestamp(entry.logged_at)
            .int2(1)
            .int2(1)
            .bytes(&row.record[..])
            .int2(3)
            .int2(3201)
            .text(table)
            .int2(0)
            .int2(row.partition as i16)
            .int8(row.offset)
            .bytes(&entry.body[..]);
    }
    log.send(connection, "copy store.source_log from stdin (format binary)").await
}

async fn raise(connection: &mut PgConnection, batch: &[Entry]) -> sqlx::Result<()> {
    let next: BTreeMap<i16, i64> = batch.iter().map(|entry| (entry.shard, entry.position + 1)).collect();
    sqlx::query(
        "update store.shard s set position = k.position from unnest($1::smallint[], $2::bigint[]) as k(shard, position)
         where s.shard = k.shard",
    )
    .bind(next.keys().copied().collect::<Vec<i16>>())
    .bind(next.values().copied().collect::<Vec<i64>>())
    .execute(connection)
    .await?;
    Ok(())
}
