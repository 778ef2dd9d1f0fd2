//! Everything under measurement: a database of its own on durable PostgreSQL, and the services' binaries as processes.

use super::broker::Broker;
use super::options::Options;
use super::storage;
use super::usage::{self, Meter, Target};
use crate::ground::dialect_folders;
use crate::servers::SERVICES;
use anyhow::{Context, bail, ensure};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The base's database.
const DATABASE: &str = "canbao_bench";
/// The floor's.
const FLOOR_DATABASE: &str = "canbao_bench_floor";
/// How long a service may take to end.
const FAREWELL: Duration = Duration::from_secs(60);

/// The servers, and the services while they run.
pub struct Stack {
    environment: BTreeMap<&'static str, String>,
    binaries: PathBuf,
    logs: PathBuf,
    processes: BTreeMap<&'static str, Child>,
    postmaster: u32,
    /// The broker.
    pub broker: Broker,
    /// The base.
    pub pool: PgPool,
    /// Address of the floor's database.
    pub floor_database: String,
    /// The day of the snapshot and of all changes.
    pub today: String,
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set: the bench is started by integration-tests/run bench"))
}

/// Makes a database anew; returns its address.
async fn make_database(address: &str, name: &str) -> anyhow::Result<String> {
    let mut connection = PgConnection::connect(address).await.context("PostgreSQL does not answer")?;
    for statement in [
        format!("drop database if exists {name} with (force)"),
        format!("create database {name}"),
    ] {
        // Both names are constants of this file.
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    let (server, _) = address.rsplit_once('/').context("the database address has no name")?;
    Ok(format!("{server}/{name}"))
}

/// The shipped policy, with one rule told at once.
fn write_policy(services: &Path, directory: &Path) -> anyhow::Result<PathBuf> {
    let shipped = std::fs::read_to_string(services.join("domain/data/policy.toml"))?;
    let line = |line: &str| {
        if line.starts_with("at_once = ") {
            "at_once = [\"double-enrolled\"]".to_owned()
        } else {
            line.to_owned()
        }
    };
    let path = directory.join("policy.toml");
    std::fs::write(&path, shipped.lines().map(line).collect::<Vec<_>>().join("\n"))?;
    Ok(path)
}

impl Stack {
    /// Makes the databases; starts nothing yet.
    ///
    /// # Errors
    /// When a server does not answer or does not commit durably, or a binary is missing.
    pub async fn prepare(options: &Options) -> anyhow::Result<Self> {
        let (kafka, database) = (variable("CANBAO_KAFKA")?, variable("CANBAO_DATABASE_URL")?);
        let key = variable("CANBAO_ID_KEY")?;
        let binaries = std::env::current_exe()?
            .parent()
            .context("the bench lies in a folder")?
            .to_owned();
        for name in SERVICES.into_iter().chain(["canbao", "simulator"]) {
            ensure!(
                binaries.join(name).exists(),
                "the binary {name} is missing: cargo build --workspace --release"
            );
        }
        let broker = Broker::connect(&kafka)?;
        ensure!(
            broker.source_topics()?.is_empty(),
            "the broker holds source topics already: the bench needs a broker of its own"
        );
        let floor_database = make_database(&database, FLOOR_DATABASE).await?;
        let database = make_database(&database, DATABASE).await?;
        let pool = PgPool::connect(&database).await?;
        storage::assert_durable(&pool).await?;
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&pool).await?;
        let postmaster = usage::parent(backend as u32).context("PostgreSQL is no process of this machine")?;
        let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
        let dialects = dialect_folders().map(|folder| folder.display().to_string());
        let policy = write_policy(&services, &options.directory)?;
        let environment = BTreeMap::from([
            ("CANBAO_KAFKA", kafka),
            ("CANBAO_DATABASE_URL", database),
            ("CANBAO_ID_KEY", key),
            ("CANBAO_DIALECTS", dialects.join(":")),
            ("CANBAO_HTTP", "127.0.0.1:0".to_owned()),
            // The simulator sends a completeness row when all before it is appended, like an exactly-once connector.
            ("CANBAO_CLOCK__ROWS_HOLD", "at-once".to_owned()),
        ]);
        let today = domain::date::Timestamp(chrono::Utc::now().timestamp_millis()).day_in_shanghai();
        let stack = Self {
            environment,
            binaries,
            logs: options.directory.clone(),
            processes: BTreeMap::new(),
            postmaster,
            broker,
            pool,
            floor_database,
            today: today.to_string(),
        };
        let policy = policy.canonicalize()?.display().to_string();
        stack
            .run("canbao", &["migrate", "--policy", &policy], Duration::from_secs(60))
            .await?;
        Ok(stack)
    }

    /// The secret of the keyed identifiers.
    pub fn id_key(&self) -> &str {
        &self.environment["CANBAO_ID_KEY"]
    }

    fn command(&self, name: &str) -> anyhow::Result<Command> {
        let path = self.logs.join(format!("{name}.log"));
        let log = OpenOptions::new().create(true).append(true).open(path)?;
        let mut command = Command::new(self.binaries.join(name));
        command
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(command)
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// When it fails or takes longer than `patience`; it is killed then.
    pub async fn run(&self, name: &str, arguments: &[&str], patience: Duration) -> anyhow::Result<()> {
        let mut command = self.command(name)?;
        if name == "canbao" {
            command.env_remove("CANBAO_HTTP");
        }
        let child = Process(command.args(arguments).spawn()?);
        ensure!(
            child.end(patience).await?,
            "{name} {} failed or took longer than {patience:?}, see {}",
            arguments.join(" "),
            self.logs.display()
        );
        Ok(())
    }

    /// The simulator with this run's population, to its end or in the background.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn simulator(&self, options: &Options, arguments: &[&str]) -> anyhow::Result<Process> {
        let (residents, seed) = (options.residents.to_string(), options.seed.to_string());
        let mut command = self.command("simulator")?;
        command.args(["--residents", &residents, "--seed", &seed, "--today", &self.today]);
        Ok(Process(command.args(arguments).spawn()?))
    }

    /// Starts measuring broker and database.
    pub fn meter(&self) -> Meter {
        Meter::start([
            ("broker", Target::One(self.broker.pid)),
            ("postgres", Target::Family(self.postmaster)),
        ])
    }

    /// Starts every service.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start(&mut self, mut meter: Option<&mut Meter>) -> anyhow::Result<()> {
        for name in SERVICES {
            let child = self.command(name)?.spawn()?;
            if let Some(meter) = meter.as_deref_mut() {
                meter.add(name, child.id());
            }
            self.processes.insert(name, child);
        }
        Ok(())
    }

    /// Fails when a service has ended by itself.
    ///
    /// # Errors
    /// Names it.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        for (name, child) in &mut self.processes {
            if let Some(status) = child.try_wait()? {
                bail!("{name} ended by itself ({status}), see {}", self.logs.display());
            }
        }
        Ok(())
    }

    /// Asks every service to end, as an operator would, and waits.
    ///
    /// # Errors
    /// Names what did not end in order.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        for child in self.processes.values() {
            terminate(child)?;
        }
        let mut wrong = Vec::new();
        for (name, child) in std::mem::take(&mut self.processes) {
            if !Process(child).end(FAREWELL).await? {
                wrong.push(name);
            }
        }
        ensure!(
            wrong.is_empty(),
            "did not end in order: {wrong:?}, see {}",
            self.logs.display()
        );
        Ok(())
    }

    /// Writes everything to disk, so that no measurement pays for what came before it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn settle(&self) -> anyhow::Result<()> {
        sqlx::query("checkpoint").execute(&self.pool).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for child in std::mem::take(&mut self.processes).into_values() {
            drop(Process(child));
        }
    }
}

fn terminate(child: &Child) -> anyhow::Result<()> {
    Command::new("kill").arg(child.id().to_string()).status()?;
    Ok(())
}

/// A process that does not outlive its value.
pub struct Process(pub Child);

impl Process {
    /// Waits for its end; whether it came in time and was a good one.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn end(mut self, patience: Duration) -> anyhow::Result<bool> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status.success());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(false)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended: nothing to kill, and that is no error.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
