//! The services with their supervisor: who ended by itself is started again, as systemd would; who was frozen is let go in time.

use crate::servers::{Replica, Servers};
use anyhow::{Context, ensure};
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// How long a statement to the database may be tried again: it recovers from a crash meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often every source states its completeness. The simulator's own batches are of the simulated date, which is long past.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Wait between two looks.
const LOOK: Duration = Duration::from_millis(150);

/// Servers and services under supervision.
pub(crate) struct Crew<'a> {
    /// The servers.
    pub(crate) servers: &'a mut Servers,
    begun: Instant,
    beat: Instant,
    frozen: BTreeMap<Replica, Instant>,
    /// Asked to end, or expected to end because another takes its place.
    leaving: BTreeSet<Replica>,
    /// Where each log has been read to.
    read: BTreeMap<Replica, usize>,
    exits: BTreeMap<&'static str, usize>,
}

impl<'a> Crew<'a> {
    /// Takes over services that run.
    pub(crate) fn new(servers: &'a mut Servers) -> Self {
        Self {
            servers,
            begun: Instant::now(),
            beat: Instant::now(),
            frozen: BTreeMap::new(),
            leaving: BTreeSet::new(),
            read: BTreeMap::new(),
            exits: BTreeMap::new(),
        }
    }

    /// Prints a line with the time since the beginning.
    #[expect(clippy::print_stdout, reason = "what a test says while it runs")]
    pub(crate) fn say(&self, text: &str) {
        println!("{:7.1} s  {text}", self.begun.elapsed().as_secs_f64());
    }

    /// How often services ended by themselves, by name.
    pub(crate) fn exits(&self) -> &BTreeMap<&'static str, usize> {
        &self.exits
    }

    /// Whether a replica of a service is frozen.
    pub(crate) fn is_frozen(&self, service: &str) -> bool {
        self.frozen.keys().any(|(name, _)| *name == service)
    }

    /// Freezes a replica for a time.
    pub(crate) fn freeze(&mut self, replica: Replica, time: Duration) -> anyhow::Result<()> {
        self.servers.services.freeze(replica)?;
        self.frozen.insert(replica, Instant::now() + time);
        Ok(())
    }

    /// Kills a replica, frozen or not, and starts it again.
    pub(crate) fn crash(&mut self, replica: Replica) -> anyhow::Result<()> {
        self.frozen.remove(&replica);
        self.servers.services.crash(replica)
    }

    /// Starts a replica beside those that are planned: it is not started again when it ends.
    pub(crate) fn start_beside(&mut self, replica: Replica) -> anyhow::Result<()> {
        self.leaving.insert(replica);
        if !self.servers.services.runs(replica)? {
            self.look_after()?;
            self.servers.services.start(replica)?;
        }
        Ok(())
    }

    /// Sets the number of replicas: starts the missing ones, asks the others to end and does not wait.
    pub(crate) fn scale(&mut self, service: &'static str, replicas: usize) -> anyhow::Result<()> {
        let before = self.servers.services.replicas(service);
        self.servers.services.plan(service, replicas);
        for number in replicas + 1..=before {
            self.leaving.insert((service, number));
            if self.servers.services.runs((service, number))? {
                self.servers.services.ask_to_end((service, number))?;
            }
        }
        self.look_after()
    }

    /// Lets the sources say that they are complete, lets go who was frozen long enough, and starts again who ended by itself.
    ///
    /// # Errors
    /// When a service ended otherwise than with exit code 1 and a message.
    pub(crate) fn look_after(&mut self) -> anyhow::Result<()> {
        self.look_after_all_but(None).map(drop)
    }

    /// Waits until a replica crashes, and does not start it again; looks after the others.
    ///
    /// # Errors
    /// When it does not within `patience`.
    pub(crate) async fn await_crash(&mut self, replica: Replica, patience: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.look_after_all_but(Some(replica))? {
                return Ok(status);
            }
            ensure!(
                Instant::now() < deadline,
                "{} {} did not crash within {patience:?}",
                replica.0,
                replica.1
            );
            tokio::time::sleep(LOOK / 3).await;
        }
    }

    /// How the one ended who is not to be looked after, if it did.
    fn look_after_all_but(&mut self, one: Option<Replica>) -> anyhow::Result<Option<ExitStatus>> {
        let now = Instant::now();
        if now >= self.beat {
            self.servers.heartbeat(&BTreeSet::new())?;
            self.beat = now + HEARTBEAT;
        }
        for replica in self.frozen.keys().copied().collect::<Vec<_>>() {
            if self.frozen[&replica] <= now {
                self.frozen.remove(&replica);
                self.servers.services.thaw(replica)?;
                self.say(&format!("        SIGCONT {} {}", replica.0, replica.1));
            }
        }
        let mut crashed = None;
        for (replica, status) in self.servers.services.ended()? {
            if one == Some(replica) {
                crashed = Some(status);
            } else {
                self.note_end(replica, status)?;
            }
        }
        for replica in self.servers.services.all() {
            // One that was asked to end and is wanted again is awaited first.
            if one != Some(replica) && !self.servers.services.runs(replica)? {
                self.leaving.remove(&replica);
                self.servers.services.start(replica)?;
            }
        }
        Ok(crashed)
    }

    fn note_end(&mut self, replica: Replica, status: ExitStatus) -> anyhow::Result<()> {
        let (service, number) = replica;
        let said = self.last_words(replica);
        if !(self.leaving.remove(&replica) && status.success()) {
            *self.exits.entry(service).or_default() += 1;
            self.say(&format!("        {service} {number} ended by itself ({status}): {said}"));
            ensure!(status.code() == Some(1), "{service} {number} ended with {status}: {said}");
        }
        Ok(())
    }

    /// The last failure that a service has written to its log since the last time this was asked.
    pub(crate) fn last_words(&mut self, replica: Replica) -> String {
        let path = self.servers.services.logs().join(format!("{}-{}.log", replica.0, replica.1));
        let text = std::fs::read(path).unwrap_or_default();
        let new = text
            .get(self.read.insert(replica, text.len()).unwrap_or(0)..)
            .unwrap_or_default();
        let new = String::from_utf8_lossy(new).into_owned();
        // What ended it is said last, before what the clients say of themselves.
        let last = |words: &[&str]| {
            let said = |line: &&str| words.iter().any(|word| line.contains(word));
            new.lines().rev().find(said).map(str::to_owned)
        };
        last(&["runtime::service: failed", "failpoint ", "panicked"])
            .or_else(|| last(&["ERROR"]))
            .unwrap_or_else(|| "no message".to_owned())
    }

    /// Looks after the services for a while.
    pub(crate) async fn wait(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        loop {
            self.look_after()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    /// Lets everybody go on, and ends whoever stands beside the planned replicas.
    pub(crate) async fn settle(&mut self) -> anyhow::Result<()> {
        while !self.frozen.is_empty() {
            self.wait(LOOK).await?;
        }
        for replica in std::mem::take(&mut self.leaving) {
            if !self.servers.services.all().contains(&replica) {
                self.servers.services.kill(replica)?;
            }
        }
        Ok(())
    }

    /// Asks the database; again while it is recovering.
    pub(crate) async fn ask<T, F>(&mut self, question: impl Fn(PgPool) -> F) -> anyhow::Result<T>
    where
        F: Future<Output = anyhow::Result<T>>,
    {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match question(self.servers.pool.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) if Instant::now() > deadline => return Err(error).context("the database stays away"),
                Err(_) => self.wait(LOOK).await?,
            }
        }
    }
}
