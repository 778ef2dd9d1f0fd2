//! The table: text for the terminal, JSON for scripts, Markdown for the README.

use super::floor::Floor;
use super::latency::Latency;
use super::machine::Machine;
use super::options::Options;
use super::phase::Phase;
use super::storage::Sizes;
use super::usage::Used;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// On what.
    pub machine: Machine,
    /// Residents of the simulated province.
    pub residents: u64,
    /// Its seed.
    pub seed: u64,
    /// Source messages of the snapshot.
    pub snapshot_messages: i64,
    /// How fast the simulator published them, a second.
    pub snapshot_rate: f64,
    /// How fast it published the changes, messages a second.
    pub mix_rate: f64,
    /// The first load.
    pub load: Option<Phase>,
    /// The daily mix.
    pub mix: Option<Phase>,
    /// The floor's first load.
    pub floor_load: Option<Floor>,
    /// The floor's daily mix.
    pub floor_mix: Option<Floor>,
    /// The base after the first load.
    pub sizes: Sizes,
    /// Bytes of the source topics in the broker.
    pub source_bytes: u64,
    /// Bytes of `person.records` in the broker, after the first load.
    pub person_records_bytes: u64,
    /// Messages in the alert topics after the daily mix.
    pub alerts: i64,
    /// By rate.
    pub latency: Vec<Latency>,
}

impl Report {
    /// Nothing measured yet.
    pub fn new(options: &Options, machine: Machine) -> Self {
        Self {
            machine,
            residents: options.residents,
            seed: options.seed,
            snapshot_messages: 0,
            snapshot_rate: 0.0,
            mix_rate: 0.0,
            load: None,
            mix: None,
            floor_load: None,
            floor_mix: None,
            sizes: Sizes::default(),
            source_bytes: 0,
            person_records_bytes: 0,
            alerts: 0,
            latency: Vec::new(),
        }
    }

    /// The snapshot is published.
    pub fn snapshot(&mut self, messages: i64, took: Duration) {
        self.snapshot_messages = messages;
        self.snapshot_rate = messages as f64 / took.as_secs_f64();
    }

    /// The daily mix is published.
    pub fn mix(&mut self, messages: i64, took: Duration) {
        self.mix_rate = messages as f64 / took.as_secs_f64();
    }

    /// For the terminal; ends with the Markdown table.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write_text(&mut out).expect("a string takes everything");
        out.push_str("\nMarkdown:\n\n");
        self.write_markdown(&mut out).expect("a string takes everything");
        out
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let Machine {
            cpu,
            cores,
            kernel,
            postgres,
            kafka,
            ..
        } = &self.machine;
        writeln!(
            out,
            "machine      {cpu}, {cores} cores, {:.0} GB, {kernel}",
            giga(self.machine.memory_bytes)
        )?;
        writeln!(
            out,
            "servers      PostgreSQL {postgres} (fsync, synchronous_commit, full_page_writes on), Kafka {kafka}, {:.0} syncs/s",
            self.machine.syncs_per_second
        )?;
        writeln!(
            out,
            "population   {} residents, seed {}, {} source messages ({:.0} B each in the broker), published at {:.0}/s; changes at {:.0}/s",
            self.residents,
            self.seed,
            self.snapshot_messages,
            ratio(self.source_bytes as f64, self.snapshot_messages as f64),
            self.snapshot_rate,
            self.mix_rate
        )?;
        for (name, phase, floor) in [
            ("first load", &self.load, &self.floor_load),
            ("daily mix", &self.mix, &self.floor_mix),
        ] {
            if let Some(phase) = phase {
                write_phase(out, name, phase, floor.as_ref())?;
            }
        }
        self.write_sizes(out)?;
        writeln!(
            out,
            "\nalert topics {} messages after the daily mix (transaction markers included)",
            self.alerts
        )?;
        for latency in &self.latency {
            latency.write(out)?;
        }
        Ok(())
    }

    fn write_sizes(&self, out: &mut String) -> std::fmt::Result {
        let sizes = &self.sizes;
        writeln!(
            out,
            "\nsize after the first load: {} live source records, {} persons; {:.0} B a record over all tables and indexes, {:.0} without the \
             source log, {:.0} in it; person.records {:.0} B an entry in the broker",
            sizes.records,
            sizes.persons,
            sizes.per_record(|_| true),
            sizes.per_record(|name| name != "source_log"),
            sizes.per_record(|name| name == "source_log"),
            ratio(
                self.person_records_bytes as f64,
                self.load.as_ref().map_or(0.0, |load| load.entries as f64)
            ),
        )?;
        for (name, bytes) in sizes.tables.iter().filter(|(_, bytes)| **bytes * 200 > sizes.total()) {
            writeln!(
                out,
                "  {name:<14} {:>9.1} MB {:>7.1} B/record",
                *bytes as f64 / 1e6,
                *bytes as f64 / sizes.records.max(1) as f64
            )?;
        }
        Ok(())
    }

    fn write_markdown(&self, out: &mut String) -> std::fmt::Result {
        let size = &self.sizes;
        writeln!(
            out,
            "| {} residents, {} cores | First load | Daily mix |\n|---|---:|---:|",
            self.residents, self.machine.cores
        )?;
        let phases = [(&self.load, &self.floor_load), (&self.mix, &self.floor_mix)];
        let mut row = |name: &str, value: &dyn Fn(&Phase, Option<&Floor>) -> String| {
            let cells =
                phases.map(|(phase, floor)| phase.as_ref().map_or("–".to_owned(), |phase| value(phase, floor.as_ref())));
            writeln!(out, "| {name} | {} | {} |", cells[0], cells[1])
        };
        row("Source events", &|phase, _| phase.events.to_string())?;
        row("Events/s into the committed base", &|phase, _| {
            format!("{:.0}", phase.base_rate())
        })?;
        row("Events/s to the alert topics, all published", &|phase, _| {
            format!("{:.0}", phase.rate())
        })?;
        row("Bare floor, events/s", &|_, floor| {
            floor.map_or("–".into(), |floor| format!("{:.0}", floor.rate()))
        })?;
        row("Ratio to the floor (base, published)", &|phase, floor| {
            floor.map_or("–".into(), |floor| {
                format!("{:.2}, {:.2}", phase.base_rate() / floor.rate(), phase.rate() / floor.rate())
            })
        })?;
        row(
            "CPU µs/event: broker, PostgreSQL, normalisers, registry, publisher, clock",
            &|phase, _| {
                let parts = groups(&phase.used).map(|(_, used)| format!("{:.0}", micros(used.cpu_seconds, phase.events)));
                parts.join(", ")
            },
        )?;
        row("Rows, index entries written/event", &|phase, _| {
            let (rows, entries) = written(phase);
            format!("{rows:.1}, {entries:.1}")
        })?;
        row("WAL bytes/event", &|phase, _| {
            format!("{:.0}", phase.wal_bytes as f64 / phase.events.max(1) as f64)
        })?;
        row("Peak memory MB: registry, PostgreSQL (private), broker", &|phase, _| {
            let peak = |name: &str| phase.used.get(name).map_or(0, |used| used.peak_bytes) >> 20;
            format!("{}, {}, {}", peak("registry"), peak("postgres"), peak("broker"))
        })?;
        writeln!(
            out,
            "| Bytes per source record, all tables and indexes (without the source log) | {:.0} ({:.0}) | |",
            size.per_record(|_| true),
            size.per_record(|name| name != "source_log")
        )?;
        for latency in &self.latency {
            latency.write_markdown(out)?;
        }
        writeln!(
            out,
            "\n{}, {} cores, {:.0} GB, {}; PostgreSQL {}, Kafka {}, {:.0} syncs/s; everything on this machine, the simulator too",
            self.machine.cpu,
            self.machine.cores,
            giga(self.machine.memory_bytes),
            self.machine.kernel,
            self.machine.postgres,
            self.machine.kafka,
            self.machine.syncs_per_second
        )
    }
}

fn giga(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

fn ratio(one: f64, other: f64) -> f64 {
    if other > 0.0 { one / other } else { 0.0 }
}

fn micros(seconds: f64, events: i64) -> f64 {
    seconds * 1e6 / events.max(1) as f64
}

/// CPU by role: the three normalisers are one; their memory is that of the largest.
fn groups(used: &BTreeMap<&'static str, Used>) -> [(&'static str, Used); 6] {
    let sum = |names: &[&str]| {
        names
            .iter()
            .filter_map(|name| used.get(name))
            .fold(Used::default(), |sum, used| Used {
                cpu_seconds: sum.cpu_seconds + used.cpu_seconds,
                peak_bytes: sum.peak_bytes.max(used.peak_bytes),
            })
    };
    [
        ("broker", sum(&["broker"])),
        ("postgres", sum(&["postgres"])),
        ("normalisers", sum(&["public-security", "civil-affairs", "human-resources"])),
        ("registry", sum(&["registry"])),
        ("publisher", sum(&["publisher"])),
        ("clock", sum(&["clock"])),
    ]
}

/// Rows (inserts, updates, deletes) and index entries for each event.
fn written(phase: &Phase) -> (f64, f64) {
    let all = phase.tables.values();
    let rows: i64 = all.clone().map(|table| table.inserted + table.updated + table.deleted).sum();
    let entries: i64 = all.map(|table| table.index_entries).sum();
    (
        rows as f64 / phase.events.max(1) as f64,
        entries as f64 / phase.events.max(1) as f64,
    )
}

fn write_phase(out: &mut String, name: &str, phase: &Phase, floor: Option<&Floor>) -> std::fmt::Result {
    let events = phase.events;
    writeln!(
        out,
        "\n{name}: {events} events, {} entries; {:.0} events/s into the base ({:.1} s), {:.0} published ({:.1} s), after {:.1} s of starting",
        phase.entries,
        phase.base_rate(),
        phase.base_seconds,
        phase.rate(),
        phase.seconds,
        phase.startup_seconds
    )?;
    if let Some(floor) = floor {
        writeln!(
            out,
            "  floor: {} events, {:.0} events/s ({:.1} s); ratio {:.2} into the base, {:.2} published; CPU µs/event: {}; WAL {:.0} B/event; \
             {:.0} B/person",
            floor.events,
            floor.rate(),
            floor.seconds,
            phase.base_rate() / floor.rate(),
            phase.rate() / floor.rate(),
            floor
                .used
                .iter()
                .map(|(name, used)| format!("{name} {:.1}", micros(used.cpu_seconds, floor.events)))
                .collect::<Vec<_>>()
                .join(", "),
            floor.wal_bytes as f64 / floor.events.max(1) as f64,
            floor.bytes_per_person
        )?;
    }
    let all: f64 = phase.used.values().map(|used| used.cpu_seconds).sum();
    writeln!(
        out,
        "  {:<14} {:>9} {:>9}   (all {:.1} µs/event)",
        "process",
        "µs/event",
        "peak MB",
        micros(all, events)
    )?;
    for (name, used) in groups(&phase.used) {
        let peak = used.peak_bytes as f64 / f64::from(1 << 20);
        writeln!(out, "  {name:<14} {:>9.1} {peak:>9.0}", micros(used.cpu_seconds, events))?;
    }
    let (rows, entries) = written(phase);
    writeln!(
        out,
        "  written per event: {rows:.2} rows, {entries:.2} index entries, {:.0} B of WAL, {:.3} full pages",
        phase.wal_bytes as f64 / events.max(1) as f64,
        phase.full_pages as f64 / events.max(1) as f64
    )?;
    writeln!(
        out,
        "  {:<14} {:>9} {:>9} {:>6} {:>9} {:>9}  per event",
        "table", "inserted", "updated", "hot %", "deleted", "indexed"
    )?;
    for (name, table) in &phase.tables {
        let per = |count: i64| count as f64 / events.max(1) as f64;
        writeln!(
            out,
            "  {name:<14} {:>9.3} {:>9.3} {:>6.1} {:>9.3} {:>9.3}",
            per(table.inserted),
            per(table.updated),
            100.0 * ratio(table.hot as f64, table.updated as f64),
            per(table.deleted),
            per(table.index_entries)
        )?;
    }
    Ok(())
}
