//! The commands with their own flags, as they are typed.

use super::dlq::DlqAction;
use super::secret;
use clap::Subcommand;
use domain::date::{Day, Timestamp};
use domain::division::City;
use domain::finding::AlertKind;
use domain::ids::RecordId;
use domain::shard::Shard;
use domain::source::Source;
use runtime::statements::GoLiveRegion;
use secrecy::SecretString;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a service: public-security, civil-affairs, human-resources, registry, clock or publisher
    Run {
        /// The service
        service: String,
        /// Its own flags
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAG")]
        arguments: Vec<OsString>,
    },
    /// Run the simulated agencies
    #[command(disable_help_flag = true)]
    Simulate {
        /// The simulator's own flags; --help shows them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAG")]
        arguments: Vec<OsString>,
    },
    /// Bring the database to this version; a new base gets its first policy
    Migrate {
        /// The first policy of a new base, as a file; without it the one that this program carries
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
    /// Check settings, dialects and key, and with a schema registry that it has every schema; changes nothing
    CheckConfig {
        /// Also read the last rows of every source topic: which mapped columns never come, which columns nobody maps, which codes have no
        /// meaning; exit code 1 when a row cannot be read
        #[arg(long)]
        topics: bool,
    },
    /// Register this release's schemas with the configured schema registry, after its compatibility check
    RegisterSchemas,
    /// Print the settings in force; secrets as ***
    PrintConfig,
    /// Recompute the base from the source log, compare row by row, and check the books against the brokers
    Verify {
        /// Seconds to wait for everything under way to be worked off; without it only for what would make a difference
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u64>,
        /// Compare the base only, as when source topics have expired
        #[arg(long)]
        without_books: bool,
        /// Differences to show per table
        #[arg(long, value_name = "N", default_value_t = 10)]
        show: u32,
        /// Days that a finding may wait to be told, for a source to be complete; nightly sources rest on public holidays
        #[arg(long, value_name = "DAYS", default_value_t = 10)]
        longest_wait: u32,
    },
    /// Go on after the database was put back from a backup or lost commits in a failover; services must be stopped
    Restore {
        /// Make the base anew from its source log, which is all that the database still has to have
        #[arg(long)]
        from_log: bool,
    },
    /// Print alerts
    Alerts {
        /// Go on with alerts as they arrive; without it everything told so far is printed
        #[arg(long)]
        follow: bool,
        /// With --follow: what was told so far first
        #[arg(long)]
        from_beginning: bool,
        /// Only this kind: unenrolled, double-enrolled, identity or after-death
        #[arg(long, value_name = "KIND", value_parser = alert_kind)]
        kind: Vec<AlertKind>,
        /// Only this city, by code
        #[arg(long, value_name = "CITY")]
        city: Vec<City>,
    },
    /// Who has open findings, one line a person: id, masked number, city, kinds, findings, since when, how many were told
    Findings {
        /// Only this kind: unenrolled, double-enrolled, identity or after-death
        #[arg(long, value_name = "KIND", value_parser = alert_kind)]
        kind: Vec<AlertKind>,
        /// Only who counts in this city, by code
        #[arg(long, value_name = "CITY")]
        city: Vec<City>,
        /// Comma-separated, for spreadsheets
        #[arg(long)]
        csv: bool,
    },
    /// What is known of a person, and from which source
    Person {
        /// Citizen number, person id or record id
        #[arg(value_parser = secret)]
        who: SecretString,
    },
    /// Rows behind, completeness and age per agency and region
    Lag,
    /// Step over an entry of person.records that the registry cannot apply and waits at; it is kept, with who and why
    Skip {
        /// The shard, as readiness and `canbao lag` show it
        #[arg(value_parser = shard)]
        shard: Shard,
        /// The entry's offset in its partition of person.records
        offset: i64,
        /// Why, for whoever asks later
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Seconds to wait until the registry has stepped over it
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        wait: u64,
    },
    /// Begin to announce findings of a region; refused while a source in scope is incomplete
    GoLive {
        /// City code, or `all`
        #[arg(long, value_name = "CITY")]
        region: GoLiveRegion,
        /// Seconds to wait for every shard
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        wait: u64,
    },
    /// Move the business date, where the clock's business date is `manual`; where it follows the wall clock, catch up with that
    BusinessDate {
        /// The day, yyyy-mm-dd
        day: Day,
        /// Also when it is further ahead than is believed unasked: a date cannot be taken back
        #[arg(long)]
        confirm: bool,
        /// Seconds to wait for every shard
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        wait: u64,
    },
    /// Decisions on records: one person or two
    Decide {
        #[command(subcommand)]
        action: DecideAction,
        /// Seconds to wait for every shard
        #[arg(long, value_name = "SECONDS", default_value_t = 120, global = true)]
        wait: u64,
    },
    /// The policy: ages, grace, duties, scope, release
    Policy {
        #[command(subcommand)]
        action: PolicyAction,
    },
    /// Dead letters: messages of sources that could not be read
    Dlq {
        #[command(subcommand)]
        action: DlqAction,
    },
    /// Source topics: what is recorded, and reading on after a hold
    Source {
        #[command(subcommand)]
        action: SourceAction,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DecideAction {
    /// Two records are one person; of two numbers, the one that the other record's person holds stays
    Same {
        /// A record id, as `canbao person` shows it
        record: RecordId,
        /// The other
        other: RecordId,
    },
    /// Two records are two persons
    Different {
        /// A record id, as `canbao person` shows it
        record: RecordId,
        /// The other
        other: RecordId,
    },
    /// A decision is withdrawn: as if it had never been
    Withdraw {
        /// Its number
        decision: u64,
    },
    /// Show the decisions in force; exit code 1 when some contradict each other
    List,
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyAction {
    /// Bring a policy into force: everybody is described under it, in slices beside live traffic
    Adopt {
        /// The policy, with a higher version than the one in force
        file: PathBuf,
        /// Seconds to wait for every shard
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        wait: u64,
    },
    /// Print the text of the policy that was stated last
    Show,
    /// Show every policy that came into force, and how many shards stand under it
    List,
}

#[derive(Debug, Subcommand)]
pub(super) enum SourceAction {
    /// Show every source topic; exit code 1 when one is held
    List,
    /// State that a topic, or every topic of a source, may be read on as it now is
    Accept {
        /// human-resources.3201.public.ac02, or human-resources.3201
        topic: String,
        /// Read it again from its start, as after a new mapping
        #[arg(long, conflicts_with_all = ["restart", "repartitioned", "replaces"])]
        reread: bool,
        /// Keys moved to other partitions: read it again from where they arrived
        #[arg(long, conflicts_with_all = ["restart", "replaces"])]
        repartitioned: bool,
        /// It was created anew or lost messages: its positions begin again, from its start
        #[arg(long, conflicts_with = "replaces")]
        restart: bool,
        /// It took the place of this topic, which holds the same table and is not read any more: its rows count as later
        #[arg(long, value_name = "TOPIC")]
        replaces: Option<String>,
    },
    /// Let claims of absence not wait for a source that has fallen silent, until a day, after which they wait again by themselves: what it
    /// said before counts on, and what it says late clears what was told without it like any other news
    Waive {
        /// human-resources.3201
        source: Source,
        /// The last day, yyyy-mm-dd, at most 92 days from today
        #[arg(long, value_name = "DAY", required_unless_present = "end")]
        until: Option<Day>,
        /// Take a waiver back before its last day
        #[arg(long, conflicts_with = "until")]
        end: bool,
        /// Why, for whoever asks later
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// Seconds to wait for the clock
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        wait: u64,
    },
    /// Confirm that rows which a truncation or a full snapshot would remove are gone at the source: so many that they are held, as readiness,
    /// `canbao source list` and `canbao lag` show
    ConfirmRemoval {
        /// human-resources.3201
        source: Source,
        /// The table, as it is shown
        table: String,
        /// Why, for whoever asks later
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// Seconds to wait for the clock
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        wait: u64,
    },
    /// State that a snapshot has passed, where neither a row nor a notification can show it: the source's first full load, or with --table a
    /// full snapshot (or a load of the whole) of that one table, after which its rows are gone that this did not repeat. Refused unless the
    /// table's topic holds such rows since TIME and none has come for a while; exit code 1 when so much would go that it waits for
    /// `canbao source confirm-removal`
    SnapshotPassed {
        /// human-resources.3201
        source: Source,
        /// The table, as `canbao source list` shows it
        #[arg(long, requires_all = ["since", "why"])]
        table: Option<String>,
        /// When the snapshot of the table began, or a little before: 2026-12-01T08:00:00+08:00, or a day
        #[arg(long, value_name = "TIME", value_parser = crate::dlq::time, requires = "table")]
        since: Option<Timestamp>,
        /// Why, for whoever asks later
        #[arg(long, value_name = "TEXT", requires = "table")]
        why: Option<String>,
        /// Seconds to wait for the clock
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        wait: u64,
    },
}

fn shard(text: &str) -> Result<Shard, &'static str> {
    let number = text.parse().ok();
    number.and_then(Shard::new).ok_or("expected the number of a shard, 0 to 63")
}

fn alert_kind(text: &str) -> Result<AlertKind, String> {
    let names = || AlertKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    AlertKind::from_name(text).ok_or_else(|| format!("expected one of {}", names()))
}
