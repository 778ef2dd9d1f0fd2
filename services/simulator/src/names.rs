//! Names with the skew of real ones: a few surnames cover most people, given names follow the generation.

use rand::Rng;

use crate::random::{chance, skewed, weighted};

/// The hundred most frequent surnames, in order; the first five cover three tenths of the people.
const SURNAMES: &str = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎\
余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文";
/// Double surnames 复姓, one person in a thousand.
const DOUBLE_SURNAMES: [&str; 4] = ["欧阳", "司马", "上官", "诸葛"];

/// Given-name characters of men and women by generation: born before 1970, before 1990, later.
const GIVEN: [[&str; 2]; 3] = [
    [
        "国建明华德志文荣春海林祥福金根宝生平永庆兴发龙元有",
        "秀英兰珍玉凤桂芳素梅美琴红香云霞巧翠莲娣银菊妹",
    ],
    [
        "伟军强磊勇涛斌杰鹏超波辉刚峰俊东亮飞宁海洋浩健",
        "丽敏静燕娟艳霞玲芳洁萍婷雪梅莉颖琳佳慧倩蓉晶",
    ],
    [
        "宇轩浩子泽晨俊文博睿梓豪嘉天佑铭辰逸然昊皓一",
        "欣怡梓涵诗雨佳萱思琪语彤可馨雅婷晨悦一诺妍",
    ],
];
/// Characters that old systems could not write, see [`crate::view`].
pub(crate) const RARE: [char; 5] = ['喆', '堃', '翀', '犇', '珺'];

/// Given names of Uyghurs; a full name is one's own and the father's, with a dot between.
const UYGHUR: [[&str; 6]; 2] = [
    ["阿卜杜拉", "买买提", "艾合买提", "吐尔逊", "玉素甫", "依明"],
    ["古丽娜尔", "阿依古丽", "帕提古丽", "热孜万", "迪丽努尔", "茹仙古丽"],
];
/// Ethnic groups seen in Jiangsu besides the Han, GB/T 3304 codes with their weights: Hui, Tujia, Miao, Man, Uyghur, Mongol.
const MINORITIES: [(u8, u32); 6] = [(3, 50), (15, 12), (6, 14), (11, 8), (5, 12), (2, 4)];
/// GB/T 3304 code of the Uyghurs.
const UYGHURS: u8 = 5;

/// A GB/T 3304 ethnicity 民族: 99.4 % Han.
pub(crate) fn ethnicity(rng: &mut impl Rng) -> u8 {
    if chance(rng, 0.994) {
        return 1;
    }
    MINORITIES[weighted(rng, MINORITIES.iter().map(|(_, weight)| *weight))].0
}

/// A surname; empty for a group whose names have none.
pub(crate) fn surname(rng: &mut impl Rng, ethnicity: u8) -> &'static str {
    if ethnicity == UYGHURS {
        return "";
    }
    if chance(rng, 0.001) {
        return DOUBLE_SURNAMES[rng.random_range(0..DOUBLE_SURNAMES.len())];
    }
    let at = skewed(rng, SURNAMES.len() / 3);
    // Every surname here is one character of three bytes.
    &SURNAMES[at * 3..at * 3 + 3]
}

/// A full name 姓名 for a surname, a sex (true: male) and a year of birth.
pub(crate) fn full(rng: &mut impl Rng, surname: &str, ethnicity: u8, male: bool, born: i32) -> String {
    let sex = usize::from(!male);
    if ethnicity == UYGHURS {
        let own = UYGHUR[sex][rng.random_range(0..6)];
        return format!("{own}·{}", UYGHUR[0][rng.random_range(0..6)]);
    }
    let generation = usize::from(born >= 1970) + usize::from(born >= 1990);
    let mut name = String::from(surname);
    let single = chance(rng, [0.12, 0.25, 0.10][generation]);
    for _ in 0..if single { 1 } else { 2 } {
        let pool = GIVEN[generation][sex];
        let character = if chance(rng, 0.002) {
            RARE[rng.random_range(0..RARE.len())]
        } else {
            let at = skewed(rng, pool.len() / 3);
            pool[at * 3..].chars().next().unwrap_or('明')
        };
        name.push(character);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn a_hundred_surnames_and_some_are_frequent() {
        let all: BTreeSet<char> = SURNAMES.chars().collect();
        assert!(
            all.len() >= 99 && SURNAMES.chars().all(|c| c.len_utf8() == 3),
            "{}",
            all.len()
        );
        let mut rng = stream(1, Purpose::Block, 1);
        let mut counts = BTreeMap::new();
        for _ in 0..10_000 {
            *counts.entry(surname(&mut rng, 1)).or_insert(0) += 1;
        }
        assert!(counts["王"] > 700 && counts["文"] < 150);
    }

    #[test]
    fn names_fit_their_group() {
        let mut rng = stream(1, Purpose::Block, 2);
        assert!(full(&mut rng, "", UYGHURS, false, 1990).contains('·'));
        for born in [1950, 1980, 2010] {
            let name = full(&mut rng, "王", 1, true, born);
            assert!(name.starts_with('王') && (2..=3).contains(&name.chars().count()));
        }
    }
}
