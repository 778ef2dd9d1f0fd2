//! Topics that grow.

use super::super::rig::Database::{Hr, Mz};
use super::Life;
use super::remedies::topic_of;
use super::rows::second_pension;
use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;

/// Asks the brokers.
pub fn admin() -> anyhow::Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", std::env::var("CANBAO_KAFKA")?)
        .create()?)
}

/// Partitions are raised under the connectors: keys go elsewhere from then on. Canbao holds the topics and prints the command.
pub async fn partitions_are_added(life: &mut Life) -> anyhow::Result<()> {
    let topics = [topic_of(Hr, "ac02"), topic_of(Mz, "marriage")];
    let admin = admin()?;
    for topic in &topics {
        let raised = admin
            .create_partitions([&NewPartitions::new(topic, 7)], &AdminOptions::new())
            .await?;
        raised
            .into_iter()
            .next()
            .context("an answer")?
            .map_err(|(topic, error)| anyhow::anyhow!("{topic}: {error}"))?;
    }
    // So that its producers know of them.
    life.restart_worker()?;
    life.sql(Hr, "update ac02 set aae003 = aae003 - 1 where aae003 % 100 > 6")?;
    life.sql(Hr, &second_pension(5))?;
    life.sql(Hr, "delete from ac02 where baz001 = 9000003")?;
    life.sql(
        Mz,
        "update marriage set djrq = date_sub(djrq, interval 1 day); delete from marriage order by id limit 1",
    )?;
    for topic in &topics {
        let held = life.held(topic).await?;
        life.run_printed(&held)?;
    }
    life.is_as_tables("partitions are added").await
}
