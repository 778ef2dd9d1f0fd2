//! One pass of completeness through the registry. Pure.
//!
//! When a pass begins, everything before the rows of its sources stands in `person.records`. It then waits until every shard's
//! position has passed the end offsets noted, until the messages that existed then are relayed, and for those again until every
//! position has passed the new end offsets: once per possible hop (claim or drop, guest copy, withdrawal).
//!
//! It ends early when nobody has sent a message between two such moments: what was sent before the first has been applied, and sent
//! nothing on. An empty outbox would not show that: the relay follows so closely on the commit that a message may already have left it
//! without having been applied.

use domain::date::Timestamp;
use domain::source::Source;
use std::collections::BTreeSet;

/// What the database says of one shard, all shards read in one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardView {
    /// Next offset of `person.records` to apply.
    pub position: i64,
    /// Messages it has ever sent.
    pub sent: i64,
    /// Lowest and highest sequence in its message outbox, if it is not empty.
    pub messages: Option<(i64, i64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wait {
    /// Until the positions have passed these end offsets, by shard.
    Positions(Vec<i64>),
    /// Until no message is left below these sequences, by shard.
    Messages(Vec<i64>),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Look again.
    Wait,
    /// Note the end offsets of `person.records` and hand them to [`Pass::ends`].
    NoteEnds,
    /// Everything has passed.
    Done,
}

/// A pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    sources: Vec<(Source, Timestamp)>,
    /// Hops still to wait for.
    hops: u8,
    /// What each shard had sent when the positions last had passed.
    sent: Option<Vec<i64>>,
    wait: Wait,
}

impl Pass {
    /// Begins with the end offsets of `person.records` by shard, noted after the normalisers had committed.
    pub fn begin(sources: Vec<(Source, Timestamp)>, ends: Vec<i64>, hops: u8) -> Self {
        Self {
            sources,
            hops,
            sent: None,
            wait: Wait::Positions(ends),
        }
    }

    /// The sources whose rows hold when it is done, with the rows' times.
    pub fn sources(&self) -> &[(Source, Timestamp)] {
        &self.sources
    }

    /// Takes a view of all shards, in order of the shards.
    pub fn observe(&mut self, shards: &[ShardView]) -> Next {
        match &self.wait {
            Wait::Positions(ends) if shards.len() == ends.len() => {
                if shards.iter().zip(ends).any(|(shard, end)| shard.position < *end) {
                    return Next::Wait;
                }
                let sent: Vec<i64> = shards.iter().map(|shard| shard.sent).collect();
                if self.hops == 0 || self.sent.as_ref() == Some(&sent) {
                    return Next::Done;
                }
                self.sent = Some(sent);
                self.hops -= 1;
                let highest = shards
                    .iter()
                    .map(|shard| shard.messages.map_or(i64::MIN, |(_, highest)| highest));
                self.wait = Wait::Messages(highest.collect());
                self.observe(shards)
            }
            Wait::Messages(highest) => {
                let left = |(shard, highest): (&ShardView, &i64)| shard.messages.is_some_and(|(lowest, _)| lowest <= *highest);
                if shards.iter().zip(highest).any(left) {
                    Next::Wait
                } else {
                    Next::NoteEnds
                }
            }
            // A shard without a row: the database is not migrated, nothing can be said.
            Wait::Positions(_) => Next::Wait,
        }
    }

    /// The end offsets of `person.records` by shard, noted after [`Next::NoteEnds`].
    pub fn ends(&mut self, ends: Vec<i64>) {
        self.wait = Wait::Positions(ends);
    }
}

/// The vector of completeness (完整性向量): every source in scope, 0 while it has none. What is waived is left out of it: nothing waits for a
/// source that no vector names, and from the first one that names it again everything waits as far as it is complete.
pub fn vector(
    scope: &[Source],
    waived: &BTreeSet<Source>,
    until: impl Fn(Source) -> Option<Timestamp>,
) -> Vec<(Source, Timestamp)> {
    scope
        .iter()
        .filter(|source| !waived.contains(source))
        .map(|source| (*source, until(*source).unwrap_or(Timestamp(0))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::division::City;
    use domain::source::Agency;

    /// Of a shard that sends a message with every entry.
    fn view(position: i64, messages: Option<(i64, i64)>) -> ShardView {
        ShardView {
            position,
            sent: position,
            messages,
        }
    }

    #[test]
    fn ends_when_nobody_has_sent_anything_on() {
        let view = |position, sent, messages| ShardView {
            position,
            sent,
            messages,
        };
        let mut pass = Pass::begin(Vec::new(), vec![5], 9);
        assert_eq!(
            pass.observe(&[view(5, 3, Some((2, 2)))]),
            Next::Wait,
            "the last of three must leave"
        );
        assert_eq!(pass.observe(&[view(5, 3, None)]), Next::NoteEnds);
        pass.ends(vec![6]);
        assert_eq!(
            pass.observe(&[view(5, 3, None)]),
            Next::Wait,
            "it has left and is not applied"
        );
        assert_eq!(
            pass.observe(&[view(6, 4, None)]),
            Next::NoteEnds,
            "it made somebody send another"
        );
        pass.ends(vec![8]);
        assert_eq!(pass.observe(&[view(8, 4, None)]), Next::Done);
    }

    #[test]
    fn waits_for_positions_then_for_messages_once_per_hop() {
        let mut pass = Pass::begin(Vec::new(), vec![5, 7], 2);
        assert_eq!(pass.observe(&[view(5, None), view(6, None)]), Next::Wait);
        assert_eq!(
            pass.observe(&[view(5, Some((3, 4))), view(7, None)]),
            Next::Wait,
            "messages 3 and 4 must leave"
        );
        assert_eq!(
            pass.observe(&[view(9, Some((4, 9))), view(7, Some((0, 0)))]),
            Next::Wait,
            "later ones need not"
        );
        assert_eq!(pass.observe(&[view(9, Some((5, 9))), view(7, Some((0, 0)))]), Next::NoteEnds);
        pass.ends(vec![9, 9]);
        assert_eq!(pass.observe(&[view(9, None), view(8, None)]), Next::Wait);
        assert_eq!(
            pass.observe(&[view(9, None), view(9, None)]),
            Next::NoteEnds,
            "nothing to relay for the second hop"
        );
        pass.ends(vec![9, 10]);
        assert_eq!(
            pass.observe(&[view(9, None), view(9, None)]),
            Next::Wait,
            "what was relayed must be applied"
        );
        assert_eq!(pass.observe(&[view(9, None), view(10, Some((1, 1)))]), Next::Done);
    }

    #[test]
    fn nothing_is_concluded_from_missing_shards() {
        assert_eq!(Pass::begin(Vec::new(), vec![0, 0], 1).observe(&[view(1, None)]), Next::Wait);
    }

    #[test]
    fn the_vector_names_every_source_in_scope() {
        let source = |city| Source {
            agency: Agency::HUMAN_RESOURCES,
            city: City::from_code(city).expect("a city"),
        };
        let scope = [source(3200), source(3201)];
        let known = |wanted| (wanted == source(3201)).then_some(Timestamp(9));
        assert_eq!(
            vector(&scope, &BTreeSet::new(), known),
            [(source(3200), Timestamp(0)), (source(3201), Timestamp(9))]
        );
        assert_eq!(
            vector(&scope, &BTreeSet::from([source(3200)]), known),
            [(source(3201), Timestamp(9))]
        );
    }
}
