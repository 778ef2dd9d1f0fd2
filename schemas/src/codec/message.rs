//! Messages between shards as `shard-message.avsc` has them.

use crate::codec::record::PersonRecord;
use crate::codec::unread::UnreadNotice;
use crate::framing::Payload;
use crate::registry::Kind;
use crate::wire::{list, plain};
use domain::date::Timestamp;
use domain::finding::Rule;
use domain::ids::{AnchorId, RecordId};
use domain::input::{Guest, Message, MessageBody};
use domain::limits::LONGEST_LIST;
use domain::record::Change;
use domain::scheme::Scheme;
use domain::shard::Shard;
use domain::source::Version;
use serde::{Deserialize, Serialize};

/// A message between shards.
#[derive(Serialize, Deserialize)]
pub struct ShardMessage<'a> {
    #[serde(with = "plain")]
    from: Shard,
    #[serde(with = "plain")]
    sequence: u64,
    #[serde(default)]
    life: u32,
    body: Body<'a>,
}

/// In the order of the union.
#[derive(Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "lives on the stack for one conversion")]
enum Body<'a> {
    Guest(GuestCopy<'a>),
    ClaimOrDrop(ClaimOrDrop),
    Withdraw(Withdraw),
    Carry(Carry),
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Guest")]
struct GuestCopy<'a> {
    record: PersonRecord<'a>,
    #[serde(with = "plain")]
    to: AnchorId,
    #[serde(with = "list")]
    path: Vec<AnchorId>,
    #[serde(with = "plain")]
    appended_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct ClaimOrDrop {
    #[serde(with = "plain")]
    record: RecordId,
    #[serde(with = "plain")]
    anchor: AnchorId,
    #[serde(with = "plain")]
    version: Version,
    #[serde(with = "plain")]
    appended_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Withdraw {
    #[serde(with = "plain")]
    to: AnchorId,
    #[serde(with = "plain")]
    from: AnchorId,
    #[serde(with = "plain")]
    record: RecordId,
    #[serde(with = "plain")]
    appended_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Carry {
    #[serde(with = "plain")]
    to: AnchorId,
    about: Vec<u16>,
}

impl Payload for ShardMessage<'_> {
    const KIND: Kind = Kind::ShardMessage;
}

/// A message as it is written: what is said of unread versions has a schema of its own.
pub enum Worded<'a> {
    /// Every other.
    Message(ShardMessage<'a>),
    /// A version of which only the key could be read.
    Unread(UnreadNotice),
}

impl<'a> From<&'a Message> for Worded<'a> {
    fn from(message: &'a Message) -> Self {
        let body = match &message.body {
            MessageBody::Guest { to, guest, appended_at } => Body::Guest(GuestCopy {
                record: (&*guest.record).into(),
                to: *to,
                path: guest.path.clone(),
                appended_at: *appended_at,
            }),
            MessageBody::ClaimOrDrop {
                record,
                anchor,
                version,
                appended_at,
            } => Body::ClaimOrDrop(ClaimOrDrop {
                record: *record,
                anchor: *anchor,
                version: *version,
                appended_at: *appended_at,
            }),
            MessageBody::Unread {
                record,
                anchor,
                version,
                appended_at,
            } => {
                return Self::Unread(UnreadNotice {
                    from: message.from,
                    sequence: message.sequence,
                    life: message.life,
                    record: *record,
                    anchor: *anchor,
                    version: *version,
                    appended_at: *appended_at,
                });
            }
            MessageBody::Withdraw {
                to,
                from,
                record,
                appended_at,
            } => Body::Withdraw(Withdraw {
                to: *to,
                from: *from,
                record: *record,
                appended_at: *appended_at,
            }),
            MessageBody::Carry { to, about } => Body::Carry(Carry {
                to: *to,
                about: about.iter().map(|about| u16::from_be_bytes(*about)).collect(),
            }),
        };
        Self::Message(ShardMessage {
            from: message.from,
            sequence: message.sequence,
            life: message.life,
            body,
        })
    }
}

/// Whether two bytes are a rule and a scheme (0 for none), as `Finding::about` makes them.
fn is_about([rule, scheme]: [u8; 2]) -> bool {
    Rule::ALL.iter().any(|known| known.code() == rule) && (scheme == 0 || Scheme::ALL.iter().any(|known| known.code() == scheme))
}

impl ShardMessage<'_> {
    /// The message.
    ///
    /// # Errors
    /// Says what is wrong: a guest copy that is a deletion, which is no copy of anything, or findings about no rule and scheme.
    pub fn into_message(self) -> Result<Message, &'static str> {
        let body = match self.body {
            Body::Guest(copy) => match copy.record.into() {
                Change::Upsert(record) => MessageBody::Guest {
                    to: copy.to,
                    guest: Guest { path: copy.path, record },
                    appended_at: copy.appended_at,
                },
                Change::Delete(_) | Change::Unread(_) => return Err("guest copy"),
            },
            Body::ClaimOrDrop(ClaimOrDrop {
                record,
                anchor,
                version,
                appended_at,
            }) => MessageBody::ClaimOrDrop {
                record,
                anchor,
                version,
                appended_at,
            },
            Body::Withdraw(Withdraw {
                to,
                from,
                record,
                appended_at,
            }) => MessageBody::Withdraw {
                to,
                from,
                record,
                appended_at,
            },
            Body::Carry(Carry { to, about }) => {
                let about: Vec<[u8; 2]> = about.into_iter().map(u16::to_be_bytes).collect();
                if about.len() > LONGEST_LIST || !about.iter().copied().all(is_about) {
                    return Err("list of what findings are about");
                }
                MessageBody::Carry { to, about }
            }
        };
        Ok(Message {
            from: self.from,
            life: self.life,
            sequence: self.sequence,
            body,
        })
    }
}
