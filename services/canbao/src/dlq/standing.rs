//! Whether a letter's message can be placed: under which epoch its position counts, or why nobody can say.

use super::Letter;
use anyhow::Context;
use domain::date::Timestamp;
use runtime::normaliser::is_whole;
use runtime::normaliser::source_topic::{self, SourceTopic};
use sqlx::PgPool;
use std::collections::BTreeMap;

/// A recorded topic, and when an operator stated last that its positions begin again.
pub(super) struct Known {
    pub topic: SourceTopic,
    pub restarted: Option<Timestamp>,
}

/// Recorded topics by name.
pub(super) type Topics = BTreeMap<String, Known>;

/// What is recorded of every topic.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn recorded(pool: &PgPool) -> anyhow::Result<Topics> {
    let restarts: Vec<(String, i64)> = sqlx::query_as(
        "select topic, (extract(epoch from max(stated_at)) * 1000)::bigint from store.source_epoch where restart group by topic",
    )
    .fetch_all(pool)
    .await
    .context("reading which topics began again: was `canbao migrate` run?")?;
    let restarts: BTreeMap<String, i64> = restarts.into_iter().collect();
    let known = |topic: SourceTopic| {
        let restarted = restarts.get(&topic.topic).copied().map(Timestamp);
        (topic.topic.clone(), Known { topic, restarted })
    };
    Ok(source_topic::all(pool).await?.into_iter().map(known).collect())
}

/// Whether a letter is about a message of a topic that is gone, or that was stated to have lost messages: its position belongs to an epoch
/// before, and nothing notes to which. What still stands in the topic was read again since, and has a letter of after the statement. Between
/// the two the topic was held, which is longer than clocks differ.
pub(super) fn is_of_former_topic(letter: &Letter, known: &Known) -> bool {
    known.restarted.is_some_and(|restarted| letter.written <= restarted)
}

/// The topic under whose epochs a letter's message is to be read, or why it cannot be read from the letter, with what to do.
pub(super) fn placed<'a>(letter: &Letter, topics: &'a Topics) -> Result<&'a SourceTopic, String> {
    let name = &letter.of.topic;
    let known = topics
        .get(name)
        .ok_or_else(|| format!("no normaliser has recorded topic {name}"))?;
    let topic = &known.topic;
    if let Some(other) = &topic.replaced_by {
        return Err(format!("{other} took the place of {name}, which is not read any more"));
    }
    if let Some(reason) = topic.reason() {
        return Err(format!("{name} is not read now: {reason}"));
    }
    if is_of_former_topic(letter, known) {
        return Err(format!(
            "{name} began again since: what it holds was read again, and the rest is gone with the former topic"
        ));
    }
    let is_there = u32::try_from(letter.of.partition).is_ok_and(|partition| partition < topic.partitions);
    if !is_there {
        return Err(format!(
            "{name} has {} partitions and the letter is about another",
            topic.partitions
        ));
    }
    if !is_whole(&letter.of) {
        return Err(format!(
            "the letter holds its message cut: `canbao source accept {name} --reread` reads it from its topic"
        ));
    }
    Ok(topic)
}

#[cfg(test)]
mod tests {
    use super::super::tests::letter;
    use super::*;

    fn topics(change: impl Fn(&mut Known)) -> Topics {
        let letter = letter(1, "not-json: expected JSON", "");
        let mut known = Known {
            topic: SourceTopic::first(&letter.of.topic, (letter.source, "ac02"), 1),
            restarted: None,
        };
        change(&mut known);
        Topics::from([(letter.of.topic, known)])
    }

    #[test]
    fn a_position_counts_only_where_its_epoch_is_known() {
        let letter = letter(1, "not-json: expected JSON", "");
        let why = |topics: &Topics| placed(&letter, topics).map(|_| ()).err().unwrap_or_default();
        assert_eq!(why(&topics(|_| ())), "");
        // The letter was written at 100.
        assert_eq!(why(&topics(|known| known.restarted = Some(Timestamp(99)))), "");
        for (part, topics) in [
            ("recorded", Topics::new()),
            ("began again", topics(|known| known.restarted = Some(Timestamp(100)))),
            (
                "took the place",
                topics(|known| known.topic.replaced_by = Some("other".to_owned())),
            ),
            ("accept it", topics(|known| known.topic.held = Some("accept it".to_owned()))),
            ("0 partitions", topics(|known| known.topic.partitions = 0)),
        ] {
            assert!(why(&topics).contains(part), "{part}: {}", why(&topics));
        }
    }

    #[test]
    fn what_was_cut_is_read_from_its_topic() {
        let cut = letter(
            1,
            "oversized: expected less; the first 7 bytes of a value of 9 are kept here, SHA-256 of all 00",
            "",
        );
        let why = placed(&cut, &topics(|_| ())).expect_err("cut");
        assert!(why.contains("--reread"), "{why}");
    }
}
