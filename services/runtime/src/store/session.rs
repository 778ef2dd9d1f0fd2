//! Sessions with PostgreSQL: how every service opens them, which failures pass, and what to do about those that people have to mend.

use crate::config::Settings;
use crate::health::Check;
use crate::patience::{LONGEST, wait_out};
use crate::shutdown::Shutdown;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Error, PgConnection, PgPool};
use std::time::Duration;

/// Bounds of every session of a service, in PostgreSQL's own names and units.
///
/// - `lock_timeout`: whoever holds a lock of ours for this long (`lock table`, an open transaction in somebody's editor, `alter table`)
///   is not waited for in silence: the statement fails, is reported with what to do, and is tried again.
/// - `statement_timeout`: no statement of a service takes minutes, also not in a first load on a slow machine; one that does has lost its
///   plan or its disk, and the failure says so where people look.
/// - `idle_in_transaction_session_timeout`: a service that was stopped in the middle of a transaction must not keep its locks from the
///   process that takes its work over.
const BOUNDS: [(&str, &str); 3] = [
    ("lock_timeout", "10s"),
    ("statement_timeout", "5min"),
    ("idle_in_transaction_session_timeout", "60s"),
];
/// How long a caller waits for a connection of a pool.
const ACQUIRE: Duration = Duration::from_secs(10);
/// How often readiness asks, and how long the answer may take.
const LOOK: Duration = Duration::from_secs(5);

/// Finds the session that holds a lock which a service of ours waits for, on any machine where `psql` reaches the database.
pub const BLOCKERS: &str = "select b.pid, b.application_name, b.state, b.xact_start from pg_stat_activity b where b.pid in \
     (select unnest(pg_blocking_pids(pid)) from pg_stat_activity where application_name like 'canbao%')";

/// The address of the settings, with a name for `pg_stat_activity` and the bounds of a service's session.
///
/// # Errors
/// When no address is set, or it is none; it is not repeated, it may hold a password.
pub fn options(settings: &Settings, name: &str) -> anyhow::Result<PgConnectOptions> {
    let options: PgConnectOptions = settings.database_url()?.parse().map_err(|_| {
        anyhow::anyhow!("database_url is no PostgreSQL address: expected postgres://user:password@host:port/database")
    })?;
    Ok(options.application_name(name).options(BOUNDS))
}

/// Opens a pool, as soon as the database lets us in; `None` when asked to end before that. `check` says meanwhile why it does not.
///
/// # Errors
/// When no waiting helps: the password is wrong, there is no such database.
pub async fn pool(
    options: &PgConnectOptions,
    connections: u32,
    check: &Check,
    shutdown: &mut Shutdown,
) -> Result<Option<PgPool>, Error> {
    // Not the pool's own first connection: it keeps the cause of a refusal to itself until its time is over.
    let reached = wait_out("connecting to PostgreSQL", shutdown, is_passing, async || {
        let connected = PgConnection::connect_with(options).await;
        if let Err(error) = &connected {
            check.fail(explain(error));
        }
        connected?.close().await
    });
    if reached.await?.is_none() {
        return Ok(None);
    }
    check.pass();
    let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE);
    Ok(Some(pool.connect_lazy_with(options.clone())))
}

/// Keeps `check` up to date with whether the database answers and takes changes, until shutdown.
pub fn watch(pool: PgPool, check: Check, mut shutdown: Shutdown) {
    tokio::spawn(async move {
        loop {
            let answer = sqlx::query_scalar::<_, String>("show transaction_read_only").fetch_one(&pool);
            match tokio::time::timeout(LOOK, answer).await {
                Ok(Ok(read_only)) if read_only == "off" => check.pass(),
                Ok(Ok(_)) => check.fail(READ_ONLY),
                Ok(Err(error)) => check.fail(explain(&error)),
                Err(_) => check.fail(format!("PostgreSQL does not answer within {} s", LOOK.as_secs())),
            }
            if shutdown.sleep(LOOK).await {
                return;
            }
        }
    });
}

/// What to say of a database that takes no changes.
const READ_ONLY: &str = "PostgreSQL takes no changes (read-only): name the primary in CANBAO_DATABASE_URL, or lift \
     default_transaction_read_only";

/// What an error of the database comes from, as far as anybody outside can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Not there, starting, stopping, failing over, or the network.
    Away,
    /// A lock is held by another session.
    Locked,
    /// Two transactions met; the same again.
    Collision,
    /// It takes no changes.
    ReadOnly,
    /// All of its connections are taken.
    Full,
    /// Its disk or memory is exhausted.
    Exhausted,
    /// A statement took longer than the bound.
    Slow,
    /// Anything else: nothing that waiting mends.
    Other,
}

fn cause(error: &Error) -> Cause {
    match error {
        Error::Database(error) => error.code().map_or(Cause::Other, |code| by_state(&code)),
        // A pool's time is over when nobody answers, or nobody lets go.
        Error::Io(_) | Error::WorkerCrashed | Error::PoolClosed | Error::PoolTimedOut => Cause::Away,
        _ => Cause::Other,
    }
}

/// By `SQLSTATE`; <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn by_state(code: &str) -> Cause {
    match code {
        "55P03" => Cause::Locked,
        "25006" => Cause::ReadOnly,
        "53300" => Cause::Full,
        "57014" => Cause::Slow,
        // A database that is being dropped or made anew is not coming back by waiting.
        "57P04" => Cause::Other,
        _ => match code.get(..2) {
            // 25: idle in a transaction for too long, as after SIGSTOP: the session is gone, a new one is let in.
            Some("08" | "25" | "57" | "58") => Cause::Away,
            Some("40") => Cause::Collision,
            Some("53") => Cause::Exhausted,
            _ => Cause::Other,
        },
    }
}

/// Whether the same again, later and on a new connection, may succeed.
pub fn is_passing(error: &Error) -> bool {
    cause(error) != Cause::Other
}

/// An error in words for people, with what to do about it. The database's own text is kept: it names tables, constraints and settings.
/// Only where it refuses a value (class 22) does the text quote it, which may be somebody's name: there the code has to do.
pub fn explain(error: &Error) -> String {
    let said = match error.as_database_error() {
        None => error.to_string(),
        Some(error) => match error.code() {
            Some(code) if code.starts_with("22") => format!("a value was refused, SQLSTATE {code}"),
            _ => error.message().to_owned(),
        },
    };
    let remedy = match cause(error) {
        Cause::Other | Cause::Collision => return format!("PostgreSQL: {said}"),
        Cause::Away => "is it running, and does CANBAO_DATABASE_URL name it?".to_owned(),
        Cause::Locked => format!(
            "another session holds a lock; find it with `{BLOCKERS}` and end it with `select pg_terminate_backend(PID)`, or wait for it"
        ),
        Cause::ReadOnly => return READ_ONLY.to_owned(),
        Cause::Full => "no connection is free: end sessions that nobody needs, or raise max_connections".to_owned(),
        Cause::Exhausted => "give it disk or memory".to_owned(),
        Cause::Slow => "a statement took longer than five minutes: `analyze`, and look at the disk".to_owned(),
    };
    format!(
        "PostgreSQL: {said}; {remedy}. It is tried again every {} s",
        LONGEST.as_secs()
    )
}

/// [`explain`] for a failure that the database may have caused, with what was being done.
pub fn explain_any(error: &anyhow::Error) -> String {
    match error.chain().find_map(|cause| cause.downcast_ref::<Error>()) {
        Some(cause) => format!("{error}: {}", explain(cause)),
        None => format!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_apart() {
        for (code, expected) in [
            ("55P03", Cause::Locked),
            ("25006", Cause::ReadOnly),
            ("25P03", Cause::Away),
            ("53300", Cause::Full),
            ("53100", Cause::Exhausted),
            ("57014", Cause::Slow),
            ("57P01", Cause::Away),
            ("57P03", Cause::Away),
            ("57P04", Cause::Other),
            ("08006", Cause::Away),
            ("58030", Cause::Away),
            ("40001", Cause::Collision),
            ("40P01", Cause::Collision),
            // A table that is not there, a row that is twice, a password that is wrong, a database that does not exist.
            ("42P01", Cause::Other),
            ("23505", Cause::Other),
            ("28P01", Cause::Other),
            ("3D000", Cause::Other),
            ("", Cause::Other),
        ] {
            assert_eq!(by_state(code), expected, "{code}");
        }
    }

    #[test]
    fn who_is_away_comes_back_and_a_misread_row_does_not() {
        let refused = Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert!(is_passing(&refused) && is_passing(&Error::PoolTimedOut));
        assert!(!is_passing(&Error::RowNotFound) && !is_passing(&Error::ColumnNotFound("state".into())));
        assert!(explain(&refused).contains("CANBAO_DATABASE_URL"));
        let recording = anyhow::Error::new(refused).context("recording topic x");
        let said = explain_any(&recording);
        assert!(
            said.starts_with("recording topic x: PostgreSQL: ") && said.contains("is it running"),
            "{said}"
        );
    }

    #[test]
    fn the_password_of_an_address_stands_in_no_message() {
        let settings = Settings {
            database_url: Some("postgres://canbao:hunter2@nowhere:port/canbao".to_owned().into()),
            ..Settings::default()
        };
        let refused = options(&settings, "canbao-test").expect_err("no port");
        assert!(!format!("{refused:#}").contains("hunter2"));
    }
}
