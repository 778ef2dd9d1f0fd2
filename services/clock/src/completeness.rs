//! The loop of completeness: rows in, passes through normalisers and registry, vectors out.

mod loads;

use crate::pass::{self, Next, Pass};
use crate::rows::{Received, Rows};
use crate::store::Progress;
use crate::track::{Standing, Tracks};
use crate::why::{self, Why};
use crate::{Shared, now};
use domain::date::Timestamp;
use domain::input::Control;
use domain::source::Source;
use loads::FirstLoad;
use runtime::config::FirstSnapshot;
use runtime::health::Check;
use runtime::shutdown::Shutdown;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often positions are looked at while something is under way.
const LOOK: Duration = Duration::from_millis(20);
/// How often the operator's statements about snapshots are read, and what sources wait for is written.
const RELOAD: Duration = Duration::from_secs(2);
/// From then on a source's normaliser counts as lagging: it is asked less often, and whether it has anything left to see is looked at.
const LAGGING: Duration = Duration::from_secs(3);
/// How often a lagging normaliser is asked, and the topics of a source that are not read in full.
const LAGGING_LOOK: Duration = Duration::from_secs(1);
/// From then on a pass counts as stuck and is reported.
const STUCK: Duration = Duration::from_secs(30);

/// Runs until shutdown, on from what is `known` of each source. Readiness says which topics nobody reads.
pub(crate) async fn run(
    shared: Shared,
    known: BTreeMap<Source, Progress>,
    mut rows: Rows,
    check: Check,
    mut shutdown: Shutdown,
) -> anyhow::Result<()> {
    describe_metrics();
    let mut completeness = Completeness::new(shared, &known);
    while !shutdown.requested() {
        tokio::select! {
            () = shutdown.wait() => break,
            received = rows.receiver.recv() => match received {
                Some(received) => completeness.receive(received?),
                None => break,
            },
            () = tokio::time::sleep(LOOK) => {}
        }
        while let Ok(received) = rows.receiver.try_recv() {
            completeness.receive(received?);
        }
        if let Err(error) = completeness.step(&rows, &mut shutdown).await? {
            tracing::warn!(error = format!("{error:#}"), "completeness waits for a server");
            shutdown.sleep(Duration::from_millis(500)).await;
        }
        match why::unread(&completeness.waits) {
            Some(unread) => check.fail(unread),
            None => check.pass(),
        }
    }
    Ok(())
}

struct Completeness {
    shared: Shared,
    progress: BTreeMap<Source, Progress>,
    loads: BTreeMap<Source, FirstLoad>,
    /// Topics whose tables others hold since: neither their rows nor their ends count.
    replaced: BTreeSet<String>,
    /// Sources that an operator waived, by what the wall clock says.
    waived: BTreeSet<Source>,
    /// What keeps sources from being complete further on.
    waits: BTreeMap<Source, Why>,
    /// The same as it was last written.
    written: Option<BTreeMap<Source, Why>>,
    /// Changed since it was last saved.
    unsaved: bool,
    /// Messages whose rows are not saved yet.
    unsaved_rows: Vec<Received>,
    tracks: Tracks,
    pass: Option<(Pass, Instant)>,
    /// Whether the pass under way was reported as stuck.
    reported: bool,
    /// When the next pass may begin.
    next_pass: Instant,
    next_reload: Instant,
    next_lagging: Instant,
    /// The lagging source that was last looked at.
    searched: Option<Source>,
    /// The vector that every shard's log holds; none before the first sending, since the last one may not have arrived.
    sent: Option<Vec<(Source, Timestamp)>>,
}

impl Completeness {
    fn new(shared: Shared, known: &BTreeMap<Source, Progress>) -> Self {
        let progress: BTreeMap<Source, Progress> = shared
            .scope
            .iter()
            .map(|source| (*source, known.get(source).copied().unwrap_or(Progress::NONE)))
            .collect();
        let start = Instant::now();
        let assume = shared.settings.clock.first_snapshot == FirstSnapshot::Assume;
        let mut tracks = Tracks::default();
        let mut loads = BTreeMap::new();
        for (source, progress) in &progress {
            // What was claimed before the restart and has not come through: the ends are noted later than they were then, which is safe.
            if progress.claim.0 - shared.tolerance > progress.until.0 {
                tracks.claim(*source, progress.claim);
            }
            let passed = assume || progress.snapshot_passed || progress.seen.0 > 0;
            loads.insert(*source, FirstLoad::new(passed, start));
        }
        Self {
            shared,
            progress,
            loads,
            replaced: BTreeSet::new(),
            waived: BTreeSet::new(),
            waits: BTreeMap::new(),
            written: None,
            unsaved: false,
            unsaved_rows: Vec::new(),
            tracks,
            pass: None,
            reported: false,
            next_pass: start,
            next_reload: start,
            next_lagging: start,
            searched: None,
            sent: None,
        }
    }

    /// Takes everything a step further. The inner error is a server that does not answer: the next step tries again.
    async fn step(&mut self, rows: &Rows, shutdown: &mut Shutdown) -> anyhow::Result<anyhow::Result<()>> {
        let advanced = self.advance(rows).await;
        if advanced.is_err() || self.unsaved {
            return Ok(advanced);
        }
        let vector = pass::vector(&self.shared.scope, &self.waived, |source| {
            self.progress.get(&source).map(|progress| progress.until)
        });
        if self.sent.as_ref() == Some(&vector) {
            return Ok(Ok(()));
        }
        // A source is complete past a truncation only where every shard has heard of it, so that nothing is told that rests on what is gone.
        match self.shared.store.is_truncation_untold().await {
            Ok(false) => {}
            Ok(true) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error.into())),
        }
        if self
            .shared
            .log
            .send(vec![Control::Completeness(vector.clone())], shutdown)
            .await?
        {
            runtime::failpoint::reach("clock.vector-sent");
            self.sent = Some(vector);
        }
        Ok(Ok(()))
    }

    async fn advance(&mut self, rows: &Rows) -> anyhow::Result<()> {
        let now = Instant::now();
        if now >= self.next_reload {
            self.next_reload = now + RELOAD;
            self.reload().await?;
            self.show();
        }
        self.look_at_loads().await?;
        self.save(rows).await?;
        self.note().await?;
        self.ask_normalisers().await?;
        self.pass().await?;
        self.save(rows).await
    }

    async fn save(&mut self, rows: &Rows) -> anyhow::Result<()> {
        if self.unsaved {
            self.shared.store.save_progress(&self.progress).await?;
            runtime::failpoint::reach("clock.progress-saved");
            self.unsaved = false;
        }
        for received in self.unsaved_rows.drain(..) {
            rows.done(&received);
        }
        Ok(())
    }

    /// Notes the end offsets of the sources that claim to be complete, once all their topics are read.
    async fn note(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let sources = self.tracks.to_note(now);
        if sources.is_empty() {
            return Ok(());
        }
        let topics = self.shared.ends.of_sources(sources, self.replaced.clone()).await?;
        runtime::failpoint::reach("clock.ends-noted");
        for (source, topics) in topics {
            if let Some(why) = Why::of_topics(&topics) {
                self.tracks.put_off(source, now + LAGGING_LOOK);
                self.wait(source, why);
            } else {
                self.tracks.note(source, topics.ends, Instant::now());
            }
        }
        Ok(())
    }

    /// Notes what a source waits for; what needs somebody is said in the log when it is new.
    fn wait(&mut self, source: Source, why: Why) {
        if self.waits.get(&source) != Some(&why) {
            if why.needs_somebody() {
                tracing::warn!(%source, why = why.text(source), "a source is not complete");
            }
            self.waits.insert(source, why);
        }
    }

    /// Asks how far the normalisers are; those that lag are asked now and then only, so that they do not slow the others down.
    async fn ask_normalisers(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let ask_lagging = now >= self.next_lagging;
        let is_lagging = |at: Instant| now.duration_since(at) >= LAGGING;
        if ask_lagging {
            self.next_lagging = now + LAGGING_LOOK;
            // One at a time: looking for what is left reads topic after topic, and everything else waits for the answers.
            let lagging: Vec<Source> = self
                .tracks
                .noted()
                .filter(|(_, noted)| is_lagging(noted.at))
                .map(|(source, _)| source)
                .collect();
            let next = lagging.iter().find(|source| Some(**source) > self.searched);
            self.searched = next.or(lagging.first()).copied();
        }
        let searched = self.searched.filter(|_| ask_lagging);
        let asked: Vec<_> = self
            .tracks
            .noted()
            .filter(|(_, noted)| ask_lagging || !is_lagging(noted.at))
            .map(|(source, noted)| (source, noted.ends.clone(), searched == Some(source), is_lagging(noted.at)))
            .collect();
        let mut answers = tokio::task::JoinSet::new();
        for (source, ends, look, lags) in asked {
            let asking = self.shared.ends.clone();
            answers.spawn(async move { (source, lags, asking.standing(source, ends, look).await) });
        }
        while let Some(answer) = answers.join_next().await {
            match answer? {
                (source, _, Ok(Standing::Passed)) => {
                    self.tracks.passed(source);
                    self.waits.remove(&source);
                }
                (source, true, Ok(standing)) => {
                    // A topic that is gone has no reader for ever: what is there now is what counts.
                    if matches!(standing, Standing::Unread(_)) {
                        self.tracks.note_again(source);
                    }
                    if let Some(why) = Why::of_standing(standing) {
                        self.wait(source, why);
                    }
                }
                (_, false, Ok(_)) => {}
                // One group's coordinator may be away while others answer.
                (source, _, Err(error)) => {
                    tracing::debug!(%source, error = format!("{error:#}"), "a normaliser's position is unknown");
                }
            }
        }
        Ok(())
    }

    /// Begins a pass when one is due, and takes the one under way as far as it goes now.
    async fn pass(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        if self.pass.is_none() && now >= self.next_pass && self.tracks.is_any_read() {
            let ends = self.shared.ends.of_person_records().await?;
            runtime::failpoint::reach("clock.pass-begun");
            self.next_pass = now + Duration::from_millis(self.shared.settings.clock.interval_millis.into());
            self.reported = false;
            self.pass = Some((
                Pass::begin(self.tracks.take_read(), ends, self.shared.settings.clock.hops),
                now,
            ));
        }
        while let Some((pass, began)) = &mut self.pass {
            match pass.observe(&self.shared.store.shards().await?) {
                Next::Wait => {
                    if began.elapsed() > STUCK && !self.reported {
                        self.reported = true;
                        tracing::warn!(
                            sources = pass.sources().len(),
                            "the registry does not keep up: completeness stands still"
                        );
                    }
                    return Ok(());
                }
                Next::NoteEnds => pass.ends(self.shared.ends.of_person_records().await?),
                Next::Done => {
                    runtime::failpoint::reach("clock.pass-done");
                    metrics::histogram!("canbao_clock_pass_seconds").record(began.elapsed().as_secs_f64());
                    for (source, time) in pass.sources() {
                        if let Some(progress) = self.progress.get_mut(source) {
                            // The source's clock may be ahead of the broker's, whose time the facts carry.
                            progress.until = progress.until.max(Timestamp(time.0 - self.shared.tolerance));
                        }
                    }
                    self.unsaved = true;
                    self.pass = None;
                }
            }
        }
        Ok(())
    }

    fn show(&self) {
        let now = now();
        for (source, progress) in &self.progress {
            let age = if progress.until.0 == 0 {
                f64::INFINITY
            } else {
                (now.0 - progress.until.0) as f64 / 1000.0
            };
            metrics::gauge!("canbao_clock_completeness_age_seconds", "source" => source.to_string()).set(age);
        }
    }
}

fn describe_metrics() {
    metrics::describe_counter!(
        "canbao_clock_rows_total",
        "Completeness rows, by source and whether they counted"
    );
    metrics::describe_gauge!("canbao_clock_waived", "1 while an operator's waiver of a source holds");
    metrics::describe_histogram!(
        "canbao_clock_pass_seconds",
        "From the beginning of a pass through the registry to its end"
    );
    metrics::describe_gauge!(
        "canbao_clock_completeness_age_seconds",
        "Age of a source's completeness; infinite while it has none"
    );
}
