//! The loop: fetch, send in a transaction, delete.

use crate::outbox::{Event, Fetched, Outbox};
use crate::transaction::{TransactionError, Transactions};
use domain::shard::Shard;
use runtime::config::Settings;
use runtime::health::{Check, Watch};
use runtime::kafka::TRANSACTION_TIMEOUT;
use runtime::outbox::position::{self, Contradiction, Position};
use runtime::shutdown::Shutdown;
use runtime::store::session;
use runtime::telemetry::UNKNOWN;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Wait after Postgres or Kafka failed.
const RETRY: Duration = Duration::from_secs(1);
/// How often the lag is measured and leftovers are deleted.
const HOUSEKEEPING: Duration = Duration::from_secs(5);

/// Why publishing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Somebody asked.
    Asked,
    /// The brokers gave up our transaction, because they, or this process, stood still for longer than it may last: the producer is of
    /// no use any more, and nothing of the transaction is visible. Where another publisher has taken over meanwhile, it fences us again.
    Expired,
}

/// What came of a look at the outbox.
enum Next {
    /// After this look, how long the next is due.
    Wait(Duration),
    /// At once: there is more.
    Again,
    /// Never: see [`Ended::Expired`].
    Expired,
}

/// Publishes the outboxes of some shards.
pub(crate) struct Publisher {
    outbox: Outbox,
    transactions: Transactions,
    /// By shard, the sequence of the next row to publish.
    next: BTreeMap<Shard, u64>,
    epoch: u32,
    /// The shard that is read first: moves on, so that a backlog of one shard does not keep the others waiting.
    first: usize,
    batch_rows: u32,
    idle: Duration,
    postgres: Check,
    watch: Watch,
    /// Since when some row that was ready to be published is not.
    waiting_since: Option<Instant>,
}

impl Publisher {
    pub(crate) fn new(
        settings: &Settings,
        outbox: Outbox,
        transactions: Transactions,
        next: BTreeMap<Shard, u64>,
        epoch: u32,
        postgres: Check,
        watch: Watch,
    ) -> Self {
        describe_metrics();
        Self {
            outbox,
            transactions,
            next,
            epoch,
            first: 0,
            batch_rows: settings.publisher.batch_rows,
            idle: Duration::from_millis(settings.publisher.idle_millis.into()),
            postgres,
            watch,
            waiting_since: None,
        }
    }

    /// Publishes until shutdown; the transaction under way is brought to its end.
    pub(crate) async fn run(mut self, shutdown: &mut Shutdown) -> anyhow::Result<Ended> {
        let mut housekeeping = Instant::now();
        while !shutdown.requested() {
            if housekeeping <= Instant::now() {
                housekeeping = Instant::now() + HOUSEKEEPING;
                self.keep_house().await;
            }
            let looked = Instant::now();
            let from = self.order();
            self.watch.begin("the outbox is read");
            let next = match self.outbox.fetch(&from, self.batch_rows).await {
                Ok(fetched) => {
                    self.postgres.pass();
                    self.compare(&fetched).await?;
                    self.publish(fetched.events).await?
                }
                Err(error) => {
                    let cause = session::explain(&error);
                    tracing::error!(cause, "the outbox cannot be read, trying again");
                    self.watch.rest();
                    self.postgres.fail(format!("the outbox cannot be read: {cause}"));
                    Next::Wait(RETRY)
                }
            };
            match next {
                Next::Wait(wait) => drop(shutdown.sleep(wait.saturating_sub(looked.elapsed())).await),
                Next::Again => {}
                Next::Expired => return Ok(Ended::Expired),
            }
        }
        // What is published is deleted now or after the next start.
        self.delete().await;
        Ok(Ended::Asked)
    }

    /// Stops before a database that is not the one whose rows were published so far: it may be put back under a running publisher.
    async fn compare(&mut self, fetched: &Fetched) -> anyhow::Result<()> {
        if fetched.epoch > self.epoch {
            let (own, database) = (self.epoch, fetched.epoch);
            return Err(Contradiction::Restored { own, database }.into());
        }
        if fetched.went_back || fetched.epoch < self.epoch {
            let shards: Vec<Shard> = self.next.keys().copied().collect();
            let book = self.outbox.book(&shards).await?;
            position::check_behind(&self.positions(&self.next), &book)?;
        }
        Ok(())
    }

    /// Sequences as positions.
    fn positions(&self, next: &BTreeMap<Shard, u64>) -> BTreeMap<Shard, Position> {
        let position = |next| Position { epoch: self.epoch, next };
        next.iter().map(|(shard, next)| (*shard, position(*next))).collect()
    }

    /// Shards with the sequences to read from, in the order to read them.
    fn order(&self) -> Vec<(Shard, u64)> {
        let mut order: Vec<(Shard, u64)> = self.next.iter().map(|(shard, next)| (*shard, *next)).collect();
        order.rotate_left(self.first);
        order
    }

    /// Publishes what was fetched.
    async fn publish(&mut self, mut events: Vec<Event>) -> anyhow::Result<Next> {
        let full = events.len() >= self.batch_rows as usize;
        keep_pairs(&mut events);
        let Some(last) = events.last() else {
            self.waiting_since = None;
            self.watch.moved();
            return Ok(Next::Wait(self.idle));
        };
        self.waiting_since.get_or_insert_with(Instant::now);
        runtime::failpoint::reach("publisher.read");
        if full {
            self.first = self.next.keys().position(|shard| *shard == last.shard).unwrap_or_default();
        }
        let ends = ends(&self.next, &events)?;
        let positions = self.positions(&ends);
        let started = Instant::now();
        self.watch.begin("a transaction is published");
        match tokio::task::block_in_place(|| self.transactions.send(&events, &positions)) {
            Ok(()) => {}
            Err(TransactionError::RolledBack(error)) => {
                tracing::warn!(%error, rows = events.len(), "a transaction was rolled back, trying again");
                metrics::counter!("canbao_publisher_transactions_total", "outcome" => "rolled-back").increment(1);
                self.watch
                    .fail(format!("a transaction was rolled back: {error}; it is tried again"));
                self.watch.rest();
                return Ok(Next::Wait(RETRY));
            }
            Err(TransactionError::Fatal(error)) if started.elapsed() > TRANSACTION_TIMEOUT => {
                let seconds = started.elapsed().as_secs();
                tracing::warn!(%error, seconds, "a transaction expired");
                metrics::counter!("canbao_publisher_transactions_total", "outcome" => "expired").increment(1);
                return Ok(Next::Expired);
            }
            Err(error @ TransactionError::Fatal(_)) => return Err(error.into()),
        }
        metrics::histogram!("canbao_publisher_transaction_seconds").record(started.elapsed().as_secs_f64());
        metrics::counter!("canbao_publisher_transactions_total", "outcome" => "committed").increment(1);
        count(&events);
        runtime::failpoint::reach("publisher.committed");
        self.next.extend(ends);
        self.watch.moved();
        if !full {
            self.waiting_since = None;
        }
        self.delete().await;
        runtime::failpoint::reach("publisher.deleted");
        // A transaction costs the broker as much as hundreds of messages: what comes meanwhile goes into the next one.
        Ok(if full { Next::Again } else { Next::Wait(self.idle) })
    }

    /// Deletes published rows; a failure is made good later.
    async fn delete(&mut self) {
        if let Err(error) = self.outbox.delete_below(&self.next).await {
            tracing::warn!(
                cause = session::explain(&error),
                "published rows could not be deleted, trying again later"
            );
        }
    }

    async fn keep_house(&mut self) {
        self.delete().await;
        let shards: Vec<Shard> = self.next.keys().copied().collect();
        let Ok(book) = self.outbox.book(&shards).await else {
            metrics::gauge!("canbao_publisher_outbox_rows").set(UNKNOWN);
            metrics::gauge!("canbao_publisher_outbox_age_seconds").set(UNKNOWN);
            return;
        };
        let waiting: u64 = self
            .next
            .iter()
            .map(|(shard, next)| book.ends.get(shard).unwrap_or(next).saturating_sub(*next))
            .sum();
        metrics::gauge!("canbao_publisher_outbox_rows").set(waiting as f64);
        let age = self.waiting_since.map_or(0.0, |since| since.elapsed().as_secs_f64());
        metrics::gauge!("canbao_publisher_outbox_age_seconds").set(age);
    }
}

fn describe_metrics() {
    metrics::describe_counter!("canbao_publisher_published_total", "Messages published, by topic");
    metrics::describe_counter!("canbao_publisher_transactions_total", "Kafka transactions, by outcome");
    metrics::describe_histogram!(
        "canbao_publisher_transaction_seconds",
        "From the first message of a transaction to its commit"
    );
    metrics::describe_gauge!(
        "canbao_publisher_outbox_rows",
        "Rows of the outbox that are not published yet; absent while not known"
    );
    metrics::describe_gauge!(
        "canbao_publisher_outbox_age_seconds",
        "Time for which some row has been ready to be published and is not"
    );
}

fn count(events: &[Event]) {
    let mut by_topic: HashMap<&str, u64> = HashMap::new();
    for event in events {
        *by_topic.entry(&event.topic).or_default() += 1;
    }
    for (topic, count) in by_topic {
        metrics::counter!("canbao_publisher_published_total", "topic" => topic.to_owned()).increment(count);
    }
}

/// Leaves an alert that was cut off from its finding for the next transaction: what was told is read back from `findings`, so that both
/// appear together or not at all.
fn keep_pairs(events: &mut Vec<Event>) {
    let is_alert = |event: &Event| event.topic.starts_with("alerts.");
    if events.len() > 1 && events.last().is_some_and(is_alert) {
        events.pop();
    }
}

/// By shard, the sequence after the last event; every event must be the next of its shard.
fn ends(next: &BTreeMap<Shard, u64>, events: &[Event]) -> Result<BTreeMap<Shard, u64>, Contradiction> {
    let mut ends: BTreeMap<Shard, u64> = BTreeMap::new();
    for event in events {
        let expected = ends
            .get(&event.shard)
            .or_else(|| next.get(&event.shard))
            .copied()
            .unwrap_or(event.sequence);
        position::check_next(event.shard, expected, event.sequence)?;
        ends.insert(event.shard, event.sequence + 1);
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(shard: u8, sequence: u64) -> Event {
        let shard = Shard::new(shard).expect("a shard");
        Event {
            shard,
            sequence,
            topic: "findings".into(),
            key: vec![1],
            headers: Vec::new(),
            value: None,
        }
    }

    #[test]
    fn positions_follow_the_last_event_of_each_shard() {
        let shard = |number| Shard::new(number).expect("a shard");
        let next = BTreeMap::from([(shard(1), 5), (shard(2), 0), (shard(3), 9)]);
        let ends = ends(&next, &[event(1, 5), event(1, 6), event(2, 0)]);
        assert_eq!(ends, Ok(BTreeMap::from([(shard(1), 7), (shard(2), 1)])));
    }

    #[test]
    fn an_alert_goes_with_its_finding() {
        let alert = |sequence| Event {
            topic: "alerts.identity.3201".into(),
            ..event(1, sequence)
        };
        let mut events = vec![event(1, 4), alert(5)];
        keep_pairs(&mut events);
        assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [4]);
        let mut events = vec![alert(5), event(1, 6)];
        keep_pairs(&mut events);
        assert_eq!(events.len(), 2);
    }

    #[test]
    fn a_gap_stops_publishing() {
        let next = BTreeMap::from([(Shard::new(1).expect("a shard"), 5)]);
        assert!(ends(&next, &[event(1, 6)]).is_err());
        assert!(ends(&next, &[event(1, 5), event(1, 7)]).is_err());
    }
}
