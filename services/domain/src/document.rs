//! Identity documents of every kind.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::citizen_id::{CitizenId, NumberError};
use crate::text;

/// Longest document number kept; no kind comes near it.
const LONGEST: usize = 64;

macro_rules! document_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $(, $code:literal)?;)*) => {
        /// A kind of identity document 证件类型.
        ///
        /// Dialect files use the names ([`DocumentKind::as_str`]), since the codes of AAC058 differ
        /// from system to system: 16 and 17 mean the Chinese passport and the residence permit of
        /// Hong Kong, Macao and Taiwan in one order or the other, and only a dialect knows which.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub enum DocumentKind {
            $($(#[$doc])* $variant,)*
        }

        impl DocumentKind {
            /// Every kind. Stored by position: append only.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name used in dialect files and messages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The kind of a two-digit AAC058 / PSN_CERT_TYPE code that all known dialects agree
            /// on; `None` for 16, 17 and unknown codes.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                match code {
                    $($($code => Some(Self::$variant),)?)*
                    _ => None,
                }
            }
        }
    };
}

document_kinds! {
    /// The source does not say (未说明).
    #[default]
    Unstated = "unstated";
    /// Identity card or household register (居民身份证、户口簿).
    ResidentIdentity = "resident-identity", "01";
    /// Officer of the army (军官证).
    MilitaryOfficer = "military-officer", "02";
    /// Police officer (警官证).
    PoliceOfficer = "police-officer", "03";
    /// Mainland travel permit of a Hong Kong resident (港澳居民来往内地通行证, 香港).
    HongKongPermit = "hong-kong-permit", "04";
    /// Mainland travel permit of a Macao resident (港澳居民来往内地通行证, 澳门).
    MacaoPermit = "macao-permit", "05";
    /// Mainland travel permit of a Taiwan resident (台湾居民来往大陆通行证).
    TaiwanPermit = "taiwan-permit", "06";
    /// Foreign permanent resident (外国人永久居留身份证).
    PermanentResidence = "permanent-residence", "07";
    /// Foreign passport (外国人护照).
    ForeignPassport = "foreign-passport", "08";
    /// Disability certificate (残疾人证).
    Disability = "disability", "09";
    /// Certificate of a martyr's family (烈属证).
    MartyrFamily = "martyr-family", "10";
    /// Foreigner's work permit (外国人就业证).
    ForeignWorkPermit = "foreign-work-permit", "11";
    /// Foreign expert (外国专家证).
    ForeignExpert = "foreign-expert", "12";
    /// Foreign journalist (外国人常驻记者证).
    Press = "press", "13";
    /// Work permit of a resident of Hong Kong, Macao or Taiwan (台港澳人员就业证).
    HongKongMacaoTaiwanWorkPermit = "hong-kong-macao-taiwan-work-permit", "14";
    /// Certificate of an expert settled from abroad (回国定居专家证).
    SettledExpert = "settled-expert", "15";
    /// Chinese passport (中国护照).
    ChinesePassport = "chinese-passport";
    /// Residence permit of a resident of Hong Kong, Macao or Taiwan (港澳台居民居住证).
    ResidencePermit = "residence-permit";
    /// Social security card (社会保障卡), whose number is the social security number.
    SocialSecurityCard = "social-security-card", "90";
    /// Social security number (社会保障号码, aac002): a citizen's number, or for foreigners the one
    /// made by MHRSS Order 16 of 2011.
    SocialSecurityNumber = "social-security-number";
    /// Any other (其他).
    Other = "other", "99";
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name of no document kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown document kind")]
pub struct UnknownDocumentKind;

impl FromStr for DocumentKind {
    type Err = UnknownDocumentKind;

    fn from_str(name: &str) -> Result<Self, UnknownDocumentKind> {
        let mut kinds = Self::ALL.iter().copied();
        kinds.find(|kind| kind.as_str() == name).ok_or(UnknownDocumentKind)
    }
}

/// A document's number 证件号码: NFKC, no spaces, upper case, 1 to 64 characters. `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DocumentNumber(String);

impl DocumentNumber {
    /// Normalises a number; only an empty or an absurdly long one is refused.
    pub fn parse(raw: &str) -> Result<Self, NumberError> {
        let number = text::clean_upper(raw);
        if (1..=LONGEST).contains(&number.chars().count()) {
            Ok(Self(number.into_owned()))
        } else {
            Err(NumberError::Length)
        }
    }

    /// The number itself: only for storing, comparing, and readers authorised to see it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DocumentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What the rules for a kind say of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DocumentCheck {
    /// It keeps every rule known for its kind.
    Valid,
    /// No rule is known for its kind.
    Unchecked,
    /// It breaks one.
    Invalid(NumberError),
}

impl From<Result<(), NumberError>> for DocumentCheck {
    fn from(result: Result<(), NumberError>) -> Self {
        result.map_or_else(Self::Invalid, |()| Self::Valid)
    }
}

/// An identity document 证件 as a source states it; its number may be wrong, see [`Document::check`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Document {
    /// What kind the source says it is.
    pub kind: DocumentKind,
    /// Its number.
    pub number: DocumentNumber,
}

impl Document {
    /// A document with its number normalised. Fails only when there is no number at all or an
    /// absurdly long one: a wrong number is still what the source said.
    pub fn parse(kind: DocumentKind, raw: &str) -> Result<Self, NumberError> {
        DocumentNumber::parse(raw).map(|number| Self { kind, number })
    }

    /// The usable citizen number: of the kinds that share its layout, of the travel permits of
    /// Hong Kong, Macao and Taiwan when a residence permit's number stands in them, and of an
    /// unstated kind whenever the number is one.
    #[must_use]
    pub fn citizen_id(&self) -> Option<CitizenId> {
        use DocumentKind as Kind;
        let number = CitizenId::parse(self.number.reveal()).ok()?;
        match self.kind {
            Kind::Unstated
            | Kind::ResidentIdentity
            | Kind::ResidencePermit
            | Kind::PermanentResidence
            | Kind::SocialSecurityCard
            | Kind::SocialSecurityNumber => Some(number),
            Kind::HongKongPermit | Kind::MacaoPermit | Kind::TaiwanPermit => {
                matches!(number.division() / 10_000, 81..=83).then_some(number)
            }
            _ => None,
        }
    }

    /// Whether the number keeps the rules of its kind.
    ///
    /// The forms of travel permits and of Order 16 numbers are believed, not published: let a
    /// policy decide what an invalid one of those means.
    #[must_use]
    pub fn check(&self) -> DocumentCheck {
        use DocumentKind as Kind;
        if self.citizen_id().is_some() {
            return DocumentCheck::Valid;
        }
        let number = self.number.reveal();
        match self.kind {
            Kind::ResidentIdentity | Kind::ResidencePermit => CitizenId::parse(number).map(|_| ()).into(),
            Kind::PermanentResidence if number.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                check_old_permanent_residence(number).into()
            }
            Kind::PermanentResidence => CitizenId::parse(number).map(|_| ()).into(),
            Kind::SocialSecurityNumber if number.starts_with(|c: char| c.is_ascii_alphabetic()) => check_order_16(number).into(),
            Kind::SocialSecurityNumber => CitizenId::parse(number).map(|_| ()).into(),
            Kind::HongKongPermit | Kind::MacaoPermit => match number.strip_prefix(['H', 'M']) {
                Some(digits) => check_permit_digits(digits).into(),
                None => DocumentCheck::Invalid(NumberError::Characters),
            },
            Kind::TaiwanPermit => check_permit_digits(number).into(),
            _ => DocumentCheck::Unchecked,
        }
    }
}

/// `\d{8}(\d{2})?`: eight digits of the person and two of how often the permit was renewed.
fn check_permit_digits(digits: &str) -> Result<(), NumberError> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        Err(NumberError::Characters)
    } else if matches!(digits.len(), 8 | 10) {
        Ok(())
    } else {
        Err(NumberError::Length)
    }
}

/// Foreign permanent residence cards before 2023-12-01: country (3 letters), 11 digits and the
/// check digit of machine-readable documents (ICAO 9303: weights 7 3 1, letters from A = 10).
fn check_old_permanent_residence(number: &str) -> Result<(), NumberError> {
    let bytes = number.as_bytes();
    if bytes.len() != 15 {
        return Err(NumberError::Length);
    }
    let (country, digits) = bytes.split_at(3);
    if !country.iter().all(u8::is_ascii_uppercase) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NumberError::Characters);
    }
    let value = |byte: &u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A') + 10,
        _ => u32::from(byte - b'0'),
    };
    let weights = [7, 3, 1].iter().cycle();
    let sum: u32 = bytes[..14]
        .iter()
        .zip(weights)
        .map(|(byte, weight)| value(byte) * weight)
        .sum();
    if sum % 10 == value(&bytes[14]) {
        Ok(())
    } else {
        Err(NumberError::Checksum)
    }
}

/// Social security numbers of foreigners (MHRSS Order 16 of 2011), believed to be
/// `^[A-Z]{3}\d[A-Z0-9]{5,14}$`: country, a reserved digit, the document's number.
fn check_order_16(number: &str) -> Result<(), NumberError> {
    let bytes = number.as_bytes();
    if !(9..=18).contains(&bytes.len()) {
        return Err(NumberError::Length);
    }
    let matches = bytes[..3].iter().all(u8::is_ascii_uppercase)
        && bytes[3].is_ascii_digit()
        && bytes[4..]
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if matches { Ok(()) } else { Err(NumberError::Characters) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use DocumentCheck::{Invalid, Unchecked, Valid};
    use DocumentKind as Kind;

    fn document(kind: Kind, raw: &str) -> Document {
        Document::parse(kind, raw).expect("a number")
    }

    #[rstest]
    #[case(Kind::ResidentIdentity, "11010519491231002x", Valid)]
    #[case(Kind::ResidentIdentity, "610104620927690", Valid)]
    #[case(Kind::ResidentIdentity, "340524198001010013", Invalid(NumberError::Checksum))]
    #[case(Kind::ResidentIdentity, "H12345678", Invalid(NumberError::Length))]
    #[case(Kind::ResidencePermit, "810000199408230021", Valid)]
    #[case(Kind::PermanentResidence, "911398199012310021", Valid)]
    #[case(Kind::PermanentResidence, "kaz 110090123105", Valid)]
    #[case(Kind::PermanentResidence, "KAZ110090123106", Invalid(NumberError::Checksum))]
    #[case(Kind::PermanentResidence, "KAZ11009012310", Invalid(NumberError::Length))]
    #[case(Kind::PermanentResidence, "KA1110090123105", Invalid(NumberError::Characters))]
    #[case(Kind::PermanentResidence, "9113981990", Invalid(NumberError::Length))]
    #[case(Kind::HongKongPermit, "h12345678", Valid)]
    #[case(Kind::MacaoPermit, "M1234567801", Valid)]
    #[case(Kind::HongKongPermit, "H123456789", Invalid(NumberError::Length))]
    #[case(Kind::HongKongPermit, "A12345678", Invalid(NumberError::Characters))]
    #[case(Kind::HongKongPermit, "H1234567A", Invalid(NumberError::Characters))]
    #[case(Kind::HongKongPermit, "810000199408230021", Valid)]
    #[case(Kind::TaiwanPermit, "12345678", Valid)]
    #[case(Kind::TaiwanPermit, "1234567801", Valid)]
    #[case(Kind::TaiwanPermit, "123456780", Invalid(NumberError::Length))]
    #[case(Kind::TaiwanPermit, "830000199201300022", Valid)]
    #[case(Kind::SocialSecurityNumber, "DEU0C01X00T47", Valid)]
    #[case(Kind::SocialSecurityNumber, "DEUXC01X00T47", Invalid(NumberError::Characters))]
    #[case(Kind::SocialSecurityNumber, "DEU0C01", Invalid(NumberError::Length))]
    #[case(Kind::SocialSecurityNumber, "320501199003070012", Valid)]
    #[case(Kind::SocialSecurityNumber, "320501199003070013", Invalid(NumberError::Checksum))]
    #[case(Kind::ForeignPassport, "C01X00T47", Unchecked)]
    #[case(Kind::MilitaryOfficer, "南字第01234567号", Unchecked)]
    #[case(Kind::Unstated, "C01X00T47", Unchecked)]
    #[case(Kind::Unstated, "320501199003070012", Valid)]
    fn checks(#[case] kind: Kind, #[case] raw: &str, #[case] expected: DocumentCheck) {
        assert_eq!(document(kind, raw).check(), expected);
    }

    #[rstest]
    #[case(Kind::ResidentIdentity, true)]
    #[case(Kind::Unstated, true)]
    #[case(Kind::SocialSecurityNumber, true)]
    #[case(Kind::HongKongPermit, false)] // a mainland number in a travel permit
    #[case(Kind::ForeignPassport, false)]
    #[case(Kind::Other, false)]
    fn usable_numbers(#[case] kind: Kind, #[case] usable: bool) {
        let number = CitizenId::parse("320501199003070012").expect("valid");
        let found = document(kind, "320501199003070012").citizen_id();
        assert_eq!(found, usable.then_some(number));
    }

    #[test]
    fn old_and_new_numbers_are_one_citizen() {
        let old = document(Kind::ResidentIdentity, "610104620927690");
        let new = document(Kind::ResidentIdentity, "610104196209276908");
        assert!(old.citizen_id().is_some());
        assert_eq!(old.citizen_id(), new.citizen_id());
    }

    #[test]
    fn only_absent_and_absurd_numbers_are_refused() {
        for raw in ["", " \u{3000}\u{200b}", &"1".repeat(65)] {
            assert_eq!(Document::parse(Kind::Other, raw), Err(NumberError::Length));
        }
    }

    #[test]
    fn kinds_have_names_and_codes() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert_eq!("passport".parse::<Kind>(), Err(UnknownDocumentKind));
        assert_eq!(Kind::from_code("07"), Some(Kind::PermanentResidence));
        assert_eq!(Kind::from_code("16"), None);
        assert_eq!(Kind::from_code("17"), None);
    }

    #[test]
    fn prints_nothing_personal() {
        let text = format!("{:?}", document(Kind::ForeignPassport, "C01X00T47"));
        assert_eq!(text, "Document { kind: ForeignPassport, number: *** }");
    }

    proptest! {
        #[test]
        fn any_text_is_kept_or_refused(raw in "\\PC{0,70}", kind in 0..Kind::ALL.len()) {
            if let Ok(document) = Document::parse(Kind::ALL[kind], &raw) {
                // Normalising twice changes nothing, and nothing panics.
                prop_assert_eq!(&Document::parse(document.kind, document.number.reveal()), &Ok(document.clone()));
                let usable = document.citizen_id().is_some();
                prop_assert!(!usable || document.check() == Valid);
                let bytes = postcard::to_stdvec(&document).expect("serialises");
                prop_assert_eq!(postcard::from_bytes::<Document>(&bytes), Ok(document));
            }
        }

        #[test]
        fn old_permanent_residence_has_one_check_digit(stem in "[A-Z]{3}[0-9]{11}") {
            let valid = (0..10).filter(|digit| check_old_permanent_residence(&format!("{stem}{digit}")).is_ok());
            prop_assert_eq!(valid.count(), 1);
        }
    }
}
