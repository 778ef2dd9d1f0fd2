//! Strategies for every kind of input.

use domain::citizen_id::CitizenId;
use domain::date::{Day, Month, Timestamp};
use domain::decision::{Decision, Verdict};
use domain::division::{City, Division};
use domain::document::{Document, DocumentKind};
use domain::facts::{
    Benefit, BenefitKind, BenefitStatus, Card, CardStatus, Circumstance, CircumstanceKind, ContributionStatus, Correction,
    EmployerKind, Employment, EmploymentForm, Enrolment, Facts, FactsKind, Funeral, Hardship, HardshipKind, HukouStatus,
    MaritalStatus, Marriage, Occupation, PersonFacts, Post, Resident, TemporaryResident,
};
use domain::finding::Rule;
use domain::ids::{AnchorId, RecordId};
use domain::input::{Control, Guest, Input, Message, MessageBody, SnapshotFloor};
use domain::limits::{BUSINESS_DATES, INSTANTS, LARGEST_RANK};
use domain::name::Name;
use domain::personal::Personal;
use domain::policy::Edition;
use domain::record::{Change, Deletion, Employer, EntityChange, Identity, SourceRecord, Unread};
use domain::scheme::Scheme;
use domain::sex::Sex;
use domain::shard::Shard;
use domain::source::{Agency, Source, TableName, Version};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;

fn day() -> impl Strategy<Value = Day> {
    (-30_000..40_000_i32).prop_map(Day)
}

fn month() -> impl Strategy<Value = Month> {
    (1990..2030_i32, 1..=12_u32).prop_map(|(year, month)| Month::from_ym(year, month).expect("a month"))
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    INSTANTS.prop_map(Timestamp)
}

fn name() -> impl Strategy<Value = Name> {
    "[张王李] ?[三四五丰]{1,2}|[A-Z]{1,8}|\\PC{1,9}".prop_filter_map("no name", |raw| Name::parse(&raw).ok())
}

fn text() -> impl Strategy<Value = Personal> {
    "\\PC{0,40}".prop_map(Personal::new)
}

fn division() -> impl Strategy<Value = Division> {
    (320_000..322_000_u32).prop_map(|county| Division::of_county(county).expect("six digits"))
}

fn city() -> impl Strategy<Value = City> {
    select(City::all().collect::<Vec<_>>())
}

fn number() -> impl Strategy<Value = CitizenId> {
    (320_000..322_000_u32, 0..20_000_i32, 0..1000_u16)
        .prop_map(|(division, birth, sequence)| CitizenId::from_parts(division, Day(birth), sequence).expect("fits"))
}

fn document() -> impl Strategy<Value = Document> {
    let raw = prop_oneof![number().prop_map(CitizenId::text), "[A-Z]{1}[0-9]{1,30}|\\PC{1,9}"];
    (select(DocumentKind::ALL), raw).prop_filter_map("no document", |(kind, raw)| Document::parse(kind, &raw).ok())
}

prop_compose! {
    fn identity()(document in of(document()), name in of(name()), birth in of(day()), sex in of(select(&Sex::ALL[..]))) -> Identity {
        Identity { document, name, birth, sex }
    }
}

prop_compose! {
    fn resident()(
        former_name in of(name()), ethnicity in of(any::<u8>()), hukou in of(division()), hukou_address in of(text()),
        residence in of(division()), residence_address in of(text()), death in of(day()), status in select(HukouStatus::ALL),
        phone in of(text()),
    ) -> Facts {
        Facts::Resident(Resident {
            former_name, ethnicity, hukou, hukou_address, residence, residence_address, death, status, phone,
        })
    }
}

prop_compose! {
    fn temporary_resident()(
        hukou in of(division()), residence in of(division()), residence_address in of(text()), from in of(day()), until in of(day()),
        cancelled in of(day()), phone in of(text()),
    ) -> Facts {
        Facts::TemporaryResident(TemporaryResident { hukou, residence, residence_address, from, until, cancelled, phone })
    }
}

prop_compose! {
    fn person()(
        ethnicity in of(any::<u8>()), occupation in of(select(Occupation::ALL)), post in of(select(Post::ALL)),
        nationality in of("[A-Z]{3}"), phone in of(text()), address in of(text()), place in of(division()),
    ) -> Facts {
        Facts::Person(PersonFacts { ethnicity, occupation, post, nationality, phone, address, place })
    }
}

prop_compose! {
    fn employment()(
        unit in of("\\PC{0,12}"), unit_name in of("\\PC{0,12}"), employer in select(EmployerKind::ALL),
        form in select(EmploymentForm::ALL), from in day(), until in of(day()), place in of(division()),
    ) -> Facts {
        Facts::Employment(Employment { unit, unit_name, employer, form, from, until, place })
    }
}

prop_compose! {
    pub fn enrolment()(
        scheme in select(Scheme::ALL), status in select(ContributionStatus::ALL), from in of(day()), until in of(day()),
        first_month in of(month()), paid_through in of(month()), deferred_until in of(month()), transferring in any::<bool>(),
        unit in of("\\PC{0,12}"), place in division(),
    ) -> Facts {
        Facts::Enrolment(Enrolment {
            scheme, status, from, until, first_month, paid_through, deferred_until, transferring, unit, place,
        })
    }
}

prop_compose! {
    fn benefit()(
        scheme in select(Scheme::ALL), kind in select(BenefitKind::ALL), status in select(BenefitStatus::ALL), from in of(day()),
        until in of(day()), place in division(),
    ) -> Facts {
        Facts::Benefit(Benefit { scheme, kind, status, from, until, place })
    }
}

prop_compose! {
    pub fn circumstance()(
        kind in select(CircumstanceKind::ALL), from in of(day()), until in of(day()), place in of(division()),
    ) -> Facts {
        Facts::Circumstance(Circumstance { kind, from, until, place })
    }
}

fn facts() -> impl Strategy<Value = Facts> {
    prop_oneof![
        resident(),
        temporary_resident(),
        (number(), number()).prop_map(|(former, heir)| Facts::Correction(Correction { former, heir })),
        (of(day()), of(day())).prop_map(|(death, cremation)| Facts::Funeral(Funeral { death, cremation })),
        (select(MaritalStatus::ALL), of(day())).prop_map(|(status, registered)| Facts::Marriage(Marriage { status, registered })),
        (select(HardshipKind::ALL), of(day()), of(day()), of(division())).prop_map(|(kind, from, until, place)| Facts::Hardship(
            Hardship {
                kind,
                from,
                until,
                place
            }
        )),
        person(),
        employment(),
        enrolment(),
        benefit(),
        (select(CardStatus::ALL), of(day())).prop_map(|(status, issued)| Facts::Card(Card { status, issued })),
        circumstance(),
        select(FactsKind::ALL).prop_map(Facts::Unreadable),
    ]
}

fn record_id() -> impl Strategy<Value = RecordId> {
    any::<[u8; 16]>().prop_map(RecordId)
}

fn anchor() -> impl Strategy<Value = AnchorId> {
    any::<[u8; 16]>().prop_map(AnchorId)
}

fn shard() -> impl Strategy<Value = Shard> {
    (0..64_u8).prop_map(|number| Shard::new(number).expect("below 64"))
}

fn source() -> impl Strategy<Value = Source> {
    (select(Agency::all().collect::<Vec<_>>()), city()).prop_map(|(agency, city)| Source { agency, city })
}

fn table() -> impl Strategy<Value = TableName> {
    "[a-z]{2}[0-9]{2}".prop_map(TableName::new)
}

prop_compose! {
    fn version()(epoch in 0..=LARGEST_RANK, partition: u16, offset in 0..=i64::MAX as u64, mapping in 0..=LARGEST_RANK) -> Version {
        Version { epoch, partition, offset, mapping }
    }
}

prop_compose! {
    fn coordinates()(
        id in record_id(), source in source(), table in table(), key in text(), version in version(), appended_at in timestamp(),
    ) -> (RecordId, Source, TableName, Personal, Version, Timestamp) {
        (id, source, table, key, version, appended_at)
    }
}

prop_compose! {
    pub fn record(facts: impl Strategy<Value = Facts>)(
        (id, source, table, key, version, appended_at) in coordinates(), identity in identity(), facts in facts,
    ) -> SourceRecord {
        SourceRecord { id, source, table, key, version, appended_at, identity, facts }
    }
}

prop_compose! {
    fn deletion()((id, source, table, key, version, appended_at) in coordinates(), home in of(shard())) -> Change {
        Change::Delete(Deletion { id, source, table, key, version, appended_at, home })
    }
}

prop_compose! {
    fn unread()((id, source, table, key, version, appended_at) in coordinates()) -> Change {
        Change::Unread(Unread { id, source, table, key, version, appended_at })
    }
}

prop_compose! {
    fn employer()(
        unit in "[0-9]{1,12}", code in of("[0-9A-Z]{18}"), name in "\\PC{1,12}", kind in select(EmployerKind::ALL), place in of(division()),
    ) -> Employer {
        Employer { unit, code, name, kind, place }
    }
}

prop_compose! {
    fn entity()((id, source, table, key, version, appended_at) in coordinates(), employer in of(employer())) -> EntityChange {
        EntityChange { id, source, table, key, version, appended_at, employer }
    }
}

/// Rule and scheme of a finding.
fn about() -> impl Strategy<Value = [u8; 2]> {
    (select(Rule::ALL), of(select(Scheme::ALL))).prop_map(|(rule, scheme)| [rule.code(), scheme.map_or(0, Scheme::code)])
}

fn message() -> impl Strategy<Value = Message> {
    let path = proptest::collection::vec(anchor(), 0..4);
    let body = prop_oneof![
        (record_id(), anchor(), version(), timestamp()).prop_map(|(record, anchor, version, appended_at)| {
            MessageBody::ClaimOrDrop {
                record,
                anchor,
                version,
                appended_at,
            }
        }),
        (record_id(), anchor(), version(), timestamp()).prop_map(|(record, anchor, version, appended_at)| MessageBody::Unread {
            record,
            anchor,
            version,
            appended_at,
        }),
        (anchor(), path, record(facts()), timestamp()).prop_map(|(to, path, record, appended_at)| MessageBody::Guest {
            to,
            guest: Guest {
                path,
                record: Arc::new(record)
            },
            appended_at
        }),
        (anchor(), anchor(), record_id(), timestamp()).prop_map(|(to, from, record, appended_at)| MessageBody::Withdraw {
            to,
            from,
            record,
            appended_at
        }),
        (anchor(), proptest::collection::vec(about(), 0..4)).prop_map(|(to, about)| MessageBody::Carry { to, about }),
    ];
    (shard(), any::<u32>(), 0..=i64::MAX as u64, body).prop_map(|(from, life, sequence, body)| Message {
        from,
        life,
        sequence,
        body,
    })
}

/// The policy that is carried, in some version.
pub fn edition() -> impl Strategy<Value = Arc<Edition>> {
    (1..=1_000_000_u32).prop_map(|version| {
        let text = Edition::embedded()
            .text()
            .replacen("version = 1 ", &format!("version = {version} "), 1);
        Arc::new(Edition::parse(text).expect("a policy"))
    })
}

prop_compose! {
    fn places()(
        source in source(), table in table(), epoch in 0..=LARGEST_RANK, offsets in proptest::collection::vec(0..=i64::MAX as u64, 0..5),
    ) -> SnapshotFloor {
        SnapshotFloor { source, table, epoch, offsets }
    }
}

fn control() -> impl Strategy<Value = Control> {
    prop_oneof![
        BUSINESS_DATES.prop_map(|days| Control::BusinessDate(Day(days))),
        proptest::collection::vec((source(), timestamp()), 0..45).prop_map(Control::Completeness),
        city().prop_map(Control::GoLive),
        places().prop_map(Control::Snapshot),
        places().prop_map(Control::Truncated),
        (
            0..=i64::MAX as u64,
            any::<bool>(),
            record_id(),
            record_id(),
            proptest::option::of(number())
        )
            .prop_map(|(id, same, record, other, number)| Control::Decide(Decision {
                id,
                verdict: if same { Verdict::Same } else { Verdict::Different },
                record,
                other,
                number,
            })),
        (0..=i64::MAX as u64).prop_map(Control::Undecide),
        edition().prop_map(Control::Policy),
    ]
}

/// Any input.
pub fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        6 => record(facts()).prop_map(|record| Input::Change(Change::Upsert(Arc::new(record)))),
        1 => deletion().prop_map(Input::Change),
        1 => unread().prop_map(Input::Change),
        1 => entity().prop_map(Input::Entity),
        2 => message().prop_map(Input::Message),
        1 => control().prop_map(Input::Control),
    ]
}
