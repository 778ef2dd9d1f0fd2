//! Every life story on a real Kafka and PostgreSQL, with the services as processes.

use integration_tests::ground::Rules;
use integration_tests::servers::Servers;
use integration_tests::{on_servers, story};
use std::path::Path;

/// The order of arrival, the services that crash and the connectors that send again are drawn by a seed.
fn seed() -> u64 {
    std::env::var("STORY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(20_250_301)
}

#[tokio::test(flavor = "multi_thread")]
async fn stories_on_real_servers() {
    let rules = Rules::load().expect("the dialects of the services");
    let stories = story::all().expect("stories that can be read");
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stories");
    let _ = std::fs::remove_dir_all(&logs);
    let Some(mut servers) = Servers::start(&logs, &"2a".repeat(32)).await.expect("servers and services") else {
        println!(
            "skipped: set CANBAO_KAFKA and CANBAO_DATABASE_URL (integration-tests/run does) to run the stories on real servers"
        );
        return;
    };
    let ran = on_servers::run(&mut servers, &rules, &stories, seed()).await;
    let ended = servers.services.stop();
    ran.unwrap_or_else(|error| panic!("seed {}, logs in {}: {error:#}", seed(), logs.display()));
    ended.expect("services that end in order");
}
