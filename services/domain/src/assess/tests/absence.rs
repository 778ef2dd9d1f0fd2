//! Never enrolled: who must be in what, from when on, and of whom nothing is claimed.

use rstest::rstest;

use crate::facts::{BenefitKind, EmployerKind, EmploymentForm, Facts, FactsKind, HukouStatus, Occupation, Post};
use crate::finding::{EvidenceRole, FormReason, Rule};
use crate::ids::RecordId;
use crate::person::Standing;
use crate::sample::{Sample, day};
use crate::scheme::Scheme;
use crate::source::Agency;

use EmployerKind::{Enterprise, Government, PublicInstitution, SoleTrader};
use EmploymentForm::{Dispatched, FullTime, Intern, PartTime};

/// The schemes never enrolled in, by code, on 2026-03-01.
fn missing(sample: &Sample) -> Vec<u8> {
    sample
        .open("2026-03-01")
        .iter()
        .filter(|finding| finding.rule == Rule::NeverEnrolled)
        .filter_map(|finding| finding.scheme.map(Scheme::code))
        .collect()
}

#[rstest]
#[case::employee_law_10_23_44_33_53(Enterprise, FullTime, &[11, 21, 31, 41, 51])]
#[case::employee_of_a_sole_trader(SoleTrader, FullTime, &[11, 21, 31, 41, 51])]
#[case::civil_servant(Government, FullTime, &[12, 31, 51])]
#[case::institution_staff(PublicInstitution, FullTime, &[12, 21, 31, 41, 51])]
#[case::dispatched_to_an_organ(Government, Dispatched, &[11, 21, 31, 41, 51])]
#[case::part_time_order_13_art_9(Enterprise, PartTime, &[41])]
#[case::intern(Enterprise, Intern, &[])]
fn who_must_be_in_what(#[case] employer: EmployerKind, #[case] form: EmploymentForm, #[case] expected: &[u8]) {
    let sample = Sample::man().employed(employer, form, "2025-06-01");
    assert_eq!(missing(&sample), expected);
}

#[rstest]
#[case::working_past_retirement(Sample::new("1960-01-01", 11).hired("2025-06-01"))]
#[case::woman_past_fifty_whose_post_is_unknown(Sample::new("1974-06-01", 12).hired("2025-06-01"))]
#[case::drawing_a_pension_and_working(
    Sample::man().hired("2025-06-01").draws(Scheme::EmployeePension, BenefitKind::Pension, 3201, "2020-01-01"))]
#[case::retired_by_the_register(Sample::man().hired("2025-06-01").known_as(3201, Some(Occupation::Retired), None, None))]
#[case::soldier_by_occupation(Sample::man().hired("2025-06-01").known_as(3201, Some(Occupation::Soldier), None, None))]
#[case::joined_the_army(Sample::man().hired("2025-06-01").registered(HukouStatus::Army, None))]
#[case::abroad(Sample::man().hired("2025-06-01").registered(HukouStatus::Abroad, None))]
#[case::sentenced(Sample::man().hired("2025-06-01").registered(HukouStatus::Sentenced, None))]
#[case::moved_out(Sample::man().hired("2025-06-01").registered(HukouStatus::MovedOut, None))]
#[case::dead_by_the_register(Sample::man().hired("2025-06-01").registered(HukouStatus::Registered, Some("2025-12-01")))]
#[case::dead_without_a_date(Sample::man().hired("2025-06-01").registered(HukouStatus::Dead, None))]
#[case::dead_by_the_funeral(
    Sample::man().hired("2025-06-01").registered(HukouStatus::Registered, None).buried("2025-12-01"))]
#[case::employment_over(Sample::man().hired("2025-06-01").job(|job| job.until = Some(day("2025-12-31"))))]
#[case::flexible_is_voluntary(Sample::man().known_as(3201, Some(Occupation::Flexible), None, None))]
#[case::student_is_voluntary(Sample::new("2010-01-01", 11).registered(HukouStatus::Registered, None))]
#[case::resident_is_voluntary(Sample::man().registered(HukouStatus::Registered, None))]
fn of_whom_nothing_is_claimed(#[case] sample: Sample) {
    assert_eq!(sample.says("2026-03-01"), "");
}

#[rstest]
#[case::woman_in_a_cadre_post(Sample::new("1974-06-01", 12).hired("2025-06-01")
    .known_as(3201, None, Some(Post::Cadre), None), &[11, 21, 31, 41, 51])]
#[case::foreigner_order_16(Sample::man().hired("2025-06-01").known_as(3201, None, None, Some("USA")), &[11, 21, 31, 41, 51])]
#[case::treaty_waiver(Sample::man().hired("2025-06-01").known_as(3201, None, None, Some("DEU")), &[31, 41, 51])]
#[case::hong_kong(Sample::man().hired("2025-06-01").known_as(3201, None, None, Some("HKG")), &[11, 21, 31, 41, 51])]
#[case::drawing_unemployment_law_48(Sample::man().hired("2025-06-01")
    .draws(Scheme::Unemployment, BenefitKind::Unemployment, 3201, "2025-09-01"), &[11, 21, 41, 51])]
#[case::registered_normally(Sample::man().hired("2025-06-01").registered(HukouStatus::Registered, None), &[11, 21, 31, 41, 51])]
// The medical relation meets maternity, whose fund was merged (law 64); an ended relation is no "never".
#[case::medical_in_another_city(Sample::man().hired("2025-06-01").enrolled(Scheme::EmployeeMedical, 3205, "2025-06-01", 202_602), &[11, 21, 41])]
#[case::contract_staff_of_an_organ_in_110(Sample::man().employed(Government, FullTime, "2025-06-01")
    .enrolled(Scheme::EmployeePension, 3201, "2025-06-01", 202_602), &[31, 51])]
#[case::resident_schemes_do_not_meet_the_duty(Sample::man().hired("2025-06-01")
    .enrolled(Scheme::ResidentPension, 3201, "2020-06-01", 202_412).ended("2025-06-01")
    .enrolled(Scheme::ResidentMedical, 3201, "2020-06-01", 202_612), &[11, 21, 31, 41, 51])]
#[case::supplements_are_no_enrolment(Sample::man().hired("2025-06-01")
    .enrolled(Scheme::Supplement, 3201, "2025-06-01", 202_602), &[11, 21, 31, 41, 51])]
fn what_is_missing(#[case] sample: Sample, #[case] expected: &[u8]) {
    assert_eq!(missing(&sample), expected);
}

/// 社会保险法 art. 58: within 30 days of hire. Hired on 1 May: open from 1 June on.
#[test]
fn thirty_days_of_grace() {
    let sample = Sample::man().employed(Enterprise, PartTime, "2026-05-01");
    assert_eq!(sample.says("2026-05-31"), "");
    assert_eq!(sample.says("2026-06-01"), "never-enrolled work-injury");
    let finding = &sample.open("2026-06-01")[0];
    assert_eq!(finding.since, day("2026-05-01"));
    assert_eq!(finding.reason, Some(FormReason::Employer));
    assert_eq!(finding.places.iter().map(|city| city.code()).collect::<Vec<_>>(), [3201]);
    assert_eq!(finding.evidence.len(), 1);
    assert_eq!(finding.evidence[0].role, EvidenceRole::Duty);

    let enrolled = sample.enrolled(Scheme::WorkInjury, 3213, "2026-05-30", 0);
    assert_eq!(enrolled.says("2026-06-01"), "");
}

#[test]
fn the_next_date_is_the_end_of_the_grace_and_then_retirement() {
    let sample = Sample::new("1966-02-10", 11).hired("2026-05-01");
    let policy = crate::policy::Policy::embedded();
    let next = |today: &str| sample.assess(&policy, day(today)).next_due;
    assert_eq!(next("2026-04-01"), Some(day("2026-05-01")));
    assert_eq!(next("2026-05-01"), Some(day("2026-06-01")));
    // Born in February 1966: 60 years and 4 months.
    assert_eq!(next("2026-06-01"), Some(day("2026-06-10")));
    assert_eq!(sample.says("2026-06-10"), "");
    assert_eq!(next("2026-06-10"), None);
}

#[rstest]
#[case(Standing::Apart, "identity-conflict")]
#[case(Standing::Provisional, "")]
fn only_of_the_holder(#[case] standing: Standing, #[case] expected: &str) {
    let mut sample = Sample::man().hired("2025-06-01");
    sample.standing = standing;
    assert_eq!(sample.says("2026-03-01"), expected);
}

/// An unreadable row creates no absence (ARCHITECTURE.md, Findings and release).
#[rstest]
#[case(FactsKind::Enrolment, false)]
#[case(FactsKind::Employment, false)]
#[case(FactsKind::Person, false)]
#[case(FactsKind::Benefit, false)]
#[case(FactsKind::Resident, false)]
#[case(FactsKind::Correction, false)]
#[case(FactsKind::Funeral, false)]
#[case(FactsKind::Circumstance, false)]
#[case(FactsKind::Card, true)]
#[case(FactsKind::Marriage, true)]
#[case(FactsKind::Hardship, true)]
#[case(FactsKind::TemporaryResident, true)]
fn unreadable_rows_make_absence_unknown(#[case] kind: FactsKind, #[case] claimed: bool) {
    let sample = Sample::man()
        .hired("2025-06-01")
        .with(Agency::HUMAN_RESOURCES, 3201, Facts::Unreadable(kind));
    assert_eq!(!missing(&sample).is_empty(), claimed);
}

/// One number, two people (RULES.md, Dirty data): the holder is told of too, and stays who they are.
#[test]
fn records_apart_are_a_conflict() {
    let mut sample = Sample::man().hired("2026-02-20");
    sample.conflicting = vec![RecordId([9; 16]), RecordId([7; 16])];
    assert_eq!(sample.says("2026-03-01"), "identity-conflict");
    let finding = &sample.open("2026-03-01")[0];
    assert_eq!(finding.scheme, None);
    assert_eq!(finding.evidence[0].record, RecordId([7; 16]));
    assert_eq!(finding.since, day("2026-02-20"));
}
