//! Employers (用人单位), made alone from the seed, a city and a number.

use rand::Rng;

use crate::random::{Purpose, skewed, stream, weighted};
use crate::tables::{Ab01, code, owned};

/// Characters of unified social credit codes by value (GB 32100).
const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
/// Weights of their first 17 characters.
const WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
/// Weights of the first eight characters of organisation codes (GB 11714).
const ORGANISATION_WEIGHTS: [usize; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
/// Employer types with their share among a hundred units: enterprise, government, public institution, sole trader.
const KINDS: [(&str, u32); 4] = [("10", 84), ("20", 2), ("30", 5), ("50", 9)];
/// Fancy parts of company names.
const FANCY: [&str; 12] = [
    "华信", "恒达", "金陵", "苏源", "瑞丰", "天成", "宏业", "新联", "东升", "正泰", "博远", "嘉禾",
];
/// Trades of company names.
const TRADES: [&str; 8] = ["电子", "纺织", "机械", "软件", "物流", "餐饮", "建筑", "化工"];

/// An employer.
#[derive(Clone)]
pub(crate) struct Employer {
    /// The city whose system knows it; 3200 for those that pay at the provincial level.
    pub(crate) city: u16,
    /// Unit number, unique in its city.
    pub(crate) unit: String,
    /// Unified social credit code.
    pub(crate) code: String,
    /// Name.
    pub(crate) name: String,
    /// Type: `10`, `20`, `30`, `50`.
    pub(crate) kind: &'static str,
    /// Division, six digits.
    pub(crate) division: u32,
}

impl Employer {
    /// The `number`-th employer of a city; `place` is the city's name, `divisions` its counties.
    pub(crate) fn new(seed: u64, city: u16, number: u32, place: &str, divisions: &[u32]) -> Self {
        let mut rng = stream(seed, Purpose::Employer, u64::from(city) << 32 | u64::from(number));
        let kind = KINDS[weighted(&mut rng, KINDS.iter().map(|(_, weight)| *weight))].0;
        let division = divisions[rng.random_range(0..divisions.len().max(1))];
        let fancy = FANCY[rng.random_range(0..FANCY.len())];
        let trade = TRADES[rng.random_range(0..TRADES.len())];
        let name = match kind {
            "20" => format!("{place}第{number}行政局"),
            "30" => format!("{place}第{number}实验学校"),
            "50" => format!("{place}{fancy}{trade}经营部{number}"),
            _ => format!("{place}{fancy}{number}{trade}有限公司"),
        };
        let unit = format!("U{city}{number:07}");
        Self {
            city,
            unit,
            code: credit_code(kind, division, city, number),
            name,
            kind,
            division,
        }
    }

    /// The row of the employer's city; one in twenty is still known by its organisation code.
    pub(crate) fn row(&self) -> Ab01 {
        let old = self.unit.ends_with('7') && self.unit.as_bytes()[self.unit.len() - 2].is_multiple_of(2);
        Ab01 {
            aab001: self.unit.clone().into(),
            aab003: owned(if old { &self.code[8..17] } else { &self.code[..] }),
            aab004: owned(self.name.clone()),
            aab019: code(self.kind),
            aab301: owned(self.division.to_string()),
        }
    }
}

/// The number of some employer among `count`: the first ones employ most people.
pub(crate) fn pick(rng: &mut impl Rng, count: u32) -> u32 {
    skewed(rng, count as usize) as u32
}

/// A valid unified social credit code.
fn credit_code(kind: &str, division: u32, city: u16, number: u32) -> String {
    let registrar = match kind {
        "20" => "11",
        "30" => "12",
        "50" => "92",
        _ => "91",
    };
    let organisation = format!("{:08}", u64::from(city % 100) * 5_000_000 + u64::from(number % 5_000_000));
    let sum: usize = organisation
        .bytes()
        .zip(ORGANISATION_WEIGHTS)
        .map(|(digit, weight)| usize::from(digit - b'0') * weight)
        .sum();
    let check = match 11 - sum % 11 {
        10 => 'X',
        11 => '0',
        digit => char::from(b'0' + digit as u8),
    };
    let stem = format!("{registrar}{division:06}{organisation}{check}");
    let value = |byte| ALPHABET.iter().position(|known| *known == byte).unwrap_or(0);
    let sum: usize = stem.bytes().zip(WEIGHTS).map(|(byte, weight)| value(byte) * weight).sum();
    format!("{stem}{}", char::from(ALPHABET[(31 - sum % 31) % 31]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::employer_code::EmployerCode;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_valid_and_differ() {
        let mut seen = BTreeSet::new();
        for number in 0..3_000 {
            let employer = Employer::new(7, 3201, number, "南京市", &[320_102, 320_104]);
            assert!(EmployerCode::parse(&employer.code).is_ok());
            assert!(EmployerCode::parse(&employer.code[8..17]).is_ok());
            assert!(seen.insert(employer.code));
        }
    }
}
