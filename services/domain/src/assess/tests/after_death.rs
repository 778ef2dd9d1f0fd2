//! After death: relations that stand as paying, benefits that are drawn.

use rstest::rstest;

use crate::facts::{BenefitKind, HukouStatus};
use crate::finding::EvidenceRole;
use crate::sample::{Sample, day};
use crate::scheme::Scheme;

use Scheme::{EmployeePension as Pension, ResidentMedical};

fn insured() -> Sample {
    Sample::man().enrolled(Pension, 3201, "2015-01-01", 202_605)
}

#[rstest]
#[case::register(insured().registered(HukouStatus::Dead, Some("2026-05-10")), "2026-05-10")]
#[case::funeral(insured().registered(HukouStatus::Registered, None).buried("2026-05-10"), "2026-05-10")]
#[case::earliest_of_both(insured().registered(HukouStatus::Dead, Some("2026-05-12")).buried("2026-05-10"), "2026-05-10")]
fn opens_when_the_month_is_over(#[case] sample: Sample, #[case] since: &str) {
    assert_eq!(sample.says("2026-05-31"), "");
    assert_eq!(sample.says("2026-06-01"), "after-death employee-pension");
    assert_eq!(sample.open("2026-06-01")[0].since, day(since));
}

#[rstest]
#[case::ended(insured().ended("2026-05-31").buried("2026-05-10"))]
#[case::suspended(insured().suspended("2026-05-31").buried("2026-05-10"))]
#[case::alive(insured().registered(HukouStatus::Registered, None))]
#[case::without_a_date(insured().registered(HukouStatus::Dead, None))]
fn opens_nothing(#[case] sample: Sample) {
    assert_eq!(sample.says("2026-07-01"), "");
}

#[test]
fn one_finding_a_scheme_with_its_evidence() {
    let sample = insured()
        .enrolled(ResidentMedical, 3205, "2015-01-01", 202_612)
        .draws(Pension, BenefitKind::Pension, 3209, "2020-01-01")
        .buried("2026-05-10");
    assert_eq!(
        sample.says("2026-06-01"),
        "after-death employee-pension\nafter-death resident-medical"
    );
    let pension = &sample.open("2026-06-01")[0];
    let roles: Vec<EvidenceRole> = pension.evidence.iter().map(|fact| fact.role).collect();
    assert_eq!(roles, [EvidenceRole::Relation, EvidenceRole::Relation, EvidenceRole::Death]);
    assert_eq!(
        pension.places.iter().map(|city| city.code()).collect::<Vec<_>>(),
        [3201, 3209]
    );
}
