//! Names read and compared.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use NameMatch::{Different, Exchanged, Same, Wildcard};

fn name(raw: &str) -> Name {
    Name::parse(raw).expect("a name")
}

#[rstest]
#[case("张 三", "张三")]
#[case("\u{3000}张\u{200b}三\u{feff}", "张三")]
#[case("迪丽热巴•买买提", "迪丽热巴·买买提")]
#[case("迪丽热巴‧买买提", "迪丽热巴·买买提")]
#[case("迪丽热巴・买买提", "迪丽热巴·买买提")]
#[case("迪丽热巴･买买提", "迪丽热巴·买买提")]
#[case("迪丽热巴∙买买提", "迪丽热巴·买买提")]
#[case("迪丽热巴⋅买买提", "迪丽热巴·买买提")]
#[case("迪丽热巴．买买提", "迪丽热巴·买买提")]
#[case("迪丽热巴 . 买买提", "迪丽热巴·买买提")]
#[case("J.SMITH", "J.SMITH")]
#[case("王\u{e863}", "王\u{4dae}")]
#[case("王\u{e816}", "王\u{20087}")]
#[case("王\u{e81e}\u{e864}", "王\u{9fb4}\u{9fbb}")]
#[case("王\u{e900}", "王\u{e900}")] // a vendor's own
#[case("ＪＯＨＮ", "JOHN")]
fn canonical_form(#[case] raw: &str, #[case] canonical: &str) {
    let name = name(raw);
    assert_eq!(name.reveal(), canonical);
    assert_eq!(name.reveal_raw(), raw);
    assert_eq!(name.raw.is_none(), raw == canonical);
}

#[rstest]
#[case("张三", "张三", Same)]
#[case("張三丰", "张三丰", Same)]
#[case("劉鍾傑", "刘钟杰", Same)]
#[case("john", "JOHN", Same)]
#[case("张三", "张四", Different)]
#[case("张三", "张三丰", Different)]
#[case("张乾", "张干", Exchanged)] // both are simplified
#[case("陈玨", "陈珏", Exchanged)]
#[case("聂喦", "聂岩", Exchanged)]
#[case("周㐂", "周喜", Exchanged)]
#[case("李昦", "李昊", Exchanged)]
#[case("阿不都&middot;热合曼", "阿不都·热合曼", Same)]
#[case("阿不都&#183;热合曼", "阿不都热合曼", Same)]
#[case("陶&#21894;", "陶喆", Same)]
#[case("张?", "张喆", Wildcard)]
#[case("张？", "张喆", Wildcard)]
#[case("张□丰", "张三丰", Wildcard)]
#[case("張■丰", "张三丰", Wildcard)]
#[case("张*", "张三丰", Different)] // exactly one character
#[case("张\u{e900}", "张喆", Wildcard)]
#[case("张\u{e900}", "张\u{e900}", Wildcard)]
#[case("张zhe", "张喆", Wildcard)]
#[case("张ＺＨＥ丰", "张喆丰", Wildcard)]
#[case("张lü", "张吕", Wildcard)]
#[case("张sanfeng", "张三丰", Different)]
#[case("张（吉加吉）", "张喆", Wildcard)]
#[case("张(吉+吉)丰", "张喆丰", Wildcard)]
#[case("张(吉)丰", "张喆丰", Different)]
#[case("??", "张三", Different)]
#[case("?三", "张四", Different)]
#[case("JOHN?", "JOHNS", Wildcard)]
#[case("zhang", "张", Different)]
fn comparison(#[case] one: &str, #[case] two: &str, #[case] expected: NameMatch) {
    assert_eq!(name(one).compare(&name(two)), expected);
    assert_eq!(name(two).compare(&name(one)), expected);
}

/// What registers write for the dot of a minority name.
#[rstest]
fn separators_do_not_count(
    #[values(
        "·", "•", ".", "\u{ff0e}", "\u{2027}", "\u{30fb}", "\u{ff65}", "", " ", "\u{3000}", "-", "\u{ff0d}", "—", "。",
        "\u{ff61}", "●", "○", "˙", "\u{ff64}", "、", "··", "· ", ",", "，", "_", "/", "\u{1427}", "⸱", "\u{a78f}", "\u{318d}",
        "丶", "∙", "⋅", "°", "'", "᛫", "\u{a0}", "|", "~"
    )]
    dot: &str,
) {
    let with_dot = name("买合木提·吐尔逊");
    let typed = name(&format!("买合木提{dot}吐尔逊"));
    assert_eq!(with_dot.compare(&typed), Same);
    assert_eq!(typed.compare(&with_dot), Same);
    assert_eq!(with_dot.match_keys(), typed.match_keys());
    assert_eq!(name(&format!("买合木提·吐尔逊{dot}")).compare(&typed), Same);
    assert_eq!(name(&format!("买合木提{dot}吐尔洪")).compare(&with_dot), Different);
    assert_eq!(with_dot.reveal(), "买合木提·吐尔逊");
}

#[rstest]
#[case("买合木提?吐尔逊", "买合木提·吐尔逊", Wildcard)] // the dot could not be written
#[case("买合木提·吐尔?", "买合木提吐尔逊", Wildcard)]
#[case("买合木提•吐尔（孙加走）", "买合木提.吐尔逊", Wildcard)]
#[case("?·?", "张·三", Different)] // a dot is no evidence
#[case("·", "-", Different)]
#[case("买合木提·吐尔逊", "吐尔逊·买合木提", Different)] // the order says who is whose child
fn separators_and_placeholders(#[case] one: &str, #[case] two: &str, #[case] expected: NameMatch) {
    assert_eq!(name(one).compare(&name(two)), expected);
    assert_eq!(name(two).compare(&name(one)), expected);
}

#[rstest]
#[case("赵锺岳", "赵钟岳", Exchanged)]
#[case("趙鍾岳", "赵锺岳", Exchanged)]
#[case("孙昇", "孙升", Exchanged)]
#[case("孙陞", "孙升", Exchanged)]
#[case("孙陞", "孙昇", Exchanged)]
#[case("周堃", "周坤", Exchanged)]
#[case("郑喆", "郑哲", Exchanged)]
#[case("冯珮", "冯佩", Exchanged)]
#[case("褚邨", "褚村", Exchanged)]
#[case("卫旂", "卫旗", Same)]
#[case("蒋汎", "蒋泛", Same)]
#[case("甯一", "宁一", Exchanged)]
#[case("韩徵", "韩征", Exchanged)]
#[case("闫一", "阎一", Exchanged)]
#[case("肖一", "萧一", Exchanged)]
#[case("杨峯", "杨峰", Same)]
#[case("髙一", "高一", Same)]
#[case("朱靑", "朱青", Same)]
#[case("秦戶", "秦户", Same)]
#[case("秦戸", "秦户", Same)]
#[case("尤⺠", "尤民", Same)]
#[case("⻢一", "马一", Same)]
#[case("许⻓", "许长", Same)]
#[case("⼀⼭", "一山", Same)]
#[case("⻰一", "龙一", Same)]
#[case("何⻅", "何见", Same)]
#[case("施⻋⺠", "施车民", Same)]
#[case("⻢·⻰昇", "马龙升", Exchanged)]
#[case("⻢?昇", "马一升", Wildcard)]
#[case("孙昇", "孙坤", Different)]
#[case("孔李", "孔季", Different)]
fn variants(#[case] one: &str, #[case] two: &str, #[case] expected: NameMatch) {
    assert_eq!(name(one).compare(&name(two)), expected);
    assert_eq!(name(two).compare(&name(one)), expected);
    assert_eq!(
        name(one).match_keys() == name(two).match_keys(),
        matches!(expected, Same | Exchanged)
    );
    assert_eq!(Name::parse(one).expect("a name").reveal_raw(), one);
}

#[rstest]
#[case("MILLER, ANNA", "Anna Miller", Same)]
#[case("MILLER ANNA MARIA", "Anna-Maria MILLER", Same)]
#[case("Miller·Anna", "anna miller", Same)]
#[case("MILLER ANNA", "MILLERANNA", Same)] // one register wrote no space
#[case("ANNA MILLER", "MILLERANNA", Different)]
#[case("ANNA MARIA MILLER", "ANNA MILLER", Different)]
#[case("ANNA ANNA MILLER", "ANNA MILLER", Different)]
#[case("ANNA MULLER", "ANNA MILLER", Different)]
fn foreign_names(#[case] one: &str, #[case] two: &str, #[case] expected: NameMatch) {
    assert_eq!(name(one).compare(&name(two)), expected);
    assert_eq!(name(two).compare(&name(one)), expected);
}

#[rstest]
#[case("张小伟", "张晓伟", true)]
#[case("张伟", "张小伟", true)]
#[case("張偉", "张伟", true)]
#[case("张?伟", "张小伟", true)]
#[case("李娜", "李那", true)]
#[case("张小伟", "张大为", false)]
#[case("张三", "李四", false)]
#[case("张", "李", false)]
#[case("张张", "张张张", true)]
fn near(#[case] one: &str, #[case] two: &str, #[case] expected: bool) {
    assert_eq!(name(one).is_near(&name(two)), expected);
    assert_eq!(name(two).is_near(&name(one)), expected);
}

#[rstest]
#[case("", NameError::Empty)]
#[case(" \u{3000}\u{200b}", NameError::Empty)]
#[case(&"王".repeat(101), NameError::TooLong)]
fn no_names(#[case] raw: &str, #[case] error: NameError) {
    assert_eq!(Name::parse(raw), Err(error));
}

#[rstest]
#[case("赵锺昇", "赵钟升", &[('锺', '钟'), ('昇', '升')])]
#[case("⻢·⻰昇", "马龙升", &[('昇', '升')])]
#[case("JOSE MARÍA", "JOSE MARIA", &[('Í', 'I')])]
#[case("MÜLLER, HANS", "Hans Muller", &[])]
#[case("孙昇", "孫昇", &[])]
#[case("孙昇", "李升", &[])]
fn exchanged_characters(#[case] one: &str, #[case] two: &str, #[case] expected: &[(char, char)]) {
    let [one, two] = [one, two].map(name);
    assert_eq!(one.exchanged(&two), expected);
    let back: Vec<(char, char)> = two.exchanged(&one).into_iter().map(|(one, two)| (two, one)).collect();
    assert_eq!(back, expected);
}

#[test]
fn prints_nothing_personal() {
    assert_eq!(format!("{:?}", name("张 三")), "***");
}

proptest! {
    #[test]
    fn canonical_form_is_stable(raw in "[张張.．•·a-zé ()加?\u{e815}-\u{e864}]{0,8}|\\PC{0,12}") {
        if let Ok(name) = Name::parse(&raw) {
            let again = Name::parse(name.reveal()).expect("a canonical name is a name");
            prop_assert_eq!(again.reveal(), name.reveal());
            prop_assert!(again.raw.is_none());
            prop_assert_eq!(again.key(), name.key());
            prop_assert_eq!(name.compare(&again), name.compare(&name));
        }
    }

    #[test]
    fn comparison_is_symmetric(one in "[张張三?（）加a-c]{1,6}", two in "[张張三?（）加a-c]{1,6}") {
        let (one, two) = (name(&one), name(&two));
        prop_assert_eq!(one.compare(&two), two.compare(&one));
        let shared = one.match_keys().0 == two.match_keys().0;
        prop_assert!(!matches!(one.compare(&two), Same | Exchanged) || shared);
    }
}

/// Registers write the marks of Latin letters or leave them out; foreigners' parts stand in any order.
#[rstest]
#[case("MÜLLER, HANS", "Hans Muller", Exchanged)]
#[case("Søren Ångström", "SOREN ANGSTROM", Exchanged)]
#[case("José María", "JOSE MARIA", Exchanged)]
#[case("NGUYỄN VĂN ĐỨC", "NGUYEN VAN DUC", Exchanged)]
#[case("MÜLLER, HANS", "müller hans", Same)]
#[case("MÜLLER", "MILLER", Different)]
fn marks_of_latin_letters(#[case] one: &str, #[case] two: &str, #[case] expected: NameMatch) {
    let [one, two] = [one, two].map(name);
    assert_eq!([one.compare(&two), two.compare(&one)], [expected; 2]);
    let (left, right) = (one.match_keys(), two.match_keys());
    let shared = left.0 == right.0 || left.1.is_some() && left.1 == right.1;
    assert_eq!(shared, expected != Different);
}
