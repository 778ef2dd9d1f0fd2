//! The machine, so that figures can be compared: processor, memory, kernel, and how often a file can be made durable.

use anyhow::{Context, ensure};
use serde::Serialize;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Disk a run needs for each resident, bytes: source topics, `person.records`, base and floor with their logs, alert topics.
const BYTES_PER_RESIDENT: u64 = 25_000;
/// Disk a run needs besides: write-ahead log, floor of topics and cluster.
const BYTES_BESIDE: u64 = 8 << 30;

/// What the figures were measured on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Model of the processor.
    pub cpu: String,
    /// Cores that may be used.
    pub cores: usize,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Kernel and its version.
    pub kernel: String,
    /// Version of PostgreSQL.
    pub postgres: String,
    /// Version of Kafka: the one that the launcher fetches.
    pub kafka: String,
    /// 8 KB writes made durable one after the other, a second (what pg_test_fsync measures for fdatasync).
    pub syncs_per_second: f64,
}

impl Machine {
    /// Looks around; `directory` is where durability is tried.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn measure(directory: &Path, postgres: String) -> anyhow::Result<Self> {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(name))?;
            line.split_once(':').map(|(_, value)| value.trim().to_owned())
        };
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kilobytes = memory
            .lines()
            .next()
            .and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        Ok(Self {
            cpu: field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kilobytes.unwrap_or(0) * 1024,
            kernel: format!("Linux {}", kernel.trim()),
            postgres,
            kafka: kafka_version(),
            syncs_per_second: syncs(directory)?,
        })
    }
}

fn kafka_version() -> String {
    let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/kafka/pom.xml");
    let text = std::fs::read_to_string(pom).unwrap_or_default();
    let version = text.split_once("<kafka.version>").and_then(|(_, rest)| rest.split_once('<'));
    version.map_or("of unknown version", |(version, _)| version).to_owned()
}

fn syncs(directory: &Path) -> anyhow::Result<f64> {
    let path = directory.join("sync-test");
    let mut file = std::fs::File::create(&path).with_context(|| format!("cannot write to {}", directory.display()))?;
    file.write_all(&vec![7; 1 << 20])?;
    file.sync_all()?;
    let (begin, mut count) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_secs(1) {
        file.seek(std::io::SeekFrom::Start(count % 64 * 8192))?;
        file.write_all(&[count as u8; 8192])?;
        file.sync_data()?;
        count += 1;
    }
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// Fails when the disk has less room than a run of so many residents needs.
///
/// # Errors
/// Says how much is there and how much is needed.
pub fn check_disk(directory: &Path, residents: u64) -> anyhow::Result<()> {
    let output = Command::new("df")
        .args(["--output=avail", "--block-size=1"])
        .arg(directory)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let free: u64 = text
        .lines()
        .nth(1)
        .and_then(|line| line.trim().parse().ok())
        .context("df does not say how much room there is")?;
    let needed = BYTES_BESIDE + residents * BYTES_PER_RESIDENT;
    let giga = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    ensure!(
        free >= needed,
        "{residents} residents need about {:.0} GB of disk, {} has {:.0} GB left",
        giga(needed),
        directory.display(),
        giga(free)
    );
    Ok(())
}
