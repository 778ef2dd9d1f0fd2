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
    /// The program broke down on the batch, which is a mistake in it.
    #[error("the program broke down on it; this is a mistake of the program, the log says where")]
    Broken,
    /// A base that is made anew comes to an entry that cannot be applied.
    #[error(
        "shard {shard}: the entry at {position} cannot be applied: {cause}. Mend the cause, or run `{command}`, which keeps the entry and \
         steps over it; then run `canbao restore --from-log` again"
    )]
    At {
        /// The shard.
        shard: Shard,
        /// The entry's offset.
        position: i64,
        /// Why it cannot be applied.
        cause: String,
        /// The command that steps over it.
        command: String,
    },
    /// The batch itself says that it must not be written.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Failure {
    /// Whether it may be one entry's fault, so that the others can be applied without it. Else it concerns the whole base, or who may
    /// write to it, or passes.
    pub fn is_of_an_entry(&self) -> bool {
        match self {
            Self::Database(_) | Self::Unreadable(_) | Self::Broken | Self::Refused(Refused::Unreadable { .. }) => true,
            Self::Refused(Refused::Gap { .. } | Refused::Behind { .. })
            | Self::Again { .. }
            | Self::NotOwner { .. }
            | Self::Behind(_)
            | Self::At { .. } => false,
        }
    }

    /// The cause in words for people, with nothing personal in it.
    pub fn cause(&self) -> String {
        match self {
            Self::Again { source, .. } => session::explain_any(source),
            Self::Database(error) => session::explain(error),
            Self::Refused(Refused::Unreadable { why, .. }) => why.clone(),
            other => other.to_string(),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_one_entrys_fault_ends_nobody() {
        let shard = Shard::new(5).expect("a shard");
        let unreadable = Failure::from(Refused::Unreadable {
            shard,
            position: 7,
            why: "garbage".to_owned(),
        });
        assert_eq!(unreadable.cause(), "garbage");
        for failure in [unreadable, Failure::from(sqlx::Error::RowNotFound), Failure::Broken] {
            assert!(failure.is_of_an_entry(), "{failure}");
        }
        let gap = Refused::Gap {
            shard,
            expected: 1,
            found: 2,
        };
        let lost = Failure::NotOwner { shard, owner: None };
        for failure in [Failure::from(gap), lost, Failure::from(sqlx::Error::PoolTimedOut)] {
            assert!(!failure.is_of_an_entry(), "{failure}");
        }
    }
}
