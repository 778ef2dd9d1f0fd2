//! Lives of the base (世代): which messages between shards were sent in the history that this base stands in.
//!
//! A restored base forgets what it did after its backup, and does it again: perhaps in other batches, so that a message which was sent then
//! is not sent now. What it said must not count twice, nor once where it is not said again: that is how a record gets two home copies. So
//! every message names the life it was sent in, and every restore begins a new one, at the sequences where the restored base stands.

use crate::input::Message;
use crate::shard::SHARDS;
use serde::{Deserialize, Serialize};

/// A life, from a restore to the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Life {
    /// Its number: higher than that of any life before it, in this history or in one that was undone.
    number: u32,
    /// By sending shard, the sequence of its first message.
    begun: Vec<u64>,
}

/// The lives that this base has come through, the oldest first; none before the first restore, when there is only life 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lives(Vec<Life>);

/// What a message is to a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This base, or one that it came from, sent it in the present life.
    Present,
    /// A base that this one came from sent it in an earlier life, before what was undone.
    Earlier,
    /// It was sent in a history that was undone: what it says does not count, and is said again where it is still so.
    Undone,
    /// A later life sent it: this base is older than what it is connected to.
    Later,
}

impl Lives {
    /// The number of the present life.
    pub fn present(&self) -> u32 {
        self.0.last().map_or(0, |life| life.number)
    }

    /// Begins a life at the given sequences, by sending shard. Earlier lives of which no message is left are forgotten.
    ///
    /// # Panics
    /// When its number is not higher than that of the present life, or a sequence is lower than where that began.
    pub(crate) fn begin(&mut self, number: u32, begun: &[u64]) {
        assert!(number > self.present(), "life {number} comes after life {}", self.present());
        assert_eq!(begun.len(), usize::from(SHARDS), "a sequence for every shard");
        if self.0.is_empty() {
            self.0.push(Life {
                number: 0,
                begun: vec![0; usize::from(SHARDS)],
            });
        }
        let before = self.0.last().expect("there is a life");
        assert!(
            before.begun.iter().zip(begun).all(|(before, now)| before <= now),
            "sequences only rise"
        );
        if before.begun == begun {
            self.0.pop();
        }
        let begun = begun.to_vec();
        self.0.push(Life { number, begun });
    }

    /// Where a message comes from.
    pub fn origin(&self, message: &Message) -> Origin {
        let present = self.present();
        if message.life >= present {
            return if message.life == present {
                Origin::Present
            } else {
                Origin::Later
            };
        }
        let Some(at) = self.0.iter().position(|life| life.number == message.life) else {
            return Origin::Undone;
        };
        let sender = usize::from(message.from.number());
        if self.0[at + 1..].iter().any(|life| life.begun[sender] <= message.sequence) {
            Origin::Undone
        } else {
            Origin::Earlier
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::AnchorId;
    use crate::input::MessageBody;
    use crate::shard::Shard;

    fn message(life: u32, sequence: u64) -> Message {
        Message {
            from: Shard::all().nth(3).expect("a shard"),
            life,
            sequence,
            body: MessageBody::Carry {
                to: AnchorId([1; 16]),
                about: Vec::new(),
            },
        }
    }

    fn lives(begun: &[(u32, u64)]) -> Lives {
        let mut lives = Lives::default();
        for (number, begun) in begun {
            lives.begin(*number, &vec![*begun; usize::from(SHARDS)]);
        }
        lives
    }

    #[test]
    fn without_a_restore_every_message_is_of_the_present() {
        assert_eq!(lives(&[]).origin(&message(0, 7)), Origin::Present);
        assert_eq!(lives(&[]).origin(&message(1, 0)), Origin::Later);
    }

    #[test]
    fn a_restore_undoes_what_was_sent_after_the_backup() {
        let lives = lives(&[(1, 5)]);
        assert_eq!(lives.origin(&message(0, 4)), Origin::Earlier);
        assert_eq!(lives.origin(&message(0, 5)), Origin::Undone);
        assert_eq!(lives.origin(&message(1, 5)), Origin::Present);
        assert_eq!(lives.origin(&message(2, 9)), Origin::Later);
    }

    #[test]
    fn a_backup_from_before_the_last_restore_does_not_know_its_life() {
        // Life 1 began at 5; then a backup of life 0 that stood at 8 is put back.
        let lives = lives(&[(2, 8)]);
        assert_eq!(lives.origin(&message(1, 5)), Origin::Undone);
        assert_eq!(lives.origin(&message(0, 7)), Origin::Earlier);
        assert_eq!(lives.origin(&message(0, 8)), Origin::Undone);
    }

    #[test]
    fn restores_after_each_other_undo_what_each_of_them_undoes() {
        let lives = lives(&[(1, 5), (2, 9)]);
        assert_eq!(lives.origin(&message(0, 6)), Origin::Undone);
        assert_eq!(lives.origin(&message(1, 6)), Origin::Earlier);
        assert_eq!(lives.origin(&message(1, 9)), Origin::Undone);
    }

    #[test]
    fn a_base_made_anew_counts_only_what_it_says_itself() {
        let lives = lives(&[(3, 0)]);
        assert_eq!(lives.origin(&message(0, 0)), Origin::Undone);
        assert_eq!(lives.origin(&message(3, 0)), Origin::Present);
    }
}
