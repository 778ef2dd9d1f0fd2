//! Every population of RULES.md, Who must be enrolled.

use rstest::rstest;

use super::*;
use crate::sample::{Sample, day};
use crate::scheme::Scheme;

use CircumstanceKind as K;
use Population as P;

fn works(employer: EmployerKind, form: EmploymentForm) -> Sample {
    Sample::man().employed(employer, form, "2025-06-01")
}

fn is(occupation: Occupation) -> Sample {
    Sample::man().known_as(3201, Some(occupation), None, None)
}

fn circumstance(kind: CircumstanceKind, from: &str, until: Option<&str>) -> Sample {
    Sample::man().circumstance(kind, Some(from), until)
}

fn nationality(code: &str) -> Sample {
    Sample::man().known_as(3201, None, None, Some(code)).hired("2025-06-01")
}

#[rstest]
#[case::employee(works(EmployerKind::Enterprise, EmploymentForm::FullTime), &[P::Employee])]
#[case::sole_traders_staff(works(EmployerKind::SoleTrader, EmploymentForm::FullTime), &[P::Employee])]
#[case::civil_servant(works(EmployerKind::Government, EmploymentForm::FullTime), &[P::CivilServant])]
#[case::institution(works(EmployerKind::PublicInstitution, EmploymentForm::FullTime), &[P::InstitutionStaff])]
#[case::dispatched(works(EmployerKind::PublicInstitution, EmploymentForm::Dispatched), &[P::Employee])]
#[case::part_time(works(EmployerKind::Enterprise, EmploymentForm::PartTime), &[P::PartTime])]
#[case::intern(works(EmployerKind::Enterprise, EmploymentForm::Intern), &[P::Intern])]
#[case::student_intern(is(Occupation::Student).employed(EmployerKind::Enterprise, EmploymentForm::Intern, "2025-06-01"),
    &[P::Intern, P::Student])]
#[case::two_employers(works(EmployerKind::Enterprise, EmploymentForm::PartTime).hired("2025-07-01"), &[P::PartTime, P::Employee])]
#[case::not_yet_hired(Sample::man().hired("2026-03-02"), &[P::Resident])]
#[case::left(works(EmployerKind::Enterprise, EmploymentForm::FullTime).job(|job| job.until = Some(day("2026-02-28"))), &[P::Resident])]
#[case::past_retirement(Sample::new("1960-01-01", 11).hired("2025-06-01"), &[P::PastRetirement])]
#[case::flexible(is(Occupation::Flexible), &[P::Flexible])]
#[case::farmer_without_employer(is(Occupation::Employed), &[P::Resident])]
#[case::student(is(Occupation::Student), &[P::Student])]
#[case::child(Sample::new("2012-01-01", 11), &[P::Student])]
#[case::sixteen_today(Sample::new("2010-03-01", 11), &[P::Resident])]
#[case::sixteen_tomorrow(Sample::new("2010-03-02", 11), &[P::Student])]
#[case::unemployed(is(Occupation::Unemployed), &[P::Resident])]
#[case::sixty(Sample::new("1966-03-01", 12), &[P::DrawingPension])]
#[case::retired(is(Occupation::Retired), &[P::DrawingPension])]
#[case::soldier(is(Occupation::Soldier).hired("2025-06-01"), &[P::Soldier])]
#[case::joined_the_army(Sample::man().registered(HukouStatus::Army, None), &[P::Soldier])]
#[case::foreigner(nationality("USA"), &[P::ForeignEmployee])]
#[case::taiwan(nationality("TWN"), &[P::ForeignEmployee])]
#[case::chinese(nationality("CHN"), &[P::Employee])]
#[case::studies(circumstance(K::Student, "2026-03-01", None), &[P::Student])]
#[case::studies_to_the_last_day(circumstance(K::Student, "2022-09-01", Some("2026-03-01")), &[P::Student])]
#[case::studied(circumstance(K::Student, "2022-09-01", Some("2026-02-28")), &[P::Resident])]
#[case::will_study(circumstance(K::Student, "2026-03-02", None), &[P::Resident])]
#[case::studies_and_works(circumstance(K::Student, "2022-09-01", None).hired("2025-06-01"), &[P::Employee, P::Student])]
#[case::studies_twice(circumstance(K::Student, "2022-09-01", None).known_as(3201, Some(Occupation::Student), None, None), &[P::Student])]
#[case::serves(circumstance(K::Soldier, "2025-09-01", None).hired("2025-06-01"), &[P::Soldier])]
#[case::served(circumstance(K::Soldier, "2023-09-01", Some("2025-09-01")).hired("2025-06-01"), &[P::Employee])]
#[case::abroad(circumstance(K::Abroad, "2025-09-01", None).hired("2025-06-01"), &[P::Employee])]
#[case::sentenced(circumstance(K::Sentenced, "2025-09-01", None).hired("2025-06-01"), &[P::Employee])]
#[case::draws_a_pension(
    Sample::man().draws(Scheme::EmployeePension, BenefitKind::Pension, 3201, "2026-03-01").hired("2025-06-01"),
    &[P::DrawingPension, P::PastRetirement])]
#[case::will_draw(Sample::man().draws(Scheme::EmployeePension, BenefitKind::Pension, 3201, "2026-03-02"), &[P::Resident])]
#[case::draws_unemployment(Sample::man().draws(Scheme::Unemployment, BenefitKind::Unemployment, 3201, "2026-01-01"),
    &[P::DrawingUnemployment])]
fn populations_on_a_day(#[case] sample: Sample, #[case] expected: &[Population]) {
    // A sample without records still has its number.
    assert_eq!(sample.registered_if_empty().populations("2026-03-01"), expected);
}

/// Residence permits of Hong Kong, Macao and Taiwan, and of foreign permanent residents, say it by their number.
#[rstest]
#[case(810_000, P::ForeignEmployee)]
#[case(830_000, P::ForeignEmployee)]
#[case(911_398, P::ForeignEmployee)]
#[case(650_100, P::Employee)]
fn the_number_says_who_is_foreign(#[case] division: u32, #[case] expected: Population) {
    let mut sample = Sample::man().hired("2025-06-01");
    let number = CitizenId::from_parts(division, day("1990-01-15"), 11);
    sample.number = number.expect("a number");
    assert_eq!(sample.populations("2026-03-01"), [expected]);
}
