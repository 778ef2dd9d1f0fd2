//! What a table can be, and what its columns can mean.

use domain::facts::FactsKind;

macro_rules! named {
    ($(#[$doc:meta])* $enum:ident { $($(#[$vdoc:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $enum { $($(#[$vdoc])* $name,)* }

        impl $enum {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in dialect files.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Reads a name.
            pub(super) fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name)
            }
        }
    };
}

pub(super) use named;

named! {
    /// What the rows of a table are.
    Kind {
        /// Resident register (常住人口).
        Resident = "resident",
        /// Temporary resident (流动人口).
        TemporaryResident = "temporary-resident",
        /// Number correction (公民身份号码变更).
        NumberCorrection = "number-correction",
        /// Funeral (殡葬).
        Funeral = "funeral",
        /// Marriage registration (婚姻登记).
        Marriage = "marriage",
        /// Social assistance (社会救助).
        Hardship = "hardship",
        /// Person as human resources know them (个人).
        Person = "person",
        /// Employment (就业登记).
        Employment = "employment",
        /// Enrolment in one scheme (参保).
        Enrolment = "enrolment",
        /// Benefit (待遇).
        Benefit = "benefit",
        /// Social security card (社会保障卡).
        Card = "card",
        /// Personal circumstance (个人状况).
        Circumstance = "circumstance",
        /// Employer (单位), an entity and no person.
        Employer = "employer",
        /// Up to when the source is complete: a heartbeat table or a batch control table (批次表).
        Completeness = "completeness",
    }
}

named! {
    /// A field of the domain that a dialect maps to a column.
    Field {
        /// Document number (证件号码) of the row's person.
        Number = "number",
        /// Kind of that document (证件类型).
        DocumentKind = "document-kind",
        /// Name (姓名).
        Name = "name",
        /// Birth date (出生日期).
        Birth = "birth",
        /// Sex (性别).
        Sex = "sex",
        /// The number before a correction.
        FormerNumber = "former-number",
        /// Former name (曾用名).
        FormerName = "former-name",
        /// Ethnicity (民族).
        Ethnicity = "ethnicity",
        /// Household-register place (户籍地).
        Hukou = "hukou",
        /// Household-register address.
        HukouAddress = "hukou-address",
        /// Usual residence (常住地).
        Residence = "residence",
        /// Residence address.
        ResidenceAddress = "residence-address",
        /// Death date (死亡日期).
        Death = "death",
        /// Cremation date (火化日期).
        Cremation = "cremation",
        /// Phone.
        Phone = "phone",
        /// Address.
        Address = "address",
        /// State of what the row is about, with a code set of its own in each kind.
        Status = "status",
        /// First day.
        From = "from",
        /// Last day, or valid until.
        Until = "until",
        /// Cancelled on (注销).
        Cancelled = "cancelled",
        /// Registered on.
        Registered = "registered",
        /// Issued on.
        Issued = "issued",
        /// Kind of assistance (救助类别).
        Assistance = "assistance",
        /// Place (division) the row belongs to; the source's city when unstated.
        Place = "place",
        /// Occupation (就业状态).
        Occupation = "occupation",
        /// Post (岗位).
        Post = "post",
        /// Nationality (国籍), ISO 3166 alpha-3.
        Nationality = "nationality",
        /// Internal unit number (单位编号).
        Unit = "unit",
        /// Name of the unit (单位名称).
        UnitName = "unit-name",
        /// Public code of the unit (统一社会信用代码 or 组织机构代码).
        UnitCode = "unit-code",
        /// Kind of employer (单位类型).
        Employer = "employer",
        /// Form of employment (用工形式).
        Form = "form",
        /// Scheme (险种).
        Scheme = "scheme",
        /// First contribution month (首次参保年月).
        FirstMonth = "first-month",
        /// Paid through (缴费至).
        PaidThrough = "paid-through",
        /// Deferred until (缓缴至).
        DeferredUntil = "deferred-until",
        /// Transfer under way (转移接续).
        Transferring = "transferring",
        /// Kind of benefit (待遇类别).
        Benefit = "benefit",
        /// Kind of circumstance (个人状况).
        Circumstance = "circumstance",
        /// Instant up to which the source is complete, or at which a batch was loaded.
        Time = "time",
        /// Day whose data a batch holds (数据日期).
        DataDate = "data-date",
    }
}

impl Kind {
    /// The kind of facts about a person; `None` for employers and completeness rows.
    pub fn facts_kind(self) -> Option<FactsKind> {
        Some(match self {
            Self::Resident => FactsKind::Resident,
            Self::TemporaryResident => FactsKind::TemporaryResident,
            Self::NumberCorrection => FactsKind::Correction,
            Self::Funeral => FactsKind::Funeral,
            Self::Marriage => FactsKind::Marriage,
            Self::Hardship => FactsKind::Hardship,
            Self::Person => FactsKind::Person,
            Self::Employment => FactsKind::Employment,
            Self::Enrolment => FactsKind::Enrolment,
            Self::Benefit => FactsKind::Benefit,
            Self::Card => FactsKind::Card,
            Self::Circumstance => FactsKind::Circumstance,
            Self::Employer | Self::Completeness => return None,
        })
    }
}
