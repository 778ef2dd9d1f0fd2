//! Latency at a steady rate, measured from outside: marker rows among the changes, looked for in the committed base and in the alert topics.
//!
//! The clock starts when a marker is handed to the broker (a little before its append time) and stops when another connection sees its
//! directory row, so after the commit, or when a consumer of committed messages receives the alert that names it as evidence. What
//! polling adds counts too. Half of the markers open a finding that the run's policy tells at once, half one that waits for completeness
//! with a heartbeat a second.

mod markers;
mod watch;

use super::options::Options;
use super::stack::Stack;
use crate::servers::SERVICES;
use anyhow::ensure;
use domain::policy::Policy;
use markers::{Kind, Marker, Markers};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use watch::Seen;

/// Before markers are sent at a rate: what starting costs (groups, caches, the broker's compiler) has passed. And the longest wait for the
/// last of them.
const WARM_UP: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);
/// What waited while the services were started is behind them.
const CATCH_UP: Duration = Duration::from_secs(20);
/// Seconds of changes that pass before the first of them is seen.
const BEGINNING: Duration = Duration::from_secs(5);
/// Until the services and the simulator are under way.
const START: Duration = Duration::from_secs(120);

/// Source events for each change of the simulator at a steady rate, roughly: some changes are two rows, heartbeats and markers come on top.
/// What was really published is reported.
const EVENTS_PER_CHANGE: f64 = 1.12;

/// The rates to measure, source events a second: 1,000, then a tenth and a half of the measured maximum.
pub fn rates(most: f64) -> Vec<u64> {
    [1_000, (most * 0.1) as u64, (most * 0.5) as u64]
        .into_iter()
        .filter(|rate| *rate > 0)
        .collect()
}

/// Quantiles of some durations, milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Spread {
    /// How many were measured.
    pub count: usize,
    /// The median.
    pub p50: f64,
    /// Exceeded by one in a hundred.
    pub p99: f64,
    /// The longest.
    pub most: f64,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let quantile = |share: f64| {
            let at = ((times.len() as f64 * share).ceil() as usize).saturating_sub(1);
            times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        Self {
            count: times.len(),
            p50: quantile(0.5),
            p99: quantile(0.99),
            most: quantile(1.0),
        }
    }
}

/// Latency at one rate.
#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    /// Source events a second that were asked for.
    pub rate: u64,
    /// Those that were published.
    pub published: f64,
    /// Cores in use by everything under measurement, by process.
    pub cores: BTreeMap<&'static str, f64>,
    /// Source topic → committed base.
    pub base: Spread,
    /// Source topic → alert topic, released at once.
    pub at_once: Spread,
    /// Source topic → alert topic, with a heartbeat a second.
    pub heartbeat: Spread,
    /// Markers that were not seen in time: in the base, in the alert topics.
    pub lost: [usize; 2],
}

impl Latency {
    /// A line for each measure.
    pub fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "\nlatency at {} events/s ({:.0} published, {:.2} cores in use; lost {:?})",
            self.rate,
            self.published,
            self.cores.values().sum::<f64>(),
            self.lost
        )?;
        for (name, cores) in &self.cores {
            write!(out, "  {name} {cores:.2}")?;
        }
        writeln!(out)?;
        for (name, spread) in [
            ("source → committed base", self.base),
            ("source → alert, at once", self.at_once),
            ("source → alert, heartbeat", self.heartbeat),
        ] {
            let Spread { count, p50, p99, most } = spread;
            writeln!(
                out,
                "  {name:<26} p50 {p50:>7.1} ms  p99 {p99:>7.1} ms  max {most:>7.1} ms  ({count} markers)"
            )?;
        }
        Ok(())
    }

    /// A row of the README's table.
    pub fn write_markdown(&self, out: &mut String) -> std::fmt::Result {
        let cell = |spread: Spread| match spread.count {
            0 => "–".to_owned(),
            _ => format!("{:.0}, {:.0}", spread.p50, spread.p99),
        };
        writeln!(
            out,
            "| Latency at {:.0} events/s, p50, p99 ms: base; alert at once; alert with a heartbeat a second | {}; {}; {} | |",
            self.published,
            cell(self.base),
            cell(self.at_once),
            cell(self.heartbeat)
        )
    }
}

/// Runs the services at a rate of events whose changes follow `done` earlier ones, with markers among them; returns how many changes have been
/// made then.
///
/// # Errors
/// When a service ends or the markers' preparation does not arrive.
pub async fn measure(stack: &mut Stack, options: &Options, rate: u64, done: u64) -> anyhow::Result<(Latency, u64)> {
    stack.settle().await?;
    let mut meter = stack.meter();
    stack.start(Some(&mut meter))?;
    let count = options.latency_seconds as usize * options.markers_per_second as usize;
    let markers = Markers::new(stack, done)?;
    let prepared: Vec<Marker> = (0..count).map(|at| markers.marker(at)).collect::<anyhow::Result<_>>()?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let watch = watch::Watch::start(stack, &seen).await?;
    prepare(stack, &markers, &prepared, &seen).await?;

    let per_second = ((rate as f64 / EVENTS_PER_CHANGE) as u64).max(1);
    let lasting = CATCH_UP + WARM_UP + Duration::from_secs(options.latency_seconds);
    let changes = per_second * (lasting + BEGINNING).as_secs();
    let (after, changes_text, rate_text) = (done.to_string(), changes.to_string(), per_second.to_string());
    let arguments = [
        "--resume-after",
        &after,
        "--changes",
        &changes_text,
        "--changes-per-second",
        &rate_text,
        "--batch-seconds",
        "1",
    ];
    let simulator = stack.simulator(options, &arguments)?;
    let topics = stack.broker.source_topics()?;
    let (before, now) = (stack.broker.written(&topics)?, chrono::Utc::now().timestamp_millis());
    let deadline = Instant::now() + START;
    while stack.broker.written(&topics)? < before + rate as i64 {
        stack.check_alive()?;
        ensure!(Instant::now() < deadline, "the simulator did not begin");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Not for long: at a rate that cannot be held the sources are never complete, and that is what must be measured then, while it lasts.
    let deadline = Instant::now() + CATCH_UP;
    while Instant::now() < deadline && !is_complete(stack, now).await? {
        stack.check_alive()?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(WARM_UP).await;
    let (before, begin, busy) = (stack.broker.written(&topics)?, Instant::now(), meter.cpu_seconds());
    let interval = Duration::from_secs(options.latency_seconds) / count.max(1) as u32;
    for (at, marker) in prepared.iter().enumerate() {
        // Not in step with anything that beats: a golden-ratio share of the interval.
        let shift = interval.mul_f64((at as f64 * 0.618_034).fract());
        let due = begin + interval * at as u32 + shift;
        tokio::time::sleep_until(due.into()).await;
        lock(&seen).sent(marker.record, Instant::now());
        markers.send(marker)?;
        markers.poll();
    }
    let took = begin.elapsed().as_secs_f64();
    let published = (stack.broker.written(&topics)? - before) as f64 / took;
    let cores = meter.cpu_seconds().into_iter();
    let cores = cores
        .map(|(name, seconds)| (name, (seconds - busy.get(name).copied().unwrap_or(0.0)) / took))
        .collect();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && lock(&seen).waiting(&prepared) > 0 {
        stack.check_alive()?;
        markers.poll();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    watch.stop().await?;
    // The changes it is still to make are counted as made only when it has made them.
    ensure!(simulator.end(START).await?, "the simulator did not come to its end");
    meter.stop();
    stack.stop().await?;
    let seen = lock(&seen);
    let times = |of: &BTreeMap<_, Instant>, kind: Option<Kind>| {
        let some = prepared.iter().filter(|marker| kind.is_none_or(|kind| kind == marker.kind));
        some.filter_map(|marker| Some(of.get(&marker.record)?.duration_since(*seen.sent.get(&marker.record)?)))
            .collect::<Vec<Duration>>()
    };
    let base = times(&seen.committed, None);
    let at_once = times(&seen.alerted, Some(Kind::AtOnce));
    let heartbeat = times(&seen.alerted, Some(Kind::Heartbeat));
    let lost = [count - base.len(), count - at_once.len() - heartbeat.len()];
    let latency = Latency {
        rate,
        published,
        cores,
        base: Spread::of(base),
        at_once: Spread::of(at_once),
        heartbeat: Spread::of(heartbeat),
        lost,
    };
    Ok((latency, done + changes))
}

/// Whether every source has been complete since some moment, ms.
async fn is_complete(stack: &Stack, since: i64) -> anyhow::Result<bool> {
    let complete = sqlx::query_scalar("select coalesce(bool_and(until + $1 >= $2), false) from store.completeness");
    let tolerance = i64::from(Policy::embedded().release.tolerance_millis);
    Ok(complete.bind(tolerance).bind(since).fetch_one(&stack.pool).await?)
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Publishes what stands before the markers, and waits until it is in the base.
async fn prepare(stack: &mut Stack, markers: &Markers, prepared: &[Marker], seen: &Mutex<Seen>) -> anyhow::Result<()> {
    for marker in prepared {
        lock(seen).sent(marker.before, Instant::now());
        markers.send_before(marker)?;
        markers.poll();
    }
    let deadline = Instant::now() + START;
    loop {
        stack.check_alive()?;
        markers.poll();
        let missing = {
            let seen = lock(seen);
            prepared
                .iter()
                .filter(|marker| !seen.committed.contains_key(&marker.before))
                .count()
        };
        if missing == 0 {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{missing} rows before the markers did not arrive in the base; services: {SERVICES:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let spread = Spread::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(
            (spread.count, spread.p50 as u64, spread.p99 as u64, spread.most as u64),
            (200, 100, 198, 200)
        );
    }
}
