//! `restore`: the base goes on after it was put back from a backup, after a failover that lost commits, or from its source log alone
//! (ARCHITECTURE.md, Exactly once).
//!
//! Logs and topics have gone further than such a base. A new life begins in every shard; what subscribers have is read back from the
//! topics; and from their next start on the services apply the logs again, silently up to where they end now.

mod published;
mod takeover;

use crate::output::Table;
use crate::source::{Accepted, render_accepted};
use crate::{source, topics};
use anyhow::{Context, ensure};
use domain::shard::Shard;
use registry::restore::{Course, begin, replay};
use runtime::config::Settings;
use runtime::kafka::offsets::watermarks;
use runtime::kafka::topics::{PERSON_RECORDS, person_records, published as published_topics};
use runtime::kafka::{admin, offsets};
use runtime::outbox::{position::Position, positions};
use runtime::store::read;
use serde::Serialize;
use sqlx::{PgPool, Row};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use takeover::Publisher;

/// How long sessions of services that have just ended may stay.
const LEAVING: Duration = Duration::from_secs(5);

/// What a restore came to.
#[derive(Debug, Serialize)]
pub struct Restored {
    /// The life that began.
    pub life: u32,
    /// Entries of the logs that the base has still to apply.
    pub to_apply: i64,
    /// Findings of which the base took something else for told than subscribers were.
    pub told: usize,
    /// Persons whom subscribers know and the base does not.
    pub unknown: u64,
    /// Rows of the outbox that were given up: what they say is told again where it is still so.
    pub outbox: u64,
    /// Source topics whose positions began anew after the backup: they are read again from their start.
    pub reread: Vec<Accepted>,
    /// Entries of the source log that the base was made of; `None` when it was not made anew.
    pub made_of: Option<u64>,
}

/// Restores: begins a life, and makes the base anew from its source log if asked to.
///
/// # Errors
/// When a service still runs, brokers or database do not answer, or the brokers have lost what the base has applied.
pub async fn restore(settings: &Settings, pool: &PgPool, from_log: bool) -> anyhow::Result<Restored> {
    refuse_while_services_run(pool).await?;
    let mut wanted = published_topics(&settings.topics);
    wanted.extend([positions::topic(), person_records()]);
    admin::ensure_topics(settings, &wanted)
        .await
        .context("preparing the topics")?;
    let key = settings.id_key()?;

    // From here on no publisher of this name publishes, and its last transaction is settled.
    let publisher = tokio::task::block_in_place(|| Publisher::take_over(settings))?;
    let stored = tokio::task::block_in_place(|| positions::read(settings, || false))?.unwrap_or_default();
    let mut connection = pool.acquire().await.context("taking a connection")?;
    let epoch: i32 = sqlx::query_scalar("select outbox_epoch from store.publisher")
        .fetch_one(&mut *connection)
        .await
        .context("reading the outbox's epoch: was `canbao migrate` run?")?;
    let shards = read::shards(&mut connection).await.context("reading the shards")?;
    let lives = shards.iter().map(|row| row.state.lives.present());
    let heard = stored.values().map(|position| position.epoch).chain(lives).max().unwrap_or(0);
    let life = 1 + heard.max(epoch.unsigned_abs());
    let ends = tokio::task::block_in_place(|| ends(settings))?;
    if !from_log {
        for row in &shards {
            let end = ends[&row.shard];
            ensure!(
                row.position <= end,
                "shard {}: the base has applied its log up to {}, and the brokers have it up to {end} only: they lost entries. \
                 Put back a backup of the database from before that, and run `canbao restore` again",
                row.shard,
                row.position
            );
        }
    }
    // The life's number is known to the brokers before anything is of that life: a restore that fails from here on takes the next one.
    let position = |row: &read::StoredShard| Position {
        epoch: life,
        next: row.outbox_next as u64,
    };
    let begun: BTreeMap<Shard, Position> = shards.iter().map(|row| (row.shard, position(row))).collect();
    tokio::task::block_in_place(|| publisher.commit(&begun))?;
    let from: BTreeMap<Shard, i64> = shards.iter().map(|row| (row.shard, row.position)).collect();
    let (published, tail) = tokio::task::block_in_place(|| -> anyhow::Result<_> {
        Ok((published::read(settings)?, published::tail(settings, &from, &ends)?))
    })?;
    let course = Course {
        life,
        newest: tail.newest,
        statement: tail.statement,
        anew: from_log,
        ends,
    };
    let begun = begin(&mut connection, &key, &course, &published).await?;
    let reread = source::accept_forgotten(settings, pool, &tail.epochs).await?;
    let mut made_of = None;
    if from_log {
        let mut reader = pool.acquire().await.context("taking a second connection")?;
        let bar = crate::verify::bar("making the base anew", "entries");
        made_of = Some(replay(&mut reader, &mut connection, &key, |applied| bar.set_position(applied)).await?);
        bar.finish_and_clear();
    }
    let shards = read::shards(&mut connection).await.context("reading the shards")?;
    Ok(Restored {
        life,
        to_apply: shards.iter().map(|row| (course.ends[&row.shard] - row.position).max(0)).sum(),
        told: begun.told,
        unknown: begun.unknown,
        outbox: begun.outbox,
        reread,
        made_of,
    })
}

/// Refuses while services are connected that would go on with what is being changed under them. Normalisers only write to the logs.
async fn refuse_while_services_run(pool: &PgPool) -> anyhow::Result<()> {
    let deadline = Instant::now() + LEAVING;
    loop {
        let rows = sqlx::query(
            "select distinct application_name from pg_stat_activity where datname = current_database()
             and application_name in ('canbao-registry', 'canbao-registry-aside', 'canbao-publisher', 'canbao-clock') order by 1",
        )
        .fetch_all(pool)
        .await
        .context("asking who is connected")?;
        let names = rows.iter().map(|row| row.try_get::<String, _>(0));
        let names: Vec<String> = names.collect::<Result<_, _>>()?;
        if names.is_empty() {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "services are connected to the database ({}): stop registry, publisher and clock first",
            names.join(", ")
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn ends(settings: &Settings) -> anyhow::Result<BTreeMap<Shard, i64>> {
    let reader = topics::reader(settings)?;
    let failed = || topics::unreachable_brokers(settings);
    offsets::partitions(&reader, PERSON_RECORDS).with_context(failed)?;
    Shard::all()
        .map(|shard| {
            let held = watermarks(&reader, PERSON_RECORDS, i32::from(shard.number())).with_context(failed)?;
            Ok((shard, held.high))
        })
        .collect()
}

/// The outcome as text.
pub fn render(restored: &Restored) -> String {
    let mut table = Table::new(["restored", ""]);
    table.row(["life of the base".into(), restored.life.to_string()]);
    if let Some(made_of) = restored.made_of {
        table.row(["made anew of entries".into(), made_of.to_string()]);
    }
    table.row(["entries to apply again".into(), restored.to_apply.to_string()]);
    table.row(["findings read back from what was told".into(), restored.told.to_string()]);
    table.row(["persons only subscribers know".into(), restored.unknown.to_string()]);
    table.row(["unpublished rows given up".into(), restored.outbox.to_string()]);
    format!(
        "{}{}What was stated with `canbao source accept` since the backup, and not worked off, is gone with it: state it again.\n\
         Start the services; then `canbao verify --wait 60` compares everything.\n",
        table.render(),
        render_accepted(&restored.reread)
    )
}
