//! `dlq list`: how many dead letters there are, by what could not be read.

use super::{Filter, Letter, each, said_of_foreign};
use crate::output::{Table, local_time};
use domain::date::Timestamp;
use runtime::config::Settings;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Codes without a meaning that are named, of each group.
const CODES: usize = 8;

/// The letters of one cause.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Group {
    /// The source.
    pub source: String,
    /// The table; `None` when the topic of the messages is no source topic by the settings.
    pub table: Option<String>,
    /// The class of the cause.
    pub class: String,
    /// The column that it is about.
    pub column: Option<String>,
    /// What was expected there.
    pub expected: String,
    /// Some of the codes that were found.
    pub codes: Vec<String>,
    /// Messages that have a letter.
    pub letters: u64,
    /// When the oldest letter was written.
    pub oldest: String,
    /// When the newest letter was written.
    pub newest: String,
    /// The newest letter, for `canbao dlq show`.
    pub example: String,
}

/// The groups, the largest first.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// By source, table, class, column and what was expected.
    pub groups: Vec<Group>,
    /// Entries that are no letters.
    pub foreign: u64,
}

struct Count {
    letters: u64,
    codes: BTreeSet<String>,
    written: (Timestamp, Timestamp),
    example: String,
}

/// Source, table, class, column, what was expected.
type Cause = (String, Option<String>, String, Option<String>, String);

#[derive(Default)]
struct Counts(BTreeMap<Cause, Count>);

impl Counts {
    fn note(&mut self, letter: &Letter) {
        let key = (
            letter.source.to_string(),
            letter.table.clone(),
            letter.of.error_class.clone(),
            letter.told.column.clone(),
            letter.told.expected.clone(),
        );
        let count = self.0.entry(key).or_insert_with(|| Count {
            letters: 0,
            codes: BTreeSet::new(),
            written: (letter.written, letter.written),
            example: letter.name(),
        });
        count.letters += 1;
        if let Some(code) = letter.told.code.as_ref().filter(|_| count.codes.len() < CODES) {
            count.codes.insert(code.clone());
        }
        count.written.0 = count.written.0.min(letter.written);
        if letter.written >= count.written.1 {
            (count.written.1, count.example) = (letter.written, letter.name());
        }
    }

    fn groups(self) -> Vec<Group> {
        let group = |((source, table, class, column, expected), count): (_, Count)| Group {
            source,
            table,
            class,
            column,
            expected,
            codes: count.codes.into_iter().collect(),
            letters: count.letters,
            oldest: local_time(count.written.0),
            newest: local_time(count.written.1),
            example: count.example,
        };
        let mut groups: Vec<Group> = self.0.into_iter().map(group).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.letters));
        groups
    }
}

/// Counts the letters. Blocks.
///
/// # Errors
/// When the brokers do not answer.
pub fn list(settings: &Settings, filter: &Filter) -> anyhow::Result<Listed> {
    let mut counts = Counts::default();
    let foreign = each(settings, filter, |letter| counts.note(&letter))?;
    Ok(Listed {
        groups: counts.groups(),
        foreign,
    })
}

/// The groups as text.
pub fn render(listed: &Listed) -> String {
    if listed.groups.is_empty() {
        return format!("no dead letters\n{}", said_of_foreign(listed.foreign));
    }
    let mut table = Table::new([
        "source",
        "table",
        "letters",
        "class",
        "column",
        "oldest",
        "newest",
        "newest letter",
        "expected",
    ]);
    for group in &listed.groups {
        let found = if group.codes.is_empty() {
            String::new()
        } else {
            format!("; found {}", group.codes.join(" "))
        };
        table.row([
            group.source.clone(),
            group.table.clone().unwrap_or_else(|| "-".to_owned()),
            group.letters.to_string(),
            group.class.clone(),
            group.column.clone().unwrap_or_else(|| "-".to_owned()),
            group.oldest.clone(),
            group.newest.clone(),
            group.example.clone(),
            format!("{}{found}", group.expected),
        ]);
    }
    format!(
        "{}\n`canbao dlq show LETTER` shows one and says what to do; `canbao dlq replay --dry-run` tells which could be read by now\n{}",
        table.render(),
        said_of_foreign(listed.foreign)
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::letter;
    use super::*;

    #[test]
    fn letters_are_counted_by_their_cause() {
        let mut counts = Counts::default();
        for (offset, cause) in [
            (1, "not-json: expected a value of UTF-8 JSON"),
            (2, "unknown-code in column aae140: expected a code of table scheme, found 7"),
            (3, "unknown-code in column aae140: expected a code of table scheme, found 8"),
        ] {
            let mut letter = letter(offset, cause, "{}");
            letter.written = Timestamp(offset as i64);
            counts.note(&letter);
        }
        let groups = counts.groups();
        let of = |at: usize| (groups[at].letters, groups[at].class.as_str(), groups[at].codes.join(" "));
        assert_eq!(groups.len(), 2);
        assert_eq!(of(0), (2, "unknown-code", "7 8".to_owned()));
        assert_eq!(groups[0].example, "human-resources.3201.public.ac02/0/3");
        assert_eq!(of(1), (1, "not-json", String::new()));
        let text = render(&Listed { groups, foreign: 1 });
        assert!(text.contains("; found 7 8") && text.contains("1 entries"), "{text}");
    }
}
