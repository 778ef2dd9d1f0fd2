//! How a person, an enrolment, a directory entry and an employer become rows: one function each, for the registry and for `verify`.

use super::copy::CopyRows;
use super::{counters, encode};
use domain::base::Person;
use domain::citizen_id::CitizenId;
use domain::engine::DirectoryEntry;
use domain::facts::{CardStatus, Enrolment};
use domain::golden::{Golden, Sourced};
use domain::ids::{AnchorId, IdKey, PersonId, RecordId};
use domain::neighbourhood::Member;
use domain::record::EntityChange;
use domain::shard::Shard;
use domain::source::Version;
use schemas::event::{EnrolmentState, PersonState};
use sqlx::Row;
use sqlx::postgres::PgRow;

/// The person id of a row that holds members whose person lives elsewhere.
pub const AWAY: PersonId = PersonId([0; 16]);

/// Bytes of a Confluent frame before the datum.
const FRAME: usize = 5;

/// Columns of `store.person`.
pub const COLUMNS: i16 = 32;
/// Columns of `store.enrolment`.
pub const ENROLMENT_COLUMNS: i16 = 14;
/// Columns of `store.directory`.
pub const DIRECTORY_COLUMNS: i16 = 8;
/// Columns of `store.employer`.
pub const EMPLOYER_COLUMNS: i16 = 14;

/// Temporary tables of a writing connection: rows on their way into an update.
pub const TEMPORARY: [&str; 4] = [
    "create temp table if not exists person_update (like store.person) on commit delete rows",
    "create temp table if not exists enrolment_update (like store.enrolment) on commit delete rows",
    "create temp table if not exists directory_update (like store.directory) on commit delete rows",
    "create temp table if not exists employer_update (like store.employer) on commit delete rows",
];

/// Updates persons from `pg_temp.person_update`.
pub const UPDATE: &str = "update store.person p set standing = u.standing, number = u.number, former = u.former, name = u.name, sex = u.sex,
 birth = u.birth, ethnicity = u.ethnicity, hukou = u.hukou, residence = u.residence, region = u.region, county = u.county, flags = u.flags,
 death = u.death, hukou_status = u.hukou_status, marital = u.marital, occupation = u.occupation, nationality = u.nationality,
 unit = u.unit, unit_name = u.unit_name, card = u.card, phone = u.phone, address = u.address, provenance = u.provenance, due = u.due,
 open_about = u.open_about, open_since = u.open_since, findings = u.findings, published = u.published, members = u.members
 from pg_temp.person_update u where p.shard = u.shard and p.anchor = u.anchor and p.person = u.person";

/// Updates enrolments from `pg_temp.enrolment_update`.
pub const UPDATE_ENROLMENT: &str =
    "update store.enrolment e set person = u.person, scheme = u.scheme, status = u.status, place = u.place,
 unit = u.unit, starts = u.starts, ends = u.ends, first_month = u.first_month, paid_through = u.paid_through,
 deferred_until = u.deferred_until, transferring = u.transferring
 from pg_temp.enrolment_update u where e.shard = u.shard and e.anchor = u.anchor and e.record = u.record";

/// Updates directory entries from `pg_temp.directory_update`; an entry only rises.
pub const UPDATE_DIRECTORY: &str =
    "update store.directory d set shard = u.shard, anchor = u.anchor, epoch = u.epoch, partition = u.partition,
 \"offset\" = u.\"offset\", mapping = u.mapping, deleted = u.deleted
 from pg_temp.directory_update u where d.record = u.record
 and (d.epoch, d.\"offset\", d.mapping) <= (u.epoch, u.\"offset\", u.mapping)";

/// Puts employers from `pg_temp.employer_update`.
pub const UPSERT_EMPLOYER: &str = "insert into store.employer select * from pg_temp.employer_update
 on conflict (shard, record) do update set epoch = excluded.epoch, partition = excluded.partition, \"offset\" = excluded.\"offset\",
 mapping = excluded.mapping, agency = excluded.agency, city = excluded.city, unit = excluded.unit, code = excluded.code,
 name = excluded.name, kind = excluded.kind, place = excluded.place, deleted = excluded.deleted";

fn number(shard: Shard) -> i16 {
    i16::from(shard.number())
}

/// The county a person counts in: of their usual residence, else of their hukou, else their city as a whole; 0 where nothing says.
pub fn county(person: &Person) -> i32 {
    let Some(region) = person.region else { return 0 };
    let places = [&person.golden.residence, &person.golden.hukou];
    let county = places
        .into_iter()
        .flatten()
        .map(|place| place.value)
        .find(|place| place.city() == Some(region));
    county.map_or(i32::from(region.code()) * 100, |place| place.county() as i32)
}

/// Adds a person's row; `published` is the digest of their state in `person.registry`.
pub fn put(rows: &mut CopyRows, shard: Shard, person: &Person, published: i64) {
    let golden = &person.golden;
    let about: Vec<i16> = person.findings.iter().map(counters::about).collect();
    let since: Vec<_> = person.findings.iter().map(|finding| finding.since).collect();
    let former: Vec<i64> = person.former_numbers.iter().map(|former| former.digits() as i64).collect();
    let findings = (!person.findings.is_empty()).then(|| encode(&person.findings));
    let workplace = golden.workplace.as_ref().map(|place| &place.value);
    let address = golden.residence_address.as_ref().or(golden.hukou_address.as_ref());
    rows.row()
        .int2(number(shard))
        .bytes(&person.anchor.bytes()[..])
        .bytes(&person.id.bytes()[..])
        .int2(i16::from(person.standing.code()))
        .int8(person.number.map(|number| number.digits() as i64))
        .int8_array(&former)
        .text(golden.name.as_ref().map(|name| name.value.reveal()))
        .int2(golden.sex.as_ref().map(|sex| i16::from(sex.value.code())))
        .date(golden.birth.as_ref().map(|birth| birth.value))
        .int2(golden.ethnicity.as_ref().map(|ethnicity| i16::from(ethnicity.value)))
        .int8(golden.hukou.as_ref().map(|place| place.value.code() as i64))
        .int8(golden.residence.as_ref().map(|place| place.value.code() as i64))
        .int2(person.region.map(|region| region.code() as i16))
        .int4(county(person))
        .int2(counters::flags(person))
        .date(golden.death.as_ref().and_then(|death| death.value.date))
        .int2(golden.hukou_status.as_ref().map(|status| i16::from(status.value.code())))
        .int2(golden.marital.as_ref().map(|status| i16::from(status.value.code())))
        .int2(
            golden
                .occupation
                .as_ref()
                .map(|occupation| i16::from(occupation.value.code())),
        )
        .text(golden.nationality.as_ref().map(|nationality| nationality.value.as_str()))
        .text(workplace.and_then(|place| place.unit.as_deref()))
        .text(workplace.and_then(|place| place.name.as_deref()))
        .bool(golden.card.as_ref().map(|card| card.value == CardStatus::Active))
        .text(golden.phone.as_ref().map(|phone| phone.value.reveal()))
        .text(address.map(|address| address.value.reveal()))
        .bytes(&provenance(golden, &person.members)[..])
        .date(person.next_due)
        .int2_array(&about)
        .date_array(&since)
        .bytes(findings.as_deref())
        .int8(published)
        .bytes(&encode(&person.members)[..]);
}

/// Adds the row of members whose person lives elsewhere.
pub fn put_away(rows: &mut CopyRows, shard: Shard, anchor: AnchorId, members: &[Member]) {
    let mut row = rows.row();
    row.int2(number(shard))
        .bytes(&anchor.bytes()[..])
        .bytes(&AWAY.bytes()[..])
        .int2(0)
        .int8(None)
        .int8(None)
        .text(None);
    row.int2(None)
        .date(None)
        .int2(None)
        .int8(None)
        .int8(None)
        .int2(None)
        .int4(0)
        .int2(0)
        .date(None);
    row.int2(None)
        .int2(None)
        .int2(None)
        .text(None)
        .text(None)
        .text(None)
        .bool(None)
        .text(None)
        .text(None);
    row.bytes(None)
        .date(None)
        .int2_array(&[])
        .date_array(&[])
        .bytes(None)
        .int8(0)
        .bytes(&encode(members)[..]);
}

/// Per golden field the position of its record among the members; 255 where the field is empty or its record is further down.
///
/// The fields are, in order: name, sex, birth, ethnicity, nationality, hukou, residence, phone, death, hukou status, marital status,
/// occupation, workplace, card.
pub fn provenance(golden: &Golden, members: &[Member]) -> [u8; 14] {
    fn of<T>(field: Option<&Sourced<T>>) -> Option<RecordId> {
        field.map(|field| field.record)
    }
    [
        of(golden.name.as_ref()),
        of(golden.sex.as_ref()),
        of(golden.birth.as_ref()),
        of(golden.ethnicity.as_ref()),
        of(golden.nationality.as_ref()),
        of(golden.hukou.as_ref()),
        of(golden.residence.as_ref()),
        of(golden.phone.as_ref()),
        of(golden.death.as_ref()),
        of(golden.hukou_status.as_ref()),
        of(golden.marital.as_ref()),
        of(golden.occupation.as_ref()),
        of(golden.workplace.as_ref()),
        of(golden.card.as_ref()),
    ]
    .map(|record| {
        let at = record.and_then(|record| members.iter().position(|member| member.record.id == record));
        at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
    })
}

/// Adds an enrolment's row.
pub fn put_enrolment(
    rows: &mut CopyRows,
    shard: Shard,
    anchor: AnchorId,
    person: PersonId,
    record: RecordId,
    enrolment: &Enrolment,
) {
    rows.row()
        .int2(number(shard))
        .bytes(&anchor.bytes()[..])
        .bytes(&record.bytes()[..])
        .bytes(&person.bytes()[..])
        .int2(i16::from(enrolment.scheme.code()))
        .int2(i16::from(enrolment.status.code()))
        .int8(enrolment.place.code() as i64)
        .text(enrolment.unit.as_deref())
        .date(enrolment.from)
        .date(enrolment.until)
        .int4(enrolment.first_month.map(|month| month.0))
        .int4(enrolment.paid_through.map(|month| month.0))
        .int4(enrolment.deferred_until.map(|month| month.0))
        .bool(enrolment.transferring);
}

/// Adds a directory entry.
pub fn put_directory(rows: &mut CopyRows, record: RecordId, entry: &DirectoryEntry) {
    rows.row()
        .bytes(&record.bytes()[..])
        .int2(number(entry.shard))
        .bytes(&entry.anchor.bytes()[..])
        .int2(entry.version.epoch as i16)
        .int2(entry.version.partition as i16)
        .int8(entry.version.offset as i64)
        .int2(entry.version.mapping as i16)
        .bool(entry.deleted);
}

/// Adds an employer's row.
pub fn put_employer(rows: &mut CopyRows, shard: Shard, entity: &EntityChange) {
    let employer = entity.employer.as_ref();
    rows.row()
        .int2(number(shard))
        .bytes(&entity.id.bytes()[..])
        .int2(entity.version.epoch as i16)
        .int2(entity.version.partition as i16)
        .int8(entity.version.offset as i64)
        .int2(entity.version.mapping as i16)
        .int2(i16::from(entity.source.agency.code()))
        .int2(entity.source.city.code() as i16)
        .text(employer.map(|employer| employer.unit.as_str()))
        .text(employer.and_then(|employer| employer.code.as_deref()))
        .text(employer.map(|employer| employer.name.as_str()))
        .int2(employer.map(|employer| i16::from(employer.kind.code())))
        .int8(employer.and_then(|employer| employer.place).map(|place| place.code() as i64))
        .bool(employer.is_none());
}

/// The version columns of a row.
pub fn version(row: &PgRow) -> sqlx::Result<Version> {
    Ok(Version {
        epoch: row.try_get::<i16, _>("epoch")? as u16,
        partition: row.try_get::<i16, _>("partition")? as u16,
        offset: row.try_get::<i64, _>("offset")? as u64,
        mapping: row.try_get::<i16, _>("mapping")? as u16,
    })
}

/// The state of a person for `person.registry`, without the time it is recorded at, and its digest.
pub fn state(person: &Person, key: &IdKey) -> (PersonState, i64) {
    let state = PersonState {
        person: person.id,
        masked_number: person.number.map(CitizenId::masked),
        standing: person.standing,
        alive: person.golden.death.is_none(),
        city: person.region,
        county: (person.region.is_some()).then(|| county(person)),
        enrolments: person
            .enrolments
            .iter()
            .map(|(_, enrolment)| EnrolmentState {
                scheme: enrolment.scheme,
                place: enrolment.place,
                status: enrolment.status,
                paid_through: enrolment.paid_through,
            })
            .collect(),
        open_findings: person
            .findings
            .iter()
            .map(|finding| finding.id(person.id, person.anchor, key))
            .collect(),
        recorded_at: domain::date::Timestamp(0),
    };
    let value = schemas::event::encode(&state);
    // Without the frame: a registry's ids are no part of the state.
    let digest = encode_digest(value.get(FRAME..).unwrap_or_default());
    (state, digest)
}

/// FNV-1a, 64 bits: a digest that tells equal from changed, not a secret.
fn encode_digest(bytes: &[u8]) -> i64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    }) as i64
}
