//! Tables that are altered.

use super::super::rig::Database::{Ga, Hr, Mz};
use super::Life;
use super::remedies::topic_of;
use super::rows::second_pension;
use anyhow::ensure;

/// A column more, with content of its own, in both systems, and wider ones: nobody has to do anything.
pub async fn columns_are_added_and_widened(life: &mut Life) -> anyhow::Result<()> {
    life.sql(
        Hr,
        "alter table ac02 add column bz text default 'new';
         alter table ac02 alter column aae003 type bigint;
         alter table ac02 alter column aac003 type varchar(400)",
    )?;
    life.sql(Hr, &second_pension(2))?;
    life.sql(
        Mz,
        "alter table marriage add column bz varchar(20) default 'new', modify column xm varchar(1000), modify column id bigint unsigned;
         update marriage set hyzk = '40', bz = 'x' order by id limit 1",
    )?;
    life.is_as_tables("columns are added and widened").await
}

/// A mapped column has another name: letters name it and hold the topic. The dialect gives the new name with the old one.
pub async fn a_column_is_renamed(life: &mut Life) -> anyhow::Result<()> {
    life.sql(
        Ga,
        "alter table czrk rename column xzdz to dz; update czrk set dz = dz || ' 2'",
    )?;
    life.reading.find(Ga, "czrk", "xzdz", "dz");
    let held = life.held(&topic_of(Ga, "czrk")).await?;
    ensure!(held.contains("absent-column"), "{held}");
    let renamed = "residence-address = { column = \"dz\", former = [\"xzdz\"] }";
    life.mend_dialect(Ga, "residence-address = \"xzdz\"", renamed)?;
    life.read_on(&held, Ga, "czrk")?;
    life.is_as_tables("a column is renamed").await?;
    // One on which findings rest, in the other system.
    life.sql(
        Mz,
        "alter table marriage change column hyzk hyzkdm varchar(255) null; update marriage set hyzkdm = '40'",
    )?;
    life.reading.find(Mz, "marriage", "hyzk", "hyzkdm");
    let held = life.held(&topic_of(Mz, "marriage")).await?;
    let renamed = "status = { column = \"hyzkdm\", former = [\"hyzk\"], codes = \"marital-status\" }";
    life.mend_dialect(Mz, "status = { column = \"hyzk\", codes = \"marital-status\" }", renamed)?;
    life.read_on(&held, Mz, "marriage")?;
    life.is_as_tables("a column of MariaDB is renamed").await
}

/// A mapped column is dropped: the dialect gives it up.
pub async fn a_column_is_dropped(life: &mut Life) -> anyhow::Result<()> {
    life.sql(Ga, "alter table czrk drop column lxdh; update czrk set hjdz = hjdz || ' 3'")?;
    life.reading.find(Ga, "czrk", "lxdh", "null::text");
    let held = life.held(&topic_of(Ga, "czrk")).await?;
    ensure!(held.contains("absent-column"), "{held}");
    life.mend_dialect(Ga, "phone = \"lxdh\"\n", "")?;
    life.read_on(&held, Ga, "czrk")?;
    life.is_as_tables("a column is dropped").await
}

/// A month becomes a decimal, which the connector writes as base64; then it is told to write decimals as text, and as numbers.
pub async fn decimals_come_otherwise(life: &mut Life) -> anyhow::Result<()> {
    life.sql(
        Hr,
        "alter table ac02 alter column aae003 type numeric(6, 0); update ac02 set note = 'decimal'",
    )?;
    life.reading.find(Hr, "ac02", "aae003", "aae003::integer");
    let topic = topic_of(Hr, "ac02");
    let held = life.held(&topic).await?;
    ensure!(held.contains("wrong-encoding"), "{held}");
    let month = "paid-through = { column = \"aae003\", ";
    let decimal = "paid-through = { column = \"aae003\", encoding = \"decimal-base64\", ";
    life.mend_dialect(Hr, month, decimal)?;
    life.read_on(&held, Hr, "ac02")?;
    life.is_as_tables("a month becomes a decimal").await?;
    life.connectors.set(Hr, "decimal.handling.mode", Some("string"));
    life.restart_worker()?;
    life.sql(Hr, "update ac02 set note = 'text'")?;
    let held = life.held(&topic).await?;
    ensure!(held.contains("wrong-encoding"), "{held}");
    // What stands in the topic is of either kind: only rows that are read again are of one.
    life.mend_dialect(Hr, decimal, month)?;
    life.run_printed(&held)?;
    life.forget_offsets(Hr).await?;
    life.is_as_tables("decimals are text").await?;
    life.connectors.set(Hr, "decimal.handling.mode", Some("double"));
    life.restart_worker()?;
    life.sql(Hr, "update ac02 set note = 'number'")?;
    life.sql(Hr, &second_pension(3))?;
    life.is_as_tables("decimals are numbers").await
}
