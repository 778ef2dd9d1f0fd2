//! Sizes of messages, from the envelope of a source to the broker and back: one place, so that they agree. What single values may be is in
//! [`domain::limits`].
//!
//! ```text
//! one text of a row < canonical key < entry of person.records < source message that is read < message we send < what our topics take
//!                                                                                          < what a fetch answers at most
//! ```

use rdkafka::ClientConfig;

/// Longest key or value of a source message that is read, in bytes. The largest exchange tables hold a few kilobytes a row; a longer one
/// goes to the dead letters.
pub const LARGEST_MESSAGE: usize = 1 << 20;

/// Largest entry of `person.records`, in bytes: what a topic takes unless told otherwise, so that it fits whoever made the topic. A record
/// is its key and at most some twenty texts; a list of a control statement or of a guest copy's way is sixteen thousand ids.
pub const LARGEST_ENTRY: usize = 1_000_000;

/// Largest message our producers send, in bytes: a dead letter with all of an oversized message, a person with thousands of enrolments.
pub const LARGEST_SENT: usize = 16 << 20;

/// What our topics take, in bytes: the broker counts a batch with its frame, the producer only the message in it.
pub const TOPIC_TAKES: usize = LARGEST_SENT + (64 << 10);

/// Largest answer to a fetch, in bytes. A broker sends a batch larger than asked for, since a reader could not go on otherwise; it took the
/// batch in one request, and takes no request larger than 100 MiB (`socket.request.max.bytes`).
pub const LARGEST_ANSWER: usize = 128 << 20;

/// What a dead letter needs beside the original's bytes: coordinates, cause, what was cut, its own key.
const LETTER_FRAME: usize = 16 << 10;

/// Bytes of an original message that a dead letter has room for, in a topic that takes batches of `topic_takes` bytes.
pub const fn letter_room(topic_takes: usize) -> usize {
    let batch = if topic_takes < TOPIC_TAKES { topic_takes } else { TOPIC_TAKES };
    batch.saturating_sub(TOPIC_TAKES - LARGEST_SENT).saturating_sub(LETTER_FRAME)
}

/// Sets what a consumer fetches.
pub(crate) fn of_consumer(config: &mut ClientConfig) {
    config
        .set("fetch.message.max.bytes", LARGEST_MESSAGE.to_string())
        .set("fetch.max.bytes", LARGEST_SENT.to_string())
        .set("receive.message.max.bytes", LARGEST_ANSWER.to_string());
}

/// Sets what a producer sends.
pub(crate) fn of_producer(config: &mut ClientConfig) {
    config.set("message.max.bytes", LARGEST_SENT.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Settings, TopicSettings};
    use crate::kafka::{self, topics};
    use domain::limits::{LONGEST_KEY, LONGEST_LIST, LONGEST_TEXT};

    fn number(config: &ClientConfig, name: &str) -> usize {
        let value = config.get(name).unwrap_or_else(|| panic!("{name} is set"));
        value.parse().unwrap_or_else(|_| panic!("{name} is a number"))
    }

    fn takes(spec: &topics::TopicSpec) -> usize {
        let value = spec.config.iter().find(|(name, _)| *name == "max.message.bytes");
        value
            .unwrap_or_else(|| panic!("{} says what it takes", spec.name))
            .1
            .parse()
            .expect("a number")
    }

    #[test]
    fn sizes_agree_from_the_envelope_to_the_broker() {
        // An envelope's values into an entry: key, twenty texts, and the longest list (ids of sixteen bytes, offsets of ten).
        const { assert!(LONGEST_KEY + 20 * LONGEST_TEXT + 10_000 < LARGEST_ENTRY && LONGEST_LIST * 16 < LARGEST_ENTRY) };
        // An entry, and the longest source message with a full set of headers, into what is sent; that into the topics.
        const { assert!(LARGEST_ENTRY <= LARGEST_MESSAGE && 2 * LARGEST_MESSAGE < LARGEST_SENT && LARGEST_SENT < TOPIC_TAKES) };
        const { assert!(letter_room(TOPIC_TAKES) + LETTER_FRAME == LARGEST_SENT) };
        const { assert!(letter_room(usize::MAX) == letter_room(TOPIC_TAKES) && letter_room(0) == 0) };
        let settings = Settings::default();
        let source = "human-resources.3201".parse().expect("a source");
        let mut ours = topics::published(&TopicSettings::default());
        ours.push(topics::dead_letter_topic(source));
        let producers = [
            kafka::idempotent_producer(&settings, "test"),
            kafka::transactional_producer(&settings, "test", "test"),
        ];
        for producer in &producers {
            assert!(ours.iter().all(|topic| number(producer, "message.max.bytes") < takes(topic)));
        }
        assert!(LARGEST_ENTRY < takes(&topics::person_records()));
        let consumers = [
            kafka::group_consumer(&settings, "test", "test"),
            kafka::plain_consumer(&settings, "test"),
            kafka::range_consumer(&settings, "test"),
        ];
        for consumer in &consumers {
            let (answer, fetch) = (
                number(consumer, "receive.message.max.bytes"),
                number(consumer, "fetch.max.bytes"),
            );
            // librdkafka wants 512 bytes more for the answer's own frame.
            assert!(fetch + 512 <= answer && ours.iter().all(|topic| takes(topic) + 512 <= answer));
            assert!(number(consumer, "fetch.message.max.bytes") <= fetch);
        }
    }
}
