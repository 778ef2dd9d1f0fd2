//! `canbao lag` on a broker with the topics of 40 sources, beside a full load.

use anyhow::{Context, ensure};
use domain::source::Source;
use integration_tests::ground::sources;
use integration_tests::on_demand::OnDemand;
use integration_tests::servers::Servers;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::{ClientConfig, Offset};
use runtime::kafka::offsets::patiently;
use runtime::kafka::topics::normaliser_group;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Tables of each source, and partitions of each table.
const TABLES: usize = 10;
const PARTITIONS: i32 = 4;
/// What an operator waits for without wondering.
const PROMPT: Duration = Duration::from_secs(2);

fn topics() -> Vec<(Source, String)> {
    let of = |source: Source| (0..TABLES).map(move |table| (source, format!("{source}.public.t{table}")));
    sources().into_iter().flat_map(of).collect()
}

/// Makes the topics, and lets every second source's normaliser have committed something.
async fn prepare(kafka: &str) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", kafka).create()?;
    let topics = topics();
    let wanted: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|(_, name)| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)))
        .collect();
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(120)));
    for made in admin.create_topics(wanted.iter(), &options).await? {
        made.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
    }
    for sources in topics.chunk_by(|one, two| one.0 == two.0).step_by(2) {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", kafka)
            .set("group.id", normaliser_group(sources[0].0))
            .create()?;
        let mut taken = TopicPartitionList::new();
        for (_, name) in sources {
            for partition in 0..PARTITIONS {
                taken.add_partition_offset(name, partition, Offset::Offset(0))?;
            }
        }
        // A topic that was made a moment ago is not known everywhere yet.
        patiently(|| consumer.commit(&taken, CommitMode::Sync))?;
    }
    Ok(())
}

/// Publishes as fast as the broker takes it until `stop`; how many messages that were.
fn load(kafka: &str, stop: &AtomicBool) -> anyhow::Result<u64> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("linger.ms", "20")
        .set("compression.type", "lz4")
        .create()?;
    let (topics, row) = (topics(), [b'x'; 300]);
    let mut sent = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let (_, topic) = &topics[sent as usize % topics.len()];
        let record = BaseRecord::<(), _>::to(topic).payload(&row[..]);
        if producer.send(record).is_err() {
            producer.poll(Duration::from_millis(10));
            continue;
        }
        sent += 1;
        if sent.is_multiple_of(1000) {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(sent)
}

async fn try_it(servers: &mut Servers) -> anyhow::Result<String> {
    servers.reset(1).await?;
    let kafka = std::env::var("CANBAO_KAFKA")?;
    prepare(&kafka).await?;
    let stop = AtomicBool::new(false);
    let (times, sent) = std::thread::scope(|scope| -> anyhow::Result<_> {
        let loading = scope.spawn(|| load(&kafka, &stop));
        std::thread::sleep(Duration::from_secs(3));
        let ask = || -> anyhow::Result<Duration> {
            let began = Instant::now();
            let mut command = servers.services.command("canbao", "canbao")?;
            let output = command.args(["lag", "--format", "json"]).stdout(Stdio::piped()).output()?;
            let took = began.elapsed();
            ensure!(output.status.success(), "canbao lag: {:?}", output.status);
            let lag: serde_json::Value = serde_json::from_slice(&output.stdout)?;
            let found = lag["sources"].as_array().map_or(0, Vec::len);
            ensure!(found == sources().len(), "{found} sources are shown");
            Ok(took)
        };
        let times: anyhow::Result<Vec<Duration>> = (0..5).map(|_| ask()).collect();
        stop.store(true, Ordering::Relaxed);
        let sent = loading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((times?, sent))
    })?;
    let mut sorted = times;
    sorted.sort_unstable();
    ensure!(sorted[2] < PROMPT, "canbao lag takes {sorted:?}");
    Ok(format!(
        "canbao lag beside {sent} messages published, {} partitions: {sorted:?}",
        topics().len() * PARTITIONS as usize
    ))
}

fn main() -> ExitCode {
    let test = OnDemand {
        name: "lag_answers_beside_a_full_load",
        part: "test",
        asked_by: &[],
    };
    test.main(lag)
}

async fn lag() -> anyhow::Result<String> {
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lag");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let tried = try_it(&mut servers).await;
    // Whoever comes next finds no topics of ours.
    servers.reset(1).await.context("an empty broker")?;
    tried.with_context(|| format!("logs in {}", logs.display()))
}
