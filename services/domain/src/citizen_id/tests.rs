//! Numbers read, refused and put right.

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

/// GB 11643-1989 kept 996 to 999 for people of a hundred and more.
#[rstest]
#[case("320501900307998", Ok("320501189003079982"))]
#[case("320102991231996", Ok("32010218991231996"))]
#[case("320102700101999", Ok("32010218700101999"))]
#[case("320102690101999", Err(NumberError::Century))]
#[case("320102050607997", Err(NumberError::Century))]
#[case("320102050607995", Ok("32010219050607995"))]
fn fifteen_digits_of_centenarians(#[case] old: &str, #[case] new: Result<&str, NumberError>) {
    let number = CitizenId::parse(old).map(|number| number.text()[..17].to_owned());
    assert_eq!(number, new.map(|digits| digits[..17].to_owned()));
}

/// Without their check character, which is right here: a wrong one is reason enough.
#[rstest]
#[case("11111119111111111")]
#[case("32000019000101000")]
#[case("32000019000101001")]
#[case("32010219000101001")]
#[case("32010219000101888")]
#[case("32000019000101456")]
#[case("12345619900307001")]
#[case("99999919900307001")]
#[case("00000019900307001")]
fn typed_for_want_of_a_number(#[case] digits: &str) {
    let number = CitizenId::from_digits(digits.parse().expect("digits")).expect("a calendar day");
    assert_eq!(CitizenId::parse(&number.text()), Err(NumberError::Dummy));
    let old = format!("{}{}", &digits[..6], &digits[8..]);
    assert_eq!(CitizenId::parse(&old), Err(NumberError::Dummy));
}

#[test]
fn births_that_nobody_numbered_has() {
    for year in [1111, 1799, 2100, 9999] {
        let number = CitizenId::from_parts(320_102, Day::from_ymd(year, 12, 31).expect("a day"), 11).expect("parts in range");
        assert_eq!(CitizenId::parse(&number.text()), Err(NumberError::Dummy));
    }
}

/// Other patterns are no calendar day, or have a wrong check character.
#[rstest]
#[case("123456789012345")]
#[case("000000000000000")]
#[case("999999999999999")]
#[case("111111111111111111")]
#[case("000000000000000000")]
#[case("123456789012345678")]
#[case("320000190001010")]
#[case("222222222222222")]
fn patterns_are_no_numbers(#[case] text: &str) {
    assert!(CitizenId::parse(text).is_err());
}

#[rstest]
#[case("320102000101057")] // born on the default day, with a sequence somebody assigned
#[case("222222900307001")] // a county
#[case("654321900307001")] // another
fn rare_numbers_are_somebodys(#[case] text: &str) {
    assert!(CitizenId::parse(text).is_ok());
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
        .prop_filter("somebody has it", |number| !dummy::is_dummy(*number))
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
        prop_assume!(&text[6..8] == "19" && number.digits() % 1000 < 996);
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
