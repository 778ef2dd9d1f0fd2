//! Code tables: a source's codes and the names they have in the domain.

use domain::document::DocumentKind;
use domain::facts::{
    BenefitKind, BenefitStatus, CardStatus, CircumstanceKind, ContributionStatus, EmployerKind, EmploymentForm, HardshipKind,
    HukouStatus, MaritalStatus, Occupation, Post,
};
use domain::scheme::Scheme;
use domain::sex::Sex;
use std::collections::HashMap;

/// A type whose values dialect files write by name.
pub(super) trait Coded: Copy + 'static {
    /// Every value; compiled code tables hold positions in it.
    const VALUES: &'static [Self];

    /// The name of a value.
    fn name(self) -> &'static str;
}

macro_rules! coded {
    ($($name:ident),*) => {
        $(impl Coded for $name {
            const VALUES: &'static [Self] = Self::ALL;

            fn name(self) -> &'static str {
                self.as_str()
            }
        })*
    };
}

coded!(
    HukouStatus,
    MaritalStatus,
    HardshipKind,
    Occupation,
    Post,
    EmployerKind,
    EmploymentForm,
    ContributionStatus,
    BenefitKind,
    BenefitStatus,
    CardStatus,
    CircumstanceKind,
    Scheme,
    DocumentKind
);

impl Coded for Sex {
    const VALUES: &'static [Self] = &Self::ALL;

    fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Male => "male",
            Self::Female => "female",
            Self::Unstated => "unstated",
        }
    }
}

impl Coded for bool {
    const VALUES: &'static [Self] = &[false, true];

    fn name(self) -> &'static str {
        if self { "true" } else { "false" }
    }
}

/// The names a code field may use.
#[derive(Clone, Copy)]
pub(super) struct Target {
    names: fn() -> Vec<&'static str>,
}

impl Target {
    /// The names of a type.
    pub(super) const fn of<T: Coded>() -> Self {
        Self {
            names: || T::VALUES.iter().map(|value| value.name()).collect(),
        }
    }

    /// Every name, in the order of the type's values.
    pub(super) fn names(self) -> Vec<&'static str> {
        (self.names)()
    }
}

/// What a source code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The value at this position of the target's values.
    Value(u8),
    /// Nothing: as if the column were null.
    Unstated,
    /// That the row does not hold: as if it were deleted.
    Void,
}

/// A code table compiled for one target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Codes {
    /// Its name in the file, for messages.
    pub(super) name: String,
    /// Meaning of exact codes.
    pub(super) exact: HashMap<String, Meaning>,
    /// Meaning of codes by how they begin (`399*`), the longest first.
    pub(super) prefixes: Vec<(String, Meaning)>,
    /// Meaning of codes that are not listed; without it they are dead letters.
    pub(super) default: Option<Meaning>,
    /// Position of the value that null stands for.
    pub(super) null: Option<u8>,
}

impl Codes {
    /// The meaning of a code; `None` when it is unknown.
    pub(super) fn meaning(&self, code: &str) -> Option<Meaning> {
        let exact = self.exact.get(code).copied();
        let prefix = || {
            self.prefixes
                .iter()
                .find(|(prefix, _)| code.starts_with(prefix))
                .map(|(_, meaning)| *meaning)
        };
        exact.or_else(prefix).or(self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_before_the_longest_prefix_before_the_default() {
        let codes = Codes {
            exact: HashMap::from([("39".into(), Meaning::Value(1))]),
            prefixes: vec![("399".into(), Meaning::Value(2)), ("3".into(), Meaning::Value(3))],
            default: Some(Meaning::Unstated),
            ..Codes::default()
        };
        let expected = [
            ("39", Meaning::Value(1)),
            ("39901", Meaning::Value(2)),
            ("310", Meaning::Value(3)),
            ("x", Meaning::Unstated),
        ];
        for (code, meaning) in expected {
            assert_eq!(codes.meaning(code), Some(meaning), "{code}");
        }
        assert_eq!(Codes::default().meaning("1"), None);
    }

    #[test]
    fn names_are_unique() {
        for target in [
            Target::of::<Sex>(),
            Target::of::<bool>(),
            Target::of::<DocumentKind>(),
            Target::of::<Scheme>(),
        ] {
            let names: std::collections::BTreeSet<_> = target.names().into_iter().collect();
            assert_eq!(names.len(), target.names().len());
        }
    }
}
