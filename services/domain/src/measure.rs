//! What a person counts as: the measures behind counts by county (attachment 3, columns 10 to 15).

use crate::base::Person;
use crate::division::Division;
use crate::facts::CardStatus;
use crate::finding::Finding;
use crate::person::Standing;
use crate::scheme::Scheme;

/// A measure of `store.counter`.
///
/// Measures 1 to 6 are bits of the person row's `flags`; a finding's measure is 1000 plus rule and scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Measure {
    /// Persons of the base (holders of a number), alive.
    Persons = 1,
    /// Enrolled in at least one scheme (参保人数, column 11).
    Enrolled = 2,
    /// Enrolled in at least one pension scheme (column 12).
    Pension = 3,
    /// Enrolled in at least one medical scheme (column 13).
    Medical = 4,
    /// Hold an active social security card (column 15).
    Card = 5,
    /// Persons without a usable number, or apart from its holder.
    Unresolved = 6,
}

/// Every measure held as a flag.
pub const MEASURES: [Measure; 6] = [
    Measure::Persons,
    Measure::Enrolled,
    Measure::Pension,
    Measure::Medical,
    Measure::Card,
    Measure::Unresolved,
];

/// The flags of a person.
pub fn flags(person: &Person) -> i16 {
    let holder = person.standing == Standing::Holder;
    let alive = person.golden.death.is_none();
    let any = |counts: fn(Scheme) -> bool| person.surviving().any(|enrolment| counts(enrolment.scheme));
    let set = [
        (Measure::Persons, holder && alive),
        (Measure::Enrolled, holder && any(|scheme| scheme != Scheme::Supplement)),
        (Measure::Pension, holder && any(Scheme::is_pension)),
        (Measure::Medical, holder && any(Scheme::is_medical)),
        (
            Measure::Card,
            holder
                && person
                    .golden
                    .card
                    .as_ref()
                    .is_some_and(|card| card.value == CardStatus::Active),
        ),
        (Measure::Unresolved, !holder),
    ];
    set.into_iter()
        .filter(|(_, set)| *set)
        .fold(0, |flags, (measure, _)| flags | 1 << measure as i16)
}

/// The measures a row counts in.
pub fn measures(flags: i16, findings: &[Finding]) -> impl Iterator<Item = i16> {
    let flagged = MEASURES
        .into_iter()
        .map(|measure| measure as i16)
        .filter(move |measure| flags & (1 << measure) != 0);
    flagged.chain(findings.iter().map(finding_measure))
}

/// The measure that counts open findings of one rule and scheme.
pub fn finding_measure(finding: &Finding) -> i16 {
    let [rule, scheme] = finding.about();
    1000 + i16::from(rule) * 256 + i16::from(scheme)
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

/// The county of a stored code, where it names one.
pub fn place(county: i32) -> Option<Division> {
    u32::try_from(county).ok().and_then(|county| Division::of_county(county).ok())
}
