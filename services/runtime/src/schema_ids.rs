//! Schema ids of a configured registry (模式注册表): looked up at start, registered by `canbao register-schemas` only.
//!
//! Services never register: what a registry holds is decided by an operator, once per release, and its compatibility check has
//! the word before a value is written. Every shipped version is looked up under each of its subjects, so that a reader that goes
//! by the topic finds it, too; all of them must have one id, since a value carries one.

use crate::config::{ConfigError, Settings};
use crate::health::Health;
use crate::shutdown::Shutdown;
use schema_registry_converter::async_impl::schema_registry::{SrSettings, is_compatible_schema, perform_sr_call, post_schema};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{RawError, SchemaType, SrCall, SuppliedSchema};
use schemas::registry::{self, SchemaVersion};
use schemas::{Codec, OtherIdsInUse};
use serde::Serialize;
use std::error::Error;
use std::time::{Duration, Instant};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a request that was not answered is made, and the pause between; each may be repeated, registering too.
const ATTEMPTS: u32 = 3;
const BREATH: Duration = Duration::from_millis(250);
/// How long a starting service waits for a registry that does not answer, and how long between attempts.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(2);
/// Confluent's codes for an unknown subject, version and schema;
/// <https://docs.confluent.io/platform/current/schema-registry/develop/api.html>.
const NOT_FOUND: [u32; 3] = [40401, 40402, 40403];

/// Why a registry's ids cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A shipped schema is not registered.
    #[error(
        "the schema registry has no {record} version {version} under subject {subject}: register what this release ships with \
         `canbao register-schemas`"
    )]
    Missing {
        /// Full name of the record.
        record: &'static str,
        /// Its shipped version.
        version: u32,
        /// Where it was looked for.
        subject: String,
    },
    /// The registry holds something under the subject that the shipped schema cannot follow.
    #[error(
        "the schema registry finds {record} version {version} not compatible with what it holds under subject {subject}; nothing \
         was registered"
    )]
    Incompatible {
        /// Full name of the record.
        record: &'static str,
        /// Its shipped version.
        version: u32,
        /// Where it was to be registered.
        subject: String,
    },
    /// The registry numbers a schema per subject.
    #[error(
        "the schema registry has {record} version {version} under id {id}, but under subject {subject} it is id {other}: Canbao \
         needs a registry that gives equal schemas one id"
    )]
    Several {
        /// Full name of the record.
        record: &'static str,
        /// Its shipped version.
        version: u32,
        /// Id under other subjects.
        id: u32,
        /// The subject that differs.
        subject: String,
        /// The id there.
        other: u32,
    },
    /// The registry answered with an error.
    #[error("the schema registry refused a request for subject {subject}: {reason}")]
    Refused {
        /// What was asked about.
        subject: String,
        /// Its own words.
        reason: String,
    },
    /// The registry did not answer, or only that it cannot now.
    #[error("the schema registry does not answer: {reason}; is it running, and does CANBAO_SCHEMA_REGISTRY name it?")]
    Unreachable {
        /// What the client saw.
        reason: String,
    },
    /// Too late.
    #[error(transparent)]
    InUse(#[from] OtherIdsInUse),
}

impl SchemaError {
    /// Whether waiting can help; all else is for an operator to mend.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// A shipped version under one of its subjects, as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registered {
    /// The subject.
    pub subject: String,
    /// Full name of the record.
    pub record: &'static str,
    /// Its shipped version; the registry may count otherwise.
    pub version: u32,
    /// The registry's id.
    pub id: u32,
    /// Whether it was registered just now.
    pub new: bool,
}

/// A client of the configured registry.
#[derive(Debug, Clone)]
pub struct SchemaRegistry {
    client: SrSettings,
}

impl SchemaRegistry {
    /// The configured registry; `None` when the embedded one is in force.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn configured(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        settings.schema_registry.as_deref().map(Self::at).transpose()
    }

    fn at(url: &str) -> Result<Self, ConfigError> {
        client(url, "schema_registry").map(|client| Self { client })
    }

    /// The ids of the shipped versions, in the order of [`registry::all`]. Changes nothing.
    ///
    /// # Errors
    /// When one of them is not registered, or the registry does not answer.
    pub async fn ids(&self) -> Result<Vec<u32>, SchemaError> {
        let mut ids = Vec::with_capacity(registry::all().len());
        for version in registry::all() {
            let mut one = None;
            for subject in registry::subjects_of(version.kind) {
                let Some(id) = self.look_up(version, &subject).await? else {
                    return Err(SchemaError::Missing {
                        record: version.kind.record_name(),
                        version: version.version,
                        subject,
                    });
                };
                same_id(version, *one.get_or_insert(id), &subject, id)?;
            }
            ids.push(one.expect("every kind has a subject"));
        }
        Ok(ids)
    }

    /// Registers the shipped versions that are missing, after the registry has found each of them compatible with what it holds.
    ///
    /// # Errors
    /// Before anything is registered when one is not compatible; later only when the registry fails, and then it can be repeated.
    pub async fn register(&self) -> Result<Vec<Registered>, SchemaError> {
        let mut places = Vec::new();
        for version in registry::all() {
            for subject in registry::subjects_of(version.kind) {
                let id = self.look_up(version, &subject).await?;
                if id.is_none() {
                    self.check(version, &subject).await?;
                }
                places.push((version, subject, id));
            }
        }
        let mut registered: Vec<Registered> = Vec::with_capacity(places.len());
        for (version, subject, known) in places {
            let record = version.kind.record_name();
            let id = match known {
                Some(id) => id,
                None => self.post(version, &subject).await?,
            };
            let before = registered
                .last()
                .filter(|last| (last.record, last.version) == (record, version.version));
            same_id(version, before.map_or(id, |before| before.id), &subject, id)?;
            registered.push(Registered {
                subject,
                record,
                version: version.version,
                id,
                new: known.is_none(),
            });
        }
        Ok(registered)
    }

    async fn look_up(&self, version: &SchemaVersion, subject: &str) -> Result<Option<u32>, SchemaError> {
        let body = serde_json::json!({ "schema": version.text, "schemaType": "AVRO" }).to_string();
        match repeated(async || perform_sr_call(&self.client, SrCall::PostForVersion(subject, &body)).await).await {
            Ok(found) => found.id.map(Some).ok_or_else(|| SchemaError::Refused {
                subject: subject.to_owned(),
                reason: "its answer has no id: is this the address of a schema registry's API?".to_owned(),
            }),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(failure(subject, &error)),
        }
    }

    /// By the level that the registry has for the subject; Canbao's own is `FULL_TRANSITIVE`.
    async fn check(&self, version: &SchemaVersion, subject: &str) -> Result<(), SchemaError> {
        match repeated(async || is_compatible_schema(&self.client, subject.to_owned(), supplied(version)).await).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(SchemaError::Incompatible {
                record: version.kind.record_name(),
                version: version.version,
                subject: subject.to_owned(),
            }),
            // Nothing there to be compatible with; some registries say yes, others that there is no such subject.
            Err(error) if is_not_found(&error) => Ok(()),
            Err(error) => Err(failure(subject, &error)),
        }
    }

    async fn post(&self, version: &SchemaVersion, subject: &str) -> Result<u32, SchemaError> {
        let posted = repeated(async || post_schema(&self.client, subject.to_owned(), supplied(version)).await).await;
        posted.map(|posted| posted.id).map_err(|error| failure(subject, &error))
    }
}

/// Makes the configured registry's ids those of this process; without one the embedded ids stay.
///
/// # Errors
/// [`ConfigError`], or [`SchemaError`] when a shipped schema is not registered or the registry does not answer.
pub async fn adopt(settings: &Settings) -> anyhow::Result<()> {
    if let Some(registry) = SchemaRegistry::configured(settings)? {
        install(registry.ids().await?)?;
    }
    Ok(())
}

/// [`adopt`] for a starting service: waits a while for a registry that does not answer; `false` when asked to end meanwhile.
pub(crate) async fn adopt_patiently(settings: &Settings, health: &Health, shutdown: &mut Shutdown) -> anyhow::Result<bool> {
    let Some(registry) = SchemaRegistry::configured(settings)? else {
        return Ok(true);
    };
    let check = health.check("schema registry");
    let deadline = Instant::now() + PATIENCE;
    let ids = loop {
        match registry.ids().await {
            Err(error) if error.is_passing() && Instant::now() < deadline => {
                tracing::warn!(%error, "waiting for the schema registry");
                check.fail("it does not answer");
                if shutdown.sleep(PAUSE).await {
                    return Ok(false);
                }
            }
            ids => break ids?,
        }
    };
    tracing::info!(?ids, "schema ids of the configured registry are used");
    install(ids)?;
    check.pass();
    Ok(true)
}

/// `ids` in the order of [`registry::all`].
fn install(ids: Vec<u32>) -> Result<(), OtherIdsInUse> {
    let mut ids = ids.into_iter();
    Codec::with_ids(|_| ids.next().expect("one id for every shipped version")).install()
}

/// Makes a request again when it was not answered: a busy registry drops or forgets one now and then.
async fn repeated<T>(ask: impl AsyncFn() -> Result<T, SRCError>) -> Result<T, SRCError> {
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        match ask().await {
            Err(error) if error.retriable && left > 0 => {
                tracing::debug!(%error, left, "a request to the schema registry was not answered");
                tokio::time::sleep(BREATH).await;
            }
            answer => return answer,
        }
    }
}

fn supplied(version: &SchemaVersion) -> SuppliedSchema {
    let name = version.kind.record_name().to_owned();
    SuppliedSchema::new(Some(name), SchemaType::Avro, version.text.clone())
}

fn same_id(version: &SchemaVersion, id: u32, subject: &str, other: u32) -> Result<(), SchemaError> {
    if id == other {
        return Ok(());
    }
    Err(SchemaError::Several {
        record: version.kind.record_name(),
        version: version.version,
        id,
        subject: subject.to_owned(),
        other,
    })
}

/// A client of the registry at an address that setting `key` names.
pub(crate) fn client(url: &str, key: &str) -> Result<SrSettings, ConfigError> {
    SrSettings::new_builder(url.trim_end_matches('/').to_owned())
        .set_timeout(TIMEOUT)
        .build()
        .map_err(|error| ConfigError::Invalid(vec![format!("{key}: {}", error.error)]))
}

fn answered(error: &SRCError) -> Option<&RawError> {
    error.source()?.downcast_ref()
}

/// Whether a registry answered that it does not have what was asked for.
pub(crate) fn is_not_found(error: &SRCError) -> bool {
    answered(error).is_some_and(|answer| NOT_FOUND.contains(&answer.error_code))
}

/// The client's errors name the address without what may stand before its host, a password.
pub(crate) fn explain(error: &SRCError) -> String {
    let mut reason = error.error.clone();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        reason.push_str(": ");
        reason.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    reason
}

fn failure(subject: &str, error: &SRCError) -> SchemaError {
    let reason = explain(error);
    if error.retriable {
        return SchemaError::Unreachable { reason };
    }
    SchemaError::Refused {
        subject: subject.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests;
