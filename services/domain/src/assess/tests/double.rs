//! Double-enrolled, case by case (RULES.md, Duplicates).

use rstest::rstest;

use crate::facts::{BenefitKind, HukouStatus};
use crate::ids::RecordId;
use crate::sample::{Sample, day};
use crate::scheme::Scheme;

use Scheme::{
    EmployeeMedical as Medical, EmployeePension as Pension, InstitutionPension, ResidentMedical, ResidentPension,
    RuralCooperativeMedical, Supplement, WorkInjury,
};

fn moving(sample: Sample) -> Sample {
    sample.relation(|relation| relation.transferring = true)
}

fn two_pensions() -> Sample {
    Sample::man()
        .enrolled(Pension, 3201, "2015-01-01", 202_602)
        .enrolled(Pension, 3205, "2026-01-05", 202_602)
}

#[rstest]
#[case::a_two_places(two_pensions(), "double-enrolled employee-pension two-places")]
#[case::suspended_and_paying_not_consolidated(
    Sample::man().enrolled(Pension, 3201, "2015-01-01", 202_512).suspended("2025-12-31")
        .enrolled(Pension, 3205, "2026-01-05", 202_602),
    "double-enrolled employee-pension not-consolidated")]
#[case::both_suspended_survive_too(
    Sample::man().enrolled(Pension, 3201, "2015-01-01", 202_012).suspended("2020-12-31")
        .enrolled(Pension, 3205, "2021-01-05", 202_402).suspended("2024-02-28"),
    "double-enrolled employee-pension not-consolidated")]
#[case::same_months_order_17_art_7(
    Sample::man().enrolled(ResidentPension, 3201, "2015-01-01", 202_612).enrolled(Pension, 3205, "2026-01-05", 202_602),
    "double-enrolled employee-pension same-months")]
#[case::same_months_with_120(
    Sample::man().enrolled(ResidentPension, 3201, "2015-01-01", 202_612).enrolled(InstitutionPension, 3201, "2026-01-05", 202_602),
    "double-enrolled institution-pension same-months")]
#[case::same_year_without_a_common_month(
    Sample::man().enrolled(ResidentPension, 3201, "2015-01-01", 202_601).ended("2026-01-31")
        .enrolled(Pension, 3201, "2026-02-01", 202_602),
    "double-enrolled employee-pension same-year")]
#[case::b_110_and_120_in_a_year(
    Sample::man().enrolled(Pension, 3201, "2015-01-01", 202_601).ended("2026-01-31")
        .enrolled(InstitutionPension, 3201, "2026-02-01", 202_602),
    "double-enrolled employee-pension same-year")]
#[case::drawing_both_order_17_art_8(
    Sample::man().draws(ResidentPension, BenefitKind::Pension, 3201, "2020-01-01")
        .draws(Pension, BenefitKind::Pension, 3205, "2025-01-01"),
    "double-enrolled employee-pension two-benefits")]
#[case::drawing_in_two_places(
    Sample::man().draws(Pension, BenefitKind::Pension, 3201, "2020-01-01").draws(Pension, BenefitKind::Pension, 3205, "2025-01-01"),
    "double-enrolled employee-pension two-benefits")]
#[case::medical_in_two_places(
    Sample::man().enrolled(Medical, 3201, "2015-01-01", 202_602).enrolled(Medical, 3205, "2026-01-05", 202_602),
    "double-enrolled employee-medical medical")]
#[case::medical_across_schemes(
    Sample::man().enrolled(ResidentMedical, 3201, "2015-01-01", 202_612).enrolled(Medical, 3205, "2026-01-05", 202_602),
    "double-enrolled employee-medical medical")]
// The most serious way names the finding, the others are evidence too.
#[case::several_ways(two_pensions().enrolled(ResidentPension, 3209, "2015-01-01", 202_612), "double-enrolled employee-pension same-months")]
fn is_double(#[case] sample: Sample, #[case] expected: &str) {
    assert_eq!(sample.says("2026-03-01"), expected);
}

#[rstest]
#[case::work_injury_at_two_employers_order_13_art_9(
    Sample::man().enrolled(WorkInjury, 3201, "2025-01-01", 202_602).enrolled(WorkInjury, 3205, "2025-01-01", 202_602))]
#[case::supplement_beside_310(
    Sample::man().enrolled(Medical, 3201, "2025-01-01", 202_602).enrolled(Supplement, 3205, "2025-01-01", 202_602))]
#[case::ended_in_one_place(
    Sample::man().enrolled(Pension, 3201, "2015-01-01", 202_512).ended("2025-12-31").enrolled(Pension, 3205, "2026-01-05", 202_602))]
#[case::transfer_under_way(moving(two_pensions()))]
#[case::transfer_of_the_old_relation(moving(
    Sample::man().enrolled(Pension, 3205, "2026-01-05", 202_602).enrolled(Pension, 3201, "2015-01-01", 202_512).suspended("2025-12-31")))]
#[case::two_rows_of_one_place(
    Sample::man().enrolled(Pension, 3201, "2015-01-01", 202_602).enrolled(Pension, 3201, "2026-01-05", 202_602))]
#[case::succession_150_to_170_of_one_place(
    Sample::man().enrolled(ResidentPension, 3201, "2010-01-01", 201_412).enrolled(ResidentPension, 3201, "2015-01-01", 202_612))]
#[case::succession_380_to_390(
    Sample::man().enrolled(RuralCooperativeMedical, 3201, "2010-01-01", 202_612).enrolled(ResidentMedical, 3201, "2016-01-01", 202_612))]
#[case::schemes_of_different_years(
    Sample::man().enrolled(ResidentPension, 3201, "2015-01-01", 202_512).enrolled(Pension, 3205, "2026-01-05", 202_602))]
#[case::medical_one_suspended(
    Sample::man().enrolled(Medical, 3201, "2015-01-01", 202_512).suspended("2025-12-31").enrolled(Medical, 3205, "2026-01-05", 202_602))]
#[case::medical_of_different_periods(
    Sample::man().enrolled(ResidentMedical, 3201, "2015-01-01", 202_512).enrolled(Medical, 3205, "2026-01-05", 202_602))]
#[case::stand_alone_pensions_are_policy(
    Sample::man().enrolled(Scheme::ExpropriatedFarmersPension, 3201, "2015-01-01", 202_602).enrolled(Pension, 3201, "2026-01-05", 202_602))]
#[case::temporary_account_of_a_man_over_fifty(
    Sample::new("1970-01-01", 11).registered(HukouStatus::Registered, None)
        .enrolled(Pension, 3201, "1995-01-01", 202_112).suspended("2021-12-31").enrolled(Pension, 3205, "2022-01-01", 202_602))]
#[case::temporary_account_of_a_woman_over_forty(
    Sample::new("1980-01-01", 12).registered(HukouStatus::Registered, None)
        .enrolled(Pension, 3201, "2005-01-01", 202_112).suspended("2021-12-31").enrolled(Pension, 3205, "2022-01-01", 202_602))]
#[case::injury_benefit_beside_a_pension(
    Sample::man().draws(WorkInjury, BenefitKind::Injury, 3201, "2020-01-01").draws(Pension, BenefitKind::Pension, 3205, "2025-01-01"))]
#[case::the_dead(two_pensions().registered(HukouStatus::Registered, Some("2026-03-01")))]
fn is_not_double(#[case] sample: Sample) {
    assert_eq!(sample.says("2026-03-01"), "");
}

/// 3 × 15 working days from the newest relation's start, Monday 5 January 2026, over the spring festival.
#[test]
fn the_transfer_window_ends() {
    let sample = moving(two_pensions());
    assert_eq!(sample.says("2026-03-17"), "");
    let policy = crate::policy::Policy::embedded();
    assert_eq!(sample.assess(&policy, day("2026-03-01")).next_due, Some(day("2026-03-18")));
    assert_eq!(sample.says("2026-03-18"), "double-enrolled employee-pension two-places");
}

#[test]
fn says_where_and_since_when() {
    let sample = two_pensions().enrolled(ResidentPension, 3209, "2015-01-01", 202_612);
    let finding = &sample.open("2026-03-01")[0];
    assert_eq!(finding.since, day("2015-01-01"));
    assert_eq!(
        finding.places.iter().map(|city| city.code()).collect::<Vec<_>>(),
        [3201, 3205, 3209]
    );
    let records: Vec<RecordId> = finding.evidence.iter().map(|fact| fact.record).collect();
    assert_eq!(records, [1, 2, 3].map(|id| RecordId([id; 16])));

    let two = &two_pensions().open("2026-03-01")[0];
    assert_eq!(two.since, day("2026-01-05"));
    let medical =
        Sample::man()
            .enrolled(Medical, 3201, "2015-01-01", 202_602)
            .enrolled(ResidentMedical, 3205, "2025-11-20", 202_612);
    assert_eq!(medical.open("2026-03-01")[0].since, day("2025-11-20"));
}

/// "Same year" is about the current calendar year, and is over with it.
#[test]
fn the_same_year_ends_with_it() {
    let sample = Sample::man()
        .enrolled(ResidentPension, 3201, "2015-01-01", 202_606)
        .ended("2026-06-30")
        .enrolled(Pension, 3201, "2026-07-01", 0);
    assert_eq!(sample.says("2026-06-30"), "");
    assert_eq!(sample.says("2026-12-31"), "double-enrolled employee-pension same-year");
    assert_eq!(sample.says("2027-01-01"), "");
}
