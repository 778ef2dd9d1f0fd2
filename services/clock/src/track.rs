//! What each source has still to show until a claim of completeness holds. Pure.
//!
//! A row that counts makes a claim: the source's topics now hold everything committed before that time (see [`crate::row`]). The end
//! offsets of the topics are noted after that; when the normaliser has taken everything below them, all of it stands in
//! `person.records` and the source takes part in the next [`crate::pass::Pass`]. A source that lags, is silent or is not read in full
//! stays where it is and keeps nobody waiting.

use domain::date::Timestamp;
use domain::source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Offsets by topic and partition.
pub type Offsets = BTreeMap<(String, i32), i64>;
/// Topics and partitions.
pub type Partitions = BTreeSet<(String, i32)>;

/// What a source's topics are, as far as they concern it being complete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topics {
    /// End offsets of those that the normaliser reads: the offset the next message gets, transactions that are open included.
    pub ends: Offsets,
    /// Topics that hold a table of the source by their name and that no normaliser reads.
    pub unread: BTreeSet<String>,
    /// Topics that are read, of tables that no dialect maps.
    pub unmapped: BTreeSet<String>,
}

/// How a normaliser stands to end offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has taken everything below them.
    Passed,
    /// It has not, in these partitions.
    Behind(Partitions),
    /// Nobody reads these partitions: none was committed, and no member of the group has them.
    Unread(Partitions),
}

/// How a group stands to the `ends` of partitions, from what it has committed and what its members are assigned. A partition that holds
/// nothing needs no commit, but a reader: who reads it will see what comes.
pub fn standing(ends: &Offsets, committed: &Offsets, assigned: &Partitions) -> Standing {
    let (mut behind, mut unread) = (Partitions::new(), Partitions::new());
    for (partition, end) in ends {
        match committed.get(partition) {
            Some(taken) if taken >= end => {}
            None if !assigned.contains(partition) => drop(unread.insert(partition.clone())),
            None if *end == 0 => {}
            Some(_) | None => drop(behind.insert(partition.clone())),
        }
    }
    match (behind.is_empty(), unread.is_empty()) {
        (true, true) => Standing::Passed,
        (_, false) => Standing::Unread(unread),
        (false, true) => Standing::Behind(behind),
    }
}

#[derive(Debug, Clone, Default)]
struct Track {
    /// The newest time claimed whose end offsets are not noted.
    claimed: Option<Timestamp>,
    /// Noted and not yet passed by the normaliser.
    noted: Option<Noted>,
    /// Passed by the normaliser.
    read: Option<Timestamp>,
    /// Not to be noted before.
    not_before: Option<Instant>,
}

/// A time claimed and the end offsets that the normaliser must pass for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// The time.
    pub time: Timestamp,
    /// End offsets of all the source's topics.
    pub ends: Offsets,
    /// When they were noted.
    pub at: Instant,
}

/// All sources.
#[derive(Debug, Clone, Default)]
pub struct Tracks(BTreeMap<Source, Track>);

impl Tracks {
    /// A row has shown that a source's topics hold everything committed before `time`.
    pub fn claim(&mut self, source: Source, time: Timestamp) {
        let track = self.0.entry(source).or_default();
        track.claimed = track.claimed.max(Some(time));
    }

    /// Sources whose end offsets are to be noted now. A source whose last noted offsets are not passed yet waits: noting later ones
    /// again and again would never let a lagging source through.
    pub fn to_note(&self, now: Instant) -> Vec<Source> {
        let is_due = |track: &Track| {
            track.noted.is_none() && track.claimed.is_some() && track.not_before.is_none_or(|not_before| not_before <= now)
        };
        self.0
            .iter()
            .filter(|(_, track)| is_due(track))
            .map(|(source, _)| *source)
            .collect()
    }

    /// The end offsets of a source, noted after its claim.
    pub fn note(&mut self, source: Source, ends: Offsets, now: Instant) {
        let track = self.0.entry(source).or_default();
        if let Some(time) = track.claimed.take() {
            track.noted = Some(Noted { time, ends, at: now });
        }
    }

    /// A source whose topics are not read in full cannot be complete: its claim is looked at again later.
    pub fn put_off(&mut self, source: Source, not_before: Instant) {
        self.0.entry(source).or_default().not_before = Some(not_before);
    }

    /// What was noted of a source is noted anew: its time is claimed as before.
    pub fn note_again(&mut self, source: Source) {
        if let Some(track) = self.0.get_mut(&source)
            && let Some(noted) = track.noted.take()
        {
            track.claimed = track.claimed.max(Some(noted.time));
        }
    }

    /// Sources that wait for their normaliser.
    pub fn noted(&self) -> impl Iterator<Item = (Source, &Noted)> {
        self.0
            .iter()
            .filter_map(|(source, track)| Some((*source, track.noted.as_ref()?)))
    }

    /// The normaliser of a source has passed what was noted.
    pub fn passed(&mut self, source: Source) {
        if let Some(track) = self.0.get_mut(&source)
            && let Some(noted) = track.noted.take()
        {
            track.read = track.read.max(Some(noted.time));
        }
    }

    /// Whether any source is ready for a pass.
    pub fn is_any_read(&self) -> bool {
        self.0.values().any(|track| track.read.is_some())
    }

    /// Takes the sources that are ready for a pass, with the times claimed.
    pub fn take_read(&mut self) -> Vec<(Source, Timestamp)> {
        self.0
            .iter_mut()
            .filter_map(|(source, track)| Some((*source, track.read.take()?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::division::City;
    use domain::source::Agency;
    use std::time::Duration;

    fn source(city: u16) -> Source {
        Source {
            agency: Agency::HUMAN_RESOURCES,
            city: City::from_code(city).expect("a city"),
        }
    }

    fn offsets<const N: usize>(list: [(&str, i64); N]) -> Offsets {
        list.map(|(topic, offset)| ((topic.to_owned(), 0), offset)).into()
    }

    fn partitions<const N: usize>(list: [&str; N]) -> Partitions {
        list.map(|topic| (topic.to_owned(), 0)).into()
    }

    #[test]
    fn a_group_stands_where_its_commits_and_its_members_say() {
        let ends = offsets([("rows", 5), ("empty", 0)]);
        let all = partitions(["rows", "empty"]);
        let stand = |committed: Offsets, assigned: &Partitions| standing(&ends, &committed, assigned);
        assert_eq!(stand(offsets([("rows", 5)]), &all), Standing::Passed);
        assert_eq!(stand(offsets([("rows", 6)]), &all), Standing::Passed);
        assert_eq!(stand(offsets([("rows", 4)]), &all), Standing::Behind(partitions(["rows"])));
        assert_eq!(
            stand(Offsets::new(), &all),
            Standing::Behind(partitions(["rows"])),
            "assigned, nothing taken yet"
        );
        assert_eq!(stand(Offsets::new(), &Partitions::new()), Standing::Unread(all.clone()));
        assert_eq!(
            stand(offsets([("rows", 5)]), &partitions(["rows"])),
            Standing::Unread(partitions(["empty"])),
            "nobody would see what comes"
        );
        assert_eq!(
            stand(offsets([("rows", 5), ("empty", 0)]), &Partitions::new()),
            Standing::Passed,
            "all of it was taken before the group went away"
        );
        assert_eq!(
            standing(&Offsets::new(), &Offsets::new(), &Partitions::new()),
            Standing::Passed
        );
    }

    #[test]
    fn a_claim_is_noted_and_read() {
        let start = Instant::now();
        let mut tracks = Tracks::default();
        assert!(tracks.to_note(start).is_empty());
        tracks.claim(source(3201), Timestamp(7));
        assert_eq!(tracks.to_note(start), [source(3201)]);
        tracks.note(source(3201), offsets([("t", 5)]), start);
        assert!(tracks.to_note(start).is_empty());
        assert!(!tracks.is_any_read());
        tracks.passed(source(3201));
        assert_eq!(tracks.take_read(), [(source(3201), Timestamp(7))]);
        assert!(tracks.take_read().is_empty());
    }

    #[test]
    fn many_claims_neither_delay_nor_get_lost() {
        let start = Instant::now();
        let mut tracks = Tracks::default();
        tracks.claim(source(3201), Timestamp(0));
        tracks.note(source(3201), Offsets::new(), start);
        for time in 1..6 {
            tracks.claim(source(3201), Timestamp(time));
            assert!(tracks.to_note(start).is_empty(), "the first is still on its way");
        }
        tracks.passed(source(3201));
        assert_eq!(tracks.to_note(start), [source(3201)]);
        tracks.note(source(3201), Offsets::new(), start);
        tracks.passed(source(3201));
        assert_eq!(tracks.take_read(), [(source(3201), Timestamp(5))], "the newest of those read");
    }

    #[test]
    fn what_is_noted_again_keeps_its_time() {
        let start = Instant::now();
        let mut tracks = Tracks::default();
        tracks.claim(source(3201), Timestamp(7));
        tracks.note(source(3201), offsets([("gone", 5)]), start);
        tracks.note_again(source(3201));
        assert_eq!(tracks.to_note(start), [source(3201)]);
        tracks.note(source(3201), Offsets::new(), start);
        tracks.passed(source(3201));
        assert_eq!(tracks.take_read(), [(source(3201), Timestamp(7))]);
    }

    #[test]
    fn a_source_that_is_put_off_keeps_its_claim() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut tracks = Tracks::default();
        tracks.claim(source(3201), Timestamp(1));
        tracks.put_off(source(3201), start + second);
        assert!(tracks.to_note(start).is_empty());
        assert_eq!(tracks.to_note(start + second), [source(3201)]);
    }

    #[test]
    fn a_lagging_source_keeps_nobody_waiting_and_gets_through() {
        let start = Instant::now();
        let mut tracks = Tracks::default();
        for city in [3201, 3202] {
            tracks.claim(source(city), Timestamp(1));
            tracks.note(source(city), Offsets::new(), start);
        }
        tracks.claim(source(3201), Timestamp(2));
        assert!(tracks.to_note(start).is_empty(), "its first claim is still on the way");
        tracks.passed(source(3202));
        assert_eq!(tracks.take_read(), [(source(3202), Timestamp(1))]);
        tracks.passed(source(3201));
        assert_eq!(tracks.take_read(), [(source(3201), Timestamp(1))]);
        assert_eq!(tracks.to_note(start), [source(3201)]);
    }
}
