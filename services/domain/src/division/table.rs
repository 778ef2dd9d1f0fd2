//! The codes of Jiangsu through the years; see `data/README.md` for the source.

use std::sync::LazyLock;

/// A code with one name, in the years it was in force.
pub(super) struct Row {
    /// Six digits.
    pub(super) code: u32,
    pub(super) name: &'static str,
    /// The code counts from 1 January of this year.
    pub(super) first_year: i32,
    /// The code counts until 31 December of this year; `i32::MAX` while in force.
    pub(super) last_year: i32,
    /// The code of the year after the last that took this one's place alone.
    pub(super) successor: Option<u32>,
}

/// Sorted by code, then time.
static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let lines = include_str!("../../data/divisions.csv").lines().skip(1);
    lines
        .map(|line| row(line).expect("the table of divisions is well formed"))
        .collect()
});

fn row(line: &'static str) -> Option<Row> {
    let mut fields = line.split(',');
    let mut field = || fields.next();
    Some(Row {
        code: field()?.parse().ok()?,
        name: field()?,
        first_year: year(field()?, i32::MIN)?,
        last_year: year(field()?, i32::MAX)?,
        successor: match field()? {
            "" => None,
            code => Some(code.parse().ok()?),
        },
    })
}

fn year(text: &str, open: i32) -> Option<i32> {
    if text.is_empty() { Some(open) } else { text.parse().ok() }
}

fn rows_of(code: u32) -> &'static [Row] {
    let start = ROWS.partition_point(|row| row.code < code);
    let length = ROWS[start..].partition_point(|row| row.code == code);
    &ROWS[start..start + length]
}

/// The row of a code that is in force in a year.
pub(super) fn in_force(code: u32, year: i32) -> Option<&'static Row> {
    rows_of(code)
        .iter()
        .find(|row| (row.first_year..=row.last_year).contains(&year))
}

/// The last row of a code that had begun by a year.
pub(super) fn latest(code: u32, year: i32) -> Option<&'static Row> {
    rows_of(code).iter().rfind(|row| row.first_year <= year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_does_not_overlap() {
        for pair in ROWS.windows(2) {
            let (one, two) = (&pair[0], &pair[1]);
            assert!(one.code < two.code || one.code == two.code && one.last_year < two.first_year);
        }
        assert!(ROWS.iter().all(|row| row.first_year <= row.last_year && !row.name.is_empty()));
    }

    #[test]
    fn successors_begin_where_their_predecessors_end() {
        for row in ROWS.iter() {
            if let Some(successor) = row.successor {
                assert!(in_force(successor, row.last_year + 1).is_some(), "{}", row.code);
            }
        }
    }

    #[test]
    fn jiangsu_has_13_cities_and_95_counties() {
        // 01 is the pseudo-county 市辖区 of each city.
        let current = || ROWS.iter().filter(|row| row.last_year == i32::MAX && row.code > 320_000);
        assert_eq!(current().filter(|row| row.code % 100 == 0).count(), 13);
        assert_eq!(current().filter(|row| row.code % 100 > 1).count(), 95);
    }
}
