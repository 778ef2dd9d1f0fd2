//! Why a batch was not applied, and whether it may be tried again: decided by the type, where the failure happens.

use domain::batch::Refused;
use domain::shard::Shard;
use runtime::outbox::position::Contradiction;
use runtime::store::read::ReadError;
use runtime::store::session;

/// A batch was not applied; nothing of it is in the base.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database or the brokers did not answer as expected: tried again, on a new connection.
    #[error("{what}")]
    Again {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: anyhow::Error,
    },
    /// The database refuses what the batch reads or writes: trying again would not help.
    #[error("the database refuses a batch")]
    Database(#[source] sqlx::Error),
    /// A value of the store cannot be read by this program: trying again would not help.
    #[error(transparent)]
    Unreadable(ReadError),
    /// Another process owns a shard of the batch.
    #[error("shard {shard} is applied by another process (backend {owner:?})")]
    NotOwner {
        /// The shard.
        shard: Shard,
        /// The backend its row names.
        owner: Option<i32>,
    },
    /// The base is behind what was published from it, or not whole.
    #[error(transparent)]
    Behind(#[from] Contradiction),
    /// The batch itself says that it must not be written.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Failure {
    /// A failure that may pass.
    pub fn again(what: &'static str, source: impl Into<anyhow::Error>) -> Self {
        Self::Again {
            what,
            source: source.into(),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if session::is_passing(&error) || two_writers_met(&error) {
            Self::again("the store could not be read or written", error)
        } else {
            Self::Database(error)
        }
    }
}

/// Whether two writers met one new record at once: the second sees the first one's directory entry when it repeats its batch.
fn two_writers_met(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.is_unique_violation() && error.constraint() == Some("directory_pkey"))
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Database(error) => error.into(),
            ReadError::Unreadable(_) | ReadError::Unknown { .. } | ReadError::Policy { .. } => Self::Unreadable(error),
        }
    }
}
