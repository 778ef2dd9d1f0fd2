//! The base itself: persons, enrolments, due dates, counters, directory, employers.

use super::{Keys, number};
use domain::batch::{Difference, Effects, PutMember};
use domain::record::EntityChange;
use domain::shard::Shard;
use runtime::normaliser::hold;
use runtime::store::copy::CopyRows;
use runtime::store::person::{self, DIRECTORY, EMPLOYER, ENROLMENT, MEMBER, PERSON};
use runtime::store::read::naive;
use runtime::store::table::Table;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;

/// Rows of a table on their way: those that do not exist yet, and those that do.
struct Rows {
    table: Table,
    insert: CopyRows,
    update: CopyRows,
}

impl Rows {
    fn of(table: Table) -> Self {
        Self {
            table,
            insert: CopyRows::new(table.columns()),
            update: CopyRows::new(table.columns()),
        }
    }

    fn row(&mut self, exists: bool) -> &mut CopyRows {
        if exists { &mut self.update } else { &mut self.insert }
    }

    async fn send(self, connection: &mut PgConnection) -> sqlx::Result<()> {
        self.insert.send(connection, &self.table.copy()).await?;
        if !self.update.is_empty() {
            self.update.send(connection, &self.table.copy_update()).await?;
            sqlx::query(AssertSqlSafe(self.table.update())).execute(connection).await?;
        }
        Ok(())
    }
}

/// Persons, enrolments, due dates and counters.
pub(super) async fn persons(connection: &mut PgConnection, differences: &[Difference]) -> sqlx::Result<()> {
    let mut rows = Rows::of(PERSON);
    let (mut gone, mut counters) = (Keys::default(), BTreeMap::<(Shard, i32, i16), i64>::new());
    for difference in differences {
        for put in difference.put.iter().filter(|put| put.changed) {
            person::put(rows.row(put.exists), difference.shard, &put.person, put.published);
        }
        if let Some(away) = difference.away.as_ref().filter(|away| away.changed) {
            person::put_away(rows.row(away.exists), difference.shard, difference.anchor, &away.members);
        }
        for person in &difference.remove {
            gone.push(difference.shard, difference.anchor.bytes(), person.bytes());
        }
        for ((county, measure), change) in &difference.counters {
            *counters.entry((difference.shard, *county, *measure)).or_default() += change;
        }
    }
    rows.send(connection).await?;
    gone.run(
        connection,
        "delete from store.person p using unnest($1::smallint[], $2::bytea[], $3::bytea[]) as k(shard, anchor, person)
         where p.shard = k.shard and p.anchor = k.anchor and p.person = k.person",
    )
    .await?;
    members(connection, differences).await?;
    enrolments(connection, differences).await?;
    due(connection, differences).await?;
    counts(connection, &counters).await
}

/// Members of crowds: a row that differs is removed and put, so that no batch without a crowd has a temporary table more.
async fn members(connection: &mut PgConnection, differences: &[Difference]) -> sqlx::Result<()> {
    let (mut old, mut senders, mut rows) = (Keys::default(), Vec::new(), CopyRows::new(MEMBER.columns()));
    let mut persons: Vec<Vec<u8>> = Vec::new();
    for difference in differences {
        let known = difference.members.put.iter().filter(|put| put.exists);
        let known = known.map(|put| (put.person, put.member.slot()));
        for (person, slot) in known.chain(difference.members.gone.iter().copied()) {
            old.push(difference.shard, difference.anchor.bytes(), slot.0.bytes());
            persons.push(person.bytes().to_vec());
            senders.push(person::sender(&slot));
        }
        for PutMember { person, member, .. } in &difference.members.put {
            person::put_member(&mut rows, difference.shard, difference.anchor, *person, member);
        }
    }
    if !persons.is_empty() {
        sqlx::query(
            "delete from store.member m
             using unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[]) as k(shard, anchor, record, person, sender)
             where m.shard = k.shard and m.anchor = k.anchor and m.person = k.person and m.record = k.record and m.sender = k.sender",
        )
        .bind(old.shards)
        .bind(old.second)
        .bind(old.third)
        .bind(persons)
        .bind(senders)
        .execute(&mut *connection)
        .await?;
    }
    rows.send(connection, &MEMBER.copy()).await
}

async fn enrolments(connection: &mut PgConnection, differences: &[Difference]) -> sqlx::Result<()> {
    let mut rows = Rows::of(ENROLMENT);
    let mut ended = Keys::default();
    for difference in differences {
        for put in &difference.enrolments {
            let rows = rows.row(put.exists);
            person::put_enrolment(
                rows,
                difference.shard,
                difference.anchor,
                put.person,
                put.record,
                &put.enrolment,
            );
        }
        for record in &difference.ended {
            ended.push(difference.shard, difference.anchor.bytes(), record.bytes());
        }
    }
    rows.send(connection).await?;
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
        .bind(old.second)
        .bind(old.third)
        .bind(days)
        .execute(&mut *connection)
        .await?;
    }
    rows.send(
        connection,
        "copy store.due (shard, day, anchor, person) from stdin (format binary)",
    )
    .await
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
         select shard, county, measure, value from unnest($1::smallint[], $2::int[], $3::smallint[], $4::bigint[]) as k(shard, county, measure, value)
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
pub(super) async fn hold_strays(connection: &mut PgConnection, effects: &Effects) -> sqlx::Result<()> {
    for ((source, table), versions) in &effects.strays {
        hold::second_partition(&mut *connection, *source, table, versions).await?;
    }
    Ok(())
}

/// The directory entries that rose. An entry another transaction created meanwhile makes this one fail and be repeated.
pub(super) async fn directory(connection: &mut PgConnection, effects: &Effects) -> sqlx::Result<()> {
    let mut rows = Rows::of(DIRECTORY);
    for (record, (entry, is_new)) in &effects.directory {
        person::put_directory(rows.row(!is_new), *record, entry);
    }
    rows.send(connection).await
}

/// Where guest copies are.
pub(super) async fn guests(connection: &mut PgConnection, effects: &Effects) -> sqlx::Result<()> {
    let (mut come, mut gone) = (Keys::default(), Keys::default());
    for ((shard, record, anchor), here) in &effects.guests {
        let keys = if *here { &mut come } else { &mut gone };
        keys.push(*shard, anchor.bytes(), record.bytes());
    }
    let delete = "delete from store.guest g using unnest($1::smallint[], $2::bytea[], $3::bytea[]) as k(shard, anchor, record)
                  where g.shard = k.shard and g.record = k.record and g.anchor = k.anchor";
    gone.run(connection, delete).await?;
    let insert = "insert into store.guest (shard, anchor, record)
                  select shard, anchor, record from unnest($1::smallint[], $2::bytea[], $3::bytea[]) as k(shard, anchor, record)";
    come.run(connection, insert).await
}

/// Employers.
pub(super) async fn employers(connection: &mut PgConnection, employers: &[(Shard, EntityChange)]) -> sqlx::Result<()> {
    let mut rows = CopyRows::new(EMPLOYER.columns());
    for (shard, entity) in employers {
        person::put_employer(&mut rows, *shard, entity);
    }
    if rows.is_empty() {
        return Ok(());
    }
    rows.send(connection, &EMPLOYER.copy_update()).await?;
    sqlx::query(AssertSqlSafe(EMPLOYER.upsert())).execute(connection).await?;
    Ok(())
}
