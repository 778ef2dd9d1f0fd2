//! The base as the function has it, as rows: computed at once from the newest versions and sent into temporary tables.
//!
//! The same row builders serve the registry, so that what is compared is what is stored, column by column.

use super::announced::{Open, PersonKey};
use super::log::SourceLog;
use super::registry;
use anyhow::Context;
use domain::base::{Described, describe, neighbourhoods};
use domain::batch::{AWAY, are_apart};
use domain::date::Day;
use domain::decision::Rulings;
use domain::engine::DirectoryEntry;
use domain::facts::Facts;
use domain::ids::{AnchorId, IdKey, PersonId, RecordId};
use domain::input::SnapshotFloor;
use domain::measure;
use domain::neighbourhood::Member;
use domain::policy::Edition;
use domain::record::Change;
use domain::shard::Shard;
use domain::source::Version;
use indicatif::ProgressBar;
use runtime::store::copy::CopyRows;
use runtime::store::person;
use sqlx::{PgConnection, query};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::Arc;

/// Neighbourhoods described between two writes.
const SLICE: usize = 4_000;

/// Temporary tables of the comparison; they go with the transaction. `verify_retired` holds what a complete snapshot says is gone.
const TABLES: [(&str, &str); 9] = [
    ("verify_person", "store.person"),
    ("verify_member", "store.member"),
    ("verify_enrolment", "store.enrolment"),
    ("verify_due", "store.due"),
    ("verify_counter", "store.counter"),
    ("verify_employer", "store.employer"),
    ("verify_guest", "store.guest"),
    ("verify_directory", "store.directory"),
    ("verify_retired", "store.directory"),
];

/// What the function is applied with.
pub(crate) struct Rules {
    pub key: IdKey,
    pub policy: Option<Arc<Edition>>,
    pub today: Day,
    pub floors: Vec<SnapshotFloor>,
    pub truncations: Vec<SnapshotFloor>,
    pub rulings: Rulings,
}

/// What is not compared in tables.
#[derive(Debug, Default)]
pub(crate) struct Computed {
    /// Persons of the base.
    pub persons: u64,
    /// Open findings of the base.
    pub findings: u64,
    /// Open findings in regions that are live, by person, with their region.
    pub open: Open,
    /// Persons of whom a row cannot be read, or may be gone with a truncation: what was told of them may be unsure.
    pub unreadable: BTreeSet<PersonKey>,
}

/// Rows on their way into a temporary table.
pub(super) struct Sheet {
    table: &'static str,
    columns: i16,
    pub(super) rows: CopyRows,
}

impl Sheet {
    pub(super) fn new(table: &'static str, columns: i16) -> Self {
        Self {
            table,
            columns,
            rows: CopyRows::new(columns),
        }
    }

    pub(super) async fn send(&mut self, connection: &mut PgConnection) -> anyhow::Result<()> {
        let rows = std::mem::replace(&mut self.rows, CopyRows::new(self.columns));
        let statement = format!("copy pg_temp.{} from stdin (format binary)", self.table);
        rows.send(connection, &statement)
            .await
            .with_context(|| format!("filling {}", self.table))
    }
}

/// Computes the base and fills the temporary tables; takes the newest versions out of the log, which would else be held twice.
///
/// # Errors
/// When the database refuses: the account needs the right to make temporary tables.
pub(crate) async fn write(
    connection: &mut PgConnection,
    log: &mut SourceLog,
    rules: &Rules,
    progress: &ProgressBar,
) -> anyhow::Result<Computed> {
    for (name, like) in TABLES {
        let statement = format!("create temp table {name} (like {like}) on commit drop");
        query(sqlx::AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await
            .context("making temporary tables for the comparison")?;
    }
    query(registry::EXPECTED)
        .execute(&mut *connection)
        .await
        .context("making temporary tables for the comparison")?;
    write_employers(connection, log).await?;
    write_directory(connection, log, rules).await?;

    let latest = std::mem::take(&mut log.latest);
    let unread = std::mem::take(&mut log.unread).into_values();
    let unread: Vec<Change> = unread.map(|unread| Change::Unread(*unread)).collect();
    let changes = latest.values().map(|change| &**change).chain(&unread);
    let base = tokio::task::block_in_place(|| neighbourhoods(changes, &rules.floors, &rules.rulings, &rules.key));
    drop(latest);
    progress.set_length(base.len() as u64);

    let mut sheets = Sheets::new();
    let mut computed = Computed::default();
    let mut counts: BTreeMap<(Shard, i32, i16), i64> = BTreeMap::new();
    let mut slice = Vec::with_capacity(SLICE);
    let mut rest = base.into_iter();
    loop {
        slice.extend(rest.by_ref().take(SLICE));
        if slice.is_empty() {
            break;
        }
        let described = tokio::task::block_in_place(|| describe_all(&slice, rules));
        for (((shard, anchor), _), described) in slice.iter().zip(&described) {
            sheets.put(*shard, *anchor, described, &rules.key);
            computed.take(*shard, *anchor, described, (log, rules), &mut counts);
        }
        sheets.send(connection).await?;
        progress.inc(slice.len() as u64);
        slice.clear();
    }
    let mut counter = Sheet::new("verify_counter", 4);
    for ((shard, county, measure), value) in counts {
        counter
            .rows
            .row()
            .int2(i16::from(shard.number()))
            .int4(county)
            .int2(measure)
            .int8(value);
    }
    counter.send(connection).await?;
    for name in TABLES.iter().map(|(name, _)| *name).chain(["verify_registry"]) {
        query(sqlx::AssertSqlSafe(format!("analyze pg_temp.{name}")))
            .execute(&mut *connection)
            .await
            .context("preparing the comparison")?;
    }
    Ok(computed)
}

type Neighbourhood = ((Shard, AnchorId), Vec<Member>);

/// Describes neighbourhoods on all cores: each stands alone.
fn describe_all(slice: &[Neighbourhood], rules: &Rules) -> Vec<Described> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let part = slice.len().div_ceil(cores).max(1);
    let policy = rules.policy.as_deref().map(Edition::policy);
    std::thread::scope(|scope| {
        let workers: Vec<_> = slice
            .chunks(part)
            .map(|part| {
                scope.spawn(move || -> Vec<Described> {
                    part.iter()
                        .map(|((_, anchor), members)| describe(*anchor, members, &rules.rulings, policy, rules.today, &rules.key))
                        .collect()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("describing does not panic"))
            .collect()
    })
}

impl Computed {
    fn take(
        &mut self,
        shard: Shard,
        anchor: AnchorId,
        described: &Described,
        (log, rules): (&SourceLog, &Rules),
        counts: &mut BTreeMap<(Shard, i32, i16), i64>,
    ) {
        let live = &log.shards[usize::from(shard.number())].live;
        for person in &described.persons {
            self.persons += 1;
            self.findings += person.findings.len() as u64;
            let is_unsure = |member: &Member| {
                let record = &member.record;
                let may_be_gone = || rules.truncations.iter().any(|place| place.retires_record(record, &rules.key));
                matches!(record.facts, Facts::Unreadable(_)) || may_be_gone()
            };
            if person.members.iter().any(is_unsure) {
                self.unreadable.insert((shard, anchor, person.id));
            }
            for measure in measure::measures(measure::flags(person), &person.findings) {
                *counts.entry((shard, measure::county(person), measure)).or_default() += 1;
            }
            if let Some(region) = person
                .region
                .filter(|region| live.contains(region) && !person.findings.is_empty())
            {
                self.open
                    .insert((shard, anchor, person.id), (region, person.findings.clone()));
            }
        }
    }
}

/// The tables that follow from persons.
struct Sheets {
    person: Sheet,
    member: Sheet,
    enrolment: Sheet,
    due: Sheet,
    guest: Sheet,
    registry: Sheet,
}

impl Sheets {
    fn new() -> Self {
        Self {
            person: Sheet::new("verify_person", person::PERSON.columns()),
            member: Sheet::new("verify_member", person::MEMBER.columns()),
            enrolment: Sheet::new("verify_enrolment", person::ENROLMENT.columns()),
            due: Sheet::new("verify_due", 4),
            guest: Sheet::new("verify_guest", 3),
            registry: Sheet::new("verify_registry", 4),
        }
    }

    fn put(&mut self, shard: Shard, anchor: AnchorId, described: &Described, key: &IdKey) {
        for person in &described.persons {
            let published = domain::batch::published(person, key);
            person::put(&mut self.person.rows, shard, person, published);
            self.put_members(shard, anchor, person.id, &person.members);
            self.registry
                .rows
                .row()
                .int2(i16::from(shard.number()))
                .bytes(&anchor.bytes()[..])
                .bytes(&person.id.bytes()[..])
                .bytes(&registry::expected(person, key)[..]);
            for (record, enrolment) in &person.enrolments {
                person::put_enrolment(&mut self.enrolment.rows, shard, anchor, person.id, *record, enrolment);
            }
            if let Some(day) = person.next_due {
                let row = &mut self.due.rows.row();
                row.int2(i16::from(shard.number()))
                    .date(day)
                    .bytes(&anchor.bytes()[..])
                    .bytes(&person.id.bytes()[..]);
            }
        }
        let members = described
            .persons
            .iter()
            .flat_map(|person| &person.members)
            .chain(&described.away);
        let guests: BTreeSet<RecordId> = members
            .filter(|member| member.is_guest())
            .map(|member| member.record.id)
            .collect();
        for record in guests {
            let row = &mut self.guest.rows.row();
            row.int2(i16::from(shard.number()))
                .bytes(&record.bytes()[..])
                .bytes(&anchor.bytes()[..]);
        }
        if !described.away.is_empty() {
            person::put_away(&mut self.person.rows, shard, anchor, &described.away);
            self.put_members(shard, anchor, AWAY, &described.away);
        }
    }

    /// The members of a crowd are rows of their own.
    fn put_members(&mut self, shard: Shard, anchor: AnchorId, person: PersonId, members: &[Member]) {
        for member in members.iter().filter(|_| are_apart(members)) {
            person::put_member(&mut self.member.rows, shard, anchor, person, member);
        }
    }

    async fn send(&mut self, connection: &mut PgConnection) -> anyhow::Result<()> {
        self.person.send(connection).await?;
        self.member.send(connection).await?;
        self.enrolment.send(connection).await?;
        self.due.send(connection).await?;
        self.guest.send(connection).await?;
        self.registry.send(connection).await
    }
}

async fn write_employers(connection: &mut PgConnection, log: &mut SourceLog) -> anyhow::Result<()> {
    let mut sheet = Sheet::new("verify_employer", person::EMPLOYER.columns());
    for entity in std::mem::take(&mut log.entities).into_values() {
        person::put_employer(&mut sheet.rows, entity.shard(), &entity);
    }
    sheet.send(connection).await
}

/// Where the directory should have a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seat {
    /// At home, or deleted.
    Entered(DirectoryEntry),
    /// A complete snapshot no longer has it: no entry, or a deleted one.
    Retired(DirectoryEntry),
}

/// `unread` is the newest version of the record of which only the key could be read.
fn seat(change: &Change, unread: Option<Version>, rules: &Rules) -> Seat {
    let deleted = DirectoryEntry {
        shard: change.shard(),
        anchor: AnchorId::default(),
        version: change.version(),
        deleted: true,
        unread,
    };
    match change {
        Change::Delete(_) => Seat::Entered(deleted),
        Change::Unread(of) => Seat::Entered(DirectoryEntry::never_read(change.shard(), of.version)),
        Change::Upsert(record) => {
            let entry = DirectoryEntry {
                anchor: record.anchor(&rules.key),
                deleted: false,
                ..deleted
            };
            if rules.floors.iter().any(|floor| floor.retires_record(record, &rules.key)) {
                Seat::Retired(entry)
            } else {
                Seat::Entered(entry)
            }
        }
    }
}

/// The entries of the directory. They are told from the newest versions alone, never from how the registry came to them.
fn seats<'a>(log: &'a SourceLog, rules: &'a Rules) -> impl Iterator<Item = (RecordId, Seat)> + 'a {
    let read = log.latest.iter().map(|(record, change)| {
        let unread = log.unread.get(record).map(|unread| unread.version);
        (*record, seat(change, unread, rules))
    });
    let never_read = log.unread.iter().filter(|(record, _)| !log.latest.contains_key(*record));
    let never_read = never_read.map(|(record, unread)| (*record, seat(&Change::Unread((**unread).clone()), None, rules)));
    read.chain(never_read)
}

/// Entries written between two sends.
const ENTRIES: usize = 50_000;

async fn write_directory(connection: &mut PgConnection, log: &SourceLog, rules: &Rules) -> anyhow::Result<()> {
    let mut entered = Sheet::new("verify_directory", person::DIRECTORY.columns());
    let mut retired = Sheet::new("verify_retired", person::DIRECTORY.columns());
    for (at, (record, seat)) in seats(log, rules).enumerate() {
        match seat {
            Seat::Entered(entry) => person::put_directory(&mut entered.rows, record, &entry),
            Seat::Retired(entry) => person::put_directory(&mut retired.rows, record, &entry),
        }
        if at % ENTRIES == ENTRIES - 1 {
            entered.send(connection).await?;
            retired.send(connection).await?;
        }
    }
    entered.send(connection).await?;
    retired.send(connection).await
}

#[cfg(test)]
mod tests;
