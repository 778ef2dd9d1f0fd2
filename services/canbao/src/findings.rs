//! `findings`: who has open findings (疑点), one line a person, for lists that are worked off.
//!
//! A person is named by their id and a masked number, as in alerts; who may see more asks `canbao person <id>`.

use crate::cursor::Cursor;
use crate::output::{Format, write_out};
use anyhow::Context;
use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::division::City;
use domain::finding::{About, AlertKind, Rule};
use domain::ids::PersonId;
use domain::scheme::Scheme;
use runtime::store::person::about_of;
use runtime::store::read::day;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::types::chrono::NaiveDate;
use sqlx::{PgPool, Row};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Which findings are meant; without any all.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Kinds; all when empty.
    pub kinds: Vec<AlertKind>,
    /// Cities in which persons count; all when empty.
    pub cities: Vec<City>,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated, with a heading, for spreadsheets.
    Csv,
    /// As other reports: text, or a JSON object a line.
    Report(Format),
}

/// A person with open findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The person's id.
    pub person: String,
    /// Their number, masked.
    pub number: Option<String>,
    /// The city in which they count.
    pub city: Option<String>,
    /// Kinds of the findings meant.
    pub kinds: Vec<&'static str>,
    /// Their rules, with the scheme where one is concerned: `never-enrolled:resident-pension`.
    pub findings: Vec<String>,
    /// Since when the oldest of them is so.
    pub since: String,
    /// How many of them subscribers were told.
    pub told: usize,
}

/// An open finding as stored.
struct Open {
    about: About,
    since: Day,
    is_told: bool,
}

impl Open {
    fn rule(&self) -> Option<Rule> {
        Rule::ALL.iter().copied().find(|rule| rule.code() == self.about[0])
    }

    fn text(&self) -> String {
        let rule = self.rule().map_or("unknown rule", Rule::as_str);
        match Scheme::from_code(self.about[1]) {
            Some(scheme) => format!("{rule}:{scheme}"),
            None => rule.to_owned(),
        }
    }
}

const QUERY: &str = "select p.person, p.number, p.region, p.open_about, p.open_since,
       array(select a.about from store.announced a where a.shard = p.shard and a.anchor = p.anchor and a.person = p.person and a.open) as told
from store.person p where p.open_about is not null order by p.shard, p.anchor, p.person";

/// Prints every person with open findings that are meant.
///
/// # Errors
/// When the store does not answer, or standard output cannot be written.
pub async fn print(pool: &PgPool, choice: &Choice, form: Form) -> anyhow::Result<()> {
    // A cursor lives in a transaction: one state of the base, a page of it in memory.
    let mut transaction = pool.begin().await.context("beginning a transaction")?;
    let cursor = Cursor::open(&mut transaction, "findings", "open findings", QUERY).await?;
    if form == Form::Csv && !write_out(&csv_rows([HEADING.map(str::to_owned)])?)? {
        return Ok(());
    }
    loop {
        let page = cursor.page(&mut transaction).await?;
        if page.is_empty() {
            break;
        }
        let lines = page.iter().map(|row| line(row, choice)).collect::<anyhow::Result<Vec<_>>>()?;
        let lines: Vec<Line> = lines.into_iter().flatten().collect();
        if !write_out(&written(&lines, form)?)? {
            return Ok(());
        }
    }
    cursor.close(&mut transaction).await
}

/// `None` when nothing of it is meant.
fn line(row: &PgRow, choice: &Choice) -> anyhow::Result<Option<Line>> {
    let person = PersonId::from_slice(row.try_get("person")?).context("an id of a person that cannot be read")?;
    let number = row
        .try_get::<Option<i64>, _>("number")?
        .and_then(|digits| CitizenId::from_digits(digits as u64).ok());
    let city = row
        .try_get::<Option<i16>, _>("region")?
        .and_then(|region| City::from_code(region.unsigned_abs()));
    let (about, told): (Vec<i16>, Vec<i16>) = (row.try_get("open_about")?, row.try_get("told")?);
    let since: Vec<NaiveDate> = row.try_get("open_since")?;
    let open = about.iter().zip(since).map(|(about, since)| Open {
        about: about_of(*about),
        since: day(since),
        is_told: told.contains(about),
    });
    Ok(meant(choice, city, open).map(|open| of_person(person, number, city, &open)))
}

/// The findings meant of somebody who counts in a city; `None` when there are none.
fn meant(choice: &Choice, city: Option<City>, open: impl Iterator<Item = Open>) -> Option<Vec<Open>> {
    let is_there = choice.cities.is_empty() || city.is_some_and(|city| choice.cities.contains(&city));
    let of_kind = |open: &Open| {
        let kind = open.rule().map(Rule::alert_kind);
        choice.kinds.is_empty() || kind.is_some_and(|kind| choice.kinds.contains(&kind))
    };
    let open: Vec<Open> = open.filter(|open| is_there && of_kind(open)).collect();
    (!open.is_empty()).then_some(open)
}

fn of_person(person: PersonId, number: Option<CitizenId>, city: Option<City>, open: &[Open]) -> Line {
    let kinds: BTreeSet<AlertKind> = open.iter().filter_map(Open::rule).map(Rule::alert_kind).collect();
    Line {
        person: person.to_string(),
        number: number.map(CitizenId::masked),
        city: city.map(|city| format!("{:04}", city.code())),
        kinds: kinds.into_iter().map(AlertKind::as_str).collect(),
        findings: open.iter().map(Open::text).collect(),
        since: open
            .iter()
            .map(|open| open.since)
            .min()
            .map_or_else(String::new, |since| since.to_string()),
        told: open.iter().filter(|open| open.is_told).count(),
    }
}

const HEADING: [&str; 7] = ["person", "number", "city", "kinds", "findings", "since", "told"];

fn written(lines: &[Line], form: Form) -> anyhow::Result<String> {
    match form {
        Form::Csv => csv_rows(lines.iter().map(cells)),
        Form::Report(Format::Json) => lines
            .iter()
            .map(|line| Ok(format!("{}\n", serde_json::to_string(line)?)))
            .collect(),
        Form::Report(Format::Text) => {
            let mut text = String::new();
            for line in lines {
                let [person, number, city, kinds, findings, since, told] = cells(line);
                let rest = format!("since {since} told {told:<2} {kinds} ({findings})");
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{person} {number:<18} {city:<4} {rest}");
            }
            Ok(text)
        }
    }
}

fn cells(line: &Line) -> [String; 7] {
    [
        line.person.clone(),
        line.number.clone().unwrap_or_default(),
        line.city.clone().unwrap_or_default(),
        line.kinds.join(" "),
        line.findings.join(" "),
        line.since.clone(),
        line.told.to_string(),
    ]
}

fn csv_rows(rows: impl IntoIterator<Item = [String; 7]>) -> anyhow::Result<String> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.map(inert))?;
    }
    let bytes = writer.into_inner().context("writing a line")?;
    Ok(String::from_utf8(bytes)?)
}

/// A cell that no spreadsheet takes for a formula: what begins like one is text by the apostrophe before it.
fn inert(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{cell}")
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open(rule: Rule, scheme: u8, since: i32, is_told: bool) -> Open {
        Open {
            about: [rule.code(), scheme],
            since: Day(since),
            is_told,
        }
    }

    fn all() -> Vec<Open> {
        vec![
            open(Rule::NeverEnrolled, Scheme::ResidentPension.code(), 20_000, true),
            open(Rule::Lapsed, Scheme::ResidentMedical.code(), 19_000, false),
            open(Rule::AfterDeath, 0, 20_100, true),
        ]
    }

    #[test]
    fn a_person_is_one_line_of_what_is_meant() {
        let city = City::from_code(3201);
        let choose = |kinds: Vec<AlertKind>, cities: Vec<City>| meant(&Choice { kinds, cities }, city, all().into_iter());
        let everything = choose(Vec::new(), Vec::new()).expect("three findings");
        let number = CitizenId::from_parts(320_102, Day(7_000), 11);
        let line = of_person(PersonId([1; 16]), number, city, &everything);
        assert_eq!((line.kinds.join(" "), line.told), ("unenrolled after-death".to_owned(), 2));
        assert_eq!(line.since, Day(19_000).to_string());
        assert!(!format!("{line:?}").contains(&number.expect("a number").text()));
        let few = choose(vec![AlertKind::AfterDeath], city.into_iter().collect()).expect("one");
        assert_eq!(of_person(PersonId([1; 16]), None, city, &few).findings, ["after-death"]);
        assert!(choose(vec![AlertKind::Identity], Vec::new()).is_none());
        assert!(choose(Vec::new(), vec![City::PROVINCE]).is_none());
        let csv = written(&[line], Form::Csv).expect("text");
        assert!(
            csv.contains(",3201,unenrolled after-death,\"") || csv.contains(",3201,unenrolled after-death,never-enrolled:"),
            "{csv}"
        );
    }

    proptest! {
        /// What is written is read again cell by cell, and no cell begins a formula.
        #[test]
        fn cells_are_text(cells in proptest::array::uniform7("[=+@\t\"',;a-z\r\n-]{0,12}")) {
            let text = csv_rows([cells.clone()]).expect("text");
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let row = reader.records().next().expect("a row").expect("cells");
            for (read, cell) in row.iter().zip(cells) {
                prop_assert!(!read.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
                prop_assert!(read == cell || read.strip_prefix('\'') == Some(&cell));
            }
        }
    }
}
