//! A source's own database: where a connector reads, instead of what it would publish.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::Context;
use domain::source::{Agency, Source};
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use tokio::runtime::Handle;

use crate::dossier::Change;
use crate::sql::{self, System};
use crate::tables::{Row, Table};

/// Rows that one statement inserts.
const ROWS: usize = 500;

/// Which database a source's rows go to: `civil-affairs.3204=mysql://user:password@host/database`.
#[derive(Clone)]
pub struct SourceDatabase {
    /// The source.
    pub source: Source,
    system: System,
    /// Its address, which may hold a password.
    url: String,
}

/// Without the address.
impl std::fmt::Debug for SourceDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=***", self.source)
    }
}

impl FromStr for SourceDatabase {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected AGENCY.CITY=postgres://... or AGENCY.CITY=mysql://...";
        let (source, url) = text.split_once('=').ok_or(expected)?;
        let system = match url.split_once("://").ok_or(expected)?.0 {
            "postgres" | "postgresql" => System::Postgres,
            "mysql" | "mariadb" => System::MariaDb,
            _ => return Err(expected),
        };
        Ok(Self {
            source: source.parse().map_err(|_| expected)?,
            system,
            url: url.to_owned(),
        })
    }
}

enum Session {
    Postgres(Box<PgConnection>),
    MariaDb(Box<MySqlConnection>),
}

/// A session with the database of a source. Its tables are there already.
pub(crate) struct Database {
    agency: Agency,
    system: System,
    session: Session,
    /// Drives the session; callers are on threads that may wait.
    runtime: Handle,
    /// Rows of the first load that are not inserted yet.
    waiting: BTreeMap<Table, Vec<Row>>,
}

impl Database {
    /// Opens it.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn open(of: &SourceDatabase) -> anyhow::Result<Self> {
        let failed = || format!("the database of {} does not answer; see --database", of.source);
        let session = match of.system {
            System::Postgres => Session::Postgres(Box::new(PgConnection::connect(&of.url).await.with_context(failed)?)),
            System::MariaDb => Session::MariaDb(Box::new(MySqlConnection::connect(&of.url).await.with_context(failed)?)),
        };
        let mut database = Self {
            agency: of.source.agency,
            system: of.system,
            session,
            runtime: Handle::current(),
            waiting: BTreeMap::new(),
        };
        database.session.execute(of.system.settings().to_owned()).await?;
        Ok(database)
    }

    /// Takes a row of the first load.
    ///
    /// # Errors
    /// When the database refuses it.
    pub(crate) fn load(&mut self, row: Row) -> anyhow::Result<()> {
        let table = row.table();
        let waiting = self.waiting.entry(table).or_default();
        waiting.push(row);
        if waiting.len() < ROWS {
            return Ok(());
        }
        let rows = std::mem::take(waiting);
        self.execute(sql::put(table, &rows, self.system))
    }

    /// Ends the first load with the row that states completeness: it is there last.
    ///
    /// # Errors
    /// When the database refuses something.
    pub(crate) fn finish_load(&mut self, control: &Row) -> anyhow::Result<()> {
        for (table, rows) in std::mem::take(&mut self.waiting) {
            if !rows.is_empty() {
                self.execute(sql::put(table, &rows, self.system))?;
            }
        }
        self.execute(sql::put(control.table(), std::slice::from_ref(control), self.system))
    }

    /// Makes the changes of one transaction.
    ///
    /// # Errors
    /// When the database refuses one.
    pub(crate) fn transaction(&mut self, changes: &[&Change]) -> anyhow::Result<()> {
        let statements = changes
            .iter()
            .filter_map(|change| sql::change(change.before.as_ref(), change.after.as_ref(), self.system));
        let statements: Vec<String> = statements.collect();
        self.execute(format!("begin; {}; commit", statements.join("; ")))
    }

    /// States that the source is complete: a batch says so in the table of batches, a heartbeat is the connector's to write.
    ///
    /// # Errors
    /// When the database refuses it.
    pub(crate) fn state(&mut self, changes: &[&Change]) -> anyhow::Result<()> {
        match self.agency {
            Agency::CIVIL_AFFAIRS => self.transaction(changes),
            _ => Ok(()),
        }
    }

    fn execute(&mut self, statements: String) -> anyhow::Result<()> {
        self.runtime.block_on(self.session.execute(statements))
    }
}

impl Session {
    /// Literals alone stand in the statements, written by [`sql`].
    async fn execute(&mut self, statements: String) -> anyhow::Result<()> {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements));
        match self {
            Self::Postgres(session) => statements.execute(&mut **session).await.map(|_| ())?,
            Self::MariaDb(session) => statements.execute(&mut **session).await.map(|_| ())?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_not_shown() {
        let of: SourceDatabase = "civil-affairs.3204=mysql://src:secret@127.0.0.1:3306/mz"
            .parse()
            .expect("an address");
        assert_eq!(of.system, System::MariaDb);
        assert_eq!(format!("{of:?}"), "civil-affairs.3204=***");
        for wrong in ["civil-affairs.3204", "civil-affairs.3204=sqlite://x", "nobody.3204=mysql://x"] {
            assert!(wrong.parse::<SourceDatabase>().is_err(), "{wrong}");
        }
    }
}
