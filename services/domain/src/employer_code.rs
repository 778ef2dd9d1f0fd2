//! Codes of employers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text;

/// Characters of unified social credit codes by value: digits and letters without I O S V Z.
const CREDIT_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
/// Weights of the first 17 characters (GB 32100): powers of three modulo 31.
const CREDIT_WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
/// Weights of the first eight characters of organisation codes (GB 11714).
const ORGANISATION_WEIGHTS: [usize; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
/// Check characters of organisation codes by 11 − (weighted sum modulo 11), from 1 on.
const ORGANISATION_CHECKS: &[u8; 11] = b"123456789X0";

/// Why a text is no employer's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum EmployerCodeError {
    /// Neither nine nor eighteen characters.
    #[error("neither 9 nor 18 characters")]
    Length,
    /// A character outside the code's alphabet.
    #[error("a character outside the code's alphabet")]
    Characters,
    /// The check character does not fit.
    #[error("the check character does not fit")]
    Checksum,
}

/// A unified social credit code 统一社会信用代码 (GB 32100): 18 characters, the last a check.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SocialCreditCode(String);

impl SocialCreditCode {
    /// The organisation code inside it (characters 9 to 17), which older records carry.
    #[must_use]
    pub fn organisation_code(&self) -> OrganisationCode {
        OrganisationCode(self.0[8..17].to_owned())
    }
}

/// An organisation code 组织机构代码 (GB 11714): nine characters, the last a check; before 2015.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OrganisationCode(String);

/// The public code of an employer 用人单位, old or new form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EmployerCode {
    /// Today's.
    SocialCredit(SocialCreditCode),
    /// The one before.
    Organisation(OrganisationCode),
}

impl EmployerCode {
    /// Reads either form; spaces, full width, lower case and the hyphen that organisation codes
    /// are printed with (`12345678-9`) are put right.
    pub fn parse(raw: &str) -> Result<Self, EmployerCodeError> {
        let code = text::clean_upper(raw).replace('-', "");
        match code.chars().count() {
            18 => parse_credit(code).map(Self::SocialCredit),
            9 => parse_organisation(code).map(Self::Organisation),
            _ => Err(EmployerCodeError::Length),
        }
    }

    /// The nine characters that both forms of one employer share: what to join on.
    #[must_use]
    pub fn organisation_code(&self) -> OrganisationCode {
        match self {
            Self::SocialCredit(code) => code.organisation_code(),
            Self::Organisation(code) => code.clone(),
        }
    }
}

fn parse_credit(code: String) -> Result<SocialCreditCode, EmployerCodeError> {
    let value = |byte: &u8| CREDIT_ALPHABET.iter().position(|known| known == byte);
    let values: Option<Vec<usize>> = code.as_bytes().iter().map(value).collect();
    let values = values.ok_or(EmployerCodeError::Characters)?;
    let (check, stem) = values.split_last().ok_or(EmployerCodeError::Length)?;
    let sum: usize = stem.iter().zip(CREDIT_WEIGHTS).map(|(value, weight)| value * weight).sum();
    if (31 - sum % 31) % 31 == *check {
        Ok(SocialCreditCode(code))
    } else {
        Err(EmployerCodeError::Checksum)
    }
}

fn parse_organisation(code: String) -> Result<OrganisationCode, EmployerCodeError> {
    let value = |c: char| c.is_ascii().then(|| c.to_digit(36)).flatten().map(|value| value as usize);
    let values: Option<Vec<usize>> = code.chars().map(value).collect();
    let values = values.ok_or(EmployerCodeError::Characters)?;
    let sum: usize = values
        .iter()
        .zip(ORGANISATION_WEIGHTS)
        .map(|(value, weight)| value * weight)
        .sum();
    if code.as_bytes()[8] == ORGANISATION_CHECKS[10 - sum % 11] {
        Ok(OrganisationCode(code))
    } else {
        Err(EmployerCodeError::Checksum)
    }
}

impl fmt::Display for SocialCreditCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for OrganisationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for EmployerCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SocialCredit(code) => code.fmt(f),
            Self::Organisation(code) => code.fmt(f),
        }
    }
}

impl FromStr for EmployerCode {
    type Err = EmployerCodeError;

    fn from_str(text: &str) -> Result<Self, EmployerCodeError> {
        Self::parse(text)
    }
}

/// The number an insurance agency gives an employer 单位编号 (aab001): unique within its system
/// only. Not personal. NFKC, without spaces, not empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitNumber(String);

impl UnitNumber {
    /// Normalises a number; `None` when nothing is left.
    #[must_use]
    pub fn parse(raw: &str) -> Option<Self> {
        let number = text::clean(raw);
        (!number.is_empty()).then(|| Self(number.into_owned()))
    }

    /// The number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UnitNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// Codes printed in the standards as examples.
    #[rstest]
    #[case("91350100M000100Y43")] // specimen of GB 32100
    #[case("D2143569-X")] // specimen of GB 11714
    fn specimens(#[case] text: &str) {
        let code = EmployerCode::parse(text).expect("valid");
        assert_eq!(code.to_string(), text.replace('-', ""));
        assert_eq!(EmployerCode::parse(&format!(" {} ", text.to_lowercase())), Ok(code));
    }

    #[rstest]
    #[case("91350100M000100Y44", EmployerCodeError::Checksum)]
    #[case("91350100I000100Y43", EmployerCodeError::Characters)]
    #[case("D21435690", EmployerCodeError::Checksum)]
    #[case("D21435-好X", EmployerCodeError::Length)]
    #[case("D214356好X", EmployerCodeError::Characters)]
    #[case("", EmployerCodeError::Length)]
    fn refused(#[case] text: &str, #[case] error: EmployerCodeError) {
        assert_eq!(EmployerCode::parse(text), Err(error));
    }

    #[test]
    fn both_forms_join() {
        let new = EmployerCode::parse("91350100M000100Y43").expect("valid");
        let old = EmployerCode::parse("M000100Y4").expect("valid");
        assert_eq!(new.organisation_code(), old.organisation_code());
    }

    #[test]
    fn unit_numbers() {
        assert_eq!(
            UnitNumber::parse(" ３２01-7 ").map(|number| number.to_string()).as_deref(),
            Some("3201-7")
        );
        assert_eq!(UnitNumber::parse("\u{3000}"), None);
    }

    proptest! {
        #[test]
        fn each_stem_has_one_check_character(stem in "[0-9A-HJ-NPQRTUWXY]{17}", old in "[0-9A-Z]{8}") {
            let valid = |stem: &str| (b'0'..=b'Z').filter(|byte| {
                EmployerCode::parse(&format!("{stem}{}", char::from(*byte))).is_ok()
            }).count();
            prop_assert_eq!(valid(&stem), 1);
            prop_assert_eq!(valid(&old), 1);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,19}") {
            if let Ok(code) = EmployerCode::parse(&text) {
                prop_assert_eq!(EmployerCode::parse(&code.to_string()), Ok(code));
            }
        }
    }
}
