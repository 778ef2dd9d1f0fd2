//! Findings (疑点): what the base says should not be so, and why.

use crate::date::Day;
use crate::division::City;
use crate::facts::coded;
use crate::ids::{AnchorId, FindingId, IdKey, PersonId, RecordId};
use crate::scheme::Scheme;
use serde::{Deserialize, Serialize};

coded! {
    /// A rule that opens findings.
    Rule {
        /// Must be enrolled, never was (漏保): 社会保险法 art. 58, 30 days after the duty began.
        NeverEnrolled = 1 "never-enrolled",
        /// Was enrolled, no longer pays, and the duty continues (断保).
        Lapsed = 2 "lapsed",
        /// Enrolled twice where once is allowed (重复参保): indicator 11 of attachment 3 of the notice.
        DoubleEnrolled = 3 "double-enrolled",
        /// Enrolled or drawing a benefit after death (死亡后参保).
        AfterDeath = 4 "after-death",
        /// One number, several names (重号): needs a human.
        IdentityConflict = 5 "identity-conflict",
    }
}

coded! {
    /// The topic family an alert goes to: `alerts.<kind>.<city>`.
    AlertKind {
        /// Unenrolled (未参保).
        Unenrolled = 1 "unenrolled",
        /// Double-enrolled (重复参保).
        DoubleEnrolled = 2 "double-enrolled",
        /// Identity (身份).
        Identity = 3 "identity",
        /// After death (死亡后参保).
        AfterDeath = 4 "after-death",
    }
}

impl Rule {
    /// The rule's alert topic family.
    pub fn alert_kind(self) -> AlertKind {
        match self {
            Self::NeverEnrolled | Self::Lapsed => AlertKind::Unenrolled,
            Self::DoubleEnrolled => AlertKind::DoubleEnrolled,
            Self::AfterDeath => AlertKind::AfterDeath,
            Self::IdentityConflict => AlertKind::Identity,
        }
    }

    /// Whether its findings go with the person to another number: a conflict is about the number, and stays with it.
    pub fn travels(self) -> bool {
        self != Self::IdentityConflict
    }

    /// Claims that something is absent are only knowable from complete streams of every source in scope
    /// (ARCHITECTURE.md, Completeness).
    pub fn claims_absence(self) -> bool {
        matches!(self, Self::NeverEnrolled | Self::Lapsed)
    }

    /// Claims that public security has not settled are only knowable where its streams are complete: a correction, or whom it names as the
    /// holder, ends a conflict between other agencies' rows.
    pub fn waits_for_register(self) -> bool {
        self == Self::IdentityConflict
    }
}

coded! {
    /// Reason on the registration form, part three (未参保原因).
    FormReason {
        /// The individual did not enrol or lapsed (个人未参保或中断).
        Individual = 1 "individual",
        /// The employer did not enrol them (单位未予参保).
        Employer = 2 "employer",
        /// Army, abroad, sentenced (参军、出国、判刑等).
        Away = 3 "away",
    }
}

coded! {
    /// How a double enrolment is to be read (RULES.md, Duplicates).
    Overlap {
        /// Employee and resident pension in the same months: refund the resident part (人社部发〔2014〕17号 art. 7).
        SameMonths = 1 "same-months",
        /// Several pension schemes in one year without a common month: meets indicator 11 (b), no refund.
        SameYear = 2 "same-year",
        /// One scheme surviving in two or more places (同时在两地以上存续).
        TwoPlaces = 3 "two-places",
        /// Suspended in one place, paying in another: not consolidated (应转未转), low priority.
        NotConsolidated = 4 "not-consolidated",
        /// Two or more medical schemes in paying status in the same period.
        Medical = 5 "medical",
        /// Drawing a pension from two schemes or places (重复领取).
        TwoBenefits = 6 "two-benefits",
    }
}

coded! {
    /// What a fact did for a finding.
    EvidenceRole {
        /// Establishes the duty to be enrolled.
        Duty = 1 "duty",
        /// A relation that lapsed, doubles another, or survives its holder.
        Relation = 2 "relation",
        /// States the death.
        Death = 3 "death",
        /// States another name for the same number.
        Conflict = 4 "conflict",
    }
}

/// A fact a finding rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// What it does.
    pub role: EvidenceRole,
    /// The record that states it.
    pub record: RecordId,
}

/// What a finding is about: rule and scheme (0 for none), see [`Finding::about`].
pub type About = [u8; 2];

/// An open finding about one person (疑点).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// The rule that opened it.
    pub rule: Rule,
    /// The scheme it is about; for pensions held in several schemes, the lowest code; `None` for identity.
    pub scheme: Option<Scheme>,
    /// Since when it is so, by the facts (not since when we know).
    pub since: Day,
    /// How a double enrolment is to be read.
    pub overlap: Option<Overlap>,
    /// Reason on the form, for unenrolled people.
    pub reason: Option<FormReason>,
    /// The cities where the relations concerned are.
    pub places: Vec<City>,
    /// The facts, sorted.
    pub evidence: Vec<Evidence>,
}

impl Finding {
    /// The stable code of what it is about: two bytes, rule and scheme (0 for none).
    pub fn about(&self) -> About {
        [self.rule.code(), self.scheme.map_or(0, Scheme::code)]
    }

    /// Its id for a person of a neighbourhood.
    ///
    /// A person who stands apart keeps their id when their number changes, but not their neighbourhood, and each neighbourhood counts the
    /// revisions of what it tells: one id for both would be told twice with the same revision.
    pub fn id(&self, person: PersonId, anchor: AnchorId, key: &IdKey) -> FindingId {
        key.finding(person, anchor, &self.about())
    }
}

/// What the rules say of a person on a date.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assessment {
    /// Open findings, sorted by what they are about.
    pub open: Vec<Finding>,
    /// The next date on which the answer may differ without any new fact; `None` when it never will.
    pub next_due: Option<Day>,
}
