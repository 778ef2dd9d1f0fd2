//! `policy`: which policy (政策) is in force, and a newer one comes into force: a statement that the logs keep with its text.

use crate::output::Table;
use crate::statements::{self, Stated};
use anyhow::{Context, bail};
use domain::policy::{Edition, PolicyId};
use runtime::statements::{Statement, insert};
use runtime::store::{policies, read};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A policy that came into force in some shard, or was stated and will.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Its version.
    pub version: u32,
    /// SHA-256 of its text.
    pub digest: String,
    /// The first business date it is meant for.
    pub valid_from: String,
    /// How many shards stand under it.
    pub shards: usize,
}

/// Reads and checks a policy file.
///
/// # Errors
/// When it cannot be read or is no policy; the message names file and key.
pub fn read_file(file: &Path) -> anyhow::Result<Edition> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading policy {}", file.display()))?;
    Edition::parse(text).with_context(|| format!("policy {}", file.display()))
}

async fn newest(connection: &mut PgConnection) -> anyhow::Result<Option<Arc<Edition>>> {
    let newest = policies::newest(connection, None).await;
    newest.context("reading the policies: was `canbao migrate` run?")
}

/// States the first policy of a base: the file, else the one this program carries. What was stated before stays.
///
/// # Errors
/// When a file is given and another policy was stated before, or the store does not answer.
pub async fn state_first(pool: &PgPool, file: Option<&Path>) -> anyhow::Result<PolicyId> {
    let given = file.map(read_file).transpose()?;
    let mut connection = pool.acquire().await.context("taking a connection")?;
    if let Some(known) = newest(&mut connection).await? {
        if let Some(given) = given.filter(|given| given.id() != known.id()) {
            bail!(
                "this base has policy {} already, the file is {}: `canbao policy adopt FILE` brings a newer one into force",
                known.id(),
                given.id()
            );
        }
        return Ok(known.id());
    }
    let first = Arc::new(given.unwrap_or_else(Edition::embedded));
    insert(pool, &Statement::Policy(Arc::clone(&first)))
        .await
        .context("stating the first policy")?;
    Ok(first.id())
}

/// States a policy, and waits until every shard stands under it.
///
/// # Errors
/// When the file is no policy, is not newer than the one in force, or the clock does not answer in time.
pub async fn adopt(pool: &PgPool, file: &Path, patience: Duration) -> anyhow::Result<Stated> {
    let edition = Arc::new(read_file(file)?);
    let mut connection = pool.acquire().await.context("taking a connection")?;
    // The clock decides, in the order of the statements; here it is said at once, whether or not the clock runs.
    if let Some(known) = newest(&mut connection).await? {
        edition.id().may_follow(known.id())?;
    }
    drop(connection);
    let id = edition.id();
    let stated = statements::state(pool, &Statement::Policy(edition), patience).await?;
    Ok(Stated {
        body: serde_json::json!({ "version": id.version, "sha256": id.digest.to_string() }),
        ..stated
    })
}

/// The policy that was stated last.
///
/// # Errors
/// When there is none, or the store does not answer.
pub async fn in_force(pool: &PgPool) -> anyhow::Result<Arc<Edition>> {
    let mut connection = pool.acquire().await.context("taking a connection")?;
    let newest = newest(&mut connection).await?;
    newest.context("no policy was stated yet: run `canbao migrate`")
}

/// Every policy that came into force, and the one that was stated last.
///
/// # Errors
/// When one cannot be read, or the store does not answer.
pub async fn list(pool: &PgPool) -> anyhow::Result<Vec<Listed>> {
    let mut connection = pool.acquire().await.context("taking a connection")?;
    let rows = sqlx::query("select version, digest, text from store.policy")
        .fetch_all(&mut *connection)
        .await
        .context("reading the policies: was `canbao migrate` run?")?;
    let mut known: BTreeMap<PolicyId, Arc<Edition>> = BTreeMap::new();
    for row in &rows {
        let edition = policies::edition(row).context("reading the policies")?;
        known.insert(edition.id(), Arc::new(edition));
    }
    known.extend(newest(&mut connection).await?.map(|edition| (edition.id(), edition)));
    let shards = read::shards(&mut connection).await.context("reading the shards")?;
    let of = |edition: &Edition| Listed {
        version: edition.id().version,
        digest: edition.id().digest.to_string(),
        valid_from: edition.policy().valid_from.to_string(),
        shards: shards.iter().filter(|row| row.state.policy == Some(edition.id())).count(),
    };
    Ok(known.values().map(|edition| of(edition)).collect())
}

/// The policy that a shard's persons are described under; `None` before the first.
///
/// # Errors
/// When it cannot be read, or the store does not answer.
pub(crate) async fn of_shard(connection: &mut PgConnection, policy: Option<PolicyId>) -> anyhow::Result<Option<Arc<Edition>>> {
    let Some(id) = policy else { return Ok(None) };
    let read = policies::read(connection, &BTreeSet::from([id])).await;
    Ok(read.context("reading the policy in force")?.remove(&id))
}

/// The list as text.
pub fn render(listed: &[Listed]) -> String {
    let mut table = Table::new(["version", "valid from", "shards", "sha256"]);
    for policy in listed {
        table.row([
            policy.version.to_string(),
            policy.valid_from.clone(),
            policy.shards.to_string(),
            policy.digest.clone(),
        ]);
    }
    table.render()
}
