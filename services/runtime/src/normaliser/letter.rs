//! Dead letters: the original message with the cause, and always small enough for their topic.

use crate::debezium::{CUT, NormaliseError};
use domain::date::Timestamp;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers, Message};
use schemas::event::{DeadLetter, Header};
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Bytes that a header takes in a letter beside its name and value.
const HEADER_FRAME: usize = 16;

/// A header's name and value.
type Named<'a> = (&'a str, Option<&'a [u8]>);

/// A message that could not be read.
pub(super) struct Original<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) offset: u64,
    pub(super) appended: Timestamp,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Vec<Named<'a>>,
    /// Headers whose names are no UTF-8.
    pub(super) unnamed: usize,
}

impl<'a> Original<'a> {
    pub(super) fn of(message: &'a BorrowedMessage<'_>, appended: Timestamp) -> Self {
        let (headers, unnamed) = message.headers().map(named).unwrap_or_default();
        Self {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset().max(0) as u64,
            appended,
            key: message.key(),
            value: message.payload(),
            headers,
            unnamed,
        }
    }
}

/// The headers whose names are UTF-8, as Kafka wants them, and how many others there are.
fn named(headers: &BorrowedHeaders) -> (Vec<Named<'_>>, usize) {
    let count = headers.count();
    let read = |at| {
        let header = quietly(|| headers.try_get(at))??;
        Some((header.key, header.value))
    };
    let named: Vec<_> = (0..count).filter_map(read).collect();
    let unnamed = count - named.len();
    (named, unnamed)
}

/// Runs what may panic; `None` when it did, and nobody is told: rdkafka unwraps the name of a header, which its sender chose, and offers
/// no other way to it.
fn quietly<T>(read: impl FnOnce() -> T) -> Option<T> {
    thread_local! {
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                others(panic);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(read));
    QUIET.set(false);
    result.ok()
}

/// The letter about a message, its bytes whole if `room` is enough for them. If not, key and headers have a quarter each, the value the
/// rest; the letter says what was cut, how long it was, and its SHA-256, so that a copy found elsewhere can be recognised.
pub(super) fn letter(original: &Original<'_>, error: &NormaliseError, service: &str, room: usize) -> DeadLetter {
    let mut message = error.to_string();
    let size = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
    let header_size = |(name, value): &Named<'_>| name.len() + size(*value) + HEADER_FRAME;
    let mut headers = original.headers.as_slice();
    let all: usize = headers.iter().map(header_size).sum();
    let (mut key, mut value) = (original.key, original.value);
    if size(key) + size(value) + all > room {
        key = cut("key", key, room / 4, &mut message);
        let mut left = room / 4;
        let fit = |header: &Named<'_>| {
            left = left.checked_sub(header_size(header))?;
            Some(())
        };
        headers = &headers[..headers.iter().map_while(fit).count()];
        let taken: usize = headers.iter().map(header_size).sum();
        value = cut("value", value, room - size(key) - taken, &mut message);
    }
    let (there, kept) = (original.headers.len() + original.unnamed, headers.len());
    if kept < there {
        let unnamed = original.unnamed;
        write!(
            message,
            "; {kept} of {there} headers are kept here, the names of {unnamed} are no UTF-8"
        )
        .expect("a string");
    }
    DeadLetter {
        topic: original.topic.to_owned(),
        partition: original.partition,
        offset: original.offset,
        timestamp: original.appended,
        error_class: error.class.as_str().to_owned(),
        message,
        attempt: 1,
        service: service.to_owned(),
        service_version: env!("CARGO_PKG_VERSION").to_owned(),
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers: headers
            .iter()
            .map(|(name, value)| Header {
                name: (*name).to_owned(),
                value: value.map(<[u8]>::to_vec),
            })
            .collect(),
    }
}

/// The first `room` bytes of a part; says so where that is not all of it.
fn cut<'a>(what: &str, part: Option<&'a [u8]>, room: usize, message: &mut String) -> Option<&'a [u8]> {
    let whole = part?;
    if whole.len() <= room {
        return part;
    }
    let length = whole.len();
    write!(
        message,
        "{CUT}{room} bytes of a {what} of {length} are kept here, SHA-256 of all "
    )
    .expect("a string");
    for byte in Sha256::digest(whole) {
        write!(message, "{byte:02x}").expect("a string");
    }
    Some(&whole[..room])
}

/// Whether a letter holds key and value of its message whole, so that it can be read in the message's stead.
pub fn is_whole(letter: &DeadLetter) -> bool {
    !letter.message.contains(CUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debezium::ErrorClass;
    use crate::limits::{LARGEST_SENT, TOPIC_TAKES, letter_room};
    use rdkafka::message::{Header as NewHeader, OwnedHeaders};
    use schemas::Codec;

    fn original<'a>(key: &'a [u8], value: &'a [u8], headers: Vec<Named<'a>>) -> Original<'a> {
        Original {
            topic: "human-resources.3201.public.ac02",
            partition: 1,
            offset: 7,
            appended: Timestamp(1_795_484_900_000),
            key: Some(key),
            value: Some(value),
            headers,
            unnamed: 0,
        }
    }

    fn error() -> NormaliseError {
        NormaliseError::new(ErrorClass::NotJson, None, "JSON")
    }

    #[test]
    fn a_letter_fits_whatever_the_message() {
        let large = vec![b'a'; 2 << 20];
        let many: Vec<Named<'_>> = vec![("header", Some(&large[..100])); 10_000];
        // What a topic takes that was made by others, with the broker's default or less.
        for takes in [1_048_588, 200_000] {
            let room = letter_room(takes);
            for (key, value, headers) in [
                (&large[..], &large[..], many.clone()),
                (b"{}", &large, vec![]),
                (&large, b"{}", vec![]),
                (b"{}", b"{}", vec![("header", Some(large.as_slice()))]),
                (b"{}", b"{}", many.clone()),
                (b"{}", &large[..room - 2], vec![]),
                (b"{}", &large[..=room - 2], vec![]),
            ] {
                let letter = letter(&original(key, value, headers), &error(), "human-resources", room);
                let size = Codec::embedded().encode(&letter).len();
                assert!(size < takes.min(LARGEST_SENT), "{size} bytes for {takes}");
                assert!(letter.message.len() < 1000);
            }
        }
        let (largest, value) = (letter_room(TOPIC_TAKES), vec![b'a'; TOPIC_TAKES]);
        let letter = letter(&original(b"{}", &value, vec![]), &error(), "human-resources", largest);
        assert!(Codec::embedded().encode(&letter).len() < LARGEST_SENT);
    }

    #[test]
    fn what_fits_is_kept_whole_and_what_was_cut_is_said() {
        let headers: Vec<Named<'_>> = vec![("a", Some(b"1")), ("b", None)];
        let whole = letter(&original(b"key", b"value", headers.clone()), &error(), "human-resources", 100);
        assert_eq!(
            (whole.key.as_deref(), whole.value.as_deref(), whole.headers.len()),
            (Some(&b"key"[..]), Some(&b"value"[..]), 2)
        );
        assert_eq!(whole.message, "not-json: expected JSON");
        assert!(is_whole(&whole));
        let mut large = original(b"key", &[b'v'; 200], headers);
        large.unnamed = 1;
        let cut = letter(&large, &error(), "human-resources", 100);
        assert!(!is_whole(&cut));
        assert_eq!(cut.value.map(|value| value.len()), Some(100 - 3 - 18));
        assert_eq!(
            cut.message,
            "not-json: expected JSON; the first 79 bytes of a value of 200 are kept here, SHA-256 of all \
             7f0dced7af5cab95f8eeffa95a56b277ad4c0626633882fd7a22b322029222cd; 1 of 3 headers are kept here, \
             the names of 1 are no UTF-8"
        );
    }

    #[test]
    fn headers_are_read_and_a_panic_in_between_is_not_heard() {
        let headers = OwnedHeaders::new()
            .insert(NewHeader {
                key: "a",
                value: Some("1"),
            })
            .insert(NewHeader::<&str> { key: "b", value: None });
        assert_eq!(
            named(headers.as_borrowed()),
            (vec![("a", Some(b"1".as_slice())), ("b", None)], 0)
        );
        assert_eq!(quietly(|| panic!("as rdkafka does")), None::<()>);
        assert_eq!(quietly(|| 1), Some(1));
    }
}
