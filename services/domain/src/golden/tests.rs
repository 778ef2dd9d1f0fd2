use rstest::rstest;

use super::*;
use crate::name::Name;
use crate::person::Standing;
use crate::sample::{Sample, county, day};
use crate::source::Agency;

fn named(sample: Sample, name: &str) -> Sample {
    sample.but(|record| record.identity.name = Name::parse(name).ok())
}

fn id(at: u8) -> RecordId {
    RecordId([at; 16])
}

#[test]
fn public_security_owns_name_sex_and_birth() {
    let sample = named(Sample::man().known_as(3201, None, None, None), "张三")
        .but(|record| record.identity.birth = Some(day("1991-02-02")));
    let sample = named(sample.registered(HukouStatus::Registered, None), "张珊").but(|record| {
        record.identity.sex = Some(Sex::Female);
        record.identity.birth = Some(day("1990-01-16"));
    });
    let golden = sample.golden(day("2026-01-01"));
    assert_eq!(golden.name.as_ref().map(|name| name.value.reveal()), Some("张珊"));
    assert_eq!(
        golden.sex,
        Some(Sourced {
            value: Sex::Female,
            record: id(2)
        })
    );
    assert_eq!(
        golden.birth,
        Some(Sourced {
            value: day("1990-01-16"),
            record: id(2)
        })
    );
}

#[test]
fn the_number_states_what_public_security_does_not() {
    let sample = Sample::woman()
        .known_as(3201, None, None, None)
        .but(|record| record.identity.birth = Some(day("1991-02-02")));
    let golden = sample.golden(day("2026-01-01"));
    assert_eq!(
        golden.sex,
        Some(Sourced {
            value: Sex::Female,
            record: id(1)
        })
    );
    assert_eq!(
        golden.birth,
        Some(Sourced {
            value: day("1990-01-15"),
            record: id(1)
        })
    );

    // Without a number what is stated counts, but for placeholders.
    let mut sample = sample;
    sample.standing = Standing::Provisional;
    let stated = sample.golden(day("2026-01-01"));
    assert_eq!(stated.birth.map(|birth| birth.value), Some(day("1991-02-02")));
    assert_eq!(stated.sex, None);
    let placeholder = sample.but(|record| record.identity.birth = Some(day("1900-01-01")));
    assert_eq!(placeholder.golden(day("2026-01-01")).birth, None);
}

/// Earliest confirmed; reversible (RULES.md, Dirty data).
#[test]
fn death_is_the_earliest_confirmed_and_reversible() {
    let sample = Sample::man()
        .registered(HukouStatus::Dead, Some("2026-02-02"))
        .buried("2026-02-01")
        .registered(HukouStatus::Dead, None);
    let death = |sample: &Sample| sample.golden(day("2026-03-01")).death;
    let of = |date: &str, record| {
        let value = Death { date: Some(day(date)) };
        Some(Sourced {
            value,
            record: id(record),
        })
    };
    assert_eq!(death(&sample), of("2026-02-01", 2));
    let mut withdrawn = sample.clone();
    withdrawn.records.remove(1);
    assert_eq!(death(&withdrawn), of("2026-02-02", 1));
    withdrawn.records.remove(0);
    assert_eq!(death(&withdrawn).map(|death| death.value), Some(Death { date: None }));
    withdrawn.records.remove(0);
    assert_eq!(death(&withdrawn), None);
}

/// What a database writes for want of a date lies ahead, or somebody mistyped the year.
#[test]
fn a_death_that_has_not_come_is_none() {
    let sample = Sample::man().registered(HukouStatus::Registered, Some("2099-12-31"));
    let golden = sample.golden(day("2026-03-01"));
    assert_eq!((golden.death, golden.changes_on), (None, Some(day("2099-12-31"))));
    let buried = sample.buried("2099-12-31").golden(day("2026-03-01"));
    assert_eq!(buried.death.map(|death| death.value), Some(Death { date: None }));
    let dead = Sample::man()
        .registered(HukouStatus::Dead, Some("2099-12-31"))
        .golden(day("2026-03-01"));
    assert_eq!(dead.death.map(|death| death.value), Some(Death { date: None }));
}

#[rstest]
#[case::before_it_begins("2026-01-31", 320_115, Some("2026-02-01"))]
#[case::while_it_lasts("2026-02-01", 320_506, Some("2026-07-01"))]
#[case::on_its_last_day("2026-06-30", 320_506, Some("2026-07-01"))]
#[case::when_it_is_over("2026-07-01", 320_115, None)]
fn a_valid_temporary_residence_wins(#[case] today: &str, #[case] residence: u32, #[case] changes_on: Option<&str>) {
    let sample = Sample::man()
        .registered(HukouStatus::Registered, None)
        .stays("2026-02-01", Some("2026-06-30"), None);
    let golden = sample.golden(day(today));
    assert_eq!(golden.residence.as_ref().map(|place| place.value), Some(county(residence)));
    assert_eq!(golden.hukou.as_ref().map(|place| place.value), Some(county(320_102)));
    assert_eq!(golden.changes_on, changes_on.map(day));
}

#[test]
fn a_cancelled_residence_does_not() {
    let sample = Sample::man().stays("2026-02-01", None, Some("2026-03-01"));
    let residence = |today| sample.golden(day(today)).residence.map(|place| place.value);
    assert_eq!(residence("2026-02-28"), Some(county(320_506)));
    // The household-register place is what is left.
    assert_eq!(residence("2026-03-01"), Some(county(321_322)));
}

#[test]
fn the_registration_that_lasts_is_believed() {
    let sample = Sample::man()
        .registered(HukouStatus::MovedOut, None)
        .registered(HukouStatus::Registered, None);
    let status = |sample: &Sample| sample.golden(day("2026-01-01")).hukou_status;
    assert_eq!(status(&sample).map(|status| status.record), Some(id(2)));
    let soldier = sample.registered(HukouStatus::Army, None);
    assert_eq!(status(&soldier).map(|status| status.record), Some(id(3)));
}

/// A person row has no date: the system that last had to do with the person is believed.
#[test]
fn the_active_system_knows_the_person() {
    let sample = Sample::man()
        .known_as(3201, Some(Occupation::Student), None, None)
        .known_as(3205, Some(Occupation::Employed), None, None)
        .enrolled(crate::scheme::Scheme::EmployeePension, 3205, "2026-01-01", 0);
    let occupation = |sample: &Sample| sample.golden(day("2026-01-01")).occupation;
    assert_eq!(occupation(&sample).map(|stated| stated.record), Some(id(2)));
    let mut idle = sample;
    idle.records.pop();
    assert_eq!(occupation(&idle).map(|stated| stated.record), Some(id(1)));
}

#[test]
fn the_newest_that_lasts() {
    let marriage = |status, date: &str| {
        Facts::Marriage(crate::facts::Marriage {
            status,
            registered: Some(day(date)),
        })
    };
    let sample = Sample::man()
        .with(Agency::CIVIL_AFFAIRS, 3201, marriage(MaritalStatus::Divorced, "2024-01-01"))
        .with(Agency::CIVIL_AFFAIRS, 3201, marriage(MaritalStatus::Married, "2014-01-01"))
        .card(CardStatus::Active, "2015-01-01")
        .card(CardStatus::Lost, "2020-01-01")
        .hired("2020-01-01")
        .hired("2025-01-01")
        .job(|job| job.until = Some(day("2025-12-31")));
    let golden = sample.golden(day("2025-12-31"));
    assert_eq!(
        golden.marital.as_ref().map(|found| found.value),
        Some(MaritalStatus::Divorced)
    );
    assert_eq!(golden.card.map(|card| card.value), Some(CardStatus::Active));
    assert_eq!(golden.workplace.map(|place| place.record), Some(id(6)));
    assert_eq!(golden.changes_on, Some(day("2026-01-01")));
    let later = sample.golden(day("2026-01-01"));
    assert_eq!(later.workplace.map(|place| place.record), Some(id(5)));
}

#[test]
fn nothing_personal_prints() {
    let sample = Sample::man().registered(HukouStatus::Registered, None);
    let printed = format!("{:?}", sample.golden(day("2026-01-01")));
    assert!(!printed.contains("张伟") && !printed.contains("19900115"));
}
