//! Codes that events carry beside those of the domain.

use domain::finding::{Overlap, Rule};

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in the schemas.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Reads a name; `None` when there is no such value.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// What would clear a finding (消除条件).
    Remedy {
        /// Enrolling in the scheme, or the end of the duty.
        EnrolOrEndDuty = "enrol-or-end-duty",
        /// Paying again, or the end of the duty.
        PayOrEndDuty = "pay-or-end-duty",
        /// Ending or transferring one of the relations.
        EndOneRelation = "end-one-relation",
        /// Ending one of the benefits.
        EndOneBenefit = "end-one-benefit",
        /// Ending the relation, or the withdrawal of the death.
        EndRelationOrWithdrawDeath = "end-relation-or-withdraw-death",
        /// Correcting one of the names or numbers.
        CorrectOneName = "correct-one-name",
    }
}

impl Remedy {
    /// What clears findings of a rule.
    pub fn of(rule: Rule, overlap: Option<Overlap>) -> Self {
        match (rule, overlap) {
            (Rule::NeverEnrolled, _) => Self::EnrolOrEndDuty,
            (Rule::Lapsed, _) => Self::PayOrEndDuty,
            (Rule::DoubleEnrolled, Some(Overlap::TwoBenefits)) => Self::EndOneBenefit,
            (Rule::DoubleEnrolled, _) => Self::EndOneRelation,
            (Rule::AfterDeath, _) => Self::EndRelationOrWithdrawDeath,
            (Rule::IdentityConflict, _) => Self::CorrectOneName,
        }
    }
}

codes! {
    /// What an absence was compared with (比对范围).
    Scope {
        /// Not seen in the province (省内未见): by no source that could hold the relation.
        NotFoundInProvince = "not-found-in-province",
    }
}

impl Scope {
    /// The scope that findings of a rule state; `None` for presence.
    pub fn of(rule: Rule) -> Option<Self> {
        rule.claims_absence().then_some(Self::NotFoundInProvince)
    }
}

codes! {
    /// Whether subscribers are told that a finding stands.
    FindingStatus {
        /// It stands.
        Open = "open",
        /// It does not.
        Cleared = "cleared",
    }
}
