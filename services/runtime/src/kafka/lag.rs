//! How far a member of a group is behind, from its client's own statistics: known, or not claimed.

use rdkafka::statistics::{Partition, Statistics};

/// Where a partition is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// What the group has committed.
    Committed,
    /// What the application has taken, where positions are kept elsewhere.
    Taken,
}

/// A member of a group: whether it has joined, and what its partitions have left to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// It waits for its group. Not so for who has what the group gave it, be that nothing, nor for who has no topic to join for: the client
    /// joins when the first appears.
    pub joining: bool,
    /// Messages are there that it has not taken. Markers of transactions and aborted tails are not: the client passes over them, while
    /// what is committed stays before them.
    pub unread: bool,
    /// Messages behind; `None` while it has no partition, or has not heard of one's end or of where it began.
    pub lag: Option<i64>,
}

/// Reads them off a consumer's statistics.
pub fn membership(statistics: &Statistics, from: From) -> Membership {
    let group = statistics.cgrp.as_ref().filter(|group| group.state == "up");
    let joined = group.is_some_and(|group| group.join_state == "steady");
    let joining = group.is_none_or(|group| !matches!(&*group.join_state, "steady" | "init"));
    // A partition that was given away stays in the statistics, with what was known of it.
    let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
    let ours = partitions.filter(|partition| !matches!(&*partition.fetch_state, "" | "none" | "stopped" | "stopping"));
    let ours: Vec<&Partition> = ours.collect();
    let lags: Option<Vec<i64>> = ours
        .iter()
        .map(|partition| {
            // Committed readers see the stable end; a group that never committed begins where it reads.
            let end = Some(partition.ls_offset).filter(|end| *end >= 0)?;
            let committed = Some(partition.committed_offset).filter(|_| from == From::Committed);
            let taken = [partition.app_offset, partition.next_offset];
            let at = committed.into_iter().chain(taken).find(|offset| *offset >= 0)?;
            Some((end - at).max(0))
        })
        .collect();
    let unread = |partition: &&Partition| {
        partition.fetchq_cnt > 0 || (partition.next_offset >= 0 && partition.next_offset < partition.ls_offset)
    };
    Membership {
        joining,
        unread: ours.iter().any(unread),
        lag: lags.filter(|lags| joined && !lags.is_empty()).map(|lags| lags.iter().sum()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::statistics::{ConsumerGroup, Topic};
    use std::collections::HashMap;

    fn partition(number: i32, state: &str, committed: i64, taken: i64, end: i64) -> (i32, Partition) {
        let partition = Partition {
            partition: number,
            fetch_state: state.to_owned(),
            committed_offset: committed,
            app_offset: taken,
            next_offset: taken,
            ls_offset: end,
            ..Partition::default()
        };
        (number, partition)
    }

    fn statistics(join_state: &str, partitions: impl IntoIterator<Item = (i32, Partition)>) -> Statistics {
        let topic = Topic {
            partitions: partitions.into_iter().collect(),
            ..Topic::default()
        };
        Statistics {
            topics: HashMap::from([("human-resources.3201.public.ac02".to_owned(), topic)]),
            cgrp: Some(ConsumerGroup {
                state: "up".to_owned(),
                join_state: join_state.to_owned(),
                ..ConsumerGroup::default()
            }),
            ..Statistics::default()
        }
    }

    fn lag(statistics: &Statistics) -> Option<i64> {
        membership(statistics, From::Committed).lag
    }

    #[test]
    fn nothing_is_claimed_before_the_assignment_nor_after_the_revocation() {
        assert_eq!(lag(&Statistics::default()), None);
        assert_eq!(lag(&statistics("wait-join", [])), None);
        assert_eq!(lag(&statistics("steady", [])), None, "it has nothing");
        let given_away = [partition(0, "none", 5, 5, 9), partition(1, "stopped", 5, 5, 9)];
        assert_eq!(lag(&statistics("steady", given_away)), None);
        let joining = [partition(0, "active", 5, 5, 9)];
        assert_eq!(lag(&statistics("wait-sync", joining)), None);
    }

    #[test]
    fn who_has_no_topic_does_not_wait_for_its_group() {
        let joining = |state: &str, join_state| {
            let mut statistics = statistics(join_state, []);
            statistics.cgrp.as_mut().expect("a group").state = state.to_owned();
            membership(&statistics, From::Committed).joining
        };
        assert!(!joining("up", "init") && !joining("up", "steady"));
        assert!(joining("up", "wait-join") && joining("up", "wait-sync"));
        assert!(joining("wait-coord", "init") && joining("query-coord", "steady"));
        assert!(membership(&Statistics::default(), From::Committed).joining);
    }

    #[test]
    fn one_end_that_is_not_known_makes_the_sum_unknown() {
        let known = partition(0, "active", 5, 5, 9);
        let unknown = partition(1, "offset-query", -1001, -1001, -1001);
        assert_eq!(lag(&statistics("steady", [known.clone(), unknown])), None);
        assert_eq!(lag(&statistics("steady", [known])), Some(4));
    }

    #[test]
    fn what_was_never_committed_is_counted_from_where_reading_stands() {
        let partitions = [partition(0, "active", -1001, 3, 9), partition(1, "active", 9, 9, 9)];
        assert_eq!(lag(&statistics("steady", partitions.clone())), Some(6));
        let taken = [partition(0, "active", 0, 8, 9)];
        assert_eq!(membership(&statistics("steady", taken), From::Taken).lag, Some(1));
    }

    #[test]
    fn a_marker_behind_the_last_message_is_nothing_to_read() {
        let (number, mut marked) = partition(0, "active", 8, 8, 9);
        marked.next_offset = 9;
        let stands = membership(&statistics("steady", [(number, marked.clone())]), From::Committed);
        assert_eq!((stands.unread, stands.lag), (false, Some(1)));
        marked.fetchq_cnt = 1;
        assert!(membership(&statistics("steady", [(number, marked)]), From::Committed).unread);
    }
}
