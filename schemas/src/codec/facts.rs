//! Facts and identity as `person-record.avsc` has them: each mirror repeats the fields of its domain type, which the compiler compares.

use crate::wire::{CIRCUMSTANCE, Wire, opt, plain, remote};
use domain::citizen_id::CitizenId;
use domain::date::{Day, Month};
use domain::division::Division;
use domain::document::{Document, DocumentKind, DocumentNumber};
use domain::facts::{
    Benefit, BenefitKind, BenefitStatus, Card, CardStatus, Circumstance, CircumstanceKind, ContributionStatus, Correction,
    EmployerKind, Employment, EmploymentForm, Enrolment, Facts, FactsKind, Funeral, Hardship, HardshipKind, HukouStatus,
    MaritalStatus, Marriage, Occupation, PersonFacts, Post, Resident, TemporaryResident,
};
use domain::name::Name;
use domain::personal::Personal;
use domain::record::Identity;
use domain::scheme::Scheme;
use domain::sex::Sex;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

remote! {
    Document => DocumentMirror,
    Identity => IdentityMirror,
    Resident => ResidentMirror,
    TemporaryResident => TemporaryResidentMirror,
    Correction => CorrectionMirror,
    Funeral => FuneralMirror,
    Marriage => MarriageMirror,
    Hardship => HardshipMirror,
    PersonFacts => PersonFactsMirror,
    Employment => EmploymentMirror,
    Enrolment => EnrolmentMirror,
    Benefit => BenefitMirror,
    Card => CardMirror,
    Circumstance => CircumstanceMirror,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Document", rename = "Document")]
struct DocumentMirror {
    #[serde(with = "plain")]
    kind: DocumentKind,
    #[serde(with = "plain")]
    number: DocumentNumber,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Identity", rename = "Identity")]
struct IdentityMirror {
    #[serde(with = "opt")]
    document: Option<Document>,
    #[serde(with = "opt")]
    name: Option<Name>,
    #[serde(with = "opt")]
    birth: Option<Day>,
    #[serde(with = "opt")]
    sex: Option<Sex>,
}

/// In the order of the union, which had no room for further kinds: readers of before know its branches.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Facts")]
enum FactsUnion<'a> {
    Resident(#[serde(with = "plain")] Cow<'a, Resident>),
    TemporaryResident(#[serde(with = "plain")] Cow<'a, TemporaryResident>),
    Correction(#[serde(with = "plain")] Cow<'a, Correction>),
    Funeral(#[serde(with = "plain")] Cow<'a, Funeral>),
    Marriage(#[serde(with = "plain")] Cow<'a, Marriage>),
    Hardship(#[serde(with = "plain")] Cow<'a, Hardship>),
    Person(#[serde(with = "plain")] Cow<'a, PersonFacts>),
    Employment(#[serde(with = "plain")] Cow<'a, Employment>),
    Enrolment(#[serde(with = "plain")] Cow<'a, Enrolment>),
    Benefit(#[serde(with = "plain")] Cow<'a, Benefit>),
    Card(#[serde(with = "plain")] Cow<'a, Card>),
    Unreadable(Unreadable<'a>),
}

/// A row that cannot be read, or one of a kind that came after the union.
#[derive(Serialize, Deserialize)]
struct Unreadable<'a> {
    #[serde(with = "plain")]
    kind: FactsKind,
    #[serde(with = "opt", default)]
    circumstance: Option<Cow<'a, Circumstance>>,
}

impl Wire for Facts {
    fn put<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let unreadable = |circumstance| {
            FactsUnion::Unreadable(Unreadable {
                kind: self.kind(),
                circumstance,
            })
        };
        let union = match self {
            Self::Resident(row) => FactsUnion::Resident(Cow::Borrowed(row)),
            Self::TemporaryResident(row) => FactsUnion::TemporaryResident(Cow::Borrowed(row)),
            Self::Correction(row) => FactsUnion::Correction(Cow::Borrowed(row)),
            Self::Funeral(row) => FactsUnion::Funeral(Cow::Borrowed(row)),
            Self::Marriage(row) => FactsUnion::Marriage(Cow::Borrowed(row)),
            Self::Hardship(row) => FactsUnion::Hardship(Cow::Borrowed(row)),
            Self::Person(row) => FactsUnion::Person(Cow::Borrowed(row)),
            Self::Employment(row) => FactsUnion::Employment(Cow::Borrowed(row)),
            Self::Enrolment(row) => FactsUnion::Enrolment(Cow::Borrowed(row)),
            Self::Benefit(row) => FactsUnion::Benefit(Cow::Borrowed(row)),
            Self::Card(row) => FactsUnion::Card(Cow::Borrowed(row)),
            Self::Unreadable(_) => unreadable(None),
            Self::Circumstance(row) => unreadable(Some(Cow::Borrowed(row))),
        };
        union.serialize(serializer)
    }

    fn take<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match FactsUnion::deserialize(deserializer)? {
            FactsUnion::Resident(row) => Self::Resident(row.into_owned()),
            FactsUnion::TemporaryResident(row) => Self::TemporaryResident(row.into_owned()),
            FactsUnion::Correction(row) => Self::Correction(row.into_owned()),
            FactsUnion::Funeral(row) => Self::Funeral(row.into_owned()),
            FactsUnion::Marriage(row) => Self::Marriage(row.into_owned()),
            FactsUnion::Hardship(row) => Self::Hardship(row.into_owned()),
            FactsUnion::Person(row) => Self::Person(row.into_owned()),
            FactsUnion::Employment(row) => Self::Employment(row.into_owned()),
            FactsUnion::Enrolment(row) => Self::Enrolment(row.into_owned()),
            FactsUnion::Benefit(row) => Self::Benefit(row.into_owned()),
            FactsUnion::Card(row) => Self::Card(row.into_owned()),
            FactsUnion::Unreadable(Unreadable { kind, circumstance }) => match (kind, circumstance) {
                (kind, None) => Self::Unreadable(kind),
                (FactsKind::Circumstance, Some(row)) => Self::Circumstance(row.into_owned()),
                (_, Some(_)) => return Err(D::Error::custom(CIRCUMSTANCE)),
            },
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Resident", rename = "Resident")]
struct ResidentMirror {
    #[serde(with = "opt")]
    former_name: Option<Name>,
    ethnicity: Option<u8>,
    #[serde(with = "opt")]
    hukou: Option<Division>,
    #[serde(with = "opt")]
    hukou_address: Option<Personal>,
    #[serde(with = "opt")]
    residence: Option<Division>,
    #[serde(with = "opt")]
    residence_address: Option<Personal>,
    #[serde(with = "opt")]
    death: Option<Day>,
    #[serde(with = "plain")]
    status: HukouStatus,
    #[serde(with = "opt")]
    phone: Option<Personal>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TemporaryResident", rename = "TemporaryResident")]
struct TemporaryResidentMirror {
    #[serde(with = "opt")]
    hukou: Option<Division>,
    #[serde(with = "opt")]
    residence: Option<Division>,
    #[serde(with = "opt")]
    residence_address: Option<Personal>,
    #[serde(with = "opt")]
    from: Option<Day>,
    #[serde(with = "opt")]
    until: Option<Day>,
    #[serde(with = "opt")]
    cancelled: Option<Day>,
    #[serde(with = "opt")]
    phone: Option<Personal>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Correction", rename = "Correction")]
struct CorrectionMirror {
    #[serde(with = "plain")]
    former: CitizenId,
    #[serde(with = "plain")]
    heir: CitizenId,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Funeral", rename = "Funeral")]
struct FuneralMirror {
    #[serde(with = "opt")]
    death: Option<Day>,
    #[serde(with = "opt")]
    cremation: Option<Day>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Marriage", rename = "Marriage")]
struct MarriageMirror {
    #[serde(with = "plain")]
    status: MaritalStatus,
    #[serde(with = "opt")]
    registered: Option<Day>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Hardship", rename = "Hardship")]
struct HardshipMirror {
    #[serde(with = "plain")]
    kind: HardshipKind,
    #[serde(with = "opt")]
    from: Option<Day>,
    #[serde(with = "opt")]
    until: Option<Day>,
    #[serde(with = "opt")]
    place: Option<Division>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PersonFacts", rename = "PersonFacts")]
struct PersonFactsMirror {
    ethnicity: Option<u8>,
    #[serde(with = "opt")]
    occupation: Option<Occupation>,
    #[serde(with = "opt")]
    post: Option<Post>,
    #[serde(with = "opt")]
    nationality: Option<String>,
    #[serde(with = "opt")]
    phone: Option<Personal>,
    #[serde(with = "opt")]
    address: Option<Personal>,
    #[serde(with = "opt")]
    place: Option<Division>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Employment", rename = "Employment")]
struct EmploymentMirror {
    #[serde(with = "opt")]
    unit: Option<String>,
    #[serde(with = "opt")]
    unit_name: Option<String>,
    #[serde(with = "plain")]
    employer: EmployerKind,
    #[serde(with = "plain")]
    form: EmploymentForm,
    #[serde(with = "plain")]
    from: Day,
    #[serde(with = "opt")]
    until: Option<Day>,
    #[serde(with = "opt")]
    place: Option<Division>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Enrolment", rename = "Enrolment")]
struct EnrolmentMirror {
    #[serde(with = "plain")]
    scheme: Scheme,
    #[serde(with = "plain")]
    status: ContributionStatus,
    #[serde(with = "opt")]
    from: Option<Day>,
    #[serde(with = "opt")]
    until: Option<Day>,
    #[serde(with = "opt")]
    first_month: Option<Month>,
    #[serde(with = "opt")]
    paid_through: Option<Month>,
    #[serde(with = "opt")]
    deferred_until: Option<Month>,
    transferring: bool,
    #[serde(with = "opt")]
    unit: Option<String>,
    #[serde(with = "plain")]
    place: Division,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Benefit", rename = "Benefit")]
struct BenefitMirror {
    #[serde(with = "plain")]
    scheme: Scheme,
    #[serde(with = "plain")]
    kind: BenefitKind,
    #[serde(with = "plain")]
    status: BenefitStatus,
    #[serde(with = "opt")]
    from: Option<Day>,
    #[serde(with = "opt")]
    until: Option<Day>,
    #[serde(with = "plain")]
    place: Division,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Card", rename = "Card")]
struct CardMirror {
    #[serde(with = "plain")]
    status: CardStatus,
    #[serde(with = "opt")]
    issued: Option<Day>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Circumstance", rename = "Circumstance")]
struct CircumstanceMirror {
    #[serde(with = "plain")]
    kind: CircumstanceKind,
    #[serde(with = "opt")]
    from: Option<Day>,
    #[serde(with = "opt")]
    until: Option<Day>,
    #[serde(with = "opt")]
    place: Option<Division>,
}
