//! Counting completeness rows, and when a source's first full load is through.

use super::Completeness;
use crate::now;
use crate::row::{CompletenessRow, Counted, Discount, Known, Load, count, load_ended};
use crate::rows::Received;
use crate::why::Why;
use domain::date::Timestamp;
use domain::source::Source;
use std::time::{Duration, Instant};

/// How often a source that was never complete is looked at for an incremental snapshot.
const LOOK: Duration = Duration::from_secs(5);

/// What is known of a source's first full load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FirstLoad {
    load: Load,
    /// When its topics may be looked at for an incremental snapshot.
    next_look: Instant,
    /// The newest row that was streamed, to be counted once that has been looked at.
    streamed: Option<CompletenessRow>,
}

impl FirstLoad {
    pub(super) fn new(passed: bool, now: Instant) -> Self {
        Self {
            load: if passed { Load::Passed } else { Load::Unproved },
            next_look: now,
            streamed: None,
        }
    }
}

impl Completeness {
    pub(super) fn receive(&mut self, received: Received) {
        runtime::failpoint::reach("clock.row-received");
        if let Some(row) = received.row.filter(|_| !self.replaced.contains(received.topic()))
            && let Some(first) = self.loads.get_mut(&row.source)
        {
            if first.load == Load::Unproved && row.streamed {
                // It cannot be judged yet, and its message is not noted as done: it is read again after a restart.
                first.streamed = Some(row);
                return;
            }
            self.count(row);
        }
        self.unsaved_rows.push(received);
    }

    /// Counts a row of a source in scope.
    fn count(&mut self, row: CompletenessRow) {
        let source = row.source;
        let (Some(progress), Some(first)) = (self.progress.get_mut(&source), self.loads.get(&source)) else {
            return;
        };
        let (seen, load) = (progress.seen, first.load);
        let hold = self.shared.settings.clock.rows_hold;
        let outcome = match count(Known { seen, load }, &row, now(), self.shared.tolerance, hold) {
            Ok(Counted { seen, claim }) => {
                progress.seen = seen;
                if row.ends_loads {
                    progress.load_at = progress.load_at.max(load_ended(&row, progress.row_at, hold));
                    progress.row_at = progress.row_at.max(row.appended_at);
                }
                if progress.read <= seen {
                    progress.read = Timestamp(0);
                }
                if let Some(claim) = claim.filter(|claim| *claim > progress.claim) {
                    progress.claim = claim;
                    self.tracks.claim(source, claim);
                }
                self.unsaved = true;
                if matches!(self.waits.get(&source), Some(Why::Ahead | Why::Snapshot | Why::Incremental)) {
                    self.waits.remove(&source);
                }
                "counted"
            }
            Err(discount) => {
                if discount == Discount::ReadBySnapshot && row.time > progress.read {
                    progress.read = row.time;
                    self.unsaved = true;
                }
                let why = match discount {
                    Discount::AheadOfUs => Some(Why::Ahead),
                    Discount::BeforeLoad => Some(Why::Incremental),
                    Discount::ReadBySnapshot if load != Load::Passed => Some(Why::Snapshot),
                    Discount::ReadBySnapshot | Discount::NotNewer => None,
                };
                if let Some(why) = why {
                    self.wait(source, why);
                }
                tracing::debug!(%source, reason = discount.as_str(), "a completeness row does not count");
                discount.as_str()
            }
        };
        metrics::counter!("canbao_clock_rows_total", "source" => source.to_string(), "outcome" => outcome).increment(1);
    }

    /// Reads which first loads were stated to be through, and writes what sources wait for.
    pub(super) async fn reload(&mut self) -> anyhow::Result<()> {
        self.replaced = self.shared.store.replaced_topics().await?;
        let waived = self.shared.store.waived(crate::now().day_in_shanghai()).await?;
        for source in waived.symmetric_difference(&self.waived) {
            let is_waived = waived.contains(source);
            tracing::warn!(%source, is_waived, "claims of absence wait for a source no more, or again");
            metrics::gauge!("canbao_clock_waived", "source" => source.to_string()).set(if is_waived { 1.0 } else { 0.0 });
        }
        self.waived = waived;
        for (source, known) in self.shared.store.progress().await? {
            let Some(progress) = self.progress.get_mut(&source) else {
                continue;
            };
            // A row that a snapshot had read claims its time since that snapshot was stated to have ended.
            if known.claim > progress.claim {
                (progress.claim, progress.seen) = (known.claim, progress.seen.max(known.seen));
                progress.read = known.read;
                self.tracks.claim(source, known.claim);
                self.waits.remove(&source);
            }
            let Some(first) = self.loads.get_mut(&source).filter(|first| first.load != Load::Passed) else {
                continue;
            };
            if known.snapshot_passed {
                first.load = Load::Passed;
                self.waits.remove(&source);
                if let Some(row) = first.streamed.take() {
                    self.count(row);
                }
            }
        }
        if self.written.as_ref() != Some(&self.waits) {
            let text = |source: &Source| (*source, self.waits.get(source).map(|why| why.text(*source)));
            self.shared
                .store
                .save_waits(&self.progress.keys().map(text).collect())
                .await?;
            self.written = Some(self.waits.clone());
        }
        Ok(())
    }

    /// Looks whether the first load of sources that were never complete is an incremental snapshot, before a streamed row counts.
    pub(super) async fn look_at_loads(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let due: Vec<Source> = self
            .loads
            .iter()
            .filter(|(_, first)| first.load == Load::Unproved && first.streamed.is_some() && first.next_look <= now)
            .map(|(source, _)| *source)
            .collect();
        for source in due {
            let incremental = self.shared.ends.holds_incremental(source).await;
            let Some(first) = self.loads.get_mut(&source) else { continue };
            first.next_look = now + LOOK;
            first.load = if incremental? { Load::Incremental } else { Load::Passed };
            if let Some(row) = first.streamed.take() {
                self.count(row);
            }
        }
        Ok(())
    }
}
