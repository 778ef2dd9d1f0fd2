//! What each shard knows besides its persons, against its log: state, decisions, passes, messages to other shards, and the books.

use super::agreed::Agreed;
use super::compare::{Problems, Sample, TableReport};
use super::log::SourceLog;
use anyhow::Context;
use domain::date::Timestamp;
use domain::input::{Input, Message};
use domain::policy::PolicyId;
use domain::shard::Shard;
use domain::shard_state::{Pass, PassWork, ShardState};
use runtime::store::log::BookKey;
use runtime::store::read::StoredShard;
use runtime::store::{decisions, policies};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};

/// Compares all of it; `lost` are shards whose position the brokers do not hold.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn compare(
    connection: &mut PgConnection,
    shards: &[StoredShard],
    log: &SourceLog,
    agreed: &Agreed,
    lost: &[Sample],
    show: u32,
) -> anyhow::Result<Vec<TableReport>> {
    let sent: BTreeMap<Shard, i64> = sqlx::query("select shard, messages from store.shard")
        .fetch_all(&mut *connection)
        .await
        .context("reading the shards")?
        .iter()
        .map(|row| Ok((shard(row)?, row.try_get("messages")?)))
        .collect::<anyhow::Result<_>>()?;
    let mut states = states(shards, log, agreed, &sent, show);
    for sample in log.uneven_shards(agreed).into_iter().chain(lost.iter().cloned()) {
        states.note(sample.key, sample.problem);
    }
    Ok(vec![
        states.report(),
        decided(connection, log, show).await?,
        policies(connection, shards, log, show).await?,
        passes(connection, shards, show).await?,
        strays(connection, shards, show).await?.report(),
        books(connection, log, show).await?,
    ])
}

fn shard(row: &PgRow) -> anyhow::Result<Shard> {
    let number: i16 = row.try_get("shard")?;
    u8::try_from(number)
        .ok()
        .and_then(Shard::new)
        .with_context(|| format!("the store has a shard {number}"))
}

fn states(shards: &[StoredShard], log: &SourceLog, agreed: &Agreed, sent: &BTreeMap<Shard, i64>, show: u32) -> Problems {
    let mut problems = Problems::new("shard", show);
    problems.rows = shards.len() as u64;
    for (stored, logged) in shards.iter().zip(&log.shards) {
        let (shard, state) = (stored.shard, &stored.state);
        let mut note = |differs: bool, problem: String| {
            if differs {
                problems.note(shard.to_string(), problem);
            }
        };
        note(state.today != logged.today, "differs in business date".to_owned());
        note(state.live != logged.live, "differs in live regions".to_owned());
        note(state.decisions != agreed.rulings.digest(), "differs in decisions".to_owned());
        let policy = logged.policy.as_ref().map(|edition| edition.id());
        note(state.policy != policy, "differs in policy".to_owned());
        let mut said = ShardState::default();
        logged.floors.iter().for_each(|floor| said.raise_floor(floor, Timestamp(0)));
        logged.truncations.iter().for_each(|truncation| said.truncate(truncation));
        let [[floors, truncations], [said_floors, said_truncations]] = [state.known_places(), said.known_places()];
        note(floors != said_floors, "differs in complete snapshots".to_owned());
        note(truncations != said_truncations, "differs in truncations".to_owned());
        let next = state.messages_sent();
        let counted = sent.get(&shard).copied().unwrap_or_default();
        note(
            counted != next as i64,
            format!("counts {counted} messages sent, its state has {next}"),
        );
        let heard = log.messages.get(&shard);
        let missing = heard.map_or((next > 0).then_some(0), |heard| heard.missing(next));
        if let Some(missing) = missing {
            note(true, format!("its message {missing} stands in no log"));
        }
        for (receiver, at) in shards.iter().zip(&log.shards) {
            let heard = at.heard.get(&shard).copied().unwrap_or(0);
            let known = receiver.state.heard(shard);
            note(
                heard > next,
                format!("shard {} heard {heard} messages of it, it has sent {next}", receiver.shard),
            );
            note(
                heard != known,
                format!("shard {} knows {known} messages of it, its log has {heard}", receiver.shard),
            );
        }
    }
    problems
}

/// `store.decision`: in every shard what its log says.
async fn decided(connection: &mut PgConnection, log: &SourceLog, show: u32) -> anyhow::Result<TableReport> {
    let rows = sqlx::query("select shard, id, verdict, record, other, number from store.decision order by shard, id")
        .fetch_all(connection)
        .await
        .context("reading the decisions")?;
    let mut problems = Problems::new("decision", show);
    problems.rows = rows.len() as u64;
    let mut known = BTreeSet::new();
    for row in &rows {
        let (shard, id) = (shard(row)?, row.try_get::<i64, _>("id")?);
        let key = format!("{shard}/{id}");
        known.insert((shard, id as u64));
        let heard = log.shards[usize::from(shard.number())].decisions.get(&(id as u64));
        match (decisions::decision(row), heard) {
            (Err(_), _) => problems.note(key, "cannot be read"),
            (Ok(_), None) => problems.note(key, "unexpected: its shard's log has no such decision"),
            (Ok((_, stored)), Some(heard)) if stored != *heard => problems.note(key, "differs from what its shard's log says"),
            (Ok(_), Some(_)) => (),
        }
    }
    for (shard, logged) in Shard::all().zip(&log.shards) {
        for id in logged.decisions.keys().filter(|id| !known.contains(&(shard, **id))) {
            problems.note(format!("{shard}/{id}"), "missing");
        }
    }
    Ok(problems.report())
}

/// `store.policy`: the text of every policy that a shard stands under, and none that no log has.
async fn policies(
    connection: &mut PgConnection,
    shards: &[StoredShard],
    log: &SourceLog,
    show: u32,
) -> anyhow::Result<TableReport> {
    let rows = sqlx::query("select version, digest, text from store.policy order by version, digest")
        .fetch_all(connection)
        .await
        .context("reading the policies")?;
    let mut problems = Problems::new("policy", show);
    problems.rows = rows.len() as u64;
    let mut known = BTreeSet::new();
    for row in &rows {
        let version: i32 = row.try_get("version")?;
        match policies::edition(row) {
            Err(_) => problems.note(version.to_string(), "its text is not the one that is named"),
            Ok(edition) if !log.policies.contains(&edition.id()) => {
                problems.note(version.to_string(), "unexpected: no log has such a policy");
            }
            Ok(edition) => drop(known.insert(edition.id())),
        }
    }
    let in_force: BTreeSet<PolicyId> = shards.iter().filter_map(|stored| stored.state.policy).collect();
    for missing in in_force.difference(&known) {
        problems.note(missing.version.to_string(), "missing");
    }
    Ok(problems.report())
}

/// `store.pass` shows what is left to do by the shards' states.
async fn passes(connection: &mut PgConnection, shards: &[StoredShard], show: u32) -> anyhow::Result<TableReport> {
    let rows = sqlx::query("select shard, place, work, about, done from store.pass order by shard, place")
        .fetch_all(connection)
        .await
        .context("reading the passes")?;
    let mut problems = Problems::new("pass", show);
    problems.rows = rows.len() as u64;
    let mut shown: BTreeMap<(Shard, i16), (String, String, i64)> = BTreeMap::new();
    for row in &rows {
        let what = (row.try_get("work")?, row.try_get("about")?, row.try_get("done")?);
        shown.insert((shard(row)?, row.try_get("place")?), what);
    }
    let left: BTreeMap<(Shard, i16), (String, String, i64)> = shards
        .iter()
        .flat_map(|stored| {
            let passes = (0_i16..).zip(&stored.state.passes);
            passes.map(|(place, pass)| ((stored.shard, place), shown_as(pass)))
        })
        .collect();
    let keys: BTreeSet<_> = shown.keys().chain(left.keys()).collect();
    for key in keys {
        let problem = match (shown.get(key), left.get(key)) {
            (Some(_), None) => "unexpected: its shard has no such work",
            (None, Some(_)) => "missing",
            (shown, left) if shown != left => "differs from its shard's state",
            _ => continue,
        };
        problems.note(format!("{}/{}", key.0, key.1), problem);
    }
    Ok(problems.report())
}

fn shown_as(pass: &Pass) -> (String, String, i64) {
    let (work, about) = match &pass.work {
        PassWork::Snapshot(floor, _) => ("snapshot", format!("{}.{}", floor.source, floor.table.as_str())),
        PassWork::Policy(version) => ("policy", version.to_string()),
        PassWork::GoLive(region) => ("go-live", region.to_string()),
        PassWork::Publish => ("publish", String::new()),
    };
    (work.to_owned(), about, pass.done as i64)
}

/// Rows of `store.message` that nobody waits for: not what their shard has sent, or heard already. The relay deletes what it relayed a
/// moment after it may have been heard, so they count only when they stay.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn strays(connection: &mut PgConnection, shards: &[StoredShard], show: u32) -> anyhow::Result<Problems> {
    let rows = sqlx::query("select shard, sequence, receiver, value from store.message order by shard, sequence")
        .fetch_all(connection)
        .await
        .context("reading the messages between shards")?;
    let mut problems = Problems::new("message", show);
    problems.rows = rows.len() as u64;
    let of = |number: i16| shards.iter().find(|stored| i16::from(stored.shard.number()) == number);
    for row in &rows {
        let (sender, sequence): (i16, i64) = (row.try_get("shard")?, row.try_get("sequence")?);
        let key = format!("{sender}/{sequence}");
        let message = match schemas::codec::decode_input(row.try_get("value")?) {
            Ok(Input::Message(message)) => Some(message),
            _ => None,
        };
        let is_row = |message: &Message| i16::from(message.from.number()) == sender && message.sequence == sequence as u64;
        let (Some(message), Some(sender), Some(receiver)) = (message.filter(is_row), of(sender), of(row.try_get("receiver")?))
        else {
            problems.note(key, "cannot be read");
            continue;
        };
        if message.sequence >= sender.state.messages_sent() {
            problems.note(key, "was never sent by its shard");
        } else if receiver.state.has_seen(&message) {
            problems.note(key, "was heard already");
        }
    }
    Ok(problems)
}

/// Shard, agency, city, table, partition, outcome as stored.
type StoredBook = (i16, i16, i16, String, i16, i16);

/// The live counters of the books against the log.
async fn books(connection: &mut PgConnection, log: &SourceLog, show: u32) -> anyhow::Result<TableReport> {
    let rows = sqlx::query("select shard, agency, city, \"table\", partition, outcome, value from store.books")
        .fetch_all(connection)
        .await
        .context("reading the books")?;
    let mut stored = BTreeMap::new();
    for row in &rows {
        let key: StoredBook = (
            row.try_get("shard")?,
            row.try_get("agency")?,
            row.try_get("city")?,
            row.try_get("table")?,
            row.try_get("partition")?,
            row.try_get("outcome")?,
        );
        stored.insert(key, row.try_get::<i64, _>("value")?);
    }
    let counted = log.books.iter().map(|(key, value)| (stored_key(key), *value)).collect();
    let mut problems = Problems::new("books", show);
    problems.rows = rows.len() as u64;
    book_differences(&stored, &counted, &mut problems);
    Ok(problems.report())
}

fn stored_key((shard, source, table, partition, outcome): &BookKey) -> StoredBook {
    let agency = i16::from(source.agency.code());
    (
        i16::from(shard.number()),
        agency,
        source.city.code() as i16,
        table.clone(),
        *partition as i16,
        *outcome,
    )
}

fn book_differences(stored: &BTreeMap<StoredBook, i64>, counted: &BTreeMap<StoredBook, i64>, problems: &mut Problems) {
    let value = |books: &BTreeMap<StoredBook, i64>, key: &StoredBook| books.get(key).copied().unwrap_or(0);
    let keys: BTreeSet<&StoredBook> = stored.keys().chain(counted.keys()).collect();
    for key in keys {
        let (stored, counted) = (value(stored, key), value(counted, key));
        if stored != counted {
            let (shard, agency, city, table, partition, outcome) = key;
            let key = format!("{shard}/{agency}/{city}/{table}/{partition}/{outcome}");
            problems.note(key, format!("counts {stored}, the log has {counted}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_the_books_must_agree_with_the_log() {
        let key = |outcome| -> StoredBook { (0, 3, 3201, "ac02".to_owned(), 0, outcome) };
        let stored = BTreeMap::from([(key(1), 5), (key(2), 0), (key(3), 2)]);
        let counted = BTreeMap::from([(key(1), 5), (key(3), 1)]);
        let mut problems = Problems::new("books", 0);
        book_differences(&stored, &counted, &mut problems);
        let report = problems.report();
        assert_eq!(
            (report.differences, report.samples.len()),
            (1, 0),
            "counted, though none is shown"
        );
        let mut problems = Problems::new("books", 1);
        book_differences(&stored, &counted, &mut problems);
        let sample = problems.report().samples.remove(0);
        assert_eq!(
            (sample.key.as_str(), sample.problem.as_str()),
            ("0/3/3201/ac02/0/3", "counts 2, the log has 1")
        );
    }

    #[test]
    fn a_state_says_what_its_log_does() {
        let shards: Vec<StoredShard> = Shard::all()
            .map(|shard| StoredShard {
                shard,
                position: 0,
                outbox_next: 0,
                state: ShardState::default(),
                owner: None,
            })
            .collect();
        let log = SourceLog {
            shards: vec![super::super::log::ShardLog::default(); shards.len()],
            ..SourceLog::default()
        };
        let agreed = log.agreed();
        let shards: Vec<StoredShard> = shards
            .into_iter()
            .map(|mut stored| {
                stored.state.decisions = agreed.rulings.digest();
                stored
            })
            .collect();
        let found = |log: &SourceLog, sent: i64| {
            let sent = BTreeMap::from([(shards[3].shard, sent)]);
            states(&shards, log, &agreed, &sent, 9).report().samples
        };
        assert_eq!(found(&log, 0), []);
        assert_eq!(found(&log, 5)[0].problem, "counts 5 messages sent, its state has 0");
        let place = domain::input::SnapshotFloor {
            source: "human-resources.3201".parse().expect("a source"),
            table: domain::source::TableName::new("ac02"),
            epoch: 0,
            offsets: vec![7],
        };
        let mut forgotten = log;
        forgotten.shards[3].truncations.push(place.clone());
        forgotten.shards[4].floors.push(place);
        let said: Vec<String> = found(&forgotten, 0).into_iter().map(|sample| sample.problem).collect();
        assert_eq!(said, ["differs in truncations", "differs in complete snapshots"]);
    }
}
