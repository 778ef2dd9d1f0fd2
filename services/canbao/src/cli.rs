//! What can be typed after `canbao`.

mod command;
mod dlq;
mod source;

use crate::alerts::{self, Choice};
use crate::output::{Format, Verdict};
use crate::verify::{self, Plan};
use crate::{
    configuration, decide, exec, findings, lag, output, person, policy, register, restore, skip, statements, store, survey,
};
use anyhow::Context;
use clap::{Args, Parser};
pub(crate) use command::DecideAction;
use command::{Command, PolicyAction};
use domain::decision;
use runtime::config::{Settings, SharedArgs};
use runtime::schema_ids;
use runtime::statements::Statement;
use secrecy::{ExposeSecret, SecretString};
use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Exit code of a command that could not run.
const COULD_NOT_RUN: u8 = 2;

/// Canbao: real-time universal enrolment registration.
#[derive(Debug, Parser)]
#[command(
    name = "canbao",
    version,
    after_help = "Exit codes: 0 good, 1 a difference was found, 2 could not run."
)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command. Not [`SharedArgs`]: its `--http` and `--region` are a service's, and `go-live` has a `--region` of its own.
#[derive(Debug, Args)]
struct Flags {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "CANBAO_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Kafka bootstrap servers, host:port separated by commas
    #[arg(long, value_name = "SERVERS", global = true)]
    kafka: Option<String>,
    /// PostgreSQL address; prefer CANBAO_DATABASE_URL, which process lists do not show
    #[arg(long, value_name = "URL", value_parser = secret, global = true)]
    database_url: Option<SecretString>,
    /// Log filter, such as `info` or `info,runtime=debug`
    #[arg(long, value_name = "FILTER", global = true)]
    log: Option<String>,
    /// Form of reports
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
}

#[expect(clippy::unnecessary_wraps, reason = "the form clap asks for")]
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

/// What a command line of `canbao decide`, without the program's name, asks for.
#[cfg(test)]
pub(crate) fn decide_action<'a>(line: impl Iterator<Item = &'a str>) -> Option<DecideAction> {
    match Cli::try_parse_from(std::iter::once("canbao").chain(line)).ok()?.command {
        Command::Decide { action, .. } => Some(action),
        _ => None,
    }
}

/// The whole command: parses, runs, reports.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let verdict = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the asynchronous runtime")
        .and_then(|runtime| runtime.block_on(run(cli)));
    match verdict {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Difference) => ExitCode::FAILURE,
        Err(error) => refuse(&error),
    }
}

#[expect(clippy::print_stderr, reason = "a command speaks to its caller")]
fn refuse(error: &anyhow::Error) -> ExitCode {
    eprintln!("canbao: {error:#}");
    ExitCode::from(COULD_NOT_RUN)
}

impl Flags {
    fn settings(&self) -> anyhow::Result<Settings> {
        let shared = SharedArgs {
            config: self.config.clone(),
            kafka: self.kafka.clone(),
            database_url: self.database_url.clone(),
            log: self.log.clone(),
            ..SharedArgs::default()
        };
        Ok(shared.settings()?)
    }

    /// The flags as a started binary finds them: in its environment, below its own flags.
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        [
            ("CANBAO_CONFIG", self.config.clone().map(PathBuf::into_os_string)),
            ("CANBAO_KAFKA", self.kafka.clone().map(Into::into)),
            (
                "CANBAO_DATABASE_URL",
                self.database_url.as_ref().map(|url| url.expose_secret().into()),
            ),
            ("CANBAO_LOG", self.log.clone().map(Into::into)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

async fn run(cli: Cli) -> anyhow::Result<Verdict> {
    let Cli { flags, command } = cli;
    let format = flags.format;
    match &command {
        Command::Run { service, arguments } => match exec::run(service, arguments, flags.environment())? {},
        Command::Simulate { arguments } => match exec::become_sibling(exec::SIMULATOR, arguments, flags.environment())? {},
        _ => (),
    }
    let mut settings = flags.settings()?;
    if settings.log == Settings::default().log {
        // A command's own report is what is asked for; services log more.
        "warn".clone_into(&mut settings.log);
    }
    runtime::telemetry::install_logs(&settings)?;
    match command {
        Command::Run { .. } | Command::Simulate { .. } => Ok(Verdict::Good),
        Command::CheckConfig { topics } => check_config(&settings, topics, format).await,
        Command::RegisterSchemas => {
            let registered = register::register(&settings).await?;
            format.print(&registered, |registered| register::render(registered))?;
            Ok(Verdict::Good)
        }
        Command::PrintConfig => {
            let good = match format {
                Format::Text => output::write_out(&settings.redacted_toml()?).map(|_| ()),
                Format::Json => format.print(&settings, |_| String::new()),
            };
            good.map(|()| Verdict::Good)
        }
        Command::Alerts {
            follow,
            from_beginning,
            kind,
            city,
        } => {
            let choice = Choice {
                follow,
                from_beginning: from_beginning || !follow,
                kinds: kind,
                cities: city,
            };
            schema_ids::adopt(&settings).await?;
            tokio::task::block_in_place(|| alerts::print(&settings, &choice, format))?;
            Ok(Verdict::Good)
        }
        Command::Dlq { action } => dlq::run(&settings, action, format).await,
        command => with_store(&settings, command, format).await,
    }
}

/// The commands that need the store.
async fn with_store(settings: &Settings, command: Command, format: Format) -> anyhow::Result<Verdict> {
    let pool = store::connect(settings).await?;
    match command {
        Command::Migrate { policy } => {
            runtime::store::migrate(&pool).await.context("migrating the database")?;
            let policy = policy::state_first(&pool, policy.as_deref()).await?;
            format.print(&serde_json::json!({ "migrated": true, "policy": policy.version }), |_| {
                format!("the database is at the version of this program; policy {policy}\n")
            })?;
        }
        Command::Verify {
            wait,
            without_books,
            show,
            longest_wait,
        } => {
            let plan = Plan {
                wait: wait.map(Duration::from_secs),
                books: !without_books,
                show,
                longest_wait,
            };
            schema_ids::adopt(settings).await?;
            let report = Box::pin(verify::verify(settings, &pool, &plan)).await?;
            format.print(&report, verify::render)?;
            return Ok(report.verdict());
        }
        Command::Person { who } => {
            let found = person::find(settings, &pool, who.expose_secret()).await?;
            format.print(&found, person::render)?;
            return Ok(if found.persons.is_empty() {
                Verdict::Difference
            } else {
                Verdict::Good
            });
        }
        Command::Findings { kind, city, csv } => {
            let choice = findings::Choice {
                kinds: kind,
                cities: city,
            };
            let form = if csv {
                findings::Form::Csv
            } else {
                findings::Form::Report(format)
            };
            findings::print(&pool, &choice, form).await?;
        }
        Command::Restore { from_log } => {
            schema_ids::adopt(settings).await?;
            let restored = Box::pin(restore::restore(settings, &pool, from_log)).await?;
            format.print(&restored, restore::render)?;
        }
        Command::Lag => {
            let lag = lag::measure(settings, &pool).await?;
            format.print(&lag, lag::render)?;
        }
        Command::Skip {
            shard,
            offset,
            reason,
            wait,
        } => {
            schema_ids::adopt(settings).await?;
            let skipped = skip::skip(&pool, shard, offset, &reason, Duration::from_secs(wait)).await?;
            format.print(&skipped, skip::render)?;
        }
        Command::GoLive { region, wait } => {
            let stated = statements::state(&pool, &Statement::GoLive(region), Duration::from_secs(wait)).await?;
            format.print(&stated, statements::render)?;
        }
        Command::BusinessDate { day, confirm, wait } => {
            let statement = Statement::BusinessDate { day, confirmed: confirm };
            let stated = statements::state(&pool, &statement, Duration::from_secs(wait)).await?;
            format.print(&stated, statements::render)?;
        }
        Command::Decide { action, wait } => return of_decision(settings, &pool, action, Duration::from_secs(wait), format).await,
        Command::Policy { action } => of_policy(&pool, action, format).await?,
        Command::Source { action } => return source::run(settings, &pool, action, format).await,
        // Those that need no store have been run.
        Command::Run { .. }
        | Command::Simulate { .. }
        | Command::CheckConfig { .. }
        | Command::RegisterSchemas
        | Command::PrintConfig
        | Command::Alerts { .. }
        | Command::Dlq { .. } => {}
    }
    Ok(Verdict::Good)
}

async fn check_config(settings: &runtime::config::Settings, topics: bool, format: Format) -> anyhow::Result<Verdict> {
    let checked = configuration::check(settings).await?;
    if !topics {
        format.print(&checked, configuration::render)?;
        return Ok(Verdict::Good);
    }
    let dialects = configuration::dialects(settings)?;
    let sampled = tokio::task::block_in_place(|| survey::survey(settings, &dialects))?;
    format.print(&sampled, |sampled| survey::render(sampled))?;
    let is_good = sampled
        .iter()
        .all(|topic| topic.found.as_ref().is_none_or(runtime::dialect::Surveyed::is_good));
    Ok(if is_good { Verdict::Good } else { Verdict::Difference })
}

async fn of_decision(
    settings: &Settings,
    pool: &sqlx::PgPool,
    action: DecideAction,
    patience: Duration,
    format: Format,
) -> anyhow::Result<Verdict> {
    let statement = match action {
        DecideAction::List => {
            let (listed, verdict) = decide::list(pool).await?;
            format.print(&listed, |listed| decide::render(listed))?;
            return Ok(verdict);
        }
        DecideAction::Same { record, other } => decide::statement(settings, pool, decision::Verdict::Same, record, other).await?,
        DecideAction::Different { record, other } => {
            decide::statement(settings, pool, decision::Verdict::Different, record, other).await?
        }
        DecideAction::Withdraw { decision } => decide::withdrawal(pool, decision).await?,
    };
    let stated = statements::state(pool, &statement, patience).await?;
    format.print(&stated, statements::render)?;
    Ok(Verdict::Good)
}

async fn of_policy(pool: &sqlx::PgPool, action: PolicyAction, format: Format) -> anyhow::Result<()> {
    match action {
        PolicyAction::Adopt { file, wait } => {
            let stated = policy::adopt(pool, &file, Duration::from_secs(wait)).await?;
            format.print(&stated, statements::render)
        }
        PolicyAction::Show => {
            let edition = policy::in_force(pool).await?;
            let id = edition.id();
            let shown = serde_json::json!({ "version": id.version, "sha256": id.digest.to_string(), "text": edition.text() });
            format.print(&shown, |_| edition.text().to_owned())
        }
        PolicyAction::List => format.print(&policy::list(pool).await?, |listed| policy::render(listed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use runtime::statements::GoLiveRegion;

    fn parse(line: &str) -> Cli {
        Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_services_are_passed_on() {
        for (line, passed) in [
            (
                "canbao run registry --http 127.0.0.1:0 --region 3201",
                vec!["--http", "127.0.0.1:0", "--region", "3201"],
            ),
            ("canbao run registry", vec![]),
            (
                "canbao simulate --residents 1000 --kafka here:9092",
                vec!["--residents", "1000", "--kafka", "here:9092"],
            ),
            ("canbao simulate --help", vec!["--help"]),
        ] {
            let (Command::Run { arguments, .. } | Command::Simulate { arguments }) = parse(line).command else {
                panic!("{line}")
            };
            assert_eq!(arguments, passed, "{line}");
        }
    }

    #[test]
    fn own_flags_reach_what_is_started() {
        let cli = parse("canbao --kafka here:9092 run clock");
        assert!(cli.flags.environment().contains(&("CANBAO_KAFKA", "here:9092".into())));
        assert!(!format!("{:?}", parse("canbao --database-url postgres://u:geheim@h/d lag")).contains("geheim"));
        assert!(!format!("{:?}", parse("canbao person 320501199003070012")).contains("320501"));
    }

    #[test]
    fn a_snapshot_of_a_table_is_stated_with_its_time_and_a_reason() {
        let line =
            |rest: &str| Cli::try_parse_from(format!("canbao source snapshot-passed human-resources.3201{rest}").split(' '));
        assert!(line("").is_ok() && line(" --table ac02 --since 2026-12-01 --why lost").is_ok());
        for rest in [
            " --table ac02",
            " --table ac02 --why lost",
            " --since 2026-12-01",
            " --why lost",
            " --table ac02 --since noon --why lost",
        ] {
            assert!(line(rest).is_err(), "{rest}");
        }
        assert!(Cli::try_parse_from(["canbao", "source", "loaded", "human-resources.3201"]).is_err());
    }

    #[test]
    fn go_live_takes_a_city_or_all() {
        assert!(matches!(
            parse("canbao go-live --region all").command,
            Command::GoLive {
                region: GoLiveRegion::All,
                ..
            }
        ));
        assert!(Cli::try_parse_from(["canbao", "go-live", "--region", "1101"]).is_err());
        assert!(Cli::try_parse_from(["canbao", "alerts", "--kind", "nothing"]).is_err());
    }
}
