//! Migrations of the store: expand, then contract; each runs once.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgPool, SqlSafeStr};
use std::borrow::Cow;

const MIGRATIONS: [(i64, &str, &str); 16] = [
    (1, "store", include_str!("../../migrations/0001_store.sql")),
    (2, "views", include_str!("../../migrations/0002_views.sql")),
    (3, "epochs", include_str!("../../migrations/0003_epochs.sql")),
    (
        6,
        "pending and passes",
        include_str!("../../migrations/0006_pending_and_passes.sql"),
    ),
    (7, "completeness", include_str!("../../migrations/0007_completeness.sql")),
    (8, "restore", include_str!("../../migrations/0008_restore.sql")),
    (9, "policy", include_str!("../../migrations/0009_policy.sql")),
    (
        10,
        "refused entries",
        include_str!("../../migrations/0010_refused_entries.sql"),
    ),
    (11, "crowds", include_str!("../../migrations/0011_crowds.sql")),
    (12, "kept rows", include_str!("../../migrations/0012_kept_rows.sql")),
    (
        13,
        "tables of topics",
        include_str!("../../migrations/0013_tables_of_topics.sql"),
    ),
    (
        14,
        "unread versions",
        include_str!("../../migrations/0014_unread_versions.sql"),
    ),
    (15, "dead letters", include_str!("../../migrations/0015_dead_letters.sql")),
    (16, "waivers", include_str!("../../migrations/0016_waivers.sql")),
    (17, "agencies", include_str!("../../migrations/0017_agencies.sql")),
    (18, "truncations", include_str!("../../migrations/0018_truncations.sql")),
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

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    #[test]
    fn every_file_is_a_migration() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let files = std::fs::read_dir(folder).expect("the folder of migrations");
        let names = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
        let mut versions: Vec<i64> = names
            .filter(|name| name.ends_with("sql"))
            .filter_map(|name| name.split('_').next()?.parse().ok())
            .collect();
        versions.sort_unstable();
        let listed: Vec<i64> = MIGRATIONS.iter().map(|(version, ..)| *version).collect();
        assert_eq!(listed, versions);
    }
}
