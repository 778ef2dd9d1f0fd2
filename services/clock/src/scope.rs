//! Which sources absence is claimed over.

use domain::policy::Policy;
use domain::source::Source;
use runtime::config::SourceScope;

/// The sources in scope, in order: the listed ones, or those of the policy.
pub fn sources(listed: &SourceScope, policy: &Policy) -> Vec<Source> {
    match listed {
        SourceScope::Listed(sources) => sources.clone(),
        SourceScope::Policy => policy.scope(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::division::City;
    use domain::source::Agency;

    #[test]
    fn the_embedded_policy_names_every_city_and_the_province_once() {
        let sources = sources(&SourceScope::Policy, &Policy::embedded());
        assert_eq!(sources.len(), 13 + 13 + 14);
        assert!(sources.is_sorted());
    }

    #[test]
    fn a_list_is_taken_as_it_is() {
        let source = Source {
            agency: Agency::CIVIL_AFFAIRS,
            city: City::PROVINCE,
        };
        assert_eq!(sources(&SourceScope::Listed(vec![source]), &Policy::embedded()), [source]);
    }
}
