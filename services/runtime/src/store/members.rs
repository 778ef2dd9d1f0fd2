//! How members stand in a column: one, or all of a person's.
//!
//! Of two layouts the first knows no unread versions. It is still the one of members without, so that a base of before is read, and what
//! nothing was said of costs no byte.

use super::{LAYOUT, Unreadable, decode_as, encode_as};
use domain::ids::AnchorId;
use domain::neighbourhood::{Member, Seat};
use domain::record::SourceRecord;
use domain::shard::Shard;
use domain::source::Version;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The layout of members of which one is marked.
const MARKED: u8 = 2;

/// A member without a mark: borrowed to be written, owned when it was read.
#[derive(Serialize, Deserialize)]
struct Kept<R, P> {
    record: R,
    path: P,
    from: Option<Shard>,
    sent: Option<Seat>,
}

type Read = Kept<Arc<SourceRecord>, Vec<AnchorId>>;

/// A member and its mark.
type Marked<K> = (K, Option<Version>);

fn kept(member: &Member) -> Kept<&SourceRecord, &[AnchorId]> {
    Kept {
        record: &member.record,
        path: &member.path,
        from: member.from,
        sent: member.sent,
    }
}

fn member((kept, unread): Marked<Read>) -> Member {
    Member {
        record: kept.record,
        path: kept.path,
        from: kept.from,
        sent: kept.sent,
        unread,
    }
}

/// Encodes the members of a person.
pub fn encode_members(members: &[Member]) -> Vec<u8> {
    if members.iter().all(|member| member.unread.is_none()) {
        return encode_as(LAYOUT, &members.iter().map(kept).collect::<Vec<_>>());
    }
    let marked: Vec<_> = members.iter().map(|member| (kept(member), member.unread)).collect();
    encode_as(MARKED, &marked)
}

/// Encodes a member that is a row of its own.
pub fn encode_member(member: &Member) -> Vec<u8> {
    match member.unread {
        None => encode_as(LAYOUT, &kept(member)),
        unread => encode_as(MARKED, &(kept(member), unread)),
    }
}

/// Decodes the members of a person.
///
/// # Errors
/// When the layout is none of these or the bytes do not hold them.
pub fn decode_members(bytes: &[u8]) -> Result<Vec<Member>, Unreadable> {
    let unmarked = |all: Vec<Read>| all.into_iter().map(|read| member((read, None))).collect();
    decoded("member list", bytes, unmarked, |all: Vec<Marked<Read>>| {
        all.into_iter().map(member).collect()
    })
}

/// Decodes a member that is a row of its own.
///
/// # Errors
/// When the layout is none of these or the bytes do not hold one.
pub fn decode_member(bytes: &[u8]) -> Result<Member, Unreadable> {
    decoded("member", bytes, |read: Read| member((read, None)), member)
}

fn decoded<P: DeserializeOwned, M: DeserializeOwned, T>(
    what: &'static str,
    bytes: &[u8],
    plain: impl FnOnce(P) -> T,
    marked: impl FnOnce(M) -> T,
) -> Result<T, Unreadable> {
    if bytes.first() == Some(&MARKED) {
        decode_as(MARKED, what, bytes).map(marked)
    } else {
        decode_as(LAYOUT, what, bytes).map(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::date::Timestamp;
    use domain::facts::{Card, CardStatus, Facts};
    use domain::ids::RecordId;
    use domain::personal::Personal;
    use domain::record::Identity;
    use domain::source::TableName;

    fn version(offset: u64) -> Version {
        Version {
            offset,
            mapping: 1,
            ..Version::default()
        }
    }

    fn card(id: u8) -> Arc<SourceRecord> {
        Arc::new(SourceRecord {
            id: RecordId([id; 16]),
            source: "human-resources.3201".parse().expect("a source"),
            table: TableName::new("az01"),
            key: Personal::new("{}"),
            version: version(5),
            appended_at: Timestamp(7),
            identity: Identity::default(),
            facts: Facts::Card(Card {
                status: CardStatus::Active,
                issued: None,
            }),
        })
    }

    #[test]
    fn members_are_read_as_written_with_their_marks() {
        let (plain, guest) = (Member::home(card(1)), AnchorId([9; 16]));
        let mut guest = Member {
            path: vec![guest],
            from: Shard::new(3),
            ..Member::home(card(2))
        };
        guest.sent = Shard::new(4).map(|shard| (shard, AnchorId([8; 16])));
        let marked = Member::read(&card(3), Some(version(6)));
        assert_eq!(marked.unread, Some(version(6)));
        for members in [vec![], vec![plain.clone(), guest.clone()], vec![plain, guest, marked]] {
            let bytes = encode_members(&members);
            let is_marked = members.iter().any(|member| member.unread.is_some());
            assert_eq!(bytes[0], if is_marked { MARKED } else { LAYOUT });
            assert_eq!(decode_members(&bytes).expect("members"), members);
            for member in members {
                assert_eq!(decode_member(&encode_member(&member)).expect("a member"), member);
            }
        }
        for bytes in [&[][..], &[1], &[2], &[3, 0]] {
            assert!(decode_members(bytes).is_err() && decode_member(bytes).is_err());
        }
    }

    /// As a base of before this layout has it.
    #[test]
    fn what_was_written_before_is_read() {
        let written = "01010101010101010101010101010101010102811904617a3031027b7d000005010e000000000a0000000000";
        let bytes = encode_members(&[Member::home(card(1))]);
        let digits = |at: usize| u8::from_str_radix(&written[at..at + 2], 16).expect("hexadecimal");
        assert_eq!(bytes, (0..written.len()).step_by(2).map(digits).collect::<Vec<_>>());
    }
}
