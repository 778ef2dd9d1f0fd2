//! A person as the rules see them.

use serde::{Deserialize, Serialize};

use crate::facts::coded;
use crate::golden::Golden;
use crate::ids::RecordId;
use crate::record::SourceRecord;

coded! {
    /// How a person stands to a number (持号状态), see ARCHITECTURE.md, Identity.
    Standing {
        /// Holds the number: the only one of whom absence can be claimed.
        Holder = 1 "holder",
        /// Carries a number that another name holds, or that nobody holds (重号): stands apart, for review.
        Apart = 2 "apart",
        /// Has no usable number (暂定人员).
        Provisional = 3 "provisional",
    }
}

/// A person (人员) with the records they consist of; what the rules are applied to.
#[derive(Debug, Clone, Copy)]
pub struct PersonView<'a> {
    /// How they stand to their number.
    pub standing: Standing,
    /// What is known of them on the same business date.
    pub golden: &'a Golden,
    /// Their records, guest copies included, one per record id, in any order.
    pub members: &'a [&'a SourceRecord],
    /// For a holder, the records that stand apart under the same number, in any order.
    pub conflicting: &'a [RecordId],
}
