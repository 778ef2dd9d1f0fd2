//! Which topics hold whose tables: templates of names, from the settings (`topics.sources`). Pure.
//!
//! A template is parts separated by dots. A part is literal text, `*` (any one part), `{agency}`, `{city}`, `{table}`, or text around
//! one of these (`ora-{city}`). Agency, city and table each come from a placeholder or are stated beside the template, once.
//!
//! Topics that this system owns, and those that connectors make for themselves, never hold a table, whatever the templates say.

mod notifications;
mod written;

use domain::limits::is_table;
use domain::source::Source;
pub use notifications::NotificationNames;
use std::sync::LazyLock;
use thiserror::Error;
use written::Written;

/// What Debezium's connectors make under the prefix `<agency>.<city>`: PostgreSQL, Oracle and Db2 name the schema, MySQL and MariaDB the
/// database, SQL Server both.
const STANDARD: [&str; 2] = ["{agency}.{city}.*.{table}", "{agency}.{city}.*.*.{table}"];

/// The setting that states them.
const KEY: &str = "topics.sources";

/// Longest part of a template, in bytes: as long as a topic's name may be.
const LONGEST: usize = 249;

static STANDARD_NAMES: LazyLock<TopicNames> = LazyLock::new(TopicNames::default);

/// What is wrong with a template; the number is its place in the list, from 0.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{key}[{at}]: {problem}")]
pub struct TemplateError {
    key: &'static str,
    at: usize,
    problem: String,
}

/// What a part of a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Agency,
    City,
    Table,
}

impl Holds {
    const ALL: [Self; 3] = [Self::Agency, Self::City, Self::Table];

    fn key(self) -> &'static str {
        match self {
            Self::Agency => "agency",
            Self::City => "city",
            Self::Table => "table",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Any,
    /// Something between two texts.
    Hole {
        before: String,
        holds: Holds,
        after: String,
    },
}

/// A checked template.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Template {
    written: Written,
    parts: Vec<Part>,
}

/// Which topics hold whose tables. The first template that fits a topic says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicNames(Vec<Template>);

impl Default for TopicNames {
    fn default() -> Self {
        let written = STANDARD.map(|topic| Written {
            topic: topic.to_owned(),
            ..Written::default()
        });
        Self::compile(KEY, written.into()).expect("the standard templates are right")
    }
}

impl TopicNames {
    /// The names that are in force where the settings state none.
    pub fn standard() -> &'static Self {
        &STANDARD_NAMES
    }

    fn compile(key: &'static str, written: Vec<Written>) -> Result<Self, TemplateError> {
        if written.is_empty() {
            let problem = "expected at least one template".to_owned();
            return Err(TemplateError { key, at: 0, problem });
        }
        let compile =
            |(at, written): (usize, Written)| Template::compile(written).map_err(|problem| TemplateError { key, at, problem });
        written
            .into_iter()
            .enumerate()
            .map(compile)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The source and table of a topic, as its name says; `None` for what holds no table of a known source.
    pub fn table_of<'a>(&'a self, topic: &'a str) -> Option<(Source, &'a str)> {
        if is_never_a_table(topic) {
            return None;
        }
        self.0.iter().find_map(|template| template.read(topic))
    }

    /// The source that a topic's name names: of one that holds its table, and of one that nobody reads although a source stands somewhere
    /// in its name, as in `dc1.human-resources.3206.public.ac02` of a mirror.
    pub fn named_in(&self, topic: &str) -> Option<Source> {
        if is_never_a_table(topic) {
            return None;
        }
        let stated = self.table_of(topic).map(|(source, _)| source);
        stated.or_else(|| {
            let parts: Vec<&str> = topic.split('.').collect();
            let (at, source) = source_within(&parts)?;
            (parts.len() > at + 2).then_some(source)
        })
    }

    /// What to subscribe to for a source's tables, as POSIX extended regular expressions (librdkafka's). They may fit topics that
    /// [`TopicNames::table_of`] gives to nobody or to another source.
    pub fn patterns(&self, source: Source) -> Vec<String> {
        let mut patterns: Vec<String> = self.0.iter().filter_map(|template| template.pattern(source)).collect();
        patterns.dedup();
        patterns
    }
}

/// Topics of this system, and what connectors make beside their tables.
fn is_never_a_table(topic: &str) -> bool {
    let parts: Vec<&str> = topic.split('.').collect();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    let ours = matches!(first, "alerts" | "person") || topic == super::topics::FINDINGS || (parts.len() > 1 && last == "dlq");
    // `__debezium-heartbeat.<prefix>`, and what brokers keep for themselves; mirrored, too.
    let internal = first.starts_with("__") || parts.iter().any(|part| part.starts_with("__debezium"));
    let history = |part: &str| matches!(part, "schemahistory" | "schema-history" | "schema-changes");
    let beside = source_within(&parts).is_some_and(|(at, _)| match parts.get(at + 2..) {
        // The prefix alone: changes of the schema.
        None | Some([]) => true,
        Some([one]) => matches!(*one, "transaction" | "notifications") || history(one),
        Some(_) => false,
    });
    ours || internal || history(first) || beside
}

/// The first source that stands in a name, and where.
fn source_within(parts: &[&str]) -> Option<(usize, Source)> {
    let named = |pair: &[&str]| {
        Some(Source {
            agency: pair[0].parse().ok()?,
            city: pair[1].parse().ok()?,
        })
    };
    parts.windows(2).enumerate().find_map(|(at, pair)| Some((at, named(pair)?)))
}

fn is_legal(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    text.len() <= LONGEST && text.bytes().all(legal)
}

impl Part {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let holes = Holds::ALL.into_iter().filter_map(|holds| {
            let (before, after) = text.split_once(&format!("{{{}}}", holds.key()))?;
            Some((before, holds, after))
        });
        let part = match holes.collect::<Vec<_>>()[..] {
            [] if is_legal(text) && !text.is_empty() => Some(Self::Literal(text.to_owned())),
            [(before, holds, after)] if is_legal(before) && is_legal(after) => Some(Self::Hole {
                before: before.to_owned(),
                holds,
                after: after.to_owned(),
            }),
            _ => None,
        };
        part.ok_or_else(|| {
            format!(
                "`{text}` is no part of a name: expected `*`, or letters, digits, - and _ with at most one of {{agency}}, {{city}} and {{table}}"
            )
        })
    }
}

impl Template {
    fn compile(written: Written) -> Result<Self, String> {
        let parts = written.topic.split('.').map(Part::parse).collect::<Result<Vec<_>, _>>()?;
        for holds in Holds::ALL {
            let holes = parts
                .iter()
                .filter(|part| matches!(part, Part::Hole { holds: held, .. } if *held == holds));
            let key = holds.key();
            match holes.count() + usize::from(written.states(holds)) {
                1 => (),
                0 => {
                    return Err(format!(
                        "`{}` does not say the {key}: put {{{key}}} into it, or state `{key}` beside it",
                        written.topic
                    ));
                }
                _ => return Err(format!("`{}` says the {key} more than once", written.topic)),
            }
        }
        match &written.table {
            Some(table) if !is_table(table) => Err(format!(
                "table: `{table}` is no name of a table: expected letters, digits, _ and -"
            )),
            _ => Ok(Self { written, parts }),
        }
    }

    fn read<'a>(&'a self, topic: &'a str) -> Option<(Source, &'a str)> {
        let Written { agency, city, table, .. } = &self.written;
        let (mut agency, mut city, mut table) = (*agency, *city, table.as_deref());
        let mut names = topic.split('.');
        for part in &self.parts {
            let name = names.next().filter(|name| !name.is_empty())?;
            match part {
                Part::Any => (),
                Part::Literal(text) => (text == name).then_some(())?,
                Part::Hole { before, holds, after } => {
                    let held = name.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
                    match holds {
                        Holds::Agency => agency = Some(held.parse().ok()?),
                        Holds::City => city = Some(held.parse().ok()?),
                        Holds::Table => table = Some(held).filter(|table| is_table(table)),
                    }
                }
            }
        }
        let source = Source {
            agency: agency?,
            city: city?,
        };
        names.next().is_none().then_some((source, table?))
    }

    /// `None` when the template is about other sources only.
    fn pattern(&self, source: Source) -> Option<String> {
        let Written { agency, city, .. } = self.written;
        let fits = agency.is_none_or(|agency| agency == source.agency) && city.is_none_or(|city| city == source.city);
        let part = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Any => "[^.]+".to_owned(),
            Part::Hole { before, holds, after } => {
                let held = match holds {
                    Holds::Agency => source.agency.to_string(),
                    Holds::City => format!("{:04}", source.city.code()),
                    Holds::Table => "[^.]+".to_owned(),
                };
                format!("{before}{held}{after}")
            }
        };
        // Letters, digits, - and _ stand for themselves.
        let parts: Vec<String> = self.parts.iter().map(part).collect();
        fits.then(|| format!("^{}$", parts.join(r"\.")))
    }
}

#[cfg(test)]
mod tests;
