//! What subscribers were told: only what was announced has a row.

use crate::batch::BatchError;
use crate::pending::{PersonKey, columns};
use domain::ids::{AnchorId, PersonId};
use domain::release::{Event, Told};
use domain::shard::Shard;
use runtime::store::{counters, decode, encode, read};
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};

/// What subscribers were told about some persons.
pub(crate) async fn read(
    connection: &mut PgConnection,
    keys: &BTreeSet<PersonKey>,
) -> Result<BTreeMap<PersonKey, Vec<Told>>, BatchError> {
    let mut found: BTreeMap<PersonKey, Vec<Told>> = BTreeMap::new();
    if keys.is_empty() {
        return Ok(found);
    }
    let keys: Vec<PersonKey> = keys.iter().copied().collect();
    let (shards, anchors, persons) = columns(&keys);
    let rows = sqlx::query(
        "select k.ordinality, a.body from unnest($1::smallint[], $2::bytea[], $3::bytea[]) with ordinality as k(shard, anchor, person)
         join store.announced a on a.shard = k.shard and a.anchor = k.anchor and a.person = k.person order by k.ordinality, a.about",
    )
    .bind(shards)
    .bind(anchors)
    .bind(persons)
    .fetch_all(connection)
    .await?;
    for row in rows {
        let at = row.try_get::<i64, _>("ordinality")? as usize - 1;
        let body: &[u8] = row.try_get("body")?;
        found
            .entry(keys[at])
            .or_default()
            .push(decode("announcement", body).map_err(read::ReadError::from)?);
    }
    Ok(found)
}

/// Keeps what events told.
pub(crate) async fn keep(connection: &mut PgConnection, told: &[(Shard, AnchorId, Event)]) -> sqlx::Result<()> {
    // Of several events of one finding the last one is what subscribers know.
    let mut last: BTreeMap<(Shard, AnchorId, PersonId, i16), &Event> = BTreeMap::new();
    for (shard, anchor, event) in told {
        last.insert(
            (*shard, *anchor, event.told.person, counters::about(&event.told.finding)),
            event,
        );
    }
    if last.is_empty() {
        return Ok(());
    }
    let (mut shards, mut anchors, mut persons, mut about) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut findings, mut revisions, mut open, mut regions, mut bodies) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((shard, anchor, person, what), event) in last {
        shards.push(i16::from(shard.number()));
        anchors.push(anchor.bytes().to_vec());
        persons.push(person.bytes().to_vec());
        about.push(what);
        findings.push(event.finding_id.bytes().to_vec());
        revisions.push(event.told.revision as i32);
        open.push(event.told.open);
        regions.push(event.told.region.code() as i16);
        bodies.push(encode(&event.told));
    }
    sqlx::query(
            "insert into store.announced (shard, anchor, person, about, finding, revision, open, region, body)
             select * from unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::smallint[], $5::bytea[], $6::int[], $7::boolean[], $8::smallint[], $9::bytea[])
             on conflict (shard, anchor, person, about) do update set revision = excluded.revision, open = excluded.open,
             region = excluded.region, body = excluded.body",
        )
        .bind(shards)
        .bind(anchors)
        .bind(persons)
        .bind(about)
        .bind(findings)
        .bind(revisions)
        .bind(open)
        .bind(regions)
        .bind(bodies)
        .execute(connection)
        .await?;
    Ok(())
}
