//! Lapsed: months, stops, contribution years, deferrals, transfers, successions.

use rstest::rstest;

use crate::facts::{BenefitKind, EmployerKind, EmploymentForm, HukouStatus, Occupation};
use crate::finding::{FormReason, Rule};
use crate::sample::{Sample, day, month};
use crate::scheme::Scheme;

use Scheme::{
    EmployeeMedical as Medical, EmployeePension as Pension, ResidentMedical, ResidentPension, RuralCooperativeMedical, WorkInjury,
};

/// Employed part time, who must only be in work injury insurance: one scheme, one finding.
fn employee() -> Sample {
    let form = EmploymentForm::PartTime;
    Sample::man().employed(EmployerKind::Enterprise, form, "2024-03-01")
}

fn flexible() -> Sample {
    Sample::man().known_as(3201, Some(Occupation::Flexible), None, None)
}

fn resident() -> Sample {
    Sample::man().registered(HukouStatus::Registered, None)
}

#[rstest]
#[case::three_months_unpaid(employee().enrolled(WorkInjury, 3201, "2024-03-01", 202_601), "2026-05-01")]
#[case::suspended(employee().enrolled(WorkInjury, 3201, "2024-03-01", 202_601).suspended("2026-01-31"), "2026-03-03")]
#[case::ended(employee().enrolled(WorkInjury, 3201, "2024-03-01", 202_601).ended("2026-01-31"), "2026-03-03")]
#[case::paying_until_a_day(employee().enrolled(WorkInjury, 3201, "2024-03-01", 202_601)
    .relation(|relation| relation.until = Some(day("2026-01-31"))), "2026-03-03")]
#[case::deferred(employee().enrolled(WorkInjury, 3201, "2024-03-01", 202_601)
    .relation(|relation| relation.deferred_until = month(202_606)), "2026-10-01")]
#[case::deferred_and_suspended(employee().enrolled(WorkInjury, 3201, "2024-03-01", 202_601).suspended("2026-01-31")
    .relation(|relation| relation.deferred_until = month(202_602)), "2026-03-31")]
#[case::newest_of_two_places(employee().enrolled(WorkInjury, 3201, "2024-03-01", 0).ended("2024-12-31")
    .enrolled(WorkInjury, 3205, "2025-01-01", 202_601), "2026-05-01")]
// A new employer has the 30 days of art. 58 to go on.
#[case::new_duty(Sample::man().employed(EmployerKind::Enterprise, EmploymentForm::PartTime, "2026-04-01")
    .enrolled(WorkInjury, 3201, "2020-01-01", 0).suspended("2023-12-31"), "2026-05-02")]
#[case::flexible(flexible().enrolled(Pension, 3201, "2024-03-01", 202_601), "2026-05-01")]
#[case::flexible_medical(flexible().enrolled(Medical, 3201, "2024-03-01", 0).suspended("2026-01-31"), "2026-03-03")]
// 170 and 390 lapse by contribution year, never by months.
#[case::resident_pension(resident().enrolled(ResidentPension, 3201, "2015-01-01", 202_512), "2027-01-01")]
#[case::resident_pension_stopped(resident().enrolled(ResidentPension, 3201, "2015-01-01", 202_503).suspended("2025-03-31"), "2027-01-01")]
#[case::resident_medical(resident().enrolled(ResidentMedical, 3201, "2015-01-01", 202_512), "2026-03-01")]
#[case::a_student_too(Sample::new("2015-05-05", 11).enrolled(ResidentMedical, 3201, "2015-05-05", 202_512), "2026-03-01")]
#[case::succession_380_to_390(resident().enrolled(RuralCooperativeMedical, 3201, "2010-01-01", 201_512)
    .enrolled(ResidentMedical, 3201, "2016-01-01", 202_512), "2026-03-01")]
#[case::only_380(resident().enrolled(RuralCooperativeMedical, 3201, "2010-01-01", 202_512), "2026-03-01")]
// Left the employees' pension, and the resident pension of long ago is what is left to join.
#[case::back_to_170(resident().enrolled(ResidentPension, 3201, "2012-01-01", 201_412)
    .enrolled(Pension, 3205, "2015-01-01", 202_503).ended("2025-03-31"), "2027-01-01")]
fn lapses_on(#[case] sample: Sample, #[case] expected: &str) {
    let before = day(expected).plus(-1).to_string();
    assert_eq!(sample.says(&before), "");
    let open = sample.open(expected);
    assert_eq!(open.iter().map(|finding| finding.rule).collect::<Vec<_>>(), [Rule::Lapsed]);
}

#[rstest]
#[case::paid(employee().enrolled(WorkInjury, 3201, "2024-03-01", 202_604))]
#[case::nothing_said_of_payment(employee().enrolled(WorkInjury, 3201, "2024-03-01", 0))]
#[case::paid_elsewhere(employee().enrolled(WorkInjury, 3201, "2024-03-01", 0).suspended("2025-12-31")
    .enrolled(WorkInjury, 3205, "2026-01-01", 202_605))]
#[case::duty_over(employee().job(|job| job.until = Some(day("2026-01-31")))
    .enrolled(WorkInjury, 3201, "2024-03-01", 0).suspended("2026-01-31"))]
#[case::drawing_unemployment_benefit_law_48(flexible().enrolled(Medical, 3201, "2020-01-01", 0).suspended("2025-12-31")
    .draws(Scheme::Unemployment, BenefitKind::Unemployment, 3201, "2026-01-01"))]
#[case::resident_pension_instead(flexible().enrolled(Pension, 3201, "2020-01-01", 0).suspended("2025-12-31")
    .enrolled(ResidentPension, 3201, "2026-01-01", 202_612))]
#[case::no_longer_eligible(resident().enrolled(Pension, 3201, "2020-01-01", 0).suspended("2025-12-31"))]
#[case::drawing_a_pension(resident().enrolled(Pension, 3201, "1990-01-01", 202_312)
    .draws(Pension, BenefitKind::Pension, 3201, "2024-01-01"))]
#[case::pensioners_pay_no_medical_law_27(resident().draws(Pension, BenefitKind::Pension, 3201, "2024-01-01")
    .enrolled(ResidentMedical, 3201, "2010-01-01", 201_512).enrolled(Medical, 3201, "2016-01-01", 202_312))]
#[case::past_the_age_of_170(Sample::new("1964-01-01", 11).registered(HukouStatus::Registered, None)
    .enrolled(ResidentPension, 3201, "2012-01-01", 202_312))]
#[case::transfer_without_any_date(flexible().enrolled(Pension, 3201, "2020-01-01", 202_501)
    .relation(|relation| { relation.transferring = true; relation.from = None; }))]
fn has_not_lapsed(#[case] sample: Sample) {
    assert_eq!(sample.says("2026-06-01"), "");
}

/// Exempt while the transfer is in progress: 45 working days, over the spring festival of 2026.
#[test]
fn a_transfer_is_no_lapse() {
    let sample = employee()
        .enrolled(WorkInjury, 3201, "2020-01-01", 202_512)
        .suspended("2025-12-31")
        .relation(|relation| relation.transferring = true);
    assert_eq!(sample.says("2026-03-16"), "");
    assert_eq!(sample.says("2026-03-17"), "lapsed work-injury");
}

#[test]
fn says_since_when_and_whose_it_is() {
    let sample = employee().enrolled(WorkInjury, 3205, "2024-03-01", 202_601);
    let finding = &sample.open("2026-06-01")[0];
    assert_eq!(finding.since, day("2026-02-01"));
    assert_eq!(finding.reason, Some(FormReason::Employer));
    assert_eq!(finding.places.iter().map(|city| city.code()).collect::<Vec<_>>(), [3205]);
    assert_eq!(finding.evidence.len(), 2);

    let sample = flexible().enrolled(Pension, 3201, "2024-03-01", 202_601);
    assert_eq!(sample.open("2026-06-01")[0].reason, Some(FormReason::Individual));
}

/// A relation that says neither when it stopped nor when it began: since the duty began.
#[test]
fn a_relation_that_says_nothing() {
    let sample = employee()
        .enrolled(WorkInjury, 3201, "2024-03-01", 0)
        .suspended("2024-03-01")
        .relation(|relation| (relation.from, relation.until) = (None, None));
    assert_eq!(sample.open("2026-06-01")[0].since, day("2024-03-01"));
}
