//! Where a person counts.

use crate::division::{City, Division, Succession};
use crate::facts::Enrolment;
use crate::golden::{Golden, Sourced};
use crate::policy::{Policy, RegionBasis};

/// Where a person counts (属地): the first basis of the policy that names a city; `None` when none does.
///
/// A code that is no longer used counts where it lies when the policy begins, so that the answer depends on no date.
pub fn region<'a>(golden: &Golden, enrolments: impl IntoIterator<Item = &'a Enrolment>, policy: &Policy) -> Option<City> {
    let city = |division: Division| {
        division.city().or_else(|| match division.current(policy.valid_from) {
            Succession::Current(current) => current.city(),
            _ => None,
        })
    };
    let sourced = |place: &Option<Sourced<Division>>| place.as_ref().and_then(|place| city(place.value));
    let enrolled = enrolments.into_iter().filter_map(|enrolment| city(enrolment.place)).min();
    policy.region.iter().find_map(|basis| match basis {
        RegionBasis::Residence => sourced(&golden.residence),
        RegionBasis::Hukou => sourced(&golden.hukou),
        RegionBasis::Enrolment => enrolled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Facts, HukouStatus};
    use crate::sample::{Sample, county, day};

    #[test]
    fn the_region_follows_the_policy() {
        let policy = Policy::embedded();
        let enrolment = |sample: &Sample| {
            let found = sample.records.iter().filter_map(|record| match &record.facts {
                Facts::Enrolment(enrolment) => Some(enrolment.clone()),
                _ => None,
            });
            found.collect::<Vec<_>>()
        };
        let region = |sample: &Sample| {
            let enrolments = enrolment(sample);
            region(&sample.golden(day("2026-03-01")), &enrolments, &policy).map(City::code)
        };
        let enrolled = Sample::man()
            .enrolled(crate::scheme::Scheme::EmployeePension, 3209, "2026-01-01", 0)
            .enrolled(crate::scheme::Scheme::WorkInjury, 3204, "2026-01-01", 0);
        assert_eq!(region(&Sample::man()), None);
        assert_eq!(region(&enrolled), Some(3204));
        let registered = enrolled.registered(HukouStatus::Registered, None);
        assert_eq!(region(&registered), Some(3201));
        assert_eq!(region(&registered.stays("2026-01-01", None, None)), Some(3205));
        // A code of before 1991 counts where it lies today; another province is no region.
        let old = |code| {
            Sample::man().registered(HukouStatus::Registered, None).but(|record| {
                if let Facts::Resident(row) = &mut record.facts {
                    (row.residence, row.hukou) = (None, Some(county(code)));
                }
            })
        };
        assert_eq!(region(&old(329_012)), Some(3205));
        assert_eq!(region(&old(110_105)), None);
    }
}
