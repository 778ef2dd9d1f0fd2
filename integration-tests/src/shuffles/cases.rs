//! What happens too rarely in a small population: the same people's rows, changed in ways that move records between shards.

use super::population::{Row, RowKey, message, parts, place};
use crate::encode::{Message, envelope};
use anyhow::{Context, ensure};
use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::source::{Agency, Source};
use serde_json::Value;
use std::collections::BTreeMap;

/// People that each kind of case happens to.
const PEOPLE: usize = 3;

/// A kind of case.
#[derive(Debug, Clone, Copy)]
enum Case {
    /// The number is corrected, to another birth date; human resources stay with the old one.
    Corrected,
    /// It is corrected twice; human resources follow the first time.
    Twice,
    /// It is corrected and set back; human resources follow there and back.
    ThereAndBack,
    /// It is corrected there, back and there again, and human resources follow once.
    Again,
    /// The row gets another key along with another number.
    Rekeyed,
    /// The row is deleted, stating its key alone, and written anew with another number.
    Recreated,
    /// Two people swap their numbers.
    Swapped,
}

const CASES: [Case; 7] = [
    Case::Corrected,
    Case::Twice,
    Case::ThereAndBack,
    Case::Again,
    Case::Rekeyed,
    Case::Recreated,
    Case::Swapped,
];

/// Agencies' databases after some messages.
struct Databases {
    on: Day,
    rows: BTreeMap<RowKey, Row>,
    written: Vec<Message>,
}

/// The messages of all cases, to come after `before`.
///
/// # Errors
/// When too few people are there.
pub(super) fn messages(on: Day, before: &[Message]) -> anyhow::Result<Vec<Message>> {
    let mut databases = Databases {
        on,
        rows: BTreeMap::new(),
        written: Vec::new(),
    };
    for message in before {
        if let Some(parts) = parts(message)? {
            match parts.after {
                Some(after) => drop(databases.rows.insert(place(message), after)),
                None => drop(databases.rows.remove(&place(message))),
            }
        }
    }
    // Whoever has an ordinary number and rows at human resources, in the order of the keys.
    let registered: Vec<(RowKey, CitizenId)> = databases
        .rows
        .iter()
        .filter(|((_, table, _), _)| table == "czrk")
        .filter_map(|(key, row)| Some((key.clone(), CitizenId::parse(row.get("gmsfhm")?.as_str()?).ok()?)))
        .filter(|(_, number)| databases.at_human_resources(*number).len() > 1)
        .collect();
    ensure!(
        registered.len() > 2 * PEOPLE * CASES.len(),
        "too few people have rows in several agencies"
    );
    let mut people = registered.into_iter().step_by(2);
    for case in CASES {
        for _ in 0..PEOPLE {
            let (key, number) = people.next().context("people enough")?;
            databases.happen(case, &key, number, &mut people)?;
        }
    }
    Ok(databases.written)
}

impl Databases {
    fn happen(
        &mut self,
        case: Case,
        key: &RowKey,
        number: CitizenId,
        others: &mut impl Iterator<Item = (RowKey, CitizenId)>,
    ) -> anyhow::Result<()> {
        let (one, two) = (other(number, 17)?, other(number, 400)?);
        match case {
            Case::Corrected => self.correct(key, one)?,
            Case::Twice => {
                self.correct(key, one)?;
                self.follow(number, one)?;
                self.correct(key, two)?;
            }
            Case::ThereAndBack => {
                self.correct(key, one)?;
                self.follow(number, one)?;
                self.correct(key, number)?;
                self.follow(one, number)?;
            }
            Case::Again => {
                self.correct(key, one)?;
                self.correct(key, number)?;
                self.correct(key, one)?;
                self.follow(number, one)?;
            }
            Case::Rekeyed => {
                let mut row = self.delete(key, true)?;
                numbered(&mut row, one);
                let mut renamed: Row = serde_json::from_slice(&key.2)?;
                let code = format!("{}9", row.get("rybh").and_then(Value::as_str).context("a key")?);
                row.insert("rybh".to_owned(), code.as_str().into());
                renamed.insert("rybh".to_owned(), code.into());
                let renamed = (key.0, key.1.clone(), serde_json::to_vec(&renamed)?);
                self.write(&renamed, row)?;
            }
            Case::Recreated => {
                let mut row = self.delete(key, false)?;
                numbered(&mut row, two);
                self.write(key, row)?;
                self.follow(number, two)?;
            }
            Case::Swapped => {
                let (other, theirs) = others.next().context("people enough")?;
                self.correct(key, theirs)?;
                self.correct(&other, number)?;
            }
        }
        Ok(())
    }

    /// Public security gives a row another number.
    fn correct(&mut self, key: &RowKey, number: CitizenId) -> anyhow::Result<()> {
        let mut row = self.rows.get(key).context("a row that stands")?.clone();
        numbered(&mut row, number);
        self.write(key, row)
    }

    /// Half of the rows that human resources have under a number get another.
    fn follow(&mut self, from: CitizenId, to: CitizenId) -> anyhow::Result<()> {
        for key in self.at_human_resources(from).into_iter().step_by(2) {
            let mut row = self.rows.get(&key).context("a row that stands")?.clone();
            let column = if row.contains_key("aac002") { "aac002" } else { "aac147" };
            row.insert(column.to_owned(), to.text().into());
            self.write(&key, row)?;
        }
        Ok(())
    }

    fn at_human_resources(&self, number: CitizenId) -> Vec<RowKey> {
        let text = number.text();
        let states = |row: &Row| {
            ["aac002", "aac147"]
                .iter()
                .any(|column| row.get(*column).and_then(Value::as_str) == Some(&text))
        };
        let rows = self
            .rows
            .iter()
            .filter(|((Source { agency, .. }, ..), row)| *agency == Agency::HUMAN_RESOURCES && states(row));
        rows.map(|(key, _)| key.clone()).collect()
    }

    fn write(&mut self, key: &RowKey, row: Row) -> anyhow::Result<()> {
        let before = self.rows.get(key);
        let op = if before.is_some() { "u" } else { "c" };
        let value = envelope(op, before, Some(&row));
        self.rows.insert(key.clone(), row);
        self.say(key, &value)
    }

    /// Deletes a row; the event carries its content, or its key alone, as PostgreSQL's default replica identity does.
    fn delete(&mut self, key: &RowKey, content: bool) -> anyhow::Result<Row> {
        let row = self.rows.remove(key).context("a row that stands")?;
        let key_alone: Row = serde_json::from_slice(&key.2)?;
        self.say(key, &envelope("d", Some(if content { &row } else { &key_alone }), None))?;
        self.written.push(message(self.on, key.0, &key.1, key.2.clone(), None));
        Ok(row)
    }

    fn say(&mut self, (source, table, key): &RowKey, value: &Value) -> anyhow::Result<()> {
        let value = Some(serde_json::to_vec(value)?);
        self.written.push(message(self.on, *source, table, key.clone(), value));
        Ok(())
    }
}

/// Gives a row of the register a number and the birth date in it.
fn numbered(row: &mut Row, number: CitizenId) {
    row.insert("gmsfhm".to_owned(), number.text().into());
    row.insert("csrq".to_owned(), number.birth_date().0.into());
}

/// A number with a birth date some days earlier, that nobody has.
fn other(number: CitizenId, days: i32) -> anyhow::Result<CitizenId> {
    let birth = Day(number.birth_date().0 - days);
    CitizenId::from_parts(320_199, birth, (number.digits() % 1000) as u16).context("a number")
}
