//! Why a batch was not applied, and whether it may be tried again: decided by the type, where the failure happens.

use domain::batch::Refused;
use domain::shard::Shard;
use runtime::outbox::position::Contradiction;
use runtime::store::read::ReadError;

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
        if may_pass(&error) {
            Self::again("the store could not be read or written", error)
        } else {
            Self::Database(error)
        }
    }
}

/// Whether an error of the database may be gone on the next try: what concerns the connection, the server or other transactions.
fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code();
            let code = code.as_deref().unwrap_or_default();
            // Two writers that meet one new record collide on the directory: the second sees the first one's entry when it repeats.
            let classes = ["08", "25", "40", "53", "55", "57", "58", "XX"];
            code == "23505" || classes.iter().any(|class| code.starts_with(class))
        }
        sqlx::Error::Configuration(_)
        | sqlx::Error::Encode(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnIndexOutOfBounds { .. } => false,
        _ => true,
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Database(error) => error.into(),
            ReadError::Unreadable(_) | ReadError::Unknown { .. } => Self::Unreadable(error),
        }
    }
}
