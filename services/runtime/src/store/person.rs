//! How a person, an enrolment, a directory entry and an employer become rows: one function each, for the registry and for `verify`.

use super::copy::CopyRows;
use super::encode;
use super::members::{encode_member, encode_members};
use super::table::Table;
use domain::base::Person;
use domain::batch::{AWAY, are_apart};
use domain::citizen_id::CitizenId;
use domain::date::Timestamp;
use domain::engine::DirectoryEntry;
use domain::facts::{CardStatus, Enrolment};
use domain::finding::About;
use domain::golden::{Golden, Sourced};
use domain::ids::{AnchorId, IdKey, PersonId, RecordId};
use domain::measure;
use domain::neighbourhood::{Member, Slot};
use domain::record::EntityChange;
use domain::shard::Shard;
use domain::source::Version;
use schemas::event::{EnrolmentState, PersonState};
use sqlx::Row;
use sqlx::postgres::PgRow;

/// `store.person`.
pub const PERSON: Table = Table {
    name: "person",
    key: &["shard", "anchor", "person"],
    values: &[
        "standing",
        "number",
        "former",
        "name",
        "sex",
        "birth",
        "ethnicity",
        "hukou",
        "residence",
        "region",
        "county",
        "flags",
        "death",
        "hukou_status",
        "marital",
        "occupation",
        "nationality",
        "unit",
        "unit_name",
        "card",
        "phone",
        "address",
        "provenance",
        "due",
        "open_about",
        "open_since",
        "findings",
        "published",
        "members",
    ],
    only_if: "",
};

/// `store.member`: the members of crowds, one row each.
pub const MEMBER: Table = Table {
    name: "member",
    key: &["shard", "anchor", "person", "record", "sender"],
    values: &["body"],
    only_if: "",
};

/// `store.enrolment`; the person is a value: a record's enrolment may come to another one.
pub const ENROLMENT: Table = Table {
    name: "enrolment",
    key: &["shard", "anchor", "record"],
    values: &[
        "person",
        "scheme",
        "status",
        "place",
        "unit",
        "starts",
        "ends",
        "first_month",
        "paid_through",
        "deferred_until",
        "transferring",
    ],
    only_if: "",
};

/// `store.directory`; an entry only rises, in the version claimed and in the unread one.
pub const DIRECTORY: Table = Table {
    name: "directory",
    key: &["record"],
    values: &[
        "shard",
        "anchor",
        "epoch",
        "partition",
        "\"offset\"",
        "mapping",
        "deleted",
        "unread_epoch",
        "unread_partition",
        "unread_offset",
        "unread_mapping",
    ],
    only_if: " and (t.epoch, t.\"offset\", t.mapping) <= (u.epoch, u.\"offset\", u.mapping)
               and (t.unread_offset is null
                    or (t.unread_epoch, t.unread_offset, t.unread_mapping) <= (u.unread_epoch, u.unread_offset, u.unread_mapping))",
};

/// `store.employer`.
pub const EMPLOYER: Table = Table {
    name: "employer",
    key: &["shard", "record"],
    values: &[
        "epoch",
        "partition",
        "\"offset\"",
        "mapping",
        "agency",
        "city",
        "unit",
        "code",
        "name",
        "kind",
        "place",
        "deleted",
    ],
    only_if: "",
};

/// The tables that are updated through temporary ones.
pub const UPDATED: [Table; 4] = [PERSON, ENROLMENT, DIRECTORY, EMPLOYER];

fn number(shard: Shard) -> i16 {
    i16::from(shard.number())
}

/// Adds a person's row; `published` is the digest of their state in `person.registry`.
pub fn put(rows: &mut CopyRows, shard: Shard, person: &Person, published: i64) {
    let golden = &person.golden;
    let about: Vec<i16> = person.findings.iter().map(|finding| about_code(finding.about())).collect();
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
        .int4(measure::county(person))
        .int2(measure::flags(person))
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
        .bytes(in_row(&person.members).as_deref());
}

/// Members as they stand in their person's row; none when they are rows of their own.
fn in_row(members: &[Member]) -> Option<Vec<u8>> {
    (!are_apart(members)).then(|| encode_members(members))
}

/// Adds a member that is a row of its own.
pub fn put_member(rows: &mut CopyRows, shard: Shard, anchor: AnchorId, person: PersonId, member: &Member) {
    let slot = member.slot();
    rows.row()
        .int2(number(shard))
        .bytes(&anchor.bytes()[..])
        .bytes(&person.bytes()[..])
        .bytes(&slot.0.bytes()[..])
        .bytes(&sender(&slot)[..])
        .bytes(&encode_member(member)[..]);
}

/// Who sent a member, as a column: the shard and the neighbourhood of a guest copy; empty at home.
pub fn sender((_, sender): &Slot) -> Vec<u8> {
    sender.map_or_else(Vec::new, |(shard, anchor)| [&[shard.number()], &anchor.bytes()[..]].concat())
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
        .bytes(in_row(members).as_deref());
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
        .bool(entry.deleted)
        .int2(entry.unread.map(|unread| unread.epoch as i16))
        .int2(entry.unread.map(|unread| unread.partition as i16))
        .int8(entry.unread.map(|unread| unread.offset as i64))
        .int2(entry.unread.map(|unread| unread.mapping as i16));
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

/// The state of a person for `person.registry`.
pub fn state(person: &Person, recorded_at: Timestamp, key: &IdKey) -> PersonState {
    let (said, further) = person.published_enrolments();
    PersonState {
        person: person.id,
        masked_number: person.number.map(CitizenId::masked),
        standing: person.standing,
        alive: person.golden.death.is_none(),
        city: person.region,
        county: (person.region.is_some()).then(|| measure::county(person)),
        further_enrolments: i32::try_from(further).unwrap_or(i32::MAX),
        enrolments: said
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
        recorded_at,
    }
}

/// What a finding is about as one stored number: rule * 256 + scheme.
pub fn about_code([rule, scheme]: About) -> i16 {
    i16::from(rule) * 256 + i16::from(scheme)
}

/// What a stored number is about.
pub fn about_of(code: i16) -> About {
    code.to_be_bytes()
}
