//! Guest copies: which a neighbourhood sends, and what to say when that changes (ARCHITECTURE.md, Home decides, guests follow).

use super::Loaded;
use crate::date::Timestamp;
use crate::decision::Rulings;
use crate::ids::{AnchorId, IdKey, RecordId};
use crate::input::{Guest, MessageBody};
use crate::neighbourhood::{Member, Seat, place};
use crate::shard::Shard;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Notes with every member where a copy of it must be, and gives those copies with the place of their member.
pub(crate) fn send_away(here: AnchorId, members: &mut [Member], rulings: &Rulings, key: &IdKey) -> Vec<(usize, Seat, Guest)> {
    let away = place(here, members, rulings, key).away;
    for member in members.iter_mut() {
        member.sent = None;
    }
    away.into_iter()
        .map(|(at, seat)| {
            let member = &mut members[at];
            member.sent = Some(seat);
            let mut path = member.path.clone();
            path.push(here);
            let guest = Guest {
                path,
                record: Arc::clone(&member.record),
            };
            (at, seat, guest)
        })
        .collect()
}

/// Brings what was sent in line with where the members now belong.
pub(super) fn guest_messages(
    here: AnchorId,
    loaded: &mut Loaded,
    at: Timestamp,
    rulings: &Rulings,
    key: &IdKey,
) -> Vec<(Shard, MessageBody)> {
    let before: BTreeMap<RecordId, (Seat, &Member)> = loaded
        .before
        .iter()
        .filter_map(|member| Some((member.record.id, (member.sent?, member))))
        .collect();
    let mut messages = Vec::new();
    let mut stays: BTreeMap<RecordId, Seat> = BTreeMap::new();
    for (place, (shard, to), guest) in send_away(here, &mut loaded.members, rulings, key) {
        let member = &loaded.members[place];
        stays.insert(member.record.id, (shard, to));
        let known = before
            .get(&member.record.id)
            .is_some_and(|(seat, copy)| *seat == (shard, to) && copy.record == member.record && copy.path == member.path);
        if !known {
            messages.push((
                shard,
                MessageBody::Guest {
                    to,
                    guest,
                    appended_at: at,
                },
            ));
        }
    }
    for (record, ((shard, to), _)) in before {
        if stays.get(&record) != Some(&(shard, to)) {
            messages.push((
                shard,
                MessageBody::Withdraw {
                    to,
                    from: here,
                    record,
                    appended_at: at,
                },
            ));
        }
    }
    messages
}
