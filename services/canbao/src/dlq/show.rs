//! `dlq show`: one dead letter, as much of it as may be shown, and what to do about it.

use super::{Filter, Letter, each, mask};
use crate::output::local_time;
use anyhow::Context;
use runtime::config::Settings;
use runtime::debezium::ErrorClass;
use runtime::dialect::{Dialects, TableUse};
use runtime::framed::{Closed, Frames};
use runtime::normaliser::is_whole;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::str::FromStr;
use tokio::runtime::Handle;

/// Which letter: topic, partition and offset of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    topic: String,
    partition: i32,
    offset: u64,
}

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (rest, offset) = text.rsplit_once('/')?;
            let (topic, partition) = rest.rsplit_once('/')?;
            Some(Self {
                topic: topic.to_owned(),
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        };
        read().ok_or("expected topic/partition/offset of the message, as `canbao dlq list` shows them")
    }
}

/// A letter, masked.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// Topic, partition and offset of its message.
    pub letter: String,
    /// The source.
    pub source: String,
    /// The table.
    pub table: Option<String>,
    /// When the broker appended the message.
    pub appended: String,
    /// When the letter was written.
    pub written: String,
    /// How often the message was read and could not be.
    pub times: u32,
    /// The release that gave up on it.
    pub release: String,
    /// Class of the cause.
    pub class: String,
    /// The column that it is about.
    pub column: Option<String>,
    /// What was expected there.
    pub expected: String,
    /// The code that was found.
    pub code: Option<String>,
    /// What else of the row cannot be read, and what of the message was cut.
    pub also: String,
    /// The message's key, values hidden.
    pub key: Value,
    /// The message's value, values hidden.
    pub value: Value,
    /// Its headers: names, and bytes of each.
    pub headers: Vec<(String, Option<usize>)>,
    /// What to do.
    pub next: Vec<String>,
}

/// Finds a letter and masks it. Blocks.
///
/// # Errors
/// When there is none of that name, or the brokers or a schema registry do not answer.
pub fn show(settings: &Settings, dialects: &Dialects, wanted: &Name) -> anyhow::Result<Shown> {
    let of = settings.topics.sources.table_of(&wanted.topic).map(|(source, _)| source);
    let filter = Filter {
        sources: of.into_iter().collect(),
        ..Filter::default()
    };
    let mut found = None;
    each(settings, &filter, |letter| {
        let of = &letter.of;
        if (of.topic.as_str(), of.partition, of.offset) == (wanted.topic.as_str(), wanted.partition, wanted.offset) {
            found = Some(letter);
        }
    })?;
    let letter = found.with_context(|| {
        format!(
            "no dead letter about {}/{}/{}: `canbao dlq list` shows one of each cause",
            wanted.topic, wanted.partition, wanted.offset
        )
    })?;
    let frames = Frames::configured(settings, Handle::current())?;
    shown(letter, dialects, &frames)
}

fn shown(found: Letter, dialects: &Dialects, frames: &Frames) -> anyhow::Result<Shown> {
    let next = next(&found, dialects);
    let letter = &found.of;
    let (key, value) = match frames.open_in_time(letter.key.as_deref(), letter.value.as_deref()) {
        Ok(opened) => (mask::masked(opened.key()), mask::masked(opened.value())),
        Err(Closed::Away(cause)) => anyhow::bail!(cause),
        Err(_) => (mask::masked(letter.key.as_deref()), mask::masked(letter.value.as_deref())),
    };
    Ok(Shown {
        letter: found.name(),
        source: found.source.to_string(),
        appended: local_time(letter.timestamp),
        written: local_time(found.written),
        times: found.times,
        release: format!("{} {}", letter.service, letter.service_version),
        class: letter.error_class.clone(),
        key,
        value,
        headers: letter
            .headers
            .iter()
            .map(|header| (header.name.clone(), header.value.as_ref().map(Vec::len)))
            .collect(),
        next,
        table: found.table,
        column: found.told.column,
        expected: found.told.expected,
        code: found.told.code,
        also: found.told.rest,
    })
}

/// What to do, the first first.
fn next(found: &Letter, dialects: &Dialects) -> Vec<String> {
    let mut next = Vec::new();
    let source = found.source;
    if let Some(class) = ErrorClass::from_name(&found.of.error_class) {
        next.push(class.remedy().to_owned());
    }
    next.push(
        "When the source writes the row again (an update that touches it, a snapshot), its next version is read by itself and nothing is \
         left to do."
            .to_owned(),
    );
    let Some(table) = &found.table else {
        next.push(
            "The settings do not take its topic for a source's any more (topics.sources), so nothing reads it again.".to_owned(),
        );
        return next;
    };
    if let TableUse::Mapped(table) = dialects.use_of(source, table) {
        next.push(format!(
            "The table is mapped by dialect {} of {}, here in revision {}: after a change raise it, and start the normaliser with it.",
            table.dialect, source.agency, table.revision
        ));
    }
    if is_whole(&found.of) {
        let class = &found.of.error_class;
        next.push(format!(
            "Then `canbao dlq replay {source} --table {table} --class {class} --dry-run` says what can be read by now, and `canbao dlq replay \
             {source} --table {table} --class {class} --why TEXT` sends it on."
        ));
    } else {
        next.push(format!(
            "Its message was cut, so that only its topic can be read again: `canbao source accept {} --reread`.",
            found.of.topic
        ));
    }
    next
}

/// The letter as text.
pub fn render(shown: &Shown) -> String {
    let mut text = String::new();
    let table = shown.table.as_deref().unwrap_or("-");
    let column = shown
        .column
        .as_ref()
        .map_or_else(String::new, |column| format!(" in column {column}"));
    let code = shown.code.as_ref().map_or_else(String::new, |code| format!(", found {code}"));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}  ({} {table})", shown.letter, shown.source);
    let _ = writeln!(
        text,
        "appended {}, given up {} by {}",
        shown.appended, shown.written, shown.release
    );
    if shown.times > 1 {
        let _ = writeln!(text, "read {} times; this is the last", shown.times);
    }
    let _ = writeln!(text, "\n{}{column}: expected {}{code}", shown.class, shown.expected);
    if !shown.also.is_empty() {
        let _ = writeln!(text, "{}", shown.also);
    }
    for (name, part) in [("key", &shown.key), ("value", &shown.value)] {
        let _ = writeln!(text, "\n{name} {part:#}");
    }
    for (name, bytes) in &shown.headers {
        let size = bytes.map_or_else(|| "no value".to_owned(), |bytes| format!("{bytes} bytes"));
        let _ = writeln!(text, "header {name}: *** ({size})");
    }
    text.push_str("\nWhat to do\n");
    for step in &shown.next {
        let _ = writeln!(text, "- {step}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::letter;
    use super::*;
    use std::path::Path;

    #[test]
    fn nothing_of_anybody_is_shown() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../human-resources/dialects");
        let dialects = Dialects::load(&[folder]).expect("dialects");
        let cause = "unknown-code in column aae140: expected a code of table scheme, found 777";
        let value = r#"{"op":"c","after":{"aac002":"320501199003070012","aac003":"张三","aae140":"777"}}"#;
        let shown = shown(letter(7, cause, value), &dialects, &Frames::none()).expect("a letter");
        let text = render(&shown);
        for part in [
            "human-resources.3201.public.ac02/0/7",
            "unknown-code in column aae140",
            "found 777",
            r#""aac002": "*** (18 characters)""#,
            "canbao dlq replay human-resources.3201 --table ac02 --class unknown-code --why TEXT",
            "revision",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        for hidden in ["320501199003070012", "张三"] {
            assert!(!text.contains(hidden) && !serde_json::to_string(&shown).expect("JSON").contains(hidden));
        }
    }

    #[test]
    fn letters_are_named_by_their_message() {
        let name: Name = "human-resources.3201.public.ac02/0/7".parse().expect("a name");
        assert_eq!(
            (name.topic.as_str(), name.partition, name.offset),
            ("human-resources.3201.public.ac02", 0, 7)
        );
        assert!("ac02/7".parse::<Name>().is_err());
    }

    #[test]
    fn every_class_has_a_remedy_that_the_contracts_give() {
        let page = include_str!("../../../../schemas/contracts/README.md");
        for class in ErrorClass::ALL {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{class}` |")));
            let row = row.unwrap_or_else(|| panic!("{class} is on the page"));
            assert!(row.ends_with(&format!("| {} |", class.remedy())), "{row}");
        }
    }
}
