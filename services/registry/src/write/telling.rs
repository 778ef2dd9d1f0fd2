//! What subscribers are told: the outbox, what they then know, what waits, and what arrived with persons told of elsewhere.

use super::number;
use domain::batch::{Effects, PendingKey, PersonKey, Publication, Telling};
use domain::citizen_id::CitizenId;
use domain::finding::About;
use domain::ids::{AnchorId, IdKey, PersonId};
use domain::release::Cause;
use domain::shard::Shard;
use runtime::store::copy::CopyRows;
use runtime::store::encode;
use runtime::store::person::{about_code, state};
use schemas::event::{self, AlertEvent, Context, Evidence, FindingState};
use sqlx::{AssertSqlSafe, PgConnection};

/// Encodes what is published into the shards' outboxes.
pub(super) async fn outbox(connection: &mut PgConnection, key: &IdKey, outbox: &[(Shard, i64, Publication)]) -> sqlx::Result<()> {
    let mut rows = CopyRows::new(6);
    for (shard, sequence, publication) in outbox {
        let (topic, row_key, headers, value) = message(*shard, publication, key);
        rows.row()
            .int2(number(*shard))
            .int8(*sequence)
            .text(topic.as_str())
            .bytes(row_key.as_slice())
            .bytes(headers.as_deref())
            .bytes(value.as_deref());
    }
    let statement = "copy store.outbox (shard, sequence, topic, key, headers, value) from stdin (format binary)";
    rows.send(connection, statement).await
}

type Message = (String, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

fn message(shard: Shard, publication: &Publication, key: &IdKey) -> Message {
    let registry_key = |person: PersonId, anchor: AnchorId| format!("{person}.{shard}.{anchor}").into_bytes();
    match publication {
        Publication::Person { anchor, person, at } => {
            let value = event::encode(&state(person, *at, key));
            (
                "person.registry".to_owned(),
                registry_key(person.id, *anchor),
                None,
                Some(value),
            )
        }
        Publication::Gone { anchor, person } => ("person.registry".to_owned(), registry_key(*person, *anchor), None, None),
        Publication::Alert(telling) => {
            let alert = alert(telling);
            let topic = schemas::registry::alert_topic(alert.kind, alert.city);
            let headers = runtime::outbox::headers(&alert);
            (topic, finding_key(telling), Some(headers), Some(event::encode(&alert)))
        }
        Publication::Finding(telling) => {
            let value = event::encode(&FindingState::from(alert(telling)));
            let headers = runtime::outbox::place_headers(shard, telling.anchor);
            ("findings".to_owned(), finding_key(telling), Some(headers), Some(value))
        }
    }
}

fn finding_key(telling: &Telling) -> Vec<u8> {
    telling.event.finding_id.to_string().into_bytes()
}

fn alert(telling: &Telling) -> AlertEvent {
    let evidence = telling.evidence.iter();
    let context = Context {
        masked_number: telling.number.map(CitizenId::masked),
        region: telling.county,
        business_date: telling.business_date,
        evidence: evidence
            .map(|(fact, source, table)| Evidence::new(fact, *source, table.clone()))
            .collect(),
        announced_at: telling.at,
    };
    AlertEvent::new(&telling.event, context)
}

/// Keys of findings as bind values.
#[derive(Default)]
struct Columns<'a> {
    shards: Vec<i16>,
    anchors: Vec<&'a [u8]>,
    persons: Vec<&'a [u8]>,
    abouts: Vec<i16>,
}

fn columns<'a>(keys: impl Iterator<Item = &'a (PersonKey, About)>) -> Columns<'a> {
    let mut columns = Columns::default();
    for ((shard, anchor, person), about) in keys {
        columns.shards.push(number(*shard));
        columns.anchors.push(anchor.bytes());
        columns.persons.push(person.bytes());
        columns.abouts.push(about_code(*about));
    }
    columns
}

/// What subscribers know once the outbox is published: only what was announced has a row.
pub(super) async fn told(connection: &mut PgConnection, effects: &Effects) -> sqlx::Result<()> {
    if effects.told.is_empty() {
        return Ok(());
    }
    let keys = columns(effects.told.keys());
    let events = || effects.told.values();
    debug_assert!(events().all(|event| event.cause != Cause::Baseline || event.told.open));
    sqlx::query(
        "insert into store.announced (shard, anchor, person, about, finding, revision, open, region, body)
         select shard, anchor, person, about, finding, revision, open, region, body
         from unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::smallint[], $5::bytea[], $6::int[], $7::boolean[], $8::smallint[], $9::bytea[])
              as k(shard, anchor, person, about, finding, revision, open, region, body)
         on conflict (shard, anchor, person, about) do update set revision = excluded.revision, open = excluded.open,
         region = excluded.region, body = excluded.body",
    )
    .bind(keys.shards)
    .bind(keys.anchors)
    .bind(keys.persons)
    .bind(keys.abouts)
    .bind(events().map(|event| event.finding_id.bytes().as_slice()).collect::<Vec<_>>())
    .bind(events().map(|event| event.told.revision as i32).collect::<Vec<_>>())
    .bind(events().map(|event| event.told.open).collect::<Vec<_>>())
    .bind(events().map(|event| event.told.region.code() as i16).collect::<Vec<_>>())
    .bind(events().map(|event| encode(&event.told)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes rows of a table of findings by key.
async fn delete<'a>(
    connection: &mut PgConnection,
    table: &'static str,
    keys: impl Iterator<Item = &'a (PersonKey, About)>,
) -> sqlx::Result<()> {
    let keys = columns(keys);
    if keys.shards.is_empty() {
        return Ok(());
    }
    let statement = format!(
        "delete from {table} a using unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::smallint[]) as k(shard, anchor, person, about)
         where a.shard = k.shard and a.anchor = k.anchor and a.person = k.person and a.about = k.about"
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(keys.shards)
        .bind(keys.anchors)
        .bind(keys.persons)
        .bind(keys.abouts)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes away what was never published.
pub(super) async fn untold(connection: &mut PgConnection, keys: &[PendingKey]) -> sqlx::Result<()> {
    delete(connection, "store.announced", keys.iter()).await
}

/// Differences that wait, and those that wait no longer.
pub(super) async fn pending(connection: &mut PgConnection, effects: &Effects) -> sqlx::Result<()> {
    let settled = effects.pending.iter().filter(|(_, pending)| pending.is_none());
    delete(connection, "store.pending", settled.map(|(key, _)| key)).await?;
    let waiting = || {
        effects
            .pending
            .iter()
            .filter_map(|(key, pending)| Some((key, pending.as_ref()?)))
    };
    if waiting().next().is_none() {
        return Ok(());
    }
    let keys = columns(waiting().map(|(key, _)| key));
    let source = |of: fn(&domain::source::Source) -> i16| {
        let waits = waiting().map(|(_, pending)| pending.waits_for.as_ref().map(of));
        waits.collect::<Vec<Option<i16>>>()
    };
    sqlx::query(
        "insert into store.pending (shard, anchor, person, about, facts_at, agency, city)
         select shard, anchor, person, about, facts_at, agency, city
         from unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::smallint[], $5::bigint[], $6::smallint[], $7::smallint[])
              as k(shard, anchor, person, about, facts_at, agency, city)
         on conflict (shard, anchor, person, about) do update
         set facts_at = excluded.facts_at, agency = excluded.agency, city = excluded.city",
    )
    .bind(keys.shards)
    .bind(keys.anchors)
    .bind(keys.persons)
    .bind(keys.abouts)
    .bind(waiting().map(|(_, pending)| pending.facts_at.0).collect::<Vec<_>>())
    .bind(source(|source| i16::from(source.agency.code())))
    .bind(source(|source| source.city.code() as i16))
    .execute(connection)
    .await?;
    Ok(())
}

/// What arrived with persons who were told of elsewhere; forgotten once every source was complete after it: whatever it made no news of
/// has been told by then.
pub(super) async fn carried(connection: &mut PgConnection, effects: &Effects) -> sqlx::Result<()> {
    if !effects.carried.is_empty() {
        let keys = || effects.carried.keys();
        sqlx::query(
            "insert into store.carried (shard, anchor, about, arrived_at)
             select shard, anchor, about, arrived_at from unnest($1::smallint[], $2::bytea[], $3::smallint[], $4::bigint[])
                  as k(shard, anchor, about, arrived_at)
             on conflict (shard, anchor, about) do update set arrived_at = excluded.arrived_at",
        )
        .bind(keys().map(|((shard, _), _)| number(*shard)).collect::<Vec<_>>())
        .bind(keys().map(|((_, anchor), _)| anchor.bytes().as_slice()).collect::<Vec<_>>())
        .bind(keys().map(|(_, about)| about_code(*about)).collect::<Vec<_>>())
        .bind(effects.carried.values().map(|at| at.0).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    }
    for (shard, complete) in &effects.forgotten {
        sqlx::query("delete from store.carried where shard = $1 and arrived_at <= $2")
            .bind(number(*shard))
            .bind(complete.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
