//! The agencies that a base knows: table `store.agency`.

use super::session;
use crate::config::ConfigError;
use crate::patience::wait_out;
use crate::shutdown::Shutdown;
use domain::source::Agency;
use sqlx::{PgConnection, PgPool};

/// Registers the agencies of the process with the base, as soon as the database lets us; false when asked to end before that.
///
/// # Errors
/// [`ConfigError::Invalid`] with every difference of the two and what to set; or no waiting helps.
pub async fn agree(pool: &PgPool, shutdown: &mut Shutdown) -> anyhow::Result<bool> {
    let passes = |error: &anyhow::Error| error.downcast_ref().is_some_and(session::is_passing);
    let agreed = wait_out("registering the agencies", shutdown, passes, async || register(pool).await);
    Ok(agreed.await?.is_some())
}

async fn register(pool: &PgPool) -> anyhow::Result<()> {
    let (codes, names, decides): (Vec<i16>, Vec<String>, Vec<String>) = Agency::all()
        .map(|agency| (i16::from(agency.code()), agency.to_string(), decides(agency)))
        .collect();
    sqlx::query(
        "insert into store.agency (code, name, decides) select * from unnest($1::smallint[], $2::text[], $3::text[]) on conflict do nothing",
    )
    .bind(codes)
    .bind(names)
    .bind(decides)
    .execute(pool)
    .await?;
    let mut connection = pool.acquire().await?;
    let differences = differences(&mut connection).await?;
    if differences.is_empty() {
        return Ok(());
    }
    let problems = differences.into_iter().map(|(_, problem)| format!("agencies: {problem}"));
    Err(ConfigError::Invalid(problems.collect()).into())
}

/// Where base and process say something else of an agency: its name, and what to do.
///
/// # Errors
/// When the database does not answer, or is not migrated.
pub async fn differences(connection: &mut PgConnection) -> sqlx::Result<Vec<(String, String)>> {
    let known: Vec<(i16, String, String)> = sqlx::query_as("select code, name, decides from store.agency order by code")
        .fetch_all(connection)
        .await?;
    let differing = |(code, name, decides): &(i16, String, String)| Some((name.clone(), differs(*code, name, decides)?));
    let mut found: Vec<(String, String)> = known.iter().filter_map(differing).collect();
    let stands = |agency: &Agency| known.iter().any(|(code, ..)| *code == i16::from(agency.code()));
    found.extend(Agency::all().filter(|agency| !stands(agency)).map(|agency| {
        let problem = format!(
            "`{agency}` (code {}) is not registered with the base under this code",
            agency.code()
        );
        (agency.to_string(), problem)
    }));
    Ok(found)
}

fn decides(agency: Agency) -> String {
    let fields: Vec<&str> = agency.authority().iter().map(|field| field.as_str()).collect();
    fields.join(",")
}

/// What the process says else of an agency than the base.
fn differs(code: i16, name: &str, known: &str) -> Option<String> {
    let Some(agency) = u8::try_from(code).ok().and_then(Agency::from_code) else {
        return Some(format!(
            "the base knows `{name}` (code {code}), this process does not: set `agencies` (CANBAO_AGENCIES) to the file that states it, \
             the same for every service"
        ));
    };
    if agency.as_str() != name {
        return Some(format!(
            "code {code} is `{name}` in the base and `{agency}` here: a code is never used again, give `{agency}` another one"
        ));
    }
    let here = decides(agency);
    (here != known).then(|| {
        format!(
            "`{name}` decides of [{here}] here and of [{known}] in the base: put `authority` back, identities were found by it"
        )
    })
}
