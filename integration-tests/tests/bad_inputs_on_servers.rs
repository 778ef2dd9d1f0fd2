//! Bad inputs through a real broker, the normalisers and the registry: everybody is alive afterwards, and the books balance.

use anyhow::{Context, ensure};
use domain::input::{Control, Input};
use domain::source::{Agency, Source};
use integration_tests::bad_inputs::{BadInput, UNDERSTOOD, all, outcome, rogue, source_of};
use integration_tests::ground::Rules;
use integration_tests::on_demand::OnDemand;
use integration_tests::servers::Servers;
use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use runtime::framed::framed;
use runtime::kafka::topics::PERSON_RECORDS;
use runtime::store::refused;
use schemas::Codec;
use schemas::event::DeadLetter;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(90);

/// A part of every kind, all that are large, no rows of completeness, which are answered by the clock, and nothing framed for a schema
/// registry, which holds its topic (`framed_on_servers`).
fn chosen() -> anyhow::Result<Vec<BadInput>> {
    let large = ["deep nesting", "large values", "long keys", "headers"];
    let mut chosen = Vec::new();
    for (at, input) in all()?.into_iter().enumerate() {
        let (_, table) = source_of(&input)?;
        let is_framed = [&input.key, &input.value]
            .iter()
            .any(|part| part.as_deref().and_then(framed).is_some());
        if !is_framed && !["heartbeat", "batch_control"].contains(&table) && (at % 5 == 0 || large.contains(&input.kind.as_str()))
        {
            chosen.push(input);
        }
    }
    Ok(chosen)
}

fn producer(kafka: &str, transaction: Option<&str>) -> anyhow::Result<BaseProducer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka)
        // Large values are short once compressed: so they come past a broker's limit.
        .set("compression.type", "gzip")
        .set("message.max.bytes", "100000000");
    if let Some(id) = transaction {
        config.set("transactional.id", id);
    }
    Ok(config.create()?)
}

fn send(producer: &BaseProducer, input: &BadInput) -> anyhow::Result<()> {
    let mut headers = OwnedHeaders::new();
    for (name, value) in &input.headers {
        headers = headers.insert(Header {
            key: name,
            value: value.as_ref(),
        });
    }
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&input.topic).headers(headers);
    record.key = input.key.as_deref();
    record.payload = input.value.as_deref();
    producer
        .send(record)
        .map_err(|(error, _)| error)
        .with_context(|| format!("{}, {}", input.kind, input.label))?;
    producer.poll(Duration::ZERO);
    Ok(())
}

/// Source messages of every kind; how many must have become dead letters.
fn send_bad_inputs(rules: &Rules, kafka: &str, inputs: &[BadInput]) -> anyhow::Result<usize> {
    let producer = producer(kafka, None)?;
    let mut dead = 0;
    for input in inputs {
        send(&producer, input)?;
        dead += usize::from(!outcome(rules, input)?.starts_with(UNDERSTOOD));
    }
    producer.flush(PATIENCE)?;
    // One row that is understood all the same, one that is not: names of headers that no client of ours reads.
    let (good, header) = (
        rogue::good_row(rules, "public-security/czrk", "rybh", "header")?,
        b"\xff\xfeh",
    );
    let key = good.key.as_deref().context("a key")?;
    rogue::send_with_header(kafka, &good.topic, 0, key, good.value.as_deref().context("a value")?, header)?;
    rogue::send_with_header(kafka, &good.topic, 0, b"{\"rybh\":\"x\"}", b"not json", header)?;
    Ok(dead + 1)
}

/// Every second of the rogue entries into a partition of the log, from the `first`, and a transaction's marker before the last of them.
fn send_rogue_entries(kafka: &str, partition: i32, first: usize) -> anyhow::Result<()> {
    let source = Source {
        agency: Agency::HUMAN_RESOURCES,
        city: "3201".parse()?,
    };
    let to = |value| {
        BaseRecord::to(PERSON_RECORDS)
            .partition(partition)
            .key("rogue")
            .payload(value)
    };
    let others = producer(kafka, None)?;
    let entries = rogue::entries(source);
    for (_, value) in entries.iter().skip(first).step_by(2) {
        others.send(to(value)).map_err(|(error, _)| error)?;
    }
    others
        .send(BaseRecord::<str, [u8]>::to(PERSON_RECORDS).partition(partition).key("rogue"))
        .map_err(|(error, _)| error)?;
    others.flush(PATIENCE)?;
    let (inside, behind) = (b"in a transaction".to_vec(), b"behind the markers".to_vec());
    let transactional = producer(kafka, Some("rogue"))?;
    transactional.init_transactions(PATIENCE)?;
    for commit in [true, false] {
        transactional.begin_transaction()?;
        transactional.send(to(&inside)).map_err(|(error, _)| error)?;
        transactional.flush(PATIENCE)?;
        if commit {
            transactional.commit_transaction(PATIENCE)?;
        } else {
            transactional.abort_transaction(PATIENCE)?;
        }
    }
    // Transactions end before their markers are written: who takes the name up anew waits for those.
    producer(kafka, Some("rogue"))?.init_transactions(PATIENCE)?;
    others.send(to(&behind)).map_err(|(error, _)| error)?;
    Ok(others.flush(PATIENCE)?)
}

async fn run(servers: &mut Servers, rules: &Rules, kafka: &str) -> anyhow::Result<()> {
    let inputs = chosen()?;
    ensure!(inputs.len() > 150, "{} bad inputs", inputs.len());
    let mut tables = BTreeSet::new();
    for input in &inputs {
        let (source, table) = source_of(input)?;
        tables.insert((source, table.to_owned()));
    }
    servers.begin(&tables).await?;
    let dead = send_bad_inputs(rules, kafka, &inputs)?;
    servers.complete(&BTreeSet::new()).await?;
    ensure!(
        servers.services.canbao(&["verify", "--wait", "60"])?,
        "the books do not balance after bad inputs"
    );
    let letters = servers.read_all(|topic| topic.rsplit_once('.').is_some_and(|(_, end)| end == "dlq"))?;
    for letter in &letters {
        Codec::current().decode::<DeadLetter>(letter.payload().context("a letter")?)?;
    }
    ensure!(
        letters.len() == dead,
        "{} dead letters, and {dead} were expected",
        letters.len()
    );
    for (first, shard) in [5, 40].into_iter().enumerate() {
        send_rogue_entries(kafka, shard, first)?;
        passed(servers, shard).await?;
    }
    // And the stream goes on.
    let good = rogue::good_row(rules, "public-security/czrk", "rybh", "afterwards")?;
    let last = producer(kafka, None)?;
    send(&last, &good)?;
    last.flush(PATIENCE)?;
    servers.complete(&BTreeSet::new()).await?;
    servers.services.check_alive()
}

/// Waits until a shard has taken the last rogue entry. It waits at each that cannot be read, until that is stepped over as operators do.
async fn passed(servers: &mut Servers, shard: i32) -> anyhow::Result<()> {
    let entries = servers.read_all(|topic| topic == PERSON_RECORDS)?;
    let offsets: BTreeSet<i64> = entries
        .iter()
        .filter(|message| message.partition() == shard)
        .map(Message::offset)
        .collect();
    let (last, there) = (*offsets.last().context("rogue entries")?, offsets.len() as i64);
    // Vectors of completeness gate release only and are not kept (ARCHITECTURE.md, Choices).
    let vectors = entries
        .iter()
        .filter(|message| message.partition() == shard)
        .filter(|message| {
            let said = schemas::codec::decode_input(message.payload().unwrap_or_default());
            matches!(said, Ok(Input::Control(Control::Completeness(_))))
        });
    let wanted = there - vectors.count() as i64;
    // Two markers, and what was aborted.
    ensure!(last + 1 >= there + 3, "the partition has no gap");
    let mut deadline = Instant::now() + PATIENCE;
    loop {
        let mut connection = servers.pool.acquire().await?;
        for waiting in refused::waiting(&mut connection).await? {
            let (shard, position) = (waiting.shard.to_string(), waiting.position.to_string());
            let line = ["skip", &shard, &position, "--reason", "written by a rogue"];
            ensure!(servers.services.canbao(&line)?, "{line:?} failed, see canbao.log");
            deadline = Instant::now() + PATIENCE;
        }
        drop(connection);
        let position: i64 = sqlx::query_scalar("select position from store.shard where shard = $1")
            .bind(shard as i16)
            .fetch_one(&servers.pool)
            .await?;
        if position > last {
            break;
        }
        servers.services.check_alive()?;
        ensure!(Instant::now() < deadline, "shard {shard} stands at {position} of {last}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let kept: i64 =
        sqlx::query_scalar("select count(distinct position) from store.source_log where shard = $1 and position <= $2")
            .bind(shard as i16)
            .bind(last)
            .fetch_one(&servers.pool)
            .await?;
    ensure!(
        kept == wanted,
        "{kept} of {wanted} entries of shard {shard} stand in the source log"
    );
    Ok(())
}

fn main() -> ExitCode {
    let test = OnDemand {
        name: "no_message_stops_a_process",
        part: "test",
        asked_by: &[],
    };
    test.main(bad_inputs)
}

async fn bad_inputs() -> anyhow::Result<String> {
    let rules = Rules::load().context("the dialects of the services")?;
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad-inputs");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let kafka = std::env::var("CANBAO_KAFKA").context("the broker's address")?;
    let ran = run(&mut servers, &rules, &kafka).await;
    let ended = servers.services.stop();
    ran.with_context(|| format!("logs in {}", logs.display()))?;
    ended.context("services that end in order")?;
    Ok("everybody is alive and the books balance".to_owned())
}
