//! The policy file: its shape, and the checks that make a policy of it.

mod release;

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Deserialize;

use super::{AfterDeathRules, DoubleRules, Duty, LapsedRules, Policy, PolicyError, RegionBasis, RetirementPath, RetirementRules};
use crate::date::Day;
use crate::facts::{BenefitKind, HukouStatus};
use crate::population::Population;
use crate::scheme::Scheme;

/// The longest holiday a period in the calendar may be: a typing error should not make a year of them.
const LONGEST_HOLIDAY: i32 = 31;
/// The highest version: one more is always left, whatever a slip of the keyboard states.
const LARGEST_VERSION: u32 = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    valid_from: String,
    region: Vec<String>,
    ages: Ages,
    retirement: Retirement,
    never_enrolled: NeverEnrolled,
    lapsed: Lapsed,
    exemptions: Exemptions,
    transfer: Transfer,
    succession: BTreeMap<String, String>,
    satisfied_by: BTreeMap<String, Vec<String>>,
    double_enrolled: DoubleEnrolled,
    after_death: AfterDeath,
    /// Left out in texts of before: in the order of the codes.
    #[serde(default)]
    survivorship: Survivorship,
    scope: Scope,
    release: release::Release,
    matrix: BTreeMap<String, BTreeMap<String, String>>,
    calendar: Calendar,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ages {
    adult: i32,
    resident_pension: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retirement {
    reform: String,
    men: Path,
    women_cadre: Path,
    women_worker: Path,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Path {
    age: i32,
    cap: i32,
    step: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NeverEnrolled {
    grace_days: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lapsed {
    months: i32,
    stopped_days: i32,
    paid_until: BTreeMap<String, u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exemptions {
    hukou: Vec<String>,
    treaties: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    working_days: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DoubleEnrolled {
    pension: Vec<String>,
    medical: Vec<String>,
    temporary_account: TemporaryAccount,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TemporaryAccount {
    men: i32,
    women: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AfterDeath {
    grace_months: i32,
    benefits: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Survivorship {
    agencies: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    agencies: Vec<String>,
    cities: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Calendar {
    holidays: Vec<String>,
}

fn wrong(key: &str, problem: impl Into<String>) -> PolicyError {
    PolicyError::Value {
        key: key.to_owned(),
        problem: problem.into(),
    }
}

fn check(fits: bool, key: &str, problem: &str) -> Result<(), PolicyError> {
    if fits { Ok(()) } else { Err(wrong(key, problem)) }
}

/// A value by its name; `read` knows the names.
fn named<T>(key: &str, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, PolicyError> {
    read(name).ok_or_else(|| wrong(key, format!("unknown value `{name}`")))
}

fn list<T: PartialEq>(key: &str, names: &[String], read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, PolicyError> {
    let mut values = Vec::with_capacity(names.len());
    for name in names {
        let value = named(key, name, &read)?;
        check(!values.contains(&value), key, "a value is there twice")?;
        values.push(value);
    }
    Ok(values)
}

/// Reads what has a text form.
fn text<T: FromStr>(name: &str) -> Option<T> {
    name.parse().ok()
}

fn path(key: &str, path: &Path) -> Result<RetirementPath, PolicyError> {
    let Path { age, cap, step } = *path;
    check((30..=90).contains(&age), key, "age must be 30 to 90")?;
    check((age..=90).contains(&cap), key, "cap must be age to 90")?;
    check((1..=12).contains(&step), key, "step must be 1 to 12")?;
    Ok(RetirementPath { age, cap, step })
}

fn holidays(periods: &[String]) -> Result<Vec<Day>, PolicyError> {
    let key = "calendar.holidays";
    let mut days = Vec::new();
    for period in periods {
        let (first, last) = period.split_once('/').unwrap_or((period, period));
        let (first, last): (Day, Day) = (named(key, first, text)?, named(key, last, text)?);
        let length = last.0 - first.0;
        check(
            (0..LONGEST_HOLIDAY).contains(&length),
            key,
            "a period ends before it begins or is longer than a month",
        )?;
        days.extend((first.0..=last.0).map(Day));
    }
    days.sort_unstable();
    days.dedup();
    Ok(days)
}

fn lapsed(file: &Lapsed) -> Result<LapsedRules, PolicyError> {
    let key = "lapsed.paid_until";
    check((1..=120).contains(&file.months), "lapsed.months", "must be 1 to 120")?;
    check(
        (0..=3660).contains(&file.stopped_days),
        "lapsed.stopped_days",
        "must be 0 to 3660",
    )?;
    let mut paid_until = BTreeMap::new();
    for (name, month) in &file.paid_until {
        let scheme = named(key, name, text::<Scheme>)?;
        check(scheme.is_paid_by_year(), key, "a scheme is not paid by the year")?;
        check((1..=12).contains(month), key, "a month must be 1 to 12")?;
        paid_until.insert(scheme, *month);
    }
    for scheme in Scheme::ALL {
        let missing = scheme.is_paid_by_year() && !paid_until.contains_key(scheme);
        check(!missing, key, "a scheme paid by the year is missing")?;
    }
    Ok(LapsedRules {
        months: file.months,
        stopped_days: file.stopped_days,
        paid_until,
    })
}

fn double(file: &DoubleEnrolled) -> Result<DoubleRules, PolicyError> {
    let pension = list("double_enrolled.pension", &file.pension, text::<Scheme>)?;
    let medical = list("double_enrolled.medical", &file.medical, text::<Scheme>)?;
    check(
        pension.iter().all(|scheme| scheme.is_pension()),
        "double_enrolled.pension",
        "a scheme is no pension",
    )?;
    check(
        medical.iter().all(|scheme| scheme.is_medical()),
        "double_enrolled.medical",
        "a scheme is no medical insurance",
    )?;
    Ok(DoubleRules {
        pension,
        medical,
        temporary_men: file.temporary_account.men,
        temporary_women: file.temporary_account.women,
    })
}

type Matrix = BTreeMap<Population, Vec<(Scheme, Duty)>>;

fn matrix(file: &BTreeMap<String, BTreeMap<String, String>>) -> Result<Matrix, PolicyError> {
    let mut matrix = Matrix::new();
    for (name, row) in file {
        let population = named("matrix", name, Population::from_name)?;
        let key = format!("matrix.{name}");
        let mut duties = Vec::with_capacity(row.len());
        for (scheme, duty) in row {
            let scheme = named(&key, scheme, text::<Scheme>)?;
            check(
                scheme != Scheme::Supplement,
                &key,
                "a supplement is no scheme to be enrolled in",
            )?;
            duties.push((scheme, named(&key, duty, Duty::from_name)?));
        }
        duties.sort_unstable();
        matrix.insert(population, duties);
    }
    for population in Population::ALL {
        check(
            matrix.contains_key(population),
            "matrix",
            &format!("`{}` is missing", population.as_str()),
        )?;
    }
    Ok(matrix)
}

fn succession(file: &BTreeMap<String, String>) -> Result<BTreeMap<Scheme, Scheme>, PolicyError> {
    let key = "succession";
    let mut successors = BTreeMap::new();
    for (from, to) in file {
        let to = named(key, to, text::<Scheme>)?;
        check(
            !file.contains_key(to.as_str()),
            key,
            "a scheme that continues another is itself continued",
        )?;
        successors.insert(named(key, from, text::<Scheme>)?, to);
    }
    Ok(successors)
}

fn scheme_lists(key: &str, file: &BTreeMap<String, Vec<String>>) -> Result<BTreeMap<Scheme, Vec<Scheme>>, PolicyError> {
    file.iter()
        .map(|(scheme, others)| {
            let scheme = named(key, scheme, text::<Scheme>)?;
            Ok((scheme, list(key, others, text::<Scheme>)?))
        })
        .collect()
}

/// Reads and checks a policy file.
pub(super) fn parse(source: &str) -> Result<Policy, PolicyError> {
    let file: File = toml::from_str(source)?;
    check(
        (1..=LARGEST_VERSION).contains(&file.version),
        "version",
        "must be 1 to 1000000",
    )?;
    let region = list("region", &file.region, RegionBasis::from_name)?;
    check(!region.is_empty(), "region", "nothing decides where a person counts")?;
    check(
        (0..=3660).contains(&file.never_enrolled.grace_days),
        "never_enrolled.grace_days",
        "must be 0 to 3660",
    )?;
    check(
        file.transfer.working_days <= 1000,
        "transfer.working_days",
        "must be 0 to 1000",
    )?;
    check(
        (0..=120).contains(&file.after_death.grace_months),
        "after_death.grace_months",
        "must be 0 to 120",
    )?;
    let agencies = list("scope.agencies", &file.scope.agencies, text)?;
    check(!agencies.is_empty(), "scope.agencies", "must name an agency")?;
    let treaties = file
        .exemptions
        .treaties
        .iter()
        .map(|(nationality, schemes)| {
            let key = "exemptions.treaties";
            let code = nationality.len() == 3 && nationality.bytes().all(|byte| byte.is_ascii_uppercase());
            check(code, key, "a nationality must be ISO 3166 alpha-3")?;
            Ok((nationality.clone(), list(key, schemes, text::<Scheme>)?))
        })
        .collect::<Result<_, PolicyError>>()?;
    Ok(Policy {
        version: file.version,
        valid_from: named("valid_from", &file.valid_from, text)?,
        region,
        adult_age: file.ages.adult,
        resident_pension_age: file.ages.resident_pension,
        retirement: RetirementRules {
            reform: named("retirement.reform", &file.retirement.reform, text::<Day>)?.month(),
            men: path("retirement.men", &file.retirement.men)?,
            women_cadre: path("retirement.women_cadre", &file.retirement.women_cadre)?,
            women_worker: path("retirement.women_worker", &file.retirement.women_worker)?,
        },
        grace_days: file.never_enrolled.grace_days,
        lapsed: lapsed(&file.lapsed)?,
        exempt: list("exemptions.hukou", &file.exemptions.hukou, HukouStatus::from_name)?,
        treaties,
        transfer_working_days: file.transfer.working_days,
        succession: succession(&file.succession)?,
        satisfied_by: scheme_lists("satisfied_by", &file.satisfied_by)?,
        double: double(&file.double_enrolled)?,
        after_death: AfterDeathRules {
            grace_months: file.after_death.grace_months,
            benefits: list("after_death.benefits", &file.after_death.benefits, BenefitKind::from_name)?,
        },
        survivorship: list("survivorship.agencies", &file.survivorship.agencies, text)?,
        scope_agencies: agencies,
        scope_cities: list("scope.cities", &file.scope.cities, text)?,
        release: release::rules(&file.release)?,
        matrix: matrix(&file.matrix)?,
        holidays: holidays(&file.calendar.holidays)?,
    })
}
