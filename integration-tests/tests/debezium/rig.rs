//! What both parts rest on: servers and services for one city, and the agencies' databases with Debezium's connectors.

use anyhow::{Context, ensure};
use domain::date::Timestamp;
use domain::source::Source;
use integration_tests::servers::Servers;
use runtime::store::read;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

/// The city.
pub const CITY: &str = "3204";
/// Connectors take their time.
pub const PATIENCE: Duration = Duration::from_secs(240);
/// How long rows of completeness are waited for before others follow.
pub const ROUND: Duration = Duration::from_secs(4);

/// The servers, with settings for the city's three sources; nothing runs yet.
pub async fn servers(logs: &str) -> anyhow::Result<(Servers, Vec<Source>)> {
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join(logs);
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let named = ["public-security", "civil-affairs", "human-resources"].map(|agency| format!("{agency}.{CITY}").parse());
    let sources: Vec<Source> = named.into_iter().collect::<Result<_, _>>()?;
    let listed: Vec<String> = sources.iter().map(ToString::to_string).collect();
    for (name, value) in [
        ("CANBAO_REGIONS", CITY.to_owned()),
        ("CANBAO_CLOCK__FIRST_SNAPSHOT", "prove".to_owned()),
        // As where connectors write: a row of completeness may be appended before rows that were committed before it.
        ("CANBAO_CLOCK__ROWS_HOLD", "with-the-next".to_owned()),
        ("CANBAO_CLOCK__SOURCES", listed.join(",")),
    ] {
        servers.services.share(name, value);
    }
    Ok((servers, sources))
}

/// Sources of which some shard has not heard yet that they are complete up to a time.
pub async fn incomplete(servers: &Servers, sources: &[Source], until: Timestamp) -> anyhow::Result<Vec<Source>> {
    let mut connection = servers.pool.acquire().await?;
    let shards = read::shards(&mut connection).await?;
    let heard = |source: &&Source| {
        let at_shard = |at: &Timestamp| *at >= until;
        !shards.is_empty()
            && shards
                .iter()
                .all(|shard| shard.state.complete.get(*source).is_some_and(at_shard))
    };
    Ok(sources.iter().filter(|source| !heard(source)).copied().collect())
}

/// The time of this machine.
pub fn now() -> anyhow::Result<Timestamp> {
    Ok(Timestamp(
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64,
    ))
}

/// An agency's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Database {
    /// Public security, PostgreSQL.
    Ga,
    /// Human resources, PostgreSQL.
    Hr,
    /// Civil affairs, MariaDB.
    Mz,
}

impl Database {
    /// Whose it is.
    pub fn agency(self) -> &'static str {
        match self {
            Self::Ga => "public-security",
            Self::Hr => "human-resources",
            Self::Mz => "civil-affairs",
        }
    }

    /// Its name in PostgreSQL; MariaDB holds one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ga => "ga",
            Self::Hr => "hr",
            Self::Mz => "mz",
        }
    }
}

/// The agencies' databases and their connectors, as `compose/local up --debezium` has them.
pub struct Connectors {
    script: PathBuf,
    state: PathBuf,
    /// Lines that an operator has added to a connector's settings.
    further: BTreeMap<(&'static str, String), String>,
}

impl Connectors {
    /// Beside the tests' own servers.
    pub fn new(servers: &Servers) -> anyhow::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/lib/sources");
        Ok(Self {
            script,
            state: servers.private().context("the tests' own servers")?.to_owned(),
            further: BTreeMap::new(),
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.script);
        command.arg(&self.state).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let ran = self.command(arguments).output()?;
        let said = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "{arguments:?} failed: {said}");
        Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
    }

    /// Starts the databases, empty; the options by which the simulation writes into them.
    pub fn start(&self) -> anyhow::Result<Vec<String>> {
        self.remove()?;
        Ok(self.run(&["start", CITY])?.lines().map(str::to_owned).collect())
    }

    /// Starts the worker with its connectors, and does not wait for them.
    pub fn connect(&self) -> anyhow::Result<()> {
        let kafka = std::env::var("CANBAO_KAFKA")?;
        let lines = self.further.iter();
        let further: Vec<String> = lines
            .map(|((agency, name), value)| format!("{agency}:{name}={value}"))
            .collect();
        let mut arguments = vec!["connect", CITY, &kafka];
        arguments.extend(further.iter().map(String::as_str));
        self.run(&arguments).map(drop)
    }

    /// Ends the worker in order, or kills it.
    pub fn disconnect(&self, kill: bool) -> anyhow::Result<()> {
        self.run(if kill { &["disconnect", "KILL"] } else { &["disconnect"] })
            .map(drop)
    }

    /// Sets a line of a connector's settings, from the worker's next start on; `None` takes it back.
    pub fn set(&mut self, of: Database, name: &str, value: Option<&str>) {
        let place = (of.agency(), name.to_owned());
        match value {
            Some(value) => drop(self.further.insert(place, value.to_owned())),
            None => drop(self.further.remove(&place)),
        }
    }

    /// Runs statements in an agency's database; the lines that they print.
    pub fn sql(&self, of: Database, statements: &str) -> anyhow::Result<Vec<String>> {
        let printed = match of {
            Database::Mz => self.run(&["mariadb", statements])?,
            Database::Ga | Database::Hr => self.run(&["psql", of.name(), statements])?,
        };
        Ok(printed.lines().map(str::to_owned).collect())
    }

    /// The one value that a statement prints.
    pub fn value(&self, of: Database, statement: &str) -> anyhow::Result<String> {
        let mut lines = self.sql(of, statement)?;
        ensure!(lines.len() == 1, "one value is printed by {statement}: {}", lines.len());
        Ok(lines.remove(0))
    }

    /// Begins statements in a session of PostgreSQL that lasts until they have ended.
    pub fn session(&self, of: Database, statements: &str) -> anyhow::Result<Child> {
        let mut command = self.command(&["psql", of.name(), statements]);
        Ok(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }

    /// Asks the worker by its REST interface: `PUT /connectors/<name>/stop` and such; what it answers.
    pub fn ask(&self, method: &str, path: &str) -> anyhow::Result<String> {
        self.run(&["rest", method, path])
    }

    /// Backs a database of PostgreSQL up.
    pub fn back_up(&self, of: Database, file: &str) -> anyhow::Result<()> {
        self.run(&["back-up", of.name(), file]).map(drop)
    }

    /// Puts a database of PostgreSQL back; replication slots in it are lost.
    pub fn put_back(&self, of: Database, file: &str) -> anyhow::Result<()> {
        self.run(&["put-back", of.name(), file]).map(drop)
    }

    /// Ends everything, and removes all data.
    pub fn remove(&self) -> anyhow::Result<()> {
        self.run(&["remove"]).map(drop)
    }
}

impl Drop for Connectors {
    fn drop(&mut self) {
        self.remove().ok();
    }
}
