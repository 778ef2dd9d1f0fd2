//! Citizen identity numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::date::Day;
use crate::sex::Sex;
use crate::text;

/// Weights of the 17 digits (GB 11643-1999, ISO 7064 MOD 11-2): powers of two modulo 11.
const WEIGHTS: [u64; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// Check characters by the weighted sum modulo 11.
const CHECK_CHARACTERS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];

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
    /// are upgraded (birth years 19xx) and have no check character of their own.
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
                    Some(c) if c == number.check_character() => Ok(number),
                    Some('0'..='9' | 'X') => Err(NumberError::Checksum),
                    _ => Err(NumberError::Characters),
                }
            }
            15 => {
                let digits = decimal(cleaned.chars())?;
                let (division, rest) = (digits / 1_000_000_000, digits % 1_000_000_000);
                Self::from_digits((division * 100 + 19) * 1_000_000_000 + rest)
            }
            _ => Err(NumberError::Length),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("11010519491231002X")]
    #[case("440524188001010014")]
    #[case("34052419800101001X")]
    #[case("360426199101010071")]
    #[case("440308199901101512")]
    #[case("11010119900307803X")]
    #[case("320501199003070012")]
    #[case("320100202402290019")]
    #[case("320583199912310022")]
    #[case("320300200002290038")] // 2000 was a leap year
    #[case("321283198501010017")] // the division is younger than the birth
    #[case("320583195001010012")]
    #[case("810000199408230021")] // residence permits
    #[case("830000199201300022")]
    #[case("911398199012310021")] // foreign permanent resident, form of 2023
    fn valid(#[case] text: &str) {
        let number = CitizenId::parse(text).expect("a valid number");
        assert_eq!(number.text(), text);
        assert_eq!(CitizenId::from_digits(number.digits()), Ok(number));
    }

    #[rstest]
    #[case("610104620927690", "610104196209276908")]
    #[case("431389760616601", "431389197606166012")]
    fn upgrades_fifteen_digits(#[case] old: &str, #[case] new: &str) {
        assert_eq!(CitizenId::parse(old), CitizenId::parse(new));
        assert_eq!(CitizenId::parse(old).expect("valid").text(), new);
    }

    #[rstest]
    #[case("340524198001010013", NumberError::Checksum)]
    #[case("345955198706122245", NumberError::Checksum)]
    #[case("440308199901101513", NumberError::Checksum)]
    #[case("320100190002290014", NumberError::BirthDate)] // 1900 was no leap year
    #[case("610104621327690", NumberError::BirthDate)]
    #[case("", NumberError::Length)]
    #[case("32050119900307001", NumberError::Length)]
    #[case("3205011990030700120", NumberError::Length)]
    #[case("32050119900307001A", NumberError::Characters)]
    #[case("32050119900307X012", NumberError::Characters)]
    #[case("32050119900307O012", NumberError::Characters)]
    #[case("KAZ110090123105", NumberError::Characters)]
    #[case("＋20501199003070012", NumberError::Characters)]
    fn invalid(#[case] text: &str, #[case] error: NumberError) {
        assert_eq!(CitizenId::parse(text), Err(error));
    }

    #[rstest]
    #[case("11010519491231002x")]
    #[case(" 110105 19491231 002X\u{feff}")]
    #[case("１１０１０５１９４９１２３１００２Ｘ")]
    #[case("11010519491231002Ⅹ")] // roman ten
    fn dirt_is_put_right(#[case] text: &str) {
        assert_eq!(CitizenId::parse(text), CitizenId::parse("11010519491231002X"));
    }

    #[test]
    fn reads_its_parts() {
        let number = CitizenId::parse("320583199912310022").expect("valid");
        assert_eq!(number.division(), 320_583);
        assert_eq!(number.birth_date(), Day::from_ymd(1999, 12, 31).expect("a day"));
        assert_eq!(number.sex(), Sex::Female);
        assert_eq!(number.check_character(), '2');
        assert_eq!(number.masked(), "3205************22");
        let man = CitizenId::parse("34052419800101001X").expect("valid");
        assert_eq!(man.sex(), Sex::Male);
    }

    #[test]
    fn prints_nothing_personal() {
        let result = CitizenId::parse("320583199912310022");
        assert_eq!(format!("{result:?}"), "Ok(***)");
    }

    #[test]
    fn stored_values_are_checked() {
        let number = CitizenId::parse("320583199912310022").expect("valid");
        let bytes = postcard::to_stdvec(&number).expect("serialises");
        assert_eq!(postcard::from_bytes::<CitizenId>(&bytes), Ok(number));
        let bytes = postcard::to_stdvec(&32_058_319_991_331_002_u64).expect("serialises");
        assert!(postcard::from_bytes::<CitizenId>(&bytes).is_err());
        assert_eq!(CitizenId::from_digits(u64::MAX), Err(NumberError::Length));
    }

    fn numbers() -> impl Strategy<Value = CitizenId> {
        (0..1_000_000_u32, -60_000..40_000_i32, 0..1000_u16)
            .prop_map(|(division, day, sequence)| CitizenId::from_parts(division, Day(day), sequence).expect("parts in range"))
    }

    proptest! {
        #[test]
        fn text_round_trips(number in numbers()) {
            prop_assert_eq!(CitizenId::parse(&number.text()), Ok(number));
            prop_assert_eq!(CitizenId::parse(&number.text().to_lowercase()), Ok(number));
            prop_assert_eq!(number.text().len(), 18);
        }

        #[test]
        fn parts_round_trip(division in 0..1_000_000_u32, day in -60_000..40_000_i32, sequence in 0..1000_u16) {
            let number = CitizenId::from_parts(division, Day(day), sequence).expect("parts in range");
            prop_assert_eq!(number.division(), division);
            prop_assert_eq!(number.birth_date(), Day(day));
            prop_assert_eq!(number.sex() == Sex::Male, sequence % 2 == 1);
        }

        #[test]
        fn one_wrong_digit_is_noticed(number in numbers(), at in 0..17_usize, by in 1..10_u8) {
            let mut text = number.text().into_bytes();
            text[at] = b'0' + (text[at] - b'0' + by) % 10;
            let text = String::from_utf8(text).expect("ASCII");
            prop_assert!(CitizenId::parse(&text).is_err());
        }

        #[test]
        fn swapped_neighbours_are_noticed(number in numbers(), at in 0..16_usize) {
            let mut text = number.text().into_bytes();
            prop_assume!(text[at] != text[at + 1]);
            text.swap(at, at + 1);
            let text = String::from_utf8(text).expect("ASCII");
            prop_assert!(CitizenId::parse(&text).is_err());
        }

        #[test]
        fn fifteen_digits_upgrade(number in numbers()) {
            let text = number.text();
            prop_assume!(&text[6..8] == "19");
            let old = format!("{}{}", &text[..6], &text[8..17]);
            prop_assert_eq!(CitizenId::parse(&old), Ok(number));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,20}|[0-9Xx]{14,19}") {
            if let Ok(number) = CitizenId::parse(&text) {
                prop_assert_eq!(CitizenId::parse(&number.text()), Ok(number));
            }
        }
    }
}
