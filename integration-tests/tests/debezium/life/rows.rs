//! Rows that change, and their keys.

use super::super::rig::Database;
use super::Life;
use anyhow::{Context, ensure};
use domain::citizen_id::CitizenId;

/// Somebody of human resources who pays into an employee's pension and nothing else of the kind; the n-th.
fn insured(n: u32) -> String {
    format!(
        "select min(baz001) from ac02 where aac002 = (select aac002 from ac02 group by aac002
         having bool_and(aac031 = '1' and aae140 not in ('120', '150', '160', '170')) and bool_or(aae140 = '110')
         order by aac002 offset {n} limit 1) and aae140 = '110'"
    )
}

/// A second pension for the n-th of them, by a statement: told as a double enrolment.
pub fn second_pension(n: u32) -> String {
    format!(
        "create temporary table twice as select * from ac02 where baz001 = ({});
         update twice set baz001 = 9000000 + {n}, aae140 = '170';
         insert into ac02 select * from twice",
        insured(n)
    )
}

/// Rows come, change and go, in both systems.
pub async fn rows_change(life: &mut Life) -> anyhow::Result<()> {
    life.sql(Database::Hr, &second_pension(0))?;
    life.sql(Database::Hr, &second_pension(1))?;
    life.sql(
        Database::Ga,
        "update czrk set xzdz = xzdz || '1' where rybh = (select min(rybh) from czrk)",
    )?;
    life.sql(Database::Mz, "update marriage set hyzk = '40' order by id limit 1")?;
    life.is_as_tables("rows change").await?;
    ensure!(!life.told.is_empty(), "two second pensions were told to nobody");
    life.sql(Database::Hr, "delete from ac02 where baz001 = 9000000")?;
    life.sql(Database::Mz, "delete from marriage order by id limit 1")?;
    life.is_as_tables("rows go").await
}

/// Keys change: the same facts under another name.
pub async fn keys_change(life: &mut Life) -> anyhow::Result<()> {
    life.sql(
        Database::Hr,
        "update ac02 set baz001 = baz001 + 8000000 where baz001 < (select min(baz001) + 20 from ac02)",
    )?;
    life.sql(
        Database::Ga,
        "update czrk set rybh = rybh || 'N' where rybh in (select rybh from czrk order by rybh limit 5)",
    )?;
    life.sql(Database::Mz, "update marriage set id = id + 8000000 order by id desc limit 5")?;
    life.is_as_tables("keys change").await
}

/// A table comes without images before: a delete shows its key alone, a changed number no correction. With them, a number that was wrong
/// takes along what is known of its person.
pub async fn replica_identity_changes(life: &mut Life) -> anyhow::Result<()> {
    life.sql(
        Database::Ga,
        "alter table czrk replica identity default; alter table ldrk replica identity default",
    )?;
    life.sql(Database::Ga, "delete from ldrk where ldbh = (select min(ldbh) from ldrk)")?;
    let (plain, plainly) = wrong_number(life, 6)?;
    life.sql(
        Database::Ga,
        &format!("update czrk set gmsfhm = '{plainly}' where gmsfhm = '{plain}'"),
    )?;
    life.is_as_tables("replica identity is the key").await?;
    an_unchanged_value_is_left_out(life).await?;
    life.sql(Database::Hr, &corrected(&plain, &plainly))?;
    life.sql(Database::Mz, &corrected_too(&plain, &plainly))?;
    life.sql(
        Database::Ga,
        "alter table czrk replica identity full; alter table ldrk replica identity full",
    )?;
    life.sql(Database::Ga, &format!("update czrk set lxdh = lxdh where {LAST}"))?;
    life.is_as_tables("replica identity is full again").await?;
    let (old, new) = wrong_number(life, 7)?;
    let enrolments = life.enrolments(&old).await?;
    life.sql(
        Database::Ga,
        &format!("update czrk set gmsfhm = '{new}' where gmsfhm = '{old}'"),
    )?;
    life.rest().await?;
    let found = life.enrolments(&new).await?;
    ensure!(
        enrolments > 0 && found == enrolments,
        "{found} enrolments went along, not {enrolments}"
    );
    life.sql(Database::Hr, &corrected(&old, &new))?;
    life.sql(Database::Mz, &corrected_too(&old, &new))?;
    life.is_as_tables("a number is corrected").await
}

/// Human resources put a number right in all their tables.
fn corrected(old: &str, new: &str) -> String {
    format!(
        "update ac01 set aac147 = '{new}' where aac147 = '{old}'; update ac21 set aac147 = '{new}' where aac147 = '{old}';
         update ac02 set aac002 = '{new}' where aac002 = '{old}'; update ac60 set aac147 = '{new}' where aac147 = '{old}';
         update az01 set aac147 = '{new}' where aac147 = '{old}'"
    )
}

/// So do civil affairs.
fn corrected_too(old: &str, new: &str) -> String {
    let tables = ["marriage", "hardship", "funeral"];
    tables
        .map(|table| format!("update {table} set sfzh = '{new}' where sfzh = '{old}'"))
        .join("; ")
}

/// A row of the register.
const LAST: &str = "rybh = (select max(rybh) from czrk)";

/// A large value that did not change is not sent without the image before: a dead letter says what to do.
async fn an_unchanged_value_is_left_out(life: &mut Life) -> anyhow::Result<()> {
    let long =
        format!("alter table czrk alter column xzdz set storage external; update czrk set xzdz = repeat('x', 2030) where {LAST}");
    life.sql(Database::Ga, &long)?;
    life.is_as_tables("a value is large").await?;
    let letters = "public-security.3204.dlq";
    let before = life.messages(letters)?;
    life.sql(Database::Ga, &format!("update czrk set lxdh = '13900000000' where {LAST}"))?;
    life.until("a dead letter", |life| Ok(life.messages(letters)? > before)).await
}

/// The number of somebody insured, the n-th, and another valid one of the same day of birth that nobody has.
fn wrong_number(life: &Life, n: u32) -> anyhow::Result<(String, String)> {
    let old = life.connectors.value(
        Database::Hr,
        &format!("select aac002 from ac02 where baz001 = ({})", insured(n)),
    )?;
    let number = CitizenId::parse(&old).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let sequence: u16 = old[14..17].parse()?;
    // Everybody's sequence here is drawn; two apart it is of the same sex.
    let other = CitizenId::from_parts(old[..6].parse()?, number.birth_date(), (sequence + 2) % 1000).context("a number")?;
    Ok((old, other.text()))
}
