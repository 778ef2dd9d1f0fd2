//! Sex of a person.

use serde::{Deserialize, Serialize};

/// Sex 性别, coded by GB/T 2261.1.
///
/// The standard has two ways of not knowing: `Unknown` (0, nobody knows) and `Unstated` (9, the
/// form left it out). Neither contradicts anything; see [`Sex::contradicts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Sex {
    /// 未知的性别, code 0.
    Unknown,
    /// 男性, code 1.
    Male,
    /// 女性, code 2.
    Female,
    /// 未说明的性别, code 9.
    #[default]
    Unstated,
}

impl Sex {
    /// Every value, in the order of the codes.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Male, Self::Female, Self::Unstated];

    /// The sex of a GB/T 2261.1 code (0, 1, 2 or 9); `None` for any other.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Unknown),
            1 => Some(Self::Male),
            2 => Some(Self::Female),
            9 => Some(Self::Unstated),
            _ => None,
        }
    }

    /// The GB/T 2261.1 code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Male => 1,
            Self::Female => 2,
            Self::Unstated => 9,
        }
    }

    /// Whether the sex is male or female.
    #[must_use]
    pub const fn is_stated(self) -> bool {
        matches!(self, Self::Male | Self::Female)
    }

    /// Whether the two cannot belong to one person: both stated, and different.
    #[must_use]
    pub const fn contradicts(self, other: Self) -> bool {
        matches!((self, other), (Self::Male, Self::Female) | (Self::Female, Self::Male))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for sex in Sex::ALL {
            assert_eq!(Sex::from_code(sex.code()), Some(sex));
        }
        assert_eq!(Sex::from_code(3), None);
    }

    #[test]
    fn only_stated_values_contradict() {
        for one in Sex::ALL {
            for other in Sex::ALL {
                let expected = one.is_stated() && other.is_stated() && one != other;
                assert_eq!(one.contradicts(other), expected);
            }
        }
    }
}
