//! The loop of statements: decides, sends, and notes when every shard has applied them.

use crate::decide::{Decision, Situation, decide};
use crate::store::{OpenStatement, Store};
use crate::{Shared, now, passed};
use domain::date::Timestamp;
use domain::input::Control;
use domain::policy::PolicyId;
use domain::source::{Source, TableName};
use runtime::config::BusinessDateSource;
use runtime::shutdown::{Shutdown, ShutdownTrigger};
use runtime::statements::Statement;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How often new statements are looked for.
const LOOK: Duration = Duration::from_millis(100);

/// A statement that is in the shards' logs.
struct Sent {
    id: i64,
    /// End offsets of `person.records` that the shards must pass.
    ends: Vec<i64>,
    is_date: bool,
}

/// Statements that not every shard is known to have applied.
#[derive(Default)]
struct UnderWay {
    sent: Vec<Sent>,
    /// The newest policy among what was sent.
    policy: Option<PolicyId>,
    /// Statements of passed snapshots, which wait for rows on their way.
    passed: passed::Waits,
}

/// Runs until shutdown, or asks for it once every shard stands under a newer policy than the clock itself. Statements that were sent before
/// a restart and not seen applied are sent again.
pub(crate) async fn run(shared: Shared, newer: ShutdownTrigger, mut shutdown: Shutdown) -> anyhow::Result<()> {
    let mut under_way = UnderWay::default();
    while !shutdown.requested() {
        if let Err(error) = under_way.step(&shared, &mut shutdown).await? {
            tracing::warn!(error = format!("{error:#}"), "statements wait for a server");
            shutdown.sleep(Duration::from_millis(500)).await;
        }
        if under_way.sent.is_empty() && under_way.policy > Some(shared.policy) {
            newer.request();
        }
        shutdown.sleep(LOOK).await;
    }
    Ok(())
}

impl UnderWay {
    /// The inner error is a server that does not answer: the next step tries again.
    async fn step(&mut self, shared: &Shared, shutdown: &mut Shutdown) -> anyhow::Result<anyhow::Result<()>> {
        let open = match shared.store.open_statements().await {
            Ok(open) => open,
            Err(error) => return Ok(Err(error.into())),
        };
        self.sent.retain(|sent| open.iter().any(|statement| statement.id == sent.id));
        self.passed.retain(|id, _| open.iter().any(|statement| statement.id == *id));
        for statement in open {
            if self.sent.iter().any(|sent| sent.id == statement.id) {
                continue;
            }
            let is_date = matches!(statement.statement, Ok(Statement::BusinessDate { .. }));
            // Dates one by one: after a restart an unconfirmed one is sent again, and must not be below a later one then.
            if is_date && self.sent.iter().any(|sent| sent.is_date) {
                break;
            }
            let waits = matches!(statement.statement, Ok(Statement::SnapshotPassed { of: Some(_), .. }));
            let wait = self.passed.entry(statement.id).or_default();
            if waits && !wait.is_due(Instant::now()) {
                continue;
            }
            match prepare(shared, wait, &statement).await {
                // What brokers do not say of one topic holds no other statement up.
                Err(error) if waits => tracing::warn!(statement = statement.id, "a snapshot is not looked at yet: {error:#}"),
                Err(error) => return Ok(Err(error)),
                Ok(None) => {}
                Ok(Some((controls, day))) => {
                    let policies = controls.iter().filter_map(|control| match control {
                        Control::Policy(edition) => Some(edition.id()),
                        _ => None,
                    });
                    self.policy = self.policy.max(policies.max());
                    if !shared.log.send(controls, shutdown).await? {
                        return Ok(Ok(()));
                    }
                    match sent(shared, day).await {
                        Ok(ends) => self.sent.push(Sent {
                            id: statement.id,
                            ends,
                            is_date,
                        }),
                        Err(error) => return Ok(Err(error)),
                    }
                }
            }
        }
        Ok(self.settle(shared).await)
    }

    /// Notes which statements every shard has applied.
    async fn settle(&mut self, shared: &Shared) -> anyhow::Result<()> {
        if self.sent.is_empty() {
            return Ok(());
        }
        let shards = shared.store.shards().await?;
        let is_applied =
            |ends: &Vec<i64>| shards.len() == ends.len() && shards.iter().zip(ends).all(|(shard, end)| shard.position >= *end);
        let applied: Vec<i64> = self
            .sent
            .iter()
            .filter(|sent| is_applied(&sent.ends))
            .map(|sent| sent.id)
            .collect();
        if !applied.is_empty() {
            shared.store.mark_sent(&applied).await?;
            tracing::info!(statements = ?applied, "every shard has applied these statements");
            self.sent.retain(|sent| !applied.contains(&sent.id));
        }
        Ok(())
    }
}

type ToSend = (Vec<Control>, Option<domain::date::Day>);

/// Decides on a statement; what is not to be sent is dealt with at once, or waits for rows that are on their way.
async fn prepare(shared: &Shared, wait: &mut passed::Wait, open: &OpenStatement) -> anyhow::Result<Option<ToSend>> {
    let progress = shared.store.progress().await?;
    let is_complete = |source| progress.get(source).is_some_and(|progress| progress.until > Timestamp(0));
    let policy = match &open.statement {
        Ok(Statement::Policy(_)) => shared.store.policy(Some(open.id)).await?.map(|edition| edition.id()),
        _ => None,
    };
    let situation = Situation {
        policy,
        is_manual: shared.settings.clock.business_date == BusinessDateSource::Manual,
        business_date: shared.store.business_date().await?,
        today: now().day_in_shanghai(),
        incomplete: shared.scope.iter().filter(|source| !is_complete(*source)).copied().collect(),
        scope: shared.scope.to_vec(),
        waived: shared.store.waived(now().day_in_shanghai()).await?,
        held: match &open.statement {
            Ok(Statement::ConfirmRemoval { .. }) => held(&shared.store).await?,
            _ => BTreeSet::new(),
        },
        kept: match &open.statement {
            Ok(Statement::SnapshotPassed { source, of: Some(of) }) => passed::kept(shared, *source, of).await?,
            _ => None,
        },
    };
    let decision = match &open.statement {
        Ok(statement) => decide(open.id as u64, statement.clone(), &situation),
        Err(error) => Decision::Refuse(error.to_string()),
    };
    match decision {
        Decision::Send(controls, day) => return Ok(Some((controls, day))),
        Decision::NoteSnapshotPassed(source) => {
            shared.store.note_snapshot_passed(source).await?;
            shared.store.mark_sent(&[open.id]).await?;
        }
        Decision::RemoveUnrepeated(source, of) => {
            if !passed::has_arrived(shared, wait, (source, &of)).await? {
                return Ok(None);
            }
            match passed::remove_unrepeated(shared, open.id, source, &of).await? {
                Some(reason) => refuse(shared, open.id, &reason).await?,
                None => shared.store.mark_sent(&[open.id]).await?,
            }
        }
        Decision::NoteWaiver(waiver) => {
            shared.store.note_waiver(&waiver).await?;
            shared.store.mark_sent(&[open.id]).await?;
        }
        Decision::ConfirmRemoval(source, table) => {
            shared.store.confirm_removal(source, &table).await?;
            shared.store.mark_sent(&[open.id]).await?;
        }
        Decision::Refuse(reason) => refuse(shared, open.id, &reason).await?,
    }
    Ok(None)
}

async fn refuse(shared: &Shared, id: i64, reason: &str) -> anyhow::Result<()> {
    tracing::warn!(statement = id, reason, "a statement is refused");
    Ok(shared.store.refuse(id, reason).await?)
}

/// The tables of which a floor is held.
async fn held(store: &Store) -> anyhow::Result<BTreeSet<(Source, TableName)>> {
    let floors = store.open_floors().await?.into_iter().filter(|floor| floor.held.is_some());
    Ok(floors.map(|open| (open.floor.source, open.floor.table)).collect())
}

/// After the sending: saves the date and notes the end offsets behind which the statement stands.
async fn sent(shared: &Shared, day: Option<domain::date::Day>) -> anyhow::Result<Vec<i64>> {
    if let Some(day) = day {
        shared.store.save_business_date(day).await?;
    }
    shared.ends.of_person_records().await
}
