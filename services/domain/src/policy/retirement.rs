//! Retirement ages before and from 2025.

use crate::date::{Day, Month};
use crate::facts::Post;
use crate::sex::Sex;

/// One of the three ways to retirement (退休年龄档次).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetirementPath {
    /// The age in years before the reform.
    pub age: i32,
    /// The age in years at which the rise stops.
    pub cap: i32,
    /// The age rises by one month for every so many months of birth that began.
    pub step: i32,
}

/// The retirement rules (法定退休年龄).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetirementRules {
    /// Whoever reaches the old age before this month keeps it.
    pub reform: Month,
    /// Men.
    pub men: RetirementPath,
    /// Women in a cadre's post.
    pub women_cadre: RetirementPath,
    /// Women in a worker's post.
    pub women_worker: RetirementPath,
}

impl RetirementRules {
    /// The day on which a person has reached the retirement age.
    ///
    /// Where the post of a woman or the sex is unknown, the earliest day it can be: nothing is claimed of who may have retired.
    pub fn day(&self, birth: Day, sex: Option<Sex>, post: Option<Post>) -> Day {
        let path = match (sex, post) {
            (Some(Sex::Male), _) => self.men,
            (_, Some(Post::Cadre)) => self.women_cadre,
            _ => self.women_worker,
        };
        let months = path.age * 12 + self.delay(path, birth.month());
        months_later(birth, months)
    }

    /// By how many months the age of who was born in a month is raised.
    fn delay(&self, path: RetirementPath, birth: Month) -> i32 {
        let old = birth.add_months(path.age * 12);
        let since = old.months_since(self.reform);
        if since < 0 {
            0
        } else {
            (since / path.step + 1).min((path.cap - path.age) * 12)
        }
    }
}

/// The same day so many months later; the first of the next month where a month is too short, as for birthdays.
fn months_later(day: Day, months: i32) -> Day {
    let month = day.month().add_months(months);
    let (_, _, of_month) = day.ymd();
    let same = month.first_day().plus(of_month as i32 - 1);
    same.min(month.last_day().plus(1))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::policy::Policy;

    /// Vectors of the decision of 2024-09-13 (RULES.md, Retirement), and the ages before 2025.
    #[rstest]
    #[case::men("1965-01-15", Sex::Male, None, 60, 1)]
    #[case::men("1965-05-01", Sex::Male, None, 60, 2)]
    #[case::men("1976-09-30", Sex::Male, None, 63, 0)]
    #[case::men_are_never_workers("1990-01-01", Sex::Male, Some(Post::Worker), 63, 0)]
    #[case::before("1964-12-31", Sex::Male, None, 60, 0)]
    #[case::women_50("1975-01-10", Sex::Female, Some(Post::Worker), 50, 1)]
    #[case::women_50("1975-03-10", Sex::Female, Some(Post::Worker), 50, 2)]
    #[case::women_50("1984-11-10", Sex::Female, Some(Post::Worker), 55, 0)]
    #[case::women_50_before("1974-12-10", Sex::Female, Some(Post::Worker), 50, 0)]
    #[case::women_55("1970-01-10", Sex::Female, Some(Post::Cadre), 55, 1)]
    #[case::women_55("1969-12-10", Sex::Female, Some(Post::Cadre), 55, 0)]
    #[case::women_55("1990-01-10", Sex::Female, Some(Post::Cadre), 58, 0)]
    #[case::post_unknown("1990-01-10", Sex::Female, None, 55, 0)]
    fn ages(#[case] birth: Day, #[case] sex: Sex, #[case] post: Option<Post>, #[case] years: i32, #[case] months: i32) {
        let day = Policy::embedded().retirement.day(birth, Some(sex), post);
        assert_eq!(day, months_later(birth, years * 12 + months));
    }

    #[rstest]
    #[case("2000-01-31", 1, "2000-03-01")]
    #[case("2000-01-31", 2, "2000-03-31")]
    #[case("2001-12-05", 13, "2003-01-05")]
    fn short_months(#[case] day: Day, #[case] months: i32, #[case] expected: Day) {
        assert_eq!(months_later(day, months), expected);
    }
}
