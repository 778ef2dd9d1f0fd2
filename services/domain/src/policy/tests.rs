use rstest::rstest;

use super::*;

#[test]
fn the_embedded_file_is_a_policy() {
    let policy = Policy::embedded();
    assert_eq!((policy.grace_days, policy.lapsed.months), (30, 3));
    assert_eq!(policy.transfer_working_days, 45);
    assert!(policy.holidays.contains(&"2026-02-20".parse().expect("a day")));
}

/// RULES.md, Who must be enrolled: population, then pension, medical, unemployment, work injury, maternity.
#[rstest]
#[case::employee_law_10_23_44_33_53(Population::Employee, 11, "must must must must must")]
#[case::civil_servant(Population::CivilServant, 12, "must must none none must")]
#[case::institution_staff(Population::InstitutionStaff, 12, "must must must must must")]
#[case::part_time_order_13_art_9(Population::PartTime, 11, "may may none must none")]
#[case::part_time_or_170(Population::PartTime, 17, "may may none must none")]
#[case::unemployed_law_48(Population::DrawingUnemployment, 11, "none satisfied none none none")]
#[case::past_retirement(Population::PastRetirement, 11, "none none none none none")]
#[case::intern(Population::Intern, 11, "none none none none none")]
#[case::flexible_law_10_23(Population::Flexible, 11, "may may none none none")]
#[case::flexible_or_170(Population::Flexible, 17, "may may none none none")]
#[case::resident(Population::Resident, 17, "may none none none none")]
#[case::student(Population::Student, 17, "none none none none none")]
#[case::foreign_order_16(Population::ForeignEmployee, 11, "must must must must must")]
#[case::pensioner(Population::DrawingPension, 11, "satisfied none none none none")]
#[case::soldier(Population::Soldier, 11, "satisfied satisfied satisfied satisfied satisfied")]
fn the_mandatory_matrix(#[case] population: Population, #[case] pension: u8, #[case] expected: &str) {
    let policy = Policy::embedded();
    let duties = [
        Scheme::from_code(pension).expect("a scheme"),
        Scheme::EmployeeMedical,
        Scheme::Unemployment,
        Scheme::WorkInjury,
        Scheme::Maternity,
    ]
    .map(|scheme| policy.duty(population, scheme).as_str());
    assert_eq!(duties.join(" "), expected);
}

/// RULES.md, Who must be enrolled: 390 is open to residents, students, flexible and part-time workers and pensioners.
#[rstest]
#[case(Population::Resident)]
#[case(Population::Student)]
#[case(Population::Flexible)]
#[case(Population::PartTime)]
#[case(Population::DrawingPension)]
fn resident_medical_is_voluntary(#[case] population: Population) {
    let policy = Policy::embedded();
    assert_eq!(policy.duty(population, Scheme::ResidentMedical), Duty::May);
}

#[test]
fn succession_is_one_scheme() {
    let policy = Policy::embedded();
    assert!(policy.satisfies(Scheme::RuralCooperativeMedical, Scheme::ResidentMedical));
    assert!(policy.satisfies(Scheme::EmployeeMedical, Scheme::Maternity));
    assert!(!policy.satisfies(Scheme::Maternity, Scheme::EmployeeMedical));
    assert!(!policy.satisfies(Scheme::ResidentPension, Scheme::EmployeePension));
}

#[test]
fn the_scope_is_every_city_and_the_provincial_level() {
    let policy = Policy::embedded();
    let scope = policy.scope();
    assert!(scope.is_sorted());
    for agency in Agency::all() {
        let of_agency: Vec<City> = scope
            .iter()
            .filter(|source| source.agency == agency)
            .map(|source| source.city)
            .collect();
        assert_eq!(of_agency, agency.cities());
    }
    assert_eq!(scope.len(), 13 + 13 + 14);
}

/// A transfer window of 45 working days over the spring festival of 2026 (five working days off).
#[test]
fn a_transfer_window_skips_holidays() {
    let day = |text: &str| text.parse::<Day>().expect("a day");
    let policy = Policy::embedded();
    assert_eq!(policy.transfer_ends(day("2026-01-05")), day("2026-03-17"));
}

#[test]
fn a_policy_of_before_that_says_nothing_of_removals_has_the_same() {
    let embedded = Policy::embedded();
    let lines = EMBEDDED.lines().filter(|line| !line.starts_with("removed_"));
    let before = Policy::parse(&lines.collect::<Vec<_>>().join("\n")).expect("a policy");
    assert_eq!(before, embedded);
}

#[test]
fn a_policy_of_before_that_states_the_share_of_dead_letters_says_nothing_else_by_it() {
    let before = EMBEDDED.replacen("[release]\n", "[release]\ndead_letter_share = 0.05\n", 1);
    assert_ne!(before, EMBEDDED, "the case is out of date");
    assert_eq!(Policy::parse(&before).expect("a policy"), Policy::embedded());
}

#[rstest]
#[case::unknown_key("grace_days = 30", "grace_days = 30\nunheard_of = 1", "")]
#[case::unknown_scheme("\"resident-medical\"", "\"resident-dental\"", "succession")]
#[case::unknown_population("[matrix.intern]", "[matrix.astronaut]", "matrix")]
#[case::absence_at_once("at_once = []", "at_once = [\"lapsed\"]", "release.at_once")]
#[case::removed("removed_share = 0.1", "removed_share = 10", "release.removed_share")]
#[case::months("months = 3 ", "months = 0 ", "lapsed.months")]
#[case::date("valid_from = \"2025-01-01\"", "valid_from = \"2025-02-30\"", "valid_from")]
#[case::holiday("2026-10-01/2026-10-07", "2026-10-07/2026-10-01", "calendar.holidays")]
#[case::paid_until("resident-pension = 12", "resident-pension = 13", "lapsed.paid_until")]
#[case::not_yearly("resident-pension = 12", "employee-pension = 12", "lapsed.paid_until")]
#[case::no_region("region = [\"residence\", \"hukou\", \"enrolment\"]", "region = []", "region")]
#[case::twice("cities = []", "cities = [\"3201\", \"3201\"]", "scope.cities")]
#[case::chain("[succession]", "[succession]\nresident-medical = \"employee-medical\"", "succession")]
#[case::no_pension(
    "\npension = [\"employee-pension\"",
    "\npension = [\"work-injury\"",
    "double_enrolled.pension"
)]
fn refuses(#[case] from: &str, #[case] to: &str, #[case] expected: &str) {
    assert!(EMBEDDED.contains(from), "the case is out of date");
    let key = match Policy::parse(&EMBEDDED.replacen(from, to, 1)) {
        Err(PolicyError::Toml(_)) => String::new(),
        Err(PolicyError::Value { key, .. }) => key,
        other => format!("{other:?}"),
    };
    assert_eq!(key, expected);
}
