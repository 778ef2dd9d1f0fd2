//! Findings carry over when a person's id or shard changes (ARCHITECTURE.md, Findings and release): where they were told they
//! are cleared as moved, and where the person now is they open as moved, never as news.
//!
//! The shard that loses the person sends what was told ahead; by the time completeness releases the opening, it has arrived.

use crate::batch::BatchError;
use crate::difference::Difference;
use crate::load::Loader;
use domain::date::Timestamp;
use domain::ids::{AnchorId, PersonId};
use domain::input::MessageBody;
use domain::release::heir;
use domain::shard::Shard;
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};

type Place = (Shard, AnchorId);

/// Sends on what was told about persons who are gone from the touched neighbourhoods, and keeps what arrived with this batch.
pub(crate) async fn carry(
    connection: &mut PgConnection,
    loader: &mut Loader,
    differences: &[Difference],
    now: Timestamp,
) -> Result<(), BatchError> {
    let mut arrived: BTreeSet<(Place, [u8; 2])> = BTreeSet::new();
    for (shard, work) in &mut loader.workspace.shards {
        arrived.extend(
            std::mem::take(&mut work.carried)
                .into_iter()
                .map(|(anchor, about)| ((*shard, anchor), about)),
        );
    }
    let lost: BTreeMap<Place, &Difference> = differences
        .iter()
        .filter(|difference| !difference.gone.is_empty() || difference.away.is_some())
        .filter(|difference| !loader.workspace.shards[&difference.shard].state.live.is_empty())
        .map(|difference| ((difference.shard, difference.anchor), difference))
        .collect();
    let mut sent: BTreeMap<(Shard, Shard, AnchorId), Vec<[u8; 2]>> = BTreeMap::new();
    for (place, person, about) in told_open(connection, lost.keys()).await? {
        let difference = lost[&place];
        if difference.put.iter().any(|put| put.person.id == person) {
            continue;
        }
        let here = difference
            .put
            .iter()
            .any(|put| put.person.findings.iter().any(|finding| finding.about() == about));
        let (shard, anchor) = place;
        if here {
            arrived.insert((place, about));
        } else if let Some((to_shard, to)) = heir(&loader.workspace.shards[&shard].neighbourhoods[&anchor].members) {
            sent.entry((shard, to_shard, to)).or_default().push(about);
        }
    }
    for ((from, to_shard, to), about) in sent {
        loader.workspace.send(from, to_shard, MessageBody::Carry { to, about });
    }
    keep(connection, &arrived, now).await
}

/// What was told as open in some neighbourhoods.
async fn told_open(
    connection: &mut PgConnection,
    places: impl Iterator<Item = &Place>,
) -> Result<Vec<(Place, PersonId, [u8; 2])>, BatchError> {
    let places: Vec<&Place> = places.collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "select k.ordinality, a.person, a.about from unnest($1::smallint[], $2::bytea[]) with ordinality as k(shard, anchor)
         join store.announced a on a.shard = k.shard and a.anchor = k.anchor where a.open order by k.ordinality, a.person, a.about",
    )
    .bind(places.iter().map(|(shard, _)| i16::from(shard.number())).collect::<Vec<_>>())
    .bind(places.iter().map(|(_, anchor)| anchor.bytes().to_vec()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let mut told = Vec::with_capacity(rows.len());
    for row in rows {
        let at = row.try_get::<i64, _>("ordinality")? as usize - 1;
        if let Some(person) = PersonId::from_slice(row.try_get("person")?) {
            told.push((*places[at], person, row.try_get::<i16, _>("about")?.to_be_bytes()));
        }
    }
    Ok(told)
}

async fn keep(connection: &mut PgConnection, arrived: &BTreeSet<(Place, [u8; 2])>, now: Timestamp) -> Result<(), BatchError> {
    if arrived.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into store.carried (shard, anchor, about, arrived_at)
         select shard, anchor, about, $4 from unnest($1::smallint[], $2::bytea[], $3::smallint[]) as k(shard, anchor, about)
         on conflict (shard, anchor, about) do update set arrived_at = excluded.arrived_at",
    )
    .bind(
        arrived
            .iter()
            .map(|((shard, _), _)| i16::from(shard.number()))
            .collect::<Vec<_>>(),
    )
    .bind(
        arrived
            .iter()
            .map(|((_, anchor), _)| anchor.bytes().to_vec())
            .collect::<Vec<_>>(),
    )
    .bind(
        arrived
            .iter()
            .map(|(_, about)| i16::from_be_bytes(*about))
            .collect::<Vec<_>>(),
    )
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// What has arrived in some neighbourhoods.
pub(crate) async fn arrived(
    connection: &mut PgConnection,
    places: &BTreeSet<Place>,
) -> Result<BTreeMap<Place, Vec<[u8; 2]>>, BatchError> {
    let places: Vec<&Place> = places.iter().collect();
    let rows = sqlx::query(
        "select k.ordinality, c.about from unnest($1::smallint[], $2::bytea[]) with ordinality as k(shard, anchor)
         join store.carried c on c.shard = k.shard and c.anchor = k.anchor",
    )
    .bind(places.iter().map(|(shard, _)| i16::from(shard.number())).collect::<Vec<_>>())
    .bind(places.iter().map(|(_, anchor)| anchor.bytes().to_vec()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let mut found: BTreeMap<Place, Vec<[u8; 2]>> = BTreeMap::new();
    for row in rows {
        let at = row.try_get::<i64, _>("ordinality")? as usize - 1;
        found
            .entry(*places[at])
            .or_default()
            .push(row.try_get::<i16, _>("about")?.to_be_bytes());
    }
    Ok(found)
}

/// Forgets what arrived in a shard before every source was complete: whatever it made no news of has been told by now.
pub(crate) async fn forget(connection: &mut PgConnection, shard: Shard, complete: Timestamp) -> Result<(), BatchError> {
    sqlx::query("delete from store.carried where shard = $1 and arrived_at <= $2")
        .bind(i16::from(shard.number()))
        .bind(complete.0)
        .execute(connection)
        .await?;
    Ok(())
}
