//! What a source row says about its person, kind by kind.

mod circumstance;
mod insurance;

pub use circumstance::{Circumstance, CircumstanceKind};
pub use insurance::{Benefit, BenefitKind, BenefitStatus, Card, CardStatus, ContributionStatus, Enrolment};

use crate::citizen_id::CitizenId;
use crate::date::Day;
use crate::division::Division;
use crate::name::Name;
use crate::personal::Personal;
use serde::{Deserialize, Serialize};

/// The facts (事实) of one row. Stored by the order of the variants: a new one comes last.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Facts {
    /// Public security: resident register (常住人口).
    Resident(Resident),
    /// Public security: temporary resident (流动人口).
    TemporaryResident(TemporaryResident),
    /// Public security: a number was corrected (公民身份号码更正).
    Correction(Correction),
    /// Civil affairs: funeral (殡葬).
    Funeral(Funeral),
    /// Civil affairs: marriage registration (婚姻登记).
    Marriage(Marriage),
    /// Civil affairs: social assistance (社会救助).
    Hardship(Hardship),
    /// Human resources: the person (个人基本信息).
    Person(PersonFacts),
    /// Human resources: an employment (就业登记).
    Employment(Employment),
    /// Human resources: an enrolment in one scheme (参保).
    Enrolment(Enrolment),
    /// Human resources: a benefit (待遇).
    Benefit(Benefit),
    /// Human resources: a social security card (社会保障卡).
    Card(Card),
    /// The row could not be read, but its person could: what it would have said is unknown (ARCHITECTURE.md, Versions).
    Unreadable(FactsKind),
    /// Any agency: a personal circumstance (个人状况).
    Circumstance(Circumstance),
}

impl Facts {
    /// The kind of these facts; an unreadable row has the kind it should have had.
    pub fn kind(&self) -> FactsKind {
        match self {
            Self::Resident(_) => FactsKind::Resident,
            Self::TemporaryResident(_) => FactsKind::TemporaryResident,
            Self::Correction(_) => FactsKind::Correction,
            Self::Funeral(_) => FactsKind::Funeral,
            Self::Marriage(_) => FactsKind::Marriage,
            Self::Hardship(_) => FactsKind::Hardship,
            Self::Person(_) => FactsKind::Person,
            Self::Employment(_) => FactsKind::Employment,
            Self::Enrolment(_) => FactsKind::Enrolment,
            Self::Benefit(_) => FactsKind::Benefit,
            Self::Card(_) => FactsKind::Card,
            Self::Unreadable(kind) => *kind,
            Self::Circumstance(_) => FactsKind::Circumstance,
        }
    }
}

macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stored code; never reused.
            pub fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)* }
            }

            /// The name used in dialects, policy, schemas and columns.
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
pub(crate) use coded;

coded! {
    /// The kind of facts (事实类别) a table holds.
    FactsKind {
        /// Resident register.
        Resident = 1 "resident",
        /// Temporary resident.
        TemporaryResident = 2 "temporary-resident",
        /// Number correction.
        Correction = 3 "correction",
        /// Funeral.
        Funeral = 4 "funeral",
        /// Marriage.
        Marriage = 5 "marriage",
        /// Social assistance.
        Hardship = 6 "hardship",
        /// Person as human resources know them.
        Person = 7 "person",
        /// Employment.
        Employment = 8 "employment",
        /// Enrolment.
        Enrolment = 9 "enrolment",
        /// Benefit.
        Benefit = 10 "benefit",
        /// Card.
        Card = 11 "card",
        /// Personal circumstance.
        Circumstance = 12 "circumstance",
    }
}

coded! {
    /// State of a household registration (户口状态).
    HukouStatus {
        /// Registered.
        Registered = 1 "registered",
        /// Struck off because of death (死亡注销).
        Dead = 2 "dead",
        /// Moved out of the province (迁出).
        MovedOut = 3 "moved-out",
        /// Struck off on joining the army (参军).
        Army = 4 "army",
        /// Abroad (出国).
        Abroad = 5 "abroad",
        /// Serving a sentence (服刑).
        Sentenced = 6 "sentenced",
    }
}

/// A row of the resident register (常住人口).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resident {
    /// Former name (曾用名).
    pub former_name: Option<Name>,
    /// Ethnicity (民族), GB/T 3304, 1 to 56; 97 to 99 seen.
    pub ethnicity: Option<u8>,
    /// Household-register place (户籍地).
    pub hukou: Option<Division>,
    /// Household-register address.
    pub hukou_address: Option<Personal>,
    /// Usual residence (常住地).
    pub residence: Option<Division>,
    /// Residence address.
    pub residence_address: Option<Personal>,
    /// Death date (死亡日期).
    pub death: Option<Day>,
    /// State of the registration.
    pub status: HukouStatus,
    /// Phone.
    pub phone: Option<Personal>,
}

/// A row of the register of temporary residents (流动人口).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TemporaryResident {
    /// Household-register place.
    pub hukou: Option<Division>,
    /// Where they stay.
    pub residence: Option<Division>,
    /// Address there.
    pub residence_address: Option<Personal>,
    /// Registered on.
    pub from: Option<Day>,
    /// Valid until.
    pub until: Option<Day>,
    /// Cancelled on.
    pub cancelled: Option<Day>,
    /// Phone.
    pub phone: Option<Personal>,
}

/// A number correction (公民身份号码更正): the record's person once carried `former` and then carried `heir`.
///
/// It stands with the number that its record's identity carries. A register row whose images differ makes two, with ids of their own
/// ([`crate::correction`]), which outlive the row's next versions: one where the number was given up, under the name the row had, and
/// one where the other was taken, under the name it has. A row of a correction table stands where the number was given up. One number
/// twice is a renaming (更名) from the name it stands with. What they come to is judged by the present, see [`crate::neighbourhood`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Correction {
    /// The number that was wrong.
    pub former: CitizenId,
    /// The number that took its place.
    pub heir: CitizenId,
}

/// A funeral (殡葬).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Funeral {
    /// Death date.
    pub death: Option<Day>,
    /// Cremation date (火化日期).
    pub cremation: Option<Day>,
}

coded! {
    /// Marital status (婚姻状况), GB/T 2261.2.
    MaritalStatus {
        /// Single (未婚).
        Single = 10 "single",
        /// Married (已婚; 21 first, 22 again, 23 resumed).
        Married = 20 "married",
        /// Widowed (丧偶).
        Widowed = 30 "widowed",
        /// Divorced (离婚).
        Divorced = 40 "divorced",
        /// Unstated (未说明).
        Unstated = 90 "unstated",
    }
}

/// A marriage registration of one person (婚姻登记).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Marriage {
    /// The status it established.
    pub status: MaritalStatus,
    /// Registered on.
    pub registered: Option<Day>,
}

coded! {
    /// Kind of social assistance (救助类别).
    HardshipKind {
        /// Minimum living allowance (低保).
        MinimumLiving = 1 "minimum-living",
        /// Destitute (特困).
        Destitute = 2 "destitute",
        /// Orphan (孤儿).
        Orphan = 3 "orphan",
        /// Another kind.
        Other = 9 "other",
    }
}

/// Social assistance (社会救助).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hardship {
    /// Its kind.
    pub kind: HardshipKind,
    /// First day.
    pub from: Option<Day>,
    /// Last day.
    pub until: Option<Day>,
    /// Where it is paid.
    pub place: Option<Division>,
}

coded! {
    /// Employment on the registration form (就业状态), attachment 2 part one.
    Occupation {
        /// Employed (有工作单位).
        Employed = 1 "employed",
        /// Before school age (学龄前).
        Preschool = 2 "preschool",
        /// Student (在校学生).
        Student = 3 "student",
        /// Unemployed (未就业).
        Unemployed = 4 "unemployed",
        /// Flexible employment (灵活就业).
        Flexible = 5 "flexible",
        /// Retired (离退休).
        Retired = 6 "retired",
        /// Serving soldier (现役军人).
        Soldier = 7 "soldier",
        /// Other (其他).
        Other = 9 "other",
    }
}

coded! {
    /// A woman's post (岗位), which decides between retirement at 50 and at 55.
    Post {
        /// Worker (工人).
        Worker = 1 "worker",
        /// Cadre (干部).
        Cadre = 2 "cadre",
    }
}

/// The person as a human-resources system knows them (个人基本信息, ac01).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PersonFacts {
    /// Ethnicity, GB/T 3304.
    pub ethnicity: Option<u8>,
    /// Occupation on the form.
    pub occupation: Option<Occupation>,
    /// Post.
    pub post: Option<Post>,
    /// Nationality (国籍), ISO 3166 alpha-3.
    pub nationality: Option<String>,
    /// Phone.
    pub phone: Option<Personal>,
    /// Address.
    pub address: Option<Personal>,
    /// Where the file is kept.
    pub place: Option<Division>,
}

coded! {
    /// Kind of employer (单位类型).
    EmployerKind {
        /// Enterprise (企业).
        Enterprise = 10 "enterprise",
        /// Government organ (机关).
        Government = 20 "government",
        /// Public institution (事业单位).
        PublicInstitution = 30 "public-institution",
        /// Sole trader (个体工商户).
        SoleTrader = 50 "sole-trader",
    }
}

coded! {
    /// Form of employment (用工形式).
    EmploymentForm {
        /// Full time (全日制).
        FullTime = 1 "full-time",
        /// Part time (非全日制).
        PartTime = 2 "part-time",
        /// Intern (实习).
        Intern = 3 "intern",
        /// Dispatched (劳务派遣).
        Dispatched = 4 "dispatched",
    }
}

/// An employment (就业登记).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Employment {
    /// Internal unit number of the employer.
    pub unit: Option<String>,
    /// Name of the employer.
    pub unit_name: Option<String>,
    /// Kind of employer.
    pub employer: EmployerKind,
    /// Form of employment.
    pub form: EmploymentForm,
    /// First day: the duty to enrol begins here (社会保险法 art. 58).
    pub from: Day,
    /// Last day, if it has ended.
    pub until: Option<Day>,
    /// Where.
    pub place: Option<Division>,
}
