//! The shards' logs: what was read and what became of it, decisions, messages to other shards, and how far each shard is.

use super::number;
use crate::entries::Entry;
use domain::batch::{Effects, Order};
use domain::engine::Outcome;
use domain::input::{Control, Input, Message};
use domain::shard::Shard;
use domain::shard_state::{Pass, PassWork};
use runtime::store::copy::CopyRows;
use runtime::store::log::{self, LogRow};
use runtime::store::{decisions, encode, policies};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Decisions made and withdrawn.
pub(super) async fn decisions(connection: &mut PgConnection, effects: &Effects) -> sqlx::Result<()> {
    for (shard, id, decision) in &effects.decisions {
        decisions::keep(connection, *shard, *id, decision.as_ref()).await?;
    }
    Ok(())
}

/// Policies that came into force.
pub(super) async fn policies(connection: &mut PgConnection, effects: &Effects) -> sqlx::Result<()> {
    for edition in effects.policies.values() {
        policies::keep(connection, edition).await?;
    }
    Ok(())
}

/// Messages between shards, for the relay.
pub(super) async fn messages(connection: &mut PgConnection, messages: &[(Shard, Message)]) -> sqlx::Result<()> {
    let mut rows = CopyRows::new(4);
    for (receiver, message) in messages {
        let value = schemas::codec::encode_input(&Input::Message(message.clone()));
        rows.row()
            .int2(number(message.from))
            .int8(message.sequence as i64)
            .int2(number(*receiver))
            .bytes(&value[..]);
    }
    let statement = "copy store.message (shard, sequence, receiver, value) from stdin (format binary)";
    rows.send(connection, statement).await
}

/// The source log and the books.
pub(super) async fn entries(
    connection: &mut PgConnection,
    order: &Order,
    bodies: &[Entry],
    outcomes: &[(usize, Option<Outcome>)],
) -> sqlx::Result<()> {
    let mut rows = CopyRows::new(log::COLUMNS.len() as i16);
    let mut books: BTreeMap<log::BookKey, i64> = BTreeMap::new();
    for (at, outcome) in outcomes {
        let (entry, body) = (&order.entries[*at], &bodies[*at].body);
        // The latest vector of completeness is in the shard's state; it only gates release and says nothing about the base.
        if matches!(entry.content(), Some(Input::Control(Control::Completeness(_)))) {
            continue;
        }
        let row = LogRow {
            shard: entry.shard,
            position: entry.position,
            logged_at: entry.logged_at.0,
            input: entry.content(),
            outcome: *outcome,
            body,
        };
        log::put(&mut rows, &row);
        if let Some(key) = row.book() {
            *books.entry(key).or_default() += 1;
        }
    }
    let statement = format!(
        "copy store.source_log ({}) from stdin (format binary)",
        log::COLUMNS.join(", ")
    );
    rows.send(connection, &statement).await?;
    log::add_to_books(connection, &books).await
}

/// Raises the positions, keeps the shards' states, and shows what is left to do with whole shards.
pub(super) async fn shards(connection: &mut PgConnection, effects: &Effects) -> sqlx::Result<()> {
    let rows = &effects.shards;
    sqlx::query(
        "update store.shard s set position = k.position, outbox_next = k.outbox_next, messages = k.messages, state = k.state
         from unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])
              as k(shard, position, outbox_next, messages, state)
         where s.shard = k.shard",
    )
    .bind(rows.keys().map(|shard| number(*shard)).collect::<Vec<_>>())
    .bind(rows.values().map(|row| row.position).collect::<Vec<_>>())
    .bind(rows.values().map(|row| row.outbox_next).collect::<Vec<_>>())
    .bind(rows.values().map(|row| row.state.messages_sent() as i64).collect::<Vec<_>>())
    .bind(rows.values().map(|row| encode(&row.state)).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    for (shard, passes) in &effects.passes {
        show_passes(connection, *shard, passes).await?;
    }
    Ok(())
}

async fn show_passes(connection: &mut PgConnection, shard: Shard, passes: &[Pass]) -> sqlx::Result<()> {
    sqlx::query("delete from store.pass where shard = $1")
        .bind(number(shard))
        .execute(&mut *connection)
        .await?;
    for (place, pass) in (0_i16..).zip(passes) {
        let (work, about) = match &pass.work {
            PassWork::Snapshot(floor, _) => ("snapshot", format!("{}.{}", floor.source, floor.table.as_str())),
            PassWork::Policy(version) => ("policy", version.to_string()),
            PassWork::GoLive(region) => ("go-live", region.to_string()),
            PassWork::Publish => ("publish", String::new()),
        };
        sqlx::query("insert into store.pass (shard, place, work, about, done) values ($1, $2, $3, $4, $5)")
            .bind(number(shard))
            .bind(place)
            .bind(work)
            .bind(about)
            .bind(pass.done as i64)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
