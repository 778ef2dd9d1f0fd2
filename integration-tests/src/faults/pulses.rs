//! A broker that stands still: stopped as a whole, or nearly all of the time.

use anyhow::{Context, ensure};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The broker stands still for so long, then answers for so long, and again.
const STILL: Duration = Duration::from_secs(4);
const AWAKE: Duration = Duration::from_millis(400);

/// The broker's process, stopped until this is dropped.
pub(super) struct Frozen(String);

/// Stops the broker (SIGSTOP): its connections stay open, and nothing is answered.
pub(super) fn freeze(state: &Path) -> anyhow::Result<Frozen> {
    let noted = std::fs::read_to_string(state.join("run/kafka.pid")).context("the broker's process is not noted")?;
    let pid = noted.split_whitespace().next().context("the broker's process is not noted")?;
    signal(pid, "STOP")?;
    Ok(Frozen(pid.to_owned()))
}

impl Drop for Frozen {
    fn drop(&mut self) {
        signal(&self.0, "CONT").ok();
    }
}

fn signal(pid: &str, signal: &str) -> anyhow::Result<()> {
    let sent = Command::new("kill").args(["-s", signal, pid]).status()?;
    ensure!(sent.success(), "the broker could not be sent SIG{signal}");
    Ok(())
}

/// A broker stopped again and again, until this is stopped or dropped.
pub(super) struct Pulses {
    ask: Arc<AtomicBool>,
    thread: Option<JoinHandle<u32>>,
}

impl Pulses {
    pub(super) fn start(state: &Path) -> anyhow::Result<Self> {
        let ask = Arc::new(AtomicBool::new(false));
        let (asked, state) = (ask.clone(), state.to_owned());
        drop(freeze(&state)?);
        let thread = std::thread::spawn(move || {
            let mut stops = 0;
            while !asked.load(Ordering::Relaxed) {
                let Ok(frozen) = freeze(&state) else { return stops };
                stops += 1;
                std::thread::sleep(STILL);
                drop(frozen);
                std::thread::sleep(AWAKE);
            }
            stops
        });
        Ok(Self {
            ask,
            thread: Some(thread),
        })
    }

    /// Ends them; how many there were.
    pub(super) fn stop(mut self) -> u32 {
        self.end()
    }

    fn end(&mut self) -> u32 {
        self.ask.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        ended.and_then(Result::ok).unwrap_or(0)
    }
}

impl Drop for Pulses {
    fn drop(&mut self) {
        self.end();
    }
}
