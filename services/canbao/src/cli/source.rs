//! Running `canbao source`.

use super::command::SourceAction;
use crate::output::{Format, Verdict};
use crate::{operator, passed, source, statements};
use domain::source::TableName;
use runtime::config::Settings;
use runtime::normaliser::accept::Acceptance;
use runtime::statements::{PassedTable, Statement};
use std::time::Duration;

fn ensure_reason(why: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        !why.trim().is_empty(),
        "--why is empty: say why, whoever asks later will want to know"
    );
    Ok(())
}

pub(super) async fn run(
    settings: &Settings,
    pool: &sqlx::PgPool,
    action: SourceAction,
    format: Format,
) -> anyhow::Result<Verdict> {
    match action {
        SourceAction::List => {
            let (listed, verdict) = source::list(settings, pool).await?;
            format.print(&listed, |listed| source::render_list(listed))?;
            Ok(verdict)
        }
        SourceAction::Accept {
            topic,
            reread,
            repartitioned,
            restart,
            replaces,
        } => {
            let acceptance = match (reread, repartitioned, restart) {
                (_, _, true) => Acceptance::Restart,
                (_, true, _) => Acceptance::Repartitioned,
                (true, ..) => Acceptance::Reread,
                _ => Acceptance::Continue,
            };
            let accepted = match replaces {
                Some(first) => source::replace(settings, pool, &topic, &first).await?,
                None => source::accept(settings, pool, &topic, acceptance).await?,
            };
            format.print(&accepted, |accepted| source::render_accepted(accepted))?;
            Ok(Verdict::Good)
        }
        SourceAction::Waive {
            source,
            until,
            end,
            why,
            wait,
        } => {
            ensure_reason(&why)?;
            let statement = Statement::Waive {
                source,
                until: until.filter(|_| !end),
                who: operator::who(),
                why,
            };
            let stated = statements::state(pool, &statement, Duration::from_secs(wait)).await?;
            format.print(&stated, |stated| {
                let then = if end {
                    "claims of absence wait for it again"
                } else {
                    "claims of absence do not wait for it, and `canbao lag` shows it"
                };
                format!("{source}: within seconds {then} (statement {})\n", stated.id)
            })?;
            Ok(Verdict::Good)
        }
        SourceAction::ConfirmRemoval {
            source,
            table,
            why,
            wait,
        } => {
            ensure_reason(&why)?;
            let statement = Statement::ConfirmRemoval {
                source,
                table: TableName::new(table.as_str()),
                who: operator::who(),
                why,
            };
            let stated = statements::state(pool, &statement, Duration::from_secs(wait)).await?;
            format.print(&stated, |stated| {
                format!(
                    "{source}.{table}: within seconds every shard begins to remove what was held (statement {})\n",
                    stated.id
                )
            })?;
            Ok(Verdict::Good)
        }
        SourceAction::SnapshotPassed {
            source,
            table: Some(table),
            since: Some(since),
            why: Some(why),
            wait,
        } => {
            ensure_reason(&why)?;
            let of = PassedTable {
                table: TableName::new(table),
                since,
                who: operator::who(),
                why,
            };
            let passed = passed::state(settings, pool, source, of, Duration::from_secs(wait)).await?;
            format.print(&passed, passed::render)?;
            Ok(passed.verdict())
        }
        SourceAction::SnapshotPassed { source, wait, .. } => {
            let statement = Statement::SnapshotPassed { source, of: None };
            let stated = statements::state(pool, &statement, Duration::from_secs(wait)).await?;
            format.print(&stated, statements::render)?;
            Ok(Verdict::Good)
        }
    }
}
