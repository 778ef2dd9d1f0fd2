//! Citizen identity numbers.

mod dummy;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::date::Day;
use crate::sex::Sex;
use crate::text;

/// Weights of the 17 digits (GB 11643-1999, ISO 7064 MOD 11-2): powers of two modulo 11.
const WEIGHTS: [u64; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// Check characters by the weighted sum modulo 11.
const CHECK_CHARACTERS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];

/// The first of the sequences for centenarians in numbers of 15 digits.
const FIRST_CENTENARIAN: u64 = 996;
/// The last two digits of the earliest year of birth (1870) that anybody had who lived to be given a number, from 1984 on.
const OLDEST_NUMBERED: u64 = 70;

/// Why a text is no usable number. Says nothing of the text itself: errors reach logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum NumberError {
    /// Too short or too long.
    #[error("the number has a wrong length")]
    Length,
    /// A character that cannot stand where it stands.
    #[error("the number holds a character that cannot stand there")]
    Characters,
    /// The birth date inside the number is in no calendar.
    #[error("the birth date inside the number is no calendar day")]
    BirthDate,
    /// The check character does not fit (错号).
    #[error("the check character does not fit")]
    Checksum,
    /// It was typed for want of one (占位号码): nobody can have it.
    #[error("the number stands for none: nobody can have it")]
    Dummy,
    /// Fifteen digits that do not tell the century of birth.
    #[error("the fifteen digits do not tell the century of birth")]
    Century,
}

/// A citizen identity number 公民身份号码, which is also the social security number 社会保障号码
/// (社会保险经办条例 art. 6).
///
/// Layout of GB 11643-1999: division (6 digits), birth date (8), sequence (3), check character.
/// Residence permits of people from Hong Kong, Macao and Taiwan (divisions 81, 82, 83) and since
/// 2023-12-01 those of foreign permanent residents (first digit 9) share it. Held as the number's
/// 17 digits, without the check character that follows from them; the birth date is a calendar
/// day. Personal: `Debug` prints `***` and there is no `Display`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct CitizenId(u64);

impl CitizenId {
    /// Reads the 18 characters of today's numbers or the 15 digits of those before 1999, which
    /// are upgraded and have no check character of their own.
    ///
    /// Fifteen digits belong to the 20th century, but for the sequences 996 to 999, which GB 11643-1989 kept for people of a
    /// hundred and more: those of the years 70 to 99 were born in the 19th, and are the holder of the number that says so. In other
    /// years such a sequence contradicts itself, and the number is refused like one whose check character is wrong: its row keeps its
    /// name and is nobody's until somebody looks.
    ///
    /// Numbers that were typed because there was none are refused as well: under 111111111111111 strangers would be one person.
    ///
    /// Full width, spaces, format characters and a lower-case x are put right. The division is
    /// not looked up: codes date from when the number was assigned, not from the birth.
    pub fn parse(raw: &str) -> Result<Self, NumberError> {
        let cleaned = text::clean(raw);
        match cleaned.chars().count() {
            18 => {
                let mut characters = cleaned.chars();
                let number = Self::from_digits(decimal(characters.by_ref().take(17))?)?;
                let check = characters.next().map(|c| c.to_ascii_uppercase());
                match check {
                    Some(c) if c == number.check_character() => number.of_somebody(),
                    Some('0'..='9' | 'X') => Err(NumberError::Checksum),
                    _ => Err(NumberError::Characters),
                }
            }
            15 => {
                let digits = decimal(cleaned.chars())?;
                let (division, rest) = (digits / 1_000_000_000, digits % 1_000_000_000);
                let century = match (rest % 1000, rest / 10_000_000) {
                    (FIRST_CENTENARIAN.., OLDEST_NUMBERED..) => 18,
                    (FIRST_CENTENARIAN.., _) => return Err(NumberError::Century),
                    _ => 19,
                };
                Self::from_digits((division * 100 + century) * 1_000_000_000 + rest)?.of_somebody()
            }
            _ => Err(NumberError::Length),
        }
    }

    fn of_somebody(self) -> Result<Self, NumberError> {
        if dummy::is_dummy(self) {
            Err(NumberError::Dummy)
        } else {
            Ok(self)
        }
    }

    /// The number of 17 digits as [`CitizenId::digits`] gave them; they may start with zeros.
    pub fn from_digits(digits: u64) -> Result<Self, NumberError> {
        if digits >= 100_000_000_000_000_000 {
            return Err(NumberError::Length);
        }
        birth_date_of(digits).ok_or(NumberError::BirthDate)?;
        Ok(Self(digits))
    }

    /// A number made of a division (six digits), a birth date and a sequence (three digits, odd
    /// for men); `None` when one does not fit its place. For synthetic people.
    #[must_use]
    pub fn from_parts(division: u32, birth_date: Day, sequence: u16) -> Option<Self> {
        let (year, month, day) = birth_date.ymd();
        let date = Day::from_ymd(year, month, day).map(|_| u64::from(year.unsigned_abs() * 10_000 + month * 100 + day))?;
        let fits = division < 1_000_000 && sequence < 1000;
        fits.then(|| Self((u64::from(division) * 100_000_000 + date) * 1000 + u64::from(sequence)))
    }

    /// The 17 digits without the check character, as a number.
    #[must_use]
    pub const fn digits(self) -> u64 {
        self.0
    }

    /// The birth date 出生日期 inside the number.
    ///
    /// # Panics
    ///
    /// Never: the date was checked when the number was made.
    #[must_use]
    pub fn birth_date(self) -> Day {
        birth_date_of(self.0).expect("checked when the number was made")
    }

    /// The sex inside the number: the parity of its 17th digit, odd for men.
    #[must_use]
    pub const fn sex(self) -> Sex {
        if self.0 % 2 == 1 { Sex::Male } else { Sex::Female }
    }

    /// The six digits of the division that assigned the number; for a foreign permanent
    /// resident 9, province (2) and country (3).
    #[must_use]
    pub const fn division(self) -> u32 {
        (self.0 / 100_000_000_000) as u32
    }

    /// The check character: a digit or X.
    #[must_use]
    pub fn check_character(self) -> char {
        let mut rest = self.0;
        let sum = WEIGHTS.iter().rev().fold(0, |sum, weight| {
            let digit = rest % 10;
            rest /= 10;
            sum + weight * digit
        });
        CHECK_CHARACTERS[(sum % 11) as usize]
    }

    /// All 18 characters: only for storing and for readers authorised to see it.
    #[must_use]
    pub fn text(self) -> String {
        format!("{:017}{}", self.0, self.check_character())
    }

    /// The number for readers who may not see it: the first four characters (province and city)
    /// and the last two, the others as `*`.
    #[must_use]
    pub fn masked(self) -> String {
        let text = self.text();
        format!("{}************{}", &text[..4], &text[16..])
    }
}

impl fmt::Debug for CitizenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl TryFrom<u64> for CitizenId {
    type Error = NumberError;

    fn try_from(digits: u64) -> Result<Self, NumberError> {
        Self::from_digits(digits)
    }
}

impl From<CitizenId> for u64 {
    fn from(number: CitizenId) -> Self {
        number.0
    }
}

/// The birth date in 17 digits, if the calendar has it.
fn birth_date_of(digits: u64) -> Option<Day> {
    let date = (digits / 1000 % 100_000_000) as u32;
    Day::from_ymd((date / 10_000) as i32, date / 100 % 100, date % 100)
}

/// The value of at most 18 decimal digits.
fn decimal(mut characters: impl Iterator<Item = char>) -> Result<u64, NumberError> {
    characters.try_fold(0, |value: u64, c| {
        let digit = c.to_digit(10).ok_or(NumberError::Characters)?;
        Ok(value * 10 + u64::from(digit))
    })
}
