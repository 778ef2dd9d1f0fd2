//! An agency that is added by files alone (`services/agencies/medical-insurance`), from its topic to an alert: registry file, dialect,
//! policy and settings, and the normaliser that serves any agency. A process that does not know the agency refuses to work on its base.

use anyhow::{Context, ensure};
use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::policy::Edition;
use domain::source::{Agencies, Agency, Source};
use integration_tests::ground;
use integration_tests::on_demand::OnDemand;
use integration_tests::servers::Servers;
use rdkafka::Message;
use runtime::statements::{GoLiveRegion, Statement};
use schemas::event::{AlertEvent, decode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

const REGISTER: &str = "public-security.3201.public.czrk";
const HUMAN_RESOURCES: &str = "human-resources.3201.public.ac02";
/// In another city.
const MEDICAL: &str = "medical-insurance.3202.public.psn_insu_d";
const HEARTBEAT: &str = "medical-insurance.3202.public.heartbeat";
const ALERTS: &str = "alerts.double-enrolled.3201";
const PATIENCE: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let test = OnDemand {
        name: "an_agency_is_added_by_files_alone",
        part: "test",
        asked_by: &[],
    };
    test.main(added)
}

/// The files of the agency.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/agencies/medical-insurance")
}

/// The policy that the crate carries, with the agency in scope.
fn policy() -> anyhow::Result<Edition> {
    let text = Edition::embedded().text().to_owned();
    let (human, medical) = ("\"human-resources\"]", "\"human-resources\", \"medical-insurance\"]");
    let version = Edition::embedded().id().version;
    let [known, next] = [version, version + 1].map(|version| format!("version = {version} "));
    let newer = text.replacen(&known, &next, 1).replace(human, medical);
    Ok(Edition::parse(newer)?)
}

async fn added() -> anyhow::Result<String> {
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agency");
    let _ = std::fs::remove_dir_all(&logs);
    let file = folder().join("agencies.toml");
    Agencies::with(&std::fs::read_to_string(&file)?)?.establish()?;
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let mut dialects = ground::dialect_folders().to_vec();
    dialects.push(folder().join("dialects"));
    let listed = [
        "public-security.3201",
        "civil-affairs.3201",
        "human-resources.3201",
        "medical-insurance.3202",
    ];
    let settings = [
        ("CANBAO_AGENCIES", file.display().to_string()),
        (
            "CANBAO_DIALECTS",
            dialects
                .iter()
                .map(|folder| folder.display().to_string())
                .collect::<Vec<_>>()
                .join(":"),
        ),
    ];
    for (name, value) in settings {
        servers.services.share(name, value);
    }
    servers
        .services
        .set("agencies", "CANBAO_NORMALISER__AGENCIES", Some("medical-insurance"));
    for service in ["clock", "canbao"] {
        servers
            .services
            .set(service, "CANBAO_CLOCK__SOURCES", Some(&listed.join(",")));
    }
    let ran = run(&mut servers, &listed).await;
    let ended = servers.services.stop();
    ran.with_context(|| format!("logs in {}", logs.display()))?;
    ended.context("services that end in order")?;
    Ok("a sixth agency's row was told, with the agency's name".to_owned())
}

fn now() -> anyhow::Result<i64> {
    Ok(i64::try_from(
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis(),
    )?)
}

fn put(servers: &Servers, topic: &str, key: &Value, row: &Value) -> anyhow::Result<()> {
    let event = json!({ "op": "c", "before": null, "after": row });
    servers.write(topic, 0, key.to_string().as_bytes(), Some(event.to_string().as_bytes()), None)
}

/// Somebody in the register of Nanjing who is enrolled there by an employer.
fn employed(servers: &Servers, number: &str) -> anyhow::Result<()> {
    let row = json!({
        "rybh": "A1", "gmsfhm": number, "xm": "龚晓峰", "cym": null, "xb": null, "mz": null, "csrq": null, "hjdqh": "320102", "hjdz": null,
        "xzdqh": null, "xzdz": null, "swrq": null, "hkzt": "1", "lxdh": null,
    });
    put(servers, REGISTER, &json!({ "rybh": "A1" }), &row)?;
    let row = json!({
        "baz001": 1, "aac002": number, "aac003": "龚晓峰", "aae140": "310", "aac031": "1", "aae030": 18_262, "aae031": null, "aac049": 202_001,
        "aae003": 209_912, "aab001": "U1", "aab301": "320102", "aaz288": null, "aaz289": null,
    });
    put(servers, HUMAN_RESOURCES, &json!({ "baz001": 1 }), &row)
}

/// Who is in the residents' medical insurance of Wuxi as well, as that city's bureau of medical insurance knows it.
fn enrolled_again(servers: &Servers, number: &str) -> anyhow::Result<()> {
    let row = json!({
        "psn_insu_rlts_id": "R1", "psn_cert_type": "01", "certno": number, "psn_name": "龚晓峰", "insutype": "390", "psn_insu_stas": "1",
        "psn_insu_date": 18_262, "paus_insu_date": null, "emp_no": null, "insu_admdvs": "320202",
    });
    put(servers, MEDICAL, &json!({ "psn_insu_rlts_id": "R1" }), &row)
}

async fn run(servers: &mut Servers, listed: &[&str]) -> anyhow::Result<()> {
    servers.reset_under(1, Some(&policy()?)).await?;
    let mut tables = BTreeSet::new();
    for (source, table) in [
        ("public-security.3201", "czrk"),
        ("human-resources.3201", "ac02"),
        ("medical-insurance.3202", "psn_insu_d"),
        ("medical-insurance.3202", "heartbeat"),
    ] {
        tables.insert((source.parse::<Source>()?, table.to_owned()));
    }
    servers.begin(&tables).await?;
    servers.services.scale("agencies", 1)?;
    let (stated, good) = canbao(servers, &["business-date", "2026-05-01"])?;
    ensure!(good, "{stated}");
    let number = CitizenId::from_parts(320_102, Day(7_000), 11).context("a number")?.text();
    employed(servers, &number)?;
    let medical: Source = "medical-insurance.3202".parse()?;
    let deadline = Instant::now() + PATIENCE;
    // Before that its region cannot go live: the agency is in scope.
    while !is_complete(servers, medical).await? {
        ensure!(Instant::now() < deadline, "{medical} is not complete");
        complete(servers, listed).await?;
    }
    let region = "3201".parse().context("a city")?;
    servers.state(&Statement::GoLive(GoLiveRegion::City(region))).await?;
    enrolled_again(servers, &number)?;
    let deadline = Instant::now() + PATIENCE;
    let alert = loop {
        complete(servers, listed).await?;
        let alerts = servers.read_all(|topic| topic == ALERTS)?;
        if let Some(alert) = alerts.first() {
            break decode::<AlertEvent>(alert.payload().context("an alert without a value")?)?;
        }
        ensure!(Instant::now() < deadline, "nothing was told");
    };
    let named = alert.evidence.iter().any(|fact| fact.agency == medical.agency);
    ensure!(named, "the alert does not rest on a row of {medical}");

    let (lag, _) = canbao(servers, &["lag"])?;
    ensure!(lag.contains("medical-insurance"), "{lag}");
    let (verified, good) = canbao(servers, &["verify", "--wait", "60"])?;
    ensure!(good, "{verified}");
    refused(servers).await
}

/// Lets the listed sources state that they are complete up to now, and waits until the clock has heard those that the tests know.
async fn complete(servers: &mut Servers, listed: &[&str]) -> anyhow::Result<()> {
    let time = chrono::DateTime::from_timestamp_millis(now()?)
        .context("a time")?
        .to_rfc3339();
    put(servers, HEARTBEAT, &json!({ "id": 1 }), &json!({ "id": 1, "ts": time }))?;
    let heard: Vec<Source> = listed.iter().map(|source| source.parse()).collect::<Result<_, _>>()?;
    let silent = ground::sources()
        .into_iter()
        .filter(|source| !heard.contains(source))
        .collect();
    servers.complete(&silent).await
}

/// Whether the clock has heard of the agency that the tests' own sources do not hold.
async fn is_complete(servers: &Servers, source: Source) -> anyhow::Result<bool> {
    let until = sqlx::query_scalar::<_, Option<i64>>("select max(until) from store.completeness where agency = $1 and city = $2")
        .bind(i16::from(source.agency.code()))
        .bind(source.city.code() as i16)
        .fetch_one(&servers.pool)
        .await?;
    Ok(until.is_some_and(|until| until > 0))
}

fn canbao(servers: &Servers, arguments: &[&str]) -> anyhow::Result<(String, bool)> {
    let mut command = servers.services.command("canbao", "canbao")?;
    let output = command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()?;
    Ok((
        String::from_utf8([output.stdout, output.stderr].concat())?,
        output.status.success(),
    ))
}

/// A registry that is started without the file ends at once, and says what to set.
async fn refused(servers: &mut Servers) -> anyhow::Result<()> {
    ensure!(Agency::all().count() == 4, "the tests' own process knows the agency");
    servers.services.set("registry", "CANBAO_AGENCIES", Some(""));
    servers.services.scale("registry", 2)?;
    let deadline = Instant::now() + PATIENCE;
    let code = loop {
        if let Some((replica, status)) = servers.services.ended()?.first() {
            ensure!(*replica == ("registry", 2), "{replica:?} ended");
            break status.code();
        }
        ensure!(
            Instant::now() < deadline,
            "a registry works on a base whose agencies it does not know"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let log = std::fs::read_to_string(servers.services.logs().join("registry-2.log"))?;
    ensure!(code == Some(2), "{code:?}: {log}");
    ensure!(log.contains("medical-insurance") && log.contains("CANBAO_AGENCIES"), "{log}");
    servers.services.set("registry", "CANBAO_AGENCIES", None);
    servers.services.plan("registry", 1);
    servers.services.check_alive()
}
