//! What the bench can be asked for.

use std::path::PathBuf;

/// A part of the scenario; each needs those before it, except the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The bare floor: the same topics and rows without any logic.
    Floor,
    /// The changes of a day, as a backlog.
    Mix,
    /// Latency at steady rates.
    Latency,
}

/// How the table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// A table, then the same in Markdown for the README.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// The options of `integration-tests/run bench`.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "bench",
    about = "Measures source topics → committed base → alert topics on this machine, with everything included"
)]
pub struct Options {
    /// Residents of the simulated province
    #[arg(long, default_value_t = 100_000)]
    pub residents: u64,
    /// The same seed gives the same people and the same changes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Parts beside the first load, comma-separated; all unless some are named. "load" alone is no part: it always runs
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = [Part::Floor, Part::Mix, Part::Latency])]
    pub only: Vec<Part>,
    /// Row changes of the daily mix, in percent of the residents
    #[arg(long, default_value_t = 10)]
    pub mix_percent: u64,
    /// Steady rates, source events a second, comma-separated; unless given, 1,000, a tenth and a half of the measured daily mix
    #[arg(long, value_delimiter = ',')]
    pub rates: Vec<u64>,
    /// Seconds of each steady rate
    #[arg(long, default_value_t = 30)]
    pub latency_seconds: u64,
    /// Marker rows a second among the steady changes
    #[arg(long, default_value_t = 20)]
    pub markers_per_second: u32,
    /// Seconds without any progress after which the bench gives up
    #[arg(long, default_value_t = 120)]
    pub patience: u64,
    /// Form of the report
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where logs and generated settings go
    #[arg(long, default_value = ".local/bench/out")]
    pub directory: PathBuf,
}

impl Options {
    /// Whether a part is to run.
    pub fn wants(&self, part: Part) -> bool {
        self.only.contains(&part)
    }

    /// Row changes of the daily mix.
    pub fn changes(&self) -> u64 {
        (self.residents * self.mix_percent / 100).max(100)
    }
}
