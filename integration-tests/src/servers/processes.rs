//! The services as processes: several replicas of one, killed, frozen and started again one by one.

use super::PATIENCE;
use anyhow::{Context, bail, ensure};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The services, in the order in which they start.
pub const SERVICES: [&str; 6] = [
    "public-security",
    "civil-affairs",
    "human-resources",
    "registry",
    "clock",
    "publisher",
];

/// One process: the service, and the number of the replica from 1 up.
pub type Replica = (&'static str, usize);

/// The processes of a run. Each replica writes a log of its own, `registry-2.log`, which goes on when it is started again.
#[derive(Debug)]
pub struct Processes {
    binaries: PathBuf,
    logs: PathBuf,
    environment: BTreeMap<&'static str, String>,
    further: BTreeMap<&'static str, BTreeMap<String, String>>,
    scale: BTreeMap<&'static str, usize>,
    started: bool,
    running: BTreeMap<Replica, Child>,
}

impl Processes {
    /// None yet.
    ///
    /// # Errors
    /// When a binary was not built, or the folder for logs cannot be made.
    pub(super) fn new(logs: &Path, environment: BTreeMap<&'static str, String>) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let mut folders = program.ancestors().skip(1).take(2);
        let complete = |folder: &&Path| SERVICES.iter().chain(&["canbao"]).all(|name| folder.join(name).exists());
        let binaries = folders
            .find(complete)
            .context("a service's binary is missing: cargo build --workspace, in the profile of the tests")?
            .to_owned();
        std::fs::create_dir_all(logs)?;
        Ok(Self {
            binaries,
            logs: logs.to_owned(),
            environment,
            further: BTreeMap::new(),
            scale: BTreeMap::new(),
            started: false,
            running: BTreeMap::new(),
        })
    }

    /// Where the logs are.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Sets a variable of every service and of the command line, from the next start on.
    pub fn share(&mut self, name: &'static str, value: String) {
        self.environment.insert(name, value);
    }

    /// Sets a variable of one service or of `canbao`, from its next start on; `None` takes it back.
    pub fn set(&mut self, service: &'static str, name: &str, value: Option<&str>) {
        let of_service = self.further.entry(service).or_default();
        match value {
            Some(value) => drop(of_service.insert(name.to_owned(), value.to_owned())),
            None => drop(of_service.remove(name)),
        }
    }

    /// How many replicas a service has.
    pub fn replicas(&self, service: &'static str) -> usize {
        self.scale.get(service).copied().unwrap_or(1)
    }

    /// Every replica that should run.
    pub fn all(&self) -> Vec<Replica> {
        let of = |service: &'static str| (1..=self.replicas(service)).map(move |number| (service, number));
        SERVICES.into_iter().flat_map(of).collect()
    }

    /// Sets the number of replicas; once the services have begun, starts the missing ones and asks the others to end.
    ///
    /// # Errors
    /// When one cannot be started or does not end.
    pub fn scale(&mut self, service: &'static str, replicas: usize) -> anyhow::Result<()> {
        self.scale.insert(service, replicas);
        if !self.started {
            return Ok(());
        }
        for number in 1..=replicas {
            if !self.running.contains_key(&(service, number)) {
                self.start((service, number))?;
            }
        }
        let excess = self
            .running
            .keys()
            .filter(|(name, number)| *name == service && *number > replicas);
        self.end(excess.copied().collect())
    }

    /// Sets the number of replicas and touches none: whoever starts and ends them does so one by one.
    pub fn plan(&mut self, service: &'static str, replicas: usize) {
        self.scale.insert(service, replicas);
    }

    /// Starts every replica of some services.
    ///
    /// # Errors
    /// When one cannot be started.
    pub(super) fn begin(&mut self, services: &[&'static str]) -> anyhow::Result<()> {
        self.started = true;
        let chosen = self.all().into_iter().filter(|(service, _)| services.contains(service));
        chosen
            .collect::<Vec<_>>()
            .into_iter()
            .try_for_each(|replica| self.start(replica))
    }

    /// Starts a replica that does not run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self, replica: Replica) -> anyhow::Result<()> {
        let (service, number) = replica;
        ensure!(!self.running.contains_key(&replica), "{service} {number} runs already");
        let log = self.log(&format!("{service}-{number}"))?;
        let mut command = Command::new(self.binaries.join(service));
        command
            .envs(&self.environment)
            .envs(self.further.get(service).into_iter().flatten())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.running.insert(replica, command.spawn()?);
        Ok(())
    }

    /// Kills a replica as a crash would; `false` when it was not running.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self, replica: Replica) -> anyhow::Result<bool> {
        let Some(mut child) = self.running.remove(&replica) else {
            return Ok(false);
        };
        child.kill()?;
        child.wait()?;
        Ok(true)
    }

    /// Kills a replica and starts it again.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn crash(&mut self, replica: Replica) -> anyhow::Result<()> {
        self.kill(replica)?;
        self.start(replica)
    }

    /// Stops a replica where it stands (SIGSTOP): what it holds stays held, and it knows nothing of the time that passes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self, replica: Replica) -> anyhow::Result<()> {
        self.signal(replica, "STOP")
    }

    /// Lets a frozen replica go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self, replica: Replica) -> anyhow::Result<()> {
        self.signal(replica, "CONT")
    }

    /// Asks a replica to end (SIGTERM), and does not wait.
    ///
    /// # Errors
    /// When it does not run.
    pub fn ask_to_end(&self, replica: Replica) -> anyhow::Result<()> {
        self.signal(replica, "TERM")
    }

    fn signal(&self, replica: Replica, signal: &str) -> anyhow::Result<()> {
        let child = self
            .running
            .get(&replica)
            .with_context(|| format!("{replica:?} does not run"))?;
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status()?;
        ensure!(sent.success(), "{replica:?} could not be sent SIG{signal}");
        Ok(())
    }

    /// Whether a replica runs (or is frozen).
    ///
    /// # Errors
    /// When the system does not say.
    pub fn runs(&mut self, replica: Replica) -> anyhow::Result<bool> {
        let Some(child) = self.running.get_mut(&replica) else {
            return Ok(false);
        };
        Ok(child.try_wait()?.is_none())
    }

    /// The most memory a replica has held since it started, in bytes.
    ///
    /// # Errors
    /// When it does not run, or the system does not say.
    pub fn peak_memory(&self, replica: Replica) -> anyhow::Result<u64> {
        let child = self
            .running
            .get(&replica)
            .with_context(|| format!("{replica:?} does not run"))?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        Ok(peak.context("the system does not say")?.trim().parse::<u64>()? << 10)
    }

    /// Takes note of replicas that have ended by themselves: who, and how. They do not run any more and can be started.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> anyhow::Result<Vec<(Replica, ExitStatus)>> {
        let mut ended = Vec::new();
        for (replica, child) in &mut self.running {
            if let Some(status) = child.try_wait()? {
                ended.push((*replica, status));
            }
        }
        for (replica, _) in &ended {
            self.running.remove(replica);
        }
        Ok(ended)
    }

    /// Fails when a replica has ended by itself.
    ///
    /// # Errors
    /// Names it.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.ended()?.first() {
            None => Ok(()),
            Some(((service, number), status)) => {
                let log = self.logs.join(format!("{service}-{number}.log"));
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                // What ended it is said last, before what the clients say of themselves; the log may be gone when this is read.
                let errors: Vec<&str> = said.lines().rev().filter(|line| line.contains("ERROR")).take(3).collect();
                bail!(
                    "{service} {number} ended by itself ({status}): {}; see {}",
                    errors.join(" | "),
                    log.display()
                )
            }
        }
    }

    /// Asks every replica to end, as an operator would, and waits.
    ///
    /// # Errors
    /// Names those that did not end in order.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.started = false;
        self.end(self.running.keys().copied().collect())
    }

    fn end(&mut self, replicas: Vec<Replica>) -> anyhow::Result<()> {
        for child in replicas.iter().filter_map(|replica| self.running.get(replica)) {
            Command::new("kill").arg(child.id().to_string()).status()?;
        }
        let deadline = Instant::now() + PATIENCE;
        let mut wrong = Vec::new();
        for replica in replicas {
            let Some(mut child) = self.running.remove(&replica) else {
                continue;
            };
            while child.try_wait()?.is_none() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(50));
            }
            match child.try_wait()? {
                Some(status) if status.success() => {}
                status => {
                    child.kill().ok();
                    child.wait()?;
                    wrong.push(format!("{} {}: {status:?}", replica.0, replica.1));
                }
            }
        }
        ensure!(wrong.is_empty(), "services did not end in order: {wrong:?}");
        Ok(())
    }

    /// Runs a `canbao` command; whether its exit code was 0. What it prints goes to `canbao.log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn canbao(&self, arguments: &[&str]) -> anyhow::Result<bool> {
        Ok(self.command("canbao", "canbao")?.args(arguments).status()?.success())
    }

    /// A command with the settings of the services, which prints to the log of that name.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn command(&self, binary: &str, log: &str) -> anyhow::Result<Command> {
        let log = self.log(log)?;
        let mut command = Command::new(self.binaries.join(binary));
        command
            .envs(&self.environment)
            .envs(self.further.get(binary).into_iter().flatten())
            .env_remove("CANBAO_HTTP")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(command)
    }

    fn log(&self, name: &str) -> anyhow::Result<File> {
        let path = self.logs.join(format!("{name}.log"));
        Ok(OpenOptions::new().create(true).append(true).open(path)?)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
