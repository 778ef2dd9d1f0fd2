//! Builds identities and facts from a row.

use super::field::{Field, Kind};
use super::reader::{Reader, Unread};
use crate::debezium::{ErrorClass, NormaliseError};
use domain::citizen_id::CitizenId;
use domain::date::Timestamp;
use domain::division::{City, Division};
use domain::document::Document;
use domain::facts::{
    Benefit, Card, Circumstance, Correction, Employment, Enrolment, Facts, Funeral, Hardship, Marriage, PersonFacts, Resident,
    TemporaryResident,
};
use domain::name::{Name, NameError};
use domain::record::{Employer, Identity};

/// A row's identity: what could be read of it, and the first thing in it that could not.
pub(super) struct ReadIdentity {
    pub(super) identity: Identity,
    /// A name beside a usable number, a document kind, or, without such a number, a birth date or sex that cannot be read: the person is
    /// known all the same.
    pub(super) flaw: Option<NormaliseError>,
}

/// Reads whom the row is about. Fails when the number cannot be read, or the name of a row without a usable number.
pub(super) fn identity(reader: &Reader<'_, '_>) -> Result<ReadIdentity, NormaliseError> {
    let mut flaw = None;
    let stated = keep_first(&mut flaw, reader.code(Field::DocumentKind));
    let kind = stated.unwrap_or(reader.table().document);
    let document = match reader.text(Field::Number)? {
        // What cleaning leaves empty is no number; no document's number is longer than the domain keeps.
        Some(number) => match Document::parse(kind, &number) {
            Ok(document) => Some(document),
            Err(_) if number.chars().count() > 64 => {
                return Err(reader.error(
                    ErrorClass::Oversized,
                    Field::Number,
                    "a document number of at most 64 characters",
                ));
            }
            Err(_) => None,
        },
        None => None,
    };
    let number = document.as_ref().and_then(Document::citizen_id);
    reader.is_about(number, number.map(CitizenId::birth_date));
    let name = match name(reader, Field::Name) {
        // A usable number tells the person by itself; without one, the name is all that could.
        Err(error) if number.is_some() => {
            flaw.get_or_insert(error);
            None
        }
        name => name?,
    };
    let birth = keep_first(&mut flaw, reader.day(Field::Birth).map_err(Unread::from));
    let sex = keep_first(&mut flaw, reader.code(Field::Sex));
    let identity = Identity {
        document,
        name,
        birth,
        sex,
    };
    reader.is_about(number, identity.birth_date());
    Ok(ReadIdentity { identity, flaw })
}

/// A name; what holds nothing but spaces is none.
fn name(reader: &Reader<'_, '_>, field: Field) -> Result<Option<Name>, NormaliseError> {
    match reader.text(field)?.map(|name| Name::parse(&name)).transpose() {
        Ok(name) => Ok(name),
        Err(NameError::Empty) => Ok(None),
        Err(NameError::TooLong) => Err(reader.error(ErrorClass::Oversized, field, "a name of at most 100 characters")),
    }
}

/// The value, or nothing while its error is kept. A void code in an identity says nothing about the row.
fn keep_first<T>(flaw: &mut Option<NormaliseError>, read: Result<Option<T>, Unread>) -> Option<T> {
    read.unwrap_or_else(|unread| {
        if let Unread::Error(error) = unread {
            flaw.get_or_insert(error);
        }
        None
    })
}

/// The former number of a correction row, if it is a usable one.
pub(super) fn former_number(reader: &Reader<'_, '_>) -> Result<Option<CitizenId>, NormaliseError> {
    let text = reader.text(Field::FormerNumber)?;
    let document = text.and_then(|number| Document::parse(reader.table().document, &number).ok());
    Ok(document.and_then(|document| document.citizen_id()))
}

/// Reads what a row of a kind about persons says; `city` stands in where a row does not state its place.
pub(super) fn facts(reader: &Reader<'_, '_>, identity: &Identity, city: City) -> Result<Facts, Unread> {
    let r = reader;
    Ok(match r.table().kind {
        Kind::Resident => Facts::Resident(Resident {
            former_name: name(r, Field::FormerName)?,
            ethnicity: r.ethnicity(Field::Ethnicity)?,
            hukou: r.division(Field::Hukou)?,
            hukou_address: r.personal(Field::HukouAddress)?,
            residence: r.division(Field::Residence)?,
            residence_address: r.personal(Field::ResidenceAddress)?,
            death: r.day(Field::Death)?,
            status: r.required_code(Field::Status)?,
            phone: r.personal(Field::Phone)?,
        }),
        Kind::TemporaryResident => Facts::TemporaryResident(TemporaryResident {
            hukou: r.division(Field::Hukou)?,
            residence: r.division(Field::Residence)?,
            residence_address: r.personal(Field::ResidenceAddress)?,
            from: r.day(Field::From)?,
            until: r.day(Field::Until)?,
            cancelled: r.day(Field::Cancelled)?,
            phone: r.personal(Field::Phone)?,
        }),
        Kind::NumberCorrection => correction(r, identity)?,
        Kind::Funeral => Facts::Funeral(Funeral {
            death: r.day(Field::Death)?,
            cremation: r.day(Field::Cremation)?,
        }),
        Kind::Marriage => Facts::Marriage(Marriage {
            status: r.required_code(Field::Status)?,
            registered: r.day(Field::Registered)?,
        }),
        Kind::Hardship => Facts::Hardship(Hardship {
            kind: r.required_code(Field::Assistance)?,
            from: r.day(Field::From)?,
            until: r.day(Field::Until)?,
            place: r.division(Field::Place)?,
        }),
        Kind::Person => Facts::Person(PersonFacts {
            ethnicity: r.ethnicity(Field::Ethnicity)?,
            occupation: r.code(Field::Occupation)?,
            post: r.code(Field::Post)?,
            nationality: nationality(r)?,
            phone: r.personal(Field::Phone)?,
            address: r.personal(Field::Address)?,
            place: r.division(Field::Place)?,
        }),
        Kind::Employment => Facts::Employment(Employment {
            unit: r.string(Field::Unit)?,
            unit_name: r.string(Field::UnitName)?,
            employer: r.required_code(Field::Employer)?,
            form: r.required_code(Field::Form)?,
            from: r.required(Field::From, r.day(Field::From)?)?,
            until: r.day(Field::Until)?,
            place: r.division(Field::Place)?,
        }),
        Kind::Enrolment => Facts::Enrolment(Enrolment {
            scheme: r.required_code(Field::Scheme)?,
            status: r.required_code(Field::Status)?,
            from: r.day(Field::From)?,
            until: r.day(Field::Until)?,
            first_month: r.month(Field::FirstMonth)?,
            paid_through: r.month(Field::PaidThrough)?,
            deferred_until: r.month(Field::DeferredUntil)?,
            transferring: r.flag(Field::Transferring)?,
            unit: r.string(Field::Unit)?,
            place: place(r, city)?,
        }),
        Kind::Benefit => Facts::Benefit(Benefit {
            scheme: r.required_code(Field::Scheme)?,
            kind: r.required_code(Field::Benefit)?,
            status: r.required_code(Field::Status)?,
            from: r.day(Field::From)?,
            until: r.day(Field::Until)?,
            place: place(r, city)?,
        }),
        Kind::Card => Facts::Card(Card {
            status: r.required_code(Field::Status)?,
            issued: r.day(Field::Issued)?,
        }),
        Kind::Circumstance => Facts::Circumstance(Circumstance {
            kind: r.required_code(Field::Circumstance)?,
            from: r.day(Field::From)?,
            until: r.day(Field::Until)?,
            place: r.division(Field::Place)?,
        }),
        Kind::Employer | Kind::Completeness => {
            unreachable!("these kinds hold no facts about persons")
        }
    })
}

/// A correction row. One whose former number was never usable retires nothing: no record can have been grouped by it.
fn correction(r: &Reader<'_, '_>, identity: &Identity) -> Result<Facts, Unread> {
    let heir = identity.number().ok_or_else(|| {
        r.error(
            ErrorClass::NotANumber,
            Field::Number,
            "the valid citizen number that took the place of the former one",
        )
    })?;
    match former_number(r)? {
        Some(former) if former != heir => Ok(Facts::Correction(Correction { former, heir })),
        _ => Err(Unread::Void),
    }
}

fn nationality(r: &Reader<'_, '_>) -> Result<Option<String>, NormaliseError> {
    let Some(code) = r.text(Field::Nationality)? else {
        return Ok(None);
    };
    if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Ok(Some(code.to_ascii_uppercase()));
    }
    Err(r
        .error(ErrorClass::UnknownCode, Field::Nationality, "an ISO 3166 alpha-3 code")
        .with_code(&code))
}

/// The place a row belongs to: the one it states, else the city whose system holds it.
fn place(r: &Reader<'_, '_>, city: City) -> Result<Division, NormaliseError> {
    Ok(r.division(Field::Place)?.unwrap_or_else(|| {
        Division::of_county(u32::from(city.code()) * 100).expect("cities have four digits and do not start with 0")
    }))
}

/// Reads an employer.
pub(super) fn employer(r: &Reader<'_, '_>) -> Result<Employer, Unread> {
    Ok(Employer {
        unit: r.required(Field::Unit, r.string(Field::Unit)?)?,
        code: r.string(Field::UnitCode)?,
        name: r.required(Field::UnitName, r.string(Field::UnitName)?)?,
        kind: r.required_code(Field::Employer)?,
        place: r.division(Field::Place)?,
    })
}

/// Up to when the source says it is complete; `None` while a batch is not finished.
///
/// A batch holds the rows of its data date to the end of that day, but none later than its loading: the earlier of both counts.
pub(super) fn completeness(r: &Reader<'_, '_>) -> Result<Option<Timestamp>, NormaliseError> {
    let Some(time) = r.instant(Field::Time)? else {
        return Ok(None);
    };
    if r.table().column(Field::DataDate).is_none() {
        return Ok(Some(time));
    }
    Ok(r.day(Field::DataDate)?.map(|day| day.plus(1).start_in_shanghai().min(time)))
}
