//! Large results read page by page, so that memory stays bounded: a cursor of the snapshot's transaction.

use anyhow::Context;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};

/// Rows of a page.
const PAGE: usize = 5_000;

/// An open cursor.
pub(crate) struct Cursor {
    name: &'static str,
    /// What it reads, for errors.
    what: &'static str,
}

impl Cursor {
    /// Opens a cursor over a query.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) async fn open(
        connection: &mut PgConnection,
        name: &'static str,
        what: &'static str,
        query: &'static str,
    ) -> anyhow::Result<Self> {
        let declare = format!("declare {name} no scroll cursor for {query}");
        sqlx::query(AssertSqlSafe(declare))
            .execute(connection)
            .await
            .with_context(|| format!("opening {what}: was `canbao migrate` run?"))?;
        Ok(Self { name, what })
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn page(&self, connection: &mut PgConnection) -> anyhow::Result<Vec<PgRow>> {
        let fetch = format!("fetch {PAGE} from {}", self.name);
        let rows = sqlx::query(AssertSqlSafe(fetch)).fetch_all(connection).await;
        rows.with_context(|| format!("reading {}", self.what))
    }

    /// Closes it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn close(self, connection: &mut PgConnection) -> anyhow::Result<()> {
        let closed = sqlx::query(AssertSqlSafe(format!("close {}", self.name))).execute(connection);
        closed.await.with_context(|| format!("closing {}", self.what))?;
        Ok(())
    }
}
