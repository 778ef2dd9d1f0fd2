//! Who waits: persons whose open findings differ from what was told, until every source concerned is complete past the facts.

use crate::batch::BatchError;
use crate::difference::Difference;
use crate::load::Loader;
use domain::date::Timestamp;
use domain::ids::{AnchorId, PersonId};
use domain::shard::Shard;
use domain::shard_state::ShardState;
use domain::source::Source;
use sqlx::{PgConnection, Row};

/// A person's place in the store.
pub(crate) type PersonKey = (Shard, AnchorId, PersonId);

/// Keys as bind values.
pub(crate) fn columns(keys: &[PersonKey]) -> (Vec<i16>, Vec<Vec<u8>>, Vec<Vec<u8>>) {
    (
        keys.iter().map(|(shard, ..)| i16::from(shard.number())).collect(),
        keys.iter().map(|(_, anchor, _)| anchor.bytes().to_vec()).collect(),
        keys.iter().map(|(.., person)| person.bytes().to_vec()).collect(),
    )
}

/// Remembers whose open findings changed, in shards where somebody listens.
pub(crate) async fn note(connection: &mut PgConnection, loader: &Loader, differences: &[Difference]) -> Result<(), BatchError> {
    let mut keys = Vec::new();
    let mut facts_at = Vec::new();
    for difference in differences {
        if loader.workspace.shards[&difference.shard].state.live.is_empty() {
            continue;
        }
        for person in &difference.reopened {
            keys.push((difference.shard, difference.anchor, *person));
            facts_at.push(difference.touched.0);
        }
    }
    if keys.is_empty() {
        return Ok(());
    }
    let (shards, anchors, persons) = columns(&keys);
    sqlx::query(
        "insert into store.pending as p (shard, anchor, person, facts_at)
         select * from unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::bigint[])
         on conflict (shard, anchor, person) do update set facts_at = greatest(p.facts_at, excluded.facts_at), agency = null, city = null",
    )
    .bind(shards)
    .bind(anchors)
    .bind(persons)
    .bind(facts_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Persons of a shard who wait for nothing that is known to be missing still.
pub(crate) async fn ready(
    connection: &mut PgConnection,
    shard: Shard,
    state: &ShardState,
) -> Result<Vec<(PersonKey, Timestamp)>, BatchError> {
    let sources: Vec<(&Source, &Timestamp)> = state.complete.iter().collect();
    let rows = sqlx::query(
        "with vector as materialized (select * from unnest($2::smallint[], $3::smallint[], $4::bigint[]) as v(agency, city, until))
         select p.anchor, p.person, p.facts_at from store.pending p
         left join vector v on v.agency = p.agency and v.city = p.city
         where p.shard = $1 and (v.until is null or v.until >= p.facts_at)",
    )
    .bind(i16::from(shard.number()))
    .bind(sources.iter().map(|(source, _)| i16::from(source.agency.code())).collect::<Vec<_>>())
    .bind(sources.iter().map(|(source, _)| source.city.code() as i16).collect::<Vec<_>>())
    .bind(sources.iter().map(|(_, until)| until.0).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let anchor = AnchorId::from_slice(row.try_get("anchor").ok()?)?;
            let person = PersonId::from_slice(row.try_get("person").ok()?)?;
            Some(((shard, anchor, person), Timestamp(row.try_get("facts_at").ok()?)))
        })
        .collect())
}

/// Those who wait no longer.
pub(crate) async fn settle(connection: &mut PgConnection, settled: &[PersonKey]) -> sqlx::Result<()> {
    if settled.is_empty() {
        return Ok(());
    }
    let (shards, anchors, persons) = columns(settled);
    sqlx::query(
        "delete from store.pending p using unnest($1::smallint[], $2::bytea[], $3::bytea[]) as k(shard, anchor, person)
             where p.shard = k.shard and p.anchor = k.anchor and p.person = k.person",
    )
    .bind(shards)
    .bind(anchors)
    .bind(persons)
    .execute(connection)
    .await?;
    Ok(())
}

/// Those who wait for a source, so that they are not looked at again before it is complete.
pub(crate) async fn wait(connection: &mut PgConnection, waiting: &[(PersonKey, Source)]) -> sqlx::Result<()> {
    if waiting.is_empty() {
        return Ok(());
    }
    let keys: Vec<PersonKey> = waiting.iter().map(|(key, _)| *key).collect();
    let (shards, anchors, persons) = columns(&keys);
    sqlx::query(
            "update store.pending p set agency = k.agency, city = k.city
             from unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::smallint[], $5::smallint[]) as k(shard, anchor, person, agency, city)
             where p.shard = k.shard and p.anchor = k.anchor and p.person = k.person",
        )
        .bind(shards)
        .bind(anchors)
        .bind(persons)
        .bind(waiting.iter().map(|(_, source)| i16::from(source.agency.code())).collect::<Vec<_>>())
        .bind(waiting.iter().map(|(_, source)| source.city.code() as i16).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
