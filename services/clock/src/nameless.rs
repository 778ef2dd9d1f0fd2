//! Rows that a snapshot read and nobody could: of these not even the person is known, so that the base holds them as they were before.
//!
//! A full snapshot removes what it did not show. A row that was there and could not be read would be removed with the rest, and the person
//! with it, although the source has not deleted anybody. So a table with such rows loses none (ARCHITECTURE.md, Versions).

use domain::ids::IdKey;
use domain::input::Input;
use domain::record::Change;
use runtime::dialect::{Classified, Dialects, SourceMessage, normalise};
use runtime::framed::Opened;
use runtime::kafka::TopicNames;
use schemas::event::DeadLetter;

/// Whether a dead letter is of a row at `begins` (by partition) or later in `topic` whose person it does not tell. One whose person is
/// known travels on as an unreadable record, and is as good as read here. `opened` is the letter's key and value without frames; the
/// default where they could not be opened.
pub fn is_nameless(
    names: &TopicNames,
    dialects: &Dialects,
    letter: &DeadLetter,
    opened: &Opened<'_>,
    topic: &str,
    begins: &[u64],
) -> bool {
    let partition = u16::try_from(letter.partition).ok();
    let begin = partition.and_then(|partition| begins.get(usize::from(partition)));
    if letter.topic != topic || begin.is_none_or(|begin| letter.offset < *begin) {
        return false;
    }
    let Some((source, table)) = names.table_of(topic) else {
        return true;
    };
    let message = SourceMessage {
        source,
        table,
        partition: partition.unwrap_or_default(),
        offset: letter.offset,
        epoch: 0,
        timestamp: letter.timestamp,
        key: opened.key(),
        value: opened.value(),
    };
    // Whether a person is known does not depend on the key that ids are made with.
    let read = normalise(dialects, &IdKey::new(1, &[0; 32]), &message);
    // A record of which only the key was read counts by its last read version, which the snapshot would remove.
    let is_read = |input: &Input| !matches!(input, Input::Change(Change::Unread(_)));
    !matches!(read, Classified::DeadLetter { inputs, .. } if inputs.iter().any(is_read))
}

/// What is said of a table that kept its rows.
pub fn said(nameless: usize, topic: &str, dead_letters: &str) -> String {
    format!(
        "{nameless} rows of the last full snapshot could not be read, nor whose they are, so that it removes none of {topic}: see \
         {dead_letters}; when the source or its mapping is mended, let the connector take a full snapshot again to remove those that the \
         source has deleted"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::date::Timestamp;
    use runtime::framed::Frames;
    use std::path::Path;

    const TOPIC: &str = "human-resources.3201.public.ac02";

    fn letter(offset: u64, value: &str) -> DeadLetter {
        DeadLetter {
            topic: TOPIC.to_owned(),
            partition: 1,
            offset,
            timestamp: Timestamp(0),
            error_class: String::new(),
            message: String::new(),
            attempt: 1,
            service: String::new(),
            service_version: String::new(),
            key: Some(br#"{"baz001":1}"#.to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: Vec::new(),
        }
    }

    #[test]
    fn only_rows_of_the_snapshot_whose_person_is_unknown_count() {
        let dialects =
            Dialects::load(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("../human-resources/dialects")]).expect("dialects");
        let nameless = |letter: &DeadLetter| {
            let opened = Frames::none()
                .open(letter.key.as_deref(), letter.value.as_deref())
                .expect("no frames");
            is_nameless(TopicNames::standard(), &dialects, letter, &opened, TOPIC, &[0, 7])
        };
        assert!(nameless(&letter(7, "not json")));
        assert!(is_nameless(
            TopicNames::standard(),
            &dialects,
            &letter(7, "not opened"),
            &Opened::default(),
            TOPIC,
            &[0, 7]
        ));
        assert!(nameless(&letter(9, r#"{"op":"r","after":{"baz001":1}}"#)));
        assert!(!nameless(&letter(6, "not json")), "before the snapshot");
        let elsewhere = DeadLetter {
            topic: TOPIC.replace("ac02", "ac60"),
            ..letter(9, "not json")
        };
        assert!(!nameless(&elsewhere));
        // Its number is read, its scheme is not.
        let row = r#"{"baz001":1,"aac002":"11010519491231002X","aac003":"A","aae140":"no such scheme"}"#;
        assert!(!nameless(&letter(9, &format!(r#"{{"op":"r","after":{row}}}"#))));
    }
}
