//! The source log against `person.records`, shard by shard: every entry up to the shard's position stands in the log, once and as the
//! broker has it, and nothing else does. Offsets in which the broker's reader finds nothing, such as a marker's, are no gap; vectors of
//! completeness are not logged, and are compared with what the shard knows.

use super::compare::{Problems, TableReport};
use super::published::digest;
use crate::cursor::Cursor;
use crate::topics::{self, Reader};
use anyhow::Context;
use domain::date::Timestamp;
use domain::input::{Control, Input};
use domain::shard_state::ShardState;
use indicatif::ProgressBar;
use rdkafka::message::Message;
use runtime::config::Settings;
use runtime::kafka::offsets;
use runtime::kafka::read_range;
use runtime::kafka::topics::PERSON_RECORDS;
use runtime::store::read::StoredShard;
use schemas::framing::Codec;
use schemas::registry::Kind;
use sqlx::{PgConnection, Row};
use std::collections::VecDeque;
use tokio::task::block_in_place;

type Digest = [u8; 16];

/// An entry as the broker has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    position: i64,
    at: i64,
    /// `None` for what is not logged.
    digest: Option<Digest>,
}

/// A row of the source log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Logged {
    shard: i16,
    position: i64,
    at: i64,
    digest: Digest,
}

/// What the comparison came to.
pub(super) struct Compared {
    pub(super) report: TableReport,
    /// Rows older than what the broker still holds.
    pub(super) unchecked: u64,
    /// When the newest entry was appended.
    pub(super) newest: Timestamp,
}

/// Compares every shard. The rows come from the database in order of shard and position, which sorts digests, not contents.
///
/// # Errors
/// When brokers or store do not answer.
pub(super) async fn compare(
    connection: &mut PgConnection,
    settings: &Settings,
    shards: &[StoredShard],
    show: u32,
    progress: &ProgressBar,
) -> anyhow::Result<Compared> {
    let query =
        "select shard, position, (extract(epoch from logged_at) * 1000)::bigint as at, substr(sha256(body), 1, 16) as digest
                 from store.source_log order by shard, position";
    let mut rows = Rows {
        cursor: Cursor::open(connection, "verify_entries", "the source log", query).await?,
        fetched: VecDeque::new(),
        ended: false,
    };
    let consumer = topics::range_reader(settings)?;
    let (mut unchecked, mut newest) = (0, Timestamp(0));
    let mut problems = Problems::new(PERSON_RECORDS, show);
    progress.set_length(shards.len() as u64);
    for stored in shards {
        let number = i16::from(stored.shard.number());
        let read = block_in_place(|| read(&consumer, stored))?;
        let mut page = Page::new(stored.shard.to_string(), read.entries, read.from, stored.position);
        while let Some(row) = rows.next(connection).await? {
            if row.shard > number {
                rows.put_back(row);
                break;
            }
            newest = newest.max(Timestamp(row.at));
            page.take(&row, &mut problems);
        }
        unchecked += page.unchecked;
        let taken = page.close(&mut problems);
        problems.rows += taken;
        newest = newest.max(read.newest);
        if read.from == 0
            && let Some(complete) = &read.complete
            && complete.complete != stored.state.complete
        {
            problems.note(
                stored.shard.to_string(),
                "the shard knows another completeness than it was told",
            );
        }
        progress.inc(1);
    }
    rows.cursor.close(connection).await?;
    Ok(Compared {
        report: problems.report(),
        unchecked,
        newest,
    })
}

/// Rows in the order of the cursor.
struct Rows {
    cursor: Cursor,
    fetched: VecDeque<Logged>,
    ended: bool,
}

impl Rows {
    async fn next(&mut self, connection: &mut PgConnection) -> anyhow::Result<Option<Logged>> {
        if self.fetched.is_empty() && !self.ended {
            let rows = self.cursor.page(connection).await?;
            self.ended = rows.is_empty();
            for row in &rows {
                self.fetched.push_back(Logged {
                    shard: row.try_get("shard")?,
                    position: row.try_get("position")?,
                    at: row.try_get("at")?,
                    digest: row.try_get::<&[u8], _>("digest")?.try_into()?,
                });
            }
        }
        Ok(self.fetched.pop_front())
    }

    fn put_back(&mut self, row: Logged) {
        self.fetched.push_front(row);
    }
}

/// A partition up to the position of its shard.
struct Read {
    entries: Vec<Entry>,
    /// The first offset the broker still holds.
    from: i64,
    /// What the vectors of completeness come to; `None` without one.
    complete: Option<ShardState>,
    newest: Timestamp,
}

fn read(consumer: &Reader, stored: &StoredShard) -> anyhow::Result<Read> {
    let partition = i32::from(stored.shard.number());
    let held = offsets::watermarks(consumer, PERSON_RECORDS, partition)
        .with_context(|| format!("reading the range of {PERSON_RECORDS}/{partition}"))?;
    let mut read = Read {
        entries: Vec::new(),
        from: held.low,
        complete: None,
        newest: Timestamp(0),
    };
    let to = stored.position.min(held.high);
    read_range(consumer, PERSON_RECORDS, partition, held.low, to, |message| {
        let body = message.payload().unwrap_or_default();
        let at = message.timestamp().to_millis().unwrap_or(0);
        read.newest = read.newest.max(Timestamp(at));
        let vector = completeness(body);
        let digest = vector.is_none().then(|| digest(body));
        if let Some(vector) = vector {
            read.complete.get_or_insert_default().complete(&vector);
        }
        read.entries.push(Entry {
            position: message.offset(),
            at,
            digest,
        });
    })?;
    Ok(read)
}

type Vector = Vec<(domain::source::Source, Timestamp)>;

/// The vector that an entry states, if it is one. Only the clock's and the operators' entries are decoded for that.
fn completeness(body: &[u8]) -> Option<Vector> {
    let version = Codec::current().version_of(body).ok()?;
    if version.kind != Kind::Control {
        return None;
    }
    match schemas::codec::decode_input(body) {
        Ok(Input::Control(Control::Completeness(vector))) => Some(vector),
        _ => None,
    }
}

/// The entries of a shard, while the rows of its log are taken in order of position.
struct Page {
    shard: String,
    entries: VecDeque<Entry>,
    from: i64,
    position: i64,
    last: Option<i64>,
    taken: u64,
    unchecked: u64,
}

impl Page {
    fn new(shard: String, entries: Vec<Entry>, from: i64, position: i64) -> Self {
        Self {
            shard,
            entries: entries.into(),
            from,
            position,
            last: None,
            taken: 0,
            unchecked: 0,
        }
    }

    fn take(&mut self, row: &Logged, problems: &mut Problems) {
        let Logged { position, .. } = *row;
        self.taken += 1;
        let key = format!("{}/{position}", self.shard);
        if self.last.replace(position) == Some(position) {
            return problems.note(key, "stands twice in the source log");
        }
        if position >= self.position {
            return problems.note(key, "stands in the source log behind the position of its shard");
        }
        if position < self.from {
            self.unchecked += 1;
            return;
        }
        self.pass(position, problems);
        match self.entries.front() {
            Some(entry) if entry.position == position => match entry.digest {
                None => problems.note(key, "is a vector of completeness, which is not logged"),
                Some(digest) if digest != row.digest => problems.note(key, "reads otherwise in the source log"),
                Some(_) if entry.at != row.at => problems.note(key, "has another time in the source log"),
                Some(_) => (),
            },
            _ => return problems.note(key, "stands in the source log only"),
        }
        self.entries.pop_front();
    }

    /// Passes the entries before a position: they have no row.
    fn pass(&mut self, position: i64, problems: &mut Problems) {
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.position < position) {
            if entry.digest.is_some() {
                problems.note(format!("{}/{}", self.shard, entry.position), "is missing in the source log");
            }
        }
    }

    /// Rows taken.
    fn close(mut self, problems: &mut Problems) -> u64 {
        self.pass(i64::MAX, problems);
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(position: i64, digest: Option<u8>) -> Entry {
        Entry {
            position,
            at: 5,
            digest: digest.map(|byte| [byte; 16]),
        }
    }

    fn row(position: i64, digest: u8) -> Logged {
        Logged {
            shard: 0,
            position,
            at: 5,
            digest: [digest; 16],
        }
    }

    fn compared(entries: &[Entry], rows: &[Logged]) -> Vec<(String, String)> {
        let mut problems = Problems::new(PERSON_RECORDS, 10);
        let mut page = Page::new("0".to_owned(), entries.to_vec(), 2, 9);
        for row in rows {
            page.take(row, &mut problems);
        }
        page.close(&mut problems);
        let samples = problems.report().samples.into_iter();
        samples.map(|sample| (sample.key, sample.problem)).collect()
    }

    #[test]
    fn the_log_is_what_the_broker_has() {
        // Offset 5 is a marker's, 6 a vector of completeness, 1 is no longer held.
        let entries = [
            entry(2, Some(2)),
            entry(3, Some(3)),
            entry(4, Some(4)),
            entry(6, None),
            entry(7, Some(7)),
        ];
        let good = [row(1, 1), row(2, 2), row(3, 3), row(4, 4), row(7, 7)];
        assert_eq!(compared(&entries, &good), []);
        let late = Logged { at: 6, ..row(4, 4) };
        for (rows, key, problem) in [
            (vec![row(2, 2), row(3, 3), row(4, 4)], "0/7", "is missing in the source log"),
            (
                vec![row(2, 2), row(3, 3), row(4, 9), row(7, 7)],
                "0/4",
                "reads otherwise in the source log",
            ),
            (
                vec![row(2, 2), row(3, 3), late, row(7, 7)],
                "0/4",
                "has another time in the source log",
            ),
            (
                vec![row(2, 2), row(3, 3), row(4, 4), row(5, 5), row(7, 7)],
                "0/5",
                "stands in the source log only",
            ),
            (
                vec![row(2, 2), row(3, 3), row(4, 4), row(6, 6), row(7, 7)],
                "0/6",
                "is a vector of completeness, which is not logged",
            ),
            (
                vec![row(2, 2), row(3, 3), row(3, 3), row(4, 4), row(7, 7)],
                "0/3",
                "stands twice in the source log",
            ),
            (
                vec![row(2, 2), row(3, 3), row(4, 4), row(7, 7), row(9, 9)],
                "0/9",
                "stands in the source log behind the position of its shard",
            ),
        ] {
            assert_eq!(compared(&entries, &rows), [(key.to_owned(), problem.to_owned())]);
        }
    }
}
