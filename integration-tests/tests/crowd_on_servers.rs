//! Very many records under one number on a real Kafka and PostgreSQL, with one name and with as many names: what a further event makes the
//! database log does not grow with them.

use anyhow::{Context, ensure};
use integration_tests::crowd::{Names, TABLE, message, source};
use integration_tests::on_demand::{OnDemand, number};
use integration_tests::servers::Servers;
use runtime::statements::{GoLiveRegion, Statement};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Records of each crowd, unless `CROWD` says how many.
const SIZE: u64 = 20_000;
/// Further events that are measured: the median is not that of a checkpoint or of vacuum.
const FURTHER: usize = 7;
/// What the database may log because of one of them, in bytes.
const MOST_LOGGED: i64 = 256 << 10;
/// What the registry may hold of a crowd, in bytes a record, and besides.
const HELD: u64 = 16 << 10;
const BESIDES: u64 = 256 << 20;
/// How long loading may take.
const PATIENCE: Duration = Duration::from_secs(540);

struct Scene {
    servers: Servers,
    enrolled: i64,
}

impl Scene {
    /// Publishes rows of a crowd and waits until they are in the base, and what they led to is published.
    async fn bring(&mut self, rows: std::ops::Range<usize>, names: Names) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.enrolled += rows.len() as i64;
        for at in rows {
            let message = message(at, names)?;
            while self.servers.publish(&message).is_err() {
                self.servers.flush()?;
            }
        }
        self.servers.flush()?;
        loop {
            let (enrolled, waiting): (i64, i64) =
                sqlx::query_as("select (select count(*) from store.enrolment), (select count(*) from store.outbox)")
                    .fetch_one(&self.servers.pool)
                    .await?;
            if (enrolled, waiting) == (self.enrolled, 0) {
                return Ok(began.elapsed());
            }
            self.servers.services.check_alive()?;
            ensure!(
                began.elapsed() < PATIENCE,
                "{enrolled} of {} rows of {names:?} after {PATIENCE:?}, {waiting} events wait",
                self.enrolled
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn logged(&self) -> anyhow::Result<i64> {
        let bytes = sqlx::query_scalar("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint");
        Ok(bytes.fetch_one(&self.servers.pool).await?)
    }

    async fn crowd(&mut self, size: usize, names: Names) -> anyhow::Result<String> {
        let loaded = self.bring(0..size, names).await?;
        let mut further = Vec::new();
        for at in size..size + FURTHER {
            let before = self.logged().await?;
            let took = self.bring(at..at + 1, names).await?;
            further.push((self.logged().await? - before, took));
        }
        further.sort_unstable();
        let (logged, took) = further[FURTHER / 2];
        let held = self.servers.services.peak_memory(("registry", 1))?;
        let said = format!(
            "{size} records, names {names:?}: loaded in {loaded:.1?}; a further event logs {logged} bytes (of {further:?}) and takes {took:.2?}; the registry held {} MB",
            held >> 20
        );
        ensure!(logged < MOST_LOGGED, "{said}");
        ensure!(held < HELD * size as u64 + BESIDES, "{said}");
        Ok(said)
    }
}

async fn crowds() -> anyhow::Result<String> {
    let size = number("CROWD")?.unwrap_or(SIZE) as usize;
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crowd");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    servers.begin(&BTreeSet::from([(source(), TABLE.to_owned())])).await?;
    let day = "2025-03-01".parse()?;
    servers.state(&Statement::BusinessDate { day, confirmed: true }).await?;
    servers.complete(&BTreeSet::new()).await?;
    servers.state(&Statement::GoLive(GoLiveRegion::All)).await?;
    let mut scene = Scene { servers, enrolled: 0 };
    let mut said = Vec::new();
    for names in [Names::One, Names::Apart] {
        said.push(
            scene
                .crowd(size, names)
                .await
                .with_context(|| format!("logs in {}", logs.display()))?,
        );
    }
    scene.servers.complete(&BTreeSet::new()).await?;
    let began = Instant::now();
    let equal = scene.servers.services.canbao(&["verify", "--wait", "60"])?;
    ensure!(equal, "canbao verify found a difference, see {}/canbao.log", logs.display());
    said.push(format!("verified in {:.1?}", began.elapsed()));
    Ok(said.join("\n"))
}

fn main() -> ExitCode {
    let test = OnDemand {
        name: "a_further_event_of_a_crowd_is_bounded",
        part: "test",
        asked_by: &[],
    };
    test.main(crowds)
}
