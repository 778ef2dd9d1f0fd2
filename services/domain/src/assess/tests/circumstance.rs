//! Circumstances that exempt, whoever states them: in force, before, after, without an end, and what becomes of the duty behind them.

use rstest::rstest;

use crate::facts::{CircumstanceKind, Facts, FactsKind};
use crate::finding::Rule;
use crate::policy::Policy;
use crate::sample::{Sample, day};
use crate::scheme::Scheme;
use crate::source::Agency;

use CircumstanceKind::{Abroad, Sentenced, Soldier, Student};

const NEVER: &str = "never-enrolled employee-pension\nnever-enrolled unemployment\nnever-enrolled employee-medical\n\
                     never-enrolled work-injury\nnever-enrolled maternity";

fn employee() -> Sample {
    Sample::man().hired("2025-06-01")
}

#[rstest]
#[case::in_force(Some("2026-01-10"), Some("2026-12-31"), false)]
#[case::from_today(Some("2026-03-01"), None, false)]
#[case::to_the_last_day(Some("2026-01-10"), Some("2026-03-01"), false)]
#[case::without_an_end(Some("2026-01-10"), None, false)]
#[case::without_a_beginning(None, Some("2026-12-31"), false)]
#[case::undated(None, None, false)]
#[case::from_tomorrow(Some("2026-03-02"), None, true)]
#[case::long_over(Some("2024-01-10"), Some("2025-12-31"), true)]
#[case::ends_before_it_begins(Some("2026-03-01"), Some("2026-02-27"), true)]
fn it_exempts_while_it_is_in_force(#[case] from: Option<&str>, #[case] until: Option<&str>, #[case] claimed: bool) {
    for kind in [Sentenced, Abroad, Soldier] {
        let says = employee().circumstance(kind, from, until).says("2026-03-01");
        assert_eq!(says, if claimed { NEVER } else { "" }, "{kind:?}");
    }
    // Who studies beside an employment owes what the employment asks for.
    assert_eq!(employee().circumstance(Student, from, until).says("2026-03-01"), NEVER);
}

/// Which of them exempt is policy, by the words of the household registration; a soldier is insured by the army all the same.
#[rstest]
#[case(Sentenced, true)]
#[case(Abroad, true)]
#[case(Soldier, false)]
fn policy_says_which_exempt(#[case] kind: CircumstanceKind, #[case] claimed: bool) {
    let mut policy = Policy::embedded();
    policy.exempt.clear();
    let sample = employee().circumstance(kind, Some("2026-01-10"), None);
    assert_eq!(!sample.assess(&policy, day("2026-03-01")).open.is_empty(), claimed);
}

/// Nor need a list name the army for the duty to begin anew behind a service.
#[test]
fn a_service_that_ended_is_behind_the_soldier() {
    let mut policy = Policy::embedded();
    policy.exempt.clear();
    let sample = Sample::man()
        .hired("2023-06-01")
        .circumstance(Soldier, Some("2023-09-01"), Some("2025-08-31"));
    assert!(sample.assess(&policy, day("2025-09-01")).open.is_empty());
    let claimed = sample.assess(&policy, day("2025-10-02")).open;
    assert_eq!(claimed[0].since, day("2025-09-01"));
}

#[test]
fn a_row_that_is_withdrawn_or_cannot_be_read() {
    let sentenced = employee().circumstance(Sentenced, Some("2026-01-10"), None);
    assert_eq!(sentenced.says("2026-03-01"), "");
    let unreadable = sentenced
        .clone()
        .but(|record| record.facts = Facts::Unreadable(FactsKind::Circumstance));
    assert_eq!(unreadable.says("2026-03-01"), "");
    let mut withdrawn = sentenced;
    withdrawn.records.pop();
    assert_eq!(withdrawn.says("2026-03-01"), NEVER);
    assert_eq!(withdrawn.open("2026-03-01")[0].since, day("2025-06-01"));
}

/// Told, exempt by a sentence, and owed again: the employer has thirty days from the end of the sentence.
#[test]
fn a_sentence_clears_the_claim_until_the_grace_behind_it_is_over() {
    let sample = employee().circumstance(Sentenced, Some("2026-01-10"), Some("2026-06-30"));
    let policy = Policy::embedded();
    let next = |today: &str| sample.assess(&policy, day(today)).next_due;
    assert_eq!(sample.says("2026-01-09"), NEVER);
    assert_eq!(next("2026-01-09"), Some(day("2026-01-10")));
    for quiet in ["2026-01-10", "2026-06-30", "2026-07-01", "2026-07-31"] {
        assert_eq!(sample.says(quiet), "", "{quiet}");
    }
    assert_eq!(next("2026-01-10"), Some(day("2026-07-01")));
    assert_eq!(next("2026-07-01"), Some(day("2026-08-01")));
    assert_eq!(sample.says("2026-08-01"), NEVER);
    assert_eq!(sample.open("2026-08-01")[0].since, day("2026-07-01"));

    let hired_later = Sample::man()
        .hired("2026-07-20")
        .circumstance(Sentenced, Some("2026-01-10"), Some("2026-06-30"));
    assert_eq!(hired_later.says("2026-08-19"), "");
    assert_eq!(hired_later.open("2026-08-20")[0].since, day("2026-07-20"));
}

/// A relation that was suspended when the sentence began has not lapsed on the day it ends.
#[test]
fn a_relation_lapses_only_when_the_duty_has_run_again() {
    let sample = employee()
        .enrolled(Scheme::EmployeePension, 3201, "2025-06-01", 202_601)
        .suspended("2026-01-10")
        .circumstance(Sentenced, Some("2026-01-10"), Some("2026-06-30"));
    let lapsed = |today: &str| sample.open(today).into_iter().find(|finding| finding.rule == Rule::Lapsed);
    assert_eq!(lapsed("2026-07-31"), None);
    assert_eq!(lapsed("2026-08-01").map(|finding| finding.since), Some(day("2026-07-01")));
}

/// Studies exempt nobody: they make a student, whose schemes are voluntary.
#[test]
fn a_student_owes_nothing() {
    let student = Sample::man().circumstance(Student, Some("2022-09-01"), Some("2026-07-01"));
    assert_eq!(student.says("2026-03-01"), "");
    assert_eq!(
        student
            .with(Agency::CIVIL_AFFAIRS, 3201, Facts::Unreadable(FactsKind::Circumstance))
            .says("2026-03-01"),
        ""
    );
}

/// What claims presence needs no duty: two relations are two, wherever the person is.
#[test]
fn it_hides_no_double_enrolment() {
    let twice = Sample::man()
        .enrolled(Scheme::EmployeePension, 3201, "2025-06-01", 202_602)
        .enrolled(Scheme::EmployeePension, 3205, "2025-06-01", 202_602);
    let abroad = twice.clone().circumstance(Abroad, Some("2026-01-10"), None);
    assert_ne!(twice.says("2026-03-01"), "");
    assert_eq!(abroad.says("2026-03-01"), twice.says("2026-03-01"));
}
