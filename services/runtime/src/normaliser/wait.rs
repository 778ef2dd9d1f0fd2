//! Why a topic is not read as dialects and topics stand. Pure; unlike a [`Hold`](super::hold::Hold) it goes by itself once they are changed,
//! since it is found anew whenever partitions are assigned.

use super::source_topic::SourceTopic;
use crate::dialect::{Dialects, TableUse};
use crate::kafka::TopicNames;
use domain::source::Source;
use std::sync::Arc;

/// Which topics hold whose tables, and what the dialects say of those.
#[derive(Clone)]
pub(super) struct Tables {
    pub(super) names: TopicNames,
    pub(super) dialects: Arc<Dialects>,
}

impl Tables {
    /// A topic's source and table, as its dialect spells it; as the topic does where none maps it.
    pub(super) fn of<'a>(&'a self, topic: &'a str) -> Option<(Source, &'a str)> {
        let (source, table) = self.names.table_of(topic)?;
        let mapped = self.dialects.find(source, table);
        Some((source, mapped.map_or(table, |mapped| mapped.name.as_str())))
    }

    /// Why `topic` is not to be read, of all recorded topics of its source; `None` when nothing is against it.
    pub(super) fn wait(&self, topic: &SourceTopic, recorded: &[SourceTopic]) -> Option<String> {
        let name = &topic.topic;
        let (source, table) = self.of(name)?;
        // A topic that was read keeps the table it is recorded with.
        if (source, table) != (topic.source, &*topic.table) {
            let (source_before, before) = (topic.source, &topic.table);
            return Some(format!(
                "topic {name} was read as table {before} of {source_before} and the setting topics.sources now calls it {table} of {source}: all that was \
                 read would stay beside it; let topics.sources call it {before} of {source_before} again"
            ));
        }
        match self.dialects.use_of(source, table) {
            TableUse::Ignored => None,
            TableUse::Undeclared => Some(format!(
                "no dialect maps table {table} of topic {name}: nothing of it is read, and nothing is lost; map the table in a dialect of \
                 {agency} for city {city}, or list it there under `ignored`, and restart `canbao run {agency}`: then it is read from its beginning",
                agency = source.agency,
                city = source.city.code(),
            )),
            TableUse::Mapped(_) => {
                let same = |other: &&SourceTopic| {
                    other.topic != *name && other.table == topic.table && other.replaced_by.is_none() && other.place < topic.place
                };
                let first = &recorded.iter().filter(same).min_by_key(|other| other.place)?.topic;
                Some(format!(
                    "topic {name} holds table {table}, as {first} does, which was there first: their positions are not comparable, so nothing of \
                     {name} is read. If both are written, give this one a table name of its own: a template {{ topic = \"{name}\", agency = \
                     \"{agency}\", city = \"{city}\", table = \"...\" }} at the head of the setting topics.sources, and that table in a dialect. If it took \
                     the place of the other, run `{command}`",
                    agency = source.agency,
                    city = source.city.code(),
                    command = replace(name, first),
                ))
            }
        }
    }
}

/// The command by which a topic replaces another.
pub fn replace(second: &str, first: &str) -> String {
    format!("canbao source accept {second} --replaces {first}")
}

#[cfg(test)]
pub(super) fn tables(dialect: &str) -> Tables {
    let mut dialects = Dialects::default();
    dialects.add(std::path::Path::new("test.toml"), dialect).expect("a dialect");
    Tables {
        names: TopicNames::default(),
        dialects: Arc::new(dialects),
    }
}

/// A dialect of human resources that maps `ac02` and ignores what begins with `flyway_`.
#[cfg(test)]
pub(super) const DIALECT: &str = r#"
agency = "human-resources"
name = "test"
revision = 1
cities = ["*"]
ignored = ["flyway_*"]
[tables.ac02]
kind = "completeness"
key = ["id"]
[tables.ac02.fields]
time = { column = "ts", encoding = "timestamp-text" }
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(name: &str, place: i64) -> SourceTopic {
        let tables = tables(DIALECT);
        SourceTopic {
            place,
            ..SourceTopic::first(name, tables.of(name).expect("a table"), 1)
        }
    }

    fn wait(topic: &SourceTopic, others: &[&SourceTopic]) -> Option<String> {
        let all: Vec<SourceTopic> = others.iter().copied().chain([topic]).cloned().collect();
        tables(DIALECT).wait(topic, &all)
    }

    #[test]
    fn of_topics_of_one_table_the_first_is_read() {
        let first = recorded("human-resources.3206.exchange.ac02", 1);
        let second = recorded("human-resources.3206.HR.AC02", 2);
        assert_eq!((wait(&first, &[&second]), &*second.table), (None, "ac02"));
        let reason = wait(&second, &[&first]).expect("held");
        let command = replace(&second.topic, &first.topic);
        assert!(reason.contains(&format!("`{command}`")), "{reason}");
        let replaced = SourceTopic {
            replaced_by: Some(second.topic.clone()),
            ..first
        };
        assert_eq!(wait(&second, &[&replaced]), None);
        assert!(!replaced.is_read() && replaced.reason().is_none());
    }

    #[test]
    fn a_table_that_no_dialect_names_waits_for_one() {
        let undeclared = recorded("human-resources.3206.public.az99", 1);
        let reason = wait(&undeclared, &[]).expect("waits");
        for word in ["az99", "nothing is lost", "`ignored`", "human-resources for city 3206"] {
            assert!(reason.contains(word), "{reason}");
        }
        let [one, two] = ["a", "b"].map(|schema| recorded(&format!("human-resources.3206.{schema}.FLYWAY_schema_history"), 1));
        assert_eq!(wait(&one, &[&two]), None, "ignored");
    }

    #[test]
    fn what_was_read_keeps_its_table() {
        let mut topic = recorded("human-resources.3206.public.ac02", 1);
        topic.table = "ac60".into();
        let reason = wait(&topic, &[]).expect("waits");
        assert!(
            reason.contains("read as table ac60") && reason.contains("call it ac60"),
            "{reason}"
        );
    }
}
