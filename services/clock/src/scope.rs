//! Which sources absence is claimed over.

use domain::division::City;
use domain::policy::Policy;
use domain::source::{Agency, Source};
use runtime::config::SourceScope;

/// The sources in scope, in order: the listed ones, or those of the policy.
///
/// Where the policy's scope includes the provincial level (省本级), only human resources is meant: the registers of public
/// security and civil affairs are kept by the cities, while a province insures its own employers.
pub fn sources(listed: &SourceScope, policy: &Policy) -> Vec<Source> {
    match listed {
        SourceScope::Listed(sources) => sources.clone(),
        SourceScope::Policy => Agency::ALL
            .into_iter()
            .flat_map(|agency| City::all().map(move |city| Source { agency, city }))
            .filter(|source| policy.in_scope(*source))
            .filter(|source| source.city != City::PROVINCE || source.agency == Agency::HumanResources)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_policy_names_every_city_and_the_province_once() {
        let sources = sources(&SourceScope::Policy, &Policy::embedded());
        assert_eq!(sources.len(), 13 + 13 + 14);
        assert!(sources.is_sorted());
    }

    #[test]
    fn a_list_is_taken_as_it_is() {
        let source = Source {
            agency: Agency::CivilAffairs,
            city: City::PROVINCE,
        };
        assert_eq!(sources(&SourceScope::Listed(vec![source]), &Policy::embedded()), [source]);
    }
}
