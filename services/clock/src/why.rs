//! Why a source is not complete, in words for operators. Pure.

use crate::track::{Partitions, Standing, Topics};
use domain::source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What keeps a source from being complete further on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Its rows were read by a snapshot that may be under way.
    Snapshot,
    /// Its first load is an incremental snapshot.
    Incremental,
    /// Its clock is ahead of ours.
    Ahead,
    /// Topics of it that no normaliser reads.
    UnreadTopics(BTreeSet<String>),
    /// Topics of tables that no dialect maps.
    Unmapped(BTreeSet<String>),
    /// Partitions that nobody reads.
    UnreadPartitions(Partitions),
    /// Partitions that its normaliser has not taken to the end.
    Behind(Partitions),
}

impl Why {
    /// What stands against a source being complete in its topics alone.
    pub fn of_topics(topics: &Topics) -> Option<Self> {
        if !topics.unread.is_empty() {
            Some(Self::UnreadTopics(topics.unread.clone()))
        } else if !topics.unmapped.is_empty() {
            Some(Self::Unmapped(topics.unmapped.clone()))
        } else {
            None
        }
    }

    /// What a normaliser's standing says against it.
    pub fn of_standing(standing: Standing) -> Option<Self> {
        match standing {
            Standing::Passed => None,
            Standing::Behind(partitions) => Some(Self::Behind(partitions)),
            Standing::Unread(partitions) => Some(Self::UnreadPartitions(partitions)),
        }
    }

    /// Whether it stays so until somebody does something.
    pub fn needs_somebody(&self) -> bool {
        !matches!(self, Self::Snapshot | Self::Behind(_))
    }

    /// The words, with the command to run where there is one.
    pub fn text(&self, source: Source) -> String {
        let Source { agency, city } = source;
        match self {
            Self::Snapshot => format!(
                "its completeness rows were read by a snapshot and prove nothing before that has ended; when it has, and no other row follows, \
                 run `canbao source snapshot-passed {source}`"
            ),
            Self::Incremental => format!(
                "its first load is an incremental snapshot, whose end no row shows; when every table is loaded, run \
                 `canbao source snapshot-passed {source}`"
            ),
            Self::Ahead => "its clock is ahead of ours by more than the policy tolerates: keep both in step by NTP".to_owned(),
            Self::UnreadTopics(topics) => format!(
                "no normaliser reads {}: add a template that fits to topics.sources for all services, as {{ topic = \"...\", agency = \"{agency}\", \
                 city = \"{city}\" }}, or have the connector name its topics {agency}.{city}.<schema>.<table>, and delete what nobody needs",
                Listed(topics.iter().map(String::as_str))
            ),
            Self::Unmapped(topics) => format!(
                "no dialect maps the table of {}: nothing of it is read or lost; map it in a dialect of {agency} for city {city} or list it there \
                 under `ignored`, and restart normaliser and clock, or leave it out of the connector and delete the topic",
                Listed(topics.iter().map(String::as_str))
            ),
            Self::UnreadPartitions(partitions) => format!(
                "nobody reads {}: is `canbao run {agency}` running for region {city}?",
                Listed(names(partitions).iter().map(String::as_str))
            ),
            Self::Behind(partitions) => format!(
                "its normaliser has yet to take the rest of {}",
                Listed(names(partitions).iter().map(String::as_str))
            ),
        }
    }
}

/// Topics of known sources that no normaliser reads, in words for readiness; `None` when there are none. Those that a normaliser knows and
/// does not read, its own readiness says.
pub fn unread(waits: &BTreeMap<Source, Why>) -> Option<String> {
    let mut unread = waits.iter().filter(|(_, why)| matches!(why, Why::UnreadTopics(_)));
    let (source, why) = unread.next()?;
    let first = format!("{source}: {}", why.text(*source));
    Some(match unread.count() {
        0 => first,
        more => format!("{first}; and {more} more sources"),
    })
}

fn names(partitions: &Partitions) -> Vec<String> {
    partitions
        .iter()
        .map(|(topic, partition)| format!("{topic}/{partition}"))
        .collect()
}

/// The first of a list, and how many more.
struct Listed<I>(I);

impl<'a, I: Iterator<Item = &'a str> + Clone> fmt::Display for Listed<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.0.clone();
        f.write_str(names.next().unwrap_or("nothing"))?;
        match names.count() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_name_the_topics_and_what_to_do() {
        let source = "human-resources.3206".parse().expect("a source");
        let topics = Topics {
            unread: BTreeSet::from(["human-resources.3206.exchange.ac02".to_owned(), "x".to_owned()]),
            ..Topics::default()
        };
        let text = Why::of_topics(&topics).expect("a reason").text(source);
        assert!(text.contains("human-resources.3206.exchange.ac02 and 1 more"), "{text}");
        assert!(
            text.contains("topics.sources") && text.contains("human-resources.3206.<schema>.<table>"),
            "{text}"
        );
        assert_eq!(Why::of_topics(&Topics::default()), None);
        let [one, other, behind] = [3206, 3207, 3208].map(|city| format!("human-resources.{city}").parse().expect("a source"));
        let why = Why::of_topics(&topics).expect("a reason");
        let mut waits = BTreeMap::from([(behind, Why::Behind(Partitions::new()))]);
        assert_eq!(super::unread(&waits), None);
        waits.insert(one, why.clone());
        assert_eq!(super::unread(&waits), Some(format!("{one}: {text}")));
        waits.insert(other, why);
        assert!(super::unread(&waits).expect("two").ends_with("; and 1 more sources"));
        let unread = Why::UnreadPartitions(Partitions::from([("t".to_owned(), 2)])).text(source);
        assert!(
            unread.contains("nobody reads t/2: is `canbao run human-resources`"),
            "{unread}"
        );
        assert!(
            Why::Incremental
                .text(source)
                .contains("`canbao source snapshot-passed human-resources.3206`")
        );
    }
}
