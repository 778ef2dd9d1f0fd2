//! Every life story on a real Kafka and PostgreSQL, with the services as processes.

use anyhow::Context;
use integration_tests::ground::Rules;
use integration_tests::on_demand::{OnDemand, number};
use integration_tests::servers::{PARTITIONS, Servers};
use integration_tests::story::Story;
use integration_tests::{on_servers, policies, story};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let test = OnDemand {
        name: "stories_on_real_servers",
        part: "conformance",
        asked_by: &["STORIES"],
    };
    test.main(stories)
}

async fn stories() -> anyhow::Result<String> {
    // The order of arrival, the services that crash and the connectors that send again are drawn by a seed.
    let seed = number("STORY_SEED")?.unwrap_or(20_250_301);
    let rules = Rules::load().context("the dialects of the services")?;
    // All share one base, and a base has one policy: those of another have a base each.
    let stories = story::all().context("stories that can be read")?;
    let (stories, others): (Vec<Story>, Vec<Story>) = stories.into_iter().partition(|story| story.policies.is_empty());
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stories");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let ran = run(&mut servers, &rules, &stories, &others, seed).await;
    let ended = servers.services.stop();
    ran.with_context(|| format!("seed {seed}, logs in {}", logs.display()))?;
    ended.context("services that end in order")?;
    Ok(format!(
        "{} stories, and {} under policies of their own",
        stories.len(),
        others.len()
    ))
}

/// The shared base comes last: what it leaves is what the conformance part reads.
async fn run(servers: &mut Servers, rules: &Rules, shared: &[Story], others: &[Story], seed: u64) -> anyhow::Result<()> {
    for story in others {
        under_policies_of_its_own(servers, rules, story, seed).await?;
    }
    servers.reset(PARTITIONS).await?;
    on_servers::run(servers, rules, shared, seed).await
}

async fn under_policies_of_its_own(servers: &mut Servers, rules: &Rules, story: &Story, seed: u64) -> anyhow::Result<()> {
    let first = policies::of(&story.policies)?.into_iter().next().context("a first policy")?;
    servers.reset_under(PARTITIONS, Some(&first.1)).await?;
    let ran = on_servers::run(servers, rules, std::slice::from_ref(story), seed).await;
    ran.with_context(|| format!("under its own policies: {}", story.title))
}
