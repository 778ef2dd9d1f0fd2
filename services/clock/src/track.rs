//! What each source has still to show until a completeness row of it holds. Pure.
//!
//! A row is first left to settle, since rows committed before it may be a moment behind it in other partitions; then the end
//! offsets of the source's topics are noted; when the normaliser has committed past them, everything before the row stands in
//! `person.records` and the source takes part in the next [`crate::pass::Pass`]. A source that lags or is silent stays where it is
//! and keeps nobody waiting.

use domain::date::Timestamp;
use domain::source::Source;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// End offsets by topic and partition: the offset the next message gets.
pub type Offsets = BTreeMap<(String, i32), i64>;

/// Whether a group has taken everything below `ends`. A partition that never held a message needs no commit.
pub fn has_passed(committed: &Offsets, ends: &Offsets) -> bool {
    ends.iter()
        .all(|(partition, end)| *end <= committed.get(partition).copied().unwrap_or(0))
}

#[derive(Debug, Clone, Default)]
struct Track {
    /// The row that settles, and since when.
    settling: Option<(Timestamp, Instant)>,
    /// The newest row after it.
    newer: Option<(Timestamp, Instant)>,
    /// Noted and not yet passed by the normaliser.
    noted: Option<Noted>,
    /// Passed by the normaliser.
    read: Option<Timestamp>,
}

/// A row's time and the end offsets that the normaliser must pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// The row's time.
    pub time: Timestamp,
    /// End offsets of all the source's topics.
    pub ends: Offsets,
    /// When they were noted.
    pub at: Instant,
}

/// All sources.
#[derive(Debug, Clone)]
pub struct Tracks {
    settle: Duration,
    tracks: BTreeMap<Source, Track>,
}

impl Tracks {
    /// No rows yet; each is left to settle for `settle`.
    pub fn new(settle: Duration) -> Self {
        Self {
            settle,
            tracks: BTreeMap::new(),
        }
    }

    /// A row counted.
    pub fn row(&mut self, source: Source, time: Timestamp, now: Instant) {
        let track = self.tracks.entry(source).or_default();
        // The row that settles is kept, else a source with many rows would settle for ever.
        let slot = if track.settling.is_none() {
            &mut track.settling
        } else {
            &mut track.newer
        };
        *slot = Some((time, now));
    }

    /// Sources whose row has settled and whose end offsets are to be noted now. A source whose last noted offsets are not passed
    /// yet waits: noting later ones again and again would never let a lagging source through.
    pub fn settled(&self, now: Instant) -> Vec<Source> {
        let is_settled = |track: &Track| {
            track.noted.is_none()
                && track
                    .settling
                    .is_some_and(|(_, since)| now.duration_since(since) >= self.settle)
        };
        self.tracks
            .iter()
            .filter(|(_, track)| is_settled(track))
            .map(|(source, _)| *source)
            .collect()
    }

    /// The end offsets of a source, noted after its row had settled.
    pub fn note(&mut self, source: Source, ends: Offsets, now: Instant) {
        let track = self.tracks.entry(source).or_default();
        if let Some((time, _)) = track.settling.take() {
            track.noted = Some(Noted { time, ends, at: now });
            track.settling = track.newer.take();
        }
    }

    /// Sources that wait for their normaliser.
    pub fn noted(&self) -> impl Iterator<Item = (Source, &Noted)> {
        self.tracks
            .iter()
            .filter_map(|(source, track)| Some((*source, track.noted.as_ref()?)))
    }

    /// The normaliser's committed offsets of a source; `true` when it has passed what was noted.
    pub fn committed(&mut self, source: Source, committed: &Offsets) -> bool {
        let Some(track) = self.tracks.get_mut(&source) else {
            return false;
        };
        let Some(noted) = track.noted.take_if(|noted| has_passed(committed, &noted.ends)) else {
            return false;
        };
        track.read = track.read.max(Some(noted.time));
        true
    }

    /// Whether any source is ready for a pass.
    pub fn is_any_read(&self) -> bool {
        self.tracks.values().any(|track| track.read.is_some())
    }

    /// Takes the sources that are ready for a pass, with the times of their rows.
    pub fn take_read(&mut self) -> Vec<(Source, Timestamp)> {
        self.tracks
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

    fn source(city: u16) -> Source {
        Source {
            agency: Agency::HumanResources,
            city: City::from_code(city).expect("a city"),
        }
    }

    fn offsets(offset: i64) -> Offsets {
        BTreeMap::from([(("t".to_owned(), 0), offset), (("empty".to_owned(), 0), 0)])
    }

    #[test]
    fn a_row_settles_is_noted_and_read() {
        let start = Instant::now();
        let later = start + Duration::from_millis(50);
        let mut tracks = Tracks::new(Duration::from_millis(50));
        tracks.row(source(3201), Timestamp(7), start);
        assert!(tracks.settled(start).is_empty());
        assert_eq!(tracks.settled(later), [source(3201)]);
        tracks.note(source(3201), offsets(5), later);
        assert!(tracks.settled(later).is_empty());
        assert!(!tracks.committed(source(3201), &offsets(4)));
        assert!(!tracks.committed(source(3201), &Offsets::new()));
        assert!(!tracks.is_any_read());
        assert!(tracks.committed(source(3201), &offsets(5)));
        assert_eq!(tracks.take_read(), [(source(3201), Timestamp(7))]);
        assert!(tracks.take_read().is_empty());
    }

    #[test]
    fn many_rows_neither_delay_nor_get_lost() {
        let start = Instant::now();
        let mut tracks = Tracks::new(Duration::from_millis(50));
        for step in 0..6 {
            tracks.row(source(3201), Timestamp(step), start + Duration::from_millis(10 * step as u64));
        }
        let now = start + Duration::from_millis(50);
        assert_eq!(tracks.settled(now), [source(3201)]);
        tracks.note(source(3201), offsets(1), now);
        assert!(tracks.committed(source(3201), &offsets(1)));
        let now = now + Duration::from_millis(50);
        assert_eq!(tracks.settled(now), [source(3201)]);
        tracks.note(source(3201), offsets(1), now);
        assert!(tracks.committed(source(3201), &offsets(1)));
        assert_eq!(tracks.take_read(), [(source(3201), Timestamp(5))], "the newest of those read");
    }

    #[test]
    fn a_lagging_source_keeps_nobody_waiting_and_gets_through() {
        let start = Instant::now();
        let mut tracks = Tracks::new(Duration::ZERO);
        for city in [3201, 3202] {
            tracks.row(source(city), Timestamp(1), start);
            tracks.note(source(city), offsets(9), start);
        }
        tracks.row(source(3201), Timestamp(2), start);
        assert!(tracks.settled(start).is_empty(), "its first row is still on the way");
        assert!(tracks.committed(source(3202), &offsets(9)));
        assert_eq!(tracks.take_read(), [(source(3202), Timestamp(1))]);
        assert!(tracks.committed(source(3201), &offsets(10)));
        assert_eq!(tracks.take_read(), [(source(3201), Timestamp(1))]);
        assert_eq!(tracks.settled(start), [source(3201)]);
    }
}
