//! Insurance schemes (险种) and their codes.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! schemes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// A social insurance scheme (险种); options as on the registration form, attachment 2 of the notice.
        ///
        /// Source codes are mapped to these by dialect files, because codes collide between dialects
        /// (RULES.md, Schemes and codes).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Scheme { $($(#[$doc])* $name,)* }

        impl Scheme {
            /// Every scheme.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The stored code; never reused.
            pub fn code(self) -> u8 {
                match self { $(Self::$name => $code,)* }
            }

            /// The name used in dialects, policy, topics and columns.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

schemes! {
    /// Basic pension of urban employees (企业职工基本养老保险, 110).
    EmployeePension = 11, "employee-pension";
    /// Pension of government institutions (机关事业单位养老保险, 120).
    InstitutionPension = 12, "institution-pension";
    /// Basic pension of urban and rural residents (城乡居民基本养老保险, 170; formerly 150 and 160).
    ResidentPension = 17, "resident-pension";
    /// Old-age security of expropriated farmers (被征地农民养老保障), stand-alone.
    ExpropriatedFarmersPension = 18, "expropriated-farmers-pension";
    /// Another stand-alone pension (其他养老保险).
    OtherPension = 19, "other-pension";
    /// Unemployment insurance (失业保险, 210).
    Unemployment = 21, "unemployment";
    /// Basic medical insurance of employees (职工基本医疗保险, 310).
    EmployeeMedical = 31, "employee-medical";
    /// Basic medical insurance of residents (城乡居民基本医疗保险, 390; urban only 391).
    ResidentMedical = 39, "resident-medical";
    /// New rural cooperative medical care (新型农村合作医疗, 380).
    RuralCooperativeMedical = 38, "rural-cooperative-medical";
    /// Publicly funded medical care (公费医疗).
    PublicMedical = 34, "public-medical";
    /// Other medical insurance of migrant workers (农民工其他形式医疗保险).
    MigrantMedical = 35, "migrant-medical";
    /// Other stand-alone medical security (其他医疗保障).
    OtherMedical = 36, "other-medical";
    /// Work injury insurance (工伤保险, 410).
    WorkInjury = 41, "work-injury";
    /// Maternity insurance (生育保险, 510).
    Maternity = 51, "maternity";
    /// A supplement riding on a medical scheme (补充保险): neither enrolment nor duplicate.
    Supplement = 99, "supplement";
}

impl Scheme {
    /// The scheme of a stored code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|scheme| scheme.code() == code)
    }

    /// Counts as pension in the monthly table (养老).
    pub fn is_pension(self) -> bool {
        (11..=19).contains(&self.code())
    }

    /// Counts as medical in the monthly table (医疗).
    pub fn is_medical(self) -> bool {
        (31..=39).contains(&self.code())
    }

    /// Paid by the year: lapses by contribution year, never by months (RULES.md, Definitions).
    pub fn is_paid_by_year(self) -> bool {
        matches!(
            self,
            Self::ResidentPension | Self::ResidentMedical | Self::RuralCooperativeMedical
        )
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text names no scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown scheme")]
pub struct UnknownScheme;

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(text: &str) -> Result<Self, UnknownScheme> {
        Self::ALL
            .iter()
            .copied()
            .find(|scheme| scheme.as_str() == text)
            .ok_or(UnknownScheme)
    }
}

#[cfg(test)]
mod tests {
    use super::Scheme;
    use std::collections::BTreeSet;

    #[test]
    fn codes_and_names_are_unique_and_read_back() {
        let codes: BTreeSet<u8> = Scheme::ALL.iter().map(|scheme| scheme.code()).collect();
        assert_eq!(codes.len(), Scheme::ALL.len());
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::from_code(scheme.code()), Some(*scheme));
            assert_eq!(scheme.as_str().parse(), Ok(*scheme));
        }
    }
}
