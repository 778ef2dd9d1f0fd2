//! Keys and values that a schema registry frames, through a real broker, the normalisers and the registry: persons and enrolments are in the
//! base as from JSON, and a schema that is not to be had holds its topic once, until the command that the hold prints.

use anyhow::{Context, ensure};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use domain::source::Source;
use integration_tests::frames::{avro_schema, datum, frame, projected};
use integration_tests::on_demand::OnDemand;
use integration_tests::servers::Servers;
use rdkafka::Message;
use schemas::Codec;
use schemas::event::DeadLetter;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);
const RESIDENTS: &str = "public-security.3201.public.czrk";
const ENROLMENTS: &str = "human-resources.3201.public.ac02";
const NUMBER: &str = "320501199003070012";

/// A registry of schemas as converters use one, by Confluent's API: `schema` and `schemaType` by id from 1 up.
#[derive(Clone, Default)]
struct Registry(Arc<Mutex<Vec<Value>>>);

type Answer = (StatusCode, Json<Value>);

impl Registry {
    async fn serve(&self) -> anyhow::Result<String> {
        let routes = Router::new().route("/schemas/ids/{id}", get(by_id)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(format!("http://{address}"))
    }

    /// The id that the next schema gets.
    fn next(&self) -> u32 {
        self.0.lock().expect("whole").len() as u32 + 1
    }

    /// What a converter does before it writes; the id.
    fn add(&self, schema: &Value) -> u32 {
        let mut schemas = self.0.lock().expect("whole");
        schemas.push(schema.clone());
        schemas.len() as u32
    }
}

async fn by_id(State(registry): State<Registry>, Path(id): Path<usize>) -> Answer {
    let schemas = registry.0.lock().expect("whole");
    id.checked_sub(1).and_then(|at| schemas.get(at)).map_or_else(
        || {
            let said = json!({ "error_code": 40403, "message": "Schema not found" });
            (StatusCode::NOT_FOUND, Json(said))
        },
        |schema| (StatusCode::OK, Json(schema.clone())),
    )
}

fn avro(connect: &Value) -> anyhow::Result<Value> {
    Ok(json!({ "schema": avro_schema(connect)?.to_string() }))
}

/// An example of the contracts, with its Connect schemas.
fn example(name: &str) -> anyhow::Result<Value> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/contracts/examples");
    Ok(serde_json::from_str(&std::fs::read_to_string(folder.join(name))?)?)
}

/// A converter of one topic.
struct Converter<'a> {
    servers: &'a Servers,
    topic: &'static str,
    example: Value,
}

impl Converter<'_> {
    /// Publishes the example's row, changed so, under schemas of these ids: as Avro datum, or as JSON.
    fn publish(&self, ids: [u32; 2], as_json: bool, changed: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut value = self.example["value"]["payload"].clone();
        for (column, text) in changed {
            value["after"][column] = json!(text);
        }
        let framed = |id: u32, connect: &Value, payload: &Value| {
            let bytes = if as_json {
                projected(connect, payload).to_string().into_bytes()
            } else {
                datum(connect, payload)?
            };
            anyhow::Ok(frame(id, &bytes))
        };
        let key = framed(ids[0], &self.example["key"]["schema"], &self.example["key"]["payload"])?;
        let value = framed(ids[1], &self.example["value"]["schema"], &value)?;
        self.servers.write(self.topic, 0, &key, Some(&value), None)?;
        self.servers.flush()
    }
}

/// Waits until a query answers so.
async fn until(servers: &mut Servers, query: &'static str, about: &str, expected: Option<&str>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found: Option<Option<String>> = sqlx::query_scalar(query).bind(about).fetch_optional(&servers.pool).await?;
        let found = found.flatten();
        if found.as_deref() == expected {
            return Ok(());
        }
        servers.services.check_alive()?;
        ensure!(Instant::now() < deadline, "{query}: {found:?} instead of {expected:?}");
        tokio::time::sleep(LOOK).await;
    }
}

async fn lives(servers: &mut Servers, address: &str) -> anyhow::Result<()> {
    until(
        servers,
        "select address from base.person where number = $1",
        NUMBER,
        Some(address),
    )
    .await
}

/// Waits until the topic is held for a schema that is not known, and runs the one command that is printed once `mended`.
async fn held(servers: &mut Servers, id: u32, mended: impl FnOnce()) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let reason = loop {
        let held: Option<String> = sqlx::query_scalar("select held from store.source_topic where topic = $1")
            .bind(RESIDENTS)
            .fetch_one(&servers.pool)
            .await?;
        if let Some(reason) = held {
            break reason;
        }
        servers.services.check_alive()?;
        ensure!(Instant::now() < deadline, "{RESIDENTS} is not held");
        tokio::time::sleep(LOOK).await;
    };
    ensure!(
        reason.contains(RESIDENTS) && reason.contains(&format!("schema {id} of registry http://")),
        "{reason}"
    );
    mended();
    let printed: Vec<&str> = reason.split('`').skip(1).step_by(2).collect();
    ensure!(printed == [format!("canbao source accept {RESIDENTS}")], "{reason}");
    let words: Vec<&str> = printed[0].split(' ').skip(1).collect();
    ensure!(servers.services.canbao(&words)?, "{printed:?} failed, see canbao.log");
    Ok(())
}

async fn run(servers: &mut Servers, registry: &Registry) -> anyhow::Result<()> {
    let mut tables = BTreeSet::new();
    for (source, table) in [("public-security.3201", "czrk"), ("human-resources.3201", "ac02")] {
        tables.insert((source.parse::<Source>().context("a source")?, table.to_owned()));
    }
    servers.begin(&tables).await?;
    let (resident, enrolment) = (
        example("public-security/czrk.with-schema.json")?,
        example("human-resources/ac02.with-schema.json")?,
    );
    let schema = |example: &Value, part: &str| avro(&example[part]["schema"]);
    let key = registry.add(&schema(&resident, "key")?);
    let value = registry.add(&schema(&resident, "value")?);
    let of_json = registry.add(&json!({ "schemaType": "JSON", "schema": "{\"type\":\"object\"}" }));
    let publish = |servers: &Servers, id, address: &str| {
        let converter = Converter {
            servers,
            topic: RESIDENTS,
            example: resident.clone(),
        };
        converter.publish([key, id], false, &[("xzdz", address)])
    };
    publish(servers, value, "一号")?;
    let enrolments = Converter {
        servers,
        topic: ENROLMENTS,
        example: enrolment,
    };
    enrolments.publish([of_json, of_json], true, &[])?;
    lives(servers, "一号").await?;
    let enrolled =
        "select e.scheme || ' ' || e.paid_through from base.enrolment e join base.person p using (person_id) where p.number = $1";
    until(servers, enrolled, NUMBER, Some("employee-pension 2026-09")).await?;

    // A schema that is known by the time the topic is accepted: the row is read.
    let late = registry.next();
    publish(servers, late, "二号")?;
    let again = schema(&resident, "value")?;
    let mend = || {
        registry.add(&again);
    };
    held(servers, late, mend).await?;
    lives(servers, "二号").await?;
    // One that never is: what stood there goes to the dead letters, whole, and the rest is read.
    let never = registry.next() + 100;
    publish(servers, never, "三号")?;
    publish(servers, value, "四号")?;
    held(servers, never, || ()).await?;
    lives(servers, "四号").await?;

    servers.complete(&BTreeSet::new()).await?;
    ensure!(
        servers.services.canbao(&["verify", "--wait", "60"])?,
        "canbao verify found a difference, see canbao.log"
    );
    let letters = servers.read_all(|topic| topic == "public-security.3201.dlq")?;
    ensure!(letters.len() == 1, "{} dead letters", letters.len());
    let letter: DeadLetter = Codec::current().decode(letters[0].payload().context("a letter")?)?;
    let whole = letter.value.is_some_and(|value| value.starts_with(&frame(never, &[])));
    ensure!(
        letter.error_class == "wrong-frame" && whole,
        "{}: {}",
        letter.error_class,
        letter.message
    );
    servers.services.check_alive()
}

fn main() -> ExitCode {
    let test = OnDemand {
        name: "what_a_schema_registry_frames_is_read_as_json",
        part: "test",
        asked_by: &[],
    };
    test.main(framed)
}

async fn framed() -> anyhow::Result<String> {
    let logs = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("framed");
    let _ = std::fs::remove_dir_all(&logs);
    let registry = Registry::default();
    let address = registry.serve().await?;
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    servers.services.share("CANBAO_SOURCE_SCHEMA_REGISTRY", address);
    servers
        .services
        .share("CANBAO_NORMALISER__ACCEPT_REFRESH_MILLIS", "200".to_owned());
    let ran = run(&mut servers, &registry).await;
    let ended = servers.services.stop();
    ran.with_context(|| format!("logs in {}", logs.display()))?;
    ended.context("services that end in order")?;
    Ok("persons and enrolments are as from JSON".to_owned())
}
