//! CPU and memory of processes, from `/proc`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Clock ticks a second in `/proc/<pid>/stat`: `USER_HZ`, 100 on every architecture in use.
const TICKS: f64 = 100.0;
/// Between two looks at memory.
const LOOK: Duration = Duration::from_millis(500);

/// A process, or a server with one process per connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One process.
    One(u32),
    /// A process and its children: PostgreSQL's postmaster with backends, WAL writer, checkpointer and autovacuum.
    Family(u32),
}

/// What a target used.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Used {
    /// CPU seconds.
    pub cpu_seconds: f64,
    /// Peak resident memory, bytes; of a family the private memory of all together (shared buffers come on top).
    pub peak_bytes: u64,
}

struct Stat {
    parent: u32,
    own: u64,
    reaped: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, also blanks and parentheses.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: number(1)? as u32,
        own: number(11)? + number(12)?,
        reaped: number(13)? + number(14)?,
    })
}

/// The parent of a process.
pub fn parent(pid: u32) -> Option<u32> {
    stat(pid).map(|stat| stat.parent)
}

fn processes() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn children(pid: u32) -> Vec<u32> {
    processes().filter(|child| parent(*child) == Some(pid)).collect()
}

/// CPU seconds so far; those of children that have ended are in their parent's count.
fn cpu(target: Target) -> f64 {
    let ticks = |pid: u32| stat(pid).map_or(0, |stat| stat.own + stat.reaped);
    let ticks = match target {
        Target::One(pid) => ticks(pid),
        Target::Family(pid) => ticks(pid) + children(pid).into_iter().map(ticks).sum::<u64>(),
    };
    ticks as f64 / TICKS
}

/// A line of `/proc/<pid>/status` in bytes.
fn status(pid: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn memory(target: Target) -> u64 {
    match target {
        Target::One(pid) => status(pid, "VmRSS"),
        Target::Family(pid) => children(pid).into_iter().chain([pid]).map(|pid| status(pid, "RssAnon")).sum(),
    }
}

/// Measures targets from its making to [`Meter::stop`].
#[derive(Debug)]
pub struct Meter {
    targets: BTreeMap<&'static str, (Target, f64)>,
    peaks: Arc<Mutex<BTreeMap<&'static str, u64>>>,
    ended: Arc<AtomicBool>,
    looker: Option<JoinHandle<()>>,
}

impl Meter {
    /// Begins to measure.
    pub fn start(targets: impl IntoIterator<Item = (&'static str, Target)>) -> Self {
        let targets: BTreeMap<_, _> = targets
            .into_iter()
            .map(|(name, target)| (name, (target, cpu(target))))
            .collect();
        let mut meter = Self {
            targets,
            peaks: Arc::default(),
            ended: Arc::default(),
            looker: None,
        };
        meter.look();
        meter
    }

    /// Measures processes too that have just been started: all they used counts.
    pub fn add(&mut self, name: &'static str, pid: u32) {
        self.halt();
        self.targets.insert(name, (Target::One(pid), 0.0));
        self.look();
    }

    fn look(&mut self) {
        let (peaks, ended) = (self.peaks.clone(), Arc::new(AtomicBool::new(false)));
        self.ended = ended.clone();
        let targets: Vec<_> = self.targets.iter().map(|(name, (target, _))| (*name, *target)).collect();
        self.looker = Some(std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                for (name, target) in &targets {
                    let now = memory(*target);
                    let mut peaks = peaks.lock().unwrap_or_else(PoisonError::into_inner);
                    let peak = peaks.entry(name).or_default();
                    *peak = now.max(*peak);
                }
                std::thread::park_timeout(LOOK);
            }
        }));
    }

    fn halt(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(looker) = self.looker.take() {
            looker.thread().unpark();
            // A thread that only reads /proc and cannot panic.
            let _ = looker.join();
        }
    }

    /// CPU seconds of each target so far.
    pub fn cpu_seconds(&self) -> BTreeMap<&'static str, f64> {
        self.targets
            .iter()
            .map(|(name, (target, before))| (*name, cpu(*target) - before))
            .collect()
    }

    /// What the targets used; ask before they end.
    pub fn stop(mut self) -> BTreeMap<&'static str, Used> {
        self.halt();
        let peaks = self.peaks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let used = self.targets.iter().map(|(name, (target, before))| {
            let used = Used {
                cpu_seconds: cpu(*target) - before,
                peak_bytes: peaks.get(name).copied().unwrap_or(0),
            };
            (*name, used)
        });
        used.collect()
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.halt();
    }
}

/// The process that listens on a port of this machine and may be looked into by us.
pub fn listener(port: u16) -> Option<u32> {
    let wanted = format!(":{port:04X}");
    let mut sockets = Vec::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in std::fs::read_to_string(file).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let [_, local, _, "0A", ..] = fields[..]
                && local.ends_with(&wanted)
                && let Some(inode) = fields.get(9)
            {
                sockets.push(format!("socket:[{inode}]"));
            }
        }
    }
    processes().find(|pid| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files
            .filter_map(|file| std::fs::read_link(file.path()).ok())
            .any(|link| sockets.iter().any(|socket| link.to_str() == Some(socket)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_work_is_seen() {
        let meter = Meter::start([("us", Target::One(std::process::id()))]);
        // Nanoseconds that this thread was on a CPU, as the scheduler counts them.
        let ours = || -> f64 {
            let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("of this thread");
            let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok());
            nanos.expect("nanoseconds") / 1e9
        };
        let begin = ours();
        // By the CPU's time: on a busy machine hardly any of the wall's is ours.
        while ours() < begin + 0.2 {
            std::hint::black_box((0..100_000_u64).fold(0, |sum: u64, next| sum.wrapping_mul(31).wrapping_add(next)));
        }
        let used = meter.stop()["us"];
        assert!((0.15..30.0).contains(&used.cpu_seconds), "{used:?}");
        assert!(used.peak_bytes > 1 << 20, "{used:?}");
    }
}
