//! The database's log is lost, or begins anew.

use super::super::rig::Database::{Ga, Hr, Mz};
use super::Life;
use super::loads::KEPT;
use super::rows::second_pension;
use anyhow::Context;

/// The replication slot and MariaDB's log are lost while the worker is away, and with them what changed meanwhile.
pub async fn slot_and_log_are_lost(life: &mut Life) -> anyhow::Result<()> {
    tokio::time::sleep(KEPT).await;
    life.connectors.disconnect(false)?;
    life.sql(Hr, "select pg_drop_replication_slot('canbao_hr')")?;
    life.sql(Hr, &second_pension(4))?;
    life.sql(
        Hr,
        "delete from ac02 where baz001 = 9000002; update ac02 set aae003 = aae003 - 1 where aae003 % 100 > 6",
    )?;
    life.sql(
        Mz,
        "delete from marriage order by id limit 2; update funeral set swrq = date_sub(swrq, interval 1 day); flush binary logs",
    )?;
    let logs = life.sql(Mz, "show binary logs")?;
    let last = logs.last().and_then(|log| log.split_whitespace().next()).context("a log")?;
    life.sql(Mz, &format!("purge binary logs to '{last}'"))?;
    life.connectors.connect()?;
    life.is_as_tables("slot and log are lost").await
}

/// The databases are put back from a backup: rows are as they were, and nothing in a log says so.
pub async fn databases_are_put_back(life: &mut Life) -> anyhow::Result<()> {
    let file = life.servers.services.logs().join("ga.backup").display().to_string();
    life.connectors.back_up(Ga, &file)?;
    life.sql(Mz, "set sql_log_bin = 0; create table aside.kept as select * from marriage")?;
    life.sql(
        Ga,
        "update czrk set dz = 'later';
         insert into czrk (rybh, gmsfhm, xm, hkzt, hjdqh) values ('LATER', '32040219900101991X', 'later', '1', '320402');
         delete from czrk where rybh = (select min(rybh) from czrk where rybh <> 'LATER')",
    )?;
    life.sql(
        Mz,
        "update marriage set hyzkdm = '30'; delete from marriage order by id limit 3",
    )?;
    life.is_as_tables("after the backup").await?;
    tokio::time::sleep(KEPT).await;
    for of in [Ga, Mz] {
        life.stop_connector(of).await?;
    }
    life.connectors.put_back(Ga, &file)?;
    life.sql(
        Mz,
        "set sql_log_bin = 0; delete from marriage; insert into marriage select * from aside.kept; drop table aside.kept",
    )?;
    for of in [Ga, Mz] {
        life.forget_offsets(of).await?;
    }
    life.is_as_tables("databases are put back").await
}
