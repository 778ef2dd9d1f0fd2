//! `canbao dlq`: its actions, and running them.

use crate::configuration;
use crate::dlq::{Filter, expire, list, replay, show, time};
use crate::output::{Format, Verdict};
use crate::store;
use clap::Subcommand;
use domain::date::Timestamp;
use domain::source::Source;
use runtime::config::Settings;
use runtime::schema_ids;

#[derive(Debug, Subcommand)]
pub(super) enum DlqAction {
    /// Count them by source, table, cause and column
    List {
        #[command(flatten)]
        filter: Filter,
    },
    /// Show one: its cause, its structure without any value, and what to do
    Show {
        /// Topic, partition and offset of its message, as `list` shows them
        #[arg(value_name = "TOPIC/PARTITION/OFFSET")]
        letter: show::Name,
    },
    /// Read the messages again with the dialects as they are now, and send on what can be read. Exact: what is sent is what the
    /// normaliser makes of the message at its own position, so that a newer row of the same key wins and a repetition changes nothing.
    /// `canbao source accept TOPIC --reread` does the same for every message of a topic, also for rows that a changed dialect reads
    /// otherwise; this reads only what stands in the dead letters, also where the topic does not hold it any more
    Replay {
        #[command(flatten)]
        filter: Filter,
        /// Send nothing, only say what could be read by now, and why the rest cannot
        #[arg(long)]
        dry_run: bool,
        /// Why, for whoever asks later
        #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
        why: Option<String>,
    },
    /// Remove the oldest for good, up to the first that is newer or whose message its source topic still holds (a topic can lose its
    /// beginning only, and the books need what its source still has)
    Expire {
        /// human-resources.3201
        source: Source,
        /// Written before this time: a day (yyyy-mm-dd, its start in China) or 2026-12-01T08:00:00+08:00
        #[arg(long, value_name = "TIME", value_parser = time)]
        before: Timestamp,
        /// Why, for whoever asks later
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
}

pub(super) async fn run(settings: &Settings, action: DlqAction, format: Format) -> anyhow::Result<Verdict> {
    match action {
        DlqAction::List { filter } => {
            let listed = tokio::task::block_in_place(|| list::list(settings, &filter))?;
            format.print(&listed, list::render)?;
        }
        DlqAction::Show { letter } => {
            let dialects = configuration::dialects(settings)?;
            let shown = tokio::task::block_in_place(|| show::show(settings, &dialects, &letter))?;
            format.print(&shown, show::render)?;
        }
        DlqAction::Replay { filter, dry_run, why } => {
            schema_ids::adopt(settings).await?;
            let pool = store::connect(settings).await?;
            let why = why.filter(|_| !dry_run);
            let replayed = replay::replay(settings, &pool, &filter, why.as_deref()).await?;
            format.print(&replayed, replay::render)?;
        }
        DlqAction::Expire { source, before, why } => {
            let pool = store::connect(settings).await?;
            let expired = expire::expire(settings, &pool, source, before, &why).await?;
            format.print(&expired, expire::render)?;
        }
    }
    Ok(Verdict::Good)
}
