//! Writes the effects of a batch: rows in bulk, in the order of their keys, all in the batch's transaction.

mod base;
mod log;
mod telling;

use crate::entries::Entry;
use domain::batch::{Effects, Order, PendingKey};
use domain::ids::IdKey;
use domain::shard::Shard;
use sqlx::PgConnection;

/// Writes everything that a batch came to; its entries too, unless the source log has them already.
///
/// # Errors
/// When the database does not take it; the transaction is then rolled back by whoever began it.
pub(crate) async fn write(
    connection: &mut PgConnection,
    key: &IdKey,
    order: &Order,
    bodies: &[Entry],
    effects: &Effects,
    is_logged: bool,
) -> sqlx::Result<()> {
    base::persons(connection, &effects.differences).await?;
    runtime::failpoint::reach("registry.persons-written");
    base::hold_strays(connection, effects).await?;
    base::directory(connection, effects).await?;
    base::guests(connection, effects).await?;
    base::employers(connection, &effects.employers).await?;
    runtime::failpoint::reach("registry.directory-written");
    telling::outbox(connection, key, &effects.outbox).await?;
    telling::told(connection, effects).await?;
    telling::pending(connection, effects).await?;
    runtime::failpoint::reach("registry.announced");
    telling::carried(connection, effects).await?;
    runtime::failpoint::reach("registry.carried");
    log::decisions(connection, effects).await?;
    log::policies(connection, effects).await?;
    log::messages(connection, &effects.messages).await?;
    runtime::failpoint::reach("registry.messages-written");
    if !is_logged {
        log::entries(connection, order, bodies, &effects.outcomes).await?;
    }
    runtime::failpoint::reach("registry.logged");
    log::shards(connection, effects).await?;
    runtime::failpoint::reach("registry.positions-written");
    Ok(())
}

/// Writes how a restored base goes on: what is taken for told and what is not any more, what waits because of that, and the shards.
pub(crate) async fn restored(connection: &mut PgConnection, effects: &Effects, untold: &[PendingKey]) -> sqlx::Result<()> {
    telling::told(connection, effects).await?;
    telling::untold(connection, untold).await?;
    telling::pending(connection, effects).await?;
    log::shards(connection, effects).await
}

fn number(shard: Shard) -> i16 {
    i16::from(shard.number())
}

/// Keys of rows: a shard and two ids.
#[derive(Default)]
struct Keys {
    shards: Vec<i16>,
    second: Vec<Vec<u8>>,
    third: Vec<Vec<u8>>,
}

impl Keys {
    fn push(&mut self, shard: Shard, second: &[u8], third: &[u8]) {
        self.shards.push(number(shard));
        self.second.push(second.to_vec());
        self.third.push(third.to_vec());
    }

    /// Runs a statement that takes them as three arrays, unless there are none.
    async fn run(self, connection: &mut PgConnection, statement: &'static str) -> sqlx::Result<()> {
        if !self.shards.is_empty() {
            sqlx::query(statement)
                .bind(self.shards)
                .bind(self.second)
                .bind(self.third)
                .execute(connection)
                .await?;
        }
        Ok(())
    }
}
