//! The benchmark: source topics → committed base → alert topics, everything included, and the bare floor beside it
//! (ARCHITECTURE.md, Pace).
//!
//! Broker, PostgreSQL (durable commits, asserted) and every service's own binary run on this machine; the simulator publishes a snapshot
//! first, untimed. Then, in one run: the floor's and the real first load, go-live, the floor's and the real daily mix, and latency at
//! steady rates, measured from outside with marker rows. Started by `integration-tests/run bench`, which gives it servers of its own.

mod broker;
pub mod floor;
mod latency;
mod machine;
mod options;
mod phase;
mod report;
mod stack;
mod storage;
mod usage;

use anyhow::{Context, ensure};
use clap::Parser;
use machine::Machine;
use options::{Format, Options, Part};
use report::Report;
use stack::Stack;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use storage::Sizes;
use tokio::signal::unix::{SignalKind, signal};

/// How long the snapshot of a resident may take, and how long anything may take besides.
const PER_RESIDENT: Duration = Duration::from_millis(5);
const AT_LEAST: Duration = Duration::from_secs(120);

/// The bench's process, or the floor's when its first argument says so. Exit code 0 when it came to its end, 2 otherwise.
pub fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(floor::ARGUMENT) {
        return floor::main();
    }
    let options = Options::parse();
    let done = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the asynchronous runtime")
        .and_then(|runtime| runtime.block_on(until_told(&options)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stderr, reason = "a command speaks to its caller")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("bench: {error:#}");
    ExitCode::from(2)
}

#[expect(clippy::print_stderr, reason = "a command speaks to its caller")]
fn say(what: &str) {
    eprintln!("bench: {what}");
}

/// What a phase came to, at once: a run that breaks off later has still said it.
fn tell(phase: &phase::Phase, floor: Option<&floor::Floor>) {
    let floor = floor.map_or(String::new(), |floor| format!("; floor {:.0}/s", floor.rate()));
    let (base, all) = (phase.base_rate(), phase.rate());
    say(&format!(
        "{} events, {base:.0}/s into the base, {all:.0}/s published{floor}",
        phase.events
    ));
}

/// Runs, or ends early when told to; either way what was started is stopped as values are dropped.
async fn until_told(options: &Options) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let report = tokio::select! {
        report = run(options) => report?,
        _ = terminate.recv() => anyhow::bail!("told to end"),
        _ = interrupt.recv() => anyhow::bail!("interrupted"),
    };
    let text = match options.format {
        Format::Text => report.text(),
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    std::fs::write(
        options.directory.join(format!("bench-{}.json", options.residents)),
        serde_json::to_string_pretty(&report)?,
    )?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn patience(options: &Options) -> Duration {
    AT_LEAST + PER_RESIDENT * u32::try_from(options.residents).unwrap_or(u32::MAX)
}

async fn run(options: &Options) -> anyhow::Result<Report> {
    std::fs::create_dir_all(&options.directory)?;
    machine::check_disk(&options.directory, options.residents)?;
    let mut stack = Stack::prepare(options).await?;
    let postgres: String = sqlx::query_scalar("show server_version").fetch_one(&stack.pool).await?;
    let mut report = Report::new(options, Machine::measure(&options.directory, postgres)?);
    say("the services make their topics and learn the date");
    prime(&mut stack).await?;

    say("the agencies publish their snapshot");
    let begin = Instant::now();
    end(stack.simulator(options, &["--snapshot-only"])?, patience(options)).await?;
    let messages = stack.broker.written(&stack.broker.source_topics()?)?;
    report.snapshot(messages, begin.elapsed());
    report.source_bytes = source_bytes(&stack)?;

    if options.wants(Part::Floor) {
        say("the floor's first load");
        floor::prepare(&stack).await?;
        report.floor_load = Some(floor::run(&stack, patience(options)).await?);
    }
    say("the first load");
    let load = phase::drain(&mut stack, options, messages).await?;
    tell(&load, report.floor_load.as_ref());
    report.load = Some(load);
    report.sizes = Sizes::measure(&stack.pool).await?;
    report.person_records_bytes = stack.broker.bytes("person.records-");

    if options.wants(Part::Mix) {
        say("go-live");
        let mut changes = go_live(&mut stack, options).await?;
        stack.stop().await?;
        if options.wants(Part::Floor) {
            // What completeness took to write is none of the mix.
            floor::run(&stack, patience(options)).await?;
        }
        say("the agencies publish the changes of a day");
        let before = stack.broker.written(&stack.broker.source_topics()?)?;
        let (count, after) = (options.changes().to_string(), changes.to_string());
        let arguments = ["--resume-after", &after, "--changes", &count, "--changes-per-second", "0"];
        let begin = Instant::now();
        end(stack.simulator(options, &arguments)?, patience(options)).await?;
        let messages = stack.broker.written(&stack.broker.source_topics()?)? - before;
        report.mix(messages, begin.elapsed());
        changes += options.changes();
        if options.wants(Part::Floor) {
            say("the floor's daily mix");
            report.floor_mix = Some(floor::run(&stack, patience(options)).await?);
        }
        say("the daily mix");
        let mix = phase::drain(&mut stack, options, messages).await?;
        tell(&mix, report.floor_mix.as_ref());
        report.mix = Some(mix);
        report.alerts = alerts(&stack)?;
        if options.wants(Part::Latency) {
            let most = report.mix.as_ref().map_or(0.0, phase::Phase::base_rate);
            let rates = if options.rates.is_empty() {
                latency::rates(most)
            } else {
                options.rates.clone()
            };
            for rate in rates {
                say(&format!("latency at {rate} events a second"));
                let (measured, done) = latency::measure(&mut stack, options, rate, changes).await?;
                changes = done;
                report.latency.push(measured);
            }
        }
    }
    Ok(report)
}

/// Waits for a simulator that ends by itself.
async fn end(simulator: stack::Process, patience: Duration) -> anyhow::Result<()> {
    ensure!(
        simulator.end(patience).await?,
        "the simulator failed or took longer than {patience:?}: see its log"
    );
    Ok(())
}

/// As in operation, the services have run before data come: topics are made, every shard knows the date.
async fn prime(stack: &mut Stack) -> anyhow::Result<()> {
    stack.start(None)?;
    let deadline = Instant::now() + AT_LEAST;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stack.check_alive()?;
        let shards = runtime::store::read::shards(&mut *stack.pool.acquire().await?).await?;
        let topics = stack
            .broker
            .written(&["alerts.identity.3213".to_owned(), "person.registry".to_owned()]);
        let knows = |shard: &runtime::store::read::StoredShard| shard.state.business_date().to_string() == stack.today;
        if topics.is_ok() && shards.iter().all(knows) {
            break;
        }
        ensure!(Instant::now() < deadline, "the shards did not learn the date");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    stack.stop().await
}

/// Heartbeats until every source is complete, then go-live of all regions; returns how many changes the agencies made meanwhile.
async fn go_live(stack: &mut Stack, options: &Options) -> anyhow::Result<u64> {
    stack.start(None)?;
    let deadline = Instant::now() + patience(options);
    loop {
        stack.check_alive()?;
        let beats = ["--resume-after", "0", "--changes", "0"];
        end(stack.simulator(options, &beats)?, AT_LEAST).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let arguments = ["go-live", "--region", "all", "--wait", "300"];
        if stack.run("canbao", &arguments, Duration::from_secs(320)).await.is_ok() {
            break;
        }
        ensure!(Instant::now() < deadline, "the regions could not go live, see canbao.log");
    }
    let deadline = Instant::now() + patience(options);
    // A pass that is left would be worked off beside the mix, and be counted as its time.
    while sqlx::query_scalar::<_, bool>("select exists (select from store.outbox) or exists (select from store.pass)")
        .fetch_one(&stack.pool)
        .await?
    {
        stack.check_alive()?;
        ensure!(Instant::now() < deadline, "the baseline was not published");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    Ok(0)
}

/// Bytes of all source topics in the broker.
fn source_bytes(stack: &Stack) -> anyhow::Result<u64> {
    let topics = stack.broker.source_topics()?;
    Ok(topics.iter().map(|topic| stack.broker.bytes(&format!("{topic}-"))).sum())
}

/// Messages in the alert topics, transaction markers included.
fn alerts(stack: &Stack) -> anyhow::Result<i64> {
    let kinds = domain::finding::AlertKind::ALL;
    let cities = || domain::division::City::all();
    let topics = kinds
        .iter()
        .flat_map(|kind| cities().map(|city| schemas::registry::alert_topic(*kind, city)));
    stack.broker.written(&topics.collect::<Vec<_>>())
}
