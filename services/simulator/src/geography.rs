//! Where the people live: the counties of Jiangsu, each with a range of person indices.

use domain::date::Day;
use domain::division::{City, Division};

/// Usual residents by city, in ten thousands (2020 census, rounded): 3201 to 3213.
const RESIDENTS: [u64; 13] = [931, 746, 908, 528, 1275, 773, 460, 456, 671, 456, 321, 451, 499];
/// The provincial level 省本级: human resources only.
pub(crate) const PROVINCE: u16 = 3200;

/// A county 县（市、区） and the persons that belong to it.
pub(crate) struct County {
    /// Its six digits.
    pub(crate) code: u32,
    /// Its city's four digits.
    pub(crate) city: u16,
    /// Its city's name.
    pub(crate) city_name: &'static str,
    /// Its name.
    pub(crate) name: &'static str,
    /// The first person's index; a multiple of the block size.
    pub(crate) start: u64,
    /// Birth dates of the county's persons are spread over this many residues, so that with 500 sequence numbers per sex
    /// no two persons share a number.
    pub(crate) residues: u64,
}

/// The counties in force on a day, with `residents` persons spread over them in proportion to their cities, in blocks of `block`.
pub(crate) fn counties(residents: u64, block: u64, today: Day) -> Vec<County> {
    let cities = City::all().filter(|city| *city != City::PROVINCE).zip(RESIDENTS);
    let total: u64 = RESIDENTS.iter().sum();
    let mut counties = Vec::new();
    let mut before = 0_u64;
    for (city, weight) in cities {
        let members = counties_of(city, today);
        let share = members.len() as u64;
        for (at, (code, name)) in members.into_iter().enumerate() {
            // 128 bits: 85 million residents times the weights of all counties does not fit 64 comfortably.
            let reached = u128::from(before * share + weight * at as u64) * u128::from(residents);
            let start = (reached / u128::from(total * share)) as u64 / block * block;
            counties.push(County {
                code,
                city: city.code(),
                city_name: city.name(),
                name,
                start,
                residues: 1,
            });
        }
        before += weight;
    }
    for at in 0..counties.len() {
        let end = counties.get(at + 1).map_or(residents, |next| next.start);
        let size = end.saturating_sub(counties[at].start) + block;
        counties[at].residues = size.div_ceil(500).next_power_of_two();
    }
    counties
}

/// Codes and names of a city's counties in force on a day; the collective 市辖区 is nobody's home.
fn counties_of(city: City, today: Day) -> Vec<(u32, &'static str)> {
    (1..100)
        .filter_map(|county| {
            let code = u32::from(city.code()) * 100 + county;
            let name = Division::of_county(code).ok()?.name(today)?;
            (name != "市辖区").then_some((code, name))
        })
        .collect()
}

/// The division of a migrant from outside the province: one of its own for each county of residence, so that numbers stay unique.
/// Counties of Anhui (34), Henan (41) and Sichuan (51) take turns.
pub(crate) fn outside(county_at: usize) -> u32 {
    let at = county_at as u32;
    [34, 41, 51][county_at % 3] * 10_000 + (at / 3 % 12 + 1) * 100 + at / 36 + 21
}

/// The street and village part of a 12-digit division.
pub(crate) fn village(code: u32, number: u64) -> String {
    format!("{code:06}{:03}{:03}", number % 12 + 1, number / 12 % 20 + 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_city_has_counties_and_its_share() {
        let today = Day::from_ymd(2026, 11, 24).expect("a day");
        let counties = counties(100_000, 8, today);
        assert!((90..=100).contains(&counties.len()), "{}", counties.len());
        let cities: BTreeSet<u16> = counties.iter().map(|county| county.city).collect();
        assert_eq!(cities.len(), 13);
        assert_eq!(counties[0].start, 0);
        assert!(counties.is_sorted_by_key(|county| county.start));
        let suzhou = counties.iter().position(|county| county.city == 3205).expect("there");
        let nantong = counties.iter().position(|county| county.city == 3206).expect("there");
        let share = counties[nantong].start - counties[suzhou].start;
        assert!((14_500..15_500).contains(&share), "{share}");
        let outsides: BTreeSet<u32> = (0..counties.len()).map(outside).collect();
        assert_eq!(outsides.len(), counties.len());
    }
}
