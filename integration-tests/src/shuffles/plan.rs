//! What a run does: drawn by its seed, but the dimensions that matter most are gone through in turn.

use crate::encode::Message;
use crate::traffic::Draw;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// In which order the messages arrive. Each row's own order is kept by all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As they were written.
    Written,
    /// All rows' chains interleaved.
    Interleaved,
    /// One source after the other, in a drawn order.
    BySource,
    /// One table after the other, in a drawn order, across the sources.
    ByTable,
    /// One row after the other, each with everything that happens to it.
    ByRow,
}

const ORDERS: [Order; 5] = [
    Order::Interleaved,
    Order::BySource,
    Order::ByRow,
    Order::ByTable,
    Order::Written,
];

/// From what a lost base is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restore {
    /// From an older backup.
    Backup,
    /// From its source log alone.
    Log,
}

/// After how many of a hundred messages the backup is made.
pub(super) const BACKUP: usize = 40;
/// After how many of a hundred messages the base is lost.
pub(super) const LOSS: usize = 70;

/// A run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Partitions of every source topic.
    pub(super) partitions: u16,
    /// Replicas of the registry.
    pub(super) registries: usize,
    /// Replicas of the normalisers.
    pub(super) normalisers: usize,
    /// The order of arrival.
    pub(super) order: Order,
    /// After how many of a hundred messages a connector reads its tables again, in whole.
    pub(super) snapshot: Option<usize>,
    /// Connectors that crash and send some rows again.
    pub(super) rewinds: usize,
    /// Rows that cannot be read at first, and are then written as they should be.
    pub(super) broken: usize,
    /// Human resources begin with a mapping that misreads some rows and cannot read others; it is replaced and accepted anew.
    pub(super) mapping: bool,
    /// After how many of a hundred messages the topics of one source get more partitions: keys move, and it is accepted a while later.
    pub(super) grows: Option<usize>,
    /// How often a source is accepted anew that nothing was wrong with: to be read again, or as another one.
    pub(super) rereads: usize,
    /// The base is lost on the way, and restored.
    pub(super) restore: Option<Restore>,
    /// The business date and go-live come before the rows, not after them.
    pub(super) live_first: bool,
    /// After how many of a hundred messages another policy comes into force, and after how many it is taken back by the next.
    pub(super) policies: Option<[usize; 2]>,
    /// `canbao verify` looks at it too.
    pub(super) verify: bool,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partitions,
            registries,
            normalisers,
            order,
            rewinds,
            broken,
            rereads,
            ..
        } = self;
        write!(
            f,
            "{partitions} partitions, {registries} registries, {normalisers} normalisers, {order:?}, {rewinds} rewinds, {broken} broken, \
             {rereads} rereads"
        )?;
        if let Some(grows) = self.grows {
            write!(f, ", grows at {grows} %")?;
        }
        if let Some(restore) = self.restore {
            write!(f, ", restored from {restore:?}")?;
        }
        if let Some([other, back]) = self.policies {
            write!(f, ", another policy from {other} to {back} %")?;
        }
        if let Some(snapshot) = self.snapshot {
            write!(f, ", snapshot at {snapshot} %")?;
        }
        for (does, what) in [
            (self.mapping, "mapping accepted anew"),
            (self.live_first, "live first"),
            (self.verify, "verified"),
        ] {
            if does {
                write!(f, ", {what}")?;
            }
        }
        Ok(())
    }
}

impl Plan {
    /// The plan of a run.
    pub(super) fn draw(run: usize, draw: &mut Draw) -> Self {
        let turn = run / 3;
        let snapshot = [None, Some(50), Some(100), Some(90)][(run + run / 4) % 4];
        let restore = [None, Some(Restore::Backup), None, Some(Restore::Log)][(run + run / 5) % 4];
        // A restored base may have to let a topic begin anew that was accepted after its backup, and what only a snapshot had removed comes
        // back then until the next one: right, and another base than the function's.
        let latest = if snapshot.is_some() && restore == Some(Restore::Backup) {
            BACKUP - 20
        } else {
            85
        };
        Self {
            partitions: [4, 1, 16][run % 3],
            registries: [4, 2, 1][(run + turn) % 3],
            normalisers: 1 + draw.below(2),
            order: ORDERS[(run + run / 5) % 5],
            snapshot,
            restore,
            grows: (run + run / 7).is_multiple_of(2).then(|| 10 + draw.below(latest - 10)),
            rereads: draw.below(3),
            rewinds: draw.below(6),
            broken: draw.below(30),
            mapping: (run + 2 * turn) % 3 == 1,
            live_first: draw.once_in(2),
            policies: draw.once_in(2).then(|| [10 + draw.below(35), 55 + draw.below(40)]),
            verify: run % 5 == 2,
        }
    }
}

impl Order {
    /// The messages in this order.
    pub(super) fn arrange<'a>(self, messages: &'a [Message], draw: &mut Draw) -> Vec<&'a Message> {
        let group = |message: &Message| match self {
            Self::Written | Self::Interleaved => String::new(),
            Self::BySource => message.source.to_string(),
            Self::ByTable => message.table.clone(),
            Self::ByRow => message.chain.clone(),
        };
        if self == Self::Written {
            return messages.iter().collect();
        }
        let mut groups: BTreeMap<String, Vec<&Message>> = BTreeMap::new();
        for message in messages {
            groups.entry(group(message)).or_default().push(message);
        }
        let mut groups: Vec<Vec<&Message>> = groups.into_values().collect();
        let mut arranged = Vec::with_capacity(messages.len());
        while !groups.is_empty() {
            let group = groups.swap_remove(draw.below(groups.len()));
            arranged.extend(interleave(group, draw));
        }
        arranged
    }
}

/// Interleaves the chains of some messages; a message is as likely to be next as any other.
fn interleave<'a>(messages: Vec<&'a Message>, draw: &mut Draw) -> Vec<&'a Message> {
    let mut chains: BTreeMap<&str, VecDeque<&Message>> = BTreeMap::new();
    let mut turns: Vec<&str> = messages.iter().map(|message| message.chain.as_str()).collect();
    for message in messages {
        chains.entry(message.chain.as_str()).or_default().push_back(message);
    }
    for last in (1..turns.len()).rev() {
        turns.swap(last, draw.below(last + 1));
    }
    turns
        .into_iter()
        .filter_map(|chain| chains.get_mut(chain)?.pop_front())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::date::Day;
    use domain::source::{Agency, Source};

    #[test]
    fn every_order_keeps_the_order_of_each_row() {
        let city = "3201".parse().expect("a city");
        let mut messages = Vec::new();
        for at in 0..200u8 {
            let agency = Agency::from_code(at % 3 + 1).expect("registered");
            let (source, row) = (Source { agency, city }, at % 7);
            let value = Some(vec![at]);
            messages.push(super::super::population::message(Day(0), source, "ac02", vec![row], value));
        }
        for (seed, order) in (0..).zip(ORDERS) {
            let arranged = order.arrange(&messages, &mut Draw::new(seed));
            assert_eq!(arranged.len(), messages.len());
            let mut last: BTreeMap<&str, &Option<Vec<u8>>> = BTreeMap::new();
            for message in arranged {
                let before = last.insert(&message.chain, &message.value);
                assert!(before < Some(&message.value), "{order:?}");
            }
        }
    }

    #[test]
    fn a_hundred_runs_meet_every_value_of_every_dimension() {
        let plans: Vec<Plan> = (0..100).map(|run| Plan::draw(run, &mut Draw::new(run as u64))).collect();
        for partitions in [1, 4, 16] {
            for registries in [1, 2, 4] {
                let both = |plan: &&Plan| plan.partitions == partitions && plan.registries == registries;
                assert!(plans.iter().filter(both).count() > 5);
            }
        }
        for order in ORDERS {
            let with = |snapshot: Option<usize>| plans.iter().any(|plan| plan.order == order && plan.snapshot == snapshot);
            assert!(with(None) && with(Some(50)) && with(Some(90)) && with(Some(100)), "{order:?}");
            assert!(plans.iter().any(|plan| plan.order == order && plan.mapping), "{order:?}");
            for restore in [Restore::Backup, Restore::Log] {
                let grown = |plan: &Plan| plan.order == order && plan.restore == Some(restore) && plan.grows.is_some();
                assert!(plans.iter().any(grown), "{order:?} {restore:?}");
            }
        }
    }
}
