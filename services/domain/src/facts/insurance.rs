//! What human resources and medical insurance say of insurance: enrolments, benefits, cards.

use super::coded;
use crate::date::{Day, Month};
use crate::division::Division;
use crate::scheme::Scheme;
use serde::{Deserialize, Serialize};

coded! {
    /// Contribution status (缴费状态, AAC031).
    ContributionStatus {
        /// Paying (参保缴费).
        Paying = 1 "paying",
        /// Suspended (暂停缴费).
        Suspended = 2 "suspended",
        /// Ended (终止).
        Ended = 3 "ended",
    }
}

/// An enrolment in one scheme at one place (参保).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Enrolment {
    /// The scheme.
    pub scheme: Scheme,
    /// Contribution status.
    pub status: ContributionStatus,
    /// First day of the relation (参保日期).
    pub from: Option<Day>,
    /// Last day, if it has ended or is suspended.
    pub until: Option<Day>,
    /// Month of the first contribution (首次参保年月).
    pub first_month: Option<Month>,
    /// Paid through this month (缴费至).
    pub paid_through: Option<Month>,
    /// Contributions deferred with approval until this month (缓缴): no lapse.
    pub deferred_until: Option<Month>,
    /// A transfer of the relation to another place is under way (转移接续).
    pub transferring: bool,
    /// Internal unit number of the paying unit.
    pub unit: Option<String>,
    /// Place of enrolment (参保地).
    pub place: Division,
}

coded! {
    /// Kind of benefit (待遇类别).
    BenefitKind {
        /// Pension (养老待遇).
        Pension = 1 "pension",
        /// Unemployment benefit (失业保险金).
        Unemployment = 2 "unemployment",
        /// Work injury benefit (工伤待遇).
        Injury = 3 "injury",
        /// Maternity benefit (生育待遇).
        Maternity = 4 "maternity",
    }
}

coded! {
    /// State of a benefit (待遇状态).
    BenefitStatus {
        /// Being drawn (正常领取).
        Drawing = 1 "drawing",
        /// Suspended (暂停).
        Suspended = 2 "suspended",
        /// Ended (终止).
        Ended = 3 "ended",
    }
}

/// A benefit (待遇).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Benefit {
    /// The scheme that pays.
    pub scheme: Scheme,
    /// Its kind.
    pub kind: BenefitKind,
    /// Its state.
    pub status: BenefitStatus,
    /// First day.
    pub from: Option<Day>,
    /// Last day.
    pub until: Option<Day>,
    /// Where it is paid.
    pub place: Division,
}

coded! {
    /// State of a card (卡状态).
    CardStatus {
        /// Active (正常).
        Active = 1 "active",
        /// Lost (挂失).
        Lost = 2 "lost",
        /// Cancelled (注销).
        Cancelled = 3 "cancelled",
    }
}

/// A social security card (社会保障卡).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Card {
    /// Its state.
    pub status: CardStatus,
    /// Issued on.
    pub issued: Option<Day>,
}
