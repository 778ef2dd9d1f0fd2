//! What the clock and operators state, and what sources say of themselves: made, and waited for.

use super::broker::Broker;
use super::topics::{completeness_row, now};
use super::{PATIENCE, Servers, TOLERANCE, sources, topic_of};
use crate::encode::envelope;
use anyhow::{bail, ensure};
use domain::date::Timestamp;
use domain::source::Source;
use rdkafka::producer::BaseRecord;
use runtime::statements::{self, Outcome, Statement};
use runtime::store::read;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

impl Servers {
    /// Makes a statement and waits until every shard has applied it and worked off what follows for whom it has; its number.
    ///
    /// # Errors
    /// When it is refused or takes too long.
    pub async fn state(&mut self, statement: &Statement) -> anyhow::Result<u64> {
        let id = statements::insert(&self.pool, statement).await?;
        match statements::wait(&self.pool, id, PATIENCE).await? {
            Some(Outcome::Applied) => self.worked_off().await.map(|()| id as u64),
            Some(Outcome::Refused(reason)) => bail!("{statement:?} was refused: {reason}"),
            None => {
                self.services.check_alive()?;
                bail!("{statement:?} took longer than {PATIENCE:?}")
            }
        }
    }

    /// Waits until no pass through a shard is left, such as a baseline's: what comes meanwhile may belong to it or not.
    ///
    /// # Errors
    /// When that takes too long, or a service ends.
    pub async fn worked_off(&mut self) -> anyhow::Result<()> {
        let left = || sqlx::query_scalar::<_, i64>("select count(*) from store.pass");
        let deadline = Instant::now() + PATIENCE;
        while left().fetch_one(&self.pool).await? > 0 {
            self.services.check_alive()?;
            ensure!(Instant::now() < deadline, "passes are not worked off");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Lets every source but the silent ones say that it is complete up to now, and waits until every shard has heard it.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn complete(&mut self, silent: &BTreeSet<Source>) -> anyhow::Result<()> {
        self.beat(silent).await?;
        // Facts are timed by their append to `person.records`: what came there behind the heartbeat waits for the next one.
        let waiting = sqlx::query_scalar::<_, i64>("select count(*) from store.pending");
        if waiting.fetch_one(&self.pool).await? > 0 {
            self.beat(silent).await?;
        }
        Ok(())
    }

    async fn beat(&mut self, silent: &BTreeSet<Source>) -> anyhow::Result<()> {
        self.flush()?;
        // Later than every append time so far, also where the broker's clock and ours differ by some milliseconds.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let wanted = self.heartbeat(silent)?;
        self.flush()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let missing = self.incomplete(silent, wanted).await?;
            if missing.is_empty() {
                return Ok(());
            }
            self.services.check_alive()?;
            if Instant::now() >= deadline {
                bail!("not complete after {PATIENCE:?}: {}", self.why(&missing).await?);
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Lets every source but the silent ones say that it is complete up to now; returns the time that this proves.
    ///
    /// # Errors
    /// When the queue is full.
    pub fn heartbeat(&self, silent: &BTreeSet<Source>) -> anyhow::Result<Timestamp> {
        let time = Timestamp(now()?.0 + TOLERANCE - 50);
        for source in sources().into_iter().filter(|source| !silent.contains(source)) {
            let (table, row) = completeness_row(source, time)?;
            let value = envelope("c", None, row.as_object());
            let (key, value) = (br#"{"id":1}"#.as_slice(), serde_json::to_vec(&value)?);
            let topic = topic_of(source, table);
            let record = BaseRecord::to(&topic).key(key).payload(&value).partition(0);
            self.producer.send(record).map_err(|(error, _)| error)?;
        }
        Ok(Timestamp(time.0 - TOLERANCE))
    }

    /// What the clock says that sources wait for, and how the groups of their normalisers stand.
    ///
    /// # Errors
    /// When a server does not answer.
    pub async fn why(&self, sources: &[Source]) -> anyhow::Result<String> {
        let mut lines = Vec::new();
        for source in sources {
            let waits: Option<Option<String>> =
                sqlx::query_scalar("select waits from store.completeness where agency = $1 and city = $2")
                    .bind(i16::from(source.agency.code()))
                    .bind(source.city.code() as i16)
                    .fetch_optional(&self.pool)
                    .await?;
            let waits = waits.flatten().unwrap_or_else(|| "the clock says nothing".to_owned());
            let held =
                sqlx::query_scalar("select held from store.source_topic where held is not null and starts_with(topic, $1)");
            let held: Vec<String> = held.bind(format!("{source}.")).fetch_all(&self.pool).await?;
            lines.push(format!(
                "{source}: {waits}; held: {held:?}; {}",
                Broker::new(&self.kafka)?.standing(*source)?
            ));
        }
        Ok(lines.join("; "))
    }

    /// Sources, but the silent ones, of which some shard has not heard yet that they are complete up to a time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn incomplete(&self, silent: &BTreeSet<Source>, until: Timestamp) -> anyhow::Result<Vec<Source>> {
        let mut connection = self.pool.acquire().await?;
        let shards = read::shards(&mut connection).await?;
        let heard = |source: &Source| {
            let at_shard = |at: &Timestamp| *at >= until;
            shards
                .iter()
                .all(|shard| shard.state.complete.get(source).is_some_and(at_shard))
        };
        let sources = sources().into_iter();
        Ok(sources.filter(|source| !silent.contains(source) && !heard(source)).collect())
    }
}
