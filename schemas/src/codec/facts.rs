//! Facts and identity as `person-record.avsc` has them: each mirror repeats the fields of its domain type, which the compiler compares.

use crate::wire::{opt, plain, remote};
use domain::citizen_id::CitizenId;
use domain::date::{Day, Month};
use domain::division::Division;
use domain::document::{Document, DocumentKind, DocumentNumber};
use domain::facts::{
    Benefit, BenefitKind, BenefitStatus, Card, CardStatus, ContributionStatus, Correction, EmployerKind, Employment,
    EmploymentForm, Enrolment, Facts, FactsKind, Funeral, Hardship, HardshipKind, HukouStatus, MaritalStatus, Marriage,
    Occupation, PersonFacts, Post, Resident, TemporaryResident,
};
use domain::name::Name;
use domain::personal::Personal;
use domain::record::Identity;
use domain::scheme::Scheme;
use domain::sex::Sex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

remote! {
    Document => DocumentMirror,
    Identity => IdentityMirror,
    Facts => FactsMirror,
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

/// In the order of the union.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Facts")]
enum FactsMirror {
    Resident(#[serde(with = "plain")] Resident),
    TemporaryResident(#[serde(with = "plain")] TemporaryResident),
    Correction(#[serde(with = "plain")] Correction),
    Funeral(#[serde(with = "plain")] Funeral),
    Marriage(#[serde(with = "plain")] Marriage),
    Hardship(#[serde(with = "plain")] Hardship),
    Person(#[serde(with = "plain")] PersonFacts),
    Employment(#[serde(with = "plain")] Employment),
    Enrolment(#[serde(with = "plain")] Enrolment),
    Benefit(#[serde(with = "plain")] Benefit),
    Card(#[serde(with = "plain")] Card),
    Unreadable(#[serde(with = "unreadable")] FactsKind),
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

/// A record of its own in the union, around the kind.
mod unreadable {
    use super::{Deserialize, Deserializer, FactsKind, Serialize, Serializer, plain};

    #[derive(Serialize, Deserialize)]
    struct Unreadable {
        #[serde(with = "plain")]
        kind: FactsKind,
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference to the field")]
    pub fn serialize<S: Serializer>(kind: &FactsKind, serializer: S) -> Result<S::Ok, S::Error> {
        Unreadable { kind: *kind }.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FactsKind, D::Error> {
        Unreadable::deserialize(deserializer).map(|read| read.kind)
    }
}
