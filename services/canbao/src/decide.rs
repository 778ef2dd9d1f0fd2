//! `decide`: what a reviewer decided of two source records, recorded, withdrawn and listed (复核决定).
//!
//! A decision is pinned to records, whose ids `canbao person` shows, and holds until it is withdrawn, whatever happens to the persons.

use crate::output::{Table, Verdict as Outcome};
use crate::person;
use anyhow::Context;
use domain::citizen_id::CitizenId;
use domain::decision::{Contradiction, Decision, Rulings, Verdict, kept};
use domain::ids::RecordId;
use domain::shard::Shard;
use runtime::config::Settings;
use runtime::statements::Statement;
use runtime::store::decisions;
use serde::Serialize;
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A decision in force.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Its number, for `decide withdraw`.
    pub decision: u64,
    /// `same` or `different`.
    pub verdict: &'static str,
    /// A record.
    pub record: String,
    /// The other.
    pub other: String,
    /// The number the person keeps, masked.
    pub number: Option<String>,
    /// It belongs to decisions that contradict each other, for this reason: none of them binds.
    pub contradiction: Option<&'static str>,
}

/// The statement of a decision. For one person it says which number they keep: the one that the person of `other` holds, else that of
/// the person of `record`, each by their own records: a number that a record came to by a decision is not its own.
///
/// # Errors
/// When a record is not in the base, when the decision would join the holders of two numbers through a record that is neither's, or
/// when the store does not answer.
pub async fn statement(
    settings: &Settings,
    pool: &PgPool,
    verdict: Verdict,
    record: RecordId,
    other: RecordId,
) -> anyhow::Result<Statement> {
    let rulings = rulings(pool).await?;
    let mut own = Vec::new();
    for record in [record, other] {
        let held = number_of(settings, pool, record).await?;
        own.push(if rulings.class(record).is_some() {
            rulings.own_number(record)
        } else {
            held
        });
    }
    if verdict == Verdict::Different {
        return Ok(Statement::Decide {
            verdict,
            record,
            other,
            number: None,
        });
    }
    let (record, other, number) = kept((record, own[0]), (other, own[1]));
    if let Some(refusal) = refusal(&rulings, record, other, number) {
        anyhow::bail!("{refusal}");
    }
    Ok(Statement::Decide {
        verdict,
        record,
        other,
        number,
    })
}

/// The statement that a decision is withdrawn.
///
/// # Errors
/// When nobody ever made it, it was refused, or it is withdrawn already; or the store does not answer.
pub async fn withdrawal(pool: &PgPool, decision: u64) -> anyhow::Result<Statement> {
    let rulings = rulings(pool).await?;
    let known = rulings.decisions().get(&decision).map(Option::is_some);
    // What was stated a moment ago may not have reached every shard; the clock sends statements in their order.
    let stated: Option<(bool, bool)> = sqlx::query_as(
        "select d.refused is not null, exists (select from store.statement u where u.kind = 'undecide' and u.refused is null
         and u.body ->> 'decision' = d.id::text) from store.statement d where d.kind = 'decide' and d.id = $1",
    )
    .bind(i64::try_from(decision).unwrap_or(i64::MAX))
    .fetch_optional(pool)
    .await
    .context("reading the statements")?;
    match withdrawn(decision, known, stated) {
        Some(refusal) => anyhow::bail!(refusal),
        None => Ok(Statement::Undecide(decision)),
    }
}

/// Why a decision cannot be withdrawn: by whether it is in force where it is known, and whether its statement was refused or withdrawn.
fn withdrawn(decision: u64, in_force: Option<bool>, stated: Option<(bool, bool)>) -> Option<String> {
    let shown = "`canbao decide list` shows those in force";
    match (in_force, stated) {
        (Some(false), _) | (_, Some((_, true))) => Some(format!("decision {decision} is withdrawn already: {shown}")),
        (Some(true), _) | (None, Some((false, false))) => None,
        (None, Some((true, false))) => Some(format!(
            "decision {decision} was refused when it was made, so it never was: {shown}"
        )),
        (None, None) => Some(format!(
            "there never was a decision {decision}, so nothing is withdrawn: {shown}"
        )),
    }
}

/// Why a decision that two records are one person cannot be made beside those in force, with what to do instead.
fn refusal(rulings: &Rulings, record: RecordId, other: RecordId, number: Option<CitizenId>) -> Option<String> {
    let id = rulings.decisions().last_key_value().map_or(0, |(id, _)| id + 1);
    let proposed = Decision {
        id,
        verdict: Verdict::Same,
        record,
        other,
        number,
    };
    let then = rulings.with([(id, Some(proposed))]);
    let case = then.case(record).filter(|case| case.why == Contradiction::TwoNumbers)?;
    let concerned = || {
        then.decisions()
            .values()
            .flatten()
            .filter(|decision| case.records.contains(&decision.other))
    };
    let mut text = String::from(
        "refused: it would make one person of the holders of two numbers, through a record that is neither's own.\n\
         If an earlier decision was wrong, withdraw it first:\n",
    );
    let earlier = concerned().filter(|decision| decision.id != id && decision.verdict == Verdict::Same);
    for decision in earlier {
        let number = decision.number.map_or_else(|| "no number".to_owned(), CitizenId::masked);
        let (decision, record, other) = (decision.id, decision.record, decision.other);
        let _ = writeln!(text, "  canbao decide withdraw {decision}    # {record} is {other}, {number}");
    }
    let mut holders: BTreeMap<CitizenId, RecordId> = BTreeMap::new();
    for decision in concerned() {
        holders.extend(decision.number.map(|number| (number, decision.other)));
    }
    let holders: Vec<RecordId> = holders.into_values().collect();
    text.push_str("If the holders are one person, say so of their own records first:\n");
    for pair in holders.windows(2).filter(|pair| pair[0] != pair[1]) {
        let _ = writeln!(text, "  canbao decide same {} {}", pair[0], pair[1]);
    }
    Some(text)
}

async fn rulings(pool: &PgPool) -> anyhow::Result<Rulings> {
    let mut connection = pool.acquire().await.context("taking a connection")?;
    let first = Shard::all().next().context("there are shards")?;
    decisions::rulings(&mut connection, first)
        .await
        .context("reading the decisions: was `canbao migrate` run?")
}

async fn number_of(settings: &Settings, pool: &PgPool, record: RecordId) -> anyhow::Result<Option<CitizenId>> {
    let found = person::find(settings, pool, &record.to_string()).await?;
    let known = found.persons.first();
    let known = known.with_context(|| format!("no record {record} is in the base; `canbao person <number>` shows record ids"))?;
    let number = known.number.as_deref().map(CitizenId::parse).transpose();
    // The cause would repeat nothing of the number, but is no help either.
    number.map_err(|_| anyhow::anyhow!("the person of record {record} has a number that cannot be read"))
}

/// The decisions in force; a difference when some contradict each other.
///
/// # Errors
/// When the store does not answer.
pub async fn list(pool: &PgPool) -> anyhow::Result<(Vec<Listed>, Outcome)> {
    let rulings = rulings(pool).await?;
    let case = |decision: &Decision| {
        let case = rulings.case(decision.record);
        case.filter(|case| case.records.contains(&decision.other))
    };
    let standing = rulings.decisions().values().flatten();
    let listed: Vec<Listed> = standing
        .map(|decision| Listed {
            decision: decision.id,
            verdict: decision.verdict.as_str(),
            record: decision.record.to_string(),
            other: decision.other.to_string(),
            number: decision.number.map(CitizenId::masked),
            contradiction: case(decision).map(|case| match case.why {
                Contradiction::OneAndTwo => "called one person and two",
                Contradiction::TwoNumbers => "joins the holders of two numbers",
            }),
        })
        .collect();
    let outcome = if rulings.cases().is_empty() {
        Outcome::Good
    } else {
        Outcome::Difference
    };
    Ok((listed, outcome))
}

/// The list as text.
pub fn render(listed: &[Listed]) -> String {
    let mut table = Table::new(["decision", "verdict", "record", "other record", "number", "binds"]);
    for decision in listed {
        table.row([
            decision.decision.to_string(),
            decision.verdict.to_owned(),
            decision.record.clone(),
            decision.other.clone(),
            decision.number.clone().unwrap_or_else(|| "-".to_owned()),
            decision
                .contradiction
                .map_or_else(|| "yes".to_owned(), |why| format!("no: {why}")),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{DecideAction, decide_action};
    use domain::date::Day;

    fn record(name: u8) -> RecordId {
        RecordId([name; 16])
    }

    fn number(sequence: u16) -> Option<CitizenId> {
        CitizenId::from_parts(320_102, Day(7_000), sequence)
    }

    fn made(rulings: &Rulings, id: u64, one: u8, other: u8, number: Option<CitizenId>) -> Rulings {
        let decision = Decision {
            id,
            verdict: Verdict::Same,
            record: record(one),
            other: record(other),
            number,
        };
        rulings.with([(id, Some(decision))])
    }

    #[test]
    fn only_what_was_decided_is_withdrawn() {
        for (in_force, stated, part) in [
            (None, None, "never was"),
            (None, Some((true, false)), "refused when it was made"),
            (Some(false), None, "already"),
            (Some(true), Some((false, true)), "already"),
            (None, Some((false, true)), "already"),
        ] {
            let refusal = withdrawn(7, in_force, stated).expect("nothing to withdraw");
            assert!(refusal.contains(part) && refusal.contains("decision 7"), "{refusal}");
        }
        assert_eq!(withdrawn(7, Some(true), Some((false, false))), None);
        assert_eq!(withdrawn(7, Some(true), None), None, "of a base made anew from its log");
        assert_eq!(withdrawn(7, None, Some((false, false))), None, "stated a moment ago");
    }

    /// Record 1 was called the holder of number 11, record 2; now somebody calls it the holder of 12, record 3.
    #[test]
    fn a_refusal_prints_what_helps() {
        let rulings = made(&Rulings::default(), 7, 1, 2, number(11));
        assert_eq!(refusal(&rulings, record(4), record(2), number(11)), None);
        let refused = refusal(&rulings, record(1), record(3), number(12)).expect("it joins two holders");
        assert!(!refused.contains(&number(11).expect("a number").text()), "{refused}");
        let commands: Vec<DecideAction> = refused
            .lines()
            .filter_map(|line| line.trim().strip_prefix("canbao "))
            .map(|line| line.split('#').next().unwrap_or_default())
            .map(|line| decide_action(line.split_whitespace()).expect("a command of canbao"))
            .collect();
        assert_eq!(commands.len(), 2);
        for command in commands {
            let mended = match command {
                DecideAction::Withdraw { decision } => rulings.with([(decision, None)]),
                DecideAction::Same { record: one, other } => {
                    assert_eq!(refusal(&rulings, one, other, number(12)), None);
                    made(&rulings, 8, one.0[0], other.0[0], number(12))
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(refusal(&mended, record(1), record(3), number(12)), None);
        }
    }
}
