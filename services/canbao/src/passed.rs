//! `source snapshot-passed --table`: an operator states that a snapshot of a table has passed although nothing notified it, after a look at
//! what the table's topic holds since (ARCHITECTURE.md, Versions).

use crate::output::{Verdict, now};
use crate::reread::{Wanted, reread};
use crate::{configuration, statements, topics};
use anyhow::Context;
use domain::date::Timestamp;
use domain::source::Source;
use rdkafka::message::Message;
use runtime::config::Settings;
use runtime::debezium::{Envelope, Operation, Snapshot};
use runtime::dialect::{Dialects, Table, Truncation};
use runtime::framed::{Closed, Frames};
use runtime::kafka::offsets::{self, Since};
use runtime::normaliser::floor;
use runtime::normaliser::source_topic;
use runtime::statements::{PassedTable, Statement};
use runtime::store::weight;
use serde::Serialize;
use sqlx::{PgPool, Row};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::runtime::Handle;

/// For so many milliseconds no row of a snapshot may have come: else it is still under way.
const QUIET: i64 = 10_000;
/// How often the floor that follows from the statement is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What a statement rests on, and what became of it.
#[derive(Debug, Serialize)]
pub struct Passed {
    /// The statement.
    pub statement: i64,
    /// The topic.
    pub topic: String,
    /// What was read of it.
    pub stretch: Stretch,
    /// Records of the table that the base held.
    pub records: u64,
    /// Those of them that the topic does not repeat since: that go.
    pub unrepeated: u64,
    /// Whether both numbers are exact, and not reckoned from some shards.
    pub exact: bool,
    /// What became of the rows.
    pub fate: Fate,
}

/// What became of the rows that the snapshot did not repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Every shard knows that they are gone.
    Gone,
    /// They are so many that they stand until that is confirmed; why, with the command.
    Held(String),
    /// The clock is still weighing them.
    Weighed,
}

/// What a topic holds since a time.
#[derive(Debug, Default, Serialize)]
pub struct Stretch {
    /// Messages with a row.
    pub rows: u64,
    /// Rows that a snapshot read, or a load of the table brought.
    pub repeated: u64,
    /// Distinct keys of these.
    pub keys: usize,
    /// Rows among them that do not say whether a snapshot read them.
    pub unsaid: u64,
    /// Messages that cannot be read.
    pub unreadable: u64,
    /// Whether a snapshot read a row in the minute before.
    #[serde(skip)]
    began_before: bool,
    /// When the newest of the repeated rows was appended.
    #[serde(skip)]
    newest: Option<Timestamp>,
}

impl Passed {
    /// Whether the rows are gone.
    pub fn verdict(&self) -> Verdict {
        match self.fate {
            Fate::Gone => Verdict::Good,
            Fate::Held(_) | Fate::Weighed => Verdict::Difference,
        }
    }
}

/// Looks whether a snapshot of the table has passed, states it, and waits until the rows are gone that it did not repeat, or are held.
///
/// # Errors
/// Why it cannot be stated, with what to do; or when brokers, store or clock do not answer.
pub async fn state(
    settings: &Settings,
    pool: &PgPool,
    source: Source,
    mut of: PassedTable,
    patience: Duration,
) -> anyhow::Result<Passed> {
    let dialects = configuration::dialects(settings)?;
    let recorded = source_topic::of_source(pool, source).await?;
    let stated = floor::stated(source, of.table.as_str(), &recorded, &dialects).map_err(anyhow::Error::msg);
    let (topic, table) = stated?;
    of.table = table.name.clone();
    let name = topic.topic.as_str();
    let is_restarted = source_topic::is_restarted_since(pool, name, of.since).await?;
    let begin = floor::before(of.since);
    let (held, stretch) = tokio::task::block_in_place(|| {
        let consumer = topics::reader(settings)?;
        let held = offsets::since(&consumer, name, begin).with_context(|| topics::unreachable_brokers(settings))?;
        if let Some(why) = floor::refused(name, of.since, now(), is_restarted, &held) {
            anyhow::bail!(why);
        }
        let frames = Frames::configured(settings, Handle::current())?;
        let stretch = read(&consumer, &frames, (&dialects, source), (name, table), (of.since, &held))?;
        Ok((held, stretch))
    })?;
    if let Some(why) = stretch.refused(name, of.since, now()) {
        anyhow::bail!(why);
    }
    let floor = floor::places(topic, table, held.iter().map(|held| held.begin).collect());
    let weights = weight::weigh(pool, &[(&floor, table.kind)])
        .await
        .context("reading the base")?;
    let weight = weights.first().copied().unwrap_or_default();
    let (records, unrepeated) = weight.of_all();
    let began = tokio::time::Instant::now();
    let statement = Statement::SnapshotPassed {
        source,
        of: Some(of.clone()),
    };
    let id = statements::state(pool, &statement, patience).await?.id;
    let key = format!("{}/{}", PassedTable::noticed(id), of.table.as_str());
    Ok(Passed {
        statement: id,
        topic: topic.topic.clone(),
        stretch,
        records,
        unrepeated,
        exact: weight.is_whole(),
        fate: fate(pool, &key, began + patience).await?,
    })
}

/// Waits until the floor is in every shard or held.
async fn fate(pool: &PgPool, key: &str, deadline: tokio::time::Instant) -> anyhow::Result<Fate> {
    loop {
        let row = sqlx::query("select sent_at is not null as sent, held, refused from store.statement where noticed = $1")
            .bind(key)
            .fetch_one(pool)
            .await
            .context("reading what became of the statement")?;
        if row.try_get("sent")? {
            return Ok(Fate::Gone);
        }
        if let Some(why) = row.try_get::<Option<String>, _>("refused")? {
            anyhow::bail!("snapshot-passed was refused: {why}");
        }
        if let Some(why) = row.try_get::<Option<String>, _>("held")? {
            return Ok(Fate::Held(why));
        }
        if tokio::time::Instant::now() >= deadline {
            return Ok(Fate::Weighed);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Reads what a topic holds since a time, and since a minute before.
fn read(
    consumer: &topics::Reader,
    frames: &Frames,
    (dialects, source): (&Dialects, Source),
    (topic, table): (&str, &Table),
    (since, held): (Timestamp, &[Since]),
) -> anyhow::Result<Stretch> {
    let wanted: Vec<Wanted<'_>> = (0..)
        .zip(held)
        .map(|(partition, held)| Wanted {
            topic,
            partition,
            offsets: held.begin as i64..held.end as i64,
        })
        .collect();
    let (mut stretch, mut keys, mut away) = (Stretch::default(), HashSet::new(), None);
    let hasher = RandomState::new();
    reread(consumer, &wanted, |_, message| {
        let opened = match frames.open_in_time(message.key(), message.payload()) {
            Ok(opened) => opened,
            Err(Closed::Away(cause)) => return away = Some(cause),
            Err(Closed::NoSchema(_) | Closed::Unfit(_)) => return stretch.unreadable += 1,
        };
        match table.event(opened.value()) {
            Err(_) => stretch.unreadable += 1,
            Ok(None) => (),
            Ok(Some(event)) => {
                let appended = Timestamp(message.timestamp().to_millis().unwrap_or(0));
                if stretch.see(&event, table.truncation, (since, appended)) {
                    let row = dialects.row_of(source, table.name.as_str(), opened.key());
                    let row = row.as_deref().map_or(message.key().unwrap_or_default(), str::as_bytes);
                    keys.insert(hasher.hash_one(row));
                }
            }
        }
    })
    .with_context(|| format!("reading {topic}"))?;
    if let Some(cause) = away {
        anyhow::bail!("reading {topic}: {cause}");
    }
    stretch.keys = keys.len();
    Ok(stretch)
}

impl Stretch {
    /// Counts an event; whether it repeats a row. Where the source empties the table by habit, what it inserts is its load.
    fn see(&mut self, event: &Envelope<'_>, truncation: Truncation, (since, appended): (Timestamp, Timestamp)) -> bool {
        let is_loaded = event.operation == Operation::Create && truncation != Truncation::Snapshot;
        let is_read = event.operation == Operation::Read || event.snapshot() != Snapshot::No;
        if appended < since {
            self.began_before |= is_read && event.states_its_origin() && event.after.is_some();
            return false;
        }
        self.rows += u64::from(event.after.is_some());
        let repeats = event.after.is_some() && (is_read || is_loaded);
        if repeats {
            self.repeated += 1;
            self.unsaid += u64::from(!event.states_its_origin());
            self.newest = self.newest.max(Some(appended));
        }
        repeats
    }

    /// Why no snapshot has passed, with what to do; `None` when one has.
    fn refused(&self, topic: &str, since: Timestamp, now: Timestamp) -> Option<String> {
        let Some(newest) = self.newest else {
            return Some(format!(
                "{topic} holds {} rows since {}, and none that a snapshot read (op r, source.snapshot) or a load brought: had the connector taken \
                 one, they would be there. State when it really began, or let the connector take a full snapshot of the table",
                self.rows,
                floor::text(since)
            ));
        };
        let age = now.0.saturating_sub(newest.0);
        if age < QUIET {
            return Some(format!(
                "rows of the snapshot are still coming to {topic}, the newest {} seconds ago: when the connector has ended it, and none has \
                 come for {} seconds, run the command again",
                age.max(0) / 1000,
                QUIET / 1000
            ));
        }
        if self.began_before {
            return Some(format!(
                "a snapshot read rows of {topic} in the minute before {} too, so that it began earlier, and what it read first would go: state \
                 when it began",
                floor::text(since)
            ));
        }
        (self.repeated == self.unsaid).then(|| {
            format!(
                "none of the {} rows of {topic} since {} says whether a snapshot read it: let the connector add op or source.snapshot \
                 (`add.fields`), and take a full snapshot of the table again",
                self.repeated,
                floor::text(since)
            )
        })
    }
}

/// What was stated as text.
pub fn render(passed: &Passed) -> String {
    let Stretch {
        rows,
        repeated,
        keys,
        unsaid,
        unreadable,
        ..
    } = passed.stretch;
    let about = if passed.exact { "" } else { "about " };
    let mut text = format!(
        "{}: {rows} rows since, {repeated} of a snapshot or load, of {keys} keys; of {about}{} records of the table in the base it repeats all but \
         {about}{}\n",
        passed.topic, passed.records, passed.unrepeated
    );
    let unsaid = (unsaid > 0).then(|| {
        format!("{unsaid} of them do not say whether a snapshot read them: let the connector add op or source.snapshot (`add.fields`)\n")
    });
    let unreadable = (unreadable > 0).then(|| format!("{unreadable} messages cannot be read: see `canbao dlq list`\n"));
    text.extend(unsaid.into_iter().chain(unreadable));
    let statement = passed.statement;
    let fate = match &passed.fate {
        Fate::Gone => format!("every shard knows that these are gone (statement {statement})\n"),
        Fate::Held(why) => format!("statement {statement} is held: {why}\n"),
        Fate::Weighed => {
            format!(
                "the clock is still weighing statement {statement}: `canbao source list` and `canbao lag` show what becomes of it\n"
            )
        }
    };
    text.push_str(&fate);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::debezium::Rows;

    const TOPIC: &str = "human-resources.3201.public.ac02";
    const NOW: Timestamp = Timestamp(1_764_230_400_000);
    const SINCE: Timestamp = Timestamp(NOW.0 - 3_600_000);

    fn seen(truncation: Truncation, rows: Rows, events: &[(&str, i64)]) -> Stretch {
        let mut stretch = Stretch::default();
        for (event, ago) in events {
            let event = rows.parse(Some(event.as_bytes())).expect("an event").expect("no tombstone");
            stretch.see(&event, truncation, (SINCE, Timestamp(NOW.0 - ago)));
        }
        stretch
    }

    fn refused(stretch: &Stretch) -> Option<String> {
        stretch.refused(TOPIC, SINCE, NOW)
    }

    #[test]
    fn only_rows_of_a_snapshot_or_a_load_show_that_one_has_passed() {
        let streamed = (r#"{"op":"u","after":{"baz001":1}}"#, 60_000);
        let inserted = (r#"{"op":"c","after":{"baz001":1}}"#, 60_000);
        let deleted = (r#"{"op":"d","before":{"baz001":1}}"#, 60_000);
        let none = seen(Truncation::Snapshot, Rows::Envelope, &[streamed, inserted, deleted]);
        assert_eq!((none.rows, none.repeated), (2, 0));
        let why = refused(&none).expect("refused");
        assert!(why.contains("holds 2 rows since 2025-11-27T15:00:00+08:00"), "{why}");
        for mark in [
            r#"{"op":"r","after":{"baz001":1}}"#,
            r#"{"op":"r","source":{"snapshot":"incremental"},"after":{"baz001":1}}"#,
            r#"{"op":"c","source":{"snapshot":"true"},"after":{"baz001":1}}"#,
            r#"{"op":"c","source":{"snapshot":"first"},"after":{"baz001":1}}"#,
            r#"{"op":"r","source":{"snapshot":"last"},"after":{"baz001":1}}"#,
        ] {
            let some = seen(Truncation::Snapshot, Rows::Envelope, &[streamed, (mark, 60_000)]);
            assert_eq!((some.rows, some.repeated, some.unsaid), (2, 1, 0), "{mark}");
            assert_eq!(refused(&some), None);
        }
        for habit in [Truncation::Reload, Truncation::Empty] {
            assert_eq!(
                seen(habit, Rows::Envelope, &[inserted, streamed]).repeated,
                1,
                "a load inserts"
            );
        }
        let alone = seen(Truncation::Snapshot, Rows::Flattened, &[(r#"{"baz001":1}"#, 60_000)]);
        assert_eq!((alone.repeated, alone.unsaid), (1, 1));
        let why = refused(&alone).expect("rows that do not say so show nothing");
        assert!(why.contains("`add.fields`"), "{why}");
    }

    #[test]
    fn a_snapshot_that_began_earlier_is_not_stated_from_its_middle() {
        let read = r#"{"op":"r","after":{"baz001":1}}"#;
        let before = |ago| seen(Truncation::Snapshot, Rows::Envelope, &[(read, ago), (read, 60_000)]);
        assert_eq!(before(3_600_000).rows, 2);
        assert_eq!(refused(&before(3_600_000)), None);
        let stretch = before(3_600_001);
        assert_eq!(stretch.rows, 1);
        let why = refused(&stretch).expect("refused");
        assert!(why.contains("state when it began"), "{why}");
    }

    #[test]
    fn a_snapshot_is_not_over_while_its_rows_come() {
        let read = r#"{"op":"r","after":{"baz001":1}}"#;
        let at = |agos: &[i64]| {
            let events: Vec<(&str, i64)> = agos.iter().map(|ago| (read, *ago)).collect();
            refused(&seen(Truncation::Snapshot, Rows::Envelope, &events))
        };
        assert_eq!(at(&[QUIET, 60_000]), None);
        for agos in [[60_000, QUIET - 1], [-5_000, 60_000]] {
            let why = at(&agos).expect("refused");
            assert!(why.contains("still coming") && why.contains("run the command again"), "{why}");
        }
    }
}
