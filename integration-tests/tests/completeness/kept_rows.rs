//! Full snapshots as the connector tells of them: what they did not show goes, but nothing while it is not known what they showed.

use super::{PATIENCE, Scene};
use anyhow::{Context, ensure};
use rdkafka::producer::Producer;
use std::time::{Duration, Instant, SystemTime};

const OF: &str = "human-resources.3201";
const TOPIC: &str = "human-resources.3201.public.ac02";
/// Two people of the table.
const NUMBERS: [&str; 2] = ["11010519491231002X", "320501199003070012"];
/// The clock counts what arrived so long before a snapshot's stated beginning as part of it, in milliseconds.
const MARGIN: u128 = 60_000;

/// The topic of the connector's notifications.
fn told() -> String {
    format!("{OF}.notifications")
}

fn key(id: usize) -> String {
    format!(r#"{{"baz001":{id}}}"#)
}

fn row(id: usize, operation: &str) -> String {
    let number = NUMBERS[id];
    let after = format!(
        r#"{{"baz001":{id},"aac002":"{number}","aac003":"某","aae140":"110","aac031":"1","aae030":16617,"aab301":"320102"}}"#
    );
    // Columns that the mapping names and this table leaves empty.
    let empty = ["aae031", "aac049", "aae003", "aaz288", "aaz289", "aab001"].map(|column| format!(r#","{column}":null"#));
    let after = after.replace('}', &(empty.concat() + "}"));
    format!(
        r#"{{"op":"{operation}","before":null,"after":{after},"source":{{"snapshot":"{}"}}}}"#,
        operation == "r"
    )
}

fn notification(kind: &str, at: u128) -> String {
    let data = r#"{"connector_name":"c","data_collections":"public.ac02"}"#;
    format!(r#"{{"id":"x","aggregate_type":"Initial Snapshot","type":"{kind}","additional_data":{data},"timestamp":"{at}"}}"#)
}

impl Scene {
    /// Sends a full snapshot with these rows.
    fn snapshot(&self, rows: &[(usize, String)]) -> anyhow::Result<()> {
        // What was sent before must lie before its beginning, by the broker's clock.
        std::thread::sleep(Duration::from_millis(50));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
        let producer = self.producer(None)?;
        Self::send(&producer, &told(), "x", &notification("STARTED", now + MARGIN))?;
        for (id, value) in rows {
            Self::send(&producer, TOPIC, &key(*id), value)?;
        }
        producer.flush(PATIENCE)?;
        Self::send(&producer, &told(), "x", &notification("COMPLETED", now + MARGIN))?;
        Ok(producer.flush(PATIENCE)?)
    }

    /// What `canbao source list` says of the topic.
    fn listed(&self) -> anyhow::Result<serde_json::Value> {
        let listed = self.canbao(&["source", "list", "--format", "json"])?;
        let topics = listed.as_array().context("topics")?;
        topics
            .iter()
            .find(|topic| topic["topic"] == TOPIC)
            .cloned()
            .with_context(|| format!("{TOPIC} is not listed"))
    }

    async fn persons(&self) -> anyhow::Result<i64> {
        let count = sqlx::query_scalar("select count(*) from base.person where number = any($1)");
        Ok(count.bind(NUMBERS.as_slice()).fetch_one(&self.servers.pool).await?)
    }

    /// Waits until both people, or one of them, are in the base.
    async fn wait_persons(&self, wanted: i64) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.persons().await?;
            if found == wanted {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{found} of {wanted} persons are in the base");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// A row of a snapshot that nobody can read keeps its person, and everybody else of the table.
    pub(super) async fn rows_that_cannot_be_read(&self) -> anyhow::Result<()> {
        for topic in [TOPIC.to_owned(), told()] {
            self.make(&topic).await?;
        }
        let producer = self.producer(None)?;
        for id in [0, 1] {
            Self::send(&producer, TOPIC, &key(id), &row(id, "c"))?;
        }
        producer.flush(PATIENCE)?;
        self.wait_persons(2).await?;
        self.snapshot(&[(0, row(0, "r")), (1, "not json".to_owned())])?;
        let deadline = Instant::now() + PATIENCE;
        let said = loop {
            if let Some(said) = self.listed()?["keeps_rows"].as_str() {
                break said.to_owned();
            }
            ensure!(Instant::now() < deadline, "nothing is said of the kept rows");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        for part in ["1 rows", TOPIC, "human-resources.3201.dlq", "full snapshot again"] {
            ensure!(said.contains(part), "{said}");
        }
        ensure!(self.persons().await? == 2, "a person is lost");
        // As it says: the next one, which can be read, removes what is gone.
        self.snapshot(&[(0, row(0, "r"))])?;
        self.wait_persons(1).await?;
        ensure!(self.listed()?["keeps_rows"].is_null(), "still said");
        Ok(())
    }
}
