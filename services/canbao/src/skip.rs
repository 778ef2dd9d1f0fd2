//! `skip`: the operator's statement that the registry steps over an entry which it cannot apply (ARCHITECTURE.md, Exactly once).

use crate::operator;
use anyhow::{Context, ensure};
use domain::input::{Control, Input};
use domain::shard::Shard;
use runtime::store::refused::{self, Waiting};
use serde::Serialize;
use sqlx::{PgPool, Row};
use std::time::{Duration, Instant};

/// Wait between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// An entry that was stepped over.
#[derive(Debug, Serialize)]
pub struct Skipped {
    /// The shard.
    pub shard: Shard,
    /// The entry's offset in `person.records`.
    pub offset: i64,
    /// What it is, as far as it can be read.
    pub what: String,
    /// Why it could not be applied.
    pub cause: String,
    /// Who stated it.
    pub by: String,
}

/// States it and waits until the registry has stepped over the entry.
///
/// # Errors
/// When no shard waits at that entry, the registry does not step over it in time, or the store does not answer.
pub async fn skip(pool: &PgPool, shard: Shard, offset: i64, reason: &str, patience: Duration) -> anyhow::Result<Skipped> {
    ensure!(
        !reason.trim().is_empty(),
        "--reason is empty: say why, whoever asks later will want to know"
    );
    let by = operator::who();
    let stated = refused::skip(pool, shard, offset, &by, reason)
        .await
        .context("recording the statement: was `canbao migrate` run?")?;
    if !stated {
        let mut connection = pool.acquire().await.context("taking a connection")?;
        let waiting = refused::waiting(&mut connection).await.context("reading which shards wait")?;
        let is_stated = waiting
            .iter()
            .any(|entry| (entry.shard, entry.position, entry.is_stated) == (shard, offset, true));
        ensure!(is_stated, "{}", nobody_waits(shard, offset, &waiting));
    }
    let row = sqlx::query("select cause, body from store.refused_entry where shard = $1 and position = $2")
        .bind(i16::from(shard.number()))
        .bind(offset)
        .fetch_one(pool)
        .await
        .context("reading the entry")?;
    let deadline = Instant::now() + patience;
    while position(pool, shard).await? <= offset {
        ensure!(
            Instant::now() < deadline,
            "it is recorded that shard {shard} steps over the entry at {offset}, but it has not after {} seconds: is the registry running? \
             It does once it is",
            patience.as_secs()
        );
        tokio::time::sleep(LOOK).await;
    }
    Ok(Skipped {
        shard,
        offset,
        what: what(shard, row.try_get("body")?),
        cause: row.try_get("cause")?,
        by,
    })
}

async fn position(pool: &PgPool, shard: Shard) -> anyhow::Result<i64> {
    sqlx::query_scalar("select position from store.shard where shard = $1")
        .bind(i16::from(shard.number()))
        .fetch_one(pool)
        .await
        .context("reading where the shard stands")
}

fn nobody_waits(shard: Shard, offset: i64, waiting: &[Waiting]) -> String {
    let commands = waiting.iter().filter(|entry| !entry.is_stated);
    let commands: Vec<String> = commands
        .map(|entry| format!("`{}`", refused::command(entry.shard, entry.position)))
        .collect();
    let rest = if commands.is_empty() {
        "no shard waits at an entry".to_owned()
    } else {
        format!("what can be stepped over now: {}", commands.join(", "))
    };
    format!("shard {shard} does not wait at offset {offset}: {rest}")
}

/// What an entry is, without what it says of people.
fn what(shard: Shard, body: &[u8]) -> String {
    match schemas::codec::decode_entry(shard, body) {
        Err(_) => "an entry that cannot be read".to_owned(),
        Ok(Input::Change(change)) => {
            let ((source, table), version) = (change.origin(), change.version());
            let (table, partition, offset) = (table.as_str(), version.partition, version.offset);
            format!(
                "a record of {source} {table}, partition {partition}, offset {offset}: its next version is read like any other"
            )
        }
        Ok(Input::Entity(entity)) => format!("an employer of {} {}", entity.source, entity.table.as_str()),
        Ok(Input::Message(message)) => format!(
            "a message of shard {}: the base lacks what it said until it is made anew (`canbao restore --from-log`)",
            message.from
        ),
        Ok(Input::Control(Control::Completeness(_))) => "a statement of completeness; the next one says all of it".to_owned(),
        Ok(Input::Control(_)) => "a statement that the other shards have: make it again".to_owned(),
    }
}

/// The outcome as text.
pub fn render(skipped: &Skipped) -> String {
    let Skipped {
        shard,
        offset,
        what,
        cause,
        by,
    } = skipped;
    format!(
        "shard {shard} goes on behind offset {offset}, stepped over by {by} and kept in store.refused_entry ({cause}): {what}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_place_is_answered_with_the_right_one() {
        let shard = Shard::new(5).expect("a shard");
        let waiting = |is_stated| Waiting {
            shard,
            position: 7,
            cause: "cannot be read".to_owned(),
            since: 0,
            is_stated,
        };
        let text = nobody_waits(shard, 8, &[waiting(false)]);
        assert!(text.contains("`canbao skip 5 7 --reason TEXT`"), "{text}");
        assert!(nobody_waits(shard, 8, &[waiting(true)]).ends_with("no shard waits at an entry"));
        assert_eq!(what(shard, b"garbage"), "an entry that cannot be read");
    }
}
