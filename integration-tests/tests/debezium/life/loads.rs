//! Snapshots.

use super::super::rig::{CITY, Database};
use super::Life;
use runtime::statements::Statement;
use std::time::Duration;

/// Rows written in the minute before a snapshot are kept by it, whatever it shows (services/clock/src/snapshots.rs).
pub const KEPT: Duration = Duration::from_secs(65);

/// The worker dies while it reads the tables for the first time; before it comes back, some of what it had read is gone or another.
pub async fn a_first_snapshot_is_interrupted(life: &mut Life) -> anyhow::Result<()> {
    // Long enough to take a lock before the tables are read, and after the slot was made, which would wait for it.
    life.connectors.set(Database::Hr, "snapshot.delay.ms", Some("8000"));
    life.connectors.connect()?;
    let slot = "select count(*) from pg_replication_slots where slot_name = 'canbao_hr' and confirmed_flush_lsn is not null";
    life.until("the slot of human resources", |life| {
        Ok(life.connectors.value(Database::Hr, slot)? == "1")
    })
    .await?;
    let mut lock = life.connectors.session(
        Database::Hr,
        "begin; lock table ac60 in access exclusive mode; select pg_sleep(3600)",
    )?;
    let topic = format!("human-resources.{CITY}.public.ac02");
    life.until("half a snapshot", |life| Ok(life.messages(&topic)? > 0)).await?;
    life.connectors.disconnect(true)?;
    life.sql(
        Database::Hr,
        "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(3600)' and pid <> pg_backend_pid()",
    )?;
    lock.wait()?;
    life.sql(Database::Hr, "delete from ac02 where baz001 = (select min(baz001) from ac02)")?;
    life.sql(
        Database::Hr,
        "update ac02 set aae003 = aae003 - 1 where baz001 = (select min(baz001) from ac02 where aae003 % 100 > 1)",
    )?;
    life.connectors.set(Database::Hr, "snapshot.delay.ms", None);
    tokio::time::sleep(KEPT).await;
    life.connectors.connect()?;
    life.servers.begin_services().await?;
    let day = life.day;
    life.servers.state(&Statement::BusinessDate { day, confirmed: true }).await?;
    life.is_as_tables("a first snapshot is interrupted").await
}

/// A table is emptied and loaded again, but for two rows. Nothing is told before a full snapshot has shown which; a signal asks for one.
pub async fn a_table_is_truncated_and_loaded(life: &mut Life) -> anyhow::Result<()> {
    tokio::time::sleep(KEPT).await;
    life.sql(Database::Hr, "create table loaded as select * from ac02; truncate ac02")?;
    life.rest().await?;
    life.sql(
        Database::Hr,
        "delete from loaded where baz001 in (select baz001 from loaded order by baz001 limit 2);
         insert into ac02 select * from loaded; drop table loaded",
    )?;
    life.sql(
        Database::Mz,
        "create database aside; create table aside.loaded as select * from hardship; truncate hardship",
    )?;
    life.sql(
        Database::Mz,
        "insert into hardship select * from aside.loaded; drop table aside.loaded",
    )?;
    life.rest().await?;
    life.is_silent("a table is truncated and loaded")?;
    life.signal(Database::Hr, "blocking", &["public.ac02"])?;
    life.is_as_tables("a table is truncated and loaded").await
}

/// Rows changed while nothing was published of their table: a signal lets them be read again beside the stream.
pub async fn a_signal_asks_for_rows(life: &mut Life) -> anyhow::Result<()> {
    life.sql(Database::Ga, "alter publication canbao drop table czrk")?;
    life.sql(Database::Ga, "update czrk set hjdz = hjdz || ' 4', xzdz = xzdz || ' 4'")?;
    life.sql(Database::Ga, "alter publication canbao add table czrk")?;
    life.signal(Database::Ga, "incremental", &["public.czrk"])?;
    life.is_as_tables("a signal asks for rows").await
}
