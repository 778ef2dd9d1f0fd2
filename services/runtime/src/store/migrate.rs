//! Migrations of the store: expand, then contract; each runs once.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgPool, SqlSafeStr};
use std::borrow::Cow;

const MIGRATIONS: [(i64, &str, &str); 4] = [
    (1, "store", include_str!("../../migrations/0001_store.sql")),
    (2, "views", include_str!("../../migrations/0002_views.sql")),
    (
        6,
        "pending_and_passes",
        include_str!("../../migrations/0006_pending_and_passes.sql"),
    ),
    (7, "restore", include_str!("../../migrations/0007_restore.sql")),
];

/// Brings the database to the version of this program and creates the rows that must exist.
///
/// # Errors
/// When the database cannot be reached, or holds a migration that this program does not know or knows differently.
pub async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    let migrations = MIGRATIONS
        .into_iter()
        .map(|(version, name, sql)| {
            Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect::<Vec<_>>();
    Migrator::with_migrations(migrations).run(pool).await?;
    let state = super::encode(&domain::shard_state::ShardState::default());
    for shard in domain::shard::Shard::all() {
        sqlx::query("insert into store.shard (shard, state) values ($1, $2) on conflict do nothing")
            .bind(i16::from(shard.number()))
            .bind(&state)
            .execute(pool)
            .await?;
    }
    Ok(())
}
