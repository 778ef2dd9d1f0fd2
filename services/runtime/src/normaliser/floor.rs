//! Floors of a table: below which places of its topic rows are gone, and when that may be said. Pure.
//!
//! The clock states them; `canbao` asks the same questions before an operator states that a snapshot has passed.

use super::source_topic::SourceTopic;
use crate::dialect::{Dialects, Kind, Table};
use crate::kafka::offsets::Since;
use chrono::DateTime;
use domain::date::Timestamp;
use domain::input::SnapshotFloor;
use domain::source::Source;

/// Places are those of so many milliseconds before the time that they are of: low is safe, since a ghost that the next snapshot removes is
/// better than a lost person (ARCHITECTURE.md, Versions).
const MARGIN: i64 = 60_000;

/// The time whose places stand for those of `time`: a minute before.
pub fn before(time: Timestamp) -> Timestamp {
    Timestamp(time.0.saturating_sub(MARGIN))
}

/// A source's table whose rows are about persons.
pub fn of_persons<'a>(dialects: &'a Dialects, source: Source, table: &str) -> Option<&'a Table> {
    let table = dialects.find(source, table)?;
    (table.kind != Kind::Completeness && table.kind.facts_kind().is_some()).then_some(table)
}

/// Places in a topic, under the epoch that they are of. It is looked up like the rows' own epochs, and not the one in force: rows of a
/// snapshot under way when partitions were added belong to the epoch before.
pub fn places(topic: &SourceTopic, table: &Table, offsets: Vec<u64>) -> SnapshotFloor {
    SnapshotFloor {
        source: topic.source,
        table: table.name.clone(),
        epoch: topic.epochs.floor(&offsets),
        offsets,
    }
}

/// The topic and the table that an operator means who states that a snapshot of the table has passed.
///
/// # Errors
/// Why none of the table's rows can go, with what to do.
pub fn stated<'a>(
    source: Source,
    table: &str,
    recorded: &'a [SourceTopic],
    dialects: &'a Dialects,
) -> Result<(&'a SourceTopic, &'a Table), String> {
    let is_of =
        |topic: &&SourceTopic| topic.source == source && topic.table.eq_ignore_ascii_case(table) && topic.replaced_by.is_none();
    let of_table: Vec<&SourceTopic> = recorded.iter().filter(is_of).collect();
    let read = of_table.iter().find(|topic| topic.is_read());
    let Some(topic) = read.or(of_table.first()) else {
        return Err(format!(
            "no normaliser has read a topic of table {table} of {source}: `canbao source list` shows topics and their tables"
        ));
    };
    if let Some(reason) = topic.reason() {
        return Err(format!(
            "{} is not read, so that its snapshot has not arrived: {reason}",
            topic.topic
        ));
    }
    let of_persons = of_persons(dialects, source, &topic.table);
    let table =
        of_persons.ok_or_else(|| format!("rows of {table} of {source} are not about persons: no snapshot removes any"))?;
    Ok((topic, table))
}

/// Why a snapshot that began at a time removes no rows of a topic, with what to do; `None` when nothing is against it. `held` is what each
/// partition holds since [`before`] it.
pub fn refused(topic: &str, since: Timestamp, now: Timestamp, is_restarted: bool, held: &[Since]) -> Option<String> {
    let again = "let the connector take a full snapshot of the table again and state that one";
    if since > now {
        return Some(format!(
            "{} lies ahead of the clock here, which says {}: state when the snapshot began",
            text(since),
            text(now)
        ));
    }
    if held.is_empty() {
        return Some(format!("the brokers have no topic {topic}: {again}"));
    }
    if is_restarted {
        return Some(format!(
            "{topic} was accepted as begun anew since {}, so that part of the snapshot may have gone with the former topic: {again}",
            text(since)
        ));
    }
    let expired = held.iter().position(|held| held.low > 0 && held.begin <= held.low);
    expired.map(|partition| {
        format!(
            "{topic}/{partition} holds nothing of before {}, so that rows of the snapshot may have expired: {again}, within the topic's retention",
            text(since)
        )
    })
}

/// A time as an operator writes it.
pub fn text(time: Timestamp) -> String {
    let zone = chrono::FixedOffset::east_opt(8 * 3600);
    let time = DateTime::from_timestamp_millis(time.0).zip(zone);
    time.map_or_else(
        || "a time beyond the calendar".to_owned(),
        |(time, zone)| time.with_timezone(&zone).to_rfc3339(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const TOPIC: &str = "human-resources.3201.public.ac02";
    const BEGAN: Timestamp = Timestamp(1_764_230_400_000);
    const NOW: Timestamp = Timestamp(BEGAN.0 + 3_600_000);

    fn source() -> Source {
        "human-resources.3201".parse().expect("a source")
    }

    fn recorded(name: &str, table: &str) -> SourceTopic {
        SourceTopic::first(name, (source(), table), 1)
    }

    fn said(table: &str, recorded: &[SourceTopic]) -> Result<String, String> {
        let dialects =
            Dialects::load(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("../human-resources/dialects")]).expect("dialects");
        stated(source(), table, recorded, &dialects).map(|(topic, _)| topic.topic.clone())
    }

    #[test]
    fn the_topic_that_is_read_is_meant_and_one_that_is_not_says_why() {
        let read = recorded(TOPIC, "ac02");
        let mut second = recorded("human-resources.3201.old.ac02", "ac02");
        second.waits = Some("another topic of the table is read".to_owned());
        assert_eq!(said("AC02", &[second.clone(), read.clone()]), Ok(TOPIC.to_owned()));
        let mut held = read.clone();
        held.held = Some("its partitions were added: run `canbao source accept`".to_owned());
        for (recorded, words) in [
            (vec![], "`canbao source list`"),
            (vec![second], "another topic of the table is read"),
            (vec![held], "`canbao source accept`"),
            (
                vec![recorded("human-resources.3201.public.heartbeat", "heartbeat")],
                "`canbao source list`",
            ),
        ] {
            let why = said("ac02", &recorded).expect_err("refused");
            assert!(why.contains(words), "{why}");
        }
        let heartbeat = recorded("human-resources.3201.public.heartbeat", "heartbeat");
        assert!(
            said("heartbeat", &[heartbeat])
                .expect_err("refused")
                .contains("not about persons")
        );
    }

    #[test]
    fn a_snapshot_that_may_not_be_there_whole_removes_nothing() {
        let held = |low, begin, end| Since { low, begin, end };
        let refused = |since, is_restarted, held: &[Since]| refused(TOPIC, since, NOW, is_restarted, held);
        assert_eq!(refused(BEGAN, false, &[held(0, 0, 9), held(3, 7, 9), held(0, 0, 0)]), None);
        for (since, is_restarted, held, words) in [
            (Timestamp(NOW.0 + 1), false, vec![held(0, 7, 9)], "lies ahead of the clock"),
            (BEGAN, false, vec![], "no topic"),
            (BEGAN, true, vec![held(0, 7, 9)], "begun anew"),
            (
                BEGAN,
                false,
                vec![held(0, 7, 9), held(3, 3, 9)],
                "ac02/1 holds nothing of before 2025-11-27T16:00:00+08:00",
            ),
            (BEGAN, false, vec![held(9, 9, 9)], "expired"),
        ] {
            let why = refused(since, is_restarted, &held).expect("refused");
            assert!(why.contains(words), "{why}");
            assert!(
                words.contains("clock") || why.contains("full snapshot of the table again"),
                "{why}"
            );
        }
    }
}
