//! What each revision of a dialect said when it was first used: table `store.mapping`.
//!
//! The revision is part of every version that the dialect reads. Did one revision stand for two contents, the same row read twice would
//! come out differently and count as a repeat of the same version: which of the two readings the base holds would depend on chance.

use super::session;
use crate::dialect::Stated;
use crate::patience::wait_out;
use crate::shutdown::Shutdown;
use anyhow::Context;
use sqlx::PgPool;

/// Records the dialects of a process, as soon as the database lets us, or refuses one that says something else than when its revision was
/// first used; false when asked to end before that.
///
/// # Errors
/// Names the file, what to change and the command to run then; or no waiting helps.
pub async fn record(pool: &PgPool, stated: &[Stated], shutdown: &mut Shutdown) -> anyhow::Result<bool> {
    let passes = |error: &anyhow::Error| error.downcast_ref().is_some_and(session::is_passing);
    let recorded = wait_out("recording the dialects", shutdown, passes, async || {
        record_once(pool, stated).await
    });
    Ok(recorded.await?.is_some())
}

async fn record_once(pool: &PgPool, stated: &[Stated]) -> anyhow::Result<()> {
    for dialect in stated {
        let Stated {
            agency,
            dialect: name,
            cities,
            revision,
            digest,
            file,
        } = dialect;
        let shown = file.display();
        // Two files may share a name.
        let file_name = file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let failed = || format!("recording the revision of dialect {shown}");
        sqlx::query(
            "insert into store.mapping (agency, dialect, cities, file, revision, digest) values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        )
        .bind(i16::from(agency.code()))
        .bind(name)
        .bind(cities)
        .bind(&file_name)
        .bind(i32::from(*revision))
        .bind(digest)
        .execute(pool)
        .await
        .with_context(failed)?;
        let (known, newest): (String, i32) = sqlx::query_as(
            "select max(digest) filter (where revision = $5), max(revision) from store.mapping
             where agency = $1 and dialect = $2 and cities = $3 and file = $4",
        )
        .bind(i16::from(agency.code()))
        .bind(name)
        .bind(cities)
        .bind(&file_name)
        .bind(i32::from(*revision))
        .fetch_one(pool)
        .await
        .with_context(failed)?;
        anyhow::ensure!(
            known == *digest,
            "{shown} says something else than when its revision {revision} was first used: set `revision = {}` in it and start again; then \
             run `canbao source accept {agency}.<city> --reread` for its cities, so that rows read before are read anew",
            newest + 1
        );
    }
    Ok(())
}

/// Refuses dialects under which no normaliser has read anything, or older ones than the last that one has: rows read by them would not be
/// what the normalisers make of them.
///
/// # Errors
/// Names the file and what to do; or the database does not answer.
pub async fn in_use(pool: &PgPool, stated: &[Stated]) -> anyhow::Result<()> {
    for dialect in stated {
        let shown = dialect.file.display();
        let file = dialect.file.file_name().map(|name| name.to_string_lossy().into_owned());
        let newest: Option<(i32, String)> = sqlx::query_as(
            "select revision, digest from store.mapping where agency = $1 and dialect = $2 and cities = $3 and file = $4
             order by revision desc limit 1",
        )
        .bind(i16::from(dialect.agency.code()))
        .bind(&dialect.dialect)
        .bind(&dialect.cities)
        .bind(file.unwrap_or_default())
        .fetch_optional(pool)
        .await
        .with_context(|| format!("looking up dialect {shown}: was `canbao migrate` run?"))?;
        let is_in_use = newest.as_ref() == Some(&(i32::from(dialect.revision), dialect.digest.clone()));
        let last = newest.map_or_else(|| "none".to_owned(), |(revision, _)| format!("revision {revision}"));
        anyhow::ensure!(
            is_in_use,
            "{shown} is not what the normalisers of {} read with: of this dialect they used {last} last, here is revision {}, perhaps with              another content. Let them be started with this file first, or name theirs in CANBAO_DIALECTS",
            dialect.agency,
            dialect.revision
        );
    }
    Ok(())
}
