//! Guest copies: which a neighbourhood sends, and what to say when that changes (design 3, "Home decides, guests follow").

use super::Loaded;
use crate::date::Timestamp;
use crate::ids::{AnchorId, IdKey, RecordId};
use crate::input::{Guest, MessageBody};
use crate::neighbourhood::{Member, place};
use crate::shard::Shard;
use std::collections::BTreeMap;

/// A guest copy on its way: the receiving shard and neighbourhood, and the copy.
pub(crate) fn outgoing(here: AnchorId, members: &[Member], key: &IdKey) -> BTreeMap<RecordId, (Shard, AnchorId, Guest)> {
    place(here, members, key)
        .away
        .into_iter()
        .map(|(at, heir)| {
            let member = &members[at];
            let mut path = member.path.clone();
            path.push(here);
            let guest = Guest {
                path,
                record: member.record.clone(),
            };
            (
                member.record.id,
                (Shard::of_birth_date(heir.birth_date()), key.number(heir), guest),
            )
        })
        .collect()
}

pub(super) fn guest_messages(here: AnchorId, loaded: &Loaded, at: Timestamp, key: &IdKey) -> Vec<(Shard, MessageBody)> {
    let before = outgoing(here, &loaded.before, key);
    let after = outgoing(here, &loaded.members, key);
    let mut messages = Vec::new();
    for (record, (shard, to, guest)) in &after {
        if before.get(record).is_none_or(|(_, was, copy)| was != to || copy != guest) {
            messages.push((
                *shard,
                MessageBody::Guest {
                    to: *to,
                    guest: guest.clone(),
                    appended_at: at,
                },
            ));
        }
    }
    for (record, (shard, to, _)) in &before {
        if after.get(record).is_none_or(|(_, now, _)| now != to) {
            messages.push((
                *shard,
                MessageBody::Withdraw {
                    to: *to,
                    from: here,
                    record: *record,
                    appended_at: at,
                },
            ));
        }
    }
    messages
}
