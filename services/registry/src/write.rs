//! Writes what a batch changed: rows in bulk, in the order of their keys.

use crate::batch::Logged;
use crate::difference::Difference;
use domain::engine::{Outcome, Workspace};
use domain::ids::RecordId;
use domain::input::{Input, Message};
use domain::record::EntityChange;
use domain::shard::Shard;
use runtime::normaliser::hold;
use runtime::store::copy::CopyRows;
use runtime::store::log::{self, LogRow};
use runtime::store::read::naive;
use runtime::store::{encode, person};
use sqlx::{PgConnection, Row};
use std::collections::BTreeMap;

fn number(shard: Shard) -> i16 {
    i16::from(shard.number())
}

/// The name of an outcome, in metrics.
pub(crate) fn outcome_name(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Applied) => "applied",
        Some(Outcome::Superseded) => "superseded",
        Some(Outcome::Repeated) => "repeated",
        Some(Outcome::Control) => "control",
        None => "undecodable",
    }
}

/// Persons, enrolments, due dates and counters.
pub(crate) async fn persons(connection: &mut PgConnection, differences: &[Difference]) -> sqlx::Result<()> {
    let (mut insert, mut update) = (CopyRows::new(person::COLUMNS), CopyRows::new(person::COLUMNS));
    let (mut gone, mut counters) = (Keys::default(), BTreeMap::<(Shard, i32, i16), i64>::new());
    for difference in differences {
        for put in &difference.put {
            let rows = if put.exists { &mut update } else { &mut insert };
            person::put(rows, difference.shard, &put.person, put.published);
        }
        if let Some((members, exists)) = &difference.away {
            person::put_away(
                if *exists { &mut update } else { &mut insert },
                difference.shard,
                difference.anchor,
                members,
            );
        }
        for person in &difference.remove {
            gone.push(difference.shard, difference.anchor.bytes(), person.bytes());
        }
        for ((county, measure), change) in &difference.counters {
            *counters.entry((difference.shard, *county, *measure)).or_default() += change;
        }
    }
    insert
        .send(connection, "copy store.person from stdin (format binary)")
        .await?;
    if !update.is_empty() {
        update
            .send(connection, "copy pg_temp.person_update from stdin (format binary)")
            .await?;
        sqlx::query(person::UPDATE).execute(&mut *connection).await?;
    }
    gone.run(
        connection,
        "delete from store.person p using unnest($1::smallint[], $2::bytea[], $3::bytea[]) as k(shard, anchor, person)
         where p.shard = k.shard and p.anchor = k.anchor and p.person = k.person",
    )
    .await?;
    enrolments(connection, differences).await?;
    due(connection, differences).await?;
    counts(connection, &counters).await
}

/// Keys of rows: a shard and two ids.
#[derive(Default)]
pub(crate) struct Keys {
    shards: Vec<i16>,
    anchors: Vec<Vec<u8>>,
    third: Vec<Vec<u8>>,
}

impl Keys {
    pub(crate) fn push(&mut self, shard: Shard, anchor: &[u8], third: &[u8]) {
        self.shards.push(number(shard));
        self.anchors.push(anchor.to_vec());
        self.third.push(third.to_vec());
    }

    /// Runs a statement that takes them as three arrays, unless there are none.
    pub(crate) async fn run(self, connection: &mut PgConnection, statement: &'static str) -> sqlx::Result<()> {
        if !self.shards.is_empty() {
            sqlx::query(statement)
                .bind(self.shards)
                .bind(self.anchors)
                .bind(self.third)
                .execute(connection)
                .await?;
        }
        Ok(())
    }
}

async fn enrolments(connection: &mut PgConnection, differences: &[Difference]) -> sqlx::Result<()> {
    let (mut insert, mut update) = (
        CopyRows::new(person::ENROLMENT_COLUMNS),
        CopyRows::new(person::ENROLMENT_COLUMNS),
    );
    let mut ended = Keys::default();
    for difference in differences {
        for (person, record, enrolment, exists) in &difference.enrolments {
            let rows = if *exists { &mut update } else { &mut insert };
            person::put_enrolment(rows, difference.shard, difference.anchor, *person, *record, enrolment);
        }
        for record in &difference.ended {
            ended.push(difference.shard, difference.anchor.bytes(), record.bytes());
        }
    }
    insert
        .send(connection, "copy store.enrolment from stdin (format binary)")
        .await?;
    if !update.is_empty() {
        update
            .send(connection, "copy pg_temp.enrolment_update from stdin (format binary)")
            .await?;
        sqlx::query(person::UPDATE_ENROLMENT).execute(&mut *connection).await?;
    }
    ended
        .run(
            connection,
            "delete from store.enrolment e using unnest($1::smallint[], $2::bytea[], $3::bytea[]) as k(shard, anchor, record)
             where e.shard = k.shard and e.anchor = k.anchor and e.record = k.record",
        )
        .await
}

async fn due(connection: &mut PgConnection, differences: &[Difference]) -> sqlx::Result<()> {
    let (mut rows, mut old, mut days) = (CopyRows::new(4), Keys::default(), Vec::new());
    for difference in differences {
        for (day, person) in &difference.due {
            rows.row()
                .int2(number(difference.shard))
                .date(*day)
                .bytes(&difference.anchor.bytes()[..])
                .bytes(&person.bytes()[..]);
        }
        for (day, person) in &difference.no_longer_due {
            old.push(difference.shard, difference.anchor.bytes(), person.bytes());
            days.push(naive(*day));
        }
    }
    if !days.is_empty() {
        sqlx::query(
            "delete from store.due d using unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::date[]) as k(shard, anchor, person, day)
             where d.shard = k.shard and d.day = k.day and d.anchor = k.anchor and d.person = k.person",
        )
        .bind(old.shards)
        .bind(old.anchors)
        .bind(old.third)
        .bind(days)
        .execute(&mut *connection)
        .await?;
    }
    rows.send(connection, "copy store.due from stdin (format binary)").await
}

async fn counts(connection: &mut PgConnection, counters: &BTreeMap<(Shard, i32, i16), i64>) -> sqlx::Result<()> {
    if counters.is_empty() {
        return Ok(());
    }
    let shards: Vec<i16> = counters.keys().map(|(shard, ..)| number(*shard)).collect();
    let counties: Vec<i32> = counters.keys().map(|(_, county, _)| *county).collect();
    let measures: Vec<i16> = counters.keys().map(|(.., measure)| *measure).collect();
    let changes: Vec<i64> = counters.values().copied().collect();
    sqlx::query(
        "insert into store.counter as c (shard, county, measure, value)
         select * from unnest($1::smallint[], $2::int[], $3::smallint[], $4::bigint[])
         on conflict (shard, county, measure) do update set value = c.value + excluded.value",
    )
    .bind(shards)
    .bind(counties)
    .bind(measures)
    .bind(changes)
    .execute(connection)
    .await?;
    Ok(())
}

/// Holds the topics in which a key appeared in a second partition: only an operator can say which position is the later one.
pub(crate) async fn hold_strays(connection: &mut PgConnection, workspace: &Workspace) -> sqlx::Result<()> {
    for (source, table) in &workspace.strays {
        hold::second_partition(&mut *connection, *source, table).await?;
    }
    Ok(())
}

/// The directory entries that rose. An entry another transaction created meanwhile makes this one fail and be repeated.
pub(crate) async fn directory(connection: &mut PgConnection, workspace: &Workspace) -> sqlx::Result<()> {
    let (mut insert, mut update) = (
        CopyRows::new(person::DIRECTORY_COLUMNS),
        CopyRows::new(person::DIRECTORY_COLUMNS),
    );
    for (record, entry) in &workspace.claimed {
        person::put_directory(
            if workspace.is_new(record) { &mut insert } else { &mut update },
            *record,
            entry,
        );
    }
    insert
        .send(connection, "copy store.directory from stdin (format binary)")
        .await?;
    if !update.is_empty() {
        update
            .send(connection, "copy pg_temp.directory_update from stdin (format binary)")
            .await?;
        sqlx::query(person::UPDATE_DIRECTORY).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Employers: their rows compare versions themselves, and say what became of each entry.
pub(crate) async fn employers(
    connection: &mut PgConnection,
    employers: &mut Vec<(Shard, EntityChange)>,
    logged: &mut [Logged<'_>],
) -> sqlx::Result<()> {
    if employers.is_empty() {
        return Ok(());
    }
    let keys: Vec<&[u8]> = employers.iter().map(|(_, entity)| entity.id.bytes().as_slice()).collect();
    let shards: Vec<i16> = employers.iter().map(|(shard, _)| number(*shard)).collect();
    let rows = sqlx::query(
        "select e.record, e.epoch, e.partition, e.\"offset\", e.mapping from unnest($1::smallint[], $2::bytea[]) as k(shard, record)
         join store.employer e on e.shard = k.shard and e.record = k.record",
    )
    .bind(shards)
    .bind(keys)
    .fetch_all(&mut *connection)
    .await?;
    let mut known = BTreeMap::new();
    for row in &rows {
        if let Some(record) = RecordId::from_slice(row.try_get("record")?) {
            known.insert(record, person::version(row)?);
        }
    }
    let mut newest: BTreeMap<(Shard, RecordId), EntityChange> = BTreeMap::new();
    for logged in logged.iter_mut() {
        let Some(Input::Entity(entity)) = &logged.input else {
            continue;
        };
        logged.outcome = Some(match known.get(&entity.id).map(|held| entity.version.cmp(held)) {
            Some(std::cmp::Ordering::Less) => Outcome::Superseded,
            Some(std::cmp::Ordering::Equal) => Outcome::Repeated,
            Some(std::cmp::Ordering::Greater) | None => {
                known.insert(entity.id, entity.version);
                newest.insert((logged.entry.shard, entity.id), entity.clone());
                Outcome::Applied
            }
        });
    }
    employers.clear();
    let mut rows = CopyRows::new(person::EMPLOYER_COLUMNS);
    for ((shard, _), entity) in &newest {
        person::put_employer(&mut rows, *shard, entity);
    }
    if !rows.is_empty() {
        rows.send(connection, "copy pg_temp.employer_update from stdin (format binary)")
            .await?;
        sqlx::query(person::UPSERT_EMPLOYER).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Messages between shards; returned for the relay.
pub(crate) async fn messages(connection: &mut PgConnection, workspace: &mut Workspace) -> sqlx::Result<Vec<(Shard, Message)>> {
    let messages: Vec<(Shard, Message)> = workspace
        .shards
        .values_mut()
        .flat_map(|work| std::mem::take(&mut work.messages))
        .collect();
    let mut rows = CopyRows::new(4);
    for (receiver, message) in &messages {
        let value = schemas::codec::encode_input(&Input::Message(message.clone()));
        rows.row()
            .int2(number(message.from))
            .int8(message.sequence as i64)
            .int2(number(*receiver))
            .bytes(&value[..]);
    }
    rows.send(connection, "copy store.message from stdin (format binary)").await?;
    Ok(messages)
}

/// The source log and the books.
pub(crate) async fn log(connection: &mut PgConnection, logged: &[Logged<'_>]) -> sqlx::Result<()> {
    let mut rows = CopyRows::new(log::COLUMNS);
    let mut books: BTreeMap<log::BookKey, i64> = BTreeMap::new();
    for logged in logged {
        let input = logged.input.as_ref();
        // The latest vector of completeness is in the shard's state; it only gates release and says nothing about the base.
        if matches!(input, Some(Input::Control(domain::input::Control::Completeness(_)))) {
            continue;
        }
        let Logged { entry, outcome, .. } = logged;
        let row = LogRow {
            shard: entry.shard,
            position: entry.position,
            logged_at: entry.logged_at,
            input,
            outcome: *outcome,
            body: &entry.body,
        };
        log::put(&mut rows, &row);
        if let Some(key) = row.book() {
            *books.entry(key).or_default() += 1;
        }
    }
    rows.send(connection, "copy store.source_log from stdin (format binary)")
        .await?;
    log::add_to_books(connection, &books).await
}

/// Raises the positions and keeps the shards' states.
pub(crate) async fn positions(
    connection: &mut PgConnection,
    workspace: &Workspace,
    positions: &BTreeMap<Shard, i64>,
    outbox: &BTreeMap<Shard, i64>,
) -> sqlx::Result<()> {
    let shards: Vec<i16> = positions.keys().map(|shard| number(*shard)).collect();
    let next: Vec<i64> = positions.values().copied().collect();
    let outbox: Vec<i64> = positions.keys().map(|shard| outbox[shard]).collect();
    let sent: Vec<i64> = positions
        .keys()
        .map(|shard| workspace.shards[shard].state.messages_sent() as i64)
        .collect();
    let states: Vec<Vec<u8>> = positions.keys().map(|shard| encode(&workspace.shards[shard].state)).collect();
    sqlx::query(
        "update store.shard s set position = k.position, outbox_next = k.outbox_next, messages = k.messages, state = k.state
         from unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])
              as k(shard, position, outbox_next, messages, state)
         where s.shard = k.shard",
    )
    .bind(shards)
    .bind(next)
    .bind(outbox)
    .bind(sent)
    .bind(states)
    .execute(connection)
    .await?;
    Ok(())
}
