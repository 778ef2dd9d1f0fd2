//! An entry of a shard's log, as a batch takes it.

use crate::date::Timestamp;
use crate::input::Input;
use crate::shard::Shard;

/// An entry of a shard's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The shard whose log it stands in.
    pub shard: Shard,
    /// Its position in that log.
    pub position: i64,
    /// Where its reader stood before it: between there and the entry the log holds nothing that can be read, such as a transaction's marker.
    pub follows: i64,
    /// When the broker appended it.
    pub logged_at: Timestamp,
    /// What it says.
    pub said: Said,
}

/// What an entry says to the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// An input.
    Input(Input),
    /// Nothing that this program can read, and why: the batch is refused, since nobody knows what would be lost.
    Unreadable(String),
    /// An operator stated that it is stepped over (跳过): nothing. What it would have said, where that can be read, is for the books.
    Skipped(Option<Input>),
}

impl Entry {
    /// The input that takes effect.
    pub fn input(&self) -> Option<&Input> {
        match &self.said {
            Said::Input(input) => Some(input),
            Said::Unreadable(_) | Said::Skipped(_) => None,
        }
    }

    /// What it says, whether that takes effect or not.
    pub fn content(&self) -> Option<&Input> {
        match &self.said {
            Said::Input(input) | Said::Skipped(Some(input)) => Some(input),
            Said::Unreadable(_) | Said::Skipped(None) => None,
        }
    }
}
