//! Dead letters in the hands of people, on a real Kafka and PostgreSQL: counted, shown without a value of anybody's, read again under a mended
//! dialect by the very commands that are printed, and removed. After each replay the base is what `canbao verify` has, and a second one
//! changes nothing.

use anyhow::{Context, ensure};
use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::source::Source;
use integration_tests::on_demand::OnDemand;
use integration_tests::servers::Servers;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::{ClientConfig, Offset};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

const SERVICE: &str = "public-security";
const SOURCE: &str = "public-security.3201";
const TOPIC: &str = "public-security.3201.public.czrk";
/// Its rows come alone, which the shipped dialect does not say: of such a row not even the person is known.
const ALONE: &str = "public-security.3201.public.ldrk";
const NAME: &str = "龚晓峰";
/// The same in GB 18030.
const OLD_NAME: &[u8] = b"\xb9\xa8\xcf\xfe\xb7\xe5";
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let test = OnDemand {
        name: "dead_letters_are_listed_shown_replayed_and_expired",
        part: "test",
        asked_by: &[],
    };
    test.main(letters)
}

async fn letters() -> anyhow::Result<String> {
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dlq");
    let _ = std::fs::remove_dir_all(&logs);
    let mut servers = Servers::start(&logs, &"2a".repeat(32)).await?;
    let source: Source = SOURCE.parse()?;
    let tables = BTreeSet::from(["czrk", "ldrk"].map(|table| (source, table.to_owned())));
    servers.begin(&tables).await.context("services that start")?;
    let ran = run(&mut servers).await;
    let ended = servers.services.stop();
    ran.with_context(|| format!("logs in {}", logs.display()))?;
    ended.context("services that end in order")?;
    Ok("five letters, one of them for good; every command that was printed did what it said".to_owned())
}

/// What a command prints, if its exit code is 0.
fn canbao(servers: &Servers, arguments: &[&str]) -> anyhow::Result<String> {
    let output = servers
        .services
        .command("canbao", "canbao")?
        .args(arguments)
        .stdout(Stdio::piped())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.success(),
        "`canbao {}` failed, see canbao.log: {text}",
        arguments.join(" ")
    );
    Ok(text)
}

fn number(key: u16) -> anyhow::Result<String> {
    let number = CitizenId::from_parts(320_102, Day(7_000 + i32::from(key) * 50), 11);
    Ok(number.context("a number")?.text())
}

fn row(key: u16, address: &str, status: &str) -> anyhow::Result<Vec<u8>> {
    let row = serde_json::json!({
        "rybh": format!("A{key}"), "gmsfhm": number(key)?, "xm": NAME, "cym": null, "xb": null, "mz": null, "csrq": null, "hjdqh": "320102",
        "hjdz": address, "xzdqh": null, "xzdz": null, "swrq": null, "hkzt": status, "lxdh": null,
    });
    Ok(serde_json::to_vec(
        &serde_json::json!({ "op": "c", "before": null, "after": row }),
    )?)
}

fn row_alone() -> anyhow::Result<Vec<u8>> {
    let row = serde_json::json!({
        "ldbh": "L4", "gmsfhm": number(4)?, "xm": NAME, "xb": null, "csrq": null, "hjdqh": "320102", "xzdqh": "320102", "xzdz": null,
        "djrq": 20_000, "yxqz": null, "zxrq": null, "lxdh": null,
    });
    Ok(serde_json::to_vec(&row)?)
}

/// As a database in GB 18030 writes it whose connector does not know that.
fn in_old_bytes(row: &[u8]) -> Vec<u8> {
    let at = row.windows(NAME.len()).position(|window| window == NAME.as_bytes());
    let at = at.expect("the name stands in the row");
    [&row[..at], OLD_NAME, &row[at + NAME.len()..]].concat()
}

fn send(servers: &Servers, key: u16, value: &[u8]) -> anyhow::Result<()> {
    servers.write(TOPIC, 0, format!(r#"{{"rybh":"A{key}"}}"#).as_bytes(), Some(value), None)
}

/// Addresses in the base, by key; `None` for no person.
async fn addresses(servers: &Servers) -> anyhow::Result<Vec<Option<Option<String>>>> {
    let mut found = Vec::new();
    for key in 0..5 {
        let address = sqlx::query_scalar("select address from base.person where number = $1").bind(number(key)?);
        found.push(address.fetch_optional(&servers.pool).await?);
    }
    Ok(found)
}

/// Waits until the base shows these.
async fn shows(servers: &mut Servers, expected: [Option<&str>; 5]) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = addresses(servers).await?;
        let shown: Vec<Option<&str>> = found
            .iter()
            .map(|found| found.as_ref().map(|address| address.as_deref().unwrap_or("no address")))
            .collect();
        if shown == expected {
            return Ok(());
        }
        servers.services.check_alive()?;
        ensure!(Instant::now() < deadline, "{shown:?}, not {expected:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The groups of `dlq list`, as class and letters.
fn listed(servers: &Servers) -> anyhow::Result<Vec<(String, u64)>> {
    let listed = canbao(servers, &["dlq", "list", SOURCE, "--format", "json"])?;
    ensure!(
        !listed.contains(NAME) && !listed.contains(&number(1)?),
        "somebody is shown: {listed}"
    );
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    let groups = listed["groups"].as_array().context("groups")?;
    let group = |group: &serde_json::Value| Some((group["class"].as_str()?.to_owned(), group["letters"].as_u64()?));
    let mut groups: Vec<_> = groups
        .iter()
        .map(|of| group(of).context("a group"))
        .collect::<anyhow::Result<_>>()?;
    groups.sort_unstable();
    Ok(groups)
}

/// What became of the letters of a replay, as fate and letters.
fn fates(replayed: &str) -> anyhow::Result<Vec<(String, u64)>> {
    let replayed: serde_json::Value = serde_json::from_str(replayed)?;
    let lines = replayed["lines"].as_array().context("lines")?;
    let line = |line: &serde_json::Value| Some((line["now"].as_str()?.to_owned(), line["letters"].as_u64()?));
    let mut fates: Vec<_> = lines
        .iter()
        .map(|of| line(of).context("a line"))
        .collect::<anyhow::Result<_>>()?;
    fates.sort_unstable();
    Ok(fates)
}

/// Entries of the source log, by outcome: applied, superseded, repeated.
async fn outcomes(servers: &Servers) -> anyhow::Result<[i64; 3]> {
    let counts: Vec<(i16, i64)> = sqlx::query_as("select outcome, count(*) from store.source_log where kind = 1 group by 1")
        .fetch_all(&servers.pool)
        .await?;
    let of = |outcome: i16| {
        counts
            .iter()
            .find(|(found, _)| *found == outcome)
            .map_or(0, |(_, count)| *count)
    };
    Ok([of(1), of(2), of(3)])
}

fn verify(servers: &Servers) -> anyhow::Result<()> {
    canbao(servers, &["verify", "--wait", "60"])
        .context("the base and its books")
        .map(|_| ())
}

async fn run(servers: &mut Servers) -> anyhow::Result<()> {
    send(servers, 0, &row(0, "old street", "1")?)?;
    send(servers, 1, &row(1, "coded street", "17")?)?;
    send(servers, 2, &in_old_bytes(&row(2, "byte street", "1")?))?;
    send(servers, 3, &in_old_bytes(&row(3, "former street", "1")?))?;
    send(servers, 3, &row(3, "newer street", "1")?)?;
    send(servers, 5, b"no JSON in any bytes")?;
    servers.flush()?;
    // Of two the person is known, and that their row could not be read.
    let before = [
        Some("old street"),
        Some("no address"),
        Some("no address"),
        Some("newer street"),
        None,
    ];
    shows(servers, before).await?;
    // After the others, so that its letter is the last.
    servers.write(ALONE, 0, br#"{"ldbh":"L4"}"#, Some(&row_alone()?), None)?;
    servers.flush()?;
    let all = [
        ("broken-text", 2),
        ("not-json", 1),
        ("unknown-code", 1),
        ("wrong-envelope", 1),
    ];
    let all = all.map(|(class, letters)| (class.to_owned(), letters));
    let deadline = Instant::now() + PATIENCE;
    while listed(servers)? != all {
        ensure!(Instant::now() < deadline, "{:?}, not {all:?}", listed(servers)?);
    }
    verify(servers)?;
    shown_and_refused(servers)?;
    mend(servers).await?;
    replayed(servers).await?;
    expired(servers, &all).await
}

/// The commands that `dlq show` prints of a letter.
fn printed(servers: &Servers, letter: &str) -> anyhow::Result<Vec<String>> {
    let shown = canbao(servers, &["dlq", "show", letter])?;
    ensure!(
        !shown.contains(NAME) && !shown.contains(&number(1)?),
        "somebody is shown: {shown}"
    );
    let commands = shown.split('`').skip(1).step_by(2);
    Ok(commands
        .filter_map(|command| command.strip_prefix("canbao "))
        .map(str::to_owned)
        .collect())
}

fn shown_and_refused(servers: &Servers) -> anyhow::Result<()> {
    let shown = canbao(servers, &["dlq", "show", &format!("{TOPIC}/0/1")])?;
    for part in [
        "unknown-code in column hkzt",
        "found 17",
        r#""hjdz": "*** (12 characters)""#,
        "\"op\": \"c\"",
    ] {
        ensure!(shown.contains(part), "{part} is missing: {shown}");
    }
    ensure!(
        !servers.services.canbao(&["dlq", "show", &format!("{TOPIC}/0/0")])?,
        "a row that was read has no letter"
    );
    for command in printed(servers, &format!("{TOPIC}/0/1"))?
        .iter()
        .filter(|command| command.ends_with("--dry-run"))
    {
        let arguments: Vec<&str> = command.split(' ').collect();
        let fates = fates(&canbao(servers, &[&arguments[..], &["--format", "json"]].concat())?)?;
        ensure!(fates == [("in-part".to_owned(), 1)], "{command}: {fates:?}");
    }
    Ok(())
}

/// The dialect is mended; with it nothing is sent before its normaliser has it.
async fn mend(servers: &mut Servers) -> anyhow::Result<()> {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
    let folder = servers.services.logs().join("dialects");
    std::fs::create_dir_all(&folder)?;
    let shipped = std::fs::read_to_string(services.join(SERVICE).join("dialects/ga.toml"))?;
    let mended = shipped
        .replace("revision = 3", "revision = 4\ncharset = \"gb18030\"")
        .replace("6 = \"sentenced\"", "6 = \"sentenced\", 17 = \"registered\"")
        .replace(
            "kind = \"temporary-resident\"",
            "kind = \"temporary-resident\"\nrows = \"flattened\"",
        );
    std::fs::write(folder.join("ga.toml"), mended)?;
    let others = ["civil-affairs", "human-resources"].map(|agency| services.join(agency).join("dialects").display().to_string());
    servers.services.share(
        "CANBAO_DIALECTS",
        [&[folder.display().to_string()][..], &others].concat().join(":"),
    );
    let dry = canbao(servers, &["dlq", "replay", SOURCE, "--dry-run", "--format", "json"])?;
    let expected = [("read".to_owned(), 1), ("read".to_owned(), 3), ("unread".to_owned(), 1)];
    ensure!(fates(&dry)? == expected, "{dry}");
    ensure!(
        !servers.services.canbao(&["dlq", "replay", SOURCE, "--why", "a test"])?,
        "rows would be read otherwise than the normaliser does"
    );
    servers.services.scale(SERVICE, 0)?;
    servers.services.scale(SERVICE, 1)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let known: i64 = sqlx::query_scalar("select count(*) from store.mapping where dialect = 'ga' and revision = 4")
            .fetch_one(&servers.pool)
            .await?;
        if known == 1 {
            return Ok(());
        }
        servers.services.check_alive()?;
        ensure!(
            Instant::now() < deadline,
            "the normaliser has not started with the mended dialect"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// By the printed commands, cause by cause; then all once more.
async fn replayed(servers: &mut Servers) -> anyhow::Result<()> {
    for letter in [format!("{TOPIC}/0/1"), format!("{TOPIC}/0/2"), format!("{ALONE}/0/0")] {
        let commands = printed(servers, &letter)?;
        let command = commands.iter().find(|command| command.ends_with("--why TEXT"));
        let command = command.context("a command that sends")?;
        canbao(servers, &command.split(' ').collect::<Vec<_>>())?;
    }
    let mended = [
        Some("old street"),
        Some("coded street"),
        Some("byte street"),
        Some("newer street"),
        Some("no address"),
    ];
    shows(servers, mended).await?;
    verify(servers)?;
    let once = outcomes(servers).await?;
    ensure!(once[1] == 1, "the older row of a key is superseded: {once:?}");
    canbao(servers, &["dlq", "replay", "--why", "again"])?;
    verify(servers)?;
    let twice = outcomes(servers).await?;
    // The one that came too late comes too late again. Of the one that cannot be read, the newer mapping says so anew of its record.
    ensure!(twice == [once[0] + 1, once[1] + 1, once[2] + 3], "{once:?}, then {twice:?}");
    shows(servers, mended).await?;
    let acts: Vec<(String, String, i64)> =
        sqlx::query_as("select act, why, letters from store.dead_letter_act where ended_at is not null order by id")
            .fetch_all(&servers.pool)
            .await?;
    let why = |act: &(String, String, i64)| (act.1.clone(), act.2);
    let expected = [("TEXT", 1), ("TEXT", 2), ("TEXT", 1), ("again", 4)].map(|(why, letters)| (why.to_owned(), letters));
    ensure!(acts.iter().map(why).collect::<Vec<_>>() == expected, "{acts:?}");
    Ok(())
}

/// Letters go once their messages have gone, and not before.
async fn expired(servers: &mut Servers, all: &[(String, u64)]) -> anyhow::Result<()> {
    let expire = |before: &str| canbao(servers, &["dlq", "expire", SOURCE, "--before", before, "--why", "a test"]);
    let kept = expire("2999-01-01")?;
    ensure!(
        kept.contains("0 dead letters removed") && kept.contains("still holds"),
        "{kept}"
    );
    ensure!(listed(servers)? == all, "a letter is gone");
    let kafka = std::env::var("CANBAO_KAFKA")?;
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", kafka).create()?;
    let mut gone = TopicPartitionList::new();
    gone.add_partition_offset(TOPIC, 0, Offset::Offset(5))?;
    admin.delete_records(&gone, &AdminOptions::new()).await?;
    ensure!(
        expire("2000-01-01")?.contains("0 dead letters removed"),
        "newer letters are gone"
    );
    let removed = expire("2999-01-01")?;
    ensure!(
        removed.contains("3 dead letters removed, 2 stay") && removed.contains("still holds"),
        "{removed}"
    );
    let left = [("not-json", 1), ("wrong-envelope", 1)].map(|(class, letters)| (class.to_owned(), letters));
    ensure!(listed(servers)? == left, "{:?}", listed(servers)?);
    verify(servers)
}
