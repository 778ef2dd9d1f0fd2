//! What counts as complete on a real Kafka and PostgreSQL, with the services as processes; each remedy that is printed is run.

mod kept_rows;

use anyhow::{Context, ensure};
use domain::source::Source;
use integration_tests::on_demand::OnDemand;
use integration_tests::servers::Servers;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use runtime::config::Settings;
use runtime::kafka::admin::{ensure_topics, topic_partitions};
use runtime::kafka::topics::{TopicSpec, person_records};
use sqlx::Row;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long what must not happen is waited for.
const LONG_ENOUGH: Duration = Duration::from_secs(8);
/// Offsets of an aborted batch, as a connector leaves them.
const ABORTED: i64 = 400;

struct Scene {
    servers: Servers,
    admin: AdminClient<DefaultClientContext>,
    kafka: String,
}

fn source(name: &str) -> Source {
    name.parse().expect("a source")
}

impl Scene {
    async fn begin() -> anyhow::Result<Self> {
        let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("completeness");
        let _ = std::fs::remove_dir_all(&logs);
        let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
        for (name, value) in [
            ("CANBAO_CLOCK__FIRST_SNAPSHOT", "prove"),
            ("CANBAO_CLOCK__ROWS_HOLD", "with-the-next"),
            (
                "CANBAO_CLOCK__SOURCES",
                "human-resources.3201,human-resources.3202,civil-affairs.3213,public-security.3204",
            ),
        ] {
            servers.services.set("clock", name, Some(value));
        }
        let tables = [("human-resources.3201", "ac60"), ("public-security.3204", "czrk")];
        servers
            .begin(&tables.map(|(name, table)| (source(name), table.to_owned())).into())
            .await?;
        let kafka = std::env::var("CANBAO_KAFKA")?;
        let admin = ClientConfig::new().set("bootstrap.servers", &kafka).create()?;
        Ok(Self { servers, admin, kafka })
    }

    /// Makes a topic whose messages carry their producers' times.
    async fn make(&self, topic: &str) -> anyhow::Result<()> {
        let topic = NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("message.timestamp.type", "CreateTime");
        for made in self.admin.create_topics([&topic], &AdminOptions::new()).await? {
            made.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
        }
        let deadline = Instant::now() + PATIENCE;
        while !topic_partitions(&self.settings())?.contains_key(topic.name) {
            ensure!(Instant::now() < deadline, "{} does not appear", topic.name);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    fn settings(&self) -> Settings {
        Settings {
            kafka: self.kafka.clone(),
            ..Settings::default()
        }
    }

    async fn remove(&self, topic: &str) -> anyhow::Result<()> {
        for removed in self.admin.delete_topics(&[topic], &AdminOptions::new()).await? {
            removed.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
        }
        Ok(())
    }

    fn producer(&self, transactional: Option<&str>) -> anyhow::Result<BaseProducer> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.kafka).set("enable.idempotence", "true");
        if let Some(id) = transactional {
            config.set("transactional.id", id);
        }
        Ok(config.create()?)
    }

    fn send(producer: &BaseProducer, topic: &str, key: &str, value: &str) -> anyhow::Result<()> {
        let record = BaseRecord::to(topic).partition(0).key(key).payload(value);
        producer.send(record).map_err(|(error, _)| error)?;
        Ok(())
    }

    /// Sends a heartbeat row, streamed, of now.
    fn beat(&self, of: &str) -> anyhow::Result<()> {
        let producer = self.producer(None)?;
        let value = format!(
            r#"{{"op":"u","before":null,"after":{{"id":1,"ts":"{}"}},"source":{{"snapshot":"false"}}}}"#,
            timestamp()
        );
        Self::send(&producer, &format!("{of}.public.heartbeat"), r#"{"id":1}"#, &value)?;
        Ok(producer.flush(PATIENCE)?)
    }

    /// Up to when a source is complete, and what it waits for.
    async fn state(&self, of: &str) -> anyhow::Result<(i64, Option<String>)> {
        let Source { agency, city } = source(of);
        let row = sqlx::query("select until, waits from store.completeness where agency = $1 and city = $2")
            .bind(i16::from(agency.code()))
            .bind(city.code() as i16)
            .fetch_optional(&self.servers.pool)
            .await?;
        row.map_or(Ok((0, None)), |row| Ok((row.try_get("until")?, row.try_get("waits")?)))
    }

    /// Beats until the source is complete beyond `after`; the time it then is complete until.
    async fn completes(&mut self, of: &str, after: i64) -> anyhow::Result<i64> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.beat(of)?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            let (until, waits) = self.state(of).await?;
            if until > after {
                return Ok(until);
            }
            self.servers.services.check_alive()?;
            ensure!(Instant::now() < deadline, "{of} does not become complete: {waits:?}");
        }
    }

    /// Beats for a while, in which the source must not become complete; what is said in the end.
    async fn stays(&self, of: &str, beats: bool) -> anyhow::Result<String> {
        let (before, _) = self.state(of).await?;
        let (mut began, mut at) = (Instant::now(), before);
        let mut settled = false;
        while began.elapsed() < LONG_ENOUGH {
            if beats {
                self.beat(of)?;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            let (until, _) = self.state(of).await?;
            // What was on its way when the obstacle appeared may still come through, once.
            if until != at {
                ensure!(!settled, "{of} is complete until {until}, it was until {at}");
                (settled, at, began) = (true, until, Instant::now());
            }
        }
        let (_, waits) = self.state(of).await?;
        waits.with_context(|| format!("nothing is said of {of}"))
    }

    /// What a `canbao` command reports, as JSON.
    fn canbao(&self, arguments: &[&str]) -> anyhow::Result<serde_json::Value> {
        let mut command = self.servers.services.command("canbao", "canbao")?;
        let output = command.args(arguments).stdout(Stdio::piped()).output()?;
        ensure!(output.status.success(), "canbao {}: {:?}", arguments.join(" "), output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn lag_of(&self, of: &str) -> anyhow::Result<serde_json::Value> {
        let Source { agency, city } = source(of);
        let lag = self.canbao(&["lag", "--format", "json"])?;
        let sources = lag["sources"].as_array().context("sources")?;
        let found = sources
            .iter()
            .find(|found| found["agency"] == agency.as_str() && found["city"] == city.code());
        found.cloned().with_context(|| format!("{of} is not shown"))
    }

    /// Runs the command that a text names in backquotes.
    fn follow(&self, text: &str) -> anyhow::Result<()> {
        let command = text.split('`').nth(1).context("no command in backquotes")?;
        let arguments: Vec<&str> = command.split(' ').skip(1).collect();
        ensure!(self.servers.services.canbao(&arguments)?, "`{command}` failed");
        Ok(())
    }

    /// A topic whose messages producers' clocks time is refused until the broker times them.
    async fn timed_by_the_broker(&self) -> anyhow::Result<()> {
        let spec = TopicSpec {
            name: "timed.public.topic".to_owned(),
            partitions: 1,
            ..person_records()
        };
        let settings = self.settings();
        self.make(&spec.name).await?;
        let refused = ensure_topics(&settings, std::slice::from_ref(&spec)).await;
        let said = refused.err().context("it is taken as it is")?.to_string();
        let wanted = format!(
            "--alter --topic {} --add-config message.timestamp.type=LogAppendTime`",
            spec.name
        );
        ensure!(said.contains(&wanted), "{said}");
        let alter = AlterConfig::new(ResourceSpecifier::Topic(&spec.name)).set("message.timestamp.type", "LogAppendTime");
        for altered in self.admin.alter_configs([&alter], &AdminOptions::new()).await? {
            altered.map_err(|(topic, code)| anyhow::anyhow!("{topic:?}: {code}"))?;
        }
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = ensure_topics(&settings, std::slice::from_ref(&spec)).await {
            ensure!(Instant::now() < deadline, "still refused: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// A batch row that the first snapshot read says nothing until that snapshot is stated to have ended.
    async fn batch_row_of_a_snapshot(&mut self) -> anyhow::Result<()> {
        let of = "civil-affairs.3213";
        let producer = self.producer(None)?;
        let yesterday = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() / 86_400 - 2;
        let row = format!(
            r#"{{"id":1,"data_date":{yesterday},"loaded_at":"{}","row_count":5}}"#,
            timestamp()
        );
        let value = format!(r#"{{"op":"r","before":null,"after":{row},"source":{{"snapshot":"first"}}}}"#);
        Self::send(&producer, &format!("{of}.public.batch_control"), r#"{"id":1}"#, &value)?;
        producer.flush(PATIENCE)?;
        let said = self.stays(of, false).await?;
        ensure!(said.contains("read by a snapshot"), "{said}");
        ensure!(self.lag_of(of)?["complete_until"].is_null(), "shown as complete");
        // The row is not forgotten when the clock restarts before the snapshot ends.
        self.servers.services.crash(("clock", 1))?;
        self.follow(&said)?;
        let deadline = Instant::now() + PATIENCE;
        while self.state(of).await?.0 == 0 {
            ensure!(
                Instant::now() < deadline,
                "{of} does not become complete: {:?}",
                self.state(of).await?
            );
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        ensure!(self.state(of).await?.1.is_none(), "nothing is waited for any more");
        Ok(())
    }

    /// Heartbeats that stream beside an incremental snapshot do not complete the first load.
    async fn first_load_by_incremental_snapshot(&mut self) -> anyhow::Result<()> {
        let of = "public-security.3204";
        let producer = self.producer(None)?;
        // Not readable as a row of the table: only its place in the snapshot matters here.
        let value = r#"{"op":"r","before":null,"after":{},"source":{"snapshot":"incremental"}}"#;
        Self::send(&producer, &format!("{of}.public.czrk"), r#"{"rybh":"x"}"#, value)?;
        producer.flush(PATIENCE)?;
        let said = self.stays(of, true).await?;
        ensure!(said.contains("incremental snapshot"), "{said}");
        self.follow(&said)?;
        self.completes(of, 0).await?;
        Ok(())
    }

    /// Behind an aborted tail of any length the completeness goes on; an open transaction holds it.
    async fn aborted_tail(&mut self) -> anyhow::Result<()> {
        let of = "human-resources.3201";
        let before = self.completes(of, 0).await?;
        let producer = self.producer(Some("completeness"))?;
        producer.init_transactions(PATIENCE)?;
        producer.begin_transaction()?;
        for nth in 0..ABORTED {
            Self::send(
                &producer,
                &format!("{of}.public.ac60"),
                &format!(r#"{{"aaz257":{nth}}}"#),
                r#"{"op":"c"}"#,
            )?;
        }
        producer.flush(PATIENCE)?;
        let said = self.stays(of, true).await?;
        ensure!(said.contains("ac60/0"), "{said}");
        producer.abort_transaction(PATIENCE)?;
        let through = self.completes(of, before).await?;
        // What is known to hold nothing is not looked through again.
        let began = Instant::now();
        self.completes(of, through + 500).await?;
        ensure!(
            began.elapsed() < Duration::from_secs(5),
            "slow behind the tail: {:?}",
            began.elapsed()
        );
        Ok(())
    }

    /// A topic that no normaliser reads, and a table that no dialect maps, are not complete, and shown.
    async fn what_nobody_reads(&mut self) -> anyhow::Result<()> {
        let of = "human-resources.3202";
        let mut until = self.completes(of, 0).await?;
        let read = self.lag_of(of)?;
        ensure!(read["unread"] == 0 && read["behind"].is_number(), "{read}");
        for (topic, why) in [
            ("dc1.human-resources.3202.public.ac02", "no normaliser reads"),
            ("human-resources.3202.public.of_no_dialect", "no dialect maps"),
        ] {
            self.make(topic).await?;
            let said = self.stays(of, true).await?;
            ensure!(said.contains(why) && said.contains(topic), "{said}");
            let shown = self.lag_of(of)?;
            let shown_why = shown["waits"].as_str().unwrap_or_default();
            ensure!(shown_why.contains(why) && shown_why.contains(topic), "{shown}");
            ensure!(shown["unread"] == u8::from(!why.contains("dialect")), "{shown}");
            ensure!(shown["held"] == u8::from(why.contains("dialect")), "{shown}");
            self.remove(topic).await?;
            until = self.completes(of, until + 1000).await?;
        }
        // A topic that appears while its normaliser is away has no reader, though it holds nothing.
        self.servers.services.kill(("human-resources", 1))?;
        self.make("human-resources.3202.public.az01").await?;
        let said = self.stays(of, true).await?;
        ensure!(said.contains("nobody reads human-resources.3202.public.az01/0"), "{said}");
        ensure!(said.contains("`canbao run human-resources`"), "{said}");
        self.servers.services.start(("human-resources", 1))?;
        self.completes(of, until).await?;
        Ok(())
    }
}

/// Now, as a source writes it.
fn timestamp() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

fn main() -> ExitCode {
    let test = OnDemand {
        name: "complete_is_only_what_was_read_in_full",
        part: "test",
        asked_by: &[],
    };
    test.main(complete)
}

async fn complete() -> anyhow::Result<String> {
    let mut scene = Scene::begin().await?;
    let tried = [
        ("who times person.records", scene.timed_by_the_broker().await),
        ("a batch row read by a snapshot", scene.batch_row_of_a_snapshot().await),
        (
            "a first load by incremental snapshot",
            scene.first_load_by_incremental_snapshot().await,
        ),
        ("an aborted tail", scene.aborted_tail().await),
        ("what nobody reads", scene.what_nobody_reads().await),
        (
            "a snapshot of rows that cannot be read",
            scene.rows_that_cannot_be_read().await,
        ),
    ];
    let ended = scene.servers.services.stop();
    let failed: Vec<String> = tried
        .into_iter()
        .filter_map(|(what, tried)| Some(format!("{what}: {:#}", tried.err()?)))
        .collect();
    let logs = scene.servers.services.logs().display();
    ensure!(failed.is_empty(), "logs in {logs}:\n{}", failed.join("\n"));
    ended.context("services that end in order")?;
    Ok("complete is only what was read in full".to_owned())
}
